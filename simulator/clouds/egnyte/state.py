"""What a simulated Egnyte domain is made of, for the operations that work on it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from simulator.clouds.base import Content, Path, Service, Switches
from simulator.clouds.egnyte import names
from simulator.clouds.egnyte.auth import SignIn
from simulator.clouds.egnyte.limits import Limits
from simulator.clouds.egnyte.world import Entry, World

if TYPE_CHECKING:
    from simulator.clouds.egnyte.content import Chunks

_SORTS: dict[str, Callable[[Entry], Any]] = {
    "name": lambda entry: entry.name.lower(), "path": lambda entry: entry.name.lower(),
    "size": lambda entry: 0 if entry.is_folder else entry.current.content.size,
    "last_modified": lambda entry: entry.modified_at if entry.is_folder else entry.current.modified_at,
    "created_time": lambda entry: entry.uploaded_at, "uploaded_by": lambda entry: entry.name.lower(),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EgnyteSwitches(Switches):
    """How a simulated Egnyte behaves. Its limits of calls are wide by default; the real ones are in the comments."""

    page_entries_max: int = 1000
    token_lifetime_seconds: float = 30 * 86_400.0
    session_lifetime_seconds: float = 86_400.0
    calls_per_second: int = 1_000_000
    """Per token; the real default is 2."""
    calls_per_day: int = 1_000_000_000
    """Per token; the real default is 1,000."""
    throttle_status: int = 403
    """403 with X-Mashery-Error-Code, or 429: both are documented."""
    token_requests_per_hour: int | None = None
    """The real limit is 10 for internal applications, 100 for others; one more gets 409."""
    direct_upload_bytes_max: int = 100 * 1024 * 1024
    """Recommended by one page, enforced by another."""
    chunk_bytes_min: int = 10 * 1024 * 1024
    chunk_bytes_max: int = 1024**3
    existing_folder_status: int = 403
    """What creating a folder that exists gets: 403 to the vendor's own Python client, 409 by newer pages."""
    existing_destination_status: int = 409
    """What moving or copying to where something is gets."""
    creates_parents: bool = False
    """Whether uploads and new folders make the missing folders above them."""
    events_kept: int = 500_000


class Egnyte(Service[EgnyteSwitches]):
    """One domain with one user, an administrator, who works in a folder of /Shared."""

    def __init__(self, url: str, switches: EgnyteSwitches) -> None:
        super().__init__(url, switches)
        self.world = World(self.clock)
        self.home = self.world.add_folder(self.world.shared, "Projects")
        self.sign_in = SignIn(self.tokens)
        self.credentials = {**self.sign_in.credentials(), "root": self.home.path}
        self.limits = Limits(self.clock)
        self.uploads: dict[str, Chunks] = {}
        self._order: dict[tuple[str, str, bool], tuple[int, list[Entry]]] = {}

    def ordered(self, folder: Entry, by: str, *, descending: bool) -> list[Entry]:
        """The items of a folder in the order of a listing, folders first; remembered until something changes."""
        place, changes = (folder.id, by, descending), len(self.world.events)
        known = self._order.get(place)
        if known is None or known[0] != changes:
            entries = sorted(folder.children.values(), key=_SORTS[by], reverse=descending)
            known = self._order[place] = (changes, sorted(entries, key=lambda entry: not entry.is_folder))
        return known[1]

    def unfinished(self) -> int:
        """Uploads in chunks that have not become files; nothing but their age ends them."""
        return sum(upload.expires_at > self.clock.now() for upload in self.uploads.values())

    def found(self, path: Path) -> Entry:
        """The item at a path below the root of the handle. Raises KeyError."""
        entry = self._at(path)
        if entry is None:
            raise KeyError(path)
        return entry

    def _at(self, path: Path) -> Entry | None:
        return self.world.at((*_path(self.home, self.world.root), *path))

    def plant(self, path: Path, content: bytes, modified_at: datetime) -> None:
        """Another person's upload, with the folders above it."""
        kept = Content.of(content)
        with self.world.from_outside():
            self.world.store(self._folder(path[:-1]), path[-1], kept, kept.digest("sha512"), modified_at.timestamp())

    def plant_folder(self, path: Path) -> None:
        """Another person's new folder, with those above it."""
        with self.world.from_outside():
            self._folder(path)

    def _folder(self, path: Path) -> Entry:
        folder = self.home
        for name in path:
            folder = folder.children.get(names.key(name)) or self.world.add_folder(folder, name)
        return folder

    def remove(self, path: Path) -> None:
        """Another person's deletion, into the trash. Raises KeyError."""
        with self.world.from_outside():
            self.world.delete(self.found(path))

    def lock(self, path: Path) -> None:
        """Another person's lock on a file. Raises KeyError."""
        self.found(path).locked_by_other = True

    def trash(self) -> list[Path]:
        """Where the things in the trash were, oldest first; not single versions of files that are still there."""
        begin = len(self.home.path) + 1
        return [
            tuple(gone.path[begin:].split("/")) for gone in self.world.trash.values()
            if gone.version is None and gone.path.startswith(f"{self.home.path}/")
        ]  # fmt: skip

    def content(self, path: Path) -> bytes | None:
        """The current bytes of a file of exactly this name; None if there is none."""
        entry = self._at(path)
        if entry is None or entry.is_folder or _path(entry, self.home) != path:
            return None
        return entry.current.content.read()

    def everything(self) -> set[Path]:
        """Every visible file."""
        return {_path(entry, self.home) for entry in self.home.below() if not entry.is_folder}


def _path(entry: Entry | None, above: Entry) -> Path:
    if entry is None or entry is above:
        return ()
    return (*_path(entry.parent, above), entry.name)
