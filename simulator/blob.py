"""The blob host: an object store that serves signed addresses and takes uploads (API.md sections 11.9 and 11.10).

It refuses any Authorization header, as a real one refuses two ways of authentication at once.
"""

import asyncio
import hashlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from simulator.content import content, xml_error
from simulator.links import BLOB_PATH, UPLOAD_PATH, check_blob, check_segment, version_of
from simulator.state import State
from simulator.web import Answer, Call


async def handle(state: State, call: Call) -> Answer:
    """Answer one request to the blob host."""
    if "authorization" in call.headers:
        return xml_error(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; an Authorization header came with a signed address",
        )
    if call.method in ("GET", "HEAD") and call.path.startswith(BLOB_PATH):
        return _download(state, call)
    if call.method == "POST" and call.path == UPLOAD_PATH:
        return await _plain_upload(state, call)
    if call.method == "PUT" and call.path.startswith(f"{UPLOAD_PATH}/"):
        return await _segment_upload(state, call)
    return xml_error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")


def _download(state: State, call: Call) -> Answer:
    problem = check_blob(state, call)
    if problem == "expired":
        return xml_error(403, "AccessDenied", "Request has expired")
    if problem is not None:
        return xml_error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match yours.")
    version = state.version(version_of(call.path) or 0)
    if version is None:
        return xml_error(404, "NoSuchKey", "The specified key does not exist.")
    return content(state, call, version)


async def _plain_upload(state: State, call: Call) -> Answer:
    """A POST with the policy's fields first and the file last; 204 when it is stored."""
    try:
        form = await MultiPartParser(Request(call.scope).headers, call.chunks()).parse()
    except (MultiPartException, KeyError):
        return xml_error(400, "MalformedPOSTRequest", "The body of your POST request is not well-formed.")
    try:
        return await _policy_upload(state, form)
    finally:
        await form.close()


async def _policy_upload(state: State, form: FormData) -> Answer:
    items = form.multi_items()
    if not items or items[-1][0] != "file":
        return xml_error(400, "InvalidArgument", "POST requires exactly one file, as the last field.")
    presented = {name: value for name, value in items[:-1] if isinstance(value, str)}
    uuid = presented.get("key", "").rpartition("/")[2]
    row = state.store.one("SELECT * FROM uploads WHERE uuid = ? AND fields IS NOT NULL", uuid)
    if row is None or presented != json.loads(row["fields"]):
        return xml_error(403, "AccessDenied", "Invalid according to Policy: Policy Condition failed")
    if _too_late(state, row):
        return xml_error(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
    last = items[-1][1]
    size_bytes = await asyncio.to_thread(_keep, last, state.store.uploads_folder / uuid)
    state.store.execute(
        "UPDATE uploads SET status = 'stored', size_bytes = ? WHERE uuid = ? AND status = 'waiting'", size_bytes, uuid
    )
    return Answer(204)


async def _segment_upload(state: State, call: Call) -> Answer:
    """A PUT of one segment with exactly the headers it was given; answers with its ETag."""
    named = check_segment(state, call)
    row = named and state.store.one("SELECT * FROM uploads WHERE uuid = ? AND segments IS NOT NULL", named[0])
    if not named or not row:
        return xml_error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match yours.")
    uuid, number = named
    if _too_late(state, row):
        return xml_error(403, "AccessDenied", "Request has expired")
    segment = json.loads(row["segments"])[number]
    for name, value in segment["headers"].items():
        if call.headers.get(name) != value:
            return xml_error(403, "SignatureDoesNotMatch", f"The header {name} is not the one that was signed.")
    arriving = _Arriving(state.store.uploads_folder / f"{uuid}.{number}")
    async for chunk in call.chunks():
        arriving.add(chunk)
    problem = arriving.mismatch(segment)
    if problem is not None:
        arriving.discard()
        return problem
    etag = arriving.keep()
    _remember_etag(state, uuid, number, etag)
    return Answer(200, b"", [(b"etag", f'"{etag}"'.encode())])


class _Arriving:
    """A segment's body while it arrives, under a name of its own until it is complete."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._name = place.with_name(f"{place.name}.arriving")
        self._file = open(self._name, "wb")  # noqa: SIM115
        self._sha256, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self._size_bytes = 0

    def add(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._sha256.update(chunk)
        self._md5.update(chunk)
        self._size_bytes += len(chunk)

    def mismatch(self, segment: dict[str, Any]) -> Answer | None:
        if self._size_bytes != segment["size"]:
            return xml_error(400, "IncompleteBody", "You did not provide the number of bytes that Content-Length says.")
        if self._sha256.hexdigest() != segment["sha256"]:
            return xml_error(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' does not match.")
        if segment.get("md5") and segment["md5"] != self._md5.hexdigest():
            return xml_error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
        return None

    def discard(self) -> None:
        self._file.close()
        self._name.unlink()

    def keep(self) -> str:
        """Put the body in its place; its MD5, which is its ETag."""
        self._file.close()
        self._name.replace(self._place)
        return self._md5.hexdigest()


def _remember_etag(state: State, uuid: str, number: int, etag: str) -> None:
    row = state.store.one("SELECT etags FROM uploads WHERE uuid = ?", uuid)
    etags = json.loads(row["etags"]) if row else []
    etags[number] = etag
    state.store.execute("UPDATE uploads SET etags = ? WHERE uuid = ?", json.dumps(etags), uuid)


def _too_late(state: State, row: sqlite3.Row) -> bool:
    return bool(row["created_at"] + state.settings.upload_seconds < state.clock.now())


def _keep(part: UploadFile | str, place: Path) -> int:
    """Put an uploaded body in its place, completely or not at all; its size."""
    arriving = place.with_name(f"{place.name}.arriving")
    with open(arriving, "wb") as file:
        if isinstance(part, str):
            file.write(part.encode())
        else:
            shutil.copyfileobj(part.file, file, 4 * 1024 * 1024)
        size_bytes = file.tell()
    arriving.replace(place)
    return size_bytes
