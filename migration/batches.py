"""The work of a transfer: the plan's copies, each with the entry it reads, in batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from migration.actions import Action, ActionKind, Side
from migration.entries import Entry, PathParts
from migration.errors import PlanError
from migration.inventory import SCHEMA, Inventory
from migration.inventory_format import to_entries
from migration.plans import PLAN_SCHEMA, Plan, to_actions
from migration.run_queries import connect, define, record_batches

ROWS_AT_ONCE = 2_048
PREDECESSORS_MAX = 500


@dataclass(frozen=True, slots=True)
class Work:
    """One file to copy: the plan's action and the entry it reads, as it was listed."""

    action: Action
    entry: Entry
    follows: tuple[str, ...] = ()
    """The actions that put earlier versions at the same path before; they have their outcomes first."""


def load_batches(
    plan: Plan, inventory: Inventory, batch_files: int, *, first_batch_files: int | None = None
) -> Iterator[list[Work]]:
    """The plan's copies in plan order, joined with the entries they read, `batch_files` at a time: `inventory` is the
    source's, and what is copied to the source is looked up in the run's inventory of the destination.

    A first batch of another length (`first_batch_files`) keeps batches that are carried out side by side from ending
    at the same moment. What goes to one path is in one batch, however long that makes it.

    Memory stays bounded whatever the plan's size. Raises PlanError `plan-changed` when the inventory lacks an entry.
    """
    batch: list[Work] = []
    wanted = first_batch_files or batch_files
    for work in _with_predecessors(_works(plan, inventory)):
        if len(batch) >= wanted and not work.follows:
            yield batch
            batch, wanted = [], batch_files
        batch.append(work)
    if batch:
        yield batch


def _with_predecessors(works: Iterable[Work]) -> Iterator[Work]:
    place: tuple[Side, PathParts] | None = None
    before: tuple[str, ...] = ()
    for work in works:
        if (work.action.side, work.action.path) != place:
            place, before = (work.action.side, work.action.path), ()
        yield replace(work, follows=before[-PREDECESSORS_MAX:]) if before else work
        before = (*before, work.action.action_id)


def _works(plan: Plan, inventory: Inventory) -> Iterator[Work]:
    with connect(plan.run) as database:
        define(database, "plan", [plan.run.plan], PLAN_SCHEMA)
        define(database, "inventory", inventory.parts(), SCHEMA)
        query = _TO_DESTINATION
        if plan.summary.changes.get(Side.SOURCE.value, {}).get(ActionKind.COPY.value):
            define(database, "there", Inventory.load(plan.run.destination_inventory).parts(), SCHEMA)
            query = f"{_TO_DESTINATION} UNION ALL {_TO_SOURCE}"
        for batch in record_batches(database, f"{query} ORDER BY p_seq", ROWS_AT_ONCE):
            actions = to_actions(_columns(batch, "p_", PLAN_SCHEMA), plan.summary.destination_system)
            entries = to_entries(_columns(batch, "i_", SCHEMA))
            known = batch.column("i_id").is_valid().to_pylist()
            if not all(known):
                lacking = next(action for action, is_known in zip(actions, known, strict=True) if not is_known)
                raise PlanError(
                    "plan-changed",
                    f"The plan of run {plan.run.run_id} copies {'/'.join(lacking.other_path)!r}, which its inventory "
                    "does not hold.",
                    fix="Start a new run.",
                )
            yield from map(Work, actions, entries)


def _columns(batch: pa.RecordBatch, prefix: str, schema: pa.Schema) -> pa.Table:
    """The batch's columns of one of the two joined tables, as that table has them."""
    arrays = [batch.column(prefix + field.name).cast(field.type) for field in schema]
    return pa.Table.from_arrays(arrays, names=schema.names)


_COLUMNS = ", ".join(f"p.{name} AS p_{name}" for name in PLAN_SCHEMA.names)
_ENTRY = ", ".join(f"i.{name} AS i_{name}" for name in SCHEMA.names)
_TO_DESTINATION = f"""
    SELECT {_COLUMNS}, {_ENTRY}
    FROM plan AS p
    LEFT JOIN inventory AS i
      ON i.id = p.source_id AND i.system = p.source_system AND i.path = coalesce(p.source_listed_path, p.source_path)
     AND i.version_id IS NOT DISTINCT FROM p.source_version_id
    WHERE p.kind IN ('copy', 'add_version') AND p.side IS DISTINCT FROM 'source'
"""  # noqa: S608 - only column names of our own schemas are put in
_TO_SOURCE = f"""
    SELECT {_COLUMNS}, {_ENTRY}
    FROM plan AS p
    LEFT JOIN (SELECT DISTINCT ON (id, version_id) * FROM there WHERE kind = 'file') AS i
      ON i.id = p.expected_id AND i.version_id IS NOT DISTINCT FROM p.expected_version_id
    WHERE p.kind = 'copy' AND p.side = 'source'
"""  # noqa: S608 - only column names of our own schemas are put in
