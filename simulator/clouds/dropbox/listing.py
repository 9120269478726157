"""Listings: files/list_folder and its relatives. A cursor goes through what was there, then tells what changed."""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from simulator.clouds.base import Answer
from simulator.clouds.dropbox.asked import Asked
from simulator.clouds.dropbox.errors import ApiError, PathProblem, Tagged, answer, tagged, within
from simulator.clouds.dropbox.world import Entry, folded

if TYPE_CHECKING:
    from simulator.clouds.dropbox.service import Dropbox

_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a client is with one folder."""

    root: Entry
    """What its paths begin at."""
    folder: Entry
    recursive: bool
    deleted: bool
    native: bool
    limit: int
    waiting: list[Entry] = field(compare=False)
    """What was there when the listing began."""
    at: int
    number: int
    """The last event that is known."""
    made_at: float
    pages: int = 0


class Cursors:
    """The cursors that were handed out."""

    def __init__(self) -> None:
        self._cursors: OrderedDict[str, Cursor] = OrderedDict()
        self.reset_before = 0.0

    def keep(self, cursor: Cursor) -> str:
        """A text for a cursor; the oldest is forgotten when there are too many."""
        text = f"AA{secrets.token_urlsafe(60)}"
        self._cursors[text] = cursor
        if len(self._cursors) > _KEPT:
            self._cursors.popitem(last=False)
        return text

    def find(self, text: str, dropbox: "Dropbox") -> Cursor | None:
        """The cursor of a text; None if it was reset."""
        cursor, lifetime = self._cursors.get(text), dropbox.switches.cursor_lifetime_seconds
        if cursor is None or cursor.made_at <= self.reset_before:
            return None
        return cursor if lifetime is None or cursor.made_at + lifetime > dropbox.clock.now() else None


def _cursor(asked: Asked) -> Cursor:
    dropbox, path = asked.dropbox, asked.values["path"]
    try:
        folder = asked.found(path)
        if not folder.is_folder:
            raise PathProblem(tagged("not_folder"))
    except PathProblem as problem:
        raise ApiError(within("path", problem.error)) from None
    recursive = asked.get("recursive", False)
    waiting = list(folder.below()) if recursive else list(folder.children.values())
    if recursive and folder.parent is not None and folder is not asked.root:
        waiting.insert(0, folder)
    if dropbox.switches.unordered:
        waiting.sort(key=lambda entry: hashlib.blake2b(entry.id.encode(), digest_size=8).digest())
    limit = min(asked.get("limit", 2000), dropbox.switches.page_entries_max)
    return Cursor(
        asked.root, folder, recursive, asked.get("include_deleted", False),
        asked.get("include_non_downloadable_files", True), limit, waiting, 0, len(dropbox.world.events),
        dropbox.clock.now(),
    )  # fmt: skip


async def list_folder(asked: Asked) -> Answer:
    """files/list_folder: the first page."""
    cursor = _cursor(asked)
    return _page(asked, cursor, _gone(asked, cursor) if cursor.deleted else [])


async def get_latest_cursor(asked: Asked) -> Answer:
    """files/list_folder/get_latest_cursor: only what changes from now on."""
    cursor = _cursor(asked)
    return answer({"cursor": asked.dropbox.cursors.keep(replace(cursor, at=len(cursor.waiting)))})


async def list_continue(asked: Asked) -> Answer:
    """files/list_folder/continue: the next page, or what changed."""
    cursor = asked.dropbox.cursors.find(asked.values["cursor"], asked.dropbox)
    if cursor is None:
        raise ApiError(tagged("reset"))
    if cursor.folder.deleted_at is not None:
        raise ApiError(tagged("path", "not_found"))
    return _page(asked, cursor, [])


async def longpoll(asked: Asked) -> Answer:
    """files/list_folder/longpoll: waits until something changed, or for the time given."""
    dropbox = asked.dropbox
    cursor = dropbox.cursors.find(asked.values["cursor"], dropbox)
    if cursor is None:
        raise ApiError(tagged("reset"))
    end = asyncio.get_running_loop().time() + float(asked.get("timeout", 30))
    while not _changes(dropbox, cursor):
        try:
            async with asyncio.timeout_at(end):
                await dropbox.changed.wait()
        except TimeoutError:
            return answer({"changes": False})
        dropbox.changed.clear()
    return answer({"changes": True})


def _gone(asked: Asked, cursor: Cursor) -> list[Tagged]:
    """What was deleted in the folder."""
    found = []
    for entry in asked.dropbox.world.deleted.values():
        if entry.parent is not None and _inside(cursor, entry):
            path = entry.path(cursor.root)
            if path is not None and asked.dropbox.world.at(cursor.root, path.split("/")[1:]) is None:
                found.append(asked.deleted(path))
    return found


def _inside(cursor: Cursor, entry: Entry) -> bool:
    if not cursor.recursive:
        return entry.parent is cursor.folder
    return entry is not cursor.folder and any(one is cursor.folder for one in entry.above())


def _page(asked: Asked, cursor: Cursor, entries: list[Tagged]) -> Answer:
    """A page of what was there; when all of that is told, of what changed."""
    at, waiting, dropbox = cursor.at, cursor.waiting, asked.dropbox
    here = replace(asked, root=cursor.root)
    if cursor.pages == 1 and at < len(waiting) and dropbox.switches.empty_page:
        return _said(dropbox, cursor, [], more=True)
    while at < len(waiting) and len(entries) < cursor.limit:
        entry = waiting[at]
        at += 1
        if _there(entry, cursor) and (cursor.native or entry.export_as is None):
            entries.append(here.metadata(entry))
    number = cursor.number
    if at == len(waiting) and not entries:
        number, entries = _delta(here, cursor)
    more = at < len(waiting) or number < len(dropbox.world.events)
    return _said(dropbox, replace(cursor, at=at, number=number), entries, more=more)


def _said(dropbox: "Dropbox", cursor: Cursor, entries: list[Tagged], *, more: bool) -> Answer:
    kept = replace(cursor, pages=cursor.pages + 1, made_at=dropbox.clock.now())
    return answer({"entries": entries, "cursor": dropbox.cursors.keep(kept), "has_more": more})


def _there(entry: Entry, cursor: Cursor) -> bool:
    """Whether an entry is still in the folder; what left it is told as a change."""
    return entry.deleted_at is None and (entry is cursor.folder or _inside(cursor, entry))


def _changes(dropbox: "Dropbox", cursor: Cursor) -> bool:
    return any(_scoped(dropbox, cursor, event.path) for event in dropbox.world.events[cursor.number :])


def _scoped(dropbox: "Dropbox", cursor: Cursor, path: str) -> str | None:
    """A path below the cursor's root, if it is in the cursor's folder."""
    folder = folded(cursor.folder.path(dropbox.world.root) or "")
    if not folded(path).startswith(f"{folder}/"):
        return None
    if not cursor.recursive and "/" in folded(path)[len(folder) + 1 :]:
        return None
    return path[len(cursor.root.path(dropbox.world.root) or "") :]


def _delta(asked: Asked, cursor: Cursor) -> tuple[int, list[Tagged]]:
    """What changed since, each path once and as it is now, up to the limit."""
    dropbox, number = asked.dropbox, cursor.number
    entries: list[Tagged] = []
    for event in dropbox.world.events[cursor.number :]:
        if len(entries) >= cursor.limit:
            break
        number = event.number
        path = _scoped(dropbox, cursor, event.path)
        if path is None or dropbox.world.latest[folded(event.path)] != event.number:
            continue
        entry = dropbox.world.at(cursor.root, path.split("/")[1:])
        entries.append(asked.deleted(path) if entry is None else asked.metadata(entry))
    return number, entries
