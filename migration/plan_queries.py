"""What planning asks DuckDB: the entries of two inventories and the baseline, sorted by the folder they belong to.

The ordinal of a folder is its place in the tree that `placing.join_trees` made; 0 is the root. Text stays as stored.
A file that was moved on one side since the last run is told, on both sides, in the folder where it will be (`moved`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migration.actions import Side
from migration.baseline import BASELINE_SCHEMA
from migration.entries import EntryKind
from migration.inventory import SCHEMA, Inventory
from migration.inventory_format import PATH, read_path, stored_path, values
from migration.placing import FolderRow, Folders, Link, orphan
from migration.run_queries import define
from migration.stored_text import from_stored, to_stored

FILES = """
    SELECT coalesce(m.ordinal, s.ordinal), s.id, s.version_id, s.name, s.size_bytes, epoch_us(s.modified_at),
           epoch_us(s.created_at), s.deleted, s.created_by, s.locked, s.private, s.version_number, s.version_count,
           m.pair, s.ordinal
    FROM source_files AS s LEFT JOIN moved AS m ON m.source_id = s.id AND m.source_name = s.name
                                                AND m.source_ordinal = s.ordinal
    ORDER BY 1, s.name, s.id
"""
"""Source files: id, version id, name, size, modified, created, deleted, author, locked, private, version number and
count, the pair it is moved with, and the folder it is in now."""

FILE_FACTS = """
    SELECT ordinal, id, version_id, name, size_bytes, epoch_us(modified_at), epoch_us(created_at), deleted, created_by,
           locked, private, version_number, version_count
    FROM source_files WHERE NOT deleted ORDER BY ordinal
"""
"""What rules about taking part look at: the fields of `taking_part.FileFacts`."""

FOLDERS_WITH_FILES = "SELECT DISTINCT ordinal FROM source_files WHERE NOT deleted ORDER BY ordinal"

_ORPHAN = "SELECT id, name FROM source_files WHERE ordinal IS NULL ORDER BY id LIMIT 1"

THERE = """
    SELECT coalesce(m.ordinal, d.ordinal), d.name, d.kind = 'file', d.id, d.version_id, d.size_bytes,
           epoch_us(d.modified_at), m.pair, d.ordinal
    FROM destination_entries AS d
    LEFT JOIN moved AS m ON d.kind = 'file' AND m.destination_id = d.id
    ORDER BY 1, d.name
"""
"""Destination entries in folders of the tree: name, is it a file, id, version, size, modified, the pair it is moved
with and the folder it is in now."""

FILES_BESIDE_FOLDERS = """
    SELECT d.ordinal, d.name, d.id, d.version_id, d.size_bytes, epoch_us(d.modified_at)
    FROM destination_entries AS d WHERE d.kind = 'file' AND d.ordinal IN (SELECT ordinal FROM folders_with_subfolders)
    ORDER BY d.ordinal, d.name
"""
"""Destination files in folders where the source has subfolders: name, id, version, size, modified."""

BEFORE = """
    SELECT coalesce(m.ordinal, b.ordinal) AS place, b.destination_path[-1] AS name, b.destination_name,
           b.source_path[-1], b.source_id, b.source_version_id, epoch_us(b.source_modified_at), b.size_bytes,
           b.destination_id, b.destination_version_id, epoch_us(b.destination_modified_at), b.missing_at_source,
           b.missing_at_destination, m.pair
    FROM files_before AS b LEFT JOIN moved AS m ON m.pair = b.pair
    WHERE place IS NOT NULL
    ORDER BY place, name
"""
"""Baseline rows of those folders: planned name, kept name, the source's name, then the fields of `planner.Before`, and
the pair that was moved."""

_FILES_LIKE_FOLDERS = """
    SELECT CASE WHEN len(path) > 1 THEN parent_id END, name FROM {here}
    WHERE kind = 'file' AND NOT deleted
      AND lower(name) IN (SELECT lower(name) FROM {there} WHERE kind = 'folder')
"""
KNOWN = "SELECT count(*) FROM baseline_rows WHERE source_id IS NOT NULL"

TOP_PARENT = "SELECT any_value(parent_id) FROM {rows} WHERE len(path) = 1"

_SOURCE_FILES = """
    CREATE VIEW source_files AS
    SELECT CASE WHEN len(s.path) = 1 THEN 0 ELSE f.ordinal END AS ordinal, s.* FROM source_rows AS s
    LEFT JOIN source_folders AS f ON f.id = s.parent_id
    WHERE s.kind = 'file' AND NOT EXISTS (SELECT 1 FROM folded_files AS v WHERE v.id = s.id AND v.name = s.name)
"""
"""Earlier versions of other files are not among them, nor below (migration/version_rows.py decides about those)."""
_DESTINATION_ENTRIES = """
    CREATE VIEW destination_entries AS
    SELECT CASE WHEN len(d.path) = 1 THEN 0 ELSE f.ordinal END AS ordinal, d.* FROM destination_rows AS d
    LEFT JOIN destination_folders AS f ON f.id = d.parent_id
    WHERE (len(d.path) = 1 OR f.ordinal IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM version_files AS v WHERE v.id = d.id AND d.kind = 'file')
"""
_FILES_BEFORE = """
    CREATE TABLE files_before AS
    SELECT row_number() OVER () AS pair, f.ordinal, b.*
    FROM baseline_rows AS b
    LEFT JOIN before_folders AS f ON f.path = b.destination_path[1:len(b.destination_path) - 1]
    WHERE coalesce(b.entry_kind, 'file') = 'file'
"""

_NO_MOVED = """
    CREATE TABLE moved (pair BIGINT, ordinal BIGINT, source_id VARCHAR, source_name VARCHAR, source_ordinal BIGINT,
                        destination_id VARCHAR)
"""

_LIKE = """
    SELECT b.pair, n.id, n.name, n.ordinal, n.version_id, n.modified_at FROM
        (SELECT * FROM files_before WHERE {id} IS NOT NULL AND size_bytes > 0
            AND NOT EXISTS (SELECT 1 FROM {listed} AS l WHERE l.id = {id} AND l.kind = 'file')) AS b
    JOIN
        (SELECT * FROM {listed} AS l WHERE l.kind = 'file' AND l.size_bytes > 0 AND NOT l.deleted
            AND l.modified_at IS NOT NULL AND l.ordinal IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM files_before AS b WHERE b.{id} = l.id)) AS n
      ON n.size_bytes = b.{size} AND n.modified_at = b.{modified} AND coalesce(n.version_id = b.{version}, true)
    QUALIFY count(*) OVER (PARTITION BY b.pair) = 1 AND count(*) OVER (PARTITION BY n.id) = 1
"""
"""Files that are gone, and new ones with the same size, time and version: each pair only if neither is like another."""

_SAME = """
    SELECT b.pair, l.id, l.name, l.ordinal, l.version_id, l.modified_at FROM files_before AS b
    JOIN {listed} AS l ON l.id = b.{id} AND l.kind = 'file' AND NOT l.deleted
"""

_MOVED = """
    CREATE TABLE moved AS
    SELECT b.pair, CASE WHEN {follows_destination} THEN d.ordinal ELSE s.ordinal END AS ordinal,
           s.id AS source_id, s.name AS source_name, s.ordinal AS source_ordinal, d.id AS destination_id
    FROM files_before AS b JOIN here AS s USING (pair) JOIN there AS d USING (pair)
    CROSS JOIN LATERAL (SELECT
        (s.ordinal IS DISTINCT FROM b.ordinal OR s.name <> b.source_path[-1]) AS source_moved,
        (d.ordinal IS DISTINCT FROM b.ordinal OR d.name <> coalesce(b.destination_name, b.destination_path[-1]))
            AS destination_moved,
        coalesce(d.version_id = b.destination_version_id, d.modified_at = b.destination_modified_at, true)
            AS destination_as_left)
    WHERE s.ordinal IS NOT NULL AND d.ordinal IS NOT NULL AND ({wanted})
"""


def define_tables(database: duckdb.DuckDBPyConnection, folders: Folders, links: Sequence[Link]) -> None:
    """Make the tables and views that the queries name; `define_rows` and
    `VersionRows.look` come before. Raises PlanError `orphan-entry`."""
    placed = [folder for folder in folders.all if not folder.deleted]
    with_files = [folder for folder in folders.all if folder.id is not None and folder.ordinal > 0]
    source_folders: dict[str, Any] = {
        "ordinal": pa.array([folder.ordinal for folder in with_files], pa.int32()),
        "id": pa.array([to_stored(folder.id or "") for folder in with_files], pa.string()),
    }
    destination_folders: dict[str, Any] = {
        "ordinal": pa.array(list(folders.by_there_id.values()), pa.int32()),
        "id": pa.array([to_stored(folder_id) for folder_id in folders.by_there_id], pa.string()),
    }
    parents: dict[str, Any] = {
        "ordinal": pa.array([folder.ordinal for folder in placed if folder.subfolders], pa.int32())
    }
    before = _before_folders(folders, links)
    before_folders: dict[str, Any] = {
        "ordinal": pa.array(list(before.values()), pa.int32()),
        "path": pa.array(list(before), PATH),
    }
    _make_table(database, "source_folders", pa.table(source_folders))
    _make_table(database, "destination_folders", pa.table(destination_folders))
    _make_table(database, "folders_with_subfolders", pa.table(parents))
    _make_table(database, "before_folders", pa.table(before_folders))
    for query in (_SOURCE_FILES, _DESTINATION_ENTRIES, _FILES_BEFORE):
        database.execute(query)
    for entry_id, name in database.execute(_ORPHAN).fetchall():
        raise orphan(from_stored(entry_id), from_stored(name))


def define_rows(
    database: duckdb.DuckDBPyConnection, source: Inventory, destination: Inventory, baseline: Path | None
) -> None:
    """The inventories and the baseline as they are."""
    _define(database, "source_rows", source.parts(), SCHEMA)
    _define(database, "destination_rows", destination.parts(), SCHEMA)
    _define(database, "baseline_rows", [baseline] if baseline else [], BASELINE_SCHEMA)


def define_moved(
    database: duckdb.DuckDBPyConnection,
    *,
    source_moves: bool,
    destination_moves: bool,
    destination_wins: bool,
    ids_survive: tuple[bool, bool],
) -> None:
    """Make the table of files that were moved since the last run and are to be followed.

    `ids_survive` (source, destination) says whether ids tell a moved file; where they do not, a file that is gone and a
    new one that is like it are one, if nothing else is like either.
    """
    if not source_moves or not _one(database, KNOWN):
        database.execute(_NO_MOVED)
        return
    sides = (
        ("here", "source_files", "source_id", "source_version_id", "source_modified_at", "size_bytes"),
        ("there", "destination_entries", "destination_id", "destination_version_id", "destination_modified_at",
         "size_bytes"),
    )  # fmt: skip
    for (view, listed, identity, version, modified, size), survives in zip(sides, ids_survive, strict=True):
        same = _SAME.format(listed=listed, id=identity)
        like = _LIKE.format(listed=listed, id=identity, version=version, modified=modified, size=size)
        database.execute(f"CREATE TABLE {view} AS {same if survives else f'{same} UNION ALL {like}'}")
    wanted = "source_moved OR destination_moved"
    if not destination_moves:
        wanted = "source_moved AND NOT destination_moved AND destination_as_left"
    follows = "source_moved IS FALSE" if destination_moves else "false"
    if destination_moves and destination_wins:
        follows = "destination_moved"
    database.execute(_MOVED.format(wanted=wanted, follows_destination=follows))


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


def folder_links(baseline: Path | None) -> list[Link]:
    """The folders of the baseline."""
    if baseline is None:
        return []
    names = ["source_id", "source_path", "destination_id", "destination_path", "destination_name", "missing_at_source",
             "missing_at_destination", "entry_kind"]  # fmt: skip
    known = pq.read_schema(baseline).names
    if "entry_kind" not in known:
        return []
    table = pq.read_table(baseline, columns=names, filters=pc.field("entry_kind") == EntryKind.FOLDER.value)
    columns = [values(table.column(name)) for name in names[:-1]]
    return [_link(*row) for row in zip(*columns, strict=True)]


def _link(
    source_id: str | None,
    source_path: list[str],
    destination_id: str | None,
    destination_path: list[str],
    destination_name: str | None,
    *missing: str | None,
) -> Link:
    path = read_path(destination_path)
    return Link(
        None if source_id is None else from_stored(source_id),
        read_path(source_path),
        None if destination_id is None else from_stored(destination_id),
        path,
        path[-1] if destination_name is None else from_stored(destination_name),
        *missing,
    )


def files_named_like_folders(database: duckdb.DuckDBPyConnection, side: Side) -> dict[str | None, set[str]]:
    """Names of files on one side that folders of the other have, too (whatever the case), by the id of the folder they
    are in (None = the root)."""
    here, there = ("source_rows", "destination_rows") if side is Side.SOURCE else ("destination_rows", "source_rows")
    found: dict[str | None, set[str]] = {}
    for parent_id, name in database.execute(_FILES_LIKE_FOLDERS.format(here=here, there=there)).fetchall():
        found.setdefault(None if parent_id is None else from_stored(parent_id), set()).add(from_stored(name))
    return found


def root_id(database: duckdb.DuckDBPyConnection, rows: str) -> str | None:
    """The id of the folder that was listed, as its entries name it; None when it is empty."""
    found = database.execute(TOP_PARENT.format(rows=rows)).fetchall()
    return found[0][0] if found else None


def known_entries(database: duckdb.DuckDBPyConnection) -> int:
    """How many files and folders the baseline holds."""
    return _one(database, KNOWN)


def _before_folders(folders: Folders, links: Sequence[Link]) -> dict[tuple[str, ...], int]:
    """Which folder of the tree was at which destination path after the last run."""
    by_id = {folder.id: folder.ordinal for folder in folders.all if folder.id is not None}
    before: dict[tuple[str, ...], int] = {(): 0}
    for link in links:
        ordinal = by_id.get(link.source_id or "")
        if ordinal is None and link.destination_id is not None:
            ordinal = folders.by_there_id.get(link.destination_id)
        if ordinal is not None:
            before[stored_path(link.destination_path)] = ordinal
    for folder in folders.all:
        if not folder.deleted and not folder.problem:
            before.setdefault(stored_path(folder.destination_path), folder.ordinal)
    return before


def _one(database: duckdb.DuckDBPyConnection, query: str) -> int:
    found = database.execute(query).fetchall()
    return int(found[0][0]) if found else 0


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
