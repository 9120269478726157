"""One file on its way to the share: what waits for what."""

from collections.abc import Awaitable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from connectors.shared.paths import staged_name
from connectors.shared.receiving import Part
from connectors.shared.sending import InFlight
from connectors.shared.tree import Incoming
from connectors.smb.channel import CHUNK_BYTES
from connectors.smb.writing import StagedFile
from migration.contract import Stored
from migration.entries import Entry
from migration.errors import ItemError

if TYPE_CHECKING:
    from connectors.smb.connector import SmbConnector

IN_FLIGHT = 6
"""How many parts of one file are on their way at the same time."""


class SmbUpload:
    """Writes the parts as they come, several at once; a file of one part with its time in one round trip."""

    part_bytes = CHUNK_BYTES

    def __init__(self, connector: "SmbConnector", file: Incoming) -> None:
        self._connector = connector
        self._threads = connector.threads
        self._file = file
        path = (*file.path[:-1], staged_name(file.staging_key))
        self._staged = StagedFile(connector.share, file.path, path, file.size_bytes)
        self._staged_path = path
        self._writes = InFlight(IN_FLIGHT)
        self._kept = ExitStack()
        self._is_whole = False
        self._is_begun = False

    async def write(self, part: Part) -> None:
        if not self._is_begun:
            await self._begin()
            if part.is_last:
                self._is_whole = True
                await self._made(self._threads.run(self._staged.write_whole, part.data, self._file.modified_at))
                return
            await self._made(self._threads.run(self._staged.create))
        await self._writes.start(len(part.data), self.write_at, part.offset, part.data)

    async def write_at(self, offset: int, data: bytes) -> None:
        """Write bytes at their place, after `begin_ranges` or a first part."""
        await self._threads.run(self._staged.write_at, offset, data)

    async def begin_ranges(self) -> None:
        """Get ready for `write_at`."""
        await self._begin()
        await self._made(self._threads.run(self._staged.create))

    async def finish(self) -> None:
        await self._writes.finish()
        if not self._is_whole:
            await self._threads.run(self._staged.finish, self._file.modified_at)

    async def publish(self) -> Stored:
        stored = await self._connector.published(self._file, self._publish)
        self._kept.close()
        return stored

    async def _publish(self, expected: Entry | None) -> Stored:
        async with self._connector.publishing(self._file.path):
            return await self._threads.run(self._staged.publish, expected)

    async def discard(self) -> None:
        await self._writes.stop()
        try:
            await self._threads.surely(self._staged.discard)
        finally:
            self._kept.close()

    async def _begin(self) -> None:
        await self._connector.folders.parent_of(self._file.path)
        self._kept.enter_context(self._connector.writing(self._staged_path))
        self._is_begun = True

    async def _made(self, making: Awaitable[None]) -> None:
        """Wait for the staged file; a folder that turns out to be gone is looked at anew the next time."""
        try:
            await making
        except ItemError as error:
            if error.code == "parent-missing":
                self._connector.folders.forget(self._file.path[:-1])
            raise
