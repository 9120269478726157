"""Box folders: https://developer.box.com/reference/resources/folder/ and its operations."""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from typing import Any

from simulator.clouds.box import checks, names, shapes
from simulator.clouds.box.errors import Refused, bad_request, read_only
from simulator.clouds.box.state import Box
from simulator.clouds.box.world import Entry
from simulator.web import Answer, Call

_SORTS = ("id", "name", "date", "size")
_UPDATE = (
    "name", "description", "sync_state", "can_non_owners_invite", "parent", "shared_link", "folder_upload_email",
    "tags", "is_collaboration_restricted_to_enterprise", "collections", "can_non_owners_view_collaborators",
)  # fmt: skip


async def create(box: Box, call: Call, _: re.Match[str]) -> Answer:
    """POST /folders."""
    body = await checks.json_body(call, ("name", "parent", "folder_upload_email", "sync_state"))
    checks.writable(box)
    parent = checks.parent(box, body)
    name = checks_name(box, body.get("name"))
    box.world.check_busy(parent)
    checks.free(parent, name)
    return Answer.json(shapes.item(box.world.add_folder(parent, name), shapes.wanted_fields(call)), 201)


async def get(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """GET /folders/{id}."""
    folder = checks.found(box, "folder", path[1])
    unchanged = not_modified(call, folder)
    return unchanged or Answer.json(shapes.item(folder, shapes.wanted_fields(call)))


async def items(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """GET /folders/{id}/items, by offset or by marker."""
    folder = checks.found(box, "folder", path[1])
    sort = call.first("sort")
    if sort not in (None, *_SORTS) or (call.first("direction") or "ASC").upper() not in ("ASC", "DESC"):
        raise bad_request("sort", f"Invalid value '{sort}'")
    return page(box, call, box.ordered(folder, sort or "name", descending=_descending(call)), folder)


def page(box: Box, call: Call, entries: list[Entry], folder: Entry | None) -> Answer:
    """One page of items; folder None is the trash. Raises Refused."""
    fields, limit = shapes.wanted_fields(call), checks.limit(box, call)
    if checks.flag(call, "usemarker"):
        return _page_by_marker(call, entries, folder, fields, limit)
    if call.first("marker"):
        raise bad_request("marker", "The parameter 'marker' requires 'usemarker'")
    begin = checks.offset(call)
    direction = "DESC" if _descending(call) else "ASC"
    return Answer.json({
        "total_count": len(entries), "entries": _listed(entries[begin : begin + limit], fields), "offset": begin,
        "limit": limit, "order": [
            {"by": "type", "direction": direction}, {"by": call.first("sort") or "name", "direction": direction},
        ],
    })  # fmt: skip


def _page_by_marker(
    call: Call, entries: list[Entry], folder: Entry | None, fields: tuple[str, ...] | None, limit: int
) -> Answer:
    if call.first("offset") is not None:
        raise bad_request("offset", "Only one pagination method can be used at a time")
    if call.first("sort") is not None and (folder is None or folder.parent is None):
        raise bad_request("sort", "Sorting is not supported with marker-based pagination of the root folder")
    begin = _after(entries, call.first("marker"), folder)
    chosen = entries[begin : begin + limit]
    more = begin + limit < len(entries)
    marker = _marker(folder, chosen[-1]) if more else None
    return Answer.json({"entries": _listed(chosen, fields), "limit": limit, "next_marker": marker})


def _marker(folder: Entry | None, last: Entry) -> str:
    value = [None if folder is None else folder.id, last.kind, last.id, last.name]
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _after(entries: list[Entry], marker: str | None, folder: Entry | None) -> int:
    """Where the page after a marker begins, also if the item it names has gone since. Raises Refused."""
    if not marker or marker == "0":
        return 0
    try:
        of, kind, entry_id, name = json.loads(base64.urlsafe_b64decode(marker + "=" * (-len(marker) % 4)))
    except (binascii.Error, ValueError):
        raise bad_request("marker", f"Invalid value '{marker}'") from None
    if of != (None if folder is None else folder.id):
        raise bad_request("marker", f"Invalid value '{marker}'")
    for place, entry in enumerate(entries):
        if (entry.kind, entry.id) == (kind, entry_id):
            return place + 1
    last = (kind != "folder", str(name).lower(), str(name))
    return sum((entry.kind != "folder", entry.name.lower(), entry.name) <= last for entry in entries)


def _listed(entries: Iterable[Entry], fields: tuple[str, ...] | None) -> list[dict[str, Any]]:
    return [shapes.listed(entry, fields) for entry in entries]


def _descending(call: Call) -> bool:
    return (call.first("direction") or "ASC").upper() == "DESC"


async def update(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """PUT /folders/{id}: rename, move, describe."""
    folder = checks.found(box, "folder", path[1])
    body = await checks.json_body(call, _UPDATE)
    checks.writable(box)
    checks.etag(call, folder)
    if folder.parent is None:
        raise read_only()
    change(box, folder, body)
    return Answer.json(shapes.item(folder, shapes.wanted_fields(call)))


def change(box: Box, entry: Entry, body: dict[str, Any]) -> None:
    """Rename, move and describe an item as the body of an update says. Raises Refused; nothing is changed then."""
    assert entry.parent is not None
    parent = checks.parent(box, body, entry.parent)
    name = checks_name(box, body["name"]) if "name" in body else entry.name
    box.world.check_busy(entry.parent, parent, entry if entry.kind == "folder" else None)
    if (parent, name) != (entry.parent, entry.name):
        checks.free(parent, name, entry)
        box.world.move(entry, parent, name)
        if entry.kind == "folder":
            box.world.keep_busy(entry, box.switches.folder_operation_seconds)
    if "description" in body:
        entry.description = str(body["description"] or "")[:255]
        box.world.touch(entry)
    if "tags" in body:
        entry.tags = [str(tag) for tag in body["tags"] or ()]
        box.world.touch(entry)


async def delete(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """DELETE /folders/{id}: to the trash, with everything in it if `recursive`."""
    folder = checks.found(box, "folder", path[1])
    checks.writable(box)
    checks.etag(call, folder)
    box.world.check_busy(folder)
    if folder.parent is None:
        raise read_only()
    if folder.children and not checks.flag(call, "recursive"):
        raise Refused(400, "folder_not_empty", "Cannot delete - folder not empty")
    parent = folder.parent
    box.world.trash(folder)
    box.world.keep_busy(parent, box.switches.folder_operation_seconds)
    return Answer(204)


async def copy(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """POST /folders/{id}/copy."""
    folder = checks.found(box, "folder", path[1])
    body = await checks.json_body(call, ("name", "parent"))
    checks.writable(box)
    parent = checks.parent(box, body)
    name = checks_name(box, body["name"]) if body.get("name") else folder.name
    if folder.parent is None or parent is folder or folder in parent.above():
        raise Refused(400, "cyclical_folder_structure", "Folder copy creates cyclical folder structure")
    box.world.check_busy(folder, parent)
    checks.free(parent, name)
    checks.room(box, sum(entry.current.content.size for entry in folder.below() if entry.kind == "file"))
    copied = box.world.copy(folder, parent, name)
    box.world.keep_busy(copied, box.switches.folder_operation_seconds)
    return Answer.json(shapes.item(copied, shapes.wanted_fields(call)), 201)


def checks_name(box: Box, name: object) -> str:
    """The name an item gets, as Box's rules and this Box's switch for them have it."""
    return names.checked(name, clean=box.switches.clean_names)


def not_modified(call: Call, entry: Entry) -> Answer | None:
    """304 if the request wants the item only if its etag is another one."""
    known = call.headers.get("if-none-match")
    return Answer(304) if known is not None and known.strip('"') == str(entry.etag) else None
