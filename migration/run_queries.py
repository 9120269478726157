"""Set-wise questions about a run's Parquet files: DuckDB in memory, bounded, nothing written but what it spills."""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from migration.state import RunPaths

MEMORY_LIMIT = "400MB"
"""What one question may hold in memory; more is spilled into the run's folder."""


def connect(run: RunPaths) -> duckdb.DuckDBPyConnection:
    """A database in memory. To be closed (it is a context manager)."""
    return duckdb.connect(
        config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(run.folder / ".spilled"), "threads": 2}
    )


def define(database: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path], schema: pa.Schema) -> None:
    """Make the rows of these Parquet files, those of them that exist, a view; without any it is empty. Columns that an
    earlier version did not write are null."""
    existing = [glob.escape(str(file)) for file in files if file.is_file()]
    if existing:
        found = database.read_parquet(existing)
        lacking = [field for field in schema if field.name not in found.columns]
        nulls = "".join(f', NULL::{_sql_type(field)} AS "{field.name}"' for field in lacking)
        found.project(f"*{nulls}").create_view(name)
    else:
        database.register(name, schema.empty_table())


def record_batches(database: duckdb.DuckDBPyConnection, query: str, rows: int) -> Iterator[pa.RecordBatch]:
    """The answer to a query, about `rows` rows at a time."""
    answer = database.sql(query)
    reader = answer.to_arrow_reader(rows) if answer is not None else None
    if reader is not None:
        yield from reader


def _sql_type(field: "pa.Field[Any]") -> str:
    kinds = (
        (pa.types.is_integer, "BIGINT"),
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_timestamp, "TIMESTAMPTZ"),
        (pa.types.is_list, "VARCHAR[]"),
    )
    return next((name for is_kind, name in kinds if is_kind(field.type)), "VARCHAR")
