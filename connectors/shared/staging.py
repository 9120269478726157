"""For systems that have neither upload sessions nor a trash but can rename: what is written lies under a staged name in
the file's own folder, what is deleted in SiteHaul's own trash folder at the connection's root.
"""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from connectors.shared.completion import surely
from connectors.shared.giving import source_changed
from connectors.shared.paths import is_staged
from connectors.shared.trash import deleted, new_place, not_restorable, token_of
from connectors.shared.tree import Incoming, TreeConnector, check_expected, same_version
from migration.contract import Stored
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ItemError, PreconditionFailed, RetryableError


class StagedTreeConnector(TreeConnector):
    """A tree whose uploads are staged files. Adds StagedSweep, Movable and Trash of migration/contract.py."""

    @abstractmethod
    async def remove_file(self, path: PathParts) -> object:
        """Remove a file; one that is gone already is no error."""

    @abstractmethod
    async def rename(self, path: PathParts, to: PathParts) -> None:
        """Give a file or folder another path, if nothing is there. PreconditionFailed `destination-changed` when
        something is, ItemError `not-found` when `path` or the folder around `to` is gone."""

    @abstractmethod
    def path_of(self, entry: Entry) -> PathParts:
        """Where the entry was when it was listed, from the connection's root."""

    @contextmanager
    def writing(self, staged: PathParts) -> Iterator[None]:
        """Keep `sweep_staged` from the staged file meanwhile."""
        in_use = self._in_use
        in_use[staged] = in_use.get(staged, 0) + 1
        try:
            yield
        finally:
            in_use[staged] -= 1
            if not in_use[staged]:
                del in_use[staged]

    async def sweep_staged(self, root: PathParts) -> int:
        """As `StagedSweep.sweep_staged`; staged files that this connector is writing stay."""
        self.check(root)
        start = await self.look(root)
        if start is None or start.kind is not EntryKind.FOLDER:
            return 0
        removed, folders = 0, [start]
        while folders:
            try:
                listing = await self.list_folder(folders.pop())
            except ItemError:
                continue  # what cannot be listed cannot hold what we staged
            for entry in listing.entries:
                path = self.path_of(entry)
                if entry.kind is EntryKind.FOLDER:
                    folders.append(entry)
                elif is_staged(entry.name) and path not in self._in_use:
                    await self.remove_file(path)
                    removed += 1
        return removed

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """As `Movable.move`."""
        self.check(to)
        path = self.path_of(entry)
        await self.folders.parent_of(to)
        await self._same(entry, path)
        await self.rename(path, to)
        self.folders.forget(path)
        found = await self.look(to)
        if found is None:
            raise ItemError("not-found", f"{self.shown(to)} was moved there and is gone again.")
        return found.ref

    async def duplicate(self, path: PathParts, to: PathParts) -> bool:  # noqa: ARG002
        """Make the file appear at the other path as well, without its bytes passing through; False where the system
        cannot do that."""
        return False

    async def published(self, file: Incoming, publish: Callable[[Entry | None], Awaitable[Stored]]) -> Stored:
        """What `publish`, given the precondition, returns; before that the file to be replaced gets into the trash,
        where that is wanted: as a second one where the system can do that, else there is nothing at the path for a
        moment. It is put back when publishing fails."""
        if not file.keep_replaced:
            return await publish(file.expected)
        place = new_place(file.path, file.trash_key)
        is_there = await self._keep(file, place)
        try:
            stored = await publish(file.expected if is_there else None)
        except BaseException as error:
            if not isinstance(error, RetryableError) or error.code != "publish-unknown":
                await surely(self.remove_file(place) if is_there else self._put_back(place, file.path))
            raise
        return replace(stored, trashed=token_of(file.path, place))

    async def _keep(self, file: Incoming, place: PathParts) -> bool:
        """Bring the file to be replaced into the trash; whether it still is at its path as well. An earlier try may
        have done so."""
        found = await self.look(file.path)
        if found is None and await self._is_kept(file, place):
            return False
        check_expected(self.shown(file.path), found, file.expected)
        await self.folders.make(place[:-1])
        if await self.duplicate(file.path, place):
            return True
        try:
            await self.rename(file.path, place)
        except PreconditionFailed:
            if not await self._is_kept(file, place):
                raise
            return True
        return False

    async def _is_kept(self, file: Incoming, place: PathParts) -> bool:
        if file.trash_key is None or file.expected is None:
            return False
        kept = await self.look(place)
        return kept is not None and kept.is_file and kept.size_bytes == file.expected.size_bytes

    async def _put_back(self, place: PathParts, path: PathParts) -> None:
        # What has appeared at the path meanwhile is somebody's; the older file stays in the trash then.
        with suppress(PreconditionFailed):
            await self.rename(place, path)

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:
        """As `Trash.delete_to_trash`; the entry is moved into the trash folder, which walks do not show."""
        path = self.path_of(entry)
        await self._same(entry, path)
        place = new_place(path, key)
        await self.folders.make(place[:-1])
        await self.rename(path, place)
        self.folders.forget(path)
        return token_of(path, place)

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:  # noqa: ARG002
        """As `Trash.find_deleted`."""
        place = new_place(path, key)
        return None if await self.look(place) is None else token_of(path, place)

    async def restore(self, token: str) -> PathParts:
        """As `Trash.restore`."""
        path, place = deleted(token)
        await self.folders.make(path[:-1])
        if await self.look(place) is None:
            raise not_restorable(self.shown(path))
        check_expected(self.shown(path), await self.look(path), None)
        await self.rename(place, path)
        return path

    async def _same(self, entry: Entry, path: PathParts) -> None:
        found = await self.look_at(entry)
        if found is None or (entry.is_file and not same_version(found, entry)):
            raise source_changed(self.shown(path))

    @property
    def _in_use(self) -> dict[PathParts, int]:
        in_use: dict[PathParts, int] = self.__dict__.setdefault("_staged_in_use", {})
        return in_use
