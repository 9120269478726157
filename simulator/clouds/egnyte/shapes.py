"""Egnyte's JSON forms of folders, files and versions.

Files say `last_modified` as an HTTP date, folders `lastModified` in milliseconds; `uploaded` is in milliseconds for
both. `versions` is there only if there are earlier ones, and lists only those.
https://developers.egnyte.com/docs/read/File_System_Management_API_Documentation
"""

from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

from simulator.clouds.egnyte.world import FIRST_NAME, LAST_NAME, USER_ID, USER_NAME, Entry, Version

Shape = dict[str, Any]


def http_date(at: float) -> str:
    """A time as HTTP headers say it."""
    return formatdate(at, usegmt=True)


def milliseconds(at: float) -> int:
    """A time in milliseconds since 1970."""
    return int(at * 1000)


def iso(at: float) -> str:
    """A time as events and the trash say it."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _version(version: Version) -> Shape:
    return {
        "checksum": version.checksum, "size": version.content.size, "is_folder": False, "entry_id": version.entry_id,
        "uploaded": milliseconds(version.uploaded_at), "last_modified": http_date(version.modified_at),
        "uploaded_by": USER_NAME,
    }  # fmt: skip


def file(entry: Entry, now: float, *, locks: bool = False, perms: bool = False) -> Shape:
    """A file as a listing shows it."""
    shape = {
        **_version(entry.current), "path": entry.path, "name": entry.name, "locked": entry.locked(now),
        "group_id": entry.id, "parent_id": None if entry.parent is None else entry.parent.id,
        "num_versions": len(entry.versions),
    }  # fmt: skip
    if perms:
        shape["permission"] = "Owner"
    if locks and entry.locked(now):
        owner = USER_ID + 1 if entry.locked_by_other else USER_ID
        shape["lock_info"] = {
            "owner_id": owner, "first_name": FIRST_NAME, "last_name": LAST_NAME, "email": "user@example.com",
        }  # fmt: skip
    return shape


def file_with_versions(entry: Entry, now: float, *, locks: bool = False, perms: bool = False) -> Shape:
    """A file with its earlier versions, the newest first."""
    shape = file(entry, now, locks=locks, perms=perms)
    if len(entry.versions) > 1:
        shape["versions"] = [_version(version) for version in reversed(entry.versions[:-1])]
    return shape


def folder(entry: Entry) -> Shape:
    """A folder without its contents."""
    return {
        "name": entry.name, "lastModified": milliseconds(entry.modified_at),
        "uploaded": milliseconds(entry.uploaded_at), "path": entry.path, "folder_id": entry.id, "is_folder": True,
        "parent_id": None if entry.parent is None else entry.parent.id,
    }  # fmt: skip


def folder_details(entry: Entry) -> Shape:
    """A folder with what is set for it."""
    return {
        **folder(entry), "public_links": "files_folders", "restrict_move_delete": False, "allow_links": True,
        "folder_description": "", "allow_upload_links": True,
    }  # fmt: skip
