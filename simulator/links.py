"""The signed addresses of the simulated Procore: download links, blob addresses, and where uploads go.

A download link names a version and is signed; the signature's first eight digits are the second it was issued, or zeros
while links live for ever, so that it then stays the same. A blob address is signed the way object stores do it.
"""

import base64
import functools
import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from simulator.clock import SimulatedClock
from simulator.settings import Settings
from simulator.store import Store
from simulator.web import Call

REGION, BUCKET = "us-east-1", "pro-core.com"
LINK_PATH = f"/api/v5/files/{REGION}/{BUCKET}/"
HOP_PATH = f"/api/v5/hops/{REGION}/{BUCKET}/"
BLOB_PATH = f"/{BUCKET}/prostore/"
UPLOAD_PATH = f"/{BUCKET}/uploads"
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_ISSUED_DIGITS = 8


class LinkState(Protocol):
    """What signing needs of the simulator."""

    store: Store
    clock: SimulatedClock
    settings: Settings
    urls: dict[str, str]
    company_id: int


def link_signer(state: LinkState, project_id: int) -> Callable[[int, str], str]:
    """A function that makes the download link of a version id and a file name, for many of one project."""
    prefix = state.urls["storage"] + LINK_PATH
    issued = _issued(state)
    secret = state.store.link_secret
    middle = f"?companyId={state.company_id}&projectId={project_id}&sig={issued}"
    signed = f"|{project_id}|{issued}"

    def link(version_id: int, filename: str) -> str:
        name = filename if _PLAIN.fullmatch(filename) else _address_name(filename)
        return f"{prefix}{version_id}/{name}{middle}{_mac(secret, f'{version_id}{signed}')}"

    return link


def sign_link(state: LinkState, version_row: Any, project_id: int) -> str:
    """The download link of a version (a row with `id` and `filename`)."""
    return link_signer(state, project_id)(version_row["id"], version_row["filename"])


def sign_hop(state: LinkState, version_id: int, project_id: int) -> str:
    """The second Procore address of a download, by the switch `extra_hop`."""
    return link_signer(state, project_id)(version_id, "hop").replace(LINK_PATH, HOP_PATH)


def check_link(state: LinkState, call: Call) -> str | None:
    """What is wrong with a download link: `signature`, `expired`, or None for a good one."""
    signature, project_id = call.first("sig") or "", call.first("projectId") or ""
    issued = signature[:_ISSUED_DIGITS]
    version_id = version_of(call.path)
    expected = issued + _mac(state.store.link_secret, f"{version_id}|{project_id}|{issued}")
    same_company = call.first("companyId") == str(state.company_id)
    if version_id is None or not same_company or not hmac.compare_digest(signature.encode(), expected.encode()):
        return "signature"
    lifetime = state.settings.link_seconds
    return "expired" if lifetime and int(issued, 16) + lifetime <= state.clock.now() else None


def version_of(path: str) -> int | None:
    """The version id in the path of a link or blob address."""
    for prefix in (BLOB_PATH, LINK_PATH, HOP_PATH):
        if path.startswith(prefix):
            text = path[len(prefix) :].partition("/")[0]
            return int(text) if text.isascii() and text.isdigit() else None
    return None


def sign_blob(state: LinkState, version_id: int, filename: str) -> str:
    """The address that a download link redirects to, good for `blob_seconds`."""
    date = _compact_time(state.clock.now())
    expires = math.ceil(state.settings.blob_seconds)
    name = filename if _PLAIN.fullmatch(filename) else _address_name(filename)
    signature = _mac(state.store.link_secret, f"blob|{version_id}|{date}|{expires}")
    return (
        f"{state.urls['blob']}{BLOB_PATH}{version_id}/{name}?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential=SIMULATED%2F{date[:8]}%2F{REGION}%2Fs3%2Faws4_request&X-Amz-Date={date}"
        f"&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
    )


def check_blob(state: LinkState, call: Call) -> str | None:
    """What is wrong with a blob address: `signature`, `expired`, or None for a good one."""
    date, expires = call.first("X-Amz-Date") or "", call.first("X-Amz-Expires") or ""
    version_id = version_of(call.path)
    expected = _mac(state.store.link_secret, f"blob|{version_id}|{date}|{expires}")
    presented = call.first("X-Amz-Signature") or ""
    if version_id is None or not hmac.compare_digest(presented.encode(), expected.encode()):
        return "signature"
    return "expired" if _seconds_of(date) + int(expires) <= state.clock.now() else None


def sign_segment(state: LinkState, uuid: str, number: int) -> str:
    """Where one segment of an upload is PUT."""
    signature = _mac(state.store.link_secret, f"segment|{uuid}|{number}")
    return f"{state.urls['blob']}{UPLOAD_PATH}/{uuid}?partNumber={number + 1}&X-Amz-Signature={signature}"


def check_segment(state: LinkState, call: Call) -> tuple[str, int] | None:
    """The upload and the segment (counted from 0) that a PUT address names; None if it was not signed here."""
    uuid, text = call.path.removeprefix(f"{UPLOAD_PATH}/"), call.first("partNumber") or ""
    if not text.isascii() or not text.isdigit():
        return None
    number = int(text) - 1
    expected = _mac(state.store.link_secret, f"segment|{uuid}|{number}")
    presented = call.first("X-Amz-Signature") or ""
    return (uuid, number) if hmac.compare_digest(presented.encode(), expected.encode()) else None


def upload_url(state: LinkState) -> str:
    """Where plain uploads are POSTed."""
    return state.urls["blob"] + UPLOAD_PATH


def upload_fields(state: LinkState, uuid: str, content_type: str, disposition: str) -> dict[str, str]:
    """The policy of a plain upload: what the POST has to carry before the file."""
    now = state.clock.now()
    date, key = _compact_time(now), f"uploads/{uuid}"
    credential = f"SIMULATED/{date[:8]}/{REGION}/s3/aws4_request"
    until = datetime.fromtimestamp(now + state.settings.upload_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [{"bucket": BUCKET}, {"key": key}, {"Content-Type": content_type}, {"x-amz-date": date}]
    policy = base64.b64encode(json.dumps({"expiration": until, "conditions": conditions}).encode()).decode()
    return {
        "key": key, "Content-Type": content_type, "Content-Disposition": disposition, "policy": policy,
        "x-amz-credential": credential, "x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-date": date,
        "x-amz-signature": _mac(state.store.link_secret, f"policy|{policy}|{disposition}"),
    }  # fmt: skip


def _issued(state: LinkState) -> str:
    return f"{int(state.clock.now()) if state.settings.link_seconds else 0:0{_ISSUED_DIGITS}x}"


def _mac(secret: bytes, text: str) -> str:
    return hashlib.blake2b(text.encode(), key=secret, digest_size=20).hexdigest()


@functools.lru_cache(maxsize=4096)
def _address_name(filename: str) -> str:
    """The file name as it can stand in an address; no client may take it for a step upwards."""
    name = filename.encode("utf-8", "replace").decode()
    return quote(name, safe="") if name.strip(".") else "file"


def _compact_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


@functools.lru_cache(maxsize=4096)
def _seconds_of(date: str) -> float:
    return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
