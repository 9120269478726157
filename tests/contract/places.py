"""The systems the contract is proved for. A new connector joins by one more row in PLACES."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from connectors.filesystem.connector import FilesystemConnector
from connectors.filesystem.settings import FilesystemSettings
from migration.clock import SystemClock
from migration.contract import Source
from migration.entries import PathParts

MODIFIED = datetime(2023, 4, 5, 6, 7, 8, 901_234, tzinfo=UTC)


class Place(Protocol):
    """One running system, and ways to look at it and to change it that do not go through the connector."""

    def connector(self, *, page_entries: int | None = None) -> Source:
        """A connector to it, not entered yet; `page_entries` asks for small pages of walks."""
        ...

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        """Put a file there, with its folders, replacing what is there."""
        ...

    async def plant_folder(self, path: PathParts) -> None:
        """Make an empty folder there."""
        ...

    async def remove(self, path: PathParts) -> None:
        """Remove the file there."""
        ...

    async def content(self, path: PathParts) -> bytes | None:
        """The bytes of the file there; None if there is none."""
        ...

    async def everything(self) -> set[PathParts]:
        """Every file that is there, staged ones included."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: how the place is made, given an empty folder."""

    name: str
    open: Callable[[Path], AbstractAsyncContextManager[Any]]


class FilesystemPlace:
    """A local folder."""

    def __init__(self, folder: Path, durability: Literal["none", "batch", "file"]) -> None:
        self.folder = folder
        self.durability: Literal["none", "batch", "file"] = durability

    def connector(self, *, page_entries: int | None = None) -> FilesystemConnector:
        settings = FilesystemSettings(folder=self.folder, durability=self.durability)
        if page_entries is None:
            return FilesystemConnector(settings, SystemClock())
        return FilesystemConnector(settings, SystemClock(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        place = self.folder.joinpath(*path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        at = int(modified_at.timestamp()) * 10**9 + modified_at.microsecond * 1000
        os.utime(place, ns=(at, at))

    async def plant_folder(self, path: PathParts) -> None:
        self.folder.joinpath(*path).mkdir(parents=True)

    async def remove(self, path: PathParts) -> None:
        self.folder.joinpath(*path).unlink()

    async def content(self, path: PathParts) -> bytes | None:
        place = self.folder.joinpath(*path)
        return place.read_bytes() if place.is_file() else None

    async def everything(self) -> set[PathParts]:
        return {path.relative_to(self.folder).parts for path in self.folder.rglob("*") if not path.is_dir()}


def _filesystem(durability: Literal["none", "batch", "file"]) -> Row:
    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[FilesystemPlace]:
        yield FilesystemPlace(folder, durability)

    return Row(f"filesystem-{durability}", opened)


PLACES = (_filesystem("batch"), _filesystem("file"))
