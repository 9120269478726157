"""Box's trash: https://developer.box.com/reference/get-folders-trash-items/ and the operations next to it."""

import re

from simulator.clouds.box import checks, folders, shapes
from simulator.clouds.box.errors import Refused, not_found
from simulator.clouds.box.state import Box
from simulator.clouds.box.world import Entry, Kind
from simulator.web import Answer, Call


async def items(box: Box, call: Call, _: re.Match[str]) -> Answer:
    """GET /folders/trash/items."""
    return folders.page(box, call, shapes.in_order(box.world.trashed()), None)


async def get(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """GET /files/{id}/trash and /folders/{id}/trash."""
    return Answer.json(shapes.item(_trashed(box, path), shapes.wanted_fields(call)))


async def restore(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """POST /files/{id} and /folders/{id}: back to where it was, or to a folder or under a name the body gives."""
    entry = _trashed(box, path)
    body = await checks.json_body(call, ("name", "parent"))
    checks.writable(box)
    parent = checks.parent(box, body, entry.parent)
    if parent.in_trash:
        raise not_found("parent", parent.id)
    name = folders.checks_name(box, body["name"]) if body.get("name") else entry.name
    box.world.check_busy(parent)
    checks.free(parent, name)
    box.world.restore(entry, parent, name)
    return Answer.json(shapes.item(entry, shapes.wanted_fields(call)), 201)


async def purge(box: Box, _: Call, path: re.Match[str]) -> Answer:
    """DELETE /files/{id}/trash and /folders/{id}/trash: for good."""
    entry = _trashed(box, path)
    checks.writable(box)
    box.world.purge(entry)
    return Answer(204)


def _trashed(box: Box, path: re.Match[str]) -> Entry:
    kind: Kind = "file" if path[1] == "files" else "folder"
    entry = box.world.known(kind, checks.entry_id(path[2]))
    if entry.trashed_at is None:
        raise Refused(404, "not_trashed", "Item is not trashed")
    return entry
