"""The files of a run as SQL views: `source`, `plan`, `outcomes`, `verification`, `judged`; empty where there is none.

`judged` has one row per file of the plan: its outcome word, reason and message as reconciliation counts them. Its
`destination_path` ends with the name under which the destination keeps the file, which is not always the planned one.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from migration.errors import PlanError
from migration.inventory import SCHEMA, Inventory
from migration.ledger_tables import OUTCOMES_SCHEMA
from migration.plan_format import PLAN_SCHEMA
from migration.run_queries import connect, define
from migration.state import RunPaths
from migration.stored_text import from_stored, readable
from migration.verification import VERIFICATION_SCHEMA


def shown_path(column: str) -> str:
    """SQL for a path as people read it: names joined by `/`; a `/` inside a name appears as `∕` (U+2215)."""
    return f"readable(array_to_string([replace(name, '/', '∕') for name in {column}], '/'))"


PATHS = f"{shown_path('source_path')} AS source_path, {shown_path('destination_path')} AS destination_path"
"""Both paths of an action, for people's eyes."""

_JUDGED = """
    CREATE VIEW judged AS
    SELECT p.seq, p.source_path, p.size_bytes, p.modified_at, p.action_id, o.sha256, o.finished_at, o.verification,
           o.bytes_copied, o.attempt AS attempts, o.destination_name, coalesce(o.reason, p.reason) AS reason,
           CASE WHEN o.destination_name IS NULL THEN p.destination_path
                ELSE list_append(p.destination_path[:-2], o.destination_name) END AS destination_path,
           coalesce(o.destination_name <> p.destination_path[-1], false) AS named_there,
           p.renamed OR named_there AS renamed,
           coalesce(o.message, p.detail, CASE WHEN named_there THEN 'named by the destination' END) AS message,
           CASE p.kind WHEN 'skip' THEN 'skipped' WHEN 'flag' THEN 'flagged' ELSE coalesce(o.word, 'pending') END
               AS word
    FROM plan AS p LEFT JOIN outcomes AS o USING (action_id)
    WHERE p.entry_kind = 'file' AND (coalesce(p.accounts, true) OR o.word IN ('flagged', 'retrying'))
"""


@contextlib.contextmanager
def opened_run(run: RunPaths) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the views over the run's files as they are now. Reads only."""
    with connect(run) as database:
        database.create_function("readable", _readable, [duckdb.sqltype("VARCHAR")], duckdb.sqltype("VARCHAR"))
        define(database, "source", _parts(run), SCHEMA)
        for name, path, schema in (
            ("plan", run.plan, PLAN_SCHEMA),
            ("outcomes", run.outcomes, OUTCOMES_SCHEMA),
            ("verification", run.verification, VERIFICATION_SCHEMA),
        ):
            define(database, name, [path], schema)
        database.execute(_JUDGED)
        yield database


def rows(database: duckdb.DuckDBPyConnection, query: str, *values: Any) -> list[dict[str, Any]]:
    """The result as dictionaries; for small results."""
    cursor = database.execute(query, list(values))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _parts(run: RunPaths) -> list[Path]:
    try:
        return Inventory.load(run.source_inventory).parts()
    except PlanError:
        return []


def _readable(text: str) -> str:
    return readable(from_stored(text))
