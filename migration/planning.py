"""Making the rows of a plan out of two inventories and the baseline: three sorted streams, merged folder by folder.

The folders of the source are held in memory; files are not. DuckDB sorts source files, destination entries and baseline
rows by the ordinal of the source folder they belong to, into temporary files; what is decided is decided by the pure
modules naming, placing, filters and planner. The rows depend on nothing but the inputs.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from migration.actions import ActionKind, Side, action_id_of
from migration.capabilities import Capabilities
from migration.entries import EntryKind
from migration.filters import Selection, compile_filter
from migration.inventory import Inventory
from migration.inventory_format import stored_path
from migration.jobs import Job
from migration.naming import MappedName, NameOptions, Namer, Sibling
from migration.placing import Folder, duplicate, match_destination, place_folders
from migration.plan_queries import (
    BEFORE,
    FILE_FACTS,
    FILES,
    FILES_BESIDE_FOLDERS,
    FOLDERS_WITH_FILES,
    THERE,
    define_tables,
    folder_rows,
)
from migration.plan_writer import PlanColumns
from migration.planner import (
    DELETED_AT_SOURCE,
    EMPTY_FOLDER,
    NOTHING_TAKES_PART,
    PARENT_FLAGGED,
    STRATEGIES,
    Before,
    SourceFile,
    Strategy,
    There,
    Verdict,
)
from migration.rules import DuplicateNames, EmptyContainers
from migration.run_queries import connect
from migration.sorted_groups import Answers, Columns
from migration.state import RunPaths
from migration.stored_text import from_stored, to_stored

_SORTED = ".sorted-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything a plan's rows depend on."""

    job: Job
    source: Inventory
    destination: Inventory
    baseline: Path | None
    capabilities: Capabilities
    """The destination's."""


def decide(run: RunPaths, inputs: Inputs) -> Iterator[PlanColumns]:
    """The rows of the plan, some at a time, in the order of work: folders, parents first, then files by folder.

    Temporary files are in the run's folder and go with the last row. Raises PlanError `orphan-entry` or
    `duplicate-entry` for an inventory that is no tree, ConfigurationError `bad-filter`.
    """
    rules = inputs.job.rules
    options = NameOptions(
        change_illegal=rules.segment_transform,
        shorten=rules.segment_truncate,
        rename_duplicates=rules.duplicate_names is DuplicateNames.RENAME,
    )
    namer = Namer(inputs.capabilities.names, options)
    strategy = STRATEGIES[inputs.job.transfer_type](rules, inputs.capabilities)
    selection = compile_filter(rules.filter)
    folders = place_folders(folder_rows(inputs.source), namer, namer.path_length(inputs.job.destination.parts))
    matched = match_destination(folders, folder_rows(inputs.destination), namer)
    for left_by_a_crash in run.folder.glob(f"{_SORTED}*"):
        shutil.rmtree(left_by_a_crash, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_SORTED, dir=run.folder) as folder, connect(run) as database:
        define_tables(database, inputs.source, inputs.destination, inputs.baseline, folders, matched)
        system = inputs.source.header.system
        answers = Answers(database, Path(folder))
        yield from _FolderDecider(answers, folders, namer, strategy, selection, system).rows(rules.empty_containers)
        yield from _FileDecider(answers, folders, namer, strategy, selection, system).rows()


@dataclass(frozen=True, slots=True)
class _FolderDecider:
    answers: Answers
    folders: Sequence[Folder]
    namer: Namer
    strategy: Strategy
    selection: Selection | None
    system: str

    def rows(self, empty: EmptyContainers) -> Iterator[PlanColumns]:
        self._note_what_takes_part(empty)
        in_the_way = self._files_in_the_way()
        for folder in self.folders[1:]:
            there = in_the_way.get(folder.ordinal)
            if folder.there_id is not None:
                there = There(False, to_stored(folder.there_id), None, None, None)
            verdict = self._verdict(folder, there)
            folder.flagged = verdict.reason if verdict.kind is ActionKind.FLAG else None
            if verdict.detail is None and folder.changes:
                verdict = verdict._replace(detail=", ".join(folder.changes))
            row = (
                action_id_of(self.system, folder.id, None, folder.destination_path),
                verdict.kind,
                EntryKind.FOLDER,
                self.system,
                to_stored(folder.id),
                None,
                stored_path(folder.source_path),
                stored_path(folder.destination_path),
                None,
                None,
                verdict.reason,
                verdict.detail,
                folder.renamed,
                *_expected(there),
                Side.DESTINATION,
                True,
                None,
                None,
                None,
            )
            yield PlanColumns._make((value,) for value in row)

    def _verdict(self, folder: Folder, there: There | None) -> Verdict:
        if folder.deleted:
            return DELETED_AT_SOURCE
        if not folder.takes_part:
            if folder.has_files:
                return NOTHING_TAKES_PART
            left_out = self._left_out(folder)
            return Verdict(ActionKind.SKIP, left_out) if left_out else EMPTY_FOLDER
        if folder.parent is not None and folder.parent.flagged:
            return Verdict(ActionKind.FLAG, PARENT_FLAGGED, folder.parent.flagged)
        if folder.problem:
            return Verdict(ActionKind.FLAG, folder.problem)
        return self.strategy.folder(there)

    def _left_out(self, folder: Folder) -> str | None:
        return self.selection(folder.source_path, None, None) if self.selection else None

    def _note_what_takes_part(self, empty: EmptyContainers) -> None:
        """A folder takes part if a file in it does, at any depth, or if it is an empty one that is to be made."""
        query = FOLDERS_WITH_FILES if self.selection is None else FILE_FACTS
        for ordinal, columns in self.answers.to(query):
            folder = self.folders[ordinal]
            folder.has_files = not folder.deleted
            folder.takes_part = folder.has_files and (self.selection is None or self._any_selected(folder, columns))
        for folder in reversed(self.folders[1:]):
            if folder.deleted or folder.parent is None:
                continue
            if not folder.has_files and empty is EmptyContainers.CREATE and not self._left_out(folder):
                folder.takes_part = True
            folder.parent.takes_part |= folder.takes_part
            folder.parent.has_files |= folder.has_files

    def _any_selected(self, folder: Folder, columns: Columns) -> bool:
        assert self.selection
        return any(
            self.selection((*folder.source_path, from_stored(name)), size, modified) is None
            for name, size, modified in zip(*columns, strict=True)
        )

    def _files_in_the_way(self) -> dict[int, There]:
        """Destination files that have the name of a folder which is to be made, by that folder's ordinal."""
        found: dict[int, There] = {}
        for ordinal, (names, *facts) in self.answers.to(FILES_BESIDE_FOLDERS):
            subfolders = self.folders[ordinal].subfolders
            for name, *fact in zip(names, *facts, strict=True):
                folder = subfolders.get(self.namer.key(from_stored(name)))
                if folder is not None:
                    found.setdefault(folder.ordinal, There(True, *fact))
        return found


class _Known(NamedTuple):
    """What is known of one destination folder."""

    by_key: dict[str, There]
    by_name: dict[str, There]
    """Only of those that share their key with another."""
    before: dict[str, Before]
    """The baseline by key of the planned name."""
    kept_names: dict[str, str]
    """Keys of names that the destination changed when it took the file, by key of the planned name."""

    def there(self, name: MappedName) -> There | None:
        """What is under the name that the destination gave the file, else under the planned one."""
        kept = self.by_key.get(self.kept_names.get(name.key, ""))
        return kept or self.by_name.get(name.name) or self.by_key.get(name.key)


@dataclass(frozen=True, slots=True)
class _FileDecider:
    answers: Answers
    folders: Sequence[Folder]
    namer: Namer
    strategy: Strategy
    selection: Selection | None
    system: str

    def rows(self) -> Iterator[PlanColumns]:
        there = self.answers.to(THERE)
        before = self.answers.to(BEFORE)
        for ordinal, columns in self.answers.to(FILES):
            known = self._known(there.take(ordinal), before.take(ordinal))
            yield self._rows_of(self.folders[ordinal], columns, known)

    def _known(self, there: Columns | None, before: Columns | None) -> _Known:
        key = self.namer.key
        names, *facts = there or [[]] * 6
        names = list(map(from_stored, names))
        all_there = list(map(There, *facts))
        by_key = dict(zip(map(key, reversed(names)), reversed(all_there), strict=True))
        by_name = dict(zip(names, all_there, strict=True)) if len(by_key) < len(names) else {}
        planned, kept, *facts = before or [[]] * 9
        keys = [key(from_stored(name)) for name in planned]
        kept_names = {
            planned_key: key(from_stored(name))
            for planned_key, name in zip(keys, kept, strict=True)
            if name is not None
        }
        return _Known(by_key, by_name, dict(zip(keys, map(Before, *facts), strict=True)), kept_names)

    def _rows_of(self, folder: Folder, columns: Columns, known: _Known) -> PlanColumns:
        ids, versions, stored_names, sizes, modified, created, deleted = columns
        names = list(map(from_stored, stored_names))
        _check_unique(ids, names)
        left_out = self._left_out(folder, names, sizes, modified, deleted)
        mapped = self._mapped(folder, ids, names, created, left_out, known)
        all_there = list(map(known.there, mapped))
        files = map(SourceFile, ids, versions, sizes, modified)
        verdicts = [
            skip or self._verdict(folder, file, new, there, known)
            for skip, file, new, there in zip(left_out, files, mapped, all_there, strict=True)
        ]
        stored_source, stored_destination = stored_path(folder.source_path), stored_path(folder.destination_path)
        source_paths = [(*stored_source, name) for name in stored_names]
        renamed = [folder.renamed or new.name != name for new, name in zip(mapped, names, strict=True)]
        destination_paths = [
            (*stored_destination, to_stored(new.name)) if changed else path
            for new, changed, path in zip(mapped, renamed, source_paths, strict=True)
        ]
        return PlanColumns(
            self._action_ids(folder, ids, versions, mapped),
            [verdict.kind for verdict in verdicts],
            [EntryKind.FILE] * len(ids),
            [self.system] * len(ids),
            ids,
            versions,
            source_paths,
            destination_paths,
            sizes,
            modified,
            [verdict.reason for verdict in verdicts],
            [verdict.detail or ", ".join(new.changes) or None for verdict, new in zip(verdicts, mapped, strict=True)],
            renamed,
            *_expected_columns(all_there),
            [Side.DESTINATION] * len(ids),
            [True] * len(ids),
            [None] * len(ids),
            [None] * len(ids),
            [None] * len(ids),
        )

    def _action_ids(
        self, folder: Folder, ids: list[str], versions: list[str | None], mapped: list[MappedName]
    ) -> list[str]:
        return [
            action_id_of(self.system, from_stored(source_id), version, (*folder.destination_path, new.name))
            for source_id, version, new in zip(ids, versions, mapped, strict=True)
        ]

    def _verdict(
        self, folder: Folder, file: SourceFile, new: MappedName, there: There | None, known: _Known
    ) -> Verdict:
        if folder.flagged:
            return Verdict(ActionKind.FLAG, PARENT_FLAGGED, folder.flagged)
        if new.problem:
            return Verdict(ActionKind.FLAG, new.problem)
        return self.strategy.file(file, there, known.before.get(new.key))

    def _left_out(
        self, folder: Folder, names: list[str], sizes: list[Any], modified: list[Any], deleted: list[bool]
    ) -> list[Verdict | None]:
        """Which files take no part, and why; None for those that do."""
        if folder.deleted:
            return [DELETED_AT_SOURCE] * len(names)
        left_out: list[Verdict | None] = [DELETED_AT_SOURCE if gone else None for gone in deleted]
        if self.selection:
            for place, (name, size, time) in enumerate(zip(names, sizes, modified, strict=True)):
                reason = self.selection((*folder.source_path, name), size, time)
                if reason and left_out[place] is None:
                    left_out[place] = Verdict(ActionKind.SKIP, reason)
        return left_out

    def _mapped(
        self,
        folder: Folder,
        ids: list[str],
        names: list[str],
        created: list[int | None],
        left_out: list[Verdict | None],
        known: _Known,
    ) -> list[MappedName]:
        """The names of the files that take part; the others claim none and keep their own."""
        holders = {key: before.source_id for key, before in known.before.items()}
        siblings = list(map(Sibling, ids, names, created))
        taking_part = [one for one, skip in zip(siblings, left_out, strict=True) if skip is None]
        mapped = self.namer.map_names(taking_part, folder.place, taken=folder.subfolders.keys(), holders=holders)
        if len(mapped) == len(names):
            return mapped
        remaining = iter(mapped)
        return [
            next(remaining) if skip is None else MappedName(name, "")
            for name, skip in zip(names, left_out, strict=True)
        ]


def _expected(there: There | None) -> tuple[str | None, str | None, EntryKind | None, int | None, int | None]:
    if there is None:
        return None, None, None, None, None
    kind = EntryKind.FILE if there.is_file else EntryKind.FOLDER
    return there.id, there.version_id, kind, there.size_bytes, there.modified


def _expected_columns(
    all_there: Sequence[There | None],
) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any]]:
    ids, versions, kinds, sizes, modified = zip(*map(_expected, all_there), strict=True)
    return ids, versions, kinds, sizes, modified


def _check_unique(ids: list[str], names: list[str]) -> None:
    """One id may have several names (hard links), but not one name twice."""
    if len(set(ids)) == len(ids):
        return
    seen: set[tuple[str, str]] = set()
    for one in zip(ids, names, strict=True):
        if one in seen:
            raise duplicate(*one)
        seen.add(one)
