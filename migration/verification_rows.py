"""What verification expects at the destination: plan, outcomes, baseline and the new listing, joined file by file."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from migration.baseline import BASELINE_SCHEMA, usable_baseline
from migration.entries import Entry
from migration.inventory import SCHEMA, Inventory
from migration.inventory_format import moment, read_path, to_entries, values
from migration.jobs import Job
from migration.judgement import Expected
from migration.ledger import OUTCOMES_SCHEMA
from migration.plans import PLAN_SCHEMA, Plan
from migration.run_queries import connect, define, record_batches
from migration.state import JobState, RunPaths

ROWS_AT_ONCE = 2_000


def expected_files(
    run: RunPaths, job: Job, plan: Plan, listing: Inventory, *, everything: bool
) -> Iterator[list[Expected]]:
    """The files that should be there, in plan order, some thousand at a time: those this run copied, and with
    `everything` those it skipped because they were there already."""
    with connect(run) as database:
        define(database, "plan", [plan.run.plan], PLAN_SCHEMA)
        define(database, "outcomes", [run.outcomes], OUTCOMES_SCHEMA)
        baseline = JobState(run.folder.parent.parent).baseline
        define(database, "baseline", [baseline] if usable_baseline(baseline, job) else [], BASELINE_SCHEMA)
        define(database, "listed", listing.parts(), SCHEMA)
        query = _EXPECTED.format(scope="true" if everything else "o.action_id IS NOT NULL")
        for batch in record_batches(database, query, ROWS_AT_ONCE):
            yield list(_expected(batch))


def _expected(batch: pa.RecordBatch) -> Iterator[Expected]:
    listed = iter(_listed(batch))
    is_listed = batch.column("l_id").is_valid().to_pylist()
    columns: list[list[Any]] = [values(batch.column(name)) for name in _COLUMNS]
    for known, row in zip(is_listed, zip(*columns, strict=True), strict=True):
        action_id, source_id, source_path, destination_path, size_bytes, sha256, modified_at = row
        yield Expected(
            action_id=action_id,
            source_id=source_id,
            source_path=source_path,
            destination_path=read_path(destination_path),
            size_bytes=size_bytes,
            sha256=sha256,
            modified_at=None if modified_at is None else moment(modified_at),
            listed=next(listed) if known else None,
        )


def _listed(batch: pa.RecordBatch) -> Iterator[Entry]:
    """The listing's entries of the rows that have one, in their order."""
    found = batch.filter(batch.column("l_id").is_valid())
    arrays = [found.column(f"l_{field.name}").cast(field.type) for field in SCHEMA]
    return to_entries(pa.Table.from_arrays(arrays, names=SCHEMA.names))


_COLUMNS = ("action_id", "source_id", "source_path", "destination_path", "size_bytes", "sha256", "modified_at")
_EXPECTED = f"""
    WITH copied AS (SELECT * FROM outcomes WHERE word IN ('succeeded', 'revised')),
    wanted AS (
        SELECT p.seq, p.action_id, p.source_id, p.source_path,
               list_append(list_slice(p.destination_path, 1, len(p.destination_path) - 1),
                           coalesce(o.destination_name, b.destination_name, p.destination_path[-1])
               ) AS destination_path,
               coalesce(o.bytes_copied, b.size_bytes, p.expected_size_bytes, p.size_bytes) AS size_bytes,
               coalesce(o.settled_sha256, o.sha256, b.settled_sha256, b.sha256) AS sha256,
               coalesce(o.destination_modified_at, b.destination_modified_at) AS modified_at
        FROM plan AS p
        LEFT JOIN copied AS o USING (action_id)
        LEFT JOIN baseline AS b
          ON o.action_id IS NULL AND p.reason = 'unchanged' AND b.destination_path = p.destination_path
        WHERE p.entry_kind = 'file'
          AND (o.action_id IS NOT NULL OR (p.kind = 'skip' AND p.reason IN ('unchanged', 'already-there')))
          AND {{scope}}
    )
    SELECT w.*, {", ".join(f"l.{name} AS l_{name}" for name in SCHEMA.names)}
    FROM wanted AS w LEFT JOIN listed AS l ON l.path = w.destination_path
    ORDER BY w.seq
"""  # noqa: S608 - only column names of our own schema and a fixed condition are put in
