"""Bytes on their way into a file: gathered from a stream, or in pieces from several places at once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from connectors.filesystem.threads import Threads
from connectors.filesystem.writing import StagedFile
from migration.errors import ContractViolation, RetryableError

GATHERED_BYTES = 1024 * 1024
"""From here on a batch is written; smaller files are written by a single call."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some chunks; `is_last` when the stream is known to end with them."""

    buffers: list[bytes]
    is_last: bool


async def batches(chunks: AsyncIterator[bytes], size_bytes: int | None) -> AsyncGenerator[Batch, None]:
    """The stream in batches, at least one. Raises RetryableError `long-body` with the first byte too many and
    `short-body` at an early end; `size_bytes` None = any length will do."""
    gathered: list[bytes] = []
    gathered_bytes = total_bytes = 0
    async for chunk in chunks:
        gathered.append(chunk)
        gathered_bytes += len(chunk)
        total_bytes += len(chunk)
        if size_bytes is not None and total_bytes > size_bytes:
            raise RetryableError("long-body", f"More than the expected {size_bytes} bytes arrived")
        if gathered_bytes >= GATHERED_BYTES:
            yield Batch(gathered, is_last=False)
            gathered, gathered_bytes = [], 0
    if size_bytes is not None and total_bytes < size_bytes:
        raise RetryableError("short-body", f"{total_bytes} of {size_bytes} bytes arrived")
    yield Batch(gathered, is_last=True)


class Pieces:
    """Takes one file's pieces in any order. Leaving the context waits for the pieces that are being written, and then
    raises RetryableError `short-body` unless everything has come."""

    def __init__(self, threads: Threads, staged: StagedFile, size_bytes: int) -> None:
        self._threads = threads
        self._staged = staged
        self._size_bytes = size_bytes
        self._written_bytes = 0
        self._active = 0
        self._closed = False
        self._idle = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        await self._until_idle()
        if error is None and self._written_bytes != self._size_bytes:
            raise RetryableError("short-body", f"{self._written_bytes} of {self._size_bytes} bytes arrived")

    async def write_at(self, offset: int, chunk: bytes) -> None:
        """Write the chunk at its place; returns when it is there."""
        if self._closed:
            raise ContractViolation("written-too-late", "A piece came after `fill` had returned")
        if offset < 0 or offset + len(chunk) > self._size_bytes:
            raise RetryableError("long-body", f"More than the expected {self._size_bytes} bytes arrived")
        self._active += 1
        try:
            await self._threads.run(self._staged.write_at, offset, chunk)
            self._written_bytes += len(chunk)
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()

    async def _until_idle(self) -> None:
        cancelled: asyncio.CancelledError | None = None
        while self._active:
            self._idle.clear()
            try:
                await self._idle.wait()
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
