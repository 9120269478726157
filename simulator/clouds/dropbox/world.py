"""What a simulated Dropbox holds: one tree of names that differ in more than case, with revisions, and what happened.

Names: https://help.dropbox.com/organize/file-names and the path formats of the documentation. That the two normal forms
of a name are one name is not written there; https://github.com/samschott/maestral/pull/679 met it. Whatever is deleted
can be restored by its revisions; there is no trash folder.
"""

import hashlib
import itertools
import secrets
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from simulator.clouds.base import Content
from simulator.clouds.dropbox.errors import PathProblem, tagged

NAME_CHARACTERS_MAX = 255
BLOCK_BYTES = 4 * 1024 * 1024
RELOCATED_MAX = 10_000
"""Files and folders one move or copy may concern."""
_DISALLOWED = frozenset((
    "desktop.ini", "thumbs.db", ".ds_store", "icon\r", ".dropbox", ".dropbox.attr", ".dropbox.cache",
))  # fmt: skip
_FIRST_REV = 0x5C1000000000000000001


@dataclass(slots=True, eq=False)
class Revision:
    """One content a file had or has."""

    rev: str
    content: Content
    client_modified: datetime
    server_modified: datetime
    name: str
    path: str
    """Where it was, as shown."""


@dataclass(slots=True, eq=False)
class Entry:
    """A file or folder; the root has no parent."""

    id: str
    name: str
    parent: "Entry | None"
    is_folder: bool
    children: dict[str, "Entry"] = field(default_factory=dict)
    revisions: list[Revision] = field(default_factory=list)
    """Oldest first; the last is the current one."""
    namespace: str | None = None
    """Of a folder that is a namespace of its own."""
    export_as: str | None = None
    """Of a file that cannot be downloaded: what it can be exported as."""
    deleted_at: datetime | None = None

    @property
    def current(self) -> Revision:
        return self.revisions[-1]

    def above(self) -> Iterator["Entry"]:
        """The entry itself, then the folders it is in."""
        at: Entry | None = self
        while at is not None:
            yield at
            at = at.parent

    def below(self) -> Iterator["Entry"]:
        """Everything in a folder at any depth, folders before what they hold."""
        waiting = list(self.children.values())[::-1]
        while waiting:
            entry = waiting.pop()
            yield entry
            waiting += list(entry.children.values())[::-1]

    def path(self, root: "Entry") -> str | None:
        """Its path below a root, as shown; None if it is not below it."""
        names: list[str] = []
        for entry in self.above():
            if entry is root:
                return "".join(f"/{name}" for name in reversed(names))
            names.append(entry.name)
        return None


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed at a path (below the tree's root, as shown)."""

    number: int
    path: str


class World:
    """The tree, its deleted files, and its events."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._revs = itertools.count(_FIRST_REV)
        self.root = Entry(new_id(), "", None, True, namespace="3000")
        self.by_id: dict[str, Entry] = {self.root.id: self.root}
        self.by_rev: dict[str, tuple[Entry, Revision]] = {}
        self.revisions_at: dict[str, list[Revision]] = {}
        """Of each path, in lower case: the revisions that files had there, oldest first."""
        self.events: list[Event] = []
        self.latest: dict[str, int] = {}
        """The last event of each path, in lower case."""
        self.deleted: dict[str, Entry] = {}
        """What was last at a path where nothing is now."""
        self.used_bytes = 0
        self.on_change: list[Callable[[], None]] = []

    def names(self, path: str) -> list[str]:
        """The names of a path that begins with a slash. Raises PathProblem for one that cannot be."""
        names = path.split("/")[1:] if path else []
        for name in names:
            if not name or name in (".", "..") or "\\" in name or "\x7f" in name or "\x00" in name:
                raise PathProblem(tagged("malformed_path"))
            if name.endswith(" ") or len(name) > NAME_CHARACTERS_MAX:
                raise PathProblem(tagged("malformed_path"))
        return names

    def child(self, folder: Entry, name: str) -> Entry | None:
        """What has this name in a folder, in whatever case."""
        return folder.children.get(folded(name))

    def at(self, root: Entry, names: list[str]) -> Entry | None:
        """What is at a path, or None."""
        entry: Entry | None = root
        for name in names:
            entry = None if entry is None else self.child(entry, name)
        return entry

    def folders(self, root: Entry, names: list[str]) -> Entry:
        """The folder at a path, made where missing. Raises PathProblem where a file is, or for a name not allowed."""
        folder = root
        for name in names:
            found = self.child(folder, name)
            if found is None:
                check_name(name)
                found = self.add(folder, Entry(new_id(), name, folder, True))
            elif not found.is_folder:
                raise PathProblem(tagged("conflict", "file_ancestor"))
            folder = found
        return folder

    def add(self, folder: Entry, entry: Entry) -> Entry:
        """Put an entry into a folder where nothing of its name is."""
        entry.parent, entry.deleted_at = folder, None
        folder.children[folded(entry.name)] = entry
        for one in (entry, *entry.below()):
            self.by_id[one.id] = one
            self.happened(one)
        return entry

    def take(self, entry: Entry) -> None:
        """Take an entry, with all below it, out of its folder."""
        assert entry.parent is not None
        self.happened(entry)
        del entry.parent.children[folded(entry.name)]

    def delete(self, entry: Entry) -> None:
        """Delete an entry with all below it; their revisions stay."""
        now = self._now()
        for one in (entry, *entry.below()):
            one.deleted_at = now
            self.deleted[folded(one.path(self.root) or "")] = one
            self.by_id.pop(one.id, None)
            self.used_bytes -= one.current.content.size_bytes if one.revisions else 0
        self.take(entry)

    def write(self, entry: Entry, content: Content, client_modified: datetime | None) -> Revision:
        """Give a file a new revision."""
        now = self._now().replace(microsecond=0)
        path = entry.path(self.root) or ""
        one = Revision(self.new_rev(), content, client_modified or now, now, entry.name, path)
        self.used_bytes += content.size_bytes - (entry.current.content.size_bytes if entry.revisions else 0)
        entry.revisions.append(one)
        self.by_rev[one.rev] = (entry, one)
        self.revisions_at.setdefault(folded(path), []).append(one)
        self.happened(entry)
        return one

    def new_rev(self) -> str:
        """A revision's name: greater than those before."""
        return f"{next(self._revs):x}"

    def happened(self, entry: Entry) -> None:
        """Note that something changed at an entry's path."""
        path = entry.path(self.root) or ""
        number = len(self.events) + 1
        self.events.append(Event(number, path))
        self.latest[folded(path)] = number
        for told in self.on_change:
            told()


class ContentHash:
    """Dropbox's hash: SHA-256 of the SHA-256s of the blocks of 4 MiB.

    https://www.dropbox.com/developers/reference/content-hash
    """

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._block = hashlib.sha256()
        self._filled = 0

    def update(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            piece = view[: BLOCK_BYTES - self._filled]
            self._block.update(piece)
            self._filled += len(piece)
            view = view[len(piece) :]
            if self._filled == BLOCK_BYTES:
                self._whole.update(self._block.digest())
                self._block, self._filled = hashlib.sha256(), 0

    def digest(self) -> bytes:
        whole = self._whole.copy()
        if self._filled:
            whole.update(self._block.digest())
        return whole.digest()


def content_hash(content: Content) -> str:
    """The hash of a content, in hexadecimal."""
    return content.digest_by("dropbox", ContentHash).hex()


def folded(path: str) -> str:
    """The same for all names, or paths, that are one to Dropbox."""
    return unicodedata.normalize("NFC", path).lower()


def check_name(name: str) -> None:
    """Raise PathProblem for a name that Dropbox does not store."""
    if name.lower() in _DISALLOWED or name.startswith(("~$", ".~")) or (name[:1] == "~" and name.endswith(".tmp")):
        raise PathProblem(tagged("disallowed_name"))


def new_id() -> str:
    """A new id."""
    return f"id:{secrets.token_urlsafe(16)}"


def numbered(name: str, number: int) -> str:
    """The name Dropbox finds when it is taken: `a (1).txt`."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem} ({number}).{ending}" if dot and stem else f"{name} ({number})"


def conflicted(name: str, owner: str, number: int) -> str:
    """The name of a copy that conflicts: `a (Amelie's conflicted copy).txt`."""
    again = f" {number}" if number > 1 else ""
    stem, dot, ending = name.rpartition(".")
    mark = f"({owner}'s conflicted copy{again})"
    return f"{stem} {mark}.{ending}" if dot and stem else f"{name} {mark}"


def time_text(at: datetime) -> str:
    """A time as Dropbox writes it: whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parsed_time(text: str) -> datetime | None:
    """The time of a text that Dropbox takes; None for none."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
