"""Every wrapper around a local folder, and around the example, which has no more than is mandatory."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from connectors.wrappers.read_only import read_only
from connectors.wrappers.throttled import throttled
from migration.clock import SystemClock
from migration.contract import Source
from tests.contract.faulty import faulty
from tests.contract.place import Place, Row
from tests.contract.places.filesystem import FilesystemPlace
from tests.contract.places.memory import MemoryPlace

FAST = 10**12


def _wrapped(name: str, wrap: Callable[[Source], Source], place: Callable[[Path], Place]) -> Row:
    @asynccontextmanager
    async def opened(server: Any, folder: Path) -> AsyncIterator[Place]:
        inner = place(folder)
        plain = inner.connector
        inner.connector = lambda *, page_entries=None: wrap(plain(page_entries=page_entries))  # type: ignore[method-assign]
        yield inner

    return Row(name, opened)


def _folder(folder: Path) -> Place:
    return FilesystemPlace(folder, "none")


def _memory(folder: Path) -> Place:
    return MemoryPlace()


def _throttled(inner: Source) -> Source:
    return throttled(inner, FAST, SystemClock())


ROWS = tuple(
    _wrapped(f"{wrapper}-{inner}", wrap, place)
    for wrapper, wrap in (("read-only", read_only), ("throttled", _throttled), ("faulty", faulty))
    for inner, place in (("filesystem", _folder), ("memory", _memory))
)
