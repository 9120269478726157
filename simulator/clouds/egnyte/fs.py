"""Egnyte's file system, but for contents: details, listings, folders, moves, copies, locks, deletions.

https://developers.egnyte.com/docs/read/File_System_Management_API_Documentation. There is no conditional form of any
of these: who writes last wins.
"""

import re
import secrets
from typing import Any

from simulator.clouds.egnyte import checks, names, shapes
from simulator.clouds.egnyte.errors import forbidden, not_found, refused, wrong_input
from simulator.clouds.egnyte.state import Egnyte
from simulator.clouds.egnyte.world import Entry
from simulator.web import Answer, Call

COUNT_DEFAULT, COUNT_MAX = 100, 1000
LOCK_SECONDS = 3600
DETAILS = frozenset({
    "list_content", "count", "offset", "sort_by", "sort_direction", "perms", "include_perm", "include_locks",
    "include_collaboration", "allowed_link_types", "key", "list_custom_metadata",
})  # fmt: skip
_ACTIONS = {
    "add_folder": ("action",), "move": ("action", "destination", "permissions"),
    "copy": ("action", "destination", "permissions"), "lock": ("action", "lock_token", "lock_timeout"),
    "unlock": ("action", "lock_token"),
}  # fmt: skip


async def details(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """GET /fs/{path}."""
    return _details(egnyte, call, checks.found(egnyte, path["path"]))


async def details_by_id(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """GET /fs/ids/file/{group_id} and /fs/ids/folder/{folder_id}."""
    return _details(egnyte, call, checks.found_by_id(egnyte, path["kind"], path["id"]))


def _details(egnyte: Egnyte, call: Call, entry: Entry) -> Answer:
    locks = checks.flag(call, "include_locks", default=False)
    perms = checks.flag(call, "include_perm", default=False)
    if not entry.is_folder:
        return Answer.json(shapes.file_with_versions(entry, egnyte.clock.now(), locks=locks, perms=perms))
    shape = shapes.folder_details(entry)
    if not checks.flag(call, "list_content", default=True):
        return Answer.json(shape)
    entries = _in_order(egnyte, call, entry)
    offset, count = checks.number(call, "offset", 0), checks.number(call, "count", COUNT_DEFAULT)
    if count < 1 or count > COUNT_MAX:
        raise wrong_input("count", f"must be between 1 and {COUNT_MAX}")
    page = entries[offset : offset + min(count, egnyte.switches.page_entries_max)]
    shape |= {"count": len(page), "offset": offset, "total_count": len(entries)}
    folders = [shapes.folder(child) for child in page if child.is_folder]
    now = egnyte.clock.now()
    files = [shapes.file(child, now, locks=locks, perms=perms) for child in page if not child.is_folder]
    if folders:
        shape["folders"] = folders
    if files:
        shape["files"] = files
    return Answer.json(shape)


def _in_order(egnyte: Egnyte, call: Call, folder: Entry) -> list[Entry]:
    by = call.first("sort_by") or "name"
    direction = call.first("sort_direction") or "ascending"
    if by not in ("name", "path", "size", "last_modified", "created_time", "uploaded_by"):
        raise wrong_input("sort_by", f"'{by}' is not a field to sort by")
    if direction not in ("ascending", "descending"):
        raise wrong_input("sort_direction", f"'{direction}' is not a direction")
    return egnyte.ordered(folder, by, descending=direction == "descending")


async def action(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """POST /fs/{path}: add_folder, move, copy, lock, unlock."""
    known = {name for names_ in _ACTIONS.values() for name in names_}
    body = await checks.json_body(call, known)
    wanted = body.get("action")
    if wanted not in _ACTIONS:
        raise wrong_input("action", f"'{wanted}' is not an action")
    for name in body:
        if name not in _ACTIONS[wanted]:
            raise refused(400, f"Unrecognized property: {name}")
    checks.writable(egnyte)
    if wanted == "add_folder":
        return _add_folder(egnyte, path["path"])
    entry = checks.found(egnyte, path["path"])
    if wanted == "lock":
        return _lock(egnyte, entry, body)
    if wanted == "unlock":
        return _unlock(egnyte, entry, body)
    return _move_or_copy(egnyte, entry, body)


def _add_folder(egnyte: Egnyte, text: str) -> Answer:
    path = checks.path_of(text)
    there = egnyte.world.at(path)
    if there is not None:
        raise refused(egnyte.switches.existing_folder_status, "Folder already exists at this location")
    parent, name = checks.place(egnyte, path, folder=True)
    folder = egnyte.world.add_folder(parent, name)
    return Answer.json({"path": folder.path, "folder_id": folder.id}, 201)


def _move_or_copy(egnyte: Egnyte, entry: Entry, body: dict[str, Any]) -> Answer:
    destination = body.get("destination")
    if not isinstance(destination, str) or not destination.startswith("/"):
        raise wrong_input("destination", "is required and begins with '/'")
    if entry.depth < 2:
        raise forbidden()
    checks.unlocked(entry)
    parent, name = checks.place(egnyte, checks.path_of(destination), folder=entry.is_folder)
    if parent.is_in(entry):
        raise forbidden("A folder cannot be moved or copied into itself")
    there = parent.children.get(names.key(name))
    if there is not None and not (there is entry and body["action"] == "move"):
        raise refused(egnyte.switches.existing_destination_status, "An item already exists at the destination")
    if body["action"] == "move":
        egnyte.world.move(entry, parent, name)
    else:
        checks.room(egnyte, sum(child.current.content.size for child in entry.below() if not child.is_folder))
        egnyte.world.copy(entry, parent, name)
    return Answer(200)


def _lock(egnyte: Egnyte, entry: Entry, body: dict[str, Any]) -> Answer:
    if entry.is_folder:
        raise refused(400, "Only files can be locked")
    checks.unlocked(entry)
    now = egnyte.clock.now()
    if entry.locked(now) and body.get("lock_token") != entry.lock_token:
        raise refused(409, "File is already locked")
    seconds = int(body.get("lock_timeout") or LOCK_SECONDS)
    entry.lock_token = str(body.get("lock_token") or secrets.token_hex(16))
    entry.lock_ends_at = now + seconds
    return Answer.json({"lock_token": entry.lock_token, "timeout": seconds})


def _unlock(egnyte: Egnyte, entry: Entry, body: dict[str, Any]) -> Answer:
    if not entry.locked(egnyte.clock.now()) or body.get("lock_token") != entry.lock_token:
        raise refused(404, "Lock token does not exist")
    entry.lock_token = None
    return Answer(200)


async def delete(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """DELETE /fs/{path}: an item with everything in it, or with `entry_id` one version of a file."""
    return _delete(egnyte, call, checks.found(egnyte, path["path"]))


async def delete_by_id(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """DELETE /fs/ids/file/{group_id} and /fs/ids/folder/{folder_id}."""
    return _delete(egnyte, call, checks.found_by_id(egnyte, path["kind"], path["id"]))


def _delete(egnyte: Egnyte, call: Call, entry: Entry) -> Answer:
    checks.writable(egnyte)
    checks.unlocked(entry)
    if entry.depth < 2:
        raise forbidden()
    entry_id = call.first("entry_id")
    if entry_id is None:
        egnyte.world.delete(entry)
        return Answer(200)
    for version in entry.versions:
        if version.entry_id == entry_id:
            egnyte.world.delete_version(entry, version)
            return Answer(200)
    raise not_found()
