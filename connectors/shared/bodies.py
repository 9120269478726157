"""Bodies of requests that are sent while, or after, a file arrives in parts."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Protocol

from connectors.shared.receiving import Part

MEMORY_BYTES = 8 * 1024 * 1024
READ_BYTES = 1024 * 1024


class Body(Protocol):
    """Takes parts and gives them as a request's body, once."""

    async def give(self, part: Part) -> None:
        """Hand over a part; after the last one the body ends."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body."""
        ...


class Passed:
    """Hands each part to the request that is being sent, one at a time."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Part] = asyncio.Queue(maxsize=1)

    async def give(self, part: Part) -> None:
        await self._waiting.put(part)

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            part = await self._waiting.get()
            if part.data:
                yield part.data
            if part.is_last:
                return


class Spooled:
    """Keeps everything, on disk from 8 MiB on, until its length is known. `close` removes it."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(MEMORY_BYTES, prefix="sitehaul-")  # noqa: SIM115

    async def give(self, part: Part) -> None:
        await asyncio.to_thread(self._file.write, part.data)

    async def chunks(self) -> AsyncIterator[bytes]:
        await asyncio.to_thread(self._file.seek, 0)
        while chunk := await asyncio.to_thread(self._file.read, READ_BYTES):
            yield chunk

    def close(self) -> None:
        """Let go of what was kept."""
        self._file.close()
