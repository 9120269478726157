"""What a simulated Egnyte domain holds: folders and files with versions, locks, the trash, and the events.

A file keeps its `group_id`, each of its versions has an `entry_id`. Paths are not case-sensitive. The roots `/Shared`
and `/Private` are always there and hold folders only.
"""

import contextlib
import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from simulator.clock import SimulatedClock
from simulator.clouds.base import Content
from simulator.clouds.egnyte import names

USER_ID, USER_NAME, FIRST_NAME, LAST_NAME = 121, "sitehaul", "Site", "Haul"
TRASH_SECONDS = 30 * 86_400
Path = tuple[str, ...]


@dataclass(slots=True)
class Version:
    """One content of a file."""

    entry_id: str
    content: Content
    checksum: str
    modified_at: float
    """Whole seconds: what Last-Modified headers can say."""
    uploaded_at: float


@dataclass(slots=True, eq=False)
class Entry:
    """A file or a folder; `id` is the group_id or the folder_id."""

    id: str
    name: str
    parent: "Entry | None"
    is_folder: bool
    uploaded_at: float
    modified_at: float
    children: dict[str, "Entry"] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    """Oldest first."""
    lock_token: str | None = None
    lock_ends_at: float = 0.0
    locked_by_other: bool = False

    @property
    def current(self) -> Version:
        """The newest version of a file."""
        return self.versions[-1]

    @property
    def path(self) -> str:
        """The path, as Egnyte writes it."""
        above: list[str] = []
        entry: Entry | None = self
        while entry is not None and entry.parent is not None:
            above.append(entry.name)
            entry = entry.parent
        return "/" + "/".join(reversed(above))

    @property
    def depth(self) -> int:
        """How far below the root: 1 for /Shared."""
        return 0 if self.parent is None else self.parent.depth + 1

    def below(self) -> Iterator["Entry"]:
        """Everything in a folder, and the folder itself."""
        yield self
        for child in self.children.values():
            yield from child.below()

    def is_in(self, folder: "Entry") -> bool:
        """Whether it is the folder, or in it."""
        entry: Entry | None = self
        while entry is not None and entry is not folder:
            entry = entry.parent
        return entry is folder

    def locked(self, now: float) -> bool:
        """Whether somebody holds a lock at that time."""
        return self.locked_by_other or (self.lock_token is not None and self.lock_ends_at > now)


@dataclass(frozen=True, slots=True)
class Trashed:
    """A deleted item, or a deleted version of a file."""

    id: str
    kind: str
    entry: Entry
    path: str
    deleted_at: float
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    id: int
    at: float
    action: str
    is_folder: bool
    data: dict[str, Any]
    outside: bool
    """Whether it was not done through the API."""


class World:
    """The tree, its trash and its events."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        now = self._clock.now()
        self.root = Entry(str(uuid.uuid4()), "", None, True, now, now)
        self.ids: dict[str, Entry] = {self.root.id: self.root}
        self.trash: dict[str, Trashed] = {}
        self.events: list[Event] = []
        self.used_bytes = 0
        self._outside = False
        self._event_ids = itertools.count(16_321)
        self.shared = self.add_folder(self.root, "Shared")
        self.add_folder(self.add_folder(self.root, "Private"), USER_NAME)

    @contextlib.contextmanager
    def from_outside(self) -> Iterator[None]:
        """What happens in the block is not done through the API."""
        self._outside = True
        try:
            yield
        finally:
            self._outside = False

    def at(self, path: Path) -> Entry | None:
        """The item at a path, whatever the case of its names; None if there is none."""
        entry = self.root
        for name in path:
            found = entry.children.get(names.key(name))
            if found is None:
                return None
            entry = found
        return entry

    def add_folder(self, parent: Entry, name: str) -> Entry:
        """A new folder; the name must be free."""
        now = self._clock.now()
        folder = Entry(str(uuid.uuid4()), name, parent, True, now, now)
        self._put(folder, parent)
        self.happened("create", folder)
        return folder

    def store(self, parent: Entry, name: str, content: Content, checksum: str, modified_at: float | None) -> Entry:
        """A new file, or a new version of the file that has the name."""
        now = self._clock.now()
        file = parent.children.get(names.key(name))
        if file is None:
            file = Entry(str(uuid.uuid4()), name, parent, False, now, now)
            self._put(file, parent)
        at = float(int(now if modified_at is None else modified_at))
        file.versions.append(Version(str(uuid.uuid4()), content, checksum, at, now))
        self.used_bytes += content.size
        parent.modified_at = now
        self.happened("create", file)
        return file

    def _put(self, entry: Entry, parent: Entry) -> None:
        entry.parent = parent
        parent.children[names.key(entry.name)] = entry
        parent.modified_at = self._clock.now()
        self.ids[entry.id] = entry

    def _take(self, entry: Entry) -> None:
        assert entry.parent is not None
        entry.parent.children.pop(names.key(entry.name), None)
        entry.parent.modified_at = self._clock.now()

    def move(self, entry: Entry, parent: Entry, name: str) -> None:
        """Move or rename; the name must be free."""
        source = entry.path
        self._take(entry)
        entry.name = name
        self._put(entry, parent)
        self.happened("move", entry, source)

    def copy(self, entry: Entry, parent: Entry, name: str) -> Entry:
        """A copy with the newest versions only; the name must be free."""
        now = self._clock.now()
        copied = Entry(str(uuid.uuid4()), name, None, entry.is_folder, now, now)
        for version in entry.versions[-1:]:
            copied.versions.append(
                Version(str(uuid.uuid4()), version.content, version.checksum, version.modified_at, now)
            )
            self.used_bytes += version.content.size
        inside = list(entry.children.values())
        self._put(copied, parent)
        for child in inside:
            self.copy(child, copied, child.name)
        self.happened("copy", copied, entry.path)
        return copied

    def delete(self, entry: Entry) -> None:
        """Put an item in the trash, with everything in it."""
        self.happened("delete", entry)
        self._trash(
            Trashed(uuid.uuid4().hex, "folder" if entry.is_folder else "file", entry, entry.path, self._clock.now())
        )
        self._take(entry)
        for gone in entry.below():
            self.ids.pop(gone.id, None)

    def delete_version(self, file: Entry, version: Version) -> None:
        """Put one version in the trash; the last one takes the file with it."""
        if len(file.versions) == 1:
            self.delete(file)
            return
        file.versions.remove(version)
        self._trash(Trashed(uuid.uuid4().hex, "version", file, file.path, self._clock.now(), version))
        self.happened("delete", file)

    def _trash(self, gone: Trashed) -> None:
        self.trash[gone.id] = gone

    def restore(self, gone: Trashed) -> bool:
        """Bring something back to where it was; False if its folder or its name is not there for it any more."""
        parent = gone.entry.parent
        if gone.version is not None:
            gone.entry.versions.insert(0, gone.version)
        elif parent is None or self.ids.get(parent.id) is not parent or names.key(gone.entry.name) in parent.children:
            return False
        else:
            self._put(gone.entry, parent)
            self.ids.update((entry.id, entry) for entry in gone.entry.below())
        del self.trash[gone.id]
        self.happened("restore", gone.entry)
        return True

    def purge(self, gone: Trashed) -> None:
        """Delete something for good."""
        del self.trash[gone.id]
        versions = [gone.version] if gone.version else [v for entry in gone.entry.below() for v in entry.versions]
        self.used_bytes -= sum(version.content.size for version in versions)

    def happened(self, action: str, entry: Entry, source: str | None = None) -> None:
        """Remember an event."""
        data: dict[str, Any] = {"target_path": entry.path, "target_id": entry.id, "is_folder": entry.is_folder}
        if not entry.is_folder:
            data |= {"target_id": entry.current.entry_id, "target_group_id": entry.id}
        if source is not None:
            data["source_path"] = source
            data["source_id"] = data["target_id"]
        self.events.append(
            Event(next(self._event_ids), self._clock.now(), action, entry.is_folder, data, self._outside)
        )
