"""Everything a job's files say about one entry: what was listed, decided, tried and found, over all runs that are kept.

Reads files only; nothing is asked of either system.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from migration.actions import Side
from migration.baseline import BASELINE_SCHEMA
from migration.entries import Entry, PathParts
from migration.errors import PlanError
from migration.inventory import SCHEMA, Inventory
from migration.inventory_format import read_path, to_entries
from migration.judgement import VERIFICATION_SCHEMA
from migration.ledger import Ledger
from migration.plan_format import PLAN_SCHEMA
from migration.run_queries import connect, define
from migration.state import JobState, RunPaths
from migration.stored_text import from_stored, to_stored
from migration.undo import undo_id

NEAR = 5
"""How many paths are suggested when nothing has the one that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to carry out a decision. `word` is an OutcomeWord."""

    attempt: int
    word: str
    reason: str | None
    message: str | None
    finished_at: datetime
    sha256: str | None
    settled_sha256: str | None
    name_there: str | None
    """The name that the changed side gave it, where that was told."""
    trashed: bool
    """Whether something went to a trash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What verification found. `verdict` and `level` are those of verification.parquet."""

    verdict: str
    level: str | None
    detail: str | None
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one run's plan says about the entry, and what came of it. `kind` is an ActionKind."""

    run_id: str
    planned_at: datetime
    kind: str
    side: Side
    reason: str | None
    detail: str | None
    source_path: PathParts
    destination_path: PathParts
    from_path: PathParts
    is_folder: bool
    version_number: int | None
    attempts: tuple[Attempt, ...]
    finding: Finding | None
    undone: tuple[Attempt, ...]
    """Tries to undo it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where the last runs left the entry at the destination."""

    path: PathParts
    sha256: str | None
    settled_sha256: str | None
    run_id: str
    """The run that last copied or found it."""
    missing_at_source: bool
    missing_at_destination: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole story. `decisions` are in the order in which they were made."""

    asked: str
    listed: tuple[tuple[Side, str, Entry], ...]
    """Side, run and entry, as each side was last listed with it."""
    decisions: tuple[Decision, ...]
    now: Whereabouts | None
    """None = no run has left it at the destination."""
    near: tuple[PathParts, ...]
    """Similar source paths, when nothing was found."""

    @property
    def found(self) -> bool:
        """Whether anything is known."""
        return bool(self.listed or self.decisions or self.now)


async def explain(state: JobState, asked: str, *, roots: Sequence[PathParts] = ()) -> Explanation:
    """What is known of the entry with this id or path (parts joined by `/`) on either side; `roots` are places that the
    path may begin with. Raises PlanError `run-unreadable` naming the run whose files are damaged.
    """
    runs = [run for run in state.runs() if run.run_record.is_file()]
    wanted = _Wanted.of(asked, roots)
    for run in reversed(runs):
        with _opened(run, state) as database:
            wanted.learn(database)
    told: list[tuple[RunPaths, dict[str, Any]]] = []
    listed: dict[Side, tuple[Side, str, Entry]] = {}
    now = None
    for run in runs:
        with _opened(run, state) as database:
            rows = wanted.rows(database, _DECISIONS)
            told += [(run, row) for row in rows]
            for side, entry in wanted.entries(database):
                listed[side] = (side, run.run_id, entry)
            if run == runs[-1]:
                now = _whereabouts(wanted.rows(database, _NOW))
    explanation = Explanation(
        asked=asked,
        listed=tuple(listed[side] for side in Side if side in listed),
        decisions=tuple([await _decision(state, run, row) for run, row in told]),
        now=now,
        near=(),
    )
    if explanation.found or not runs:
        return explanation
    return Explanation(asked=asked, listed=(), decisions=(), now=None, near=_near(runs, state, wanted))


@dataclass
class _Wanted:
    """What is looked for: paths and ids, both as stored. Ids of both systems are kept apart."""

    texts: list[str]
    source_ids: set[str]
    destination_ids: set[str]

    @classmethod
    def of(cls, asked: str, roots: Sequence[PathParts]) -> "_Wanted":
        text = asked.strip("/")
        texts = [text]
        for root in roots:
            prefix = "/".join(root) + "/"
            if root and text.startswith(prefix):
                texts.append(text.removeprefix(prefix))
        return cls([to_stored(one) for one in texts], set(), set())

    def learn(self, database: duckdb.DuckDBPyConnection) -> None:
        """Note the ids of whatever has the path (or is the id), so that it is known under its other names, too."""
        if not self.source_ids and not self.destination_ids:
            for source_id, destination_id in self._asked(database, _IDS).fetchall():
                self.source_ids |= {source_id} - {None}
                self.destination_ids |= {destination_id} - {None}

    def rows(self, database: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
        table = self._table(database, query)
        return table.to_pylist()

    def entries(self, database: duckdb.DuckDBPyConnection) -> Iterator[tuple[Side, Entry]]:
        for side, view in ((Side.SOURCE, "source"), (Side.DESTINATION, "destination")):
            ids = "source_ids" if side is Side.SOURCE else "destination_ids"
            table = self._table(database, _LISTED.format(view=view, ids=ids)).cast(SCHEMA)
            yield from ((side, entry) for entry in to_entries(table))

    def _table(self, database: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
        table: pa.Table = self._asked(database, query).to_arrow_reader(10_000).read_all()
        return table

    def _asked(self, database: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
        values = {key: value for key, value in self._values().items() if f"${key}" in query}
        return database.sql(query, params=values)

    def _values(self) -> dict[str, list[str]]:
        return {
            "texts": self.texts,
            "source_ids": sorted(self.source_ids) or [""],
            "destination_ids": sorted(self.destination_ids) or [""],
        }


@contextmanager
def _opened(run: RunPaths, state: JobState) -> Iterator[duckdb.DuckDBPyConnection]:
    """The files of a run as views."""
    try:
        with connect(run) as database:
            _define(database, run, state)
            yield database
    except duckdb.Error as error:
        raise PlanError(
            "run-unreadable",
            f"The files of run {run.run_id} cannot be read: {error}.",
            fix=f"Move {run.folder} away; what it says is then missing.",
        ) from error


def _define(database: duckdb.DuckDBPyConnection, run: RunPaths, state: JobState) -> None:
    define(database, "source", _parts(run.source_inventory), SCHEMA)
    define(database, "destination", _parts(run.destination_inventory), SCHEMA)
    define(database, "plan", [run.plan], PLAN_SCHEMA)
    define(database, "verified", [run.verification], VERIFICATION_SCHEMA)
    define(database, "baseline", [state.baseline], BASELINE_SCHEMA)


def _parts(folder: Path) -> list[Path]:
    try:
        return Inventory.load(folder).parts()
    except PlanError:
        return []


async def _decision(state: JobState, run: RunPaths, row: dict[str, Any]) -> Decision:
    return Decision(
        run_id=run.run_id,
        planned_at=_planned_at(run),
        kind=row["kind"],
        side=Side(row["side"] or Side.DESTINATION),
        reason=row["reason"],
        detail=None if row["detail"] is None else from_stored(row["detail"]),
        source_path=read_path(row["source_path"]),
        destination_path=read_path(row["destination_path"]),
        from_path=read_path(row["from_path"] or ()),
        is_folder=row["entry_kind"] == "folder",
        version_number=row["version_number"],
        attempts=await _attempts(state, run.run_id, row["action_id"]),
        finding=_finding(row),
        undone=await _attempts(state, undo_id(run.run_id), row["action_id"]),
    )


def _planned_at(run: RunPaths) -> datetime:
    return datetime.fromisoformat(json.loads(run.plan_summary.read_text("utf-8"))["made_at"])


def _finding(row: dict[str, Any]) -> Finding | None:
    if row["verdict"] is None:
        return None
    detail = row["found_detail"]
    return Finding(
        verdict=row["verdict"],
        level=row["level"],
        detail=None if detail is None else from_stored(detail),
        sha256=row["sha256_found"],
    )


async def _attempts(state: JobState, run_id: str, action_id: str) -> tuple[Attempt, ...]:
    if not state.ledger.is_file():
        return ()
    async with Ledger.open(state.ledger) as ledger:
        rows = await ledger.attempts(run_id, action_id)
    return tuple(
        Attempt(
            attempt=row.attempt,
            word=row.word,
            reason=row.reason,
            message=row.message,
            finished_at=row.finished_at,
            sha256=row.sha256,
            settled_sha256=row.settled_sha256,
            name_there=None if row.destination_name is None else from_stored(row.destination_name),
            trashed=row.trashed is not None,
        )
        for row in rows
    )


def _whereabouts(rows: list[dict[str, Any]]) -> Whereabouts | None:
    if not rows:
        return None
    row = rows[0]
    path = read_path(row["destination_path"])
    if row["destination_name"] is not None:
        path = (*path[:-1], from_stored(row["destination_name"]))
    return Whereabouts(
        path=path,
        sha256=row["sha256"],
        settled_sha256=row["settled_sha256"],
        run_id=row["run_id"],
        missing_at_source=row["missing_at_source"] is not None,
        missing_at_destination=row["missing_at_destination"] is not None,
    )


def _near(runs: Sequence[RunPaths], state: JobState, wanted: _Wanted) -> tuple[PathParts, ...]:
    for run in reversed(runs):
        with _opened(run, state) as database:
            found = database.execute(_NEAR, [wanted.texts[-1], wanted.texts[-1], NEAR]).fetchall()
        if found:
            return tuple(read_path(path) for (path,) in found)
    return ()


def _is(column: str) -> str:
    """SQL: a path is one of those asked for, as it is or as reports show it."""
    shown = f"array_to_string([replace(name, '/', '∕') for name in {column}], '/')"
    return f"(array_to_string({column}, '/') IN (SELECT unnest($texts)) OR {shown} IN (SELECT unnest($texts)))"


_HAS_PATH = " OR ".join(_is(name) for name in ("source_path", "destination_path", "from_path", "source_listed_path"))
_IDS = f"""
    SELECT source_id, expected_id FROM plan
    WHERE source_id IN (SELECT unnest($texts)) OR expected_id IN (SELECT unnest($texts)) OR {_HAS_PATH}
    UNION SELECT id, NULL FROM source WHERE id IN (SELECT unnest($texts)) OR {_is("path")}
    UNION SELECT NULL, id FROM destination WHERE id IN (SELECT unnest($texts)) OR {_is("path")}
    UNION SELECT source_id, destination_id FROM baseline
          WHERE source_id IN (SELECT unnest($texts)) OR destination_id IN (SELECT unnest($texts))
             OR {_is("source_path")} OR {_is("destination_path")}
    ORDER BY ALL LIMIT 100
"""  # noqa: S608 - put together from constants
_DECISIONS = f"""
    SELECT p.*, v.verdict, v.level, v.detail AS found_detail, v.sha256_found
    FROM plan AS p LEFT JOIN verified AS v ON v.action_id = p.action_id AND v.side IS NOT DISTINCT FROM (
        SELECT any_value(w.side) FROM verified AS w WHERE w.action_id = p.action_id)
    WHERE p.source_id IN (SELECT unnest($source_ids)) OR p.expected_id IN (SELECT unnest($destination_ids))
       OR {" OR ".join(_is(f"p.{name}") for name in ("source_path", "destination_path", "from_path"))}
    ORDER BY p.seq LIMIT 200
"""  # noqa: S608
_LISTED = f"SELECT * FROM {{view}} WHERE id IN (SELECT unnest(${{ids}})) OR {_is('path')} LIMIT 1"  # noqa: S608
_NOW = f"""
    SELECT * FROM baseline
    WHERE source_id IN (SELECT unnest($source_ids)) OR destination_id IN (SELECT unnest($destination_ids))
       OR {_is("source_path")} OR {_is("destination_path")}
    LIMIT 1
"""  # noqa: S608
_NEAR = """
    SELECT path FROM source
    ORDER BY greatest(
        jaro_winkler_similarity(lower(array_to_string(path, '/')), lower(?)),
        jaro_winkler_similarity(lower(path[-1]), lower(split_part(?, '/', -1)))
    ) DESC, path LIMIT ?
"""
