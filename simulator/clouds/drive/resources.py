"""Drive's resources as its answers show them; a field mask then takes what was asked for."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from simulator.clouds.drive.described import FIELDS
from simulator.clouds.drive.masks import Mask
from simulator.clouds.drive.store import NATIVE, PERSON, SHORTCUT, Entry, Revision, Store, user_number
from simulator.clouds.drive.switches import DriveSwitches

EXPORTS = {
    f"{NATIVE}document": (
        "application/pdf", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "text/plain",
    ),
    f"{NATIVE}spreadsheet": (
        "application/pdf", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "text/csv",
    ),
    f"{NATIVE}presentation": (
        "application/pdf", "application/vnd.openxmlformats-officedocument.presentationml.presentation", "text/plain",
    ),
    f"{NATIVE}drawing": ("application/pdf", "image/png", "image/svg+xml"),
}  # fmt: skip
"""What native documents can be exported to."""
_NATIVE_SIZE = "1024"
_OF_FOLDERS = (
    "canAddChildren", "canDeleteChildren", "canMoveChildrenWithinDrive", "canRemoveChildren", "canTrashChildren",
)  # fmt: skip
_CHANGING = frozenset((
    *_OF_FOLDERS, "canEdit", "canModifyContent", "canMoveItemWithinDrive", "canRename", "canShare", "canTrash",
    "canUntrash",
))  # fmt: skip
_FOLDERS_ONLY = frozenset((*_OF_FOLDERS, "canListChildren"))
_READING = frozenset(("canComment", "canCopy", "canDownload", "canListChildren", "canReadRevisions"))


def time_text(at_ms: int) -> str:
    """RFC 3339 with milliseconds, as Drive writes it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


def person(email: str, *, me: bool) -> dict[str, Any]:
    """A user."""
    name = "Amelie Stein" if email == PERSON else email
    return {
        "kind": "drive#user", "displayName": name, "me": me, "permissionId": user_number(email), "emailAddress": email,
    }  # fmt: skip


def file(store: Store, entry: Entry, mask: Mask, user: str, switches: DriveSwitches) -> dict[str, Any]:
    """A file resource with the fields that the mask wants, as far as this file has them."""
    view = _View(store, entry, user, switches)
    asked = FIELDS["File"] if not mask or "*" in mask else mask
    values = {name: maker(view) for name in asked if (maker := _MAKERS.get(name)) is not None}
    return {name: value for name, value in values.items() if value is not None}


def revision(entry: Entry, one: Revision) -> dict[str, Any]:
    """A revision resource."""
    values: dict[str, Any] = {
        "kind": "drive#revision", "id": one.id, "mimeType": one.mime_type, "modifiedTime": time_text(one.modified_ms),
    }  # fmt: skip
    if entry.is_native:
        return values | {"published": False}
    return values | {
        "keepForever": one.keep_forever, "published": False, "originalFilename": one.filename,
        "md5Checksum": one.content.md5, "size": str(one.content.size_bytes),
        "lastModifyingUser": person(entry.owner or PERSON, me=(entry.owner or PERSON) == PERSON),
    }  # fmt: skip


def drive(store: Store, *, user: str, read_only: bool) -> dict[str, Any]:
    """The shared drive."""
    root = store.entries[store.drive_id]
    able = dict.fromkeys(FIELDS["Drive.capabilities"], not read_only)
    able |= {name: True for name in _READING if name in able}
    if user != PERSON:
        able |= dict.fromkeys(("canManageMembers", "canDeleteDrive", "canDeleteChildren"), False)
    return {
        "kind": "drive#drive", "id": root.id, "name": root.name, "createdTime": time_text(root.created_ms),
        "hidden": False, "colorRgb": "#4285f4", "capabilities": able,
        "restrictions": {
            "adminManagedRestrictions": False, "copyRequiresWriterPermission": False, "domainUsersOnly": False,
            "driveMembersOnly": False, "sharingFoldersRequiresOrganizerPermission": False,
        },
    }  # fmt: skip


class _View:
    """One file, seen by one user."""

    __slots__ = ("entry", "native_sizes", "own", "read_only", "store", "user")

    def __init__(self, store: Store, entry: Entry, user: str, switches: DriveSwitches) -> None:
        self.store = store
        self.entry = entry
        self.user = user
        self.read_only, self.native_sizes = switches.read_only, switches.native_sizes
        self.own = entry.drive_id is None

    def content(self, what: Callable[[Revision], Any]) -> Any:
        """A fact of the content; None for what has none."""
        head = self.entry.head
        return None if head is None else what(head)

    def capabilities(self) -> dict[str, bool]:
        able = {name: name in _READING or (name in _CHANGING and not self.read_only) for name in _CAPABILITIES}
        if not self.entry.is_folder:
            able |= dict.fromkeys(_FOLDERS_ONLY, False)
        able["canDownload"] = self.entry.head is not None
        able["canCopy"] = not self.entry.is_folder
        able["canDelete"] = not self.read_only and self.entry.parent is not None and (self.own or self.user == PERSON)
        if self.entry.parent is None:
            able |= dict.fromkeys(("canTrash", "canRename", "canMoveItemWithinDrive"), False)
        return able

    def parents(self) -> list[str] | None:
        return None if self.entry.parent is None else [self.entry.parent]

    def extension(self, *, full: bool) -> str | None:
        if self.entry.head is None:
            return None
        stem, dot, rest = self.entry.name.partition(".") if full else self.entry.name.rpartition(".")
        return rest if dot and stem else ""

    def size(self) -> str | None:
        if self.entry.mime_type in EXPORTS and self.native_sizes:
            return _NATIVE_SIZE
        head = self.entry.head
        return None if head is None else str(head.content.size_bytes)

    def shortcut(self) -> dict[str, str] | None:
        if self.entry.mime_type != SHORTCUT or self.entry.shortcut_to is None:
            return None
        meant = self.store.get(self.entry.shortcut_to)
        values = {"targetId": self.entry.shortcut_to}
        return values if meant is None else values | {"targetMimeType": meant.mime_type}

    def exports(self) -> dict[str, str] | None:
        address = f"https://docs.google.com/export?id={self.entry.id}&mime="
        return {kind: f"{address}{kind}" for kind in EXPORTS.get(self.entry.mime_type, ())} or None


_CAPABILITIES = tuple(FIELDS["File.capabilities"])
_MAKERS: dict[str, Callable[[_View], Any]] = {
    "kind": lambda _: "drive#file",
    "id": lambda v: v.entry.id,
    "name": lambda v: v.entry.name,
    "mimeType": lambda v: v.entry.mime_type,
    "description": lambda v: v.entry.description,
    "starred": lambda v: v.entry.starred,
    "trashed": lambda v: v.entry.trashed(),
    "explicitlyTrashed": lambda v: v.entry.explicitly_trashed,
    "trashedTime": lambda v: None if v.own or v.entry.trashed_ms is None else time_text(v.entry.trashed_ms),
    "parents": _View.parents,
    "properties": lambda v: v.entry.properties or None,
    "appProperties": lambda v: v.entry.app_properties or None,
    "spaces": lambda _: ["drive"],
    "version": lambda v: str(v.entry.version),
    "createdTime": lambda v: time_text(v.entry.created_ms),
    "modifiedTime": lambda v: time_text(v.entry.modified_ms),
    "modifiedByMeTime": lambda v: time_text(v.entry.modified_ms),
    "modifiedByMe": lambda _: True,
    "viewedByMe": lambda v: v.entry.viewed_ms is not None,
    "viewedByMeTime": lambda v: None if v.entry.viewed_ms is None else time_text(v.entry.viewed_ms),
    "owners": lambda v: [person(v.entry.owner, me=v.entry.owner == v.user)] if v.entry.owner else None,
    "ownedByMe": lambda v: v.entry.owner == v.user if v.own else None,
    "shared": lambda v: False if v.own else None,
    "driveId": lambda v: v.entry.drive_id,
    "teamDriveId": lambda v: v.entry.drive_id,
    "capabilities": _View.capabilities,
    "copyRequiresWriterPermission": lambda v: v.entry.flags.get("copyRequiresWriterPermission", False),
    "writersCanShare": lambda v: v.entry.flags.get("writersCanShare", True) if v.own else None,
    "folderColorRgb": lambda v: v.entry.flags.get("folderColorRgb", "#8f8f8f") if v.entry.is_folder else None,
    "lastModifyingUser": lambda v: person(v.entry.owner or PERSON, me=(v.entry.owner or PERSON) == v.user),
    "isAppAuthorized": lambda _: True,
    "hasThumbnail": lambda _: False,
    "thumbnailVersion": lambda _: "0",
    "quotaBytesUsed": lambda v: str(sum(r.content.size_bytes for r in v.entry.revisions)) if v.own else "0",
    "originalFilename": lambda v: v.content(lambda head: v.entry.original_filename or head.filename),
    "headRevisionId": lambda v: v.content(lambda head: head.id),
    "size": _View.size,
    "md5Checksum": lambda v: v.content(lambda head: head.content.md5),
    "sha1Checksum": lambda v: v.content(lambda head: head.content.sha1),
    "sha256Checksum": lambda v: v.content(lambda head: head.content.sha256),
    "fileExtension": functools.partial(_View.extension, full=False),
    "fullFileExtension": functools.partial(_View.extension, full=True),
    "webContentLink": lambda v: v.content(lambda _: f"https://drive.google.com/uc?id={v.entry.id}&export=download"),
    "webViewLink": lambda v: f"https://drive.google.com/file/d/{v.entry.id}/view?usp=drivesdk",
    "exportLinks": _View.exports,
    "shortcutDetails": _View.shortcut,
    "trashingUser": lambda v: person(PERSON, me=v.user == PERSON) if v.entry.explicitly_trashed else None,
}
"""How each field comes about; those missing here are never filled in by this stand-in."""
