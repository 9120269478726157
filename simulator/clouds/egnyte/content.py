"""Contents of Egnyte files: uploads, whole and in chunks, and downloads.

https://developers.egnyte.com/docs/read/File_System_Management_API_Documentation. An upload to a path that has a file
makes a new version of it; there is no condition to prevent that. `Last-Modified` sets the time of the file,
`X-Sha512-Checksum` lets Egnyte compare. What a file in chunks gets as its checksum is no SHA-512 of its bytes but
`2-{chunks}-{bytes of a chunk}-{SHA-512 of the hexadecimal SHA-512s of the chunks}`; chunks are kept for 24 hours.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from simulator.clouds import forms
from simulator.clouds.base import Content, Spool, download, received
from simulator.clouds.egnyte import checks, names, shapes
from simulator.clouds.egnyte.errors import not_found, refused
from simulator.clouds.egnyte.state import Egnyte
from simulator.clouds.egnyte.world import Entry, Version
from simulator.web import Answer, Call, Header


@dataclass(slots=True)
class Chunks:
    """An upload in chunks that is under way."""

    id: str
    parent: Entry
    name: str
    expires_at: float
    chunks: dict[int, bytes] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)


async def fetch(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """GET /fs-content/{path}, of the newest version or of `entry_id`, whole or a range."""
    return _fetched(call, checks.found(egnyte, path["path"]))


async def fetch_by_id(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """GET /fs-content/ids/file/{group_id}."""
    return _fetched(call, checks.found_by_id(egnyte, "file", path["id"]))


def _fetched(call: Call, entry: Entry) -> Answer:
    if entry.is_folder:
        raise refused(400, "The item is a folder")
    version = _version(entry, call.first("entry_id"))
    headers: list[Header] = [
        *_headers(version), (b"content-type", b"application/octet-stream"),
    ]  # fmt: skip
    return download(call, version.content, headers)


def _version(entry: Entry, entry_id: str | None) -> Version:
    if entry_id is None:
        return entry.current
    for version in entry.versions:
        if version.entry_id == entry_id:
            return version
    raise not_found()


def _headers(version: Version) -> list[Header]:
    return [
        (b"etag", version.entry_id.encode()), (b"x-sha512-checksum", version.checksum.encode()),
        (b"last-modified", shapes.http_date(version.modified_at).encode()),
    ]  # fmt: skip


async def upload(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """POST /fs-content/{path}, the body being the content or a form with it as `file`."""
    body = await received(call)
    checks.writable(egnyte)
    parent, name = _destination(egnyte, checks.path_of(path["path"]))
    return _uploaded(egnyte, call, body, parent, name)


async def upload_by_id(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """POST /fs-content/ids/file/{group_id}: a new version."""
    body = await received(call)
    checks.writable(egnyte)
    file = checks.found_by_id(egnyte, "file", path["id"])
    assert file.parent is not None
    return _uploaded(egnyte, call, body, file.parent, file.name)


def _uploaded(egnyte: Egnyte, call: Call, body: bytes, parent: Entry, name: str) -> Answer:
    content = _content_of(call, body)
    if len(content) > egnyte.switches.direct_upload_bytes_max:
        raise refused(413, "File is too large: use the chunked upload")
    checksum = hashlib.sha512(content).hexdigest()
    wanted = call.headers.get("x-sha512-checksum")
    if wanted is not None and wanted.lower() != checksum:
        raise refused(400, "Checksum verification failed")
    checks.room(egnyte, len(content))
    return _stored(egnyte, call, parent, name, Content.of(bytes(content)), checksum)


def _content_of(call: Call, body: bytes) -> bytes | memoryview:
    boundary = forms.boundary_of(call.headers.get("content-type", ""))
    if boundary is None:
        return body
    parts = forms.parts(body, boundary)
    if parts is None or [part.name for part in parts] != ["file"]:
        raise refused(400, "The form must have one part named 'file'")
    return parts[0].content


def _destination(egnyte: Egnyte, path: tuple[str, ...]) -> tuple[Entry, str]:
    there = egnyte.world.at(path)
    if there is not None and there.is_folder:
        raise refused(409, "A folder exists at this location")
    if there is not None:
        checks.unlocked(there)
    return checks.place(egnyte, path, folder=False)


def _modified_at(call: Call) -> float | None:
    text = call.headers.get("last-modified")
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        raise refused(400, "Invalid Last-Modified header") from None


def _stored(egnyte: Egnyte, call: Call, parent: Entry, name: str, content: Content, checksum: str) -> Answer:
    file = egnyte.world.store(parent, name, content, checksum, _modified_at(call))
    version = file.current
    body = {"checksum": version.checksum, "group_id": file.id, "entry_id": version.entry_id}
    return Answer.json(body, 200, _headers(version))


async def upload_chunk(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """POST /fs-content-chunked/{path}: the first chunk opens the upload, the last one makes the file."""
    body = await received(call)
    checks.writable(egnyte)
    parent, name = _destination(egnyte, checks.path_of(path["path"]))
    upload = _open_upload(egnyte, call, parent, name)
    number = _chunk_number(call, upload)
    last = call.headers.get("x-egnyte-last-chunk", "").lower() == "true"
    digest = _checked_chunk(egnyte, call, upload, body, last=last)
    if upload.id not in egnyte.uploads:
        checks.room(egnyte, len(body))
        egnyte.uploads[upload.id] = upload
    upload.chunks[number], upload.digests[number] = body, digest
    headers: list[Header] = [
        (b"x-egnyte-upload-id", upload.id.encode()), (b"x-egnyte-chunk-num", str(number).encode()),
        (b"x-egnyte-chunk-sha512-checksum", digest.encode()),
    ]  # fmt: skip
    if not last:
        return Answer(200, b"", headers)
    answer = _assembled(egnyte, call, upload, number)
    answer.headers += headers
    return answer


def _open_upload(egnyte: Egnyte, call: Call, parent: Entry, name: str) -> Chunks:
    upload_id = call.headers.get("x-egnyte-upload-id")
    if upload_id is None:
        lifetime = egnyte.switches.session_lifetime_seconds
        return Chunks(str(uuid.uuid4()), parent, name, egnyte.clock.now() + lifetime)
    upload = egnyte.uploads.get(upload_id)
    if upload is None or upload.expires_at <= egnyte.clock.now():
        raise refused(400, "Invalid upload id")
    if upload.parent is not parent or names.key(upload.name) != names.key(name):
        raise refused(400, "The upload id belongs to another path")
    return upload


def _chunk_number(call: Call, upload: Chunks) -> int:
    text = call.headers.get("x-egnyte-chunk-num", "" if upload.chunks else "1")
    if not text.isdecimal() or int(text) < 1 or (int(text) != 1 and not upload.chunks):
        raise refused(400, "Invalid chunk number")
    return int(text)


def _checked_chunk(egnyte: Egnyte, call: Call, upload: Chunks, body: bytes, *, last: bool) -> str:
    settings = egnyte.switches
    if len(body) > settings.chunk_bytes_max or (not last and len(body) < settings.chunk_bytes_min):
        raise refused(400, f"Chunks have {settings.chunk_bytes_min} to {settings.chunk_bytes_max} bytes")
    size = len(upload.chunks.get(1, body))
    if (not last and len(body) != size) or len(body) > size:
        raise refused(400, "All chunks but the last must have the same size")
    digest = hashlib.sha512(body).hexdigest()
    wanted = call.headers.get("x-egnyte-chunk-sha512-checksum")
    if wanted is not None and wanted.lower() != digest:
        raise refused(400, "Checksum verification of the chunk failed")
    return digest


def _assembled(egnyte: Egnyte, call: Call, upload: Chunks, count: int) -> Answer:
    if sorted(upload.chunks) != list(range(1, count + 1)):
        raise refused(400, "Some chunks are missing")
    listed = "".join(upload.digests[number] for number in range(1, count + 1))
    checksum = f"2-{count}-{len(upload.chunks[1])}-{hashlib.sha512(listed.encode()).hexdigest()}"
    wanted = call.headers.get("x-sha512-checksum")
    if wanted is not None and wanted.lower() != checksum:
        raise refused(400, "Checksum verification failed")
    content = _joined(upload)
    checks.room(egnyte, content.size)
    del egnyte.uploads[upload.id]
    return _stored(egnyte, call, upload.parent, upload.name, content, checksum)


def _joined(upload: Chunks) -> Content:
    spool = Spool()
    for number in sorted(upload.chunks):
        spool.write(upload.chunks[number])
    return spool.finish()
