"""The smallest connector: a system in this process's memory. CONTRIBUTING.md shows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from connectors.shared.giving import source_changed
from connectors.shared.paths import path_entry, path_of_ref
from connectors.shared.receiving import Part
from connectors.shared.tree import Incoming, TreeConnector, check_expected
from connectors.shared.walking import Listing
from migration.capabilities import Capabilities, NameRules
from migration.contract import Finding, Stored
from migration.entries import Entry, EntryKind, PathParts, Ref

CAPABILITIES = Capabilities(names=NameRules(segment_length_max=255), keeps_times=True, atomic_publish=True)
Store = dict[PathParts, tuple[Entry, bytes]]


class MemoryConnector(TreeConnector):
    SYSTEM = "memory"
    READINGS_ARE_OF_ONE_VERSION = True

    def __init__(self, store: Store, *, page_entries: int | None = None) -> None:
        super().__init__(display_name="Memory", capabilities=CAPABILITIES, page_entries=page_entries)
        self.store = store

    async def look(self, path: PathParts) -> Entry | None:
        return self.store[path][0] if path in self.store else None

    async def list_folder(self, folder: Entry) -> Listing:
        inside = path_of_ref(folder.ref)
        return Listing([entry for path, (entry, _) in self.store.items() if path and path[:-1] == inside])

    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:
        if path in self.store:
            return None
        self.store[path] = path_entry("memory", path, EntryKind.FOLDER), b""
        return self.store[path][0].ref

    @asynccontextmanager
    async def read(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        found, content = self.store.get(path_of_ref(entry.ref), (None, b""))
        if found != replace(entry, path=path_of_ref(entry.ref)):
            raise source_changed(entry.name)
        yield one_chunk(content[offset:][:length])

    def upload(self, file: Incoming) -> "MemoryUpload":
        return MemoryUpload(self, file)

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        return "this process", (Finding("info", "writable", "Files can be written."),)


@dataclass
class MemoryUpload:
    connector: MemoryConnector
    file: Incoming
    content: bytearray = field(default_factory=bytearray)
    part_bytes = 1024 * 1024

    async def write(self, part: Part) -> None:
        await self.connector.folders.parent_of(self.file.path)
        self.content += part.data

    async def finish(self) -> None: ...

    async def publish(self) -> Stored:
        path, at = self.file.path, self.file.modified_at or datetime.now(UTC)
        check_expected(self.connector.shown(path), await self.connector.look(path), self.file.expected)
        entry = file_at(path, bytes(self.content), at)
        self.connector.store[path] = entry, bytes(self.content)
        return Stored(entry.ref, entry.name, len(self.content), at)

    async def discard(self) -> None:
        self.content.clear()


def file_at(path: PathParts, content: bytes, at: datetime) -> Entry:
    version, size = f"{at.timestamp()}-{len(content)}", len(content)
    return path_entry("memory", path, EntryKind.FILE, size_bytes=size, modified_at=at, version_id=version)


async def one_chunk(content: bytes) -> AsyncIterator[bytes]:
    yield content
