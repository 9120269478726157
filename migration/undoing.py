"""What of a run can be undone: its deletions, what it replaced and what it renamed, newest first."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import pyarrow as pa

from migration.actions import Action, ActionKind
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.inventory_format import moment, values
from migration.ledger import OUTCOMES_SCHEMA
from migration.plans import PLAN_SCHEMA, Plan, to_actions
from migration.run_queries import connect, define, record_batches
from migration.stored_text import from_stored

ROWS_AT_ONCE = 1_000


class How(StrEnum):
    """How one thing is undone."""

    RESTORE = "restore"
    """What was deleted is taken out of the trash."""
    EXCHANGE = "exchange"
    """What was written goes to the trash, and what it replaced is taken out of it."""
    EARLIER_VERSION = "earlier_version"
    """The version that was replaced is written again, as a new one."""
    MOVE_BACK = "move_back"
    NOTHING = "nothing"
    """Nothing was kept, so nothing can be brought back."""


@dataclass(frozen=True, slots=True)
class Undoing:
    """One thing to be undone."""

    action: Action
    """The run's, with an id of its own."""
    how: How
    path: PathParts
    """Where the entry is, or was, from the job's root on the action's side; the name as that side kept it."""
    left: Entry | None
    """The entry as the run left it; None for deletions."""
    trashed: str | None
    replaced_version_id: str | None


def load_undoings(plan: Plan) -> Iterator[list[Undoing]]:
    """What there is to undo of a run (its outcomes.parquet), in the order in which it has to be undone, some at a time:
    each of them may depend on those before, but not on others of its own list."""
    with connect(plan.run) as database:
        define(database, "plan", [plan.run.plan], PLAN_SCHEMA)
        define(database, "outcomes", [plan.run.outcomes], OUTCOMES_SCHEMA)
        for query in (_FOLDERS, _FILES, _RENAMES):
            group: list[Undoing] = []
            depth: int | None = None
            for batch in record_batches(database, query, ROWS_AT_ONCE):
                for undoing in _undoings(batch, plan.summary.destination_system):
                    alone = undoing.how is How.MOVE_BACK
                    new_depth = query is _FOLDERS and len(undoing.path) != depth
                    if group and (alone or new_depth or len(group) == ROWS_AT_ONCE):
                        yield group
                        group = []
                    group.append(undoing)
                    depth = len(undoing.path)
            if group:
                yield group


def count_created(plan: Plan) -> int:
    """How many files and folders the run made where nothing was: those stay."""
    with connect(plan.run) as database:
        define(database, "plan", [plan.run.plan], PLAN_SCHEMA)
        define(database, "outcomes", [plan.run.outcomes], OUTCOMES_SCHEMA)
        found = database.execute(_CREATED).fetchone()
    return int(found[0]) if found else 0


def _undoings(batch: pa.RecordBatch, destination_system: str) -> Iterator[Undoing]:
    arrays = [batch.column(field.name).cast(field.type) for field in PLAN_SCHEMA]
    actions = to_actions(pa.Table.from_arrays(arrays, names=PLAN_SCHEMA.names), destination_system)
    columns = [values(batch.column(f"o_{name}")) for name in _OUTCOME]
    for action, *outcome in zip(actions, *columns, strict=True):
        own = replace(action, action_id=_id_of_undoing(action.action_id))
        yield _undoing(own, dict(zip(_OUTCOME, outcome, strict=True)))


def _id_of_undoing(action_id: str) -> str:
    """An id of its own, so that attempts to undo something never count as attempts to do it."""
    return hashlib.sha256(f"undo {action_id}".encode()).hexdigest()[:32]


def _undoing(action: Action, outcome: dict[str, Any]) -> Undoing:
    name = outcome["destination_name"]
    path = action.path if name is None else (*action.path[:-1], from_stored(name))
    return Undoing(
        action=action,
        how=_how(action.kind, outcome["trashed"], outcome["replaced_version_id"]),
        path=path,
        left=_left(action, path, outcome),
        trashed=outcome["trashed"],
        replaced_version_id=None
        if outcome["replaced_version_id"] is None
        else from_stored(outcome["replaced_version_id"]),
    )


def _how(kind: ActionKind, trashed: str | None, version_id: str | None) -> How:
    if kind is ActionKind.RENAME:
        return How.MOVE_BACK
    if trashed is not None:
        return How.RESTORE if kind is ActionKind.DELETE else How.EXCHANGE
    return How.NOTHING if version_id is None else How.EARLIER_VERSION


def _left(action: Action, path: PathParts, outcome: dict[str, Any]) -> Entry | None:
    if outcome["destination_id"] is None or action.expected is None:
        return None
    version_id, at = outcome["destination_version_id"], outcome["destination_modified_at"]
    system = action.expected.ref.system
    is_file = action.entry_kind is EntryKind.FILE
    copied = action.kind is ActionKind.COPY
    return Entry(
        ref=Ref(
            system, from_stored(outcome["destination_id"]), None if version_id is None else from_stored(version_id)
        ),
        parent=None,
        name=path[-1],
        path=path,
        kind=action.entry_kind,
        size_bytes=(outcome["bytes_copied"] if copied else action.expected.size_bytes) if is_file else None,
        modified_at=None if at is None else moment(at),
    )


_OUTCOME = (
    "destination_id",
    "destination_version_id",
    "destination_name",
    "destination_modified_at",
    "bytes_copied",
    "trashed",
    "replaced_version_id",
)
_DONE = f"""
    SELECT {", ".join(f"p.{name}" for name in PLAN_SCHEMA.names)},
           {", ".join(f"o.{name} AS o_{name}" for name in _OUTCOME)}
    FROM plan AS p JOIN outcomes AS o USING (action_id)
    WHERE o.word IN ('succeeded', 'revised')
"""  # noqa: S608 - only column names of our own schemas are put in
_FOLDERS = f"""{_DONE} AND p.kind = 'delete' AND p.entry_kind = 'folder' AND o.reason IS DISTINCT FROM 'already-gone'
    ORDER BY len(p.destination_path), p.seq"""
_REPLACED = "CASE WHEN p.side = 'source' THEN p.source_id ELSE p.expected_id END IS NOT NULL"
_FILES = f"""{_DONE} AND p.entry_kind = 'file' AND o.reason IS DISTINCT FROM 'already-gone'
    AND (p.kind = 'delete' OR (p.kind = 'copy' AND {_REPLACED})) ORDER BY p.seq DESC"""
_RENAMES = f"{_DONE} AND p.kind = 'rename' ORDER BY p.seq DESC"
_CREATED = f"""
    SELECT count(*) FROM plan AS p JOIN outcomes AS o USING (action_id)
    WHERE o.word IN ('succeeded', 'revised')
      AND (p.kind = 'make_folder' OR (p.kind IN ('copy', 'add_version') AND NOT ({_REPLACED})))
"""  # noqa: S608 - put together from constants
