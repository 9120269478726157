"""What changed on both sides since a plan was made, as far as the plan touches it: a comparison of four inventories.

A plan touches what it copies, makes, renames or deletes: the entries themselves, the places they go to and, where a
folder is deleted, everything in it. What it skips or flags may change; the next plan sees to that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import duckdb

from migration.actions import ActionKind, Side
from migration.entries import PathParts
from migration.inventory import SCHEMA, Inventory
from migration.inventory_format import read_path
from migration.plan_format import PLAN_SCHEMA
from migration.run_queries import connect, define
from migration.state import RunPaths
from migration.stored_text import readable

CHANGING = (ActionKind.MAKE_FOLDER, ActionKind.COPY, ActionKind.ADD_VERSION, ActionKind.RENAME, ActionKind.DELETE)
"""The kinds of actions that change something."""
LISTED = 1000
"""How many differences are kept by name; all are counted."""


class Change(StrEnum):
    """What happened to an entry that the plan touches."""

    REPLACED = "replaced"
    """Another entry is at its place."""
    CHANGED = "changed"
    """Its content is another one."""
    APPEARED = "appeared"
    """Something is where nothing was."""
    GONE = "gone"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One entry that is not as the plan saw it. Paths are from the job's root on that side; None = not there."""

    side: Side
    change: Change
    was: PathParts | None
    now: PathParts | None
    was_size_bytes: int | None
    now_size_bytes: int | None
    was_modified_at: datetime | None
    now_modified_at: datetime | None

    @property
    def sentence(self) -> str:
        """For people, e.g. `destination: Drawings/a.pdf was changed (10 → 12 bytes)`."""
        path = self.was or self.now or ()
        text = f"{self.side.value}: {_shown(path)} {_WORDS[self.change]}"
        if self.change is Change.MOVED:
            return f"{text} to {_shown(self.now)}"
        if self.was_size_bytes is not None and self.now_size_bytes is not None:
            return f"{text} ({self.was_size_bytes:,} → {self.now_size_bytes:,} bytes)"
        return text

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "side": self.side.value,
            "change": self.change.value,
            "was": _shown(self.was),
            "now": _shown(self.now),
            "was_size_bytes": self.was_size_bytes,
            "now_size_bytes": self.now_size_bytes,
            "was_modified_at": self.was_modified_at.isoformat() if self.was_modified_at else None,
            "now_modified_at": self.now_modified_at.isoformat() if self.now_modified_at else None,
        }


@dataclass(frozen=True, slots=True)
class Drift:
    """Everything that changed. `first` names at most LISTED differences, source before destination, by change."""

    counts: Mapping[Change, int]
    first: tuple[Difference, ...]

    def __bool__(self) -> bool:
        return bool(self.counts)

    @property
    def total(self) -> int:
        """How many differences there are."""
        return sum(self.counts.values())


def drift_since(run: RunPaths, *, source: Inventory, destination: Inventory) -> Drift:
    """Compare the inventories that the run's plan was made from with new ones of the same roots.

    Files are the same if their ids, paths and versions are; where there is no version, their sizes and times. Folders
    are the same if their ids and paths are. What is in a recycle bin is not there. Raises PlanError for inventories
    that cannot be read.
    """
    counts: dict[Change, int] = {}
    first: list[Difference] = []
    for side, then, now in (
        (Side.SOURCE, Inventory.load(run.source_inventory), source),
        (Side.DESTINATION, Inventory.load(run.destination_inventory), destination),
    ):
        with connect(run) as database:
            define(database, "plan", [run.plan], PLAN_SCHEMA)
            define(database, "then_rows", then.parts(), SCHEMA)
            define(database, "now_rows", now.parts(), SCHEMA)
            _compare(database, side)
            for change, count in database.execute("SELECT change, count(*) FROM drift GROUP BY change").fetchall():
                counts[Change(change)] = counts.get(Change(change), 0) + count
            rows = database.execute(_FIRST, [LISTED]).fetchall()
            first += [_difference(side, row) for row in rows]
    return Drift(counts, tuple(first[:LISTED]))


def _compare(database: duckdb.DuckDBPyConnection, side: Side) -> None:
    """Make the table `drift` of one side."""
    is_source = side is Side.SOURCE
    names: dict[str, str] = {
        "kinds": ", ".join(f"'{kind.value}'" for kind in CHANGING),
        "side": side.value,
        "id": "source_id" if is_source else "expected_id",
        "path": "source_path" if is_source else "destination_path",
    }
    for statement in _STATEMENTS:
        database.execute(statement.format(**names))


def _difference(side: Side, row: tuple[Any, ...]) -> Difference:
    change, was, now, was_size, now_size, was_at, now_at = row
    return Difference(
        side=side,
        change=Change(change),
        was=None if was is None else read_path(was),
        now=None if now is None else read_path(now),
        was_size_bytes=was_size,
        now_size_bytes=now_size,
        was_modified_at=_utc(was_at),
        now_modified_at=_utc(now_at),
    )


def _utc(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def _shown(path: PathParts | None) -> str | None:
    """As reports show paths: a `/` inside a name is shown as `∕`."""
    return None if path is None else readable("/".join(name.replace("/", "∕") for name in path))


_WORDS = {
    Change.REPLACED: "was replaced by something else",
    Change.CHANGED: "was changed",
    Change.APPEARED: "appeared",
    Change.GONE: "is gone",
    Change.MOVED: "was moved",
}

_SAME = """
    t.id = n.id AND t.path = n.path AND t.kind = n.kind AND (
        t.kind = 'folder'
        OR CASE WHEN t.version_id IS NOT NULL AND n.version_id IS NOT NULL THEN t.version_id = n.version_id
                ELSE coalesce(t.size_bytes = n.size_bytes, true) AND coalesce(t.modified_at = n.modified_at, true) END
    )
"""
_TOUCHED = """
    (id IN (SELECT id FROM touched_ids) OR path IN (SELECT path FROM touched_paths)
     OR EXISTS (SELECT 1 FROM deleted_folders AS f
                WHERE len(f.path) < len(r.path) AND list_slice(r.path, 1, len(f.path)) = f.path))
"""
_STATEMENTS = (
    """CREATE TABLE touched_ids AS
       SELECT DISTINCT {id} AS id FROM plan WHERE kind IN ({kinds}) AND {id} IS NOT NULL""",
    """CREATE TABLE touched_paths AS
       SELECT {path} AS path FROM plan WHERE kind IN ({kinds}) AND len({path}) > 0
       UNION SELECT from_path FROM plan WHERE kind IN ({kinds}) AND side = '{side}' AND len(from_path) > 0
       UNION SELECT source_listed_path FROM plan
             WHERE kind IN ({kinds}) AND '{side}' = 'source' AND len(source_listed_path) > 0""",
    """CREATE TABLE deleted_folders AS
       SELECT {path} AS path FROM plan WHERE kind = 'delete' AND side = '{side}' AND entry_kind = 'folder'""",
    "CREATE VIEW then_there AS SELECT * FROM then_rows WHERE NOT deleted",
    "CREATE VIEW now_there AS SELECT * FROM now_rows WHERE NOT deleted",
    f"""CREATE TABLE was AS
        SELECT r.* FROM (SELECT t.* FROM then_there AS t ANTI JOIN now_there AS n ON {_SAME}) AS r WHERE {_TOUCHED}""",  # noqa: S608
    f"""CREATE TABLE is_now AS
        SELECT r.* FROM (SELECT n.* FROM now_there AS n ANTI JOIN then_there AS t ON {_SAME}) AS r WHERE {_TOUCHED}""",  # noqa: S608
    """CREATE TABLE pairs AS
       SELECT CASE WHEN t.kind <> n.kind THEN 'replaced' WHEN t.path <> n.path THEN 'moved' ELSE 'changed' END
                  AS change, t.path AS was, n.path AS now, t.size_bytes AS was_size, n.size_bytes AS now_size,
              epoch_us(t.modified_at) AS was_at, epoch_us(n.modified_at) AS now_at
       FROM was AS t JOIN is_now AS n USING (id)""",
    """CREATE TABLE places AS
       SELECT 'replaced' AS change, t.path AS was, n.path AS now, t.size_bytes AS was_size, n.size_bytes AS now_size,
              epoch_us(t.modified_at) AS was_at, epoch_us(n.modified_at) AS now_at
       FROM was AS t JOIN is_now AS n USING (path) WHERE t.id <> n.id""",
    """CREATE TABLE drift AS
       SELECT * FROM pairs
       UNION ALL SELECT * FROM places
       UNION ALL
       SELECT 'gone', path, NULL, size_bytes, NULL, epoch_us(modified_at), NULL FROM was
       WHERE path NOT IN (SELECT was FROM pairs) AND path NOT IN (SELECT was FROM places)
       UNION ALL
       SELECT 'appeared', NULL, path, NULL, size_bytes, NULL, epoch_us(modified_at) FROM is_now
       WHERE path NOT IN (SELECT now FROM pairs) AND path NOT IN (SELECT now FROM places)""",
)
_FIRST = "SELECT * FROM drift ORDER BY change, coalesce(was, now), now LIMIT ?"
