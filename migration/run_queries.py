"""Set-wise questions about a run's Parquet files: DuckDB in memory, bounded, nothing written but what it spills."""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

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
    """Make the rows of these Parquet files, those of them that exist, a view; without any it is empty."""
    existing = [glob.escape(str(file)) for file in files if file.is_file()]
    if existing:
        database.read_parquet(existing).create_view(name)
    else:
        database.register(name, schema.empty_table())


def record_batches(database: duckdb.DuckDBPyConnection, query: str, rows: int) -> Iterator[pa.RecordBatch]:
    """The answer to a query, about `rows` rows at a time."""
    answer = database.sql(query)
    reader = answer.to_arrow_reader(rows) if answer is not None else None
    if reader is not None:
        yield from reader
