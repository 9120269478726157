"""The filesystem connector: what it promises beyond the contract, and how the parts work together.

* Nothing outside the connection's folder is read or written, whatever a name says and whoever swaps folders for links
  meanwhile (root.py). Links are listed as problems and never followed.
* A file becomes visible in one step. Where nothing was expected, a file that appears at the last moment is not
  overwritten (kernel.py). What a killed process leaves is a staged name `.sitehaul-<key>.part` in the same folder; it
  is not listed, the next put with the key replaces it, and `sweep_staged` removes the rest.
* What is deleted is moved into `.sitehaul-trash` in the connection's folder, which walks do not list.
* Durability as the connection's `durability` says. `batch`: content and names are durable when `flush` returns. A
  power loss before that may leave a file under its final name whose content is incomplete; nothing has recorded it as
  done then, and the next run compares its hash. `file`: no file is visible before its content is durable.
* Blocking calls run in threads; nothing is left running behind a cancelled call. A cancellation that comes while a file
  is being published is raised after it was: either nothing is visible, or `put` returns.
"""

import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self

from connectors.filesystem.durability import flush
from connectors.filesystem.folders import make_folder
from connectors.filesystem.incoming import batches
from connectors.filesystem.listing import SYSTEM
from connectors.filesystem.moving import delete_to_trash, find_deleted, move, restore
from connectors.filesystem.probing import probe
from connectors.filesystem.reading import Reader, sha256_of, stat_entry
from connectors.filesystem.root import Root
from connectors.filesystem.settings import FilesystemSettings
from connectors.filesystem.walking import PAGE_ENTRIES, Walker, inside, sweep
from connectors.filesystem.writing import StagedFile
from connectors.shared.pieces import Pieces
from connectors.shared.services import Services
from connectors.shared.threads import OneBehind, Threads
from migration.capabilities import Capabilities, NameRules, Operation
from migration.contract import ConnectionReport, Precondition, Stored, WalkPage, WriteAt
from migration.entries import Entry, PathParts, Ref
from migration.platforms import name_rules

_PLATFORMS = {"posix": "nfs_linux_share", "windows": "smb_windows_share", "portable": "portable_safe_profile"}
_THREADS = 16
"""Enough to keep a share with some latency busy; on a local disk few of them ever start."""


class FilesystemConnector:
    """One folder as source and destination. Implements Source, Destination, Flushable, RangeWritable, ContentHash,
    Movable, Trash, Browsable and StagedSweep of migration/contract.py."""

    def __init__(
        self,
        settings: FilesystemSettings,
        services: Services,  # noqa: ARG002 - all connectors are made alike
        *,
        page_entries: int = PAGE_ENTRIES,
    ) -> None:
        """Touches nothing; the folder is opened by the first call that needs it."""
        self._settings = settings
        self._page_entries = page_entries
        self._root = Root(settings.folder)
        self._threads = Threads(_THREADS)
        self._capabilities = _capabilities(settings)
        self._writing: dict[str, int] = {}
        self._unflushed_folders: list[PathParts] = []

    @property
    def system(self) -> str:
        return SYSTEM

    @property
    def display_name(self) -> str:
        return self._settings.display_name

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._threads.close()
        self._root.close()

    async def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        walker = Walker(self._root, root, resume_from, self._page_entries)
        try:
            more = True
            while more:
                page = await self._threads.run(walker.page)
                more = page.cursor is not None
                yield page
        finally:
            walker.close()

    @asynccontextmanager
    async def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        reader = Reader(self._root, entry, offset, length)
        try:
            yield self._chunks(reader, await self._threads.run(reader.begin))
        finally:
            reader.close()

    async def test(self) -> ConnectionReport:
        return await self._threads.run(probe, self._root, self._settings.names)

    async def inside(self, path: PathParts) -> tuple[Entry, ...]:
        return await self._threads.run(inside, self._root, path)

    async def stat(self, path: PathParts) -> Entry | None:
        return await self._threads.run(stat_entry, self._root, path)

    async def make_folder(self, path: PathParts) -> Ref:
        durable = self._settings.durability == "file"
        ref, was_made = await self._threads.run(make_folder, self._root, path, durable=durable)
        if was_made and self._settings.durability == "batch":
            self._unflushed_folders.append(path)
        return ref

    async def put(
        self,
        path: PathParts,
        chunks: AsyncIterator[bytes],
        *,
        size_bytes: int | None,
        modified_at: datetime | None,
        precondition: Precondition,
        staging_key: str,
        before_publish: Callable[[], Awaitable[None]],
    ) -> Stored:
        async with self._staged(path, staging_key) as staged:
            await self._receive(staged, chunks, size_bytes, modified_at)
            await before_publish()
            return await self._threads.to_the_end(staged.publish, precondition)

    async def put_ranges(
        self,
        path: PathParts,
        *,
        size_bytes: int,
        modified_at: datetime | None,
        precondition: Precondition,
        staging_key: str,
        fill: Callable[[WriteAt], Awaitable[object]],
        before_publish: Callable[[], Awaitable[None]],
    ) -> Stored:
        async with self._staged(path, staging_key) as staged:
            await self._threads.run(staged.create, size_bytes)
            async with Pieces(lambda *piece: self._threads.run(staged.write_at, *piece), size_bytes) as pieces:
                await fill(pieces.write_at)
            await self._threads.run(staged.finish, modified_at)
            await before_publish()
            return await self._threads.to_the_end(staged.publish, precondition)

    async def flush(self, paths: tuple[PathParts, ...]) -> None:
        if self._settings.durability != "batch":
            return
        folders, self._unflushed_folders = self._unflushed_folders, []
        try:
            await self._threads.run(flush, self._root, paths, folders)
        except BaseException:
            self._unflushed_folders += folders
            raise

    async def sha256(self, path: PathParts) -> str:
        stop = threading.Event()
        hashing = self._threads.start(sha256_of, self._root, path, stop)
        return await self._threads.stoppable(hashing, stop)

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        return await self._threads.to_the_end(move, self._root, entry, to)

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:
        return await self._threads.to_the_end(delete_to_trash, self._root, entry, key)

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:  # noqa: ARG002
        return await self._threads.run(find_deleted, self._root, path, key)

    async def restore(self, token: str) -> PathParts:
        return await self._threads.to_the_end(restore, self._root, token)

    async def sweep_staged(self, root: PathParts) -> int:
        """Remove the staged files below `root` that this connector is not writing itself; how many. A put of another
        process that loses its staged file to this raises a RetryableError and writes it again."""
        return await self._threads.run(sweep, self._root, root, frozenset(self._writing))

    @asynccontextmanager
    async def _staged(self, path: PathParts, staging_key: str) -> AsyncIterator[StagedFile]:
        staged = StagedFile(self._root, path, staging_key, durable=self._settings.durability == "file")
        self._writing[staged.name] = self._writing.get(staged.name, 0) + 1
        try:
            yield staged
        finally:
            self._writing[staged.name] -= 1
            if not self._writing[staged.name]:
                del self._writing[staged.name]
            if staged.is_open:
                await self._threads.surely(staged.discard)

    async def _receive(
        self, staged: StagedFile, chunks: AsyncIterator[bytes], size_bytes: int | None, modified_at: datetime | None
    ) -> None:
        """Everything of `chunks` into the staged file, which is finished then. A small file takes one thread call."""
        begun = False
        async with aclosing(batches(chunks, size_bytes)) as incoming, OneBehind(self._threads) as behind:
            async for batch in incoming:
                if batch.is_last and not begun:
                    await behind.start(staged.write_whole, batch.buffers, modified_at)
                elif batch.is_last:
                    await behind.start(staged.write, batch.buffers)
                    await behind.start(staged.finish, modified_at)
                else:
                    if not begun:
                        await behind.start(staged.create, size_bytes)
                    begun = True
                    await behind.start(staged.write, batch.buffers)

    async def _chunks(self, reader: Reader, first: bytes) -> AsyncIterator[bytes]:
        chunk = first
        while chunk:
            yield chunk
            chunk = await self._threads.run(reader.chunk) if reader.has_more else b""


def _capabilities(settings: FilesystemSettings) -> Capabilities:
    return Capabilities(
        names=_names(settings),
        time_precision_seconds=1e-6,
        atomic_publish=True,
        keeps_times=True,
        operations=frozenset(
            {
                Operation.RANGE_READS,
                Operation.RANGE_WRITES,
                Operation.CONTENT_HASH,
                Operation.MOVE,
                Operation.DELETE_TO_TRASH,
            }
        ),
    )


def _names(settings: FilesystemSettings) -> NameRules:
    """The platform's rules. On POSIX the limit is for whole paths, of which the connection's folder takes its part."""
    rules = name_rules(_PLATFORMS[settings.names])
    if settings.names != "posix" or rules.path_length_max is None:
        return rules
    return replace(rules, path_length_max=max(1, rules.path_length_max - _length_with_separator(settings.folder)))


def _length_with_separator(folder: Path) -> int:
    return len(os.fsencode(folder)) + 2
