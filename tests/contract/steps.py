"""Steps that many checks of the contract take."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from migration.contract import Destination, Precondition, Source, Stored, WalkPage
from migration.entries import Entry, PathParts
from tests.contract.place import MODIFIED

NAMES = (
    "plain.txt",
    "two words.txt",
    "three.dots.in.it.txt",
    ".hidden",
    "Größe déjà vu.pdf",
    "تقرير.pdf",
    "図面 1.dwg",
    "🏗️ site.jpg",
    "percent %20 & plus+.txt",
    "#hash ~tilde 'quote' (brackets) [1] {2}.txt",
    "-rf",
    "a;b,c=d@e!f$g^h`i.txt",
)
"""Names that every system can keep, but for one here and there (Egnyte takes no emoji)."""

HOSTILE_NAMES = (
    "CON",
    "nul.txt",
    "trailing dot.",
    "trailing space ",
    " leading space",
    'a<b>c:d"e|f?g*h.txt',
    "back\\slash",
    "tab\tand\nnewline",
    "...",
    "..hidden",
    "Thumbs.db",
)
"""Names that some system forbids; those it declares legal it has to keep."""


def content_of(size: int, seed: int = 1) -> bytes:
    """Bytes that differ everywhere."""
    block = b"".join(
        hashlib.sha256(f"{seed}/{number}".encode()).digest() for number in range(min(size, 65536) // 32 + 1)
    )
    return (block * (size // len(block) + 1))[:size]


async def stream(chunks: Iterable[bytes], then: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[bytes]:
    """The chunks, each after a turn of the loop, then whatever `then` does."""
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk
    if then is not None:
        await then()


async def nothing() -> None:
    """For `before_publish`."""


def cut(content: bytes, size: int) -> list[bytes]:
    """The content in chunks of this size."""
    return [content[first : first + size] for first in range(0, len(content), size)]


async def put(
    destination: Destination,
    path: PathParts,
    content: bytes,
    *,
    chunks: AsyncIterator[bytes] | None = None,
    size_bytes: int | None = -1,
    modified_at: datetime | None = MODIFIED,
    expected: Entry | None = None,
    staging_key: str = "key-1",
    before_publish: Callable[[], Awaitable[None]] = nothing,
    trash_key: str | None = None,
) -> Stored:
    """Put the content (in chunks of 64 KiB unless given); `size_bytes` -1 = its length; what is replaced
    is kept under the `trash_key`."""
    return await destination.put(
        path,
        chunks if chunks is not None else stream(cut(content, 65536)),
        size_bytes=len(content) if size_bytes == -1 else size_bytes,
        modified_at=modified_at,
        precondition=Precondition(expected, keep_replaced=trash_key is not None, trash_key=trash_key),
        staging_key=staging_key,
        before_publish=before_publish,
    )


async def walked(source: Source, root: PathParts = (), resume_from: str | None = None) -> list[WalkPage]:
    """Every page of a walk."""
    return [page async for page in source.walk(root, resume_from)]


async def entries(source: Source, root: PathParts = ()) -> dict[PathParts, Entry]:
    """Every entry of a walk by its path, which must be free of problems."""
    pages = await walked(source, root)
    assert not [problem for page in pages for problem in page.problems]
    return {entry.path: entry for page in pages for entry in page.entries}


async def read(source: Source, entry: Entry, offset: int = 0, length: int | None = None) -> bytes:
    """What `open` gives; checks the size of every chunk."""
    chunks: list[bytes] = []
    async with source.open(entry, offset, length) as body:
        async for chunk in body:
            assert 0 < len(chunk) <= 4 * 1024 * 1024
            chunks.append(chunk)
    return b"".join(chunks)


def is_kept(source: Source, found: datetime | None, meant: datetime) -> bool:
    """Whether a time is what the system's declared precision makes of the one that was meant."""
    capabilities = source.capabilities
    if not capabilities.keeps_times or found is None:
        return not capabilities.keeps_times
    return abs(found - meant) <= timedelta(seconds=capabilities.time_precision_seconds or 0)
