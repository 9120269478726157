"""The baseline: both sides as they were after the last run of a job. Later runs compare with it.

One row per file or folder that this job put on the other side or found there, in Parquet. It belongs to one pair of
places: the baseline of other places is not read.
"""

import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from migration.errors import PlanError
from migration.inventory import SCHEMA, Inventory
from migration.inventory_format import PATH, TIME
from migration.jobs import Job
from migration.ledger_tables import OUTCOMES_SCHEMA
from migration.plan_format import PLAN_SCHEMA
from migration.rules import PreserveVersions
from migration.run_queries import connect, define, record_batches
from migration.state import JobState, RunPaths
from migration.versions import EARLIER_AS_FILE

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
    pa.field("version_number", pa.int64()),
]
BASELINE_SCHEMA = pa.schema(_FIELDS)
"""The columns of baseline.parquet. `destination_path` is as planned; `destination_name` is the name as the system kept
it, null = as planned. `size_bytes` and `sha256` are the source's; `settled_sha256` is what the destination made of it,
where that is something else. `run_id` names the run that last copied or found the file. `missing_at_source` and
`missing_at_destination` name the finished run that first missed an entry on that side; null = it was there.
`entry_kind` is file, folder or version: an earlier version of the file `source_id` that is a file of its own
(`destination_id` null = the source no longer had it). `version_number` is known where versions are copied."""
_LEFT_OUT = "'already-there', 'version-gone'"
"""Why a version as a file is not copied and need not be looked at again."""

ROWS_AT_ONCE = 50_000


def baseline_schema(job: Job, roots: tuple[str | None, str | None] = (None, None)) -> pa.Schema:
    """BASELINE_SCHEMA with the note of which places it belongs to, and the ids (as stored) of the two listed roots."""
    note = _places(job) | {"source_root_id": roots[0], "destination_root_id": roots[1]}
    return BASELINE_SCHEMA.with_metadata({_KEY: json.dumps(note, sort_keys=True).encode()})


def roots_of(path: Path) -> tuple[str | None, str | None]:
    """The ids (as stored) of source and destination root as the last run saw them; None = not known."""
    note = json.loads((pq.read_schema(path).metadata or {}).get(_KEY, b"{}"))
    return note.get("source_root_id"), note.get("destination_root_id")


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
    places = _places(job)
    return written_for.get("format_version", 1) <= FORMAT_VERSION and all(
        written_for.get(end) == places[end] for end in ("source", "destination")
    )


def write_baseline(state: JobState, run: RunPaths, job: Job) -> int:
    """Put what a run achieved (its outcomes.parquet) into the job's baseline; return the number of rows.

    Rows of files and folders that the run did not touch stay, unless both sides were listed as a whole and have lost
    them. The file is replaced at once, when it is complete and durable; doing it again gives the same file.
    """
    staged = state.baseline.with_name(f".{state.baseline.name}.{os.getpid()}.tmp")
    previous = [state.baseline] if usable_baseline(state.baseline, job) else []
    rows = 0
    with connect(run) as database, open(staged, "wb") as file:
        define(database, "plan", [run.plan], PLAN_SCHEMA)
        define(database, "outcomes", [run.outcomes], OUTCOMES_SCHEMA)
        define(database, "previous", previous, BASELINE_SCHEMA)
        lists = [Inventory.load(folder) for folder in (run.source_inventory, run.destination_inventory)]
        for name, inventory in zip(("source_rows", "destination_rows"), lists, strict=True):
            define(database, name, inventory.parts(), SCHEMA)
        roots = _roots(database, roots_of(state.baseline) if previous else (None, None))
        whole = all(inventory.header.complete and not inventory.header.root_missing for inventory in lists)
        schema = baseline_schema(job, roots)
        wanted = job.rules.versioning.preserve is PreserveVersions.NATIVE
        numbers = _NUMBERS.format(wanted=str(wanted).lower())
        database.execute(
            _TOUCHED.format(run_id=run.run_id, as_file=EARLIER_AS_FILE, left_out=_LEFT_OUT, numbers=numbers)
        )
        with pq.ParquetWriter(file, schema, compression="zstd", compression_level=1) as writer:
            merged = _MERGED.format(kept=_STILL_SOMEWHERE if whole else "true")
            for batch in record_batches(database, merged, ROWS_AT_ONCE):
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


def _roots(database: duckdb.DuckDBPyConnection, before: tuple[str | None, str | None]) -> tuple[str | None, str | None]:
    """The ids of the listed roots as their entries name them; those of before where nothing is listed."""
    found: list[str | None] = []
    for rows, known in zip(("source_rows", "destination_rows"), before, strict=True):
        answer = database.execute(f"SELECT any_value(parent_id) FROM {rows} WHERE len(path) = 1").fetchall()  # noqa: S608
        found.append(answer[0][0] if answer and answer[0][0] is not None else known)
    return found[0], found[1]


_TOUCHED = """
    CREATE TEMP TABLE touched AS
    WITH done AS (
        SELECT p.*, o.destination_id AS done_id, o.destination_version_id AS done_version_id,
               o.destination_name AS done_name, o.destination_modified_at AS done_modified_at, o.sha256 AS done_sha256,
               o.settled_sha256 AS done_settled_sha256, o.bytes_copied
        FROM plan AS p JOIN outcomes AS o USING (action_id)
        WHERE o.word IN ('succeeded', 'revised') AND p.version_number IS NULL
    ),
    renamed AS (
        SELECT d.*, coalesce(by_source, by_destination) AS b
        FROM done AS d
        LEFT JOIN previous AS by_source
          ON by_source.source_id = d.source_id AND coalesce(by_source.entry_kind, 'file') = d.entry_kind
        LEFT JOIN previous AS by_destination
          ON by_destination.destination_id = d.expected_id
         AND coalesce(by_destination.entry_kind, 'file') = d.entry_kind
        WHERE d.kind = 'rename' AND d.reason IN ('moved-at-source', 'moved-at-destination') AND d.source_id IS NOT NULL
    ),
    written AS (
        SELECT source_system, source_id, source_version_id, source_path, modified_at AS source_modified_at,
               destination_path, nullif(done_name, destination_path[-1]) AS destination_name, done_id AS destination_id,
               done_version_id AS destination_version_id, done_modified_at AS destination_modified_at,
               coalesce(size_bytes, bytes_copied) AS size_bytes, done_sha256 AS sha256,
               done_settled_sha256 AS settled_sha256, entry_kind, 1 AS rank
        FROM done WHERE kind IN ('copy', 'make_folder') AND side = 'destination'
        UNION ALL BY NAME
        SELECT source_system, done_id AS source_id, done_version_id AS source_version_id,
               list_append(list_slice(source_path, 1, len(source_path) - 1), coalesce(done_name, source_path[-1]))
                   AS source_path,
               done_modified_at AS source_modified_at, destination_path, NULL::VARCHAR AS destination_name,
               expected_id AS destination_id, expected_version_id AS destination_version_id,
               expected_modified_at AS destination_modified_at,
               coalesce(expected_size_bytes, bytes_copied) AS size_bytes,
               done_sha256 AS sha256, done_settled_sha256 AS settled_sha256, entry_kind, 1 AS rank
        FROM done WHERE kind IN ('copy', 'make_folder') AND side = 'source'
        UNION ALL BY NAME
        SELECT source_system,
               CASE WHEN side = 'source' THEN done_id ELSE source_id END AS source_id,
               CASE WHEN b IS NULL OR (side = 'source' AND source_version_id IS NOT DISTINCT FROM b.source_version_id)
                    THEN CASE WHEN side = 'source' THEN done_version_id ELSE source_version_id END
                    ELSE b.source_version_id END AS source_version_id,
               source_path,
               CASE WHEN b IS NULL THEN modified_at ELSE b.source_modified_at END AS source_modified_at,
               destination_path,
               CASE WHEN side = 'destination' THEN nullif(done_name, destination_path[-1]) END AS destination_name,
               CASE WHEN side = 'destination' THEN done_id ELSE expected_id END AS destination_id,
               CASE WHEN b IS NULL
                         OR (side = 'destination' AND expected_version_id IS NOT DISTINCT FROM b.destination_version_id)
                    THEN CASE WHEN side = 'destination' THEN done_version_id ELSE expected_version_id END
                    ELSE b.destination_version_id END AS destination_version_id,
               CASE WHEN b IS NULL THEN expected_modified_at ELSE b.destination_modified_at END
                   AS destination_modified_at,
               CASE WHEN b IS NULL THEN size_bytes ELSE b.size_bytes END AS size_bytes, b.sha256, b.settled_sha256,
               entry_kind, 2 AS rank
        FROM renamed WHERE accounts OR b IS NOT NULL
    ),
    found AS (
        SELECT p.source_system, p.source_id, p.source_version_id, p.source_path, p.modified_at AS source_modified_at,
               p.destination_path, b.destination_name, p.expected_id AS destination_id,
               p.expected_version_id AS destination_version_id, p.expected_modified_at AS destination_modified_at,
               CASE WHEN {same} THEN b.size_bytes ELSE p.expected_size_bytes END AS size_bytes,
               CASE WHEN {same} THEN b.sha256 END AS sha256,
               CASE WHEN {same} THEN b.settled_sha256 END AS settled_sha256, p.entry_kind,
               CASE WHEN {same} THEN b.run_id END AS found_by, 1 AS rank
        FROM plan AS p
        LEFT JOIN previous AS b ON coalesce(b.entry_kind, 'file') = p.entry_kind
             AND CASE WHEN p.reason = 'moved-with-folder' THEN b.source_id = p.source_id
                      ELSE b.destination_path = p.destination_path END
        WHERE p.kind = 'skip' AND p.accounts AND p.reason IN ('unchanged', 'already-there', 'moved-with-folder')
    ),
    missing AS (
        SELECT p.source_system, p.source_id, b.source_version_id,
               coalesce(b.source_path, p.source_path) AS source_path, b.source_modified_at,
               coalesce(b.destination_path, p.destination_path) AS destination_path, b.destination_name,
               coalesce(b.destination_id, p.expected_id) AS destination_id, b.destination_version_id,
               b.destination_modified_at, b.size_bytes, b.sha256, b.settled_sha256, p.entry_kind, b.run_id AS found_by,
               CASE WHEN p.side = 'destination' THEN coalesce(b.missing_at_source, '{run_id}') END AS missing_at_source,
               CASE WHEN p.side = 'source' THEN coalesce(b.missing_at_destination, '{run_id}') END
                   AS missing_at_destination, 1 AS rank
        FROM plan AS p
        LEFT JOIN previous AS b ON coalesce(b.entry_kind, 'file') = p.entry_kind
             AND CASE WHEN p.side = 'source' THEN b.source_id = p.source_id ELSE b.destination_id = p.expected_id END
        WHERE p.kind = 'skip' AND p.reason = 'missing-once'
    ),
    versions AS (
        SELECT p.source_system, p.source_id, p.source_path, p.destination_path,
               nullif(o.destination_name, p.destination_path[-1]) AS destination_name, o.destination_id,
               o.destination_version_id, o.destination_modified_at,
               CASE WHEN o.word = 'skipped' THEN p.expected_size_bytes ELSE o.bytes_copied END AS size_bytes,
               o.sha256, o.settled_sha256, 'version' AS entry_kind, p.version_number, 1 AS rank
        FROM plan AS p JOIN outcomes AS o USING (action_id)
        WHERE p.kind = 'add_version' AND p.reason = '{as_file}'
          AND (o.word IN ('succeeded', 'revised') OR (o.word = 'skipped' AND o.reason IN ({left_out})))
    ),
    every AS (
        SELECT * FROM written UNION ALL BY NAME SELECT * FROM found UNION ALL BY NAME SELECT * FROM missing
        UNION ALL BY NAME SELECT * FROM versions
    )
    SELECT e.* EXCLUDE (rank, found_by) REPLACE (coalesce(e.version_number, n.number) AS version_number),
           coalesce(found_by, '{run_id}') AS run_id
    FROM every AS e
    LEFT JOIN ({numbers}) AS n
      ON e.entry_kind = 'file' AND n.id = e.source_id AND n.version_id IS NOT DISTINCT FROM e.source_version_id
    QUALIFY row_number() OVER (PARTITION BY destination_path, entry_kind ORDER BY rank, source_id) = 1
""".replace("{same}", "p.reason <> 'already-there'")
"""What the run left in place: written, renamed, found as it was, or seen missing for the first time; and earlier
versions that were made files, or were not to be had any more."""
_NUMBERS = """
    SELECT id, version_id, any_value(coalesce(version_number, version_count)) AS number FROM source_rows
    WHERE kind = 'file' AND {wanted} GROUP BY ALL
"""

_DELETED = """
    SELECT p.destination_path, p.entry_kind FROM plan AS p JOIN outcomes AS o USING (action_id)
    WHERE p.kind = 'delete' AND p.reason <> 'moved' AND o.word IN ('succeeded', 'revised')
"""
_STILL_SOMEWHERE = """
    (b.source_id IN (SELECT id FROM source_rows WHERE NOT deleted)
     OR b.destination_id IN (SELECT id FROM destination_rows WHERE NOT deleted))
"""
_MERGED = f"""
    SELECT {", ".join(BASELINE_SCHEMA.names)} FROM touched
    UNION ALL BY NAME
    SELECT b.* REPLACE (coalesce(b.entry_kind, 'file') AS entry_kind) FROM previous AS b
    WHERE NOT EXISTS (SELECT 1 FROM touched AS t WHERE t.destination_path = b.destination_path
                      AND t.entry_kind = coalesce(b.entry_kind, 'file'))
      AND NOT EXISTS (SELECT 1 FROM touched AS t WHERE t.source_id = b.source_id
                      AND t.entry_kind = coalesce(b.entry_kind, 'file')
                      AND (t.entry_kind <> 'version' OR t.version_number = b.version_number))
      AND NOT EXISTS (SELECT 1 FROM ({_DELETED}) AS g WHERE g.destination_path = b.destination_path
                      AND g.entry_kind = coalesce(b.entry_kind, 'file'))
      AND {{kept}}
    ORDER BY destination_path, entry_kind
"""  # noqa: S608 - put together from constants
