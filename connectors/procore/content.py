"""The bytes of one file between their source and Procore's storage: in memory while they are few, else in a file.

Procore wants the hash of every segment before it takes the first one (API.md section 2.7), so a large file has to have
been read to its end by then: it passes through a temporary file without a name, which is gone with the process that
made it. What a storage fault cuts is sent again from there, without reading the source again.
"""

import asyncio
import errno
import hashlib
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from connectors.shared.completion import surely
from migration.errors import FatalError, ItemError, RetryableError

MEMORY_BYTES = 8 * 1024 * 1024
"""Up to here a file is held in memory."""
SEGMENT_BYTES = 8 * 1024 * 1024
"""The smallest a segment is made; Procore takes 5 MB to 5 GB."""
SEGMENTS_MAX = 10_000
"""What object stores take."""
PIECE_BYTES = 256 * 1024
"""What is handed to the network at once."""
_BATCH_BYTES = 1024 * 1024
_ROUND_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a content, and its hash."""

    offset: int
    size_bytes: int
    sha256: str


class Content(Protocol):
    """One file's bytes, readable as often as needed."""

    size_bytes: int

    def pieces(self, offset: int, length: int) -> AsyncIterator[bytes]:
        """A part of it."""
        ...

    def segments(self) -> Sequence[Segment]:
        """The parts it is uploaded in if it is not uploaded whole."""
        ...

    def close(self) -> None:
        """Let go of it. May be called more than once."""
        ...


async def received(chunks: AsyncIterator[bytes], size_bytes: int | None) -> Content:
    """Everything of `chunks`; the caller closes it. `size_bytes` None = unknown.

    RetryableError `short-body` or `long-body` when it is not as long as that, FatalError `disk-full`, ItemError
    `file-too-large`.
    """
    held: list[bytes] = []
    held_bytes = total_bytes = 0
    spool: Spool | None = None
    try:
        async for chunk in chunks:
            total_bytes += len(chunk)
            if size_bytes is not None and total_bytes > size_bytes:
                raise RetryableError("long-body", f"More than the {size_bytes} bytes that were announced arrived.")
            held.append(chunk)
            held_bytes += len(chunk)
            if held_bytes > (MEMORY_BYTES if spool is None else _BATCH_BYTES):
                spool = spool or Spool(size_bytes)
                await surely(asyncio.to_thread(spool.write, held))
                held, held_bytes = [], 0
        if size_bytes is not None and total_bytes < size_bytes:
            raise RetryableError("short-body", f"{total_bytes} of {size_bytes} bytes arrived.")
        if spool is None:
            return Memory(held)
        await surely(asyncio.to_thread(spool.write, held))
        spool.finish()
        return spool
    except BaseException:
        if spool is not None:
            spool.close()
        raise


async def sha256_of(chunks: AsyncIterator[bytes]) -> str:
    """The hash of everything that comes."""
    digest = hashlib.sha256()
    async for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


class Memory:
    """A content in memory."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._bytes = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self.size_bytes = len(self._bytes)

    async def pieces(self, offset: int, length: int) -> AsyncIterator[bytes]:
        view = memoryview(self._bytes)[offset : offset + length]
        for start in range(0, len(view), PIECE_BYTES):
            yield bytes(view[start : start + PIECE_BYTES])

    def segments(self) -> Sequence[Segment]:
        return (Segment(0, self.size_bytes, hashlib.sha256(self._bytes).hexdigest()),)

    def close(self) -> None:
        self._bytes = b""


class Spool:
    """A content in a temporary file. `write` blocks and belongs into a thread, one at a time."""

    def __init__(self, size_bytes: int | None) -> None:
        """`size_bytes` decides how large segments are; None = unknown."""
        self._segment_bytes = _segment_bytes(size_bytes)
        with _disk_errors():
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        self._reading = threading.Lock()
        self._digest = hashlib.sha256()
        self._open_bytes = 0
        self._segments: list[Segment] = []
        self.size_bytes = 0

    def write(self, chunks: Sequence[bytes]) -> None:
        """Add the chunks."""
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                part = rest[: self._segment_bytes - self._open_bytes]
                self._store(part)
                rest = rest[len(part) :]

    def finish(self) -> None:
        """Nothing more will come."""
        if self._open_bytes:
            self._end_segment()

    async def pieces(self, offset: int, length: int) -> AsyncIterator[bytes]:
        end = offset + length
        while offset < end:
            block = await surely(asyncio.to_thread(self._read, offset, min(_ROUND_BYTES, end - offset)))
            offset += len(block)
            for start in range(0, len(block), PIECE_BYTES):
                yield block[start : start + PIECE_BYTES]

    def segments(self) -> Sequence[Segment]:
        return self._segments

    def close(self) -> None:
        with self._reading:
            self._file.close()

    def _store(self, part: memoryview) -> None:
        with _disk_errors():
            rest = part
            while rest:
                rest = rest[self._file.write(rest) :]
        self._digest.update(part)
        self._open_bytes += len(part)
        self.size_bytes += len(part)
        if self._open_bytes == self._segment_bytes:
            self._end_segment()

    def _end_segment(self) -> None:
        if len(self._segments) == SEGMENTS_MAX:
            raise ItemError(
                "file-too-large",
                f"The file has more than {SEGMENTS_MAX} segments of {self._segment_bytes} bytes, which is more than "
                "can be uploaded without knowing its size.",
                fix="Leave the file out, or copy it by hand.",
            )
        offset = self.size_bytes - self._open_bytes
        self._segments.append(Segment(offset, self._open_bytes, self._digest.hexdigest()))
        self._digest, self._open_bytes = hashlib.sha256(), 0

    def _read(self, offset: int, length: int) -> bytes:
        with self._reading:
            block = os.pread(self._file.fileno(), length, offset)
        if not block:
            raise RetryableError("spool-lost", "The temporary file ends before the content does.")
        return block


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Says what a full or failing disk for temporary files means."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise FatalError(
            "disk-full" if full else "spool-failed",
            f"A large file on its way to Procore cannot be held in {tempfile.gettempdir()}: {error.strerror or error}.",
            fix="Make room there, or let TMPDIR name a folder with more of it.",
        ) from error


def _segment_bytes(size_bytes: int | None) -> int:
    mebibyte = 1024 * 1024
    needed = -(-(size_bytes or 0) // SEGMENTS_MAX)
    return max(SEGMENT_BYTES, -(-needed // mebibyte) * mebibyte)
