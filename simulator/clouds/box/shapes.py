"""Box's JSON forms of items, versions, users and events.

https://developer.box.com/reference/resources/ (File, Folder, File Version, User, Event and their mini variants). Times
have whole seconds and an offset that is not UTC.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from simulator.clouds.box.errors import bad_request
from simulator.clouds.box.world import TRASH_SECONDS, Entry, Event, Version, World
from simulator.web import Call

_PACIFIC = timezone(timedelta(hours=-8))
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_ITEMS_IN_FOLDER = 100
USER_ID, USER_NAME, LOGIN = "11446498", "Site Haul Service", "AutomationUser_1_abc@boxdevedition.com"
Shape = dict[str, Any]


def time_text(at: float | None) -> str | None:
    """A time as Box writes it."""
    return None if at is None else datetime.fromtimestamp(int(at), _PACIFIC).isoformat()


def parsed_time(value: object, name: str) -> float:
    """A time as Box reads it (RFC 3339); parts of a second are dropped. Raises Refused."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise bad_request(name, f"Invalid value '{value}'. '{name}' should be in RFC3339 format")
    try:
        return float(int(datetime.fromisoformat(value.upper()).timestamp()))
    except ValueError:
        raise bad_request(name, f"Invalid value '{value}'. '{name}' should be a date") from None


def _user_mini(_: Entry) -> Shape:
    return {"type": "user", "id": USER_ID, "name": USER_NAME, "login": LOGIN}


def user(world: World, quota_bytes: int | None, file_bytes_max: int) -> Shape:
    """Who the token belongs to."""
    return {
        "type": "user", "id": USER_ID, "name": USER_NAME, "login": LOGIN,
        "created_at": time_text(world.root.created_at), "modified_at": time_text(world.root.created_at),
        "language": "en", "timezone": "America/Los_Angeles", "space_amount": quota_bytes or 999_999_999_999_999,
        "space_used": world.used_bytes, "max_upload_size": file_bytes_max, "status": "active", "job_title": "",
        "phone": "", "address": "", "avatar_url": "", "notification_email": None,
    }  # fmt: skip


def _permissions(entry: Entry) -> Shape:
    shared = ("can_download", "can_upload", "can_rename", "can_delete", "can_share", "can_set_share_access")
    more = (
        ("can_invite_collaborator", "can_annotate", "can_comment", "can_preview", "can_view_annotations_all",
         "can_view_annotations_self", "can_apply_watermark")
        if entry.kind == "file" else ("can_invite_collaborator", "can_apply_watermark")
    )  # fmt: skip
    return dict.fromkeys((*shared, *more), True)


def _path_collection(entry: Entry) -> Shape:
    above = [folder_mini(folder) for folder in entry.above()][::-1]
    return {"total_count": len(above), "entries": above}


def _size(entry: Entry) -> int:
    if entry.kind == "file":
        return entry.current.content.size
    return sum(file.current.content.size for file in entry.below() if file.kind == "file")


def _root_or(entry: Entry, value: Any) -> Any:
    return None if entry.parent is None else value


def _first_items(folder: Entry) -> Shape:
    entries = in_order(folder.children.values())
    return {
        "total_count": len(entries), "entries": [mini(entry) for entry in entries[:_ITEMS_IN_FOLDER]], "offset": 0,
        "limit": _ITEMS_IN_FOLDER,
        "order": [{"by": "type", "direction": "ASC"}, {"by": "name", "direction": "ASC"}],
    }  # fmt: skip


_COMMON: Mapping[str, Callable[[Entry], Any]] = {
    "type": lambda entry: entry.kind,
    "id": lambda entry: entry.id,
    "sequence_id": lambda entry: _root_or(entry, str(entry.etag)),
    "etag": lambda entry: _root_or(entry, str(entry.etag)),
    "name": lambda entry: entry.name,
    "description": lambda entry: entry.description,
    "size": _size,
    "path_collection": _path_collection,
    "created_at": lambda entry: _root_or(entry, time_text(entry.created_at)),
    "modified_at": lambda entry: _root_or(entry, time_text(entry.modified_at)),
    "trashed_at": lambda entry: time_text(entry.trashed_at),
    "purged_at": lambda entry: None if entry.trashed_at is None else time_text(entry.trashed_at + TRASH_SECONDS),
    "content_created_at": lambda entry: _root_or(entry, time_text(entry.content_created_at)),
    "content_modified_at": lambda entry: _root_or(entry, time_text(entry.content_modified_at)),
    "created_by": _user_mini,
    "modified_by": _user_mini,
    "owned_by": _user_mini,
    "shared_link": lambda _: None,
    "parent": lambda entry: None if entry.parent is None else folder_mini(entry.parent),
    "item_status": lambda entry: "trashed" if entry.in_trash else "active",
    "permissions": _permissions,
    "tags": lambda entry: list(entry.tags),
    "has_collaborations": lambda _: False,
    "is_externally_owned": lambda _: False,
    "allowed_invitee_roles": lambda _: ["editor", "viewer"],
    "collections": lambda _: [],
}
_FILE: Mapping[str, Callable[[Entry], Any]] = {
    **_COMMON,
    "sha1": lambda entry: entry.current.sha1,
    "file_version": lambda entry: version_mini(entry.current),
    "version_number": lambda entry: str(len(entry.versions)),
    "comment_count": lambda _: 0,
    "lock": lambda entry: entry.lock,
    "extension": lambda entry: entry.name.rpartition(".")[2] if "." in entry.name else "",
    "is_package": lambda _: False,
    "is_accessible_via_shared_link": lambda _: False,
}
_FOLDER: Mapping[str, Callable[[Entry], Any]] = {
    **_COMMON,
    "folder_upload_email": lambda _: None,
    "item_collection": _first_items,
    "sync_state": lambda _: "not_synced",
    "can_non_owners_invite": lambda _: True,
    "is_collaboration_restricted_to_enterprise": lambda _: False,
    "is_accessible_via_shared_link": lambda _: False,
}
_BASE = ("type", "id", "etag")
_FILE_MINI = ("type", "id", "file_version", "sequence_id", "etag", "sha1", "name")
_FOLDER_MINI = ("type", "id", "sequence_id", "etag", "name")
_STANDARD = (
    "description", "size", "path_collection", "created_at", "modified_at", "trashed_at", "purged_at",
    "content_created_at", "content_modified_at", "created_by", "modified_by", "owned_by", "shared_link", "parent",
    "item_status",
)  # fmt: skip
_FILE_STANDARD = (*_FILE_MINI, *_STANDARD)
_FOLDER_STANDARD = (*_FOLDER_MINI, *_STANDARD, "folder_upload_email", "item_collection")


def wanted_fields(call: Call) -> tuple[str, ...] | None:
    """The `fields` of a request; None if it has none. Raises Refused for one that no item has."""
    text = call.first("fields")
    if not text:
        return None
    wanted = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in wanted if name not in _FILE and name not in _FOLDER]
    if unknown:
        raise bad_request("fields", f"Invalid value '{unknown[0]}'")
    return wanted


def item(entry: Entry, fields: tuple[str, ...] | None) -> Shape:
    """An item; with fields given only those, next to its type, identifier and etag."""
    known = _FILE if entry.kind == "file" else _FOLDER
    names: Iterable[str] = _FILE_STANDARD if entry.kind == "file" else _FOLDER_STANDARD
    if fields is not None:
        names = dict.fromkeys((*_BASE, *(name for name in fields if name in known)))
    return {name: known[name](entry) for name in names}


def listed(entry: Entry, fields: tuple[str, ...] | None) -> Shape:
    """An item as listings show it: the mini form, or the fields asked for."""
    return mini(entry) if fields is None else item(entry, fields)


def mini(entry: Entry) -> Shape:
    """The short form of an item."""
    if entry.kind == "folder":
        return folder_mini(entry)
    return {name: _FILE[name](entry) for name in _FILE_MINI}


def folder_mini(entry: Entry) -> Shape:
    """The short form of a folder."""
    return {name: _FOLDER[name](entry) for name in _FOLDER_MINI}


def in_order(entries: Iterable[Entry], by: str = "name", *, descending: bool = False) -> list[Entry]:
    """Items as listings order them: folders first, then by name, identifier, date or size."""
    keys: dict[str, Callable[[Entry], Any]] = {
        "name": lambda entry: (entry.name.lower(), entry.name), "id": lambda entry: int(entry.id),
        "date": lambda entry: entry.modified_at, "size": _size,
    }  # fmt: skip
    ordered = sorted(entries, key=keys[by], reverse=descending)
    return sorted(ordered, key=lambda entry: entry.kind != "folder")


def version_mini(version: Version) -> Shape:
    """The short form of a version."""
    return {"type": "file_version", "id": version.id, "sha1": version.sha1}


def version(kept: Version, number: int) -> Shape:
    """A version in the list of a file's earlier ones."""
    return {
        **version_mini(kept), "name": kept.name, "size": kept.content.size, "created_at": time_text(kept.created_at),
        "modified_at": time_text(kept.created_at), "modified_by": {"type": "user", "id": USER_ID, "name": USER_NAME,
        "login": LOGIN}, "trashed_at": None, "purged_at": None, "restored_at": None, "version_number": str(number),
    }  # fmt: skip


def event(happened: Event, kind: str) -> Shape:
    """An event of the user's or the enterprise's stream."""
    source = item(happened.entry, None)
    if happened.entry.kind == "folder":
        source.pop("item_collection")
    return {
        "type": "event", "event_id": happened.id, "created_by": _user_mini(happened.entry),
        "created_at": time_text(happened.at), "recorded_at": time_text(happened.at), "event_type": kind,
        "session_id": None, "source": source,
    }  # fmt: skip
