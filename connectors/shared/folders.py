"""Folders that are known to be there, and making those that are not, each once however many ask at the same time."""

import asyncio
from collections.abc import Awaitable, Callable

from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ItemError, RetryableError

Look = Callable[[PathParts], Awaitable[Entry | None]]
Create = Callable[[PathParts, Ref], Awaitable[Ref | None]]
"""Makes one folder in the folder with this ref; None when something of this name is there already. An ItemError
`not-found` when the folder around it is gone."""


class Folders:
    """The folders of one connection that this process has seen or made."""

    def __init__(self, look: Look, create: Create, shown: Callable[[PathParts], str]) -> None:
        self._look = look
        self._create = create
        self._shown = shown
        self._known: dict[PathParts, Ref] = {}
        self._empty: set[PathParts] = set()
        self._making: dict[PathParts, asyncio.Lock] = {}

    def remember(self, path: PathParts, ref: Ref) -> None:
        """A folder that was seen."""
        self._known[path] = ref

    def knows(self, path: PathParts) -> bool:
        """Whether the folder was seen or made, without asking."""
        return path in self._known

    def forget(self, path: PathParts) -> None:
        """A folder, and what is in it, may no longer be there."""
        for known in [known for known in self._known if known[: len(path)] == path]:
            del self._known[known]
            self._empty.discard(known)

    def holds_nothing_but_made(self, path: PathParts) -> bool:
        """Whether this process made the folder and has put nothing but folders into it since, so that what is to be
        made in it need not be looked for."""
        return path in self._empty

    def filled(self, path: PathParts) -> None:
        """Something that is no new folder is about to be in the folder."""
        self._empty.discard(path)

    async def ref_of(self, path: PathParts) -> Ref | None:
        """The folder's ref, asked for at most once; None when it is not there. ItemError `not-a-folder`."""
        if path in self._known:
            return self._known[path]
        found = await self._look(path)
        if found is None:
            await self._refuse_file_on_the_way(path)
            return None
        return self._seen_folder(path, found)

    async def parent_of(self, path: PathParts) -> Ref:
        """The ref of the folder around `path`, where something is about to be put. ItemError `parent-missing` or
        `not-a-folder`."""
        self.filled(path[:-1])
        ref = await self.ref_of(path[:-1])
        if ref is None:
            raise ItemError("parent-missing", f"{self._shown(path)}: its folder does not exist.")
        return ref

    async def make(self, path: PathParts) -> Ref:
        """The folder's ref, made with its parents if need be. ItemError `not-a-folder` when a file is in the way."""
        known = self._known.get(path)
        if known is not None:
            return known
        if not path:
            return await self._seen(path)
        parent = await self.make(path[:-1])
        lock = self._making.setdefault(path, asyncio.Lock())
        async with lock:
            known = self._known.get(path)
            if known is None:
                made = await self._create(path, parent)
                known = await self._seen(path) if made is None else made
                self._known[path] = known
                if made is not None:
                    self._empty.add(path)
        self._making.pop(path, None)
        return known

    async def _seen(self, path: PathParts) -> Ref:
        found = await self._look(path)
        if found is None:
            self.forget(path[:-1])
            raise RetryableError("folder-vanished", f"{self._shown(path)} was there a moment ago and is gone.")
        return self._seen_folder(path, found)

    def _seen_folder(self, path: PathParts, found: Entry) -> Ref:
        if found.kind is not EntryKind.FOLDER:
            raise self._not_a_folder(path)
        self._known[path] = found.ref
        return found.ref

    async def _refuse_file_on_the_way(self, path: PathParts) -> None:
        for length in range(1, len(path)):
            found = await self._look(path[:length])
            if found is None:
                return
            if found.kind is not EntryKind.FOLDER:
                raise self._not_a_folder(path[:length])

    def _not_a_folder(self, path: PathParts) -> ItemError:
        return ItemError("not-a-folder", f"{self._shown(path)}: a file is in the way.")
