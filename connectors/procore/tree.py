"""The folders of a project as a tree: paths rebuilt from parent ids, since a name may contain '/'.

What lies in the recycle bin or is deleted is noise and falls away. What hangs on a folder that is not in the listing is
kept out and said.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from migration.entries import ListingProblem, PathParts
from migration.errors import ConfigurationError

NAMED_MAX = 20
FACTS = ("id", "parent_id", "name", "created_at", "created_by", "private", "is_deleted", "is_recycle_bin")
"""What is kept of a listed folder: all folders of a project are held while its files are listed."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One listed folder."""

    id: str
    parent_id: str | None
    name: str
    record: Mapping[str, Any]
    """As the index gave it, or the FACTS of it."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Folder":
        """From an entry of the index."""
        parent_id = record.get("parent_id")
        return cls(str(record["id"]), None if parent_id is None else str(parent_id), str(record["name"]), record)

    @property
    def is_noise(self) -> bool:
        """Deleted, or the recycle bin itself."""
        return bool(self.record.get("is_deleted") or self.record.get("is_recycle_bin"))


def folder_facts(record: Mapping[str, Any], people: dict[Any, Any]) -> dict[str, Any]:
    """The FACTS of an entry of the index; the same person is the same object, kept in `people` by id."""
    facts = {key: record[key] for key in FACTS if key in record}
    person = facts.get("created_by")
    if person:
        facts["created_by"] = people.setdefault(person.get("id"), person)
    return facts


@dataclass(slots=True)
class FolderTree:
    """A project's visible folders. Paths begin below the project's root folder."""

    root_id: str
    folders: dict[str, Folder] = field(default_factory=dict)
    """The visible ones without the root, parents first, siblings by name."""
    paths: dict[str, PathParts] = field(default_factory=dict)
    """By folder id, the root's () included."""
    noise: frozenset[str] = frozenset()
    """Ids of folders in the recycle bin."""
    cut_off: frozenset[str] = frozenset()
    """Ids of listed folders whose place in the tree is not visible."""
    problems: tuple[ListingProblem, ...] = ()

    @classmethod
    def built(cls, records: Iterable[Mapping[str, Any]], root_id: str) -> "FolderTree":
        """The tree of everything below the root folder."""
        listed = {folder.id: folder for folder in map(Folder.of, records)}
        children = _children(listed.values())
        tree = cls(root_id)
        tree.paths[root_id] = ()
        for folder in _below(root_id, children, through_noise=False):
            tree.folders[folder.id] = folder
            tree.paths[folder.id] = (*tree.paths[folder.parent_id or root_id], folder.name)
        tree.noise = _noise(listed.values(), children, tree.paths)
        rest = [folder for folder in listed.values() if folder.id not in tree.paths and folder.id not in tree.noise]
        tree.cut_off = frozenset(folder.id for folder in rest)
        tree.problems = tuple(_cut_off(folder) for folder in rest if folder.parent_id not in tree.cut_off)
        if tree.cut_off and not tree.problems:
            tree.problems = (_cut_off(rest[0]),)  # folders that are each other's parents
        return tree

    def digest(self) -> str:
        """Names this exact tree."""
        rows = sorted((folder.id, folder.parent_id, folder.name) for folder in self.folders.values())
        return hashlib.sha256(json.dumps([self.root_id, rows]).encode()).hexdigest()[:32]

    def find(self, parts: PathParts) -> str:
        """The id of the folder at a path below the root: exact names first, then whatever the case.

        A folder whose name contains '/' is found by the parts its name falls into. Raises ConfigurationError
        `folder-not-found`.
        """
        children = _children(self.folders.values())
        reached: list[tuple[str, PathParts]] = []
        found = _locate(self.root_id, parts, children, reached)
        if found is None:
            folder_id, rest = min(reached, key=lambda place: len(place[1]))
            raise _missing(parts, rest, [child.name for child in children.get(folder_id, ())])
        return found

    def below(self, folder_id: str) -> list[Folder]:
        """The folders below one, parents first, siblings by name."""
        if folder_id == self.root_id:
            return list(self.folders.values())
        return list(_below(folder_id, _children(self.folders.values()), through_noise=False))


def _children(folders: Iterable[Folder]) -> dict[str, list[Folder]]:
    children: dict[str, list[Folder]] = {}
    for folder in folders:
        if folder.parent_id is not None:
            children.setdefault(folder.parent_id, []).append(folder)
    for siblings in children.values():
        siblings.sort(key=lambda folder: (folder.name, folder.id))
    return children


def _below(folder_id: str, children: Mapping[str, list[Folder]], *, through_noise: bool) -> Iterable[Folder]:
    """Everything below a folder, parents first. Not recursive: nothing bounds the depth of a tree."""
    waiting = list(reversed(children.get(folder_id, ())))
    seen = {folder_id}
    while waiting:
        folder = waiting.pop()
        if folder.id in seen or (folder.is_noise and not through_noise):
            continue
        seen.add(folder.id)
        yield folder
        waiting.extend(reversed(children.get(folder.id, ())))


def _noise(
    listed: Iterable[Folder], children: Mapping[str, list[Folder]], kept: Mapping[str, PathParts]
) -> frozenset[str]:
    noise: set[str] = set()
    for folder in listed:
        if folder.is_noise and folder.id not in noise:
            noise.add(folder.id)
            noise.update(child.id for child in _below(folder.id, children, through_noise=True))
    return frozenset(noise - kept.keys())


def _cut_off(folder: Folder) -> ListingProblem:
    return ListingProblem(
        (folder.name,),
        "parent-not-visible",
        f"The folder '{folder.name}' (id {folder.id}) lies in a folder that this account does not see; it is left out "
        "with everything in it.",
    )


def _locate(
    folder_id: str, parts: PathParts, children: Mapping[str, list[Folder]], reached: list[tuple[str, PathParts]]
) -> str | None:
    """The folder at a path below another; `reached` collects how far each way led."""
    if not parts:
        return folder_id
    reached.append((folder_id, parts))
    inside = children.get(folder_id, ())
    for taken in range(1, len(parts) + 1):
        wanted = "/".join(parts[:taken])
        exact = [child for child in inside if child.name == wanted]
        for child in exact or [child for child in inside if child.name.casefold() == wanted.casefold()]:
            found = _locate(child.id, parts[taken:], children, reached)
            if found is not None:
                return found
    return None


def _missing(parts: PathParts, rest: PathParts, names: list[str]) -> ConfigurationError:
    place = "/".join(parts[: len(parts) - len(rest)])
    shown = ", ".join(f"'{name}'" for name in names[:NAMED_MAX]) or "no folders"
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    where = f"the folder '{place}'" if place else "the project"
    return ConfigurationError(
        "folder-not-found",
        f"There is no folder '{rest[0]}' in {where}; there are {shown}{more}.",
        fix="Check the path of the job; its first part is the project, the others are folders in it.",
    )
