"""A connector that passes everything on to another one, for wrappers to change some of it.

What the inner one offers beyond the mandatory operations is offered as well, and nothing else: a wrapper is made by
`wrapped`, which puts the class together from the protocols the inner connector fulfils.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Self, TypeVar

from migration.capabilities import Capabilities
from migration.contract import (
    Browsable,
    Company,
    ConnectionReport,
    ContentHash,
    Destination,
    Flushable,
    FoundChild,
    Movable,
    Precondition,
    RangeWritable,
    StagedSweep,
    Stored,
    Trash,
    Versioned,
    WalkPage,
    WriteAt,
)
from migration.entries import Entry, PathParts, Ref


class PassingSource:
    """Passes on what every source has."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def system(self) -> str:
        return str(self._inner.system)

    @property
    def display_name(self) -> str:
        return str(self._inner.display_name)

    @property
    def capabilities(self) -> Capabilities:
        capabilities: Capabilities = self._inner.capabilities
        return capabilities

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._inner.__aexit__(*exc)

    def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        pages: AsyncIterator[WalkPage] = self._inner.walk(root, resume_from)
        return pages

    def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        opened: AbstractAsyncContextManager[AsyncIterator[bytes]] = self._inner.open(entry, offset, length)
        return opened

    async def test(self) -> ConnectionReport:
        report: ConnectionReport = await self._inner.test()
        return report


class PassingDestination(PassingSource):
    """Passes on what every destination has."""

    async def stat(self, path: PathParts) -> Entry | None:
        found: Entry | None = await self._inner.stat(path)
        return found

    async def make_folder(self, path: PathParts) -> Ref:
        ref: Ref = await self._inner.make_folder(path)
        return ref

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
        stored: Stored = await self._inner.put(
            path,
            chunks,
            size_bytes=size_bytes,
            modified_at=modified_at,
            precondition=precondition,
            staging_key=staging_key,
            before_publish=before_publish,
        )
        return stored


class _PassingFlush:
    _inner: Any

    async def flush(self, paths: tuple[PathParts, ...]) -> None:
        await self._inner.flush(paths)


class _PassingRanges:
    _inner: Any

    async def put_ranges(self, path: PathParts, *, fill: Callable[[WriteAt], Awaitable[object]], **how: Any) -> Stored:
        stored: Stored = await self._inner.put_ranges(path, fill=fill, **how)
        return stored


class _PassingHash:
    _inner: Any

    async def sha256(self, path: PathParts) -> str:
        return str(await self._inner.sha256(path))


class _PassingMove:
    _inner: Any

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        ref: Ref = await self._inner.move(entry, to)
        return ref


class _PassingTrash:
    _inner: Any

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:
        return str(await self._inner.delete_to_trash(entry, key))

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:
        token: str | None = await self._inner.find_deleted(entry, path, key)
        return token

    async def restore(self, token: str) -> PathParts:
        path: PathParts = await self._inner.restore(token)
        return path


class _PassingVersions:
    _inner: Any

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        versions: tuple[Entry, ...] = await self._inner.versions(entry)
        return versions


class _PassingSweep:
    _inner: Any

    async def sweep_staged(self, root: PathParts) -> int:
        return int(await self._inner.sweep_staged(root))


class _PassingProjects:
    _inner: Any

    async def projects(self) -> tuple[FoundChild, ...]:
        projects: tuple[FoundChild, ...] = await self._inner.projects()
        return projects


class _PassingInside:
    _inner: Any

    async def inside(self, path: PathParts) -> tuple[Entry, ...]:
        entries: tuple[Entry, ...] = await self._inner.inside(path)
        return entries


_READING: tuple[tuple[Any, type], ...] = (
    (ContentHash, _PassingHash),
    (Versioned, _PassingVersions),
    (Company, _PassingProjects),
    (Browsable, _PassingInside),
)
_WRITING: tuple[tuple[Any, type], ...] = (
    (Flushable, _PassingFlush),
    (RangeWritable, _PassingRanges),
    (Movable, _PassingMove),
    (Trash, _PassingTrash),
    (StagedSweep, _PassingSweep),
)
S = TypeVar("S", bound=PassingSource)


def wrapped(base: type[S], inner: Any, *arguments: Any, without: tuple[Any, ...] = ()) -> S:
    """An instance of `base`, made from the inner connector and the arguments, that also fulfils the optional protocols
    the inner one fulfils, but for those in `without`: those of destinations only if `base` is one."""
    optional = _READING + (_WRITING if issubclass(base, PassingDestination) else ())
    parts = [part for protocol, part in optional if isinstance(inner, protocol) and protocol not in without]
    made: S = type(base.__name__, (base, *parts), {})(inner, *arguments)
    return made


def is_destination(inner: Any) -> bool:
    """Whether the connector can be written to."""
    return isinstance(inner, Destination)
