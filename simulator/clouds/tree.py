"""Folders, files, versions and trash, kept by id: what a cloud holds, without any vendor's view of it."""

import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from simulator.clouds.content import Content

Path = tuple[str, ...]


class NameTaken(Exception):
    """The folder has an entry of that name; `entry` is it."""

    def __init__(self, entry: "Entry") -> None:
        super().__init__(entry.name)
        self.entry = entry


class Cycle(Exception):
    """A folder was to be moved into itself."""


@dataclass(slots=True)
class Version:
    """One content a file had or has."""

    id: str
    content: Content
    created_at: datetime
    """When the cloud got it."""
    modified_at: datetime
    """The time of the content, as the client said it or else when the cloud got it."""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Entry:
    """A file or folder. `extra` is the cloud's own."""

    id: str
    name: str
    parent_id: str | None
    is_folder: bool
    created_at: datetime
    modified_at: datetime
    number: int = 1
    """Grows with every change of name, place, times or content."""
    content_number: int = 0
    """Grows with every change of content."""
    versions: list[Version] = field(default_factory=list)
    """Oldest first; the last is the current one. Empty for a folder."""
    trashed_at: datetime | None = None
    """When it was put into the trash itself (not with a folder above it)."""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def current(self) -> Version:
        """The current version of a file."""
        return self.versions[-1]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the journal: this entry changed; `gone` if it left the tree or the trash took it."""

    number: int
    entry: Entry
    gone: bool
    at: datetime


class Tree:
    """One drive. Names of a folder are unique under `key` (`str.casefold`, identity ...) unless `unique` is False.

    Every change appends to `journal`, oldest first; `journal[-1].number` counts from 1.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        key: Callable[[str], str] = str.casefold,
        unique: bool = True,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
        root_id: str | None = None,
        root_name: str = "root",
    ) -> None:
        self._now = now
        self._key = key
        self._unique = unique
        self._new_id = new_id
        self._children: dict[str, dict[str, Entry]] = {}
        self._names: dict[tuple[str, str], dict[str, Entry]] = {}
        self._version_ids = itertools.count(1)
        self.entries: dict[str, Entry] = {}
        self.journal: list[Change] = []
        self.used_bytes = 0
        """All versions of all files, the trash included."""
        self.root = Entry(root_id or new_id(), root_name, None, True, now(), now())
        self.entries[self.root.id] = self.root
        self._children[self.root.id] = {}

    def visible(self, entry_id: str) -> Entry | None:
        """The entry, if it is neither in the trash nor below something that is."""
        entry = self.entries.get(entry_id)
        return entry if entry is not None and not self.in_trash(entry) else None

    def in_trash(self, entry: Entry) -> bool:
        """Whether it or a folder above it is in the trash."""
        return any(one.trashed_at is not None for one in self._upwards(entry))

    def children(self, folder: Entry) -> list[Entry]:
        """What is in a folder and not in the trash, in the order it came in."""
        return list(self._children[folder.id].values())

    def named(self, folder: Entry, name: str) -> list[Entry]:
        """What has this name in a folder."""
        return list(self._names.get((folder.id, self._key(name)), {}).values())

    def child(self, folder: Entry, name: str) -> Entry | None:
        """The (first) entry of this name in a folder, or None."""
        return next(iter(self.named(folder, name)), None)

    def at(self, path: Path) -> Entry | None:
        """The visible entry at a path below the root, or None."""
        entry: Entry | None = self.root
        for name in path:
            entry = self.child(entry, name) if entry is not None and entry.is_folder else None
        return entry

    def path(self, entry: Entry) -> Path:
        """The names from below the root to the entry, of one in the trash those it had there."""
        return tuple(one.name for one in self._upwards(entry) if one.parent_id is not None)[::-1]

    def below(self, folder: Entry) -> Iterator[Entry]:
        """Everything visible in a folder at any depth, folders before what they hold."""
        waiting = self.children(folder)[::-1]
        while waiting:
            entry = waiting.pop()
            yield entry
            if entry.is_folder:
                waiting += self.children(entry)[::-1]

    def is_below(self, entry: Entry, folder: Entry) -> bool:
        """Whether the folder is the entry or above it."""
        return any(one is folder for one in self._upwards(entry))

    def add_folder(self, parent: Entry, name: str, **extra: Any) -> Entry:
        """A new folder. Raises NameTaken."""
        self._free(parent, name, None)
        now = self._now()
        entry = Entry(self._new_id(), name, parent.id, True, now, now, extra=extra)
        self._children[entry.id] = {}
        return self._added(entry)

    def folders(self, path: Path) -> Entry:
        """The folder at a path, made with all above it where missing. Raises NameTaken where a file is."""
        folder = self.root
        for name in path:
            found = self.child(folder, name)
            if found is not None and not found.is_folder:
                raise NameTaken(found)
            folder = found or self.add_folder(folder, name)
        return folder

    def add_file(
        self, parent: Entry, name: str, content: Content, modified_at: datetime | None = None, **extra: Any
    ) -> Entry:
        """A new file of one version; `modified_at` as the client says it. Raises NameTaken."""
        self._free(parent, name, None)
        now = self._now()
        entry = Entry(self._new_id(), name, parent.id, False, now, modified_at or now, extra=extra)
        self._version(entry, content, modified_at)
        return self._added(entry)

    def add_version(self, entry: Entry, content: Content, modified_at: datetime | None = None) -> Version:
        """A new current version of a file."""
        version = self._version(entry, content, modified_at)
        entry.modified_at = version.modified_at
        self.changed(entry)
        return version

    def drop_version(self, entry: Entry, version: Version) -> None:
        """Forget one version; not the only one."""
        entry.versions.remove(version)
        self.used_bytes -= version.content.size_bytes
        self.changed(entry)

    def move(self, entry: Entry, parent: Entry | None = None, name: str | None = None) -> None:
        """Rename and/or move. Raises NameTaken, or Cycle for a folder into itself."""
        folder = parent or self.entries[entry.parent_id or ""]
        if entry.is_folder and self.is_below(folder, entry):
            raise Cycle(entry.name)
        self._free(folder, name or entry.name, entry)
        self._unlink(entry)
        entry.name, entry.parent_id = name or entry.name, folder.id
        self._link(entry)
        self.changed(entry)

    def changed(self, entry: Entry, *, gone: bool = False) -> None:
        """Note that the entry changed."""
        entry.number += 1
        self._note(entry, gone)

    def trash(self, entry: Entry) -> None:
        """Put an entry, with all below it, into the trash. Its id stays."""
        for one in [entry, *(self.below(entry) if entry.is_folder else ())]:
            self._note(one, True)
        self._unlink(entry)
        entry.trashed_at = self._now()
        entry.number += 1

    def trashed(self) -> list[Entry]:
        """What was put into the trash itself, oldest first."""
        in_trash = [(entry.trashed_at, entry) for entry in self.entries.values() if entry.trashed_at is not None]
        return [entry for _, entry in sorted(in_trash, key=lambda one: one[0])]

    def restore(self, entry: Entry, parent: Entry | None = None, name: str | None = None) -> None:
        """Out of the trash, to where it was unless said otherwise. Raises NameTaken; it then stays in the trash."""
        folder = parent or self.entries[entry.parent_id or ""]
        self._free(folder, name or entry.name, entry)
        entry.trashed_at, entry.name, entry.parent_id = None, name or entry.name, folder.id
        self._link(entry)
        entry.number += 1
        for one in [entry, *(self.below(entry) if entry.is_folder else ())]:
            self._note(one, False)

    def purge(self, entry: Entry) -> None:
        """Remove an entry, in the trash or not, with all below it for good."""
        if entry.trashed_at is None:
            self._unlink(entry)
        waiting = [entry]
        while waiting:
            one = waiting.pop()
            waiting += [other for other in self.entries.values() if other.parent_id == one.id] if one.is_folder else []
            del self.entries[one.id]
            self._children.pop(one.id, None)
            self.used_bytes -= sum(version.content.size_bytes for version in one.versions)
            self._note(one, True)

    def files(self) -> Iterator[tuple[Path, Entry]]:
        """Every visible file with its path."""
        waiting: list[tuple[Path, Entry]] = [((), self.root)]
        while waiting:
            path, folder = waiting.pop()
            for entry in self.children(folder):
                if entry.is_folder:
                    waiting.append(((*path, entry.name), entry))
                else:
                    yield (*path, entry.name), entry

    def _version(self, entry: Entry, content: Content, modified_at: datetime | None) -> Version:
        now = self._now()
        version = Version(str(next(self._version_ids)), content, now, modified_at or now)
        entry.versions.append(version)
        entry.content_number += 1
        self.used_bytes += content.size_bytes
        return version

    def _added(self, entry: Entry) -> Entry:
        self.entries[entry.id] = entry
        self._link(entry)
        self._note(entry, False)
        return entry

    def _note(self, entry: Entry, gone: bool) -> None:
        self.journal.append(Change(len(self.journal) + 1, entry, gone, self._now()))

    def _free(self, folder: Entry, name: str, besides: Entry | None) -> None:
        taken = [one for one in self.named(folder, name) if one is not besides] if self._unique else []
        if taken:
            raise NameTaken(taken[0])

    def _link(self, entry: Entry) -> None:
        parent_id = entry.parent_id or ""
        self._children[parent_id][entry.id] = entry
        self._names.setdefault((parent_id, self._key(entry.name)), {})[entry.id] = entry

    def _unlink(self, entry: Entry) -> None:
        parent_id = entry.parent_id or ""
        place = (parent_id, self._key(entry.name))
        del self._children[parent_id][entry.id]
        del self._names[place][entry.id]
        if not self._names[place]:
            del self._names[place]

    def _upwards(self, entry: Entry) -> Iterator[Entry]:
        one: Entry | None = entry
        while one is not None:
            yield one
            one = self.entries.get(one.parent_id) if one.parent_id is not None else None


def utc(unix_seconds: float) -> datetime:
    """A moment as an aware time in UTC."""
    return datetime.fromtimestamp(unix_seconds, UTC)
