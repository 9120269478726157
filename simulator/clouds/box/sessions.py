"""Uploads to Box in parts: https://developer.box.com/guides/uploads/chunked/.

A session lives seven days; parts are immutable once stored. Committing answers 202 with Retry-After until the parts
have been processed, and 202 without it if a new version would be what the file holds already.
"""

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from simulator.clouds.base import Content, Spool, received
from simulator.clouds.box import checks, folders, shapes, uploads
from simulator.clouds.box.errors import Refused, bad_request
from simulator.clouds.box.state import Box
from simulator.clouds.box.world import Entry
from simulator.web import Answer, Call

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_SESSION_ID = re.compile(r"[0-9A-F]{32}")
_PARTS_LISTED_MAX = 1000


@dataclass(slots=True)
class Part:
    """A stored part."""

    id: str
    offset: int
    content: bytes
    sha1: str
    sha512: str | None

    def shape(self) -> dict[str, Any]:
        """As Box lists it."""
        shape: dict[str, Any] = {
            "part_id": self.id, "offset": self.offset, "size": len(self.content), "sha1": self.sha1,
        }  # fmt: skip
        return shape if self.sha512 is None else {**shape, "sha512": self.sha512}


@dataclass(slots=True)
class Session:
    """An upload in parts that is under way, of a new file or of a new version of `file`."""

    id: str
    folder: Entry
    name: str
    file: Entry | None
    size: int
    part_size: int
    expires_at: float
    waits: int
    """How often committing still answers that the parts are being processed."""
    parts: dict[int, Part] = field(default_factory=dict)

    @property
    def total_parts(self) -> int:
        """How many parts there will be."""
        return -(-self.size // self.part_size)


async def create(box: Box, call: Call, _: re.Match[str]) -> Answer:
    """POST /files/upload_sessions."""
    body = await checks.json_body(call, ("folder_id", "file_size", "file_name"))
    checks.writable(box)
    if "folder_id" not in body:
        raise Refused(400, "missing_destination", "No folder_id was provided")
    if "file_name" not in body:
        raise Refused(400, "missing_file_name", "file_name was not provided")
    folder = checks.parent(box, {"parent": {"id": body["folder_id"]}})
    name = folders.checks_name(box, body["file_name"])
    return _opened(box, folder, name, None, body)


async def create_version(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """POST /files/{id}/upload_sessions."""
    file = checks.found(box, "file", path[1])
    body = await checks.json_body(call, ("file_size", "file_name"))
    checks.writable(box)
    checks.unlocked(file)
    assert file.parent is not None
    name = folders.checks_name(box, body["file_name"]) if body.get("file_name") else file.name
    return _opened(box, file.parent, name, file, body)


def _opened(box: Box, folder: Entry, name: str, file: Entry | None, body: dict[str, Any]) -> Answer:
    size = body.get("file_size")
    if size is None:
        raise Refused(400, "missing_file_size", "file_size was not provided")
    if not isinstance(size, int) or size < 0:
        raise Refused(400, "invalid_file_size", "file_size was not a valid number")
    if size < box.switches.session_bytes_min:
        raise Refused(400, "file_size_too_small", "file_size is below the minimum for uploads in parts")
    box.world.check_busy(folder)
    checks.free(folder, name, file, as_list=False)
    checks.room(box, size)
    session = Session(
        secrets.token_hex(16).upper(), folder, name, file, size, box.switches.part_size_bytes,
        box.clock.now() + box.switches.session_lifetime_seconds, box.switches.commit_waits,
    )  # fmt: skip
    box.sessions[session.id] = session
    return Answer.json(_shape(box, session), 201)


def _shape(box: Box, session: Session) -> dict[str, Any]:
    own = f"{box.urls['upload']}/2.0/files/upload_sessions/{session.id}"
    return {
        "id": session.id, "type": "upload_session", "session_expires_at": shapes.time_text(session.expires_at),
        "part_size": session.part_size, "total_parts": session.total_parts,
        "num_parts_processed": len(session.parts) if session.waits <= 0 else 0,
        "session_endpoints": {
            "upload_part": own, "commit": f"{own}/commit", "abort": own, "list_parts": f"{own}/parts", "status": own,
            "log_event": f"{own}/log", "plan": f"{own}/plan",
        },
    }  # fmt: skip


def _session(box: Box, path: re.Match[str]) -> Session:
    if not _SESSION_ID.fullmatch(path[1]):
        raise Refused(400, "invalid_upload_session_id", "The upload session ID provided is not of a valid format")
    session = box.sessions.get(path[1])
    if session is None:
        raise Refused(404, "not_found", "Upload session not found")
    if session.expires_at <= box.clock.now():
        raise Refused(410, "session_expired", "The upload session has expired")
    return session


async def get(box: Box, _: Call, path: re.Match[str]) -> Answer:
    """GET /files/upload_sessions/{id}."""
    return Answer.json(_shape(box, _session(box, path)))


async def parts(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """GET /files/upload_sessions/{id}/parts, in the order of their offsets."""
    session = _session(box, path)
    begin, limit = checks.offset(call), checks.limit(box, call, _PARTS_LISTED_MAX, _PARTS_LISTED_MAX)
    stored = [session.parts[offset].shape() for offset in sorted(session.parts)]
    return Answer.json({
        "total_count": len(stored), "entries": stored[begin : begin + limit], "offset": begin, "limit": limit,
        "order": [{"by": "offset", "direction": "ASC"}],
    })  # fmt: skip


async def abort(box: Box, _: Call, path: re.Match[str]) -> Answer:
    """DELETE /files/upload_sessions/{id}: what was uploaded is gone."""
    del box.sessions[_session(box, path).id]
    return Answer(204)


async def upload_part(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """PUT /files/upload_sessions/{id}."""
    content = await received(call)
    session = _session(box, path)
    checks.writable(box)
    offset = _checked_offset(call, session, len(content))
    sha1 = hashlib.sha1(content, usedforsecurity=False)
    sha512 = _check_digest(call, content, sha1.digest())
    if offset in session.parts:
        raise Refused(409, "range_overlaps_existing_part", "The part overlaps with one that was uploaded before")
    part = Part(secrets.token_hex(4).upper(), offset, content, sha1.hexdigest(), sha512)
    session.parts[offset] = part
    return Answer.json({"part": part.shape()})


def _checked_offset(call: Call, session: Session, length: int) -> int:
    found = _RANGE.fullmatch(call.headers.get("content-range", ""))
    if found is None:
        raise Refused(400, "invalid_content_range", "The content-range header is missing or invalid")
    first, last, total = (int(number) for number in found.groups())
    end = min(first + session.part_size, session.size) - 1
    if total != session.size or first % session.part_size or first >= session.size or last != end:
        raise Refused(416, "range_not_satisfiable", "The range does not match the parts of this session")
    if last - first + 1 != length:
        raise Refused(400, "bad_request", "The length of the body is not that of the content-range")
    return first


def _check_digest(call: Call, content: bytes, sha1: bytes) -> str | None:
    """Compare the `digest` header; the SHA-512 in hexadecimal if it is one. Raises Refused."""
    kind, _, text = call.headers.get("digest", "").partition("=")
    sha512 = hashlib.sha512(content) if kind.lower() == "sha-512" else None
    if kind.lower() not in ("sha", "sha-512"):
        raise Refused(400, "missing_digest", "The digest header is missing or of an unknown kind")
    if _decoded(text) != (sha1 if sha512 is None else sha512.digest()):
        raise Refused(400, "bad_digest", "The specified digest did not match what we received")
    return None if sha512 is None else sha512.hexdigest()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


async def plan(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """POST /files/upload_sessions/{id}/plan: which parts of the new version the current one has at the same place."""
    session = _session(box, path)
    body = await checks.json_body(call, ("parts",))
    hits, misses = [], []
    for wanted in body.get("parts", ()):
        part = _kept_part(session, wanted)
        if part is None:
            misses.append(wanted)
        else:
            session.parts[part.offset] = part
            hits.append({**wanted, "part_id": part.id})
    return Answer.json({"upload_session_id": session.id, "hits": hits, "misses": misses})


def _kept_part(session: Session, wanted: dict[str, Any]) -> Part | None:
    offset, size = int(wanted["offset"]), int(wanted["size"])
    if session.file is None or offset in session.parts or offset % session.part_size:
        return None
    content = session.file.current.content.read(offset, size)
    if len(content) != size or hashlib.sha512(content).hexdigest() != wanted["sha512"]:
        return None
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return Part(secrets.token_hex(4).upper(), offset, content, sha1, None)


async def commit(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """POST /files/upload_sessions/{id}/commit."""
    session = _session(box, path)
    body = await checks.json_body(call, ("parts", "attributes"))
    checks.writable(box)
    attributes = body.get("attributes") or {}
    times = _times(attributes)
    _check_parts(session, body.get("parts"))
    if session.waits > 0:
        session.waits -= 1
        return Answer(202, b"", [(b"retry-after", str(box.switches.commit_retry_after_seconds).encode())])
    content = _joined(session)
    kind, _, text = call.headers.get("digest", "").partition("=")
    if kind.lower() != "sha" or _decoded(text).hex() != content.digest("sha1"):
        raise Refused(400, "bad_digest", "The specified digest did not match what we received")
    return _finished(box, call, session, content, times)


def _times(attributes: dict[str, Any]) -> list[float | None]:
    for name in attributes:
        if name not in ("content_created_at", "content_modified_at", "description", "name"):
            raise bad_request(name, f"Unknown field '{name}'")
    return [
        None if attributes.get(key) is None else shapes.parsed_time(attributes[key], key)
        for key in ("content_created_at", "content_modified_at")
    ]


def _check_parts(session: Session, listed: object) -> None:
    if not isinstance(listed, list) or not all(isinstance(part, dict) for part in listed):
        raise bad_request("parts", "The list of parts is missing")
    if len(session.parts) != session.total_parts or len(listed) != session.total_parts:
        raise Refused(400, "parts_mismatch", "Not all parts have been uploaded, or not all are listed")
    for named in listed:
        part = session.parts.get(named.get("offset", -1))
        if part is None or any(value is not None and part.shape().get(key, value) != value
                               for key, value in named.items()):  # fmt: skip
            raise Refused(400, "parts_mismatch", "The list of parts does not match what was uploaded")


def _joined(session: Session) -> Content:
    spool = Spool({"sha1": lambda: hashlib.sha1(usedforsecurity=False)})
    for offset in sorted(session.parts):
        spool.write(session.parts[offset].content)
    return spool.finish()


def _finished(box: Box, call: Call, session: Session, content: Content, times: list[float | None]) -> Answer:
    file = session.file
    if session.folder.in_trash or (file is not None and file.in_trash):
        raise Refused(404, "trashed", "Item is trashed")
    if file is not None:
        checks.etag(call, file)
        checks.unlocked(file)
    checks.free(session.folder, session.name, file, as_list=False)
    checks.room(box, content.size)
    del box.sessions[session.id]
    if file is None:
        file = box.world.add_file(session.folder, session.name, content, times[0], times[1])
    elif content.digest("sha1") == file.current.sha1:
        return Answer(202)
    else:
        uploads.rename(box, file, session.name)
        box.world.add_version(file, content, times[1])
    return Answer.json({"total_count": 1, "entries": [shapes.item(file, shapes.wanted_fields(call))]}, 201)
