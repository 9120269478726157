"""What planning asks DuckDB: the entries of two inventories and the baseline, sorted by the folder they belong to.

The ordinal of a folder is its place in the list that `placing.place_folders` made; 0 is the root. Text stays as stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migration.baseline import BASELINE_SCHEMA
from migration.entries import EntryKind
from migration.inventory import SCHEMA, Inventory
from migration.inventory_format import PATH, stored_path, values
from migration.placing import Folder, FolderRow, orphan
from migration.run_queries import define
from migration.stored_text import from_stored, to_stored

_PLACED = """
    (SELECT s.*, CASE WHEN len(s.path) = 1 THEN 0 ELSE f.ordinal END AS ordinal
     FROM source_rows AS s LEFT JOIN source_folders AS f ON f.id = s.parent_id AND f.ordinal > 0
     WHERE s.kind = 'file')"""

FILES = f"""
    SELECT ordinal, id, version_id, name, size_bytes, epoch_us(modified_at), epoch_us(created_at), deleted
    FROM {_PLACED} ORDER BY ordinal, name, id
"""  # noqa: S608 - put together from constants
"""Source files: id, version id, name, size, modified, created, deleted."""

FILE_FACTS = f"""
    SELECT ordinal, name, size_bytes, epoch_us(modified_at) FROM {_PLACED} WHERE NOT deleted ORDER BY ordinal
"""  # noqa: S608 - put together from constants
"""What a filter looks at: name, size, modified."""

FOLDERS_WITH_FILES = f"SELECT DISTINCT ordinal FROM {_PLACED} WHERE NOT deleted ORDER BY ordinal"  # noqa: S608

_ORPHAN = f"SELECT id, name FROM {_PLACED} WHERE ordinal IS NULL ORDER BY id LIMIT 1"  # noqa: S608

THERE = """
    SELECT CASE WHEN len(d.path) = 1 THEN 0 ELSE f.ordinal END AS ordinal,
           d.name, d.kind = 'file', d.id, d.version_id, d.size_bytes, epoch_us(d.modified_at)
    FROM destination_rows AS d LEFT JOIN destination_folders AS f ON f.id = d.parent_id
    WHERE len(d.path) = 1 OR f.ordinal IS NOT NULL
    ORDER BY ordinal, d.name
"""
"""Destination entries in folders that the source has too: name, is it a file, id, version, size, modified."""

FILES_BESIDE_FOLDERS = """
    SELECT CASE WHEN len(d.path) = 1 THEN 0 ELSE f.ordinal END AS ordinal,
           d.name, d.id, d.version_id, d.size_bytes, epoch_us(d.modified_at)
    FROM destination_rows AS d LEFT JOIN destination_folders AS f ON f.id = d.parent_id
    WHERE d.kind = 'file' AND (len(d.path) = 1 OR f.has_subfolders)
    ORDER BY ordinal, d.name
"""
"""Destination files in folders where the source has subfolders: name, id, version, size, modified."""

BEFORE = """
    SELECT f.ordinal, b.destination_path[-1] AS name, b.destination_name, b.source_id, b.source_version_id,
           epoch_us(b.source_modified_at), b.size_bytes, b.destination_id, b.destination_version_id,
           epoch_us(b.destination_modified_at)
    FROM baseline_rows AS b
    JOIN source_folders AS f ON f.path = b.destination_path[1:len(b.destination_path) - 1]
    ORDER BY f.ordinal, name
"""
"""Baseline rows of those folders: planned name, kept name, then the fields of `planner.Before`."""


def define_tables(
    database: duckdb.DuckDBPyConnection,
    source: Inventory,
    destination: Inventory,
    baseline: Path | None,
    folders: Sequence[Folder],
    matched: Mapping[str, int],
) -> None:
    """Make the tables and views that the queries name. Raises PlanError `orphan-entry`."""
    _define(database, "source_rows", source.parts(), SCHEMA)
    _define(database, "destination_rows", destination.parts(), SCHEMA)
    _define(database, "baseline_rows", [baseline] if baseline else [], BASELINE_SCHEMA)
    placed = [folder for folder in folders if not folder.problem and not folder.deleted]
    paths = {folder.ordinal: stored_path(folder.destination_path) for folder in placed}
    source_folders: dict[str, Any] = {
        "ordinal": pa.array([folder.ordinal for folder in folders], pa.int32()),
        "id": pa.array([to_stored(folder.id) for folder in folders], pa.string()),
        "path": pa.array([paths.get(folder.ordinal) for folder in folders], PATH),
    }
    destination_folders: dict[str, Any] = {
        "has_subfolders": pa.array([bool(folders[place].subfolders) for place in matched.values()], pa.bool_()),
        "ordinal": pa.array(list(matched.values()), pa.int32()),
        "id": pa.array([to_stored(folder_id) for folder_id in matched], pa.string()),
    }
    _make_table(database, "source_folders", pa.table(source_folders))
    _make_table(database, "destination_folders", pa.table(destination_folders))
    found = database.execute(_ORPHAN).fetchone()
    if found:
        raise orphan(from_stored(found[0]), from_stored(found[1]))


def folder_rows(inventory: Inventory) -> Iterator[FolderRow]:
    """The folders of an inventory in the walk's order."""
    columns = ["id", "parent_id", "name", "created_at", "deleted", "path"]
    for part in inventory.parts():
        table = pq.read_table(part, columns=columns, filters=pc.field("kind") == EntryKind.FOLDER.value)
        ids, parents, names, created, deleted = (values(table.column(name)) for name in columns[:-1])
        depths = values(pc.list_value_length(table.column("path")))
        for row_id, parent, name, depth, age, gone in zip(ids, parents, names, depths, created, deleted, strict=True):
            parent_id = None if parent is None else from_stored(parent)
            yield FolderRow(from_stored(row_id), parent_id, from_stored(name), depth == 1, age, gone)


def _define(database: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path], schema: pa.Schema) -> None:
    if files:
        define(database, name, files, schema)
    else:
        _make_table(database, name, schema.empty_table())


def _make_table(database: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """A table, which lives longer than the Arrow data."""
    database.register("given", table)
    database.execute(f"CREATE TABLE {name} AS SELECT * FROM given")  # noqa: S608 - only our own names
    database.unregister("given")
