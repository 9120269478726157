"""Request bodies: what a file resource may set, and metadata and content in one body (RFC 2387)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from simulator.clouds.drive.described import FIELDS, WRITABLE, WRITABLE_AT_CREATION
from simulator.clouds.drive.refusals import Refusal, bad_request, not_writable

PROPERTY_BYTES_MAX = 124
"""Key and value together, in UTF-8: https://developers.google.com/workspace/drive/api/guides/properties"""
PRIVATE_MAX = 30
"""Of one app's and of the public properties of a file; the same page."""
_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.I)
_TEXTS = frozenset(("id", "name", "mimeType", "description", "originalFilename", "folderColorRgb"))
_FLAGS = frozenset(
    ("starred", "trashed", "copyRequiresWriterPermission", "viewersCanCopyContent", "writersCanShare",
     "inheritedPermissionsDisabled")
)  # fmt: skip
_TIMES = frozenset(("createdTime", "modifiedTime", "viewedByMeTime"))
_PAIRS = frozenset(("properties", "appProperties"))


@dataclass(frozen=True, slots=True)
class Related:
    """The two parts of a multipart upload."""

    metadata: bytes
    content_type: str
    content: bytes


def file_fields(body: bytes, *, creation: bool) -> dict[str, Any]:
    """The fields that a body sets, with the values of their kind; times in milliseconds since 1970. Raises Refusal."""
    values = json_object(body)
    for name in values:
        if name not in FIELDS["File"]:
            raise bad_request(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    if not creation and "parents" in values:
        raise not_writable(
            "The parents field is not directly writable in update requests. Use the addParents and removeParents "
            "parameters instead."
        )
    if not set(values) <= (WRITABLE_AT_CREATION if creation else WRITABLE) | {"kind"}:
        raise not_writable()
    return {name: _value(name, value) for name, value in values.items() if name != "kind"}


def json_object(body: bytes) -> dict[str, Any]:
    """A body of JSON; {} for none. Raises Refusal."""
    try:
        values = orjson.loads(body) if body.strip() else {}
    except ValueError:
        raise Refusal(400, "parseError", "Parse Error") from None
    if not isinstance(values, dict):
        raise Refusal(400, "parseError", "Parse Error")
    return values


def _value(name: str, value: Any) -> Any:
    if name in _TIMES:
        return _time_ms(name, value)
    if name in _PAIRS:
        return _pairs(name, value)
    sound = (
        isinstance(value, str) if name in _TEXTS
        else isinstance(value, bool) if name in _FLAGS
        else isinstance(value, list) and all(isinstance(one, str) for one in value) if name == "parents"
        else True
    )  # fmt: skip
    if not sound:
        raise bad_request(f"Invalid value at 'file.{name}'")
    return value


def _time_ms(name: str, value: Any) -> int:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise bad_request(f'Invalid value for: Invalid format: "{value}" ({name})') from None
    if at.tzinfo is None:
        raise bad_request(f'Invalid value for: Invalid format: "{value}" is too short ({name})')
    whole = at.astimezone(UTC)
    return int(whole.replace(microsecond=0).timestamp()) * 1000 + whole.microsecond // 1000


def _pairs(name: str, value: Any) -> dict[str, str | None]:
    if not isinstance(value, dict) or not all(one is None or isinstance(one, str) for one in value.values()):
        raise bad_request(f"Invalid value at 'file.{name}'")
    for key, text in value.items():
        if len(key.encode()) + len((text or "").encode()) > PROPERTY_BYTES_MAX:
            raise bad_request(f"The property {key} is longer than {PROPERTY_BYTES_MAX} bytes.")
    return value


def merged(known: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Properties after a change; null takes one away. Raises Refusal if there are too many then."""
    both = {key: value for key, value in {**known, **changes}.items() if value is not None}
    if len(both) > PRIVATE_MAX:
        raise bad_request(f"A file has at most {PRIVATE_MAX} properties.")
    return both


def related(content_type: str, body: bytes) -> Related:
    """The parts of a multipart body. Raises Refusal if it is none, or does not have exactly two.

    Lines end with CRLF, or with LF alone, as Google's own Python client writes them.
    """
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or found is None:
        raise bad_request("Missing or malformed multipart content type.")
    mark = b"--" + found[1].encode("latin-1")
    if not body.startswith(mark):
        raise bad_request("Malformed multipart body.")
    parts, place = [], len(mark)
    line_end = b"\r\n" if body[place : place + 2] == b"\r\n" else b"\n"
    while body[place : place + 2] != b"--":
        head = body.find(line_end * 2, place)
        end = body.find(line_end + mark, head + len(line_end))
        if head < 0 or end < 0:
            raise bad_request("Malformed multipart body.")
        parts.append((body[place:head], body[head + 2 * len(line_end) : end]))
        place = end + len(line_end) + len(mark)
    if len(parts) != 2:
        raise bad_request("A multipart upload has exactly two parts.")
    kind = _header(parts[0][0], b"content-type")
    if not kind.lower().startswith("application/json"):
        raise bad_request("The first part of a multipart upload must be JSON.")
    return Related(parts[0][1], _header(parts[1][0], b"content-type"), parts[1][1])


def _header(head: bytes, name: bytes) -> str:
    for line in head.splitlines():
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode("latin-1")
    return ""
