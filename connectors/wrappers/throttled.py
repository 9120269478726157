"""A connection whose bandwidth is bounded, so that an office can work while its files are copied."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from connectors.wrappers.passing import PassingDestination, PassingSource, is_destination, wrapped
from migration.capabilities import Capabilities, Operation
from migration.clock import Clock
from migration.contract import Precondition, RangeWritable, Source, Stored
from migration.entries import Entry, PathParts

BURST_SECONDS = 0.25
"""How much may pass at once after a pause; below this a limit would break up small files."""


class Bandwidth:
    """Lets so many bytes a second pass, over everything that shares it, in the order of asking."""

    def __init__(self, bytes_per_second: float, clock: Clock) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._free_at = clock.monotonic()

    async def take(self, size_bytes: int) -> None:
        """Return when these bytes may have passed."""
        now = self._clock.monotonic()
        self._free_at = max(self._free_at, now - BURST_SECONDS) + size_bytes / self._bytes_per_second
        if self._free_at > now:
            await self._clock.sleep(self._free_at - now)

    async def limited(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks, each when it may pass."""
        async for chunk in chunks:
            await self.take(len(chunk))
            yield chunk


class _ThrottledReading(PassingSource):
    _bandwidth: Bandwidth

    def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._open(entry, offset, length)

    @asynccontextmanager
    async def _open(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._inner.open(entry, offset, length) as chunks:
            yield self._bandwidth.limited(chunks)


class _ThrottledSource(_ThrottledReading):
    def __init__(self, inner: Any, bandwidth: Bandwidth) -> None:
        super().__init__(inner)
        self._bandwidth = bandwidth


class _ThrottledDestination(_ThrottledReading, PassingDestination):
    """Files come in one piece only: pieces from several places would pass beside the limit."""

    def __init__(self, inner: Any, bandwidth: Bandwidth) -> None:
        super().__init__(inner)
        self._bandwidth = bandwidth
        own: Capabilities = inner.capabilities
        self._capabilities = replace(own, operations=own.operations - {Operation.RANGE_WRITES})

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

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
        return await super().put(
            path,
            self._bandwidth.limited(chunks),
            size_bytes=size_bytes,
            modified_at=modified_at,
            precondition=precondition,
            staging_key=staging_key,
            before_publish=before_publish,
        )


def throttled(inner: Source, bytes_per_second: float, clock: Clock) -> Source:
    """The connector, reading and writing together at most so many bytes of content a second."""
    bandwidth = Bandwidth(bytes_per_second, clock)
    if is_destination(inner):
        return wrapped(_ThrottledDestination, inner, bandwidth, without=(RangeWritable,))
    return wrapped(_ThrottledSource, inner, bandwidth)
