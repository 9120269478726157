"""The baseline: both sides as they were after the last run of a job. Later runs compare with it.

One row per destination path that this job put there or found to be equal, in Parquet. It belongs to one pair of places:
the baseline of other places is not read.
"""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from migration.errors import PlanError
from migration.inventory_format import PATH, TIME
from migration.jobs import Job
from migration.ledger_tables import OUTCOMES_SCHEMA
from migration.plan_format import PLAN_SCHEMA
from migration.run_queries import connect, define, record_batches
from migration.state import JobState, RunPaths

FORMAT_VERSION = 2

_FIELDS: list["pa.Field[Any]"] = [
    pa.field("source_system", pa.string(), nullable=False),
    pa.field("source_id", pa.string()),
    pa.field("source_version_id", pa.string()),
    pa.field("source_path", PATH, nullable=False),
    pa.field("source_modified_at", TIME),
    pa.field("destination_path", PATH, nullable=False),
    pa.field("destination_name", pa.string()),
    pa.field("destination_id", pa.string()),
    pa.field("destination_version_id", pa.string()),
    pa.field("destination_modified_at", TIME),
    pa.field("size_bytes", pa.int64()),
    pa.field("sha256", pa.string()),
    pa.field("settled_sha256", pa.string()),
    pa.field("run_id", pa.string(), nullable=False),
    pa.field("entry_kind", pa.string()),
    pa.field("missing_at_source", pa.string()),
    pa.field("missing_at_destination", pa.string()),
]
BASELINE_SCHEMA = pa.schema(_FIELDS)
"""The columns of baseline.parquet. `destination_path` is as planned; `destination_name` is the name as the system kept
it, null = as planned. `size_bytes` and `sha256` are the source's; `settled_sha256` is what the destination made of it,
where that is something else. `run_id` names the run that last copied or found the file."""

ROWS_AT_ONCE = 50_000


def baseline_schema(job: Job) -> pa.Schema:
    """BASELINE_SCHEMA with the note of which places it belongs to."""
    return BASELINE_SCHEMA.with_metadata({_KEY: json.dumps(_places(job), sort_keys=True).encode()})


def usable_baseline(path: Path, job: Job) -> bool:
    """Whether there is a baseline and it belongs to the job's places.

    Raises PlanError `baseline-damaged` for a file that cannot be read.
    """
    if not path.is_file():
        return False
    try:
        metadata = pq.read_schema(path).metadata or {}
        written_for = json.loads(metadata.get(_KEY, b"{}"))
    except (pa.ArrowInvalid, ValueError) as error:
        raise PlanError(
            "baseline-damaged",
            f"The baseline {path} cannot be read ({error}).",
            fix="Move it away; the next run recognises files by size and time.",
        ) from error
    return bool(written_for == _places(job))


def write_baseline(state: JobState, run: RunPaths, job: Job) -> int:
    """Put what a run achieved (its outcomes.parquet) into the job's baseline; return the number of rows.

    Rows of destination paths that the run did not touch stay. The file is replaced at once, when it is complete and
    durable; doing it again gives the same file.
    """
    staged = state.baseline.with_name(f".{state.baseline.name}.{os.getpid()}.tmp")
    schema = baseline_schema(job)
    previous = [state.baseline] if usable_baseline(state.baseline, job) else []
    rows = 0
    with connect(run) as database, open(staged, "wb") as file:
        define(database, "plan", [run.plan], PLAN_SCHEMA)
        define(database, "outcomes", [run.outcomes], OUTCOMES_SCHEMA)
        define(database, "previous", previous, BASELINE_SCHEMA)
        with pq.ParquetWriter(file, schema, compression="zstd", compression_level=1) as writer:
            for batch in record_batches(database, _MERGED.format(run_id=run.run_id), ROWS_AT_ONCE):
                writer.write_table(pa.Table.from_batches([batch]).cast(schema), row_group_size=ROWS_AT_ONCE)
                rows += batch.num_rows
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, state.baseline)
    return rows


_KEY = b"sitehaul"


def _places(job: Job) -> dict[str, Any]:
    """Which pair of places a baseline belongs to."""
    return {
        "format_version": FORMAT_VERSION,
        "source": job.source.model_dump(mode="json"),
        "destination": job.destination.model_dump(mode="json"),
    }


_MERGED = """
    WITH copied AS (
        SELECT p.source_system, p.source_id, p.source_version_id, p.source_path, p.modified_at AS source_modified_at,
               p.destination_path, nullif(o.destination_name, p.destination_path[-1]) AS destination_name,
               o.destination_id, o.destination_version_id, o.destination_modified_at,
               coalesce(p.size_bytes, o.bytes_copied) AS size_bytes, o.sha256, o.settled_sha256, '{run_id}' AS run_id
        FROM plan AS p JOIN outcomes AS o USING (action_id)
        WHERE p.entry_kind = 'file' AND o.word IN ('succeeded', 'revised')
    ),
    found AS (
        SELECT p.source_system, p.source_id, p.source_version_id, p.source_path, p.modified_at AS source_modified_at,
               p.destination_path, b.destination_name, p.expected_id AS destination_id,
               p.expected_version_id AS destination_version_id, p.expected_modified_at AS destination_modified_at,
               CASE WHEN p.reason = 'unchanged' THEN b.size_bytes ELSE p.expected_size_bytes END AS size_bytes,
               CASE WHEN p.reason = 'unchanged' THEN b.sha256 END AS sha256,
               CASE WHEN p.reason = 'unchanged' THEN b.settled_sha256 END AS settled_sha256,
               CASE WHEN p.reason = 'unchanged' THEN b.run_id ELSE '{run_id}' END AS run_id
        FROM plan AS p LEFT JOIN previous AS b USING (destination_path)
        WHERE p.entry_kind = 'file' AND p.kind = 'skip' AND p.reason IN ('unchanged', 'already-there')
    ),
    touched AS (SELECT * FROM copied UNION ALL SELECT * FROM found)
    SELECT * FROM touched
    UNION ALL BY NAME
    SELECT * FROM previous ANTI JOIN touched USING (destination_path)
    ORDER BY destination_path
"""
