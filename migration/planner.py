"""What is to be done with each entry. Pure: no I/O, no clock; the same facts give the same verdict.

Every transfer type is a strategy (STRATEGIES); a strategy sees one entry, what is at its destination path and what the
baseline says of that path. Times are microseconds since 1970, None = unknown; ids are compared, never read, and may be
in their stored form.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from migration.actions import ActionKind
from migration.capabilities import Capabilities
from migration.rules import ItemOverwrite, LargeItem, Rules, TransferType


class SourceFile(NamedTuple):
    """What is known of a file at the source."""

    id: str
    version_id: str | None
    size_bytes: int | None
    modified: int | None


class There(NamedTuple):
    """What is at the destination path now."""

    is_file: bool
    id: str
    version_id: str | None
    size_bytes: int | None
    modified: int | None


class Before(NamedTuple):
    """What the baseline says of the destination path: which file was put there, and how it was left."""

    source_id: str
    source_version_id: str | None
    source_modified: int | None
    size_bytes: int | None
    destination_id: str | None
    destination_version_id: str | None
    destination_modified: int | None


class Verdict(NamedTuple):
    """The decision on one entry. `reason` is always set for skip and flag."""

    kind: ActionKind
    reason: str | None = None
    detail: str | None = None


class Strategy(Protocol):
    """One transfer type."""

    def file(self, file: SourceFile, there: There | None, before: Before | None) -> Verdict:
        """The decision on a file whose name and folder are no obstacle."""
        ...

    def folder(self, there: There | None) -> Verdict:
        """The decision on a folder that is needed and whose name and parent are no obstacle."""
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
CHANGED_AT_DESTINATION = "changed-at-destination"
ANOTHER_FILE_THERE = "destination-has-another-file"
TOO_LARGE = "too-large"
PARENT_FLAGGED = "parent-flagged"


class Copy:
    """One way; the source is never touched, and at the destination only what this job put there is replaced unasked."""

    def __init__(self, rules: Rules, destination: Capabilities) -> None:
        self._overwrite = _BY_OVERWRITE[rules.item_overwrite]
        self._size_max = destination.file_size_max_bytes
        self._too_large = ActionKind.SKIP if rules.large_item is LargeItem.SKIP else ActionKind.FLAG
        self._times_say_something = rules.timestamps and destination.keeps_times
        self._sizes_settle = bool(destination.rewritten_suffixes)
        self._tolerance = max(1, math.ceil((destination.time_precision_seconds or 0) * 1_000_000))

    def file(self, file: SourceFile, there: There | None, before: Before | None) -> Verdict:
        if self._size_max is not None and file.size_bytes is not None and file.size_bytes > self._size_max:
            return Verdict(self._too_large, TOO_LARGE, f"the destination takes files up to {self._size_max} bytes")
        if there is None:
            return GONE_AT_DESTINATION if before else NEW
        if not there.is_file:
            return FOLDER_IN_THE_WAY
        if before and self._as_we_left_it(there, before):
            return UNCHANGED if self._same_version(file, before) else NEWER_AT_SOURCE
        if self._same_size_and_time(file, there):
            return ALREADY_THERE
        return Verdict(self._overwrite, CHANGED_AT_DESTINATION if before else ANOTHER_FILE_THERE)

    def folder(self, there: There | None) -> Verdict:
        if there is None:
            return MAKE_FOLDER
        return FILE_IN_THE_WAY if there.is_file else ALREADY_THERE

    def _as_we_left_it(self, there: There, before: Before) -> bool:
        """By version, or by what a change would have changed; where the destination rewrites what it is given, sizes
        say nothing and the time we set everything."""
        versions = (there.version_id, before.destination_version_id)
        if None not in versions and versions[0] == versions[1]:
            return there.id == before.destination_id
        times_known = None not in (there.modified, before.destination_modified)
        if there.size_bytes != before.size_bytes and not (self._sizes_settle and times_known):
            return False
        if there.modified is None or before.destination_modified is None:
            return there.id == before.destination_id and None in versions
        return abs(there.modified - before.destination_modified) <= self._tolerance

    def _same_version(self, file: SourceFile, before: Before) -> bool:
        """By version id, where there is one; a file with another id is the same if size and time are."""
        if file.id == before.source_id and file.version_id is not None and before.source_version_id is not None:
            return file.version_id == before.source_version_id
        known = None not in (file.size_bytes, file.modified)
        return known and (file.size_bytes, file.modified) == (before.size_bytes, before.source_modified)

    def _same_size_and_time(self, file: SourceFile, there: There) -> bool:
        if not self._times_say_something or None in (file.size_bytes, file.modified, there.modified):
            return False
        assert file.modified is not None and there.modified is not None
        return file.size_bytes == there.size_bytes and abs(file.modified - there.modified) <= self._tolerance


_BY_OVERWRITE: Mapping[ItemOverwrite, ActionKind] = {
    ItemOverwrite.OVERWRITE: ActionKind.COPY,
    ItemOverwrite.SKIP: ActionKind.SKIP,
    ItemOverwrite.FAIL: ActionKind.FLAG,
}

STRATEGIES: Mapping[TransferType, Callable[[Rules, Capabilities], Strategy]] = {TransferType.COPY: Copy}
"""How each transfer type decides."""
