"""For systems that have neither upload sessions nor a trash but can rename: what is written lies under a staged name in
the file's own folder, what is deleted in SiteHaul's own trash folder at the connection's root.
"""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.shared.giving import source_changed
from connectors.shared.paths import is_staged
from connectors.shared.trash import deleted, new_place, not_restorable, token_of
from connectors.shared.tree import TreeConnector, check_expected, same_version
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ItemError


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
