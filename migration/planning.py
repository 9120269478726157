"""Making the rows of a plan out of two inventories and the baseline: sorted streams, merged folder by folder.

The folders of both sides are held in memory; files are not. DuckDB sorts source files, destination entries and baseline
rows by the ordinal of the folder they belong to, into temporary files; what is decided is decided by the pure modules
naming, placing, tree_moves, taking_part and planner. The rows depend on nothing but the inputs.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from migration.actions import ActionKind, Side
from migration.capabilities import Capabilities, Operation
from migration.decisions import Decisions
from migration.inventory import Inventory
from migration.inventory_format import stored_path
from migration.jobs import Job
from migration.naming import NameOptions, Namer, Place
from migration.placing import Folder, Folders, Following, join_trees
from migration.plan_queries import (
    FILE_FACTS,
    define_moved,
    define_rows,
    define_tables,
    files_named_like_folders,
    folder_links,
    folder_rows,
    known_entries,
    root_id,
)
from migration.plan_rows import Deletions, Row, columns_of, in_portions
from migration.plan_writer import PlanColumns
from migration.planner import IN_THE_WAY, MISSING_ONCE, STRATEGIES, Ends, propagation
from migration.planning_files import FileDecider, Moving
from migration.planning_folders import FolderDecider
from migration.refusals import Listed, refused
from migration.rules import (
    ConflictResolution,
    DuplicateNames,
    EmptyContainers,
    RestrictedContent,
    Rules,
    TransferType,
)
from migration.run_queries import connect
from migration.security_maps import WhoIsWho
from migration.sorted_groups import Answers
from migration.state import RunPaths
from migration.stored_text import from_stored
from migration.taking_part import FileFacts, taking_part
from migration.tree_moves import Move, file_moves
from migration.version_manifest import KnownVersions
from migration.version_rows import VersionRows

_SORTED = ".sorted-"
_SKIPPED_TYPES = {"restricted-type": ActionKind.SKIP}
_FOLLOWING_TYPES = (TransferType.COPY, TransferType.SYNC, TransferType.PUBLISH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything a plan's rows depend on."""

    job: Job
    source: Inventory
    destination: Inventory
    baseline: Path | None
    roots_before: tuple[str | None, str | None] = (None, None)
    """Ids of the two roots as the last run saw them; None = not known."""
    source_capabilities: Capabilities
    capabilities: Capabilities
    """The destination's."""
    decisions: Decisions = field(default_factory=Decisions)
    accounts: WhoIsWho | None = None
    versions_at_source: KnownVersions = field(default_factory=dict)
    """What sidecars at the source say of files that are earlier versions of others."""
    now: datetime

    @property
    def both_ways(self) -> bool:
        """Whether the source is changed, too."""
        return self.job.transfer_type is TransferType.SYNC

    @property
    def movable(self) -> frozenset[Side]:
        """The sides where entries can be renamed."""
        ends = ((Side.SOURCE, self.source_capabilities), (Side.DESTINATION, self.capabilities))
        return frozenset(side for side, can in ends if Operation.MOVE in can.operations)


@dataclass(slots=True)
class Noted:
    """What was noticed while the rows were made. Complete after the last row."""

    refusals: dict[Side, str] = field(default_factory=dict)
    """Why nothing is deleted on a side although something is missing on the other."""
    deletions: int = 0
    deletions_max: int = 0
    missing_once: int = 0
    version_listings: int = 0
    """Files whose versions will be read."""
    versions_unknown: int = 0
    """Files of which it is not known how many versions they have, although these were to be copied."""
    root_ids: tuple[str | None, str | None] = (None, None)


def decide(run: RunPaths, inputs: Inputs, noted: Noted | None = None) -> Iterator[PlanColumns]:
    """The rows of the plan, some at a time. Those of one kind are in the order of work: folders, parents first, then
    files by folder; renames as they have to follow each other; deletions last.

    Temporary files are in the run's folder and go with the last row. Raises PlanError `orphan-entry` or
    `duplicate-entry` for an inventory that is no tree, ConfigurationError `bad-filter`.
    """
    for left_by_a_crash in run.folder.glob(f"{_SORTED}*"):
        shutil.rmtree(left_by_a_crash, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_SORTED, dir=run.folder) as folder, connect(run) as database:
        making = _Making(database, Path(folder), inputs, noted or Noted())
        yield from making.versions.added(map(columns_of, making.rows()))


class _Making:
    """One plan in the making."""

    def __init__(self, database: duckdb.DuckDBPyConnection, folder: Path, inputs: Inputs, noted: Noted) -> None:
        self._database = database
        self._inputs = inputs
        self._noted = noted
        self._rules = inputs.job.rules
        self._type = inputs.job.transfer_type
        self._deletions = propagation(self._type, self._rules)
        self._part = taking_part(self._rules, decisions=inputs.decisions, accounts=inputs.accounts, now=inputs.now)
        self._namer = Namer(inputs.capabilities.names, _name_options(self._rules, self._type))
        self._source_namer = Namer(inputs.source_capabilities.names, _name_options(self._rules, self._type))
        define_rows(database, inputs.source, inputs.destination, inputs.baseline)
        self._known = known_entries(database)
        self.versions = VersionRows(
            inputs.job,
            inputs.source_capabilities,
            inputs.capabilities,
            inputs.source.header.system,
            inputs.versions_at_source,
        )
        self.versions.look(database)
        noted.root_ids = (root_id(database, "source_rows"), root_id(database, "destination_rows"))
        self._tree = self._joined()
        define_tables(database, self._tree, folder_links(inputs.baseline))
        self._define_moved(database)
        self._answers = Answers(database, folder)
        self._held = Deletions(self._limit())

    @property
    def _adopts(self) -> bool:
        """Whether what only the destination has is looked at."""
        return self._inputs.both_ways or self._deletions.of_source

    def _joined(self) -> Folders:
        inputs, job = self._inputs, self._inputs.job
        follows = self._type in _FOLLOWING_TYPES and Side.DESTINATION in inputs.movable
        here = follows and inputs.both_ways and Side.SOURCE in inputs.movable
        return join_trees(
            list(folder_rows(inputs.source)),
            list(folder_rows(inputs.destination)),
            folder_links(inputs.baseline),
            namer=self._namer,
            source_namer=self._source_namer,
            roots=(
                Place(self._namer.path_length(job.destination.parts)),
                Place(self._source_namer.path_length(job.source.parts)),
            ),
            following=Following(
                source_moves=follows,
                destination_moves=here,
                destination_wins=self._rules.conflict_resolution is ConflictResolution.DESTINATION,
                adopts=self._adopts,
            ),
            files_here=files_named_like_folders(self._database, Side.SOURCE) if self._adopts else {},
            files_there=files_named_like_folders(self._database, Side.DESTINATION) if follows else {},
        )

    def _define_moved(self, database: duckdb.DuckDBPyConnection) -> None:
        inputs = self._inputs
        follows = self._type in _FOLLOWING_TYPES and Side.DESTINATION in inputs.movable
        define_moved(
            database,
            source_moves=follows,
            destination_moves=follows and inputs.both_ways and Side.SOURCE in inputs.movable,
            destination_wins=self._rules.conflict_resolution is ConflictResolution.DESTINATION,
            ids_survive=(inputs.source_capabilities.stable_ids, inputs.capabilities.stable_ids),
        )

    def _limit(self) -> int:
        """How many deletions are not too many."""
        known = max(self._known, self._inputs.destination.header.entries if self._type is TransferType.PUBLISH else 0)
        share = max(1, int(known * self._rules.deletes.percent_max / 100))
        self._noted.deletions_max = min(self._rules.deletes.count_max, share)
        return self._noted.deletions_max

    def rows(self) -> Iterator[list[Row]]:
        """The rows, in portions."""
        files = self._file_decider()
        folders = self._folder_decider()
        folders.prepare(None if self._part.all_files else self._ordinals_taking_part())
        moved = self._moved_ordinals()
        files_first = self._inputs.both_ways or not self._deletions.of_destination
        if not files_first:
            yield from self._written(folders.rows(moved))
        for rows in files.rows():
            yield from self._written(rows)
        if files_first:
            yield from self._written(folders.rows(moved))
        if self._adopts:
            yield from self._written(folders.rows_there())
        for side in Side:
            yield from self._written(self._folder_moves(side, folders))
            yield from self._written(_file_moves([one for one in files.moving if one.side is side], self._key(side)))
        self._noted.deletions = self._held.count
        yield from in_portions(self._held.rest())
        self._noted.version_listings, self._noted.versions_unknown = self.versions.listings, self.versions.unknown

    def _written(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """The rows but for deletions, which are held back, refused or too many."""
        now: list[Row] = []
        for row in rows:
            if row.kind is ActionKind.DELETE and row.reason != "moved":
                now += self._deletion(row)
            elif row.reason == MISSING_ONCE:
                now.append(self._sighting(row))
            else:
                now.append(row)
        yield from in_portions(now)

    def _deletion(self, row: Row) -> list[Row]:
        refusal = self._refusal(row.side)
        if refusal is not None:
            return [row._replace(kind=ActionKind.SKIP, reason=refusal[0], detail=refusal[1])]
        return self._held.add(row)

    def _sighting(self, row: Row) -> Row:
        refusal = self._refusal(row.side)
        if refusal is not None:
            return row._replace(reason=refusal[0], detail=refusal[1])
        self._noted.missing_once += 1
        return row

    def _refusal(self, side: Side) -> tuple[str, str] | None:
        """Why what is missing on the other side is not deleted on this one."""
        inputs = self._inputs
        if side is Side.DESTINATION:
            listed = Listed(inputs.source.header, inputs.roots_before[0], self._noted.root_ids[0], self._known)
        else:
            listed = Listed(inputs.destination.header, inputs.roots_before[1], self._noted.root_ids[1], self._known)
        refusal = refused(listed)
        if refusal is not None:
            self._noted.refusals[side] = refusal[1]
        return refusal

    def _key(self, side: Side) -> "Namer":
        return self._namer if side is Side.DESTINATION else self._source_namer

    def _file_decider(self) -> FileDecider:
        inputs = self._inputs
        ends = Ends(self._rules, inputs.source_capabilities, inputs.capabilities, inputs.movable)
        return FileDecider(
            answers=self._answers,
            folders=self._tree.all,
            namer=self._namer,
            source_namer=self._source_namer,
            strategy=STRATEGIES[self._type](ends, self._type),
            part=self._part,
            system=inputs.source.header.system,
            when=f"{inputs.now:%Y-%m-%d %H%M%S}",
            adopts=self._adopts,
            problems=_SKIPPED_TYPES if self._rules.restricted_content is RestrictedContent.SKIP else {},
            removes_source=self._type is TransferType.MOVE,
            reserved=self.versions.names_in,
        )

    def _folder_decider(self) -> FolderDecider:
        return FolderDecider(
            answers=self._answers,
            folders=self._tree.all,
            namer=self._namer,
            part=self._part,
            system=self._inputs.source.header.system,
            transfer_type=self._type,
            deletions=self._deletions,
            two_sightings=self._rules.deletes.two_sightings,
            empty=EmptyContainers.CREATE if self._type is TransferType.TAXONOMY else self._rules.empty_containers,
        )

    def _ordinals_taking_part(self) -> Iterator[int]:
        """The folders with files that take part."""
        check = self._part.file
        for ordinal, columns in self._answers.to(FILE_FACTS):
            path = self._tree.all[ordinal].source_path
            facts = map(FileFacts._make, zip(*columns, strict=True))
            if check is None or any(check((*path, from_stored(one.name)), one) is None for one in facts):
                yield ordinal

    def _folder_moves(self, side: Side, folders: FolderDecider) -> list[Row]:
        found = ((move, self._moved(side, move)) for move in self._tree.moves[side])
        return [folders.moved(folder, side, move) for move, folder in found if not folder.flagged]

    def _moved(self, side: Side, move: Move) -> Folder:
        return next(
            folder
            for folder in self._tree.all[1:]
            if move.id == (folder.there_id if side is Side.DESTINATION else folder.id)
        )

    def _moved_ordinals(self) -> set[int]:
        moves = ((move, self._moved(side, move)) for side in Side for move in self._tree.moves[side])
        return {folder.ordinal for move, folder in moves if not move.parked and not folder.flagged}


def _file_moves(moving: Sequence[Moving], namer: Namer) -> list[Row]:
    """The renames of files in an order that always works."""
    by_id = {one.wish.id: one for one in moving}
    return [_file_move(move, by_id[move.id]) for move in file_moves([one.wish for one in moving], namer.key)]


def _file_move(move: Move, moving: Moving) -> Row:
    row = moving.row._replace(from_path=stored_path(move.from_path))
    if not move.parked:
        return row
    path = stored_path(move.to_path)
    row = row._replace(action_id=f"{row.action_id[:24]}-parking", reason=IN_THE_WAY, accounts=False)
    return row._replace(destination_path=path) if moving.side is Side.DESTINATION else row._replace(source_path=path)


def _name_options(rules: Rules, transfer_type: TransferType) -> NameOptions:
    return NameOptions(
        change_illegal=rules.segment_transform,
        shorten=rules.segment_truncate,
        rename_duplicates=rules.duplicate_names is DuplicateNames.RENAME and transfer_type is not TransferType.MOVE,
        encode_illegal=rules.encode_invalid_characters,
        rename_types=False,
    )
