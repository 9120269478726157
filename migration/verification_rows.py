"""What verification expects on either side: plan, outcomes, baseline and the new listing, joined file by file."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from migration.actions import Side
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
from migration.versions import EARLIER_AS_FILE

ROWS_AT_ONCE = 2_000


def expected_files(
    run: RunPaths, job: Job, plan: Plan, listing: Inventory, *, everything: bool
) -> Iterator[list[Expected]]:
    """The files that should be there, in plan order, some thousand at a time: those this run copied, renamed or moved
    with a folder, those whose source it is about to delete, and with `everything` those it skipped because they were
    there already."""
    with connect(run) as database:
        define(database, "plan", [plan.run.plan], PLAN_SCHEMA)
        define(database, "outcomes", [run.outcomes], OUTCOMES_SCHEMA)
        baseline = JobState(run.folder.parent.parent).baseline
        define(database, "baseline", [baseline] if usable_baseline(baseline, job) else [], BASELINE_SCHEMA)
        define(database, "listed", listing.parts(), SCHEMA)
        query = _EXPECTED.format(everything="true" if everything else "false")
        for batch in record_batches(database, query, ROWS_AT_ONCE):
            yield list(_expected(batch))


def _expected(batch: pa.RecordBatch) -> Iterator[Expected]:
    listed = iter(_listed(batch))
    is_listed = batch.column("l_id").is_valid().to_pylist()
    columns: list[list[Any]] = [values(batch.column(name)) for name in _COLUMNS]
    for known, row in zip(is_listed, zip(*columns, strict=True), strict=True):
        action_id, source_id, source_path, destination_path, path, side, size_bytes, sha256, modified_at, emptied = row
        yield Expected(
            action_id=action_id,
            source_id=source_id,
            source_path=source_path,
            destination_path=read_path(destination_path),
            path=read_path(path),
            side=Side(side),
            size_bytes=size_bytes,
            sha256=sha256,
            modified_at=None if modified_at is None else moment(modified_at),
            listed=next(listed) if known else None,
            hash_anyway=emptied,
        )


def _listed(batch: pa.RecordBatch) -> Iterator[Entry]:
    """The listing's entries of the rows that have one, in their order."""
    found = batch.filter(batch.column("l_id").is_valid())
    arrays = [found.column(f"l_{field.name}").cast(field.type) for field in SCHEMA]
    return to_entries(pa.Table.from_arrays(arrays, names=SCHEMA.names))


_COLUMNS = (
    "action_id",
    "source_id",
    "source_path",
    "destination_path",
    "path",
    "side",
    "size_bytes",
    "sha256",
    "modified_at",
    "emptied",
)
_EXPECTED = f"""
    WITH done AS (SELECT * FROM outcomes WHERE word IN ('succeeded', 'revised')),
    rows AS (
        SELECT p.* REPLACE (coalesce(p.side, 'destination') AS side),
               list_slice(p.destination_path, 1, len(p.destination_path) - 1) AS folder,
               e.destination_path IS NOT NULL AS emptied
        FROM plan AS p
        LEFT JOIN (
            SELECT DISTINCT destination_path FROM plan
            WHERE kind = 'delete' AND side = 'source' AND entry_kind = 'file' AND source_id IS NOT NULL
        ) AS e USING (destination_path)
        WHERE p.entry_kind = 'file'
    ),
    before AS (
        SELECT DISTINCT ON (destination_id, destination_version_id) * FROM baseline WHERE destination_id IS NOT NULL
    ),
    copied AS (
        SELECT p.seq, p.action_id, p.source_id, p.source_path, p.emptied, p.side,
               list_append(p.folder, o.destination_name) AS destination_path,
               CASE WHEN p.side = 'source' THEN list_append(
                   list_slice(p.source_path, 1, len(p.source_path) - 1), o.destination_name
               ) ELSE list_append(p.folder, o.destination_name) END AS path,
               o.bytes_copied AS size_bytes, coalesce(o.settled_sha256, o.sha256) AS sha256,
               o.destination_modified_at AS modified_at
        FROM rows AS p JOIN done AS o USING (action_id)
        WHERE p.kind = 'copy' OR p.reason = '{EARLIER_AS_FILE}'
    ),
    found AS (
        SELECT p.seq, p.action_id, p.source_id, p.source_path, p.emptied, p.side,
               list_append(p.folder, coalesce(b.destination_name, p.destination_path[-1])) AS destination_path,
               coalesce(b.size_bytes, p.expected_size_bytes, p.size_bytes) AS size_bytes,
               coalesce(b.settled_sha256, b.sha256) AS sha256, b.destination_modified_at AS modified_at
        FROM rows AS p LEFT JOIN baseline AS b ON p.reason = 'unchanged' AND b.destination_path = p.destination_path
        WHERE p.kind = 'skip' AND p.reason IN ('unchanged', 'already-there') AND ({{everything}} OR p.emptied)
    ),
    renamed AS (
        SELECT p.seq, p.action_id, p.source_id, p.source_path, p.emptied, p.side,
               list_append(p.folder, coalesce(
                   CASE WHEN p.side = 'destination' THEN o.destination_name ELSE b.destination_name END,
                   p.destination_path[-1]
               )) AS destination_path,
               p.source_path AS there,
               CASE WHEN p.side = 'source' THEN p.size_bytes ELSE p.expected_size_bytes END AS size_bytes,
               CASE WHEN p.side = 'destination' AND ({{everything}} OR p.emptied)
                    THEN coalesce(b.settled_sha256, b.sha256) END AS sha256
        FROM rows AS p
        LEFT JOIN done AS o USING (action_id)
        LEFT JOIN before AS b
          ON b.destination_id = p.expected_id AND b.destination_version_id IS NOT DISTINCT FROM p.expected_version_id
        WHERE (p.kind = 'rename' AND o.action_id IS NOT NULL)
           OR (p.kind = 'skip' AND p.reason = 'moved-with-folder')
    ),
    wanted AS (
        SELECT * FROM copied
        UNION ALL BY NAME SELECT *, destination_path AS path FROM found
        UNION ALL BY NAME
        SELECT r.* EXCLUDE (there), CASE WHEN r.side = 'source' THEN r.there ELSE r.destination_path END AS path
        FROM renamed AS r ANTI JOIN copied AS c ON c.side = r.side AND c.destination_path = r.destination_path
    )
    SELECT w.*, {", ".join(f"l.{name} AS l_{name}" for name in SCHEMA.names)}
    FROM wanted AS w LEFT JOIN listed AS l ON w.side = 'destination' AND l.path = w.path
    ORDER BY w.seq
"""  # noqa: S608 - only column names of our own schema and a fixed condition are put in
