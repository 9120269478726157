"""One file on its way to the server: what waits for what."""

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from connectors.sftp.staged import StagedFile
from connectors.shared.paths import staged_name
from connectors.shared.receiving import Part
from connectors.shared.sending import InFlight
from connectors.shared.tree import Incoming
from migration.contract import Stored
from migration.entries import Entry
from migration.errors import ItemError

if TYPE_CHECKING:
    from connectors.sftp.connector import SftpConnector

PART_BYTES = 1024 * 1024
IN_FLIGHT = 8
"""How many parts of one file are on their way at the same time."""


class SftpUpload:
    """Writes the parts as they come, several at once."""

    part_bytes = PART_BYTES

    def __init__(self, connector: "SftpConnector", file: Incoming) -> None:
        self._connector = connector
        self._file = file
        self._staged_path = (*file.path[:-1], staged_name(file.staging_key))
        self._staged = StagedFile(connector.server, file.path, self._staged_path, file.size_bytes)
        self._writes = InFlight(IN_FLIGHT)
        self._kept = ExitStack()
        self._is_whole = False
        self._is_begun = False

    async def write(self, part: Part) -> None:
        if not self._is_begun:
            await self._begin()
            if part.is_last:
                self._is_whole = True
                await self._or_forget_parent(self._staged.write_whole(part.data, self._file.modified_at))
                return
            await self._or_forget_parent(self._staged.create())
        await self._writes.start(len(part.data), self._staged.write_at, part.offset, part.data)

    async def write_at(self, offset: int, data: bytes) -> None:
        """Write bytes at their place, after `begin_ranges`."""
        await self._staged.write_at(offset, data)

    async def begin_ranges(self) -> None:
        """Get ready for `write_at`."""
        await self._begin()
        await self._or_forget_parent(self._staged.create())

    async def finish(self) -> None:
        await self._writes.finish()
        if not self._is_whole:
            await self._staged.finish(self._file.modified_at)

    async def publish(self) -> Stored:
        stored = await self._connector.published(self._file, self._publish)
        self._kept.close()
        return stored

    async def _publish(self, expected: Entry | None) -> Stored:
        async with self._connector.publishing(self._file.path):
            return await self._staged.publish(expected)

    async def discard(self) -> None:
        await self._writes.stop()
        try:
            await self._staged.discard()
        finally:
            self._kept.close()

    async def _begin(self) -> None:
        await self._connector.folders.parent_of(self._file.path)
        self._kept.enter_context(self._connector.writing(self._staged_path))
        self._is_begun = True

    async def _or_forget_parent(self, step: "asyncio.Future[object] | object") -> None:
        try:
            await step  # type: ignore[misc]
        except ItemError as error:
            if error.code == "parent-missing":
                self._connector.folders.forget(self._file.path[:-1])
            raise
