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
LOOK_SECONDS = 1.0
"""Whoever waits looks again after so long: the limit may have become another one."""
Rate = Callable[[], float | None]
"""Tells how many bytes a second may pass now, None = any number. Asked for every piece of content."""


class Bandwidth:
    """Lets so many bytes a second pass, over everything that shares it, in the order of asking."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._asked_bytes = 0.0
        self._passed_bytes = 0.0
        self._looked_at = clock.monotonic()

    async def take(self, size_bytes: int) -> None:
        """Return when these bytes may have passed."""
        self._look()
        self._asked_bytes += size_bytes
        place = self._asked_bytes
        while (rate := self._look()) is not None and self._passed_bytes < place:
            await self._clock.sleep(min(LOOK_SECONDS, (place - self._passed_bytes) / rate))

    def _look(self) -> float | None:
        """Let pass what may have passed since the last look; the present rate."""
        rate, now = self._rate(), self._clock.monotonic()
        if rate is None:
            self._passed_bytes = self._asked_bytes
        else:
            passed = self._passed_bytes + rate * (now - self._looked_at)
            self._passed_bytes = min(passed, self._asked_bytes + rate * BURST_SECONDS)
        self._looked_at = now
        return rate

    async def limited(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks, each when it may pass."""
        async for chunk in chunks:
            await self.take(len(chunk))
            yield chunk


class _ThrottledReading(PassingSource):
    _reading: Bandwidth | None

    def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._open(entry, offset, length)

    @asynccontextmanager
    async def _open(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._inner.open(entry, offset, length) as chunks:
            yield self._reading.limited(chunks) if self._reading is not None else chunks


class _ThrottledSource(_ThrottledReading):
    def __init__(self, inner: Any, reading: Bandwidth | None) -> None:
        super().__init__(inner)
        self._reading = reading


class _ThrottledDestination(_ThrottledReading, PassingDestination):
    """What is written under a limit comes in one piece only: pieces from several places would pass beside it."""

    def __init__(self, inner: Any, reading: Bandwidth | None, writing: Bandwidth | None) -> None:
        super().__init__(inner)
        self._reading = reading
        self._writing = writing
        own: Capabilities = inner.capabilities
        without = {Operation.RANGE_WRITES} if writing is not None else set[Operation]()
        self._capabilities = replace(own, operations=own.operations - without)

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
            self._writing.limited(chunks) if self._writing is not None else chunks,
            size_bytes=size_bytes,
            modified_at=modified_at,
            precondition=precondition,
            staging_key=staging_key,
            before_publish=before_publish,
        )


def throttled(inner: Source, bytes_per_second: float, clock: Clock) -> Source:
    """The connector, reading and writing together at most so many bytes of content a second."""
    bandwidth = Bandwidth(lambda: bytes_per_second, clock)
    return limited(inner, bandwidth, bandwidth)


def limited(inner: Source, reading: Bandwidth | None, writing: Bandwidth | None) -> Source:
    """The connector, what it reads and what it writes each under a bandwidth that others may share; None = no limit."""
    if reading is None and writing is None:
        return inner
    if is_destination(inner):
        without = (RangeWritable,) if writing is not None else ()
        return wrapped(_ThrottledDestination, inner, reading, writing, without=without)
    return wrapped(_ThrottledSource, inner, reading)
