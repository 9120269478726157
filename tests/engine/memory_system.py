"""A destination in memory that offers the mandatory operations only: no hashes, no ranges, nothing to flush."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from migration.capabilities import Capabilities
from migration.contract import ConnectionReport, Precondition, Stored, WalkPage
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ConfigurationError, ItemError, PreconditionFailed, RetryableError


@dataclass
class Kept:
    """What is at one path; None content = a folder."""

    number: int
    content: bytes | None
    modified_at: datetime | None


@dataclass
class MemorySystem:
    """A full Destination. `kept` is what it holds; `staged` must be empty whenever nothing is being written."""

    kept: dict[PathParts, Kept] = field(default_factory=dict)
    staged: set[str] = field(default_factory=set)
    system: str = "memory"
    display_name: str = "Memory"
    _number: int = 0

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(atomic_publish=True, stable_ids=True, keeps_times=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    async def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        if root and root not in self.kept:
            raise ConfigurationError("root-missing", f"There is no {root}.")
        below = sorted(path for path in self.kept if path[: len(root)] == root and len(path) > len(root))
        yield WalkPage(tuple(self._entry(path, len(root)) for path in below), (), None)

    @asynccontextmanager
    async def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        contents = {kept.number: kept.content for kept in self.kept.values()}
        content = contents.get(int(entry.ref.id))
        if content is None:
            raise ItemError("not-found", "It is gone.")

        async def chunks() -> AsyncIterator[bytes]:
            part = content[offset : None if length is None else offset + length]
            for start in range(0, len(part), 50_000):
                yield part[start : start + 50_000]

        yield chunks()

    async def test(self) -> ConnectionReport:
        return ConnectionReport(usable=True, who=None, findings=())

    async def stat(self, path: PathParts) -> Entry | None:
        return self._entry(path, 0) if path in self.kept else None

    async def make_folder(self, path: PathParts) -> Ref:
        for depth in range(1, len(path) + 1):
            if self._keep_if_free(path[:depth], None, None).content is not None:
                raise ItemError("not-a-folder", f"{path[:depth]} is a file.")
        return Ref(self.system, str(self.kept[path].number))

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
        self.staged.add(staging_key)
        try:
            content = b"".join([chunk async for chunk in chunks])
            if size_bytes is not None and len(content) != size_bytes:
                raise RetryableError("short-body", "Another size than announced.")
            await before_publish()
            if path[:-1] and path[:-1] not in self.kept:
                raise ItemError("parent-missing", f"There is no {path[:-1]}.")
            now, expected = await self.stat(path), precondition.expected
            if (now and now.ref) != (expected and expected.ref):
                raise PreconditionFailed("destination-changed", f"{path} is not as planned.")
            self.kept.pop(path, None)
            kept = self._keep_if_free(path, content, modified_at)
        finally:
            self.staged.discard(staging_key)
        return Stored(Ref(self.system, str(kept.number)), path[-1], len(content), modified_at)

    def _keep_if_free(self, path: PathParts, content: bytes | None, modified_at: datetime | None) -> Kept:
        self._number += 1
        return self.kept.setdefault(path, Kept(self._number, content, modified_at))

    def _entry(self, path: PathParts, above: int) -> Entry:
        kept = self.kept[path]
        parent = self.kept[path[:-1]] if len(path) - above > 1 else None
        return Entry(
            ref=Ref(self.system, str(kept.number)),
            parent=Ref(self.system, str(parent.number)) if parent else None,
            name=path[-1],
            path=path[above:],
            kind=EntryKind.FOLDER if kept.content is None else EntryKind.FILE,
            size_bytes=None if kept.content is None else len(kept.content),
            modified_at=kept.modified_at,
        )
