"""Reading one large file, over several connections at once where one is slow, each piece written where it belongs.

Reading begins as one stream. If that turns out to be slower than FAST_BYTES_PER_SECOND, the rest is read by pieces
over several connections. The SHA-256 still is the one of the whole content: pieces are hashed in order as they become
whole. A piece is held in memory until it is hashed; how far reading may run ahead is bounded per file and by the run's
memory for content.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import aclosing

from migration.clock import Clock
from migration.contract import Source
from migration.entries import Entry
from migration.errors import FatalError, ItemError, RetryableError, StoppedResumable
from migration.memory import BytePool
from migration.patience import Patience
from migration.reading import CHUNK_BYTES_MAX, STREAM_BYTES, Body, Moved

PIECE_BYTES = 4 * 1024 * 1024
"""Large enough that a round trip per piece costs a fifth at most (30 ms at 20 MB/s), small enough to be held."""
AHEAD_PIECES = 2
"""How many whole pieces may wait to be hashed beyond those being read."""

FAST_BYTES_PER_SECOND = 60_000_000
"""A stream this fast is left alone: more connections would add work and no speed."""
JUDGED_BYTES = 2 * 1024 * 1024
"""A stream is judged by each stretch of this length."""

WRITES_AHEAD = 3
"""How many chunks of a stream may be on their way to the destination; a distant one takes a round trip for each."""
_STREAM_BYTES = STREAM_BYTES + (WRITES_AHEAD - 1) * CHUNK_BYTES_MAX

WriteAt = Callable[[int, bytes], Awaitable[None]]


class RangedBody:
    """The content of one entry of known size, read over up to `connections` connections."""

    def __init__(
        self,
        source: Source,
        entry: Entry,
        *,
        size_bytes: int,
        connections: int,
        memory: BytePool,
        patience: Patience,
        pool: Executor,
        clock: Clock,
        moved: Moved,
    ) -> None:
        self._source = source
        self._entry = entry
        self._size_bytes = size_bytes
        self._connections = connections
        self._memory = memory
        self._patience = patience
        self._clock = clock
        self._moved = moved
        self._stream = Body(source, entry, patience, pool, moved)
        self._hasher = self._stream.hasher
        self._pieces_from = 0
        """Where the first piece begins: what is before it was read as one stream."""
        self._pieces = 0
        self._next = 0
        self._hashed = 0
        self._whole: dict[int, list[bytes]] = {}
        self._change = asyncio.Condition()
        self._in_order = asyncio.Lock()
        self._held_bytes = 0
        self.size_bytes = 0
        """How much has been written."""

    async def fill(self, write_at: WriteAt) -> str:
        """Read everything and hand each chunk to `write_at(offset, chunk)`; the SHA-256 of the whole.

        Raises what `Source.open` raises, the most decisive of several.
        """
        taken = await self._memory.take(_STREAM_BYTES)
        try:
            await self._read_stream(write_at)
        finally:
            self._memory.give_back(taken)
        self.size_bytes = self._pieces_from = self._stream.size_bytes
        self._pieces = -(-(self._size_bytes - self._pieces_from) // PIECE_BYTES)
        await self._read_rest(write_at)
        return await self.sha256()

    async def sha256(self) -> str:
        """The hash of the whole, once `fill` has returned."""
        return await self._hasher.hexdigest()

    async def _read_stream(self, write_at: WriteAt) -> None:
        """Read from the beginning, to the end or until the stream turns out to be slow."""
        position = 0
        writing: deque[asyncio.Task[None]] = deque()
        judge = _Judge(self._clock)
        async with aclosing(self._stream.chunks()) as chunks:
            try:
                async for chunk in chunks:
                    if len(writing) == WRITES_AHEAD:
                        await writing.popleft()
                    writing.append(asyncio.create_task(_written(write_at, position, chunk)))
                    position += len(chunk)
                    if judge.finds_slow(position) and self._size_bytes - position > PIECE_BYTES:
                        break
            finally:
                await asyncio.gather(*writing)

    async def _read_rest(self, write_at: WriteAt) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(self._connections, self._pieces)):
                    tasks.create_task(self._read_pieces(write_at))
                tasks.create_task(self._hash_pieces())
        except BaseExceptionGroup as group:
            raise most_decisive(group) from None
        finally:
            self._memory.give_back(self._held_bytes)
            self._held_bytes = 0

    async def _read_pieces(self, write_at: WriteAt) -> None:
        patience = self._patience.fork()
        while (piece := await self._claim()) is not None:
            # Kept nowhere else: a name for it here would hold it while the next piece waits for its turn.
            self._whole[piece] = await self._read_piece(piece, write_at, patience)
            async with self._change:
                self._change.notify_all()

    async def _claim(self) -> int | None:
        """The next piece, once there is room for it; None when all are claimed.

        Memory is claimed in the order of the pieces: the piece that is to be hashed next always has its own, so that it
        never waits for memory that later pieces hold.
        """
        async with self._in_order:
            if self._next == self._pieces:
                return None
            ahead = self._connections + AHEAD_PIECES
            async with self._change:
                await self._change.wait_for(lambda: self._next < self._hashed + ahead)
            taken = await self._memory.take(self._piece_bytes(self._next))
            self._held_bytes += taken
            self._next += 1
            return self._next - 1

    async def _read_piece(self, piece: int, write_at: WriteAt, patience: Patience) -> list[bytes]:
        """Read and write one piece, going on inside it after passing faults; its chunks."""
        position = self._pieces_from + piece * PIECE_BYTES
        end = min(position + PIECE_BYTES, self._size_bytes)
        chunks: list[bytes] = []
        while position < end:
            try:
                async with self._source.open(self._entry, position, end - position) as body:
                    async for chunk in body:
                        if position + len(chunk) > end:
                            raise RetryableError("long-body", "The source sent more than the range it was asked for")
                        await write_at(position, chunk)
                        chunks.append(chunk)
                        position += len(chunk)
                        self.size_bytes += len(chunk)
                        self._moved(len(chunk))
                if position < end:
                    raise RetryableError("short-body", "The source sent less than the range it was asked for")
            except RetryableError as error:
                await patience.wait_after(error)
        patience.progressed()
        return chunks

    async def _hash_pieces(self) -> None:
        while self._hashed < self._pieces:
            async with self._change:
                await self._change.wait_for(lambda: self._hashed in self._whole)
                chunks = self._whole.pop(self._hashed)
            await self._hasher.add(chunks)
            await self._hasher.hexdigest()
            size_bytes = self._piece_bytes(self._hashed)
            del chunks
            async with self._change:
                self._hashed += 1
                self._change.notify_all()
            self._give_back(size_bytes)

    def _give_back(self, size_bytes: int) -> None:
        given = min(size_bytes, self._held_bytes)
        self._held_bytes -= given
        self._memory.give_back(given)

    def _piece_bytes(self, piece: int) -> int:
        return min(PIECE_BYTES, self._size_bytes - self._pieces_from - piece * PIECE_BYTES)


class _Judge:
    """Says whether a stream is slow, by the time its stretches take from the first chunk on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None
        self._from = 0

    def finds_slow(self, position: int) -> bool:
        """To be told of every chunk: the stream has got this far."""
        now = self._clock.monotonic()
        if self._since is None:
            self._since, self._from = now, position
        if position - self._from < JUDGED_BYTES:
            return False
        slow = position - self._from < FAST_BYTES_PER_SECOND * (now - self._since)
        self._since, self._from = now, position
        return slow


async def _written(write_at: WriteAt, offset: int, chunk: bytes) -> None:
    await write_at(offset, chunk)


def most_decisive(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of several errors that happened at once, the one that decides what the caller does."""
    errors = list(_leaves(group))
    kinds = (FatalError, StoppedResumable, ItemError)
    unknown = [error for error in errors if not isinstance(error, (*kinds, RetryableError))]
    if unknown:
        return unknown[0]
    for kind in kinds:
        for error in errors:
            if isinstance(error, kind):
                return error
    return errors[0]


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
