"""What a simulated Google Drive holds: two My Drives, one shared drive, and what happened in them."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from simulator.clouds.content import Content
from simulator.clouds.drive.refusals import Refusal, bad_request, not_found

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
NATIVE = "application/vnd.google-apps."
DEPTH_MAX = 100
"""Folders below each other in one drive; the same page as the errors."""
REVISIONS_MAX = 100
"""Older ones that are not kept for ever are purged."""
PERSON = "amelie@sitehaul.example"
_ID_BYTES = 24


@dataclass(slots=True)
class Revision:
    """One content of a file."""

    id: str
    content: Content
    mime_type: str
    modified_ms: int
    filename: str
    keep_forever: bool = False


@dataclass(slots=True)
class Entry:
    """A file, folder, shortcut or native document; also the root folder of a drive."""

    id: str
    name: str
    mime_type: str
    parent: str | None
    drive_id: str | None
    owner: str | None
    created_ms: int
    modified_ms: int
    store: "Store"
    version: int = 1
    explicitly_trashed: bool = False
    trashed_ms: int | None = None
    starred: bool = False
    abusive: bool = False
    description: str | None = None
    viewed_ms: int | None = None
    original_filename: str | None = None
    shortcut_to: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    app_properties: dict[str, str] = field(default_factory=dict)
    revisions: list[Revision] = field(default_factory=list)
    flags: dict[str, object] = field(default_factory=dict)
    """Further writable fields, as they were set."""

    @property
    def is_folder(self) -> bool:
        return self.mime_type == FOLDER

    @property
    def is_native(self) -> bool:
        """Has no content of its own: Google's documents, folders, shortcuts."""
        return self.mime_type.startswith(NATIVE)

    @property
    def head(self) -> Revision | None:
        """The content; None for what has none."""
        return self.revisions[-1] if self.revisions and not self.is_native else None

    def time_ms(self, term: str) -> int | None:
        if term == "createdTime":
            return self.created_ms
        return self.modified_ms if term == "modifiedTime" else self.viewed_ms

    def trashed(self) -> bool:
        entry: Entry | None = self
        while entry is not None:
            if entry.explicitly_trashed:
                return True
            entry = None if entry.parent is None else self.store.entries.get(entry.parent)
        return False

    def has_property(self, kind: str, key: str, value: str) -> bool:
        return (self.properties if kind == "properties" else self.app_properties).get(key) == value

    def involves(self, kind: str, email: str) -> bool:
        wanted = PERSON if email == "me" else email
        return self.owner == wanted if self.drive_id is None else kind != "owners" and wanted == PERSON


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to a file; where it was then."""

    number: int
    file_id: str
    drive_id: str | None
    owner: str | None
    at_ms: int


class Store:
    """Every entry by id, the folders' children, the changes and the last one of each entry."""

    def __init__(self, now_ms: Callable[[], int], service: str) -> None:
        self.now_ms = now_ms
        self.entries: dict[str, Entry] = {}
        self.children: dict[str, dict[str, Entry]] = {}
        self.changes: list[Change] = []
        self.latest: dict[str, int] = {}
        self.generated: set[str] = set()
        self.service = service
        self.roots = {
            PERSON: self._root("My Drive", None, PERSON).id,
            service: self._root("My Drive", None, service).id,
        }
        self.drive_id = self._root("Site archive", "", None).id

    def _root(self, name: str, drive_id: str | None, owner: str | None) -> Entry:
        """A drive's root folder; `drive_id` "" makes it that of a shared drive, whose id it is."""
        shared = drive_id is not None
        new = new_id("0A", 14)
        root = Entry(new, name, FOLDER, None, new if shared else None, owner, self.now_ms(), self.now_ms(), self)
        self.entries[root.id] = root
        self.children[root.id] = {}
        return root

    def get(self, file_id: str) -> Entry | None:
        """An entry by its id."""
        return self.entries.get(file_id)

    def add(self, entry: Entry) -> Entry:
        """Put a new entry into its folder. Raises Refusal if that is too deep."""
        assert entry.parent is not None
        if entry.is_folder and self.depth(entry.parent) >= DEPTH_MAX:
            raise _too_deep(entry)
        self.entries[entry.id] = entry
        self.children.setdefault(entry.parent, {})[entry.id] = entry
        if entry.is_folder:
            self.children.setdefault(entry.id, {})
        self.changed(entry)
        return entry

    def move(self, entry: Entry, parent: Entry) -> None:
        """Put an entry into another folder. Raises Refusal for a circle, a folder into a shared drive, or depth."""
        assert entry.parent is not None
        if any(above.id == entry.id for above in self.above(parent)):
            raise bad_request("Adding the specified parent would create a cycle in the directory graph.")
        if entry.is_folder and entry.drive_id is None and parent.drive_id is not None:
            text = "Moving folders into shared drives is not supported."
            raise Refusal(403, "teamDrivesFolderMoveInNotSupported", text)
        if entry.is_folder and self.depth(parent.id) >= DEPTH_MAX:
            raise _too_deep(entry)
        del self.children[entry.parent][entry.id]
        entry.parent = parent.id
        self.children[parent.id][entry.id] = entry
        for moved in self.below(entry):
            moved.drive_id, moved.owner = parent.drive_id, parent.owner

    def delete(self, entry: Entry) -> None:
        """Remove an entry and all below it for ever."""
        for gone in list(self.below(entry)):
            self.changed(gone)
            self.entries.pop(gone.id, None)
            self.children.pop(gone.id, None)
            for revision in gone.revisions:
                revision.content.close()
        if entry.parent is not None and entry.parent in self.children:
            self.children[entry.parent].pop(entry.id, None)

    def below(self, entry: Entry) -> Iterator[Entry]:
        """The entry itself, then everything in it."""
        yield entry
        for child in list(self.children.get(entry.id, {}).values()):
            yield from self.below(child)

    def above(self, entry: Entry) -> Iterator[Entry]:
        """The entry itself, then the folders it is in, up to the root."""
        at: Entry | None = entry
        while at is not None:
            yield at
            at = None if at.parent is None else self.entries.get(at.parent)

    def depth(self, folder_id: str) -> int:
        """How many folders below its root a folder is."""
        return sum(1 for _ in self.above(self.entries[folder_id])) - 1

    def changed(self, entry: Entry) -> None:
        """Note that something happened to an entry."""
        entry.version += 1
        number = len(self.changes) + 1
        self.latest[entry.id] = number
        self.changes.append(Change(number, entry.id, entry.drive_id, entry.owner, self.now_ms()))

    def set_content(self, entry: Entry, revision: Revision) -> None:
        """Give a file new content; old ones beyond the limit are purged."""
        entry.revisions.append(revision)
        loose = [old for old in entry.revisions[:-1] if not old.keep_forever]
        for old in loose[: max(0, len(loose) - REVISIONS_MAX)]:
            entry.revisions.remove(old)
            old.content.close()

    def used_bytes(self, *, trash_only: bool = False) -> int:
        """What counts against the person's quota: heads and kept revisions in My Drive, the trash included."""
        return sum(
            revision.content.size_bytes
            for entry in self.entries.values()
            if entry.owner == PERSON and (not trash_only or entry.trashed())
            for revision in entry.revisions
            if revision is entry.head or revision.keep_forever
        )

    def parent_of(self, parent_id: str, user: str, *, all_drives: bool, location: str = "fileId") -> Entry:
        """The folder with this id. Raises Refusal if the user cannot see it or it is no folder."""
        parent = self.visible(parent_id, user, all_drives=all_drives)
        if parent is None:
            raise not_found(parent_id, location)
        if not parent.is_folder:
            raise Refusal(403, "parentNotAFolder", "The specified parent is not a folder.")
        return parent

    def visible(self, file_id: str, user: str, *, all_drives: bool) -> Entry | None:
        """The entry with this id (`root`: the user's My Drive), if the user may see it."""
        entry = self.entries.get(self.roots[user] if file_id == "root" else file_id)
        if entry is None or (entry.drive_id is not None and not all_drives):
            return None
        return entry if entry.drive_id is not None or entry.owner == user else None


def new_id(start: str = "1", count: int = _ID_BYTES) -> str:
    """A new id as Drive makes them: letters, digits, `-` and `_`."""
    return start + base64.urlsafe_b64encode(secrets.token_bytes(count)).decode().rstrip("=")


def user_number(email: str) -> str:
    """The permission id of a person."""
    return str(int.from_bytes(hashlib.blake2b(email.encode(), digest_size=8).digest(), "big")).zfill(20)


def _too_deep(entry: Entry) -> Refusal:
    if entry.drive_id is not None:
        return Refusal(403, "teamDriveHierarchyTooDeep", "The shared drive hierarchy depth will exceed the limit.")
    text = f"Your My Drive can't contain more than {DEPTH_MAX} levels of folders."
    return Refusal(403, "myDriveHierarchyDepthLimitExceeded", text)
