"""Uploads of version 1.0 and 1.1, of a project or a company, whole or in segments (API.md sections 2.7 and 11.9).

The API host creates and completes them; the blob host takes the bytes. They agree through the table `uploads`: `fields`
is the policy of a plain upload, `segments` a list of sizes, hashes and the exact headers each PUT has to carry, `etags`
what the blob host answered to each PUT. A plain upload goes waiting → stored → attached, a segmented one ready →
complete → attached.
"""

import asyncio
import base64
import json
import re
import secrets
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from simulator.api import content
from simulator.api.documents import Json
from simulator.api.errors import ApiError, forbidden, invalid, not_found
from simulator.api.request import ApiRequest, number_like
from simulator.links import sign_segment, upload_fields, upload_url
from simulator.web import Answer, truthy

SEGMENT_BYTES_MIN = 5_000_000
SEGMENT_BYTES_MAX = 5 * 1024**3
SEGMENTS_MAX = 10_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")


async def create(request: ApiRequest) -> Answer:
    """POST …/uploads. Version 1.1 wants `response_filename`."""
    _enter(request)
    values = await request.fields()
    name = values.get("response_filename")
    if name is None and request.ids["version"] == "1.1":
        raise invalid("response_filename", "can't be blank")
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise invalid("response_filename", "can't be blank")
    size_bytes = values.get("size")
    if size_bytes is not None and not number_like(size_bytes):
        raise invalid("size")
    segments = _segments(values)
    announced = sum(segment["size"] for segment in segments) if segments else None
    if segments and size_bytes is not None and int(size_bytes) != announced:
        raise invalid("size", "is not the sum of the segments")
    uuid = _insert(request, values, name, announced if segments else size_bytes, segments)
    return Answer.json(_shown(request, _own(request, uuid)), 201)


async def show(request: ApiRequest) -> Answer:
    """GET …/uploads/{uuid}."""
    _enter(request)
    row = content.upload_row(request, request.ids["uuid"])
    if row is None or row["user_id"] != request.caller.user_id:
        raise not_found()
    return Answer.json(_shown(request, row))


async def complete(request: ApiRequest) -> Answer:
    """PATCH …/uploads/{uuid}: every segment's ETag in the original order; 422 for a plain upload."""
    _enter(request)
    uuid = request.ids["uuid"]
    known = request.store.one("SELECT user_id FROM uploads WHERE uuid = ?", uuid)
    if known is None:
        raise ApiError(400, "There is no such upload.")
    if known["user_id"] != request.caller.user_id:
        raise forbidden("Only the user who created the upload can use it.")
    row = content.upload_row(request, uuid)
    if row is None:
        raise ApiError(410, "The upload has expired.")
    if not row["segments"]:
        raise ApiError(422, "The upload has no segments.", field="segments")
    values = await request.fields()
    if row["status"] == content.READY:
        _check_etags(row, values.get("segments"))
        await asyncio.to_thread(_join, request.store.uploads_folder, uuid, len(json.loads(row["segments"])))
        request.store.execute("UPDATE uploads SET status = ? WHERE uuid = ?", content.COMPLETE, uuid)
    return Answer.json(_shown(request, _own(request, uuid)))


def _enter(request: ApiRequest) -> None:
    if "project_id" in request.ids:
        request.project_in_path()


def _insert(
    request: ApiRequest, values: dict[str, Any], name: str | None, size_bytes: Any, segments: list[Json]
) -> str:
    uuid = content.new_uuid()
    content_type = str(values.get("response_content_type") or "application/octet-stream")
    kind = "attachment" if truthy(values.get("attachment_content_disposition")) else "inline"
    disposition = f'{kind}; filename="{name}"' if name else kind
    fields = None if segments else json.dumps(upload_fields(request.state, uuid, content_type, disposition))
    request.store.insert(
        "uploads", uuid=uuid, user_id=request.caller.user_id, name=name, content_type=content_type,
        segments=json.dumps(segments) if segments else None, etags=json.dumps([None] * len(segments)),
        status=content.READY if segments else content.WAITING, fields=fields, created_at=request.state.clock.now(),
        size_bytes=None if size_bytes is None else int(size_bytes),
    )  # fmt: skip
    return uuid


def _own(request: ApiRequest, uuid: str) -> sqlite3.Row:
    row = request.store.one("SELECT * FROM uploads WHERE uuid = ?", uuid)
    if row is None:
        raise not_found()
    return row


def _shown(request: ApiRequest, row: sqlite3.Row) -> Json:
    if not row["segments"]:
        return {"uuid": row["uuid"], "url": upload_url(request.state), "fields": json.loads(row["fields"])}
    segments = json.loads(row["segments"])
    shown = [
        {**segment, "url": sign_segment(request.state, row["uuid"], number)} for number, segment in enumerate(segments)
    ]
    status = content.COMPLETE if row["status"] == content.ATTACHED else row["status"]
    return {"uuid": row["uuid"], "segments": shown, "status": status}


def _segments(values: dict[str, Any]) -> list[Json]:
    asked = values.get("segments")
    if asked is None:
        return []
    if not isinstance(asked, list) or not asked or len(asked) > SEGMENTS_MAX:
        raise invalid("segments")
    return [_segment(segment) for segment in asked]


def _segment(asked: Any) -> Json:
    if not isinstance(asked, dict) or not number_like(asked.get("size")):
        raise invalid("segments", "need a size each")
    size_bytes, sha256, md5 = int(asked["size"]), str(asked.get("sha256", "")), asked.get("md5")
    if not 0 < size_bytes <= SEGMENT_BYTES_MAX:
        raise invalid("segments", "must have a size between 1 byte and 5 GB")
    if not _SHA256.fullmatch(sha256):
        raise invalid("segments", "need a sha256 each, in lower-case hexadecimal")
    if md5 is not None and not _MD5.fullmatch(str(md5)):
        raise invalid("segments", "have an md5 that is not lower-case hexadecimal")
    headers = {"x-amz-content-sha256": sha256, "content-length": str(size_bytes)}
    segment: Json = {"size": size_bytes, "sha256": sha256, "headers": headers}
    if md5 is not None:
        segment["md5"] = md5
        headers["content-md5"] = base64.b64encode(bytes.fromhex(md5)).decode()
    return segment


def _check_etags(row: sqlite3.Row, presented: Any) -> None:
    stored, segments = json.loads(row["etags"]), json.loads(row["segments"])
    if not isinstance(presented, list) or not all(isinstance(segment, dict) for segment in presented):
        raise ApiError(400, "is missing", field="segments")
    if any(etag is None for etag in stored):
        raise ApiError(422, "have not all been uploaded", field="segments")
    if [str(segment.get("etag", "")).strip('"') for segment in presented] != stored:
        raise ApiError(422, "have ETags that do not match, or in another order", field="segments")
    if any(segment["size"] < SEGMENT_BYTES_MIN for segment in segments[:-1]):
        raise ApiError(422, "must have 5 MB at least, except the last", field="segments")


def _join(folder: Path, uuid: str, parts: int) -> None:
    """Put the parts together under a name of its own first: neither a stop nor a second call leaves half a body."""
    whole, joined = folder / uuid, folder / f"{uuid}.{secrets.token_hex(4)}.joined"
    if not whole.exists():
        try:
            with joined.open("wb") as body:
                for number in range(parts):
                    with (folder / f"{uuid}.{number}").open("rb") as part:
                        shutil.copyfileobj(part, body, 4 * 1024 * 1024)
            joined.rename(whole)
        except FileNotFoundError:
            joined.unlink(missing_ok=True)
            if not whole.exists():
                raise
    for number in range(parts):
        (folder / f"{uuid}.{number}").unlink(missing_ok=True)
