"""The rows of a plan as they are decided: one pair, one action, one side."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from migration.actions import ActionKind, Side, action_id_of
from migration.entries import EntryKind, PathParts
from migration.inventory_format import stored_path
from migration.plan_writer import PlanColumns
from migration.planner import SourceFile, There, Verdict
from migration.stored_text import from_stored

TOO_MANY = "too-many-deletions"


class Row(NamedTuple):
    """One row of plan.parquet in the order of PlanColumns; text as stored, times in microseconds since 1970."""

    action_id: str
    kind: ActionKind
    entry_kind: EntryKind
    source_system: str
    source_id: str | None
    source_version_id: str | None
    source_path: PathParts
    destination_path: PathParts
    size_bytes: int | None
    modified_at: int | None
    reason: str | None
    detail: str | None
    renamed: bool
    expected_id: str | None
    expected_version_id: str | None
    expected_kind: EntryKind | None
    expected_size_bytes: int | None
    expected_modified_at: int | None
    side: Side = Side.DESTINATION
    accounts: bool = True
    from_path: PathParts | None = None
    source_listed_path: PathParts | None = None
    version_number: int | None = None


def columns_of(rows: Sequence[Row]) -> PlanColumns:
    """The rows column by column. There has to be at least one."""
    return PlanColumns._make(zip(*rows, strict=True))


@dataclass(slots=True, kw_only=True)
class Pair:
    """What a row is about. Paths are as stored, as they will be when the plan's renames are done."""

    system: str
    """The source's."""
    source: SourceFile | None
    there: There | None
    source_path: PathParts
    destination_path: PathParts
    entry_kind: EntryKind = EntryKind.FILE
    renamed: bool = False
    listed_path: PathParts | None = None
    """Where the source's entry is now, if that is somewhere else."""

    def row(
        self,
        verdict: Verdict,
        *,
        accounts: bool | None = None,
        from_path: PathParts | None = None,
        detail: str | None = None,
        version_number: int | None = None,
    ) -> Row:
        """The row of a verdict. Unless said, it accounts for the source's entry if there is one."""
        source, there = self.source, self.there
        expected_kind = None
        if there is not None:
            expected_kind = EntryKind.FILE if there.is_file else EntryKind.FOLDER
        return Row(
            self._action_id(verdict, from_path, version_number),
            verdict.kind,
            self.entry_kind,
            self.system,
            source.id if source else None,
            source.version_id if source else None,
            self.source_path,
            self.destination_path,
            source.size_bytes if source else None,
            source.modified if source else None,
            verdict.reason,
            verdict.detail or detail,
            self.renamed,
            there.id if there else None,
            there.version_id if there else None,
            expected_kind,
            there.size_bytes if there else None,
            there.modified if there else None,
            verdict.side,
            source is not None if accounts is None else accounts,
            from_path,
            self.listed_path if source else None,
            version_number,
        )

    def _action_id(self, verdict: Verdict, from_path: PathParts | None, version_number: int | None) -> str:
        """Equal for the same step decided again; different for several steps of one pair."""
        source, there = self.source, self.there
        extra: list[str] = []
        if verdict.side is Side.SOURCE or source is None:
            extra += [verdict.side, there.id if there else "", (there.version_id or "") if there else ""]
        if verdict.kind in (ActionKind.RENAME, ActionKind.DELETE):
            extra += [verdict.kind, *(from_path or ())]
        if version_number is not None:
            extra.append(f"version {version_number}")
        path = tuple(map(from_stored, self.destination_path))
        if extra:
            path = (*path, "\x00", *map(from_stored, self.source_path), "\x00", *extra)
        if source is None:
            return action_id_of(self.system, "", None, path)
        return action_id_of(self.system, from_stored(source.id), source.version_id, path)


@dataclass(slots=True)
class Deletions:
    """Holds back the deletions of a plan until it is known whether they are too many: then they all are flagged."""

    limit: int
    held: list[Row] = field(default_factory=list)
    count: int = 0

    @property
    def too_many(self) -> bool:
        """Whether there have been more than the limit."""
        return self.count > self.limit

    def add(self, row: Row) -> list[Row]:
        """Take a deletion; the rows that can be written now."""
        self.count += 1
        if not self.too_many:
            self.held.append(row)
            return []
        held, self.held = self.held, []
        return [self._flagged(one) for one in (*held, row)]

    def rest(self) -> list[Row]:
        """What was held back, once all are known: files first, then folders, inner ones before outer ones."""
        files = [row for row in self.held if row.entry_kind is EntryKind.FILE]
        folders = [row for row in self.held if row.entry_kind is EntryKind.FOLDER]
        return [*files, *sorted(folders, key=lambda row: -len(row.destination_path))]

    def _flagged(self, row: Row) -> Row:
        detail = f"more than {self.limit} would be deleted; see rules.deletes"
        return row._replace(kind=ActionKind.FLAG, reason=TOO_MANY, detail=detail)


def as_stored(path: PathParts) -> PathParts:
    """The path as it is written to Parquet."""
    return stored_path(path)


def in_portions(rows: Iterable[Row], size: int = 10_000) -> Iterator[list[Row]]:
    """Lists of at most `size` rows, none of them empty."""
    portion: list[Row] = []
    for row in rows:
        portion.append(row)
        if len(portion) == size:
            yield portion
            portion = []
    if portion:
        yield portion
