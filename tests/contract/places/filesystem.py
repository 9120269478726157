import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from connectors.filesystem.connector import FilesystemConnector
from connectors.filesystem.settings import FilesystemSettings
from connectors.shared.services import Services
from connectors.shared.trash import TRASH_FOLDER
from migration.entries import PathParts
from tests.contract.place import MODIFIED, Place, Row


class FilesystemPlace(Place):
    """A local folder."""

    def __init__(self, folder: Path, durability: Literal["none", "batch", "file"]) -> None:
        self.folder = folder
        self.durability: Literal["none", "batch", "file"] = durability

    def connector(self, *, page_entries: int | None = None) -> FilesystemConnector:
        settings = FilesystemSettings(folder=self.folder, durability=self.durability)
        if page_entries is None:
            return FilesystemConnector(settings, Services())
        return FilesystemConnector(settings, Services(), page_entries=page_entries)

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
        found = (path.relative_to(self.folder).parts for path in self.folder.rglob("*") if not path.is_dir())
        return {path for path in found if path[0] != TRASH_FOLDER}

    def missing_root(self) -> FilesystemConnector:
        return FilesystemConnector(FilesystemSettings(folder=self.folder / "not" / "there"), Services())


def _row(durability: Literal["none", "batch", "file"]) -> Row:
    @asynccontextmanager
    async def opened(server: Any, folder: Path) -> AsyncIterator[FilesystemPlace]:
        yield FilesystemPlace(folder, durability)

    return Row(f"filesystem-{durability}", opened)


ROWS = (_row("batch"), _row("file"))
