"""What is to be done with each pair of files. Pure: no I/O, no clock; the same facts give the same verdict.

A pair is a file of the source, what is at its place at the destination, and what the baseline says of both; each of the
three may be missing. Every transfer type is a strategy (STRATEGIES). Times are microseconds since 1970, None = unknown;
ids are compared, never read, and may be in their stored form.

Long because the tables of all transfer types are read together.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from migration.actions import ActionKind, Side
from migration.capabilities import Capabilities
from migration.rules import (
    ConflictResolution,
    DeletePropagation,
    ItemOverwrite,
    LargeItem,
    Rules,
    TransferType,
)


class SourceFile(NamedTuple):
    """What is known of a file at the source."""

    id: str
    version_id: str | None
    size_bytes: int | None
    modified: int | None


class There(NamedTuple):
    """What is at the file's place at the destination now."""

    is_file: bool
    id: str
    version_id: str | None
    size_bytes: int | None
    modified: int | None


class Before(NamedTuple):
    """What the baseline says: which file was put there, how both sides were left, and since when one is missing."""

    source_id: str | None
    source_version_id: str | None
    source_modified: int | None
    size_bytes: int | None
    destination_id: str | None
    destination_version_id: str | None
    destination_modified: int | None
    missing_at_source: str | None = None
    missing_at_destination: str | None = None


class Verdict(NamedTuple):
    """The decision on one pair. `reason` is always set for skip and flag; `side` is the one that is changed; what is
    there on the side `aside` is renamed before. None instead of a verdict: there is nothing to tell."""

    kind: ActionKind
    reason: str | None = None
    detail: str | None = None
    side: Side = Side.DESTINATION
    aside: Side | None = None

    @property
    def deletes(self) -> bool:
        """Whether it deletes, at once or when the next run confirms it."""
        return self.kind is ActionKind.DELETE or self.reason == MISSING_ONCE


@dataclass(frozen=True, slots=True)
class Ends:
    """What the two systems can do, and what the job wants of them."""

    rules: Rules
    source: Capabilities
    destination: Capabilities
    movable: frozenset[Side] = field(default=frozenset(Side))
    """The sides where a file can be renamed."""


class Strategy(Protocol):
    """One transfer type."""

    def pair(self, file: SourceFile | None, there: There | None, before: Before | None) -> Verdict | None:
        """The decision on a pair whose names and folders are no obstacle. At least one of the three is given."""
        ...


UNCHANGED = Verdict(ActionKind.SKIP, "unchanged")
ALREADY_THERE = Verdict(ActionKind.SKIP, "already-there")
DELETED_AT_SOURCE = Verdict(ActionKind.SKIP, "deleted-at-source")
EMPTY_FOLDER = Verdict(ActionKind.SKIP, "empty-folder")
NOTHING_TAKES_PART = Verdict(ActionKind.SKIP, "nothing-in-it-takes-part")
FOLDER_IN_THE_WAY = Verdict(ActionKind.FLAG, "folder-in-the-way")
FILE_IN_THE_WAY = Verdict(ActionKind.FLAG, "file-in-the-way")
MAKE_FOLDER = Verdict(ActionKind.MAKE_FOLDER)
NEW = Verdict(ActionKind.COPY, "new")
GONE_AT_DESTINATION = Verdict(ActionKind.COPY, "gone-at-destination")
NEWER_AT_SOURCE = Verdict(ActionKind.COPY, "newer-at-source")
NEWER_AT_DESTINATION = Verdict(ActionKind.COPY, "newer-at-destination", side=Side.SOURCE)
NEW_AT_DESTINATION = Verdict(ActionKind.COPY, "new-at-destination", side=Side.SOURCE)
GONE_AT_SOURCE = Verdict(ActionKind.COPY, "changed-after-deletion-at-source", side=Side.SOURCE)
CHANGED_AFTER_DELETION = Verdict(ActionKind.COPY, "changed-after-deletion-at-destination")
GONE_ON_BOTH_SIDES = Verdict(ActionKind.SKIP, "gone-on-both-sides")
KEPT_AT_DESTINATION = Verdict(ActionKind.SKIP, "deletion-at-destination-ignored")
CHANGED_AT_DESTINATION = "changed-at-destination"
CHANGED_ON_BOTH_SIDES = "changed-on-both-sides"
ANOTHER_FILE_THERE = "destination-has-another-file"
TOO_LARGE = "too-large"
PARENT_FLAGGED = "parent-flagged"
MISSING_ONCE = "missing-once"
MOVED_AT_SOURCE = "moved-at-source"
MOVED_AT_DESTINATION = "moved-at-destination"
MOVED_WITH_FOLDER = "moved-with-folder"
IN_THE_WAY = "in-the-way"
CONFLICT_COPY = "conflict-copy"
DELETED_SOURCE_CHANGED_THERE = Verdict(ActionKind.SKIP, "deleted-at-source-changed-at-destination")
FOLDERS_ONLY = Verdict(ActionKind.SKIP, "folders-only")
ALREADY_MIGRATED = Verdict(ActionKind.SKIP, "already-migrated")


def propagation(transfer_type: TransferType, rules: Rules) -> DeletePropagation:
    """Whose deletions have an effect. Publishing always makes the destination match."""
    if transfer_type is TransferType.PUBLISH:
        return DeletePropagation.MIRROR
    if transfer_type in (TransferType.MIGRATE, TransferType.MOVE, TransferType.TAXONOMY):
        return DeletePropagation.IGNORE_SOURCE
    if rules.delete_propagation is not None:
        return rules.delete_propagation
    return DeletePropagation.IGNORE_BOTH if transfer_type is TransferType.SYNC else DeletePropagation.IGNORE_SOURCE


class Comparison:
    """Tells what has changed since the last run, and what is the same on both sides."""

    def __init__(self, ends: Ends) -> None:
        destination = ends.destination
        self._trusts = ends.rules.trust_mode
        self._times_say_something = ends.rules.timestamps and destination.keeps_times
        self._sizes_settle = bool(destination.rewritten_suffixes)
        self._tolerance = _microseconds(destination)
        self._tolerance_on_either_side = max(self._tolerance, _microseconds(ends.source))

    def as_we_left_it(self, there: There, before: Before) -> bool:
        """Whether nobody has changed it since, by version, or by what a change would have changed. Where the
        destination rewrites what it is given, sizes say nothing and the time we set everything."""
        versions = (there.version_id, before.destination_version_id)
        if None not in versions and versions[0] == versions[1]:
            return there.id == before.destination_id
        times_known = None not in (there.modified, before.destination_modified)
        if there.size_bytes != before.size_bytes and not (self._sizes_settle and times_known):
            return False
        if there.modified is None or before.destination_modified is None:
            return there.id == before.destination_id and None in versions
        return abs(there.modified - before.destination_modified) <= self._tolerance

    def same_version(self, file: SourceFile, before: Before) -> bool:
        """By version id, where there is one; a file with another id is the same if size and time are."""
        if file.id == before.source_id and file.version_id is not None and before.source_version_id is not None:
            return file.version_id == before.source_version_id
        known = None not in (file.size_bytes, file.modified)
        return known and (file.size_bytes, file.modified) == (before.size_bytes, before.source_modified)

    def same_content(self, file: SourceFile, there: There) -> bool:
        """Whether both are taken for the same file without looking into it: by name alone if the job trusts names, else
        by size and time."""
        if self._trusts:
            return True
        if not self._times_say_something or None in (file.size_bytes, file.modified, there.modified):
            return False
        assert file.modified is not None and there.modified is not None
        apart = abs(file.modified - there.modified)
        return file.size_bytes == there.size_bytes and apart <= self._tolerance_on_either_side


class Conflicts:
    """Decides on two files that are not the same and were not left so by this job."""

    def __init__(self, ends: Ends, resolution: ConflictResolution, *, both_ways: bool) -> None:
        self._overwrite = ends.rules.item_overwrite
        self._resolution = resolution
        self._movable = ends.movable
        self._both_ways = both_ways

    def verdict(self, file: SourceFile, there: There, reason: str) -> Verdict:
        """Which one wins, and what becomes of the other."""
        if self._overwrite is not ItemOverwrite.OVERWRITE:
            return Verdict(ActionKind.SKIP if self._overwrite is ItemOverwrite.SKIP else ActionKind.FLAG, reason)
        if self._resolution is ConflictResolution.FAILURE:
            return Verdict(ActionKind.FLAG, reason)
        loser = self._loser(file, there)
        if self._resolution is ConflictResolution.COPY:
            return self._both(reason, loser if self._both_ways else Side.DESTINATION)
        if loser is Side.SOURCE and not self._both_ways:
            return Verdict(ActionKind.SKIP, reason)
        return Verdict(ActionKind.COPY, reason, side=loser)

    def _both(self, reason: str, loser: Side) -> Verdict:
        if loser not in self._movable:
            return Verdict(ActionKind.FLAG, reason, "this system cannot rename, so both cannot be kept")
        return Verdict(ActionKind.COPY, reason, side=loser, aside=loser)

    def _loser(self, file: SourceFile, there: There) -> Side:
        """The older one; the destination's when neither is known to be."""
        if self._resolution is ConflictResolution.SOURCE:
            return Side.DESTINATION
        if self._resolution is ConflictResolution.DESTINATION:
            return Side.SOURCE
        if file.modified is None or there.modified is None or there.modified <= file.modified:
            return Side.DESTINATION
        return Side.SOURCE


class OneWay:
    """copy, migrate, move and publish: the source decides, and only the destination is changed by what this says."""

    def __init__(self, ends: Ends, transfer_type: TransferType) -> None:
        self._type = transfer_type
        self._sizes = Sizes(ends.rules, ends.destination, Side.DESTINATION)
        self._comparison = Comparison(ends)
        self._overwrites = ends.rules.item_overwrite
        self._deletions = propagation(transfer_type, ends.rules)
        self._twice = ends.rules.deletes.two_sightings
        resolution = _ONE_WAY_RESOLUTION.get(transfer_type, ends.rules.conflict_resolution)
        self._conflicts = Conflicts(ends, resolution, both_ways=False)

    def pair(self, file: SourceFile | None, there: There | None, before: Before | None) -> Verdict | None:
        if file is None:
            return self._gone_at_source(there, before)
        if self._type is TransferType.MIGRATE and before is not None and before.source_id is not None:
            return ALREADY_MIGRATED
        too_large = self._sizes.too_large(file.size_bytes)
        if too_large is not None:
            return too_large
        if there is None:
            return self._not_there(file, before)
        return self._both_there(file, there, before)

    def _not_there(self, file: SourceFile, before: Before | None) -> Verdict:
        if before is None:
            return NEW
        if not self._deletions.of_destination and self._comparison.same_version(file, before):
            return KEPT_AT_DESTINATION
        return GONE_AT_DESTINATION

    def _both_there(self, file: SourceFile, there: There, before: Before | None) -> Verdict:
        if not there.is_file:
            return FOLDER_IN_THE_WAY
        known = before is not None and before.source_id is not None
        if before and known and self._comparison.as_we_left_it(there, before):
            return UNCHANGED if self._comparison.same_version(file, before) else NEWER_AT_SOURCE
        if self._comparison.same_content(file, there):
            return ALREADY_THERE
        if before and known and self._comparison.same_version(file, before):
            return self._changed_there_only(file, there)
        return self._conflicts.verdict(file, there, CHANGED_ON_BOTH_SIDES if known else ANOTHER_FILE_THERE)

    def _changed_there_only(self, file: SourceFile, there: There) -> Verdict:
        """Somebody changed what this job had copied, while the source stayed as it was."""
        if self._type is TransferType.PUBLISH or self._overwrites is ItemOverwrite.FAIL:
            return self._conflicts.verdict(file, there, CHANGED_AT_DESTINATION)
        return Verdict(ActionKind.SKIP, CHANGED_AT_DESTINATION)

    def _gone_at_source(self, there: There | None, before: Before | None) -> Verdict | None:
        if there is None:
            return GONE_ON_BOTH_SIDES
        if not there.is_file or not self._deletions.of_source:
            return None
        if self._type is TransferType.PUBLISH:
            return deletion(before, Side.DESTINATION, twice=self._twice)
        if before is None or before.source_id is None:
            return None
        if not self._comparison.as_we_left_it(there, before):
            return DELETED_SOURCE_CHANGED_THERE
        return deletion(before, Side.DESTINATION, twice=self._twice)


class Sync:
    """Both ways: what changed on one side since the last run changes on the other."""

    def __init__(self, ends: Ends, transfer_type: TransferType) -> None:
        self._sizes = Sizes(ends.rules, ends.destination, Side.DESTINATION)
        self._sizes_at_source = Sizes(ends.rules, ends.source, Side.SOURCE)
        self._comparison = Comparison(ends)
        self._deletions = propagation(transfer_type, ends.rules)
        self._twice = ends.rules.deletes.two_sightings
        self._conflicts = Conflicts(ends, ends.rules.conflict_resolution, both_ways=True)

    def pair(self, file: SourceFile | None, there: There | None, before: Before | None) -> Verdict | None:
        if before is not None and before.source_id is None:
            before = None
        verdict = self._pair(file, there, before)
        return self._fitting(verdict, file, there)

    def _pair(self, file: SourceFile | None, there: There | None, before: Before | None) -> Verdict | None:
        if file is None:
            return self._only_there(there, before)
        if there is None:
            return self._only_here(file, before)
        if not there.is_file:
            return FOLDER_IN_THE_WAY
        return self._both(file, there, before)

    def _both(self, file: SourceFile, there: There, before: Before | None) -> Verdict:
        if before is None:
            if self._comparison.same_content(file, there):
                return ALREADY_THERE
            return self._conflicts.verdict(file, there, ANOTHER_FILE_THERE)
        same_here = self._comparison.same_version(file, before)
        same_there = self._comparison.as_we_left_it(there, before)
        if same_here:
            return UNCHANGED if same_there else NEWER_AT_DESTINATION
        if same_there:
            return NEWER_AT_SOURCE
        if self._comparison.same_content(file, there):
            return ALREADY_THERE
        return self._conflicts.verdict(file, there, CHANGED_ON_BOTH_SIDES)

    def _only_here(self, file: SourceFile, before: Before | None) -> Verdict:
        if before is None:
            return NEW
        if not self._comparison.same_version(file, before):
            return CHANGED_AFTER_DELETION
        if not self._deletions.of_destination:
            return KEPT_AT_DESTINATION
        return deletion(before, Side.SOURCE, twice=self._twice)

    def _only_there(self, there: There | None, before: Before | None) -> Verdict | None:
        if there is None:
            return GONE_ON_BOTH_SIDES
        if not there.is_file:
            return None
        if before is None:
            return NEW_AT_DESTINATION
        if not self._comparison.as_we_left_it(there, before):
            return GONE_AT_SOURCE
        if not self._deletions.of_source:
            return Verdict(ActionKind.SKIP, "deletion-at-source-ignored")
        return deletion(before, Side.DESTINATION, twice=self._twice)

    def _fitting(self, verdict: Verdict | None, file: SourceFile | None, there: There | None) -> Verdict | None:
        """The verdict, or that the file is too large for the side it would be copied to."""
        if verdict is None or verdict.kind is not ActionKind.COPY:
            return verdict
        if verdict.side is Side.DESTINATION:
            return self._sizes.too_large(file.size_bytes if file else None) or verdict
        return self._sizes_at_source.too_large(there.size_bytes if there else None) or verdict


class Taxonomy:
    """Folders only."""

    def __init__(self, ends: Ends, transfer_type: TransferType) -> None:
        del ends, transfer_type

    def pair(self, file: SourceFile | None, there: There | None, before: Before | None) -> Verdict | None:
        del there, before
        return FOLDERS_ONLY if file is not None else None


class Sizes:
    """Which files are too large for one side."""

    def __init__(self, rules: Rules, capabilities: Capabilities, side: Side) -> None:
        self._side = side
        self._size_max = capabilities.file_size_max_bytes
        self._kind = ActionKind.SKIP if rules.large_item is LargeItem.SKIP else ActionKind.FLAG

    def too_large(self, size_bytes: int | None) -> Verdict | None:
        """The verdict on a file of this size; None if it fits or nothing is known."""
        if self._size_max is None or size_bytes is None or size_bytes <= self._size_max:
            return None
        return Verdict(self._kind, TOO_LARGE, f"the {self._side} takes files up to {self._size_max} bytes")


def deletion(before: Before | None, side: Side, *, twice: bool) -> Verdict:
    """What an entry on `side` that is missing on the other leads to; if `twice`, to nothing at the first sighting."""
    seen = None
    if before is not None:
        seen = before.missing_at_source if side is Side.DESTINATION else before.missing_at_destination
    reason = "deleted-at-source" if side is Side.DESTINATION else "deleted-at-destination"
    if twice and seen is None:
        return Verdict(ActionKind.SKIP, MISSING_ONCE, reason, side)
    return Verdict(ActionKind.DELETE, reason, side=side)


def _microseconds(capabilities: Capabilities) -> int:
    return max(1, math.ceil((capabilities.time_precision_seconds or 0) * 1_000_000))


_ONE_WAY_RESOLUTION: Mapping[TransferType, ConflictResolution] = {
    TransferType.MIGRATE: ConflictResolution.SOURCE,
    TransferType.PUBLISH: ConflictResolution.SOURCE,
    TransferType.MOVE: ConflictResolution.LATEST,
}
STRATEGIES: Mapping[TransferType, Callable[[Ends, TransferType], Strategy]] = {
    TransferType.COPY: OneWay,
    TransferType.MIGRATE: OneWay,
    TransferType.MOVE: OneWay,
    TransferType.PUBLISH: OneWay,
    TransferType.SYNC: Sync,
    TransferType.TAXONOMY: Taxonomy,
}
"""How each transfer type decides."""
