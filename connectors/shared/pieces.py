"""One file's bytes on their way in from several places at once."""

import asyncio
from types import TracebackType
from typing import Self

from migration.contract import WriteAt
from migration.errors import ContractViolation, RetryableError


class Pieces:
    """Takes one file's pieces in any order. Leaving the context waits for the pieces that are being written, and then
    raises RetryableError `short-body` unless everything has come."""

    def __init__(self, write: WriteAt, size_bytes: int) -> None:
        self._write = write
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
            await self._write(offset, chunk)
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
