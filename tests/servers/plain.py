"""Folders that servers keep as plain files: what tests look at and change behind a server's back."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PathParts = tuple[str, ...]
MODIFIED = datetime(2023, 4, 5, 6, 7, 8, 901_234, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PlainFolder:
    """A folder a server serves. Paths are tuples of names below it."""

    root: Path
    owner: tuple[int, int] | None = None
    """User and group that planted files get; None leaves them to the tests' user."""

    def below(self, *names: str) -> "PlainFolder":
        """A folder in it, made if it is not there."""
        self.plant_folder(names)
        return PlainFolder(self.root.joinpath(*names), self.owner)

    def content(self, path: PathParts) -> bytes | None:
        """The bytes of the file there; None if there is none."""
        place = self.root.joinpath(*path)
        return place.read_bytes() if place.is_file() else None

    def modified_at(self, path: PathParts) -> datetime:
        """When the file was last changed, to the microsecond."""
        return datetime.fromtimestamp(self.root.joinpath(*path).stat().st_mtime_ns // 1000 / 1e6, UTC)

    def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        """Put a file there, with its folders, replacing what is there."""
        self.plant_folder(path[:-1])
        place = self.root.joinpath(*path)
        place.write_bytes(content)
        self.hand_over(place)
        at = int(modified_at.timestamp()) * 10**9 + modified_at.microsecond * 1000
        os.utime(place, ns=(at, at))

    def plant_folder(self, path: PathParts) -> None:
        """Make a folder there, with those above it."""
        place = self.root
        for name in path:
            place = place / name
            if not place.is_dir():
                place.mkdir()
                self.hand_over(place)

    def remove(self, path: PathParts) -> None:
        """Remove the file or the folder with all that is in it; nothing happens if there is none."""
        place = self.root.joinpath(*path)
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)

    def everything(self) -> set[PathParts]:
        """Every file that is there, staged ones included."""
        return {path.relative_to(self.root).parts for path in self.root.rglob("*") if not path.is_dir()}

    def folders(self) -> set[PathParts]:
        """Every folder that is there."""
        return {path.relative_to(self.root).parts for path in self.root.rglob("*") if path.is_dir()}

    def hand_over(self, place: Path) -> None:
        """Give it to the owner."""
        if self.owner is not None:
            os.chown(place, *self.owner)


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder every user of this machine may enter, with a short path; removed with the block.

    pytest's own temporary folders are closed to others, and the paths of local sockets may have 107 bytes only.
    """
    with tempfile.TemporaryDirectory(prefix="sitehaul-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextlib.contextmanager
def small_disk(place: Path, size_bytes: int) -> Iterator[bool]:
    """A file system of so many bytes at the place; False, and an ordinary folder, where this user may not mount."""
    place.mkdir(parents=True, exist_ok=True)
    mount = shutil.which("mount")
    mounted = (
        mount is not None
        and os.geteuid() == 0
        and subprocess.run(
            [mount, "-t", "tmpfs", "-o", f"size={size_bytes},mode=0755", "sitehaul", str(place)],
            capture_output=True, check=False,
        ).returncode == 0
    )  # fmt: skip
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run([shutil.which("umount") or "umount", "-l", str(place)], capture_output=True, check=False)
