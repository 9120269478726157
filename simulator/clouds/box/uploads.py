"""Uploads to Box in one request: https://developer.box.com/reference/post-files-content/ (or post-files-id-content/).

The name of an upload is reserved from when it is known until its last byte: another upload of it meanwhile gets 409
`name_temporarily_reserved`.
"""

import contextlib
import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from simulator.clouds import forms
from simulator.clouds.base import Content, chunks
from simulator.clouds.box import checks, folders, names, shapes
from simulator.clouds.box.errors import Refused, bad_request
from simulator.clouds.box.state import Box
from simulator.clouds.box.world import Entry
from simulator.web import Answer, Call

_NEW = ("name", "parent", "size", "content_created_at", "content_modified_at")
_VERSION = ("name", "size", "content_modified_at")
_HEAD_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an upload says of the content it brings."""

    parent: Entry
    name: str
    created_at: float | None
    modified_at: float | None


async def create(box: Box, call: Call, _: re.Match[str]) -> Answer:
    """POST /files/content: a new file."""
    return await _upload(box, call, None)


async def add_version(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """POST /files/{id}/content: a new version of a file, also with the content it has already."""
    return await _upload(box, call, checks.found(box, "file", path[1]))


async def _upload(box: Box, call: Call, file: Entry | None) -> Answer:
    boundary = forms.boundary_of(call.headers.get("content-type", ""))
    if boundary is None:
        raise Refused(400, "bad_request", "The request is not multipart/form-data")
    with contextlib.ExitStack() as held:
        body = await _received(box, call, file, boundary, held)
        attributes, content = _parsed(box, body, boundary, file)
        _check_digest(call, content)
        checks.room(box, len(content))
        return _store(box, call, attributes, content, file)


async def _received(
    box: Box, call: Call, file: Entry | None, boundary: bytes, held: contextlib.ExitStack
) -> bytearray | bytes:
    """The whole body; what can be refused early is, after the rest has been read."""
    body, problem, known = bytearray(), None, False
    largest = box.switches.direct_upload_bytes_max + _HEAD_BYTES_MAX
    async for chunk in chunks(call):
        if not body and len(chunk) == int(call.headers.get("content-length", "-1")):
            _reserved(box, bytearray(chunk), boundary, file, held)
            return chunk
        if problem is not None or len(body) > largest:
            continue
        body += chunk
        if not known:
            try:
                known = _reserved(box, body, boundary, file, held)
            except Refused as refused:
                problem = refused
    if problem is not None:
        raise problem
    if len(body) > largest:
        raise Refused(413, "request_entity_too_large", "Request Entity Too Large")
    return body


def _reserved(box: Box, body: bytearray, boundary: bytes, file: Entry | None, held: contextlib.ExitStack) -> bool:
    """Reserve the name as soon as the attributes have arrived; whether they have."""
    end = body.find(b"\r\n--" + boundary)
    if end < 0:
        return len(body) > _HEAD_BYTES_MAX
    head = forms.parts(bytes(body[: end + 4 + len(boundary)]) + b"--", boundary)
    if head and head[0].name == "attributes":
        attributes = _attributes(box, bytes(head[0].content), file)
        held.enter_context(_reservation(box, attributes))
    return True


@contextlib.contextmanager
def _reservation(box: Box, attributes: Attributes) -> Iterator[None]:
    reserved = (attributes.parent.id, names.key(attributes.name))
    if reserved in box.world.reserved:
        raise Refused(409, "name_temporarily_reserved", "The item name is reserved by another processing item")
    box.world.reserved.add(reserved)
    try:
        yield
    finally:
        box.world.reserved.discard(reserved)


def _parsed(box: Box, body: bytearray | bytes, boundary: bytes, file: Entry | None) -> tuple[Attributes, memoryview]:
    parts = forms.parts(bytes(body), boundary)
    if parts is None:
        raise Refused(400, "bad_request", "The request body could not be read")
    if [part.name for part in parts] == ["file", "attributes"]:
        raise Refused(400, "metadata_after_file_contents", "Metadata is included after file contents")
    if [part.name for part in parts] != ["attributes", "file"] or parts[1].filename is None:
        raise bad_request("file", "The parts 'attributes' and 'file' are required, in this order")
    if len(parts[1].content) > box.switches.direct_upload_bytes_max:
        raise Refused(413, "request_entity_too_large", "Request Entity Too Large")
    return _attributes(box, bytes(parts[0].content), file), parts[1].content


def _attributes(box: Box, text: bytes, file: Entry | None) -> Attributes:
    value = checks.object_of(text, _NEW if file is None else _VERSION)
    checks.writable(box)
    parent = checks.parent(box, value, None if file is None else file.parent)
    name = file.name if file is not None and "name" not in value else folders.checks_name(box, value.get("name"))
    times = [
        None if value.get(key) is None else shapes.parsed_time(value[key], key)
        for key in ("content_created_at", "content_modified_at")
    ]
    box.world.check_busy(parent)
    checks.free(parent, name, file, as_list=False)
    return Attributes(parent, name, times[0], times[1])


def _check_digest(call: Call, content: memoryview) -> None:
    wanted = call.headers.get("content-md5")
    if wanted is not None and wanted.lower() != hashlib.sha1(content, usedforsecurity=False).hexdigest():
        raise Refused(400, "bad_digest", "The specified content-md5 did not match what we received")


def _store(box: Box, call: Call, attributes: Attributes, content: memoryview, file: Entry | None) -> Answer:
    fields = shapes.wanted_fields(call)
    if file is None:
        kept = Content.of(bytes(content))
        stored = box.world.add_file(
            attributes.parent, attributes.name, kept, attributes.created_at, attributes.modified_at
        )
    else:
        if file.in_trash:
            raise Refused(404, "trashed", "Item is trashed")
        checks.etag(call, file)
        checks.unlocked(file)
        stored = file
        rename(box, file, attributes.name)
        box.world.add_version(file, Content.of(bytes(content)), attributes.modified_at)
    return Answer.json({"total_count": 1, "entries": [shapes.item(stored, fields)]}, 201)


def rename(box: Box, file: Entry, name: str) -> None:
    """Give a file the name that came with its new version."""
    if name != file.name and file.parent is not None:
        box.world.move(file, file.parent, name)


async def preflight(box: Box, call: Call, _: re.Match[str]) -> Answer:
    """OPTIONS /files/content: would this upload be accepted?"""
    return await _preflight(box, call, None)


async def preflight_version(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """OPTIONS /files/{id}/content."""
    return await _preflight(box, call, checks.found(box, "file", path[1]))


async def _preflight(box: Box, call: Call, file: Entry | None) -> Answer:
    body = await checks.json_body(call, ("name", "size", "parent"))
    checks.writable(box)
    parent = checks.parent(box, body, None if file is None else file.parent)
    name = file.name if file is not None and "name" not in body else folders.checks_name(box, body.get("name"))
    checks.free(parent, name, file, as_list=False)
    checks.room(box, int(body.get("size") or 0))
    which = "content" if file is None else f"{file.id}/content"
    address = f"{box.urls['upload']}/2.0/files/{which}?upload_session_id={secrets.token_hex(8)}"
    return Answer.json({"upload_url": address, "upload_token": None})
