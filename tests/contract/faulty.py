"""A wrapper that fails as it is told, and otherwise is not noticed: for tests of what the engine makes of failures."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from connectors.wrappers.passing import PassingDestination, wrapped
from migration.contract import Source, Stored, WalkPage
from migration.entries import Entry, PathParts, Ref

Fault = Callable[[str], None]
"""Called with the operation's name before it is passed on; raises to fail it."""


class FaultyConnector(PassingDestination):
    def __init__(self, inner: Any, fault: Fault) -> None:
        super().__init__(inner)
        self.fault = fault

    def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        self.fault("walk")
        return super().walk(root, resume_from)

    def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        self.fault("open")
        return super().open(entry, offset, length)

    async def stat(self, path: PathParts) -> Entry | None:
        self.fault("stat")
        return await super().stat(path)

    async def make_folder(self, path: PathParts) -> Ref:
        self.fault("make_folder")
        return await super().make_folder(path)

    async def put(self, path: PathParts, chunks: AsyncIterator[bytes], **how: Any) -> Stored:
        self.fault("put")
        return await super().put(path, chunks, **how)


def no_fault(operation: str) -> None:
    """Nothing fails."""


def faulty(inner: Source, fault: Fault = no_fault) -> FaultyConnector:
    """The connector, failing as `fault` says."""
    return wrapped(FaultyConnector, inner, fault)
