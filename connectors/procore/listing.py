"""What one project's folders and files are below the walked root, and what is to be said about those left out."""

from collections.abc import Iterable

from connectors.procore.index import Record
from connectors.procore.records import EntryMaker
from connectors.procore.tree import Folder, FolderTree
from migration.entries import Entry, ListingProblem, PathParts


class Listing:
    """Places folders and files of a project below one of its folders."""

    def __init__(self, tree: FolderTree, root_id: str, maker: EntryMaker) -> None:
        self._tree = tree
        self._maker = maker
        self._depth = len(tree.paths[root_id])
        self.root_id = root_id
        self.folders = tree.below(root_id)
        """Everything below the walked root, parents first."""
        self._paths = {root_id: ()} | {folder.id: self._path(folder) for folder in self.folders}

    @property
    def at_project_root(self) -> bool:
        """Whether the whole project is listed."""
        return self.root_id == self._tree.root_id

    @property
    def problems(self) -> tuple[ListingProblem, ...]:
        """What hangs on folders that are not visible; it could be anywhere, so it counts for every root."""
        return self._tree.problems

    def path_of(self, folder_id: str) -> PathParts:
        """A folder's path from the walked root."""
        return self._paths[folder_id]

    def folder(self, folder: Folder) -> Entry:
        """A folder as an entry."""
        return self._maker.folder(folder.record, self._parent(folder.parent_id), self._paths[folder.id])

    def files(self, records: Iterable[Record]) -> tuple[list[Entry], dict[str, list[str]]]:
        """Files of the index as entries; and the names of those whose folder is not known, by the folder's id."""
        entries: list[Entry] = []
        parentless: dict[str, list[str]] = {}
        for record in records:
            folder_id = str(record["parent_id"])
            path = self._paths.get(folder_id)
            if record.get("is_deleted"):
                continue
            if path is not None:
                entries.append(self._maker.file(record, self._parent(folder_id), path))
            elif folder_id not in self._tree.noise and folder_id not in self._tree.paths:
                parentless.setdefault(folder_id, []).append(record["name"])
        return entries, parentless

    def versions(self, folder_id: str, records: Iterable[Record]) -> list[Entry]:
        """All versions of the files of one folder's own listing."""
        parent_id, path = self._parent(folder_id), self._paths[folder_id]
        kept = (record for record in records if not record.get("is_deleted"))
        return [entry for record in kept for entry in self._maker.versions(record, parent_id, path)]

    def is_cut_off(self, folder_id: str) -> bool:
        """Whether the folder was listed, but not the ones above it."""
        return folder_id in self._tree.cut_off

    def _path(self, folder: Folder) -> PathParts:
        return self._tree.paths[folder.id][self._depth :]

    def _parent(self, folder_id: str | None) -> str | None:
        return None if folder_id == self.root_id else folder_id


def private_problem(level: str) -> ListingProblem:
    """The account would not see private entries of others, should there be any."""
    return ListingProblem(
        (),
        "private-may-be-hidden",
        f"This account has the level '{level}' in the Documents tool without access to private items: private folders "
        "and files that are not shared with it are not in this listing.",
        hides_entries=False,
    )


def parentless_problem(folder_id: str, names: list[str]) -> ListingProblem:
    """Files whose folder is not visible."""
    files = f"'{names[0]}' lies" if len(names) == 1 else f"{len(names)} files ('{names[0]}' is one) lie"
    return ListingProblem(
        (),
        "parent-not-visible",
        f"{files} in a folder (id {folder_id}) that this account does not see; left out, as the place is unknown.",
    )


def folder_problem(path: PathParts, reason: str) -> ListingProblem:
    """A folder whose files were refused."""
    shown = "/".join(path) or "the root folder"
    message = f"The folder '{shown}' could not be listed (Procore says: {reason or 'nothing'})."
    return ListingProblem(path, "folder-not-listed", message)


UNSTABLE = ListingProblem(
    (),
    "listing-unstable",
    "The project kept changing while it was listed; entries may be missing. Run again when fewer people work in it.",
)
