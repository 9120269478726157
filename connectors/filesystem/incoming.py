"""Bytes on their way into a file, gathered from a stream."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from migration.errors import RetryableError

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
