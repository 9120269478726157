"""SiteHaul's own trash folder, at the root of connections to systems that have none."""

import json
from uuid import uuid4

from migration.entries import PathParts
from migration.errors import ContractViolation, ItemError

TRASH_FOLDER = ".sitehaul-trash"
"""Not listed by walks."""


def new_place(path: PathParts, key: str | None = None) -> PathParts:
    """Where in the trash folder the entry at `path` goes, in a folder of its own, which is called by the key."""
    return (TRASH_FOLDER, key or uuid4().hex, path[-1])


def token_of(path: PathParts, place: PathParts) -> str:
    """What `restore` needs to know."""
    return json.dumps({"from": path, "in": place[1]})


def deleted(token: str) -> tuple[PathParts, PathParts]:
    """The path and the place of what was deleted. Raises ContractViolation for what is no token."""
    try:
        values = json.loads(token)
        path = tuple(str(name) for name in values["from"])
        return path, (TRASH_FOLDER, str(values["in"]), path[-1])
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ContractViolation("not-a-token", f"{token!r} names nothing that was deleted") from error


def not_restorable(shown: str) -> ItemError:
    """It was taken out of the trash folder, or the folder was emptied."""
    return ItemError("not-restorable", f"{shown} is no longer in the trash folder {TRASH_FOLDER}.")
