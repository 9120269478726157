"""A connector whose root cannot be written to (Procore's holds projects only), seen from a folder in it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from connectors.wrappers.passing import PassingDestination, wrapped
from migration.contract import Source, Stored, WalkPage
from migration.entries import Entry, PathParts, Ref


class RootedConnector(PassingDestination):
    """Every path begins below `root`."""

    def __init__(self, inner: Any, root: PathParts) -> None:
        super().__init__(inner)
        self.root = root

    def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        return super().walk((*self.root, *root), resume_from)

    async def stat(self, path: PathParts) -> Entry | None:
        found = await super().stat((*self.root, *path))
        return found and replace(found, path=found.path[len(self.root) :])

    async def make_folder(self, path: PathParts) -> Ref:
        return await super().make_folder((*self.root, *path))

    async def put(self, path: PathParts, chunks: AsyncIterator[bytes], **how: Any) -> Stored:
        return await super().put((*self.root, *path), chunks, **how)


class RootedMoving(RootedConnector):
    """The same for one that moves and brings back."""

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        moved: Ref = await self._inner.move(entry, (*self.root, *to))
        return moved

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:
        token: str | None = await self._inner.find_deleted(entry, (*self.root, *path), key)
        return token

    async def restore(self, token: str) -> PathParts:
        path: PathParts = await self._inner.restore(token)
        return path[len(self.root) :]


def rooted(inner: Source, root: PathParts) -> Source:
    """The connector, its paths beginning below `root`."""
    return wrapped(RootedMoving if hasattr(inner, "move") else RootedConnector, inner, root)
