"""The contract for systems of objects: a connector supplies the service, call by call.

Moving and deleting are copies inside the service followed by deletes: nothing passes through this machine, and
whatever ends them half way leaves an object twice, never not at all. What is deleted lies in SiteHaul's trash folder at
the connection's root until somebody empties it.
"""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import replace
from typing import TypeVar

from connectors.shared.completion import surely, to_the_end
from connectors.shared.giving import source_changed
from connectors.shared.objects import ConditionFailed, Found, Keys, ObjectService, is_hidden
from connectors.shared.objects_upload import ObjectUpload
from connectors.shared.objects_walk import ObjectWalk
from connectors.shared.paths import length
from connectors.shared.trash import deleted, new_place, not_restorable, token_of
from connectors.shared.tree import Incoming, TreeConnector, check_expected, destination_changed, same_version
from connectors.shared.walking import Listing
from migration.capabilities import Capabilities, NameRules
from migration.clock import Clock
from migration.contract import WalkPage
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import FatalError, ItemError, PreconditionFailed

AT_ONCE = 32
"""How many calls about single objects are under way at the same time."""
LISTED_AT_ONCE = 1000
T = TypeVar("T")
R = TypeVar("R")


class ObjectTree(TreeConnector):
    """Adds Movable and Trash of migration/contract.py."""

    READINGS_ARE_OF_ONE_VERSION = True

    def __init__(
        self,
        *,
        display_name: str,
        capabilities: Capabilities,
        keys: Keys,
        clock: Clock,
        page_entries: int | None = None,
    ) -> None:
        names = below(keys.prefix, capabilities.names)
        super().__init__(
            display_name=display_name, capabilities=replace(capabilities, names=names), page_entries=page_entries
        )
        self.keys = keys
        self.clock = clock
        self.in_use: set[str] = set()
        """Staging keys of uploads in parts that are under way."""

    @property
    @abstractmethod
    def service(self) -> ObjectService:
        """The bucket or container. ContractViolation when the connector was not entered."""

    def shown(self, path: PathParts) -> str:
        return self.service.shown(self.keys.key(path) if path else self.keys.prefix)

    async def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        await self._root_of_walk(root)
        completed = self.with_metadata if self._asks_for_metadata else None
        walk = ObjectWalk(self.service, self.keys, root, self._page_entries, completed)
        async with aclosing(walk.pages(resume_from)) as pages:
            async for page in pages:
                yield page

    @property
    def _asks_for_metadata(self) -> bool:
        return self.capabilities.keeps_times and not self.service.LISTS_METADATA

    async def with_metadata(self, listed: Sequence[Found]) -> Sequence[Found]:
        """The objects with what only a call for each tells of them; those that are gone are left out."""
        found = await at_once((one.key for one in listed), self.service.head, self.heads_at_once)
        return [one for one in found if one is not None]

    @property
    def heads_at_once(self) -> int:
        """How many objects a listing asks for at the same time."""
        return AT_ONCE

    async def list_folder(self, folder: Entry) -> Listing:
        path = self.keys.path_of(folder.ref)
        prefix = self.keys.folder_key(path)
        entries: dict[PathParts, Entry] = {}
        position: str | None = None
        calls = 0
        while True:
            page = await self.service.page(prefix, position, delimiter="/")
            calls += 1
            inside = [self.keys.path(key) for key in page.prefixes]
            inside += [self.keys.path(found.key) for found in page.objects if found.is_folder]
            entries |= {one: self.keys.folder(one) for one in inside if one}
            for found in page.objects:
                one = self.keys.path(found.key)
                if one and not found.is_folder and not found.key.endswith("/"):
                    entries[one] = self.keys.file(one, found)
            position = page.following
            if position is None:
                return Listing(list(entries.values()), calls=calls)

    async def look(self, path: PathParts) -> Entry | None:
        if not path:
            try:
                await self.service.page(self.keys.prefix, None, limit=1)
            except ItemError as error:
                raise FatalError(error.code, error.message, fix=error.fix) from error
            return self.keys.folder(())
        found = await self.service.head(self.keys.key(path))
        if found is not None and not found.is_folder:
            return self.keys.file(path, found)
        if found is not None or await self._has_something(path):
            return self.keys.folder(path)
        return None

    async def look_for_file(self, path: PathParts) -> Entry | None:
        """The file at the path; None whatever else is there."""
        found = await self.service.head(self.keys.key(path))
        return None if found is None or found.is_folder else self.keys.file(path, found)

    async def look_at(self, entry: Entry) -> Entry | None:
        path = self.keys.path_of(entry.ref)
        if entry.kind is EntryKind.FOLDER:
            return await self.look(path)
        return await self.look_for_file(path)

    async def _has_something(self, path: PathParts) -> bool:
        page = await self.service.page(self.keys.folder_key(path), None, limit=1)
        return bool(page.objects)

    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:  # noqa: ARG002
        if not self.folders.holds_nothing_but_made(path[:-1]) and await self.look(path) is not None:
            return None
        await self.service.put_folder(self.keys.folder_key(path))
        return self.keys.ref(path, folder=True)

    def read(self, entry: Entry, offset: int, length: int | None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        key = self.keys.key(self.keys.path_of(entry.ref))
        return self.service.get(key, entry.ref.version_id, offset, length)

    def upload(self, file: Incoming) -> ObjectUpload:
        return ObjectUpload(self, file)

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """As `Movable.move`. The place is looked at right before; services have no condition for copies that all of
        them know."""
        self.check(to)
        await self.folders.parent_of(to)
        path = self.keys.path_of(entry.ref)
        check_expected(self.shown(to), await self.look(to), None)
        await self._relocate(entry, path, to)
        found = await self.look(to)
        if found is None:
            raise ItemError("not-found", f"{self.shown(to)} was moved there and is gone again.")
        return found.ref

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:
        """As `Trash.delete_to_trash`."""
        path = self.keys.path_of(entry.ref)
        place = new_place(path, key)
        await self._relocate(entry, path, place)
        return token_of(path, place)

    async def kept(self, file: Incoming) -> str | None:
        """Copy what is going to be replaced into the trash folder, unless the service keeps versions; what `restore`
        needs. PreconditionFailed when it is not what the plan saw."""
        if self.capabilities.keeps_versions:
            return None
        found = await self.service.head(self.keys.key(file.path))
        now = None if found is None or found.is_folder else self.keys.file(file.path, found)
        check_expected(self.shown(file.path), now, file.expected)
        assert found is not None
        place = new_place(file.path, file.trash_key)
        try:
            await to_the_end(self.service.copy(found, self.keys.key(place)))
        except ConditionFailed as error:
            raise destination_changed(self.shown(file.path), "the file to replace was changed") from error
        except PreconditionFailed:
            if file.trash_key is None:
                raise
            # An earlier try has copied it there.
        return token_of(file.path, place)

    async def forget_kept(self, token: str) -> None:
        """Remove a copy that `kept` made: nothing was replaced after all."""
        await self.service.delete(self.keys.key(deleted(token)[1]), None)

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:  # noqa: ARG002
        """As `Trash.find_deleted`."""
        place = new_place(path, key)
        return None if await self.look(place) is None else token_of(path, place)

    async def restore(self, token: str) -> PathParts:
        """As `Trash.restore`."""
        path, place = deleted(token)
        lying = await self.look(place)
        if lying is None:
            raise not_restorable(self.shown(path))
        check_expected(self.shown(path), await self.look(path), None)
        await self.folders.make(path[:-1])
        await self._relocate(lying, place, path)
        return path

    async def _relocate(self, entry: Entry, path: PathParts, to: PathParts) -> None:
        """Copy everything, then remove it where it was; the copies are removed if not everything could be copied."""
        self.folders.filled(to[:-1])
        objects = await self._objects_of(entry, path)
        prefix, new_prefix = self.keys.key(path), self.keys.key(to)
        copies: dict[str, str | None] = {}

        async def copy(found: Found) -> None:
            to_key = new_prefix + found.key[len(prefix) :]
            copies[to_key] = await to_the_end(self.service.copy(found, to_key))

        try:
            await at_once(objects, copy, AT_ONCE)
        except BaseException as error:
            await surely(self._remove_copies(copies))
            if isinstance(error, ConditionFailed):
                raise source_changed(self.shown(path)) from error
            raise
        await self._remove_what_was_copied(entry, path, objects, copies)
        await self._keep_folder_around(path)
        self.folders.forget(path)

    async def _remove_what_was_copied(
        self, entry: Entry, path: PathParts, objects: Sequence[Found], copies: Mapping[str, str | None]
    ) -> None:
        """After an error the copies stay: what was to be removed may be gone already."""
        if not entry.is_file:
            await self._remove(found.key for found in reversed(objects))
            return
        try:
            await self.service.delete(objects[0].key, objects[0].version_id)
        except ConditionFailed as error:
            await surely(self._remove_copies(copies))
            raise source_changed(self.shown(path)) from error

    async def _objects_of(self, entry: Entry, path: PathParts) -> list[Found]:
        if entry.is_file:
            found = await self.service.head(self.keys.key(path))
            now = None if found is None else self.keys.file(path, found)
            if found is None or now is None or not same_version(now, replace(entry, path=path)):
                raise source_changed(self.shown(path))
            return [found]
        marked = await self.service.head(self.keys.key(path))
        objects = [] if marked is None or not marked.is_folder else [marked]
        position: str | None = None
        while True:
            page = await self.service.page(self.keys.folder_key(path), position)
            objects += page.objects
            position = page.following
            if position is None:
                break
        if not objects:
            raise source_changed(self.shown(path))
        return objects

    async def _keep_folder_around(self, path: PathParts) -> None:
        """A folder does not vanish because the last thing in it does."""
        folder = path[:-1]
        if folder and not is_hidden((folder[0],)) and not await self._has_something(folder):
            await self.service.put_folder(self.keys.folder_key(folder))

    async def _remove_copies(self, copies: Mapping[str, str | None]) -> None:
        """Remove copies that were made; one that somebody has changed since is not ours any more."""

        async def remove(key: str) -> None:
            with suppress(ConditionFailed):
                await self.service.delete(key, copies[key])

        await at_once(copies, remove, AT_ONCE)

    async def _remove(self, keys: Iterable[str]) -> None:
        await at_once(keys, lambda key: self.service.delete(key, None), AT_ONCE)


def below(prefix: str, rules: NameRules) -> NameRules:
    """The rules for paths below a prefix: the limit is of the whole key, a folder's slash included."""
    if rules.path_length_max is None:
        return rules
    return replace(rules, path_length_max=rules.path_length_max - length(prefix, rules.length_unit) - 1)


async def at_once(things: Iterable[T], work: Callable[[T], Awaitable[R]], limit: int) -> list[R]:
    """What `work` returns for each, in their order, so many at a time. Raises the first error, after all have ended."""
    waiting = list(enumerate(things))[::-1]
    results: dict[int, R] = {}

    async def worker() -> None:
        while waiting:
            position, thing = waiting.pop()
            results[position] = await work(thing)

    workers = [asyncio.ensure_future(worker()) for _ in range(min(limit, len(waiting)))]
    try:
        await asyncio.gather(*workers)
    except BaseException:
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        raise
    return [results[position] for position in range(len(results))]
