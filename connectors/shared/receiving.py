"""A file's bytes on their way into a system, gathered into parts."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from migration.errors import RetryableError


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a file. Every part but the last has the asked-for length; `is_last` is known with the part itself,
    so that a file of one part can be sent by one request. An empty file is one empty part."""

    offset: int
    data: bytes
    is_last: bool


async def parts(chunks: AsyncIterator[bytes], part_bytes: int, size_bytes: int | None) -> AsyncGenerator[Part, None]:
    """The stream in parts, at least one.

    Raises RetryableError `long-body` with the first byte too many and `short-body` at an early end, in both cases
    before a last part was given; `size_bytes` None = any length will do.
    """
    gathered: list[bytes | memoryview] = []
    gathered_bytes = offset = 0
    async for chunk in chunks:
        rest: bytes | memoryview = chunk
        if size_bytes is not None and offset + gathered_bytes + len(chunk) > size_bytes:
            raise RetryableError("long-body", f"More than the expected {size_bytes} bytes arrived.")
        while gathered_bytes + len(rest) > part_bytes:
            missing = part_bytes - gathered_bytes
            data = b"".join((*gathered, memoryview(rest)[:missing]))
            gathered, gathered_bytes, rest = [], 0, memoryview(rest)[missing:]  # nothing else is held meanwhile
            yield Part(offset, data, is_last=False)
            offset += part_bytes
        gathered.append(rest)
        gathered_bytes += len(rest)
    if size_bytes is not None and offset + gathered_bytes < size_bytes:
        raise RetryableError("short-body", f"{offset + gathered_bytes} of {size_bytes} bytes arrived.")
    yield Part(offset, b"".join(gathered), is_last=True)
