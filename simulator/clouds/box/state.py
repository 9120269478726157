"""What a simulated Box is made of, for the operations that work on it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from simulator.clouds.base import Content, Path, Service, Switches
from simulator.clouds.box import names, shapes
from simulator.clouds.box.auth import SignIn
from simulator.clouds.box.world import Entry, World

if TYPE_CHECKING:
    from simulator.clouds.box.downloads import Link
    from simulator.clouds.box.sessions import Session

HOSTS = {
    "api": "", "upload": "/upload.box.com/api", "account": "/account.box.com/api/oauth2",
    "download": "/dl.boxcloud.com",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxSwitches(Switches):
    """How a simulated Box behaves."""

    page_entries_max: int = 1000
    session_lifetime_seconds: float = 7 * 86_400.0
    session_bytes_min: int = 20_000_000
    """The smallest file that may go up in parts."""
    part_size_bytes: int = 8 * 1024 * 1024
    direct_upload_bytes_max: int = 50_000_000
    file_bytes_max: int = 5 * 1024**3
    """The largest file of the plan (https://support.box.com/hc/en-us/articles/360043697314)."""
    commit_waits: int = 1
    """How often committing an upload in parts answers 202 before it is done."""
    commit_retry_after_seconds: int = 1
    download_waits: int = 0
    """How often the download of a version answers 202 before its first bytes."""
    download_url_seconds: float = 900.0
    folder_operation_seconds: float = 0.0
    """How long moving, copying or deleting a folder blocks it for others."""
    clean_names: bool = False
    """Whether characters that are not allowed are removed from names instead of refused."""
    content_modified_at_on_update: bool = False
    """Whether PUT /files/{id} takes `content_modified_at`, as the real one does without saying so."""
    event_duplicates: bool = True
    unauthorized_body: bool = False
    """Whether a 401 has the JSON of other errors; the real one is empty but for its header."""


class Box(Service[BoxSwitches]):
    """One enterprise with one user, who sees one tree."""

    hosts: ClassVar[dict[str, str]] = HOSTS

    def __init__(self, url: str, switches: BoxSwitches) -> None:
        super().__init__(url, switches)
        self.urls = {host: url + prefix for host, prefix in HOSTS.items()}
        self.world = World(self.clock)
        self.sign_in = SignIn(self.tokens)
        self.credentials = self.sign_in.credentials()
        self.sessions: dict[str, Session] = {}
        self.links: dict[str, Link] = {}
        self._waited: dict[str, int] = {}
        self._order: dict[tuple[str, str, bool], tuple[int, list[Entry]]] = {}

    def ordered(self, folder: Entry, by: str, *, descending: bool) -> list[Entry]:
        """The items of a folder in the order of a listing; remembered until something changes."""
        place, changes = (folder.id, by, descending), len(self.world.events)
        known = self._order.get(place)
        if known is None or known[0] != changes or by in ("date", "size"):
            known = self._order[place] = (
                changes, shapes.in_order(folder.children.values(), by, descending=descending)
            )  # fmt: skip
        return known[1]

    def not_ready(self, version_id: str) -> bool:
        """Whether the bytes of a version cannot be had yet; asking counts."""
        asked = self._waited.get(version_id, 0)
        if asked >= self.switches.download_waits:
            return False
        self._waited[version_id] = asked + 1
        return True

    def unfinished(self) -> int:
        """Upload sessions that are neither committed nor aborted nor too old."""
        return sum(session.expires_at > self.clock.now() for session in self.sessions.values())

    def found(self, path: Path) -> Entry:
        """The visible item at a path. Raises KeyError."""
        entry = self.world.at(path)
        if entry is None:
            raise KeyError(path)
        return entry

    def plant(self, path: Path, content: bytes, modified_at: datetime) -> None:
        """Another person's upload, with the folders above it."""
        there, at = self.world.at(path), modified_at.timestamp()
        if there is None:
            self.world.add_file(self._folder(path[:-1]), path[-1], Content.of(content), at, at)
        else:
            self.world.add_version(there, Content.of(content), at)

    def plant_folder(self, path: Path) -> None:
        """Another person's new folder, with those above it."""
        self._folder(path)

    def _folder(self, path: Path) -> Entry:
        folder = self.world.root
        for name in path:
            folder = folder.children.get(names.key(name)) or self.world.add_folder(folder, name)
        return folder

    def remove(self, path: Path) -> None:
        """Another person's deletion, into the trash. Raises KeyError."""
        self.world.trash(self.found(path))

    def lock(self, path: Path) -> None:
        """Another person's lock on a file. Raises KeyError."""
        self.found(path).locked_by_other = True

    def trash(self) -> list[Path]:
        """Where the things in the trash were, oldest first."""
        gone = sorted(self.world.trashed(), key=lambda entry: entry.trashed_at or 0.0)
        return [(*_path(entry.parent), entry.name) for entry in gone]

    def content(self, path: Path) -> bytes | None:
        """The current bytes of a file of exactly this name; None if there is none."""
        entry = self.world.at(path)
        if entry is None or entry.kind == "folder" or _path(entry) != path:
            return None
        return entry.current.content.read()

    def everything(self) -> set[Path]:
        """Every visible file."""
        return {_path(entry) for entry in self.world.root.below() if entry.kind == "file"}


def _path(entry: Entry | None) -> Path:
    if entry is None or entry.parent is None:
        return ()
    return (*_path(entry.parent), entry.name)
