from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.shared.paths import path_entry
from migration.entries import EntryKind, PathParts
from tests.contract.example import MemoryConnector, Store, file_at
from tests.contract.place import MODIFIED, Place, Row


class MemoryPlace(Place):
    """The example of CONTRIBUTING.md."""

    def __init__(self) -> None:
        self.store: Store = {(): (path_entry("memory", (), EntryKind.FOLDER), b"")}

    def connector(self, *, page_entries: int | None = None) -> MemoryConnector:
        return MemoryConnector(self.store, page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        await self.plant_folder(path[:-1])
        self.store[path] = file_at(path, content, modified_at), content

    async def plant_folder(self, path: PathParts) -> None:
        for depth in range(len(path) + 1):
            self.store.setdefault(path[:depth], (path_entry("memory", path[:depth], EntryKind.FOLDER), b""))

    async def remove(self, path: PathParts) -> None:
        del self.store[path]

    async def content(self, path: PathParts) -> bytes | None:
        entry, content = self.store.get(path, (None, b""))
        return content if entry is not None and entry.is_file else None

    async def everything(self) -> set[PathParts]:
        return {path for path, (entry, _) in self.store.items() if entry.is_file}


@asynccontextmanager
async def opened(server: Any, folder: Path) -> AsyncIterator[MemoryPlace]:
    yield MemoryPlace()


ROWS = (Row("memory", opened),)
