"""What every call of the Egnyte API is checked for."""

import json
from collections.abc import Collection
from typing import Any

from simulator.clouds.base import received
from simulator.clouds.egnyte import names
from simulator.clouds.egnyte.errors import forbidden, not_found, refused, wrong_input
from simulator.clouds.egnyte.state import Egnyte
from simulator.clouds.egnyte.world import Entry, Path
from simulator.web import Call


def path_of(text: str) -> Path:
    """The names of a path. Raises Refused for one that is too long."""
    if len(text.encode("utf-8", "surrogatepass")) > names.PATH_BYTES_MAX:
        raise refused(400, "The path is too long")
    return tuple(name for name in text.split("/") if name)


def found(egnyte: Egnyte, text: str) -> Entry:
    """The item at a path. Raises Refused (404)."""
    entry = egnyte.world.at(path_of(text))
    if entry is None:
        raise not_found()
    return entry


def found_by_id(egnyte: Egnyte, kind: str, entry_id: str) -> Entry:
    """The file of a group_id or the folder of a folder_id. Raises Refused (404)."""
    entry = egnyte.world.ids.get(entry_id)
    if entry is None or entry.is_folder != (kind == "folder"):
        raise not_found()
    return entry


def allowed_query(call: Call, allowed: Collection[str]) -> None:
    """Raises Refused for a query parameter that the operation does not have."""
    for name in call.query:
        if name not in allowed:
            raise wrong_input(name, f"Unrecognized parameter '{name}'")


async def json_body(call: Call, allowed: Collection[str]) -> dict[str, Any]:
    """The JSON object of a request. Raises Refused if it is none, or has properties that are not known."""
    if "json" not in call.headers.get("content-type", ""):
        raise refused(415, "Unsupported Media Type")
    try:
        value = json.loads(await received(call))
    except ValueError:
        raise refused(400, "The request body is not valid JSON") from None
    if not isinstance(value, dict):
        raise refused(400, "The request body is not an object")
    for name in value:
        if name not in allowed:
            raise refused(400, f"Unrecognized property: {name}")
    return value


def number(call: Call, name: str, default: int) -> int:
    """A number of the query that is not negative. Raises Refused."""
    text = call.first(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise wrong_input(name, "must be a non-negative integer")
    return int(text)


def flag(call: Call, name: str, *, default: bool) -> bool:
    """A boolean of the query."""
    text = call.first(name)
    return default if text is None else text.lower() in ("true", "1")


def writable(egnyte: Egnyte) -> None:
    """Raises Refused (403) if the user may only read."""
    if egnyte.switches.read_only:
        raise forbidden()


def unlocked(entry: Entry) -> None:
    """Raises Refused (403) if somebody else holds a lock."""
    if entry.locked_by_other:
        raise forbidden("File is locked by another user")


def room(egnyte: Egnyte, size: int) -> None:
    """Raises Refused if content of this size does not fit in the storage."""
    quota = egnyte.switches.quota_bytes
    if quota is not None and egnyte.world.used_bytes + size > quota:
        raise forbidden("Storage quota exceeded")


def place(egnyte: Egnyte, path: Path, *, folder: bool) -> tuple[Entry, str]:
    """The folder something new goes to, and its name there. Raises Refused.

    Files can be neither in `/` nor directly in `/Shared` or `/Private`, folders not in `/`.
    """
    if not path or (len(path) < 2 if folder else len(path) < 3):
        raise forbidden(f"You cannot create a {'folder' if folder else 'file'} at this location")
    reason = names.problem(path[-1], folder=folder)
    if reason is not None:
        raise refused(400, f"Name '{path[-1]}' {reason}")
    parent = egnyte.world.at(path[:-1])
    if parent is None and egnyte.switches.creates_parents:
        parent = _created(egnyte, path[:-1])
    if parent is None or not parent.is_folder:
        raise not_found()
    return parent, path[-1]


def _created(egnyte: Egnyte, path: Path) -> Entry:
    entry = egnyte.world.at(path)
    if entry is not None:
        return entry
    parent, name = place(egnyte, path, folder=True)
    return egnyte.world.add_folder(parent, name)
