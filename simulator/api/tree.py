"""The folders of one project in memory: paths, privacy and tracking of a page of entries without a query for each.

A tree is kept as long as nothing was written to the database, so a million entries are paged through with one load.
"""

import weakref
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.api.request import Project
from simulator.store import Store


@dataclass(slots=True)
class FolderTree:
    """Every folder of a project, deleted ones included."""

    parents: dict[int, int | None] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    owners_of_private: dict[int, int] = field(default_factory=dict)
    """Private folders and who made them."""
    tracked: set[int] = field(default_factory=set)
    _paths: dict[int, str] = field(default_factory=dict)
    _children: dict[int, list[int]] | None = None

    @classmethod
    def load(cls, store: Store, project_id: int) -> "FolderTree":
        tree = cls()
        rows = store.stream(
            "SELECT id, parent_id, name, private, tracked, created_by FROM documents "
            "WHERE project_id = ? AND kind = 'folder'",
            project_id,
        )
        for folder_id, parent_id, name, private, tracked, created_by in rows:
            tree.parents[folder_id] = parent_id
            tree.names[folder_id] = name
            if private:
                tree.owners_of_private[folder_id] = created_by
            if tracked:
                tree.tracked.add(folder_id)
        return tree

    def path(self, folder_id: int) -> str:
        """`<Project>/<a>/<b>`; empty for an unknown folder."""
        chain: list[int] = []
        at: int | None = folder_id
        while at is not None and at not in self._paths and at in self.names:
            chain.append(at)
            at = self.parents[at]
        path = self._paths.get(at, "") if at is not None else ""
        for member in reversed(chain):
            path = f"{path}/{self.names[member]}" if path else self.names[member]
            self._paths[member] = path
        return path

    def ancestors(self, folder_id: int | None) -> list[int]:
        """The folder and everything above it, nearest first."""
        chain: list[int] = []
        while folder_id is not None and folder_id in self.parents:
            chain.append(folder_id)
            folder_id = self.parents[folder_id]
        return chain

    def nearest_private(self, folder_id: int | None) -> int | None:
        """The nearest private folder from this one upwards."""
        return self._nearest(folder_id, self.owners_of_private) if self.owners_of_private else None

    def nearest_tracked(self, folder_id: int | None) -> int | None:
        """The nearest tracked folder from this one upwards."""
        return self._nearest(folder_id, self.tracked) if self.tracked else None

    def below(self, folder_id: int) -> list[int]:
        """The folder and every folder below it."""
        if self._children is None:
            self._children = {}
            for child, parent in self.parents.items():
                if parent is not None:
                    self._children.setdefault(parent, []).append(child)
        found = [folder_id]
        for member in found:
            found.extend(self._children.get(member, ()))
        return found

    def hidden_from(self, project: Project) -> set[int]:
        """The folders the caller cannot see: private ones of others, and all below them."""
        if project.sees_private:
            return set()
        hidden: set[int] = set()
        for folder_id, owner in self.owners_of_private.items():
            if owner != project.viewer.user_id and folder_id not in hidden:
                hidden.update(self.below(folder_id))
        return hidden

    def _nearest(self, folder_id: int | None, among: "dict[int, int] | set[int]") -> int | None:
        while folder_id is not None:
            if folder_id in among:
                return folder_id
            folder_id = self.parents.get(folder_id)
        return None


@dataclass(slots=True)
class _Memory:
    changes: int = -1
    trees: dict[int, FolderTree] = field(default_factory=dict)
    listings: dict[tuple[int | str, ...], Sequence[int]] = field(default_factory=dict)


_LISTINGS_MAX = 8
_memories: "weakref.WeakKeyDictionary[Store, _Memory]" = weakref.WeakKeyDictionary()


def folder_tree(store: Store, project_id: int) -> FolderTree:
    """The project's folders as they are now."""
    memory = _current(store)
    if project_id not in memory.trees:
        memory.trees[project_id] = FolderTree.load(store, project_id)
    return memory.trees[project_id]


def listing(store: Store, sql: str, values: list[int | str]) -> Sequence[int]:
    """The ids a query gives, in its order, as they are now; `values` are bound to its question marks."""
    memory = _current(store)
    key = (sql, *values)
    if key not in memory.listings:
        while len(memory.listings) >= _LISTINGS_MAX:
            del memory.listings[next(iter(memory.listings))]
        memory.listings[key] = array("q", (row[0] for row in store.stream(sql, *values)))
    return memory.listings[key]


def _current(store: Store) -> _Memory:
    memory = _memories.setdefault(store, _Memory())
    changes = store.changes()
    if memory.changes != changes:
        memory.changes = changes
        memory.trees.clear()
        memory.listings.clear()
    return memory
