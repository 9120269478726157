"""Reading one entry's bytes: hashed as they pass, counted, and gone on with where a passing fault cut them."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor

from migration.capabilities import Operation
from migration.contract import Source
from migration.entries import Entry
from migration.errors import RetryableError
from migration.patience import Patience

INLINE_HASH_BYTES = 64 * 1024
"""Smaller chunks are hashed at once (40 µs); handing them to a thread would cost more."""
SLICE_BYTES = 1984
"""A multiple of SHA-256's block below the 2,048 bytes from which hashlib lets go of the interpreter lock: taking it
back among busy threads costs ten times what hashing a small file does."""
CHUNK_BYTES_MAX = 4 * 1024 * 1024
"""What the contract allows a chunk to be."""
STREAM_BYTES = 3 * CHUNK_BYTES_MAX
"""What one stream may hold: a chunk being read, one being hashed and one being written, of at most 4 MiB each."""
PROGRESS_BYTES = 16 * 1024 * 1024
"""So much without a fault begins a new row of faults."""

Moved = Callable[[int], None]
"""Told how many bytes of content have just moved (negative: they have to be moved again)."""


class Hasher:
    """SHA-256 of chunks in order. Large ones are hashed by a thread while the caller goes on with the next thing."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._digest = hashlib.sha256()
        self._running: asyncio.Future[None] | None = None

    async def add(self, chunks: Sequence[bytes]) -> None:
        """Hash the chunks after all earlier ones; returns as soon as the earlier ones are hashed."""
        await self._settle()
        if sum(map(len, chunks)) <= INLINE_HASH_BYTES:
            for chunk in chunks:
                for start in range(0, len(chunk), SLICE_BYTES):
                    self._digest.update(chunk[start : start + SLICE_BYTES])
        else:
            self._running = asyncio.get_running_loop().run_in_executor(self._pool, self._update, chunks)

    async def hexdigest(self) -> str:
        """The hash of everything added."""
        await self._settle()
        return self._digest.hexdigest()

    def _update(self, chunks: Sequence[bytes]) -> None:
        for chunk in chunks:
            self._digest.update(chunk)

    async def _settle(self) -> None:
        if self._running is not None:
            running, self._running = self._running, None
            await running


class Body:
    """The content of one entry, once, in order."""

    def __init__(
        self,
        source: Source,
        entry: Entry,
        patience: Patience,
        pool: Executor,
        moved: Moved,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        """`arrived` is called once everything has been read and the source is let go of."""
        self._source = source
        self._entry = entry
        self._patience = patience
        self._moved = moved
        self._arrived = arrived
        self.hasher = Hasher(pool)
        """Has taken what has passed."""
        self.size_bytes = 0
        """How much has passed."""

    async def sha256(self) -> str:
        """The hash of what has passed."""
        return await self.hasher.hexdigest()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes from the first to the last.

        A passing fault of a source that can read from an offset is survived inside the file; other ones are raised, as
        are bodies of another size than the entry's (RetryableError `short-body`, `long-body`).
        """
        whole = False
        while not whole:
            began_at = self.size_bytes
            try:
                async with self._source.open(self._entry, self.size_bytes) as chunks:
                    async for chunk in chunks:
                        self._count(chunk)
                        await self.hasher.add((chunk,))
                        yield chunk
                self._check_end()
                self._arrived()
                whole = True
            except RetryableError as error:
                await self._reopen_after(error, began_at)

    def _count(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        self._moved(len(chunk))
        expected = self._entry.size_bytes
        if expected is not None and self.size_bytes > expected:
            raise RetryableError("long-body", f"The source sent more than the {expected} bytes it had listed")

    def _check_end(self) -> None:
        expected = self._entry.size_bytes
        if expected is not None and self.size_bytes < expected:
            raise RetryableError(
                "short-body", f"The source sent {self.size_bytes} of the {expected} bytes it had listed"
            )

    async def _reopen_after(self, error: RetryableError, began_at: int) -> None:
        """Get ready to open again where the body was cut; raises what cannot be gone on after."""
        rangeable = Operation.RANGE_READS in self._source.capabilities.operations
        too_long = self._entry.size_bytes is not None and self.size_bytes >= self._entry.size_bytes
        if error.code == "long-body" or (self.size_bytes and (too_long or not rangeable)):
            raise error
        if self.size_bytes - began_at >= PROGRESS_BYTES:
            self._patience.progressed()
        await self._patience.wait_after(error)


async def hash_of(source: Source, entry: Entry, pool: Executor) -> tuple[str, int]:
    """SHA-256 and length of an entry's content by reading it; raises what the source raises, retries nothing."""
    hasher, size_bytes = Hasher(pool), 0
    async with source.open(entry) as chunks:
        async for chunk in chunks:
            size_bytes += len(chunk)
            await hasher.add((chunk,))
    return await hasher.hexdigest(), size_bytes
