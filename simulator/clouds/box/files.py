"""Box files, but for their content: https://developer.box.com/reference/resources/file/ and its operations."""

import re

from simulator.clouds.box import checks, folders, shapes
from simulator.clouds.box.errors import bad_request, not_found
from simulator.clouds.box.state import Box
from simulator.clouds.box.world import Entry, Version
from simulator.web import Answer, Call

_UPDATE = (
    "name", "description", "parent", "shared_link", "lock", "disposition_at", "permissions", "collections", "tags",
)  # fmt: skip
_LOCK = ("type", "access", "expires_at", "is_download_prevented")


async def get(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """GET /files/{id}."""
    file = checks.found(box, "file", path[1])
    return folders.not_modified(call, file) or Answer.json(shapes.item(file, shapes.wanted_fields(call)))


async def update(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """PUT /files/{id}: rename, move, describe, lock; by switch also the undocumented time of the content."""
    file = checks.found(box, "file", path[1])
    extra = ("content_modified_at",) if box.switches.content_modified_at_on_update else ()
    body = await checks.json_body(call, (*_UPDATE, *extra))
    checks.writable(box)
    checks.etag(call, file)
    checks.unlocked(file)
    if body.get("lock") is not None:
        _check_lock(body["lock"])
    modified_at = body.get("content_modified_at")
    at = None if modified_at is None else shapes.parsed_time(modified_at, "content_modified_at")
    folders.change(box, file, body)
    if "lock" in body:
        _set_lock(box, file, body["lock"])
    if at is not None:
        file.content_modified_at = at
        box.world.touch(file)
    return Answer.json(shapes.item(file, shapes.wanted_fields(call)))


def _check_lock(lock: object) -> None:
    if not isinstance(lock, dict) or set(lock) - set(_LOCK) or (lock.get("type") or lock.get("access")) != "lock":
        raise bad_request("lock", "Invalid value for 'lock'")
    if lock.get("expires_at"):
        shapes.parsed_time(lock["expires_at"], "expires_at")


def _set_lock(box: Box, file: Entry, lock: dict[str, object] | None) -> None:
    if lock is None:
        file.lock = None
        box.world.happened("LOCK_DESTROY", file)
    else:
        owner = {"type": "user", "id": shapes.USER_ID, "name": shapes.USER_NAME, "login": shapes.LOGIN}
        file.lock = {
            "type": "lock", "id": f"1{file.id}", "created_by": owner, "created_at": shapes.time_text(box.clock.now()),
            "expired_at": lock.get("expires_at"), "is_download_prevented": bool(lock.get("is_download_prevented")),
            "app_type": None,
        }  # fmt: skip
        box.world.happened("LOCK_CREATE", file)
    box.world.touch(file)


async def delete(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """DELETE /files/{id}: to the trash."""
    file = checks.found(box, "file", path[1])
    checks.writable(box)
    checks.etag(call, file)
    checks.unlocked(file)
    box.world.check_busy(file.parent)
    box.world.trash(file)
    return Answer(204)


async def copy(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """POST /files/{id}/copy."""
    file = checks.found(box, "file", path[1])
    body = await checks.json_body(call, ("name", "version", "parent"))
    checks.writable(box)
    parent = checks.parent(box, body)
    name = folders.checks_name(box, body["name"]) if body.get("name") else file.name
    version = _version(file, str(body["version"])) if body.get("version") else file.current
    box.world.check_busy(parent)
    checks.free(parent, name)
    checks.room(box, version.content.size)
    copied = box.world.copy(file, parent, name, version)
    return Answer.json(shapes.item(copied, shapes.wanted_fields(call)), 201)


async def versions(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """GET /files/{id}/versions: the earlier ones, newest first, without the current one."""
    file = checks.found(box, "file", path[1])
    begin, limit = checks.offset(call), checks.limit(box, call)
    numbered = [shapes.version(kept, number) for number, kept in enumerate(file.versions, 1)]
    earlier = numbered[:-1][::-1]
    return Answer.json({
        "total_count": len(earlier), "entries": earlier[begin : begin + limit], "offset": begin, "limit": limit,
        "order": [{"by": "created_at", "direction": "DESC"}],
    })  # fmt: skip


async def one_version(box: Box, _: Call, path: re.Match[str]) -> Answer:
    """GET /files/{id}/versions/{id}."""
    file = checks.found(box, "file", path[1])
    wanted = _version(file, path[2])
    return Answer.json(shapes.version(wanted, file.versions.index(wanted) + 1))


async def promote(box: Box, call: Call, path: re.Match[str]) -> Answer:
    """POST /files/{id}/versions/current: an earlier content becomes the newest version again."""
    file = checks.found(box, "file", path[1])
    body = await checks.json_body(call, ("id", "type"))
    checks.writable(box)
    wanted = _version(file, str(body.get("id")))
    box.world.add_version(file, wanted.content, None)
    return Answer.json(shapes.version(file.current, len(file.versions)), 201)


def _version(file: Entry, version_id: str) -> Version:
    for kept in file.versions:
        if kept.id == version_id:
            return kept
    raise not_found("file_version_id", version_id)


def version_or_current(file: Entry, version_id: str | None) -> Version:
    """The version asked for; None = the current one. Raises Refused."""
    return file.current if version_id is None else _version(file, version_id)
