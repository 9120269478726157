"""What a simulated Box holds: one tree of folders and files with versions, its trash, and what happened to them.

Identifiers are numbers as text; files and folders count separately, so that a file and a folder can have the same one.
The `etag` of an item, also its `sequence_id`, counts its changes.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from simulator.clock import SimulatedClock
from simulator.clouds.base import Content
from simulator.clouds.box import names
from simulator.clouds.box.errors import Refused, bad_request, blocked, not_found

ROOT_ID = "0"
ROOT_NAME = "All Files"
TRASH_SECONDS = 30 * 86_400
_FIRST_ID = 1_400_000_000_001
Kind = Literal["file", "folder"]


@dataclass(slots=True)
class Version:
    """One content of a file."""

    id: str
    content: Content
    sha1: str
    name: str
    created_at: float


@dataclass(slots=True, eq=False)
class Entry:
    """A file or a folder."""

    id: str
    kind: Kind
    name: str
    parent: "Entry | None"
    created_at: float
    modified_at: float
    content_created_at: float
    content_modified_at: float
    etag: int = 0
    description: str = ""
    tags: list[str] = field(default_factory=list)
    trashed_at: float | None = None
    """Of an item in the trash; what is below it has none of its own."""
    children: dict[str, "Entry"] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    """Oldest first; only files have any."""
    lock: dict[str, Any] | None = None
    locked_by_other: bool = False

    @property
    def current(self) -> Version:
        """The newest version of a file."""
        return self.versions[-1]

    def above(self) -> Iterator["Entry"]:
        """The folders the item is in, the nearest first."""
        folder = self.parent
        while folder is not None:
            yield folder
            folder = folder.parent

    def below(self) -> Iterator["Entry"]:
        """Everything in a folder, and the folder itself."""
        yield self
        for child in self.children.values():
            yield from child.below()

    @property
    def in_trash(self) -> bool:
        """Whether it or a folder it is in was put in the trash."""
        return self.trashed_at is not None or any(folder.trashed_at is not None for folder in self.above())


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an item."""

    position: int
    id: str
    type: str
    entry: Entry
    at: float


class World:
    """The tree and its history."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        now = self._clock.now()
        self.root = Entry(ROOT_ID, "folder", ROOT_NAME, None, now, now, now, now)
        self.folders: dict[str, Entry] = {ROOT_ID: self.root}
        self.files: dict[str, Entry] = {}
        self.events: list[Event] = []
        self.used_bytes = 0
        self.reserved: set[tuple[str, str]] = set()
        """Names whose upload is under way."""
        self._busy: dict[str, float] = {}
        self._folder_ids = itertools.count(_FIRST_ID)
        self._file_ids = itertools.count(_FIRST_ID)
        self._version_ids = itertools.count(_FIRST_ID)
        self._positions = itertools.count(1_348_790_499_820)

    def find(self, kind: Kind, entry_id: str) -> Entry:
        """A visible item. Raises Refused: 404, with `trashed` for one in the trash."""
        entry = self.known(kind, entry_id)
        if entry.in_trash:
            raise Refused(404, "trashed", "Item is trashed")
        return entry

    def known(self, kind: Kind, entry_id: str) -> Entry:
        """An item, also one in the trash. Raises Refused: 404."""
        entry = (self.files if kind == "file" else self.folders).get(entry_id)
        if entry is None:
            raise not_found(f"{kind}_id", entry_id)
        return entry

    def add_folder(self, parent: Entry, name: str) -> Entry:
        """A new folder; the name must be free."""
        now = self._clock.now()
        folder = Entry(str(next(self._folder_ids)), "folder", name, parent, now, now, now, now)
        self.folders[folder.id] = folder
        parent.children[names.key(name)] = folder
        self.happened("ITEM_CREATE", folder)
        return folder

    def add_file(
        self, parent: Entry, name: str, content: Content, created_at: float | None, modified_at: float | None
    ) -> Entry:
        """A new file; the name must be free. The times are those of the content, None = now."""
        now = self._clock.now()
        file = Entry(str(next(self._file_ids)), "file", name, parent, now, now, created_at or now, modified_at or now)
        self._append(file, content, now)
        self.files[file.id] = file
        parent.children[names.key(name)] = file
        self.happened("ITEM_UPLOAD", file)
        return file

    def add_version(self, file: Entry, content: Content, modified_at: float | None) -> None:
        """New content for a file."""
        now = self._clock.now()
        self._append(file, content, now)
        file.content_modified_at = modified_at or now
        self.touch(file)
        self.happened("ITEM_UPLOAD", file)

    def _append(self, file: Entry, content: Content, now: float) -> None:
        version = Version(str(next(self._version_ids)), content, content.digest("sha1"), file.name, now)
        file.versions.append(version)
        self.used_bytes += content.size

    def touch(self, entry: Entry) -> None:
        """Count a change of an item."""
        entry.etag += 1
        entry.modified_at = self._clock.now()

    def move(self, entry: Entry, parent: Entry, name: str) -> None:
        """Rename or move an item; the name must be free there. Raises Refused if a folder would contain itself."""
        if parent is entry or entry in parent.above():
            raise Refused(400, "cyclical_folder_structure", "Folder move creates cyclical folder structure")
        moved, renamed = parent is not entry.parent, name != entry.name
        if entry.parent is not None:
            entry.parent.children.pop(names.key(entry.name), None)
        entry.parent, entry.name = parent, name
        parent.children[names.key(name)] = entry
        self.touch(entry)
        if moved:
            self.happened("ITEM_MOVE", entry)
        if renamed:
            self.happened("ITEM_RENAME", entry)

    def copy(self, entry: Entry, parent: Entry, name: str, version: Version | None = None) -> Entry:
        """A copy of an item with its newest (or this) version; the name must be free there."""
        if entry.kind == "file":
            content = (version or entry.current).content
            copied = self.add_file(parent, name, content, entry.content_created_at, entry.content_modified_at)
        else:
            inside = list(entry.children.values())
            copied = self.add_folder(parent, name)
            for child in inside:
                self.copy(child, copied, child.name)
        copied.description = entry.description
        return copied

    def trash(self, entry: Entry) -> None:
        """Put an item in the trash, with everything in it."""
        if entry.parent is None:
            raise bad_request("folder_id", "The root folder cannot be deleted")
        entry.parent.children.pop(names.key(entry.name), None)
        entry.trashed_at = self._clock.now()
        entry.etag += 1
        self.happened("ITEM_TRASH", entry)

    def restore(self, entry: Entry, parent: Entry, name: str) -> None:
        """Bring an item back from the trash; the name must be free there."""
        entry.trashed_at = None
        entry.parent, entry.name = parent, name
        parent.children[names.key(name)] = entry
        self.touch(entry)
        self.happened("ITEM_UNDELETE_VIA_TRASH", entry)

    def purge(self, entry: Entry) -> None:
        """Delete an item for good."""
        for gone in list(entry.below()):
            (self.files if gone.kind == "file" else self.folders).pop(gone.id, None)
            self.used_bytes -= sum(version.content.size for version in gone.versions)

    def trashed(self) -> list[Entry]:
        """What is in the trash, the folders first."""
        entries = [*self.folders.values(), *self.files.values()]
        return [entry for entry in entries if entry.trashed_at is not None]

    def happened(self, kind: str, entry: Entry) -> None:
        """Remember what happened."""
        position = next(self._positions)
        self.events.append(Event(position, f"{position:032x}", kind, entry, self._clock.now()))

    def keep_busy(self, folder: Entry, seconds: float) -> None:
        """Block a folder for others, as an operation on it does while it runs."""
        if seconds > 0:
            self._busy[folder.id] = self._clock.now() + seconds

    def check_busy(self, *folders: Entry | None) -> None:
        """Raises Refused if an operation on one of the folders, or on one they are in, is under way."""
        if not self._busy:
            return
        now = self._clock.now()
        self._busy = {folder_id: end for folder_id, end in self._busy.items() if end > now}
        for folder in folders:
            if folder is not None and any(above.id in self._busy for above in (folder, *folder.above())):
                raise blocked()

    def at(self, path: tuple[str, ...]) -> Entry | None:
        """The visible item at a path of names, or None."""
        entry = self.root
        for name in path:
            found = entry.children.get(names.key(name))
            if found is None:
                return None
            entry = found
        return entry
