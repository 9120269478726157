"""Uploads: whole files, and sessions of pieces that become files when they are finished.

A request brings 150 MiB at most, a file has 2^41 - 2^22 bytes at most, a session lives for 7 days (documentation of
/upload_session/start). Pieces of a concurrent session begin at multiples of 4 MiB and are multiples of it but for the
last, which closes the session.
"""

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.clouds.base import Answer, Content, Spool, received
from simulator.clouds.dropbox.arguments import FINISH, each, tag_of
from simulator.clouds.dropbox.asked import Asked
from simulator.clouds.dropbox.errors import ApiError, BadInput, PathProblem, Tagged, answer, tagged, within
from simulator.clouds.dropbox.world import (
    BLOCK_BYTES,
    Entry,
    check_name,
    conflicted,
    content_hash,
    folded,
    new_id,
    numbered,
    parsed_time,
)

if TYPE_CHECKING:
    from simulator.clouds.dropbox.service import Dropbox

REQUEST_BYTES_MAX = 150 * 1024 * 1024
FILE_BYTES_MAX = 2**41 - 2**22
BATCH_MAX = 1000


@dataclass(slots=True, eq=False)
class Session:
    """An upload that was begun."""

    concurrent: bool
    expires_at: float
    spool: Spool = field(default_factory=Spool)
    closed: bool = False
    spans: set[tuple[int, int]] = field(default_factory=set)
    """Of a concurrent one: what has arrived."""
    content: Content | None = None
    left_over: bool = False
    """Made by a whole upload that could not be saved."""

    def complete(self) -> bool:
        """Whether nothing is missing before its end."""
        at = 0
        for first, end in sorted(self.spans):
            if first > at:
                return False
            at = max(at, end)
        return True

    def finished(self) -> Content:
        """All its bytes; nothing can be added then."""
        self.content = self.content or self.spool.finish()
        return self.content


class Sessions:
    """The open sessions."""

    def __init__(self, dropbox: "Dropbox") -> None:
        self._dropbox = dropbox
        self._sessions: dict[str, Session] = {}

    def open(self) -> int:
        """How many are neither finished nor too old."""
        now = self._dropbox.clock.now()
        return sum(1 for one in self._sessions.values() if one.expires_at > now and not one.left_over)

    def begin(self, *, concurrent: bool) -> tuple[str, Session]:
        """A new session."""
        lifetime = self._dropbox.switches.session_lifetime_seconds
        session = Session(concurrent, self._dropbox.clock.now() + lifetime)
        session_id = f"pid_upload_session:{secrets.token_urlsafe(40)}"
        self._sessions[session_id] = session
        return session_id, session

    def find(self, session_id: str) -> Session | None:
        """An open session; None if there is none of that name."""
        session = self._sessions.get(session_id)
        return session if session is not None and session.expires_at > self._dropbox.clock.now() else None

    def end(self, session_id: str) -> None:
        """Forget one."""
        del self._sessions[session_id]


async def _body(asked: Asked) -> bytes:
    """The bytes of a request. Raises ApiError if they are too many or not those of the hash."""
    if int(asked.call.headers.get("content-length", "0")) > REQUEST_BYTES_MAX:
        raise ApiError(tagged("payload_too_large"))
    body = await received(asked.call)
    if len(body) > REQUEST_BYTES_MAX:
        raise ApiError(tagged("payload_too_large"))
    wanted = asked.get("content_hash")
    if wanted is not None and content_hash(Content.of(body)) != wanted:
        raise ApiError(tagged("content_hash_mismatch"))
    return body


async def upload(asked: Asked) -> Answer:
    """files/upload."""
    content = Content.of(await _body(asked))
    async with asked.dropbox.writing(asked):
        try:
            entry = commit(asked, asked.values, content)
        except PathProblem as problem:
            session_id = _left_over(asked.dropbox, content)
            raise ApiError(tagged("path", reason=problem.error, upload_session_id=session_id)) from None
        return answer(asked.metadata(entry, tag=False))


def _left_over(dropbox: "Dropbox", content: Content) -> str:
    session_id, session = dropbox.sessions.begin(concurrent=False)
    session.content, session.closed, session.left_over = content, True, True
    session.spool.length = content.size_bytes
    return session_id


async def start(asked: Asked) -> Answer:
    """files/upload_session/start."""
    body = await _body(asked)
    kind = tag_of(asked.get("session_type", "sequential"), {"sequential", "concurrent"}, "session_type")
    if kind == "concurrent" and body:
        raise ApiError(tagged("concurrent_session_data_not_allowed"))
    if kind == "concurrent" and asked.get("close", False):
        raise ApiError(tagged("concurrent_session_close_not_allowed"))
    session_id, session = asked.dropbox.sessions.begin(concurrent=kind == "concurrent")
    session.spool.write(body)
    session.closed = asked.get("close", False)
    return answer({"session_id": session_id})


async def append(asked: Asked) -> Answer:
    """files/upload_session/append_v2."""
    body = await _body(asked)
    _append(asked.dropbox, asked.values["cursor"], body, close=asked.get("close", False))
    return answer(None)


def _append(dropbox: "Dropbox", cursor: dict[str, Any], body: bytes, *, close: bool) -> Session:
    session, offset = dropbox.sessions.find(cursor["session_id"]), cursor["offset"]
    if session is None:
        raise ApiError(tagged("not_found"))
    if session.closed:
        raise ApiError(tagged("closed"))
    if offset + len(body) > FILE_BYTES_MAX:
        raise ApiError(tagged("too_large"))
    if session.concurrent:
        if offset % BLOCK_BYTES:
            raise ApiError(tagged("concurrent_session_invalid_offset"))
        if len(body) % BLOCK_BYTES and not close:
            raise ApiError(tagged("concurrent_session_invalid_data_size"))
        session.spool.write_at(offset, body)
        session.spans.add((offset, offset + len(body)))
    else:
        if offset != session.spool.length:
            raise ApiError(tagged("incorrect_offset", correct_offset=session.spool.length))
        session.spool.write(body)
    session.closed = close
    return session


async def finish(asked: Asked) -> Answer:
    """files/upload_session/finish."""
    body = await _body(asked)
    async with asked.dropbox.writing(asked):
        entry = _finish(asked, asked.values, body, batch=False)
        return answer(asked.metadata(entry, tag=False))


async def finish_batch(asked: Asked) -> Answer:
    """files/upload_session/finish_batch_v2: each entry for itself."""
    entries = each(asked.values["entries"], FINISH, BATCH_MAX, "request body: entries")
    results: list[Tagged] = []
    async with asked.dropbox.writing(asked):
        for values in entries:
            try:
                entry = _finish(asked, values, b"", batch=True)
                results.append({".tag": "success", **asked.metadata(entry, tag=False)})
            except ApiError as error:
                results.append(within("failure", error.error))
    return answer({"entries": results})


def _finish(asked: Asked, values: dict[str, Any], body: bytes, *, batch: bool) -> Entry:
    dropbox, cursor = asked.dropbox, values["cursor"]
    session = dropbox.sessions.find(cursor["session_id"])
    if session is None:
        raise ApiError(tagged("lookup_failed", "not_found"))
    _check_finish(session, cursor["offset"], body, batch=batch)
    if body:
        session.spool.write(body)
    session.closed = True
    try:
        entry = commit(asked, values["commit"], session.finished())
    except PathProblem as problem:
        raise ApiError(within("path", problem.error)) from None
    dropbox.sessions.end(cursor["session_id"])
    return entry


def _check_finish(session: Session, offset: int, body: bytes, *, batch: bool) -> None:
    if session.concurrent:
        if body:
            raise ApiError(tagged("concurrent_session_data_not_allowed"))
        if not session.closed:
            raise ApiError(tagged("concurrent_session_not_closed"))
        if not session.complete():
            raise ApiError(tagged("concurrent_session_missing_data"))
    elif batch and not session.closed:
        raise ApiError(tagged("lookup_failed", "not_closed"))
    elif session.closed and body:
        raise ApiError(tagged("lookup_failed", "closed"))
    if offset != session.spool.length:
        error = tagged("incorrect_offset", correct_offset=session.spool.length)
        raise ApiError(within("lookup_failed", error))


def commit(asked: Asked, values: dict[str, Any], content: Content) -> Entry:
    """Save a content at a path as its mode says. Raises PathProblem; nothing is changed then."""
    dropbox, path = asked.dropbox, values["path"]
    mode, rev = _mode(values.get("mode", "add"))
    at = None if "client_modified" not in values else parsed_time(values["client_modified"])
    if "client_modified" in values and at is None:
        raise BadInput("client_modified: time data does not match format '%Y-%m-%dT%H:%M:%SZ'")
    dropbox.may_write()
    place = _where(asked, path)
    there, name = place.there, place.names[-1]
    if there is None:
        if mode == "update" and values.get("strict_conflict") and not values.get("autorename"):
            raise PathProblem(tagged("conflict", "file"))
    elif there.is_folder:
        name, there = _renamed(there, mode, values, name), None
    elif content_hash(there.current.content) == content_hash(content) and not values.get("strict_conflict"):
        return _unchanged(dropbox, there, content, at)
    elif not (mode == "overwrite" or (mode == "update" and rev == there.current.rev)):
        name, there = _renamed(there, mode, values, name), None
    dropbox.room(content.size_bytes - (0 if there is None else there.current.content.size_bytes))
    if there is None:
        folder = dropbox.world.folders(place.root, place.names[:-1])
        there = Entry(new_id(), name, folder, False)
        dropbox.world.write(there, content, at)
        return dropbox.world.add(folder, there)
    dropbox.world.write(there, content, at)
    return there


@dataclass(frozen=True, slots=True)
class _Place:
    root: Entry
    names: list[str]
    there: Entry | None


def _unchanged(dropbox: "Dropbox", there: Entry, content: Content, at: Any) -> Entry:
    """The content is there already: nothing gets written (documentation of WriteMode), the time neither by default."""
    if not dropbox.switches.keeps_unchanged_time and at is not None:
        dropbox.world.write(there, content, at)
    return there


def _where(asked: Asked, path: str) -> _Place:
    """Where a file is to be, and what is there. Raises PathProblem for a place or name where no file can be."""
    world = asked.dropbox.world
    if path.startswith("id:"):
        there = asked.found(path)
        if there.parent is None:
            raise PathProblem(tagged("conflict", "folder"))
        return _Place(there.parent, [there.name], there)
    root, names = asked.place(path)
    if not names:
        raise PathProblem(tagged("conflict", "folder"))
    check_name(names[-1])
    above = [world.at(root, names[:depth]) for depth in range(1, len(names))]
    if any(one is not None and not one.is_folder for one in above):
        raise PathProblem(tagged("conflict", "file_ancestor"))
    return _Place(root, names, world.at(root, names))


def _mode(value: Any) -> tuple[str, str | None]:
    tag = tag_of(value, {"add", "overwrite", "update"}, "mode")
    rev = value.get("update") if isinstance(value, dict) else None
    if tag == "update" and not isinstance(rev, str):
        raise BadInput("mode: missing required field 'update'")
    return tag, rev


def _renamed(there: Entry, mode: str, values: dict[str, Any], name: str) -> str:
    """Another name, if the client wants one. Raises PathProblem if not."""
    if not values.get("autorename") or there.parent is None:
        raise PathProblem(tagged("conflict", "folder" if there.is_folder else "file"))
    return free_name(there.parent, name, mode)


def free_name(folder: Entry, name: str, mode: str = "add") -> str:
    """The first name of Dropbox's making that is free in a folder."""
    number = 1
    while True:
        new = conflicted(name, "Amelie", number) if mode == "update" else numbered(name, number)
        if folded(new) not in folder.children:
            return new
        number += 1
