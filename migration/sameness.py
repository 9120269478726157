"""Whether what is at a place now still is what the plan saw there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from migration.actions import Action, ActionKind, Side
from migration.capabilities import Capabilities
from migration.entries import Entry, PathParts


def is_as_seen(found: Entry, seen: Entry, capabilities: Capabilities, *, moved: bool = False) -> bool:
    """Whether it is the same entry, untouched since. Pure.

    `moved`: this run has moved it (or a folder around it), by which ids made of paths, versions and, where times are
    not kept, times may have become others. Of a folder only its identity counts.
    """
    if found.kind is not seen.kind:
        return False
    if (capabilities.stable_ids or not moved) and found.ref.id != seen.ref.id:
        return False
    if not found.is_file:
        return True
    if None not in (found.size_bytes, seen.size_bytes) and found.size_bytes != seen.size_bytes:
        return False
    versions = (found.ref.version_id, seen.ref.version_id)
    if None not in versions and (versions[0] == versions[1] or not moved):
        return versions[0] == versions[1]
    times = (found.modified_at, seen.modified_at)
    if None in times or (moved and not capabilities.keeps_times):
        return True
    return times[0] == times[1]


@dataclass(frozen=True, slots=True)
class Renamed:
    """Where a run has renamed entries to, by side and from the job's roots. What is there, and below, has other paths
    (and perhaps ids and versions) than the plan saw."""

    paths: Mapping[Side, frozenset[PathParts]]

    @classmethod
    def by(cls, actions: Iterable[Action]) -> "Renamed":
        """By these actions."""
        paths: dict[Side, set[PathParts]] = {side: set() for side in Side}
        for action in actions:
            if action.kind is ActionKind.RENAME:
                paths[action.side].add(action.path)
        return cls({side: frozenset(of_side) for side, of_side in paths.items()})

    def covers(self, side: Side, path: PathParts) -> bool:
        """Whether the path leads to or through something that was renamed."""
        renamed = self.paths.get(side, frozenset())
        return bool(renamed) and any(path[:depth] in renamed for depth in range(1, len(path) + 1))
