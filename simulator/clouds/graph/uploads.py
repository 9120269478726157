"""Upload sessions: https://learn.microsoft.com/en-us/graph/api/driveitem-createuploadsession."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.clouds.base import Answer, Call, Content, Entry, Spool, chunks, json_answer, received, unknown, utc
from simulator.clouds.graph import shapes
from simulator.clouds.graph.addresses import ItemAddress
from simulator.clouds.graph.errors import error_answer, invalid, modified, name_taken, not_found, refused
from simulator.clouds.graph.quickxor import QuickXor
from simulator.clouds.graph.reading import matches, queried
from simulator.clouds.graph.state import Drive, GraphState
from simulator.clouds.graph.writing import (
    BEHAVIOUR,
    behaviour_of,
    body_of,
    check_conditions,
    file_times,
    parent_for,
    place_file,
    replace_content,
)

PART_UNIT_BYTES = 320 * 1024
PART_BYTES_LIMIT = 60 * 1024 * 1024
"""A request must have fewer bytes than this."""
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_ITEM = frozenset({
    BEHAVIOUR, "@odata.type", "name", "description", "fileSize", "fileSystemInfo", "driveItemSource", "mediaSource",
})  # fmt: skip


@dataclass(slots=True)
class Session:
    """One upload that is under way, to a new name in a folder or to an item that is there."""

    drive: Drive
    parent: Entry | None
    name: str
    entry: Entry | None
    behaviour: str
    times: dict[str, datetime]
    deferred: bool
    if_match: str | None
    if_none_match: str | None
    expires_at: float
    spool: Spool = field(default_factory=lambda: Spool({"quickxor": QuickXor}))
    total_bytes: int | None = None
    content: Content | None = None
    """Everything that was sent, once it is all there."""

    @property
    def received_bytes(self) -> int:
        """How much is there."""
        return self.content.size_bytes if self.content is not None else self.spool.length

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return self.content is not None


async def create_session(state: GraphState, call: Call, address: ItemAddress) -> Answer:
    """POST …/createUploadSession."""
    query = queried(call, frozenset({BEHAVIOUR}))
    values = await body_of(call, frozenset({"item", "deferCommit", "@odata.type"}))
    wanted = values.get("item") or {}
    if not isinstance(wanted, dict) or unknown(wanted, _ITEM) or not isinstance(values.get("deferCommit", False), bool):
        raise invalid("The parameters of the upload session are not valid.")
    existing = address.find()
    check_conditions(call, existing)
    behaviour = behaviour_of(wanted, query, "fail")
    parent, name = _place(state, address, existing, wanted)
    if (
        parent is not None
        and existing is not None
        and behaviour == "fail"
        and state.switches.sessions_check_names_early
    ):
        raise name_taken()
    expected = wanted.get("fileSize")
    if expected is not None:
        state.check_room(address.drive, int(expected))
    key = secrets.token_urlsafe(24)
    state.sessions[key] = session = Session(
        drive=address.drive, parent=parent, name=name, entry=None if parent is not None else existing,
        behaviour=behaviour, times=file_times(wanted.get("fileSystemInfo")), deferred=values.get("deferCommit", False),
        if_match=call.headers.get("if-match"), if_none_match=call.headers.get("if-none-match"),
        expires_at=state.clock.now() + state.switches.session_lifetime_seconds,
    )  # fmt: skip
    return json_answer({"uploadUrl": f"{state.url}/upload/{key}", **_progress(session)})


def _place(
    state: GraphState, address: ItemAddress, existing: Entry | None, wanted: dict[str, Any]
) -> tuple[Entry | None, str]:
    """The folder and name an upload is for; no folder for the item that the address names by its id."""
    if not address.path:
        entry = address.entry()
        if entry.is_folder:
            raise invalid("The specified item is a folder.", "notAFile")
        return None, entry.name
    name = address.path[-1]
    if wanted.get("name", name) != name:
        raise invalid("The item-path must contain the name of the item specified in the request body.")
    if existing is not None and existing.is_folder:
        raise name_taken()
    parent = parent_for(state, address)
    return parent, state.accepted_name(address.drive, parent, name, folder=False)


async def upload(state: GraphState, call: Call) -> Answer:
    """A call to an upload address: PUT of a part, GET of the progress, DELETE, POST to complete."""
    if state.switches.upload_refuses_bearer and "authorization" in call.headers:
        raise refused(401, "unauthenticated", "The upload address must be used without an Authorization header.")
    key = call.path.removeprefix("/upload/")
    session = state.sessions.get(key)
    if session is None or state.clock.now() >= session.expires_at:
        state.sessions.pop(key, None)
        raise not_found()
    if call.method == "GET":
        return json_answer(_progress(session))
    if call.method == "DELETE":
        del state.sessions[key]
        session.spool.close()
        return Answer(204)
    if call.method == "POST":
        return await _complete(state, call, key, session)
    if call.method != "PUT":
        raise refused(405, "invalidRequest", "The method is not allowed on an upload address.")
    return await _part(state, call, key, session)


def open_sessions(state: GraphState) -> int:
    """How many upload sessions are neither completed nor cancelled nor expired."""
    return sum(1 for session in state.sessions.values() if state.clock.now() < session.expires_at)


async def _part(state: GraphState, call: Call, key: str, session: Session) -> Answer:
    start, end, total = _range(call)
    _check_part(session, start, end, total)
    misplaced = _misplaced(session, start)
    if misplaced is not None:
        return misplaced
    pieces = [piece async for piece in chunks(call)]
    if sum(map(len, pieces)) != end - start + 1:
        raise invalid("The Content-Length does not match the Content-Range.", "fragmentLengthMismatch")
    if state.sessions.get(key) is not session:
        raise not_found()
    misplaced = _misplaced(session, start)
    if misplaced is not None:
        return misplaced
    session.total_bytes = total
    for piece in pieces:
        session.spool.write(piece)
    if session.spool.length < total:
        return json_answer(_progress(session), 202)
    session.content = session.spool.finish()
    if session.deferred:
        return json_answer(_progress(session), 202)
    return _committed(state, key, session)


def _range(call: Call) -> tuple[int, int, int]:
    match = _RANGE.fullmatch(call.headers.get("content-range", ""))
    if match is None:
        raise invalid("The Content-Range header is missing or malformed.", "invalidRange")
    return int(match[1]), int(match[2]), int(match[3])


def _check_part(session: Session, start: int, end: int, total: int) -> None:
    """Raises Refused, 400, for a part whose size breaks the rules."""
    length = end - start + 1
    if length < 1 or end >= total:
        raise invalid("The Content-Range header is not valid.", "invalidRange")
    if session.total_bytes not in (None, total):
        raise invalid("The total size differs from that of the parts before.", "invalidRange")
    if length >= PART_BYTES_LIMIT:
        raise invalid("The maximum bytes in any given request is less than 60 MiB.", "fragmentSizeExceeded")
    if end + 1 < total and length % PART_UNIT_BYTES:
        raise invalid("The size of each byte range must be a multiple of 320 KiB.", "fragmentSizeInvalid")


def _misplaced(session: Session, start: int) -> Answer | None:
    """416 for a part that does not begin where the next byte is missing."""
    if start == session.received_bytes and not session.complete:
        return None
    again = start < session.received_bytes
    message = "The uploaded fragment overlaps with data that has already been received." if again else (
        "The uploaded fragment is out of order.")  # fmt: skip
    inner = "fragmentOverlap" if again else "fragmentOutOfOrder"
    return error_answer(416, "invalidRange", message, inner, **_progress(session))


async def _complete(state: GraphState, call: Call, key: str, session: Session) -> Answer:
    if await received(call):
        raise invalid("The completion of an upload has no content.")
    if state.sessions.get(key) is not session:
        raise not_found()
    if not session.complete:
        raise invalid("The upload cannot be completed before all bytes were received.")
    return _committed(state, key, session)


def _committed(state: GraphState, key: str, session: Session) -> Answer:
    """The file becomes visible; on a refusal the session stays as it is."""
    content, drive = session.content, session.drive
    assert content is not None
    entry = session.entry
    if entry is None:
        assert session.parent is not None
        if drive.tree.visible(session.parent.id) is None:
            raise not_found()
        _check_again(session, drive.tree.child(session.parent, session.name))
        entry, made = place_file(state, drive, session.parent, session.name, content, session.behaviour, session.times)
    else:
        if drive.tree.visible(entry.id) is None:
            raise not_found()
        _check_again(session, entry)
        replace_content(state, drive, entry, content, session.times)
        made = False
    del state.sessions[key]
    return json_answer(shapes.item(state, drive, entry), 201 if made else 200)


def _check_again(session: Session, there: Entry | None) -> None:
    if session.if_match is not None and (there is None or not matches(session.if_match, there)):
        raise modified()
    if session.if_none_match is not None and there is not None and matches(session.if_none_match, there):
        raise modified()


def _progress(session: Session) -> dict[str, Any]:
    expires = utc(session.expires_at).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    missing = [] if session.complete else [f"{session.received_bytes}-"]
    return {"expirationDateTime": expires, "nextExpectedRanges": missing}
