"""What every call of the Box API is checked for, in Box's own words when it fails."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from simulator.clouds.base import received
from simulator.clouds.box import names, shapes
from simulator.clouds.box.errors import (
    Refused,
    bad_request,
    method_not_allowed,
    name_in_use,
    not_found,
    over_quota,
    precondition_failed,
    read_only,
)
from simulator.clouds.box.state import Box
from simulator.clouds.box.world import Entry, Kind
from simulator.web import Call

ITEMS_DEFAULT, ITEMS_MAX, OFFSET_MAX = 100, 1000, 10_000


def entry_id(text: str) -> str:
    """An identifier of a path. Raises Refused: Box answers 405 to one that is no number."""
    if not text.isdecimal():
        raise method_not_allowed()
    return text


def found(box: Box, kind: Kind, text: str) -> Entry:
    """The visible item of a path."""
    return box.world.find(kind, entry_id(text))


def allowed_query(call: Call, allowed: Collection[str]) -> None:
    """Raises Refused for a query parameter that the operation does not have."""
    for name in call.query:
        if name not in allowed:
            raise bad_request(name, f"Unknown parameter '{name}'")


def object_of(text: bytes, allowed: Collection[str]) -> dict[str, Any]:
    """A JSON object. Raises Refused if it is none, or has fields that the operation does not have."""
    try:
        value = json.loads(text or b"{}")
    except ValueError:
        raise Refused(400, "bad_request", "Could not parse JSON") from None
    if not isinstance(value, dict):
        raise Refused(400, "bad_request", "Entity body should be a correctly nested resource attribute name/value pair")
    for name in value:
        if name not in allowed:
            raise bad_request(name, f"Unknown field '{name}'")
    return value


async def json_body(call: Call, allowed: Collection[str]) -> dict[str, Any]:
    """The JSON object of a request."""
    return object_of(await received(call), allowed)


def writable(box: Box) -> None:
    """Raises Refused if the user may only read."""
    if box.switches.read_only:
        raise read_only()


def etag(call: Call, entry: Entry) -> None:
    """Raises Refused (412) if the request wants another etag than the item has."""
    wanted = call.headers.get("if-match")
    if wanted is not None and wanted.strip('"') not in ("*", str(entry.etag)):
        raise precondition_failed()


def unlocked(entry: Entry) -> None:
    """Raises Refused if somebody else has locked the file."""
    if entry.locked_by_other:
        raise Refused(403, "access_denied_item_locked", "Access denied - item locked")


def parent(box: Box, body: Mapping[str, Any], default: Entry | None = None) -> Entry:
    """The folder a body names in `parent`. Raises Refused."""
    value = body.get("parent")
    if value is None and default is not None:
        return default
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise bad_request("parent", "Missing required field 'parent.id'")
    folder = box.world.folders.get(value["id"])
    if folder is None or folder.in_trash:
        raise not_found("parent", value["id"])
    return folder


def free(folder: Entry, name: str, besides: Entry | None = None, *, as_list: bool = True) -> None:
    """Raises Refused (409, with what is there) if another item of the folder has the name, in whatever case."""
    there = folder.children.get(names.key(name))
    if there is None or there is besides:
        return
    conflict = shapes.mini(there)
    raise name_in_use([conflict] if as_list else conflict)


def room(box: Box, size: int) -> None:
    """Raises Refused if content of this size is too large or does not fit in the storage."""
    if size > box.switches.file_bytes_max:
        raise Refused(403, "file_size_limit_exceeded", "File size exceeds the folder owner's file size limit")
    quota = box.switches.quota_bytes
    if quota is not None and box.world.used_bytes + size > quota:
        raise over_quota()


def flag(call: Call, name: str) -> bool:
    """A boolean of the query; in whatever case, as the vendor's own clients write it. Raises Refused."""
    text = (call.first(name) or "false").lower()
    if text not in ("true", "false"):
        raise bad_request(name, f"Invalid value '{text}'")
    return text == "true"


def whole_number(call: Call, name: str, default: int) -> int:
    """A number of the query that is not negative. Raises Refused."""
    text = call.first(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise Refused(400, f"invalid_{name}", f"{name.capitalize()} is not a valid number")
    return int(text)


def limit(box: Box, call: Call, default: int = ITEMS_DEFAULT, largest: int = ITEMS_MAX) -> int:
    """How many entries a page gets: more than the largest allowed is cut down to that."""
    wanted = whole_number(call, "limit", default)
    return max(1, min(wanted or default, largest, box.switches.page_entries_max))


def offset(call: Call) -> int:
    """Where a page begins. Raises Refused beyond 10,000."""
    begin = whole_number(call, "offset", 0)
    if begin > OFFSET_MAX:
        raise Refused(400, "bad_request", "Offset is greater than 10000: use marker-based pagination")
    return begin
