"""The CSV files beside a report: UTF-8 with a byte order mark (Excel), one header line, RFC 4180 quoting, times in UTC.

A cell that a spreadsheet would take for a formula (it begins with = + - @, a tab or a carriage return) gets an
apostrophe in front; docs/formats.md says so, too.
"""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from reports.run_files import PATHS, shown_path

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_JUDGED = f"""
    SELECT {PATHS}, word, reason, readable(message) AS message, size_bytes, modified_at, sha256, verification,
           finished_at
    FROM judged
"""

TABLES = {
    "files.csv": f"{_JUDGED} ORDER BY seq",
    "flagged.csv": f"""
        SELECT {PATHS}, word, reason, readable(message) AS message, attempts, size_bytes, modified_at, sha256,
               verification, finished_at
        FROM judged WHERE word IN ('flagged', 'retrying') ORDER BY seq
    """,
    "skipped.csv": f"{_JUDGED} WHERE word = 'skipped' ORDER BY seq",
    "pending.csv": f"{_JUDGED} WHERE word = 'pending' ORDER BY seq",
    "renamed.csv": f"SELECT {PATHS}, word, readable(message) AS message FROM judged WHERE renamed ORDER BY seq",
    "differences.csv": f"""
        SELECT {PATHS}, verdict, level, size_bytes, sha256_expected, sha256_found, readable(detail) AS detail
        FROM verification WHERE verdict <> 'matches'
    """,
    "plan.csv": f"""
        SELECT seq, kind, side, entry_kind, {shown_path("from_path")} AS from_path, {PATHS}, size_bytes, modified_at,
               reason, readable(detail) AS detail, expected_size_bytes AS replaced_size_bytes,
               expected_modified_at AS replaced_modified_at, action_id
        FROM plan ORDER BY seq
    """,
    "inventory-folders.csv": f"""
        SELECT {shown_path("path[:-2]")} AS folder, count(*) AS files, sum(size_bytes)::BIGINT AS bytes,
               min(modified_at) AS oldest, max(modified_at) AS newest
        FROM source WHERE kind = 'file' GROUP BY folder ORDER BY folder
    """,
}
"""File name → query. Which file says what is described in docs/formats.md."""


def write_tables(database: duckdb.DuckDBPyConnection, folder: Path, names: Iterable[str]) -> dict[str, int]:
    """Write these of TABLES into `folder`, each replacing an older one when complete; data rows by file name."""
    return {name: _write(database, TABLES[name], folder / name) for name in names}


def write_table(database: duckdb.DuckDBPyConnection, name: str, path: Path) -> int:
    """Write one of TABLES as `path`, replacing an older file when complete; how many data rows."""
    return _write(database, TABLES[name], path)


def _write(database: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    cursor = database.execute(query)
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    count = 0
    with open(staged, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column[0] for column in cursor.description or ()])
        for row in _rows(cursor):
            writer.writerow([csv_cell(value) for value in row])
            count += 1
    os.replace(staged, path)
    return count


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while found := cursor.fetchmany(10_000):
        yield from found


def csv_cell(value: Any) -> Any:
    """The value as a spreadsheet may open it."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
