"""Listing a tree folder by folder, in one fixed order, with the next folders asked for ahead.

The order is that of (name, id) compared along the path: a folder, then what is in it, then its next sibling. So where a
walk is can be told by the entries on the way there, and a walk can be continued by any process.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.shared.paths import is_staged
from connectors.shared.trash import TRASH_FOLDER
from migration.contract import WalkPage
from migration.entries import Entry, EntryKind, ListingProblem, PathParts
from migration.errors import ContractViolation, ItemError

FOLDERS_AHEAD = 16
"""How many folders are asked for before the walk is there; what hides the latency of one answer after another."""
PAGE_ENTRIES = 1_000
_Step = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Listing:
    """What is directly in one folder. Paths start at the connection's root."""

    entries: Sequence[Entry]
    problems: Sequence[ListingProblem] = ()
    calls: int = 0


ListFolder = Callable[[Entry], Coroutine[Any, Any, Listing]]
"""Lists one folder. An ItemError is a problem of the walk, any other error its end."""


@dataclass(slots=True)
class _Level:
    folder: Entry
    steps: tuple[_Step, ...]
    """The way to this folder from the walked root."""
    pending: deque[Entry]
    ahead: deque[Entry]
    """The folders among them that were not asked for yet."""


@dataclass(slots=True)
class _Page:
    entries: list[Entry] = field(default_factory=list)
    problems: list[ListingProblem] = field(default_factory=list)
    calls: int = 0

    def __len__(self) -> int:
        return len(self.entries) + len(self.problems)


class TreeWalk:
    """One walk below a folder; `pages` is called once."""

    def __init__(self, root: Entry, list_folder: ListFolder, page_entries: int) -> None:
        """`root` is the walked folder's entry; its path starts at the connection's root."""
        self._root = root
        self._list_folder = list_folder
        self._page_entries = page_entries
        self._levels: list[_Level] = []
        self._asked: dict[str, asyncio.Task[Listing]] = {}

    async def pages(self, resume_from: str | None) -> AsyncGenerator[WalkPage, None]:
        """Every page after the cursor. Raises what listing the root raises."""
        try:
            async for page in self._pages(resume_from):
                yield page
        finally:
            for asked in self._asked.values():
                asked.cancel()
            await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def _pages(self, resume_from: str | None) -> AsyncIterator[WalkPage]:
        page = _Page()
        await self._enter(self._root, (), page)
        if resume_from is not None:
            await self._skip_to(*_position(resume_from), page)
        self._leave_finished()
        while self._levels:
            last: tuple[_Step, ...] = ()
            while self._levels and len(page) < self._page_entries:
                level = self._levels[-1]
                entry = level.pending.popleft()
                last = (*level.steps, _step(entry))
                page.entries.append(self._from_root(entry))
                if entry.kind is EntryKind.FOLDER:
                    await self._descend(entry, last, page)
                self._leave_finished()
            yield _page(page, self._cursor(last))
            if not self._levels:
                return
            page = _Page()
        yield _page(page, None)

    def _cursor(self, last: tuple[_Step, ...]) -> str | None:
        if not self._levels:
            return None
        return json.dumps({"after": last, "inside": self._levels[-1].steps == last})

    async def _skip_to(self, after: tuple[_Step, ...], inside: bool, page: _Page) -> None:
        """Put the walk where it was when it had just listed `after` and, if so, had gone into it."""
        for depth, step in enumerate(after, start=1):
            level = self._levels[-1]
            here = next((entry for entry in level.pending if _step(entry) == step), None)
            level.pending = deque(entry for entry in level.pending if _step(entry) > step)
            level.ahead = deque(entry for entry in level.ahead if _step(entry) > step)
            if here is None or here.kind is not EntryKind.FOLDER or (depth == len(after) and not inside):
                return
            if not await self._descend(here, after[:depth], page):
                return

    async def _descend(self, folder: Entry, steps: tuple[_Step, ...], page: _Page) -> bool:
        try:
            await self._enter(folder, steps, page)
        except ItemError as error:
            page.problems.append(ListingProblem(self._below_root(folder.path), error.code, error.message))
            return False
        return True

    async def _enter(self, folder: Entry, steps: tuple[_Step, ...], page: _Page) -> None:
        listing = await self._listed(folder)
        page.calls += listing.calls
        page.problems += [replace(problem, path=self._below_root(problem.path)) for problem in listing.problems]
        found = visible(listing)
        folders = deque(entry for entry in found if entry.kind is EntryKind.FOLDER)
        self._levels.append(_Level(folder, steps, deque(found), folders))
        self._ask_ahead()

    async def _listed(self, folder: Entry) -> Listing:
        asked = self._asked.pop(folder.ref.id, None)
        if asked is not None:
            return await asked
        if self._levels:
            ahead = self._levels[-1].ahead
            while ahead and _step(ahead[0]) <= _step(folder):
                ahead.popleft()
        return await self._list_folder(folder)

    def _ask_ahead(self) -> None:
        for level in reversed(self._levels):
            while level.ahead and len(self._asked) < FOLDERS_AHEAD:
                folder = level.ahead.popleft()
                self._asked[folder.ref.id] = asyncio.ensure_future(self._list_folder(folder))

    def _leave_finished(self) -> None:
        while self._levels and not self._levels[-1].pending:
            self._levels.pop()

    def _from_root(self, entry: Entry) -> Entry:
        return replace(entry, path=self._below_root(entry.path)) if self._root.path else entry

    def _below_root(self, path: PathParts) -> PathParts:
        return path[len(self._root.path) :]


def visible(listing: Listing) -> list[Entry]:
    """What of a folder belongs to the people who use it, in a walk's order."""
    return sorted((entry for entry in listing.entries if not _is_hidden(entry)), key=_step)


def _page(page: _Page, cursor: str | None) -> WalkPage:
    return WalkPage(tuple(page.entries), tuple(page.problems), cursor, page.calls)


def _is_hidden(entry: Entry) -> bool:
    return is_staged(entry.name) or entry.path == (TRASH_FOLDER,)


def _step(entry: Entry) -> _Step:
    return entry.name, entry.ref.id


def _position(cursor: str) -> tuple[tuple[_Step, ...], bool]:
    try:
        position = json.loads(cursor)
        return tuple((str(name), str(identity)) for name, identity in position["after"]), bool(position["inside"])
    except (ValueError, TypeError, KeyError) as error:
        raise ContractViolation("not-a-cursor", f"{cursor!r} is no cursor of this connector") from error
