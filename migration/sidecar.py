"""The sidecar: what the destination itself cannot keep of a job's files, as open files beside them.

`.sitehaul/<job>/` in the job's folder at the destination holds `manifest.csv` and `manifest.jsonl` (one line per file
and per earlier version: ids, version, both paths, size, hash, times, author), `names.csv` (whose name is not the
source's) and `README.txt`. They tell of everything the job has put there, whichever run did it. Facts of files that the
source has lost since are kept from before, in the job's state.
"""

import glob
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from migration.baseline import BASELINE_SCHEMA
from migration.inventory import SCHEMA, Inventory
from migration.inventory_format import PATH, TIME
from migration.jobs import Job
from migration.ledger_tables import OUTCOMES_SCHEMA
from migration.plan_format import PLAN_SCHEMA
from migration.rules import Metadata
from migration.run_queries import connect, define
from migration.security_maps import SecurityMaps
from migration.state import JobState, RunPaths
from migration.stored_text import from_stored, to_stored
from migration.versions import EARLIER, FOLDED

MANIFEST, MANIFEST_LINES, NAMES, README = "manifest.csv", "manifest.jsonl", "names.csv", "README.txt"

_FIELDS: list["pa.Field[Any]"] = [
    pa.field("kind", pa.string()),
    pa.field("source_system", pa.string()),
    pa.field("source_id", pa.string()),
    pa.field("version_id", pa.string()),
    pa.field("version_number", pa.int64()),
    pa.field("source_path", PATH),
    pa.field("destination_path", PATH),
    pa.field("size_bytes", pa.int64()),
    pa.field("sha256", pa.string()),
    pa.field("created_at", TIME),
    pa.field("modified_at", TIME),
    pa.field("author", pa.string()),
    pa.field("mapped_author", pa.string()),
    pa.field("run_id", pa.string()),
]
MANIFEST_SCHEMA = pa.schema(_FIELDS)
"""The columns of the manifest. `kind` is file or version (an earlier one); `destination_path` of a version that the
destination keeps as one is the file's."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The files to put at the destination, by name, and what they hold."""

    files: Mapping[str, Path]
    rows: int


def is_wanted(job: Job) -> bool:
    """Whether the job keeps a sidecar."""
    return job.rules.metadata is Metadata.SIDECAR or job.rules.preserve_owners


def write_sidecar(state: JobState, run: RunPaths, job: Job, maps: SecurityMaps) -> Sidecar:
    """Write the files into the run's folder `sidecar/`, from the job's baseline (which holds this run already), what
    the run knows of the source, and the manifest of before. Older ones are replaced; doing it again gives the same.
    """
    folder = run.folder / "sidecar"
    folder.mkdir(exist_ok=True)
    with connect(run) as database:
        _define(database, state, run)
        _define_people(database, maps, wanted=job.rules.preserve_owners)
        database.execute(_ROWS.format(run_id=run.run_id))
        _copy(database, _ALL, folder / "manifest.parquet", "FORMAT parquet")
        _copy(database, _AS_LINES, folder / MANIFEST_LINES, "FORMAT json")
        _copy_csv(database, _AS_CSV, folder / MANIFEST)
        _copy_csv(database, _OTHER_NAMES, folder / NAMES)
        found = database.execute("SELECT count(*) FROM manifest").fetchone()
    (folder / README).write_text(_README.format(job=job.name), "utf-8")
    os.replace(folder / "manifest.parquet", state.manifest)
    return Sidecar(
        {name: folder / name for name in (MANIFEST_LINES, MANIFEST, NAMES, README)}, found[0] if found else 0
    )


def _define(database: duckdb.DuckDBPyConnection, state: JobState, run: RunPaths) -> None:
    define(database, "baseline", [state.baseline], BASELINE_SCHEMA)
    define(database, "source", Inventory.load(run.source_inventory).parts(), SCHEMA)
    define(database, "plan", [run.plan], PLAN_SCHEMA)
    define(database, "outcomes", [run.outcomes], OUTCOMES_SCHEMA)
    define(database, "before", [state.manifest], MANIFEST_SCHEMA)
    if run.versions.is_file():
        database.read_json(
            glob.escape(str(run.versions)),
            format="newline_delimited",
            columns={"source_id": "VARCHAR", "versions": _VERSIONS_TYPE},
        ).create_view("noted")
    else:
        database.execute(f"CREATE VIEW noted AS SELECT NULL::VARCHAR AS source_id, NULL::{_VERSIONS_TYPE} AS versions")


def _define_people(database: duckdb.DuckDBPyConnection, maps: SecurityMaps, *, wanted: bool) -> None:
    """The table `people` (author, mapped): everybody who made something; empty unless authors are wanted."""
    authors: list[str] = []
    if wanted:
        authors = [row[0] for row in database.execute(_AUTHORS).fetchall()]
    mapped = [maps.accounts.mapped(from_stored(author)) for author in authors]
    table = pa.table(
        {
            "author": pa.array(authors, pa.string()),
            "mapped": pa.array([None if one is None else to_stored(one) for one in mapped], pa.string()),
        }
    )
    database.register("people", table)


def _copy(database: duckdb.DuckDBPyConnection, query: str, path: Path, how: str) -> None:
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    name = str(staged).replace("'", "''")
    database.execute(f"COPY ({query}) TO '{name}' ({how})")
    os.replace(staged, path)


def _copy_csv(database: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """With a byte order mark, as spreadsheets want it."""
    plain = path.with_name(f"{path.name}.plain")
    _copy(database, query, plain, "FORMAT csv, HEADER")
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(plain, "rb") as given, open(staged, "wb") as file:
        file.write(b"\xef\xbb\xbf")
        shutil.copyfileobj(given, file, 1024 * 1024)
    plain.unlink()
    os.replace(staged, path)


_README = """SiteHaul's job "{job}" put the files around this folder there; this folder says where they came from.
manifest.csv and manifest.jsonl hold one line per file and version, names.csv the files whose name had to change.
It is written anew after each run of the job. Nothing needs it; it may be copied, and deleted when nobody asks any more.
"""


def _time(column: str) -> str:
    return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ') AS {column}"


def _cell(expression: str) -> str:
    r"""What a spreadsheet would take for a formula gets an apostrophe in front."""
    return f"CASE WHEN regexp_matches({expression}, '^[-=+@\\t\\r]') THEN '''' || {expression} ELSE {expression} END"


def _path_cell(column: str) -> str:
    joined = f"array_to_string([replace(name, '/', '∕') for name in {column}], '/')"
    return f"{_cell(joined)} AS {column}"


_TIMES = ("created_at", "modified_at")
_PATHS = ("source_path", "destination_path")
_TEXTS = ("source_id", "version_id", "author", "mapped_author")
_NAMED = MANIFEST_SCHEMA.names
_LINES = ", ".join(_time(name) if name in _TIMES else name for name in _NAMED)
_CELLS = ", ".join(
    _time(name) if name in _TIMES else _path_cell(name) if name in _PATHS
    else f"{_cell(name)} AS {name}" if name in _TEXTS else name
    for name in _NAMED
)  # fmt: skip
_ALL = "FROM manifest ORDER BY destination_path, kind, version_number"
_AS_LINES = f"SELECT {_LINES} {_ALL}"
_AS_CSV = f"SELECT {_CELLS} {_ALL}"
_OTHER_NAMES = f"""
    SELECT {_path_cell("source_path")}, {_path_cell("destination_path")}, kind, version_number FROM manifest AS m
    WHERE m.source_path <> m.destination_path ORDER BY m.destination_path, kind, version_number
"""  # noqa: S608 - put together from constants
_VERSIONS_TYPE = (
    "STRUCT(number BIGINT, version_id VARCHAR, size_bytes BIGINT, modified_at TIMESTAMPTZ, created_by VARCHAR)[]"
)
_AUTHORS = """
    SELECT created_by FROM source WHERE created_by IS NOT NULL
    UNION SELECT one.created_by FROM (SELECT unnest(versions) AS one FROM noted) WHERE one.created_by IS NOT NULL
    UNION SELECT author FROM before WHERE author IS NOT NULL
    ORDER BY 1
"""
_ROWS = f"""
    CREATE TEMP TABLE manifest AS
    WITH notes AS (
        SELECT DISTINCT ON (source_id, one.number) source_id, one.number AS number, one.version_id AS version_id,
               one.modified_at AS modified_at, one.created_by AS created_by
        FROM (SELECT source_id, unnest(versions) AS one FROM noted)
    ),
    files AS (
        SELECT CASE b.entry_kind WHEN 'version' THEN 'version' ELSE 'file' END AS kind, b.source_system, b.source_id,
               b.source_version_id AS version_id, b.version_number, b.source_path,
               list_append(b.destination_path[:-2], coalesce(b.destination_name, b.destination_path[-1]))
                   AS destination_path,
               b.size_bytes, b.sha256, b.source_modified_at AS modified_at, b.run_id
        FROM baseline AS b WHERE b.entry_kind IS DISTINCT FROM 'folder' AND b.destination_id IS NOT NULL
    ),
    added AS (
        SELECT 'version' AS kind, p.source_system, p.source_id,
               CASE WHEN p.accounts THEN p.source_version_id END AS version_id, p.version_number, p.source_path,
               list_append(p.destination_path[:-2], coalesce(o.destination_name, p.destination_path[-1]))
                   AS destination_path,
               o.bytes_copied AS size_bytes, o.sha256, p.modified_at, o.finished_at
        FROM plan AS p JOIN outcomes AS o USING (action_id)
        WHERE p.kind = 'add_version' AND p.reason IN ('{EARLIER}', '{FOLDED}') AND o.word IN ('succeeded', 'revised')
    ),
    kept AS (
        SELECT m.* FROM before AS m
        WHERE m.kind = 'version'
          AND EXISTS (SELECT 1 FROM files AS f WHERE f.kind = 'file' AND f.destination_path = m.destination_path)
          AND NOT EXISTS (SELECT 1 FROM added AS a
                          WHERE a.destination_path = m.destination_path AND a.version_number = m.version_number)
    ),
    every AS (
        SELECT * FROM files
        UNION ALL BY NAME SELECT * EXCLUDE (finished_at), '{{run_id}}' AS run_id FROM added
        UNION ALL BY NAME SELECT * EXCLUDE (created_at, author, mapped_author) FROM kept
    ),
    known AS (
        SELECT e.kind, e.source_system, e.source_id,
               coalesce(CASE WHEN e.kind = 'version' THEN coalesce(n.version_id, m.version_id) END, e.version_id)
                   AS version_id,
               coalesce(e.version_number, CASE WHEN e.kind = 'file' THEN s.version_number END, m.version_number)
                   AS version_number,
               e.source_path, e.destination_path, e.size_bytes, e.sha256,
               coalesce(CASE WHEN e.kind = 'version' THEN n.modified_at ELSE s.created_at END, m.created_at)
                   AS created_at,
               coalesce(CASE WHEN e.kind = 'version' THEN n.modified_at END, e.modified_at, m.modified_at)
                   AS modified_at,
               coalesce(CASE WHEN e.kind = 'version' THEN n.created_by ELSE s.created_by END, m.author) AS by,
               e.run_id
        FROM every AS e
        LEFT JOIN notes AS n
          ON e.kind = 'version' AND n.source_id = e.source_id AND n.number = e.version_number
        LEFT JOIN source AS s
          ON s.kind = 'file' AND s.id = e.source_id AND s.path = e.source_path
         AND s.version_id IS NOT DISTINCT FROM e.version_id
        LEFT JOIN before AS m
          ON m.kind = e.kind AND m.destination_path = e.destination_path AND m.source_id = e.source_id
         AND CASE WHEN e.kind = 'version' THEN m.version_number = e.version_number
                  ELSE m.version_id IS NOT DISTINCT FROM e.version_id END
    )
    SELECT k.kind, k.source_system, k.source_id, k.version_id, k.version_number, k.source_path, k.destination_path,
           k.size_bytes, k.sha256, k.created_at, k.modified_at, p.author, p.mapped AS mapped_author, k.run_id
    FROM known AS k LEFT JOIN people AS p ON p.author = k.by
"""  # noqa: S608 - put together from constants
