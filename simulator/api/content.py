"""Where a new version's bytes come from: a finished upload, or the deprecated `data` part of a multipart body."""

import asyncio
import hashlib
import json
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.api.errors import ApiError, invalid
from simulator.api.request import ApiRequest
from simulator.store import Store

ULID_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
WAITING, STORED, READY, COMPLETE, ATTACHED = "waiting", "stored", "ready", "complete", "attached"
BODY_PREFIX = "upload:"
_PIECE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """Stored bytes that can become a version."""

    body_key: str
    size_bytes: int
    sha256: str
    filename: str | None
    uuid: str


def new_uuid() -> str:
    """A fresh upload id: 26 letters and digits, as Procore's look."""
    return "01" + "".join(secrets.choice(ULID_LETTERS) for _ in range(24))


def body_path(store: Store, uuid: str) -> Path:
    """Where the whole body of an upload lies."""
    return store.uploads_folder / uuid


async def content_of(request: ApiRequest, section: str, values: dict[str, Any]) -> Content | None:
    """The content a body brings along; None if it brings none. Raises ApiError 400 when an upload cannot be used."""
    uuid = values.get("upload_uuid")
    if uuid:
        return await _uploaded(request, str(uuid))
    data = values.get("data")
    if data is None:
        return None
    content = data if isinstance(data, bytes) else str(data).encode()
    return await _legacy(request, content, request.upload_filename(f"{section}[data]"))


def add_version(
    request: ApiRequest, file_id: int, content: Content, *, filename: str, notes: str | None, is_new: bool
) -> int:
    """Make the content the file's newest version; its id. The upload is used up by that."""
    store, now = request.store, request.state.clock.text()
    newest = store.one("SELECT max(number) AS number FROM versions WHERE file_id = ?", file_id)
    version_id = store.next_id("versions")
    store.insert(
        "versions", id=version_id, file_id=file_id, number=((newest["number"] if newest else None) or 0) + 1,
        size_bytes=content.size_bytes, created_at=now, created_by=request.caller.user_id, notes=notes,
        body_key=content.body_key, filename=filename, sha256=content.sha256,
    )  # fmt: skip
    store.execute("UPDATE documents SET version_id = ? WHERE id = ?", version_id, file_id)
    if is_new or request.settings.version_bumps_updated_at:
        store.execute("UPDATE documents SET updated_at = ? WHERE id = ?", now, file_id)
    store.execute("UPDATE uploads SET status = ? WHERE uuid = ?", ATTACHED, content.uuid)
    return version_id


def still_usable(request: ApiRequest, content: Content) -> None:
    """Raises ApiError 400 if another request used the upload up in the meantime."""
    row = request.store.one("SELECT status FROM uploads WHERE uuid = ?", content.uuid)
    if row is not None and row["status"] == ATTACHED:
        raise invalid("upload_uuid", "has already been used")


def upload_row(request: ApiRequest, uuid: str) -> sqlite3.Row | None:
    """The upload, unless it was never created or was thrown away after its keeping time."""
    row = request.store.one("SELECT * FROM uploads WHERE uuid = ?", uuid)
    if row is None or row["status"] == ATTACHED:
        return row
    if row["created_at"] + request.settings.upload_keep_seconds > request.state.clock.now():
        return row
    parts = len(json.loads(row["segments"])) if row["segments"] else 0
    request.store.execute("DELETE FROM uploads WHERE uuid = ?", uuid)
    for path in [body_path(request.store, uuid), *(part_path(request.store, uuid, at) for at in range(parts))]:
        path.unlink(missing_ok=True)
    return None


def part_path(store: Store, uuid: str, number: int) -> Path:
    """Where the body of one segment lies."""
    return store.uploads_folder / f"{uuid}.{number}"


async def _uploaded(request: ApiRequest, uuid: str) -> Content:
    row = upload_row(request, uuid)
    if row is None or row["user_id"] != request.caller.user_id:
        raise invalid("upload_uuid")
    if row["status"] == ATTACHED:
        raise invalid("upload_uuid", "has already been used")
    if row["status"] not in (STORED, COMPLETE):
        raise invalid("upload_uuid", "has not been uploaded yet")
    size_bytes, sha256 = await asyncio.to_thread(_measured, body_path(request.store, uuid))
    return Content(BODY_PREFIX + uuid, size_bytes, sha256, row["name"], uuid)


async def _legacy(request: ApiRequest, data: bytes, filename: str | None) -> Content:
    uuid = new_uuid()
    await asyncio.to_thread(body_path(request.store, uuid).write_bytes, data)
    return Content(BODY_PREFIX + uuid, len(data), hashlib.sha256(data).hexdigest(), filename, uuid)


def _measured(path: Path) -> tuple[int, str]:
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with path.open("rb") as body:
            while piece := body.read(_PIECE_BYTES):
                size_bytes += len(piece)
                digest.update(piece)
    except FileNotFoundError:
        raise ApiError(400, "has not been uploaded yet", field="upload_uuid") from None
    return size_bytes, digest.hexdigest()
