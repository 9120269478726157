"""A file's bytes on their way out of a system, measured."""

from collections.abc import AsyncIterator, Awaitable, Callable

from migration.entries import Entry
from migration.errors import ItemError, RetryableError

CHUNK_BYTES_MAX = 4 * 1024 * 1024


def expected_bytes(entry: Entry, offset: int, length: int | None) -> int | None:
    """How many bytes of the entry a reading from `offset` gives; None if nobody knows."""
    if entry.size_bytes is None:
        return length if length == 0 else None
    rest = max(entry.size_bytes - offset, 0)
    return rest if length is None else min(rest, length)


async def measured(
    chunks: AsyncIterator[bytes], expected: int | None, ended: Callable[[], Awaitable[None]]
) -> AsyncIterator[bytes]:
    """The chunks, none empty and none too large, exactly `expected` bytes of them.

    `ended` is awaited before the end, right or wrong; it raises when the source is no longer what was to be read.
    RetryableError `short-body` or `long-body` for another number of bytes.
    """
    given = 0
    try:
        async for chunk in chunks:
            given += len(chunk)
            if expected is not None and given > expected:
                raise RetryableError("long-body", f"More than the expected {expected} bytes arrived.")
            for first in range(0, len(chunk), CHUNK_BYTES_MAX):
                yield chunk[first : first + CHUNK_BYTES_MAX]
    except RetryableError:
        await ended()  # a body that breaks off may be that of a file that was replaced meanwhile
        raise
    await ended()
    if expected is not None and given < expected:
        raise RetryableError("short-body", f"{given} of {expected} bytes arrived.")


def source_changed(where: str) -> ItemError:
    """What was to be read is there no longer, or no longer the same."""
    return ItemError(
        "source-changed",
        f"{where} was changed or removed since it was listed.",
        fix="Run again; the next analysis sees what is there now.",
    )
