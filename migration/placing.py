"""Where the source's folders go: the tree of folders with their destination paths, in the order of work. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from migration.entries import PathParts
from migration.errors import PlanError
from migration.naming import MappedName, Namer, Place, Sibling


class FolderRow(NamedTuple):
    """One folder of an inventory. `top` = directly below the root; `created` orders by age, None = unknown."""

    id: str
    parent_id: str | None
    name: str
    top: bool
    created: int | None = None
    deleted: bool = False


@dataclass(slots=True, eq=False)
class Folder:
    """A source folder and its place at the destination. The root has ordinal 0, no parent and empty paths."""

    ordinal: int
    parent: "Folder | None"
    id: str
    source_path: PathParts
    destination_path: PathParts
    place: Place
    """Where the files in it are."""
    changes: tuple[str, ...] = ()
    problem: str | None = None
    renamed: bool = False
    deleted: bool = False
    subfolders: dict[str, "Folder"] = field(default_factory=dict)
    """By key of their names at the destination."""
    there_id: str | None = None
    """The id of the folder at the destination path, if one is there."""
    there_is_exact: bool = False
    has_files: bool = False
    """Whether a file that is not deleted is in it, at any depth."""
    takes_part: bool = False
    """Whether a file or folder in it takes part, so that it is needed."""
    flagged: str | None = None
    """Why it cannot be made; then nothing in it can be copied."""


def place_folders(rows: Iterable[FolderRow], namer: Namer, root_length: int) -> list[Folder]:
    """Every folder with its place, the root first, parents before children, siblings by name.

    `root_length` is the length of the job's destination path in the destination's unit. Raises PlanError
    `orphan-entry` or `duplicate-entry` for rows that are no tree.
    """
    children: dict[str | None, list[FolderRow]] = defaultdict(list)
    ids: set[str] = set()
    for row in rows:
        if row.id in ids:
            raise duplicate(row.id, row.name)
        ids.add(row.id)
        children[None if row.top else row.parent_id].append(row)
    root = Folder(0, None, "", (), (), Place(root_length))
    folders = [root]
    waiting = [(root, row, new) for row, new in _placed(root, children.pop(None, []), namer)]
    while waiting:
        parent, row, new = waiting.pop()
        folder = _folder(len(folders), parent, row, new, namer)
        folders.append(folder)
        waiting.extend((folder, child, name) for child, name in _placed(folder, children.pop(row.id, []), namer))
    for rest in children.values():
        raise orphan(rest[0].id, rest[0].name)
    return folders


def match_destination(folders: Sequence[Folder], rows: Iterable[FolderRow], namer: Namer) -> dict[str, int]:
    """Note on each folder which destination folder is already there; return ordinals by destination folder id.

    Rows come parents first. Of several that are one name for the engine the one spelt alike counts.
    """
    matched: dict[str, Folder] = {}
    for row in rows:
        parent = folders[0] if row.top else matched.get(row.parent_id or "")
        folder = parent.subfolders.get(namer.key(row.name)) if parent else None
        if folder is None:
            continue
        exact = folder.destination_path[-1] == row.name
        if folder.there_id is None or (exact and not folder.there_is_exact):
            if folder.there_id is not None:
                matched.pop(folder.there_id, None)
            folder.there_id, folder.there_is_exact = row.id, exact
            matched[row.id] = folder
    return {row_id: folder.ordinal for row_id, folder in matched.items()}


def _placed(parent: Folder, rows: list[FolderRow], namer: Namer) -> Iterator[tuple[FolderRow, MappedName]]:
    """Last name first, as they are taken from the end of a stack."""
    rows.sort(key=lambda row: (row.name, row.id), reverse=True)
    live = [row for row in rows if not (row.deleted or parent.deleted)]
    siblings = [Sibling(row.id, row.name, row.created) for row in live]
    mapped = namer.map_names(siblings, Place(parent.place.length, folders=True))
    names = {row.id: new for row, new in zip(live, mapped, strict=True)}
    return ((row, names.get(row.id) or MappedName(row.name, "")) for row in rows)


def _folder(ordinal: int, parent: Folder, row: FolderRow, new: MappedName, namer: Namer) -> Folder:
    length = parent.place.length + (1 if parent.place.length else 0) + namer.length(new.name)
    folder = Folder(
        ordinal=ordinal,
        parent=parent,
        id=row.id,
        source_path=(*parent.source_path, row.name),
        destination_path=(*parent.destination_path, new.name),
        place=Place(length),
        changes=new.changes,
        problem=new.problem,
        renamed=parent.renamed or new.name != row.name,
        deleted=parent.deleted or row.deleted,
    )
    if new.problem is None and not folder.deleted:
        parent.subfolders[new.key] = folder
    return folder


def duplicate(entry_id: str, name: str) -> PlanError:
    """The error for an entry that the inventory holds more than once."""
    return PlanError(
        "duplicate-entry", f"The inventory lists {name!r} (id {entry_id}) more than once.", fix="Analyze again."
    )


def orphan(entry_id: str, name: str) -> PlanError:
    """The error for an entry whose folder the inventory does not hold."""
    return PlanError(
        "orphan-entry",
        f"The inventory lists {name!r} (id {entry_id}) in a folder that it does not list.",
        fix="Analyze again; if it happens again, please report it.",
    )
