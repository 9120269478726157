"""The simulated company's state in SQLite: survives restarts, holds a million documents."""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE_NAME = "procore.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, login TEXT, name TEXT, company_name TEXT);
CREATE TABLE IF NOT EXISTS clients (client_id TEXT PRIMARY KEY, secret TEXT NOT NULL, user_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS projects (
    id INTEGER PRIMARY KEY, company_id INTEGER, name TEXT, active INTEGER, documents_on INTEGER, root_id INTEGER,
    bin_id INTEGER, created_at TEXT, updated_at TEXT, project_number TEXT);
CREATE TABLE IF NOT EXISTS permissions (
    user_id INTEGER, project_id INTEGER, level INTEGER, private_access INTEGER, PRIMARY KEY (user_id, project_id));
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, kind TEXT NOT NULL, parent_id INTEGER, name TEXT NOT NULL,
    folded TEXT NOT NULL, private INTEGER NOT NULL DEFAULT 0, tracked INTEGER NOT NULL DEFAULT 0,
    read_only INTEGER NOT NULL DEFAULT 0, recycle_bin INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL, created_by INTEGER NOT NULL, updated_at TEXT NOT NULL, checked_out_by INTEGER,
    checked_out_until TEXT, description TEXT, version_id INTEGER);
CREATE TABLE IF NOT EXISTS versions (
    id INTEGER PRIMARY KEY, file_id INTEGER NOT NULL, number INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    created_at TEXT NOT NULL, created_by INTEGER NOT NULL, notes TEXT, body_key TEXT NOT NULL, filename TEXT NOT NULL,
    sha256 TEXT);
CREATE TABLE IF NOT EXISTS tokens (
    token TEXT PRIMARY KEY, kind TEXT, client_id TEXT, user_id INTEGER, created_at REAL, expires_at REAL,
    pair TEXT);
CREATE TABLE IF NOT EXISTS codes (
    code TEXT PRIMARY KEY, client_id TEXT, redirect_uri TEXT, user_id INTEGER, expires_at REAL);
CREATE TABLE IF NOT EXISTS uploads (
    uuid TEXT PRIMARY KEY, user_id INTEGER, name TEXT, content_type TEXT, segments TEXT, etags TEXT, status TEXT,
    fields TEXT, created_at REAL, size_bytes INTEGER);
CREATE TABLE IF NOT EXISTS custom_tags (id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS document_tags (document_id INTEGER, tag_id INTEGER, PRIMARY KEY (document_id, tag_id));
CREATE TABLE IF NOT EXISTS custom_fields (
    document_id INTEGER, field_id INTEGER, value TEXT NOT NULL, PRIMARY KEY (document_id, field_id));
"""
_INDEXES = """
CREATE INDEX IF NOT EXISTS documents_by_parent ON documents (parent_id, folded);
CREATE INDEX IF NOT EXISTS documents_by_created ON documents (project_id, kind, created_at, id);
CREATE INDEX IF NOT EXISTS documents_by_updated ON documents (project_id, kind, updated_at, id);
CREATE INDEX IF NOT EXISTS versions_by_file ON versions (file_id, number);
"""

DOCUMENT_COLUMNS = (
    "id", "project_id", "kind", "parent_id", "name", "folded", "private", "tracked", "read_only", "recycle_bin",
    "deleted", "created_at", "created_by", "updated_at", "checked_out_by", "checked_out_until", "description",
    "version_id",
)  # fmt: skip
VERSION_COLUMNS = (
    "id", "file_id", "number", "size_bytes", "created_at", "created_by", "notes", "body_key", "filename",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking: a user and what they may do in one project. Levels: 1 None, 2 Read Only, 3 Standard, 4 Admin."""

    user_id: int
    level: int
    private_access: bool


class Store:
    """The database. One connection, used by one thread at a time.

    A store opened `to_fill` under another name is unsafe against crashes and has no indexes until `finish_filling`,
    which puts it in its place: a world is there completely or not at all.
    """

    def __init__(self, folder: Path, *, to_fill: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.uploads_folder = folder / "uploads"
        self.uploads_folder.mkdir(exist_ok=True)
        self._file = folder / (FILE_NAME + (".filling" if to_fill else ""))
        if to_fill:
            self._file.unlink(missing_ok=True)
        self._database = sqlite3.connect(self._file, check_same_thread=False, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.execute(f"PRAGMA journal_mode={'OFF' if to_fill else 'WAL'}")
        self._database.execute(f"PRAGMA synchronous={'OFF' if to_fill else 'NORMAL'}")
        self._database.execute("PRAGMA cache_size=-65536")
        self._database.executescript(_TABLES if to_fill else _TABLES + _INDEXES)
        self.link_secret = self._link_secret()
        """What download links, signed addresses and upload policies are signed with."""

    def finish_filling(self) -> None:
        """Make the indexes and put the filled database in its place; it is closed."""
        self._database.executescript(_INDEXES)
        self._database.execute("ANALYZE")
        self.close()
        self._file.replace(self.folder / FILE_NAME)

    def _link_secret(self) -> bytes:
        known = self.meta("link_secret")
        if known is None:
            known = secrets.token_hex(32)
            self.set_meta("link_secret", known)
        return bytes.fromhex(known)

    def close(self) -> None:
        """Close the database; the state stays."""
        self._database.close()

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first row or None."""
        row: sqlite3.Row | None = self._database.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Every row."""
        return self._database.execute(sql, values).fetchall()

    def stream(self, sql: str, *values: Any) -> Iterator[sqlite3.Row]:
        """Rows as they come, from a cursor of its own."""
        yield from self._database.execute(sql, values)

    def execute(self, sql: str, *values: Any) -> int:
        """Run one statement; the last row id."""
        return self._database.execute(sql, values).lastrowid or 0

    def insert(self, table: str, **values: Any) -> int:
        """Insert one row; its row id."""
        columns = ", ".join(values)
        marks = ", ".join("?" * len(values))
        return self.execute(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})", *values.values())  # noqa: S608

    def insert_many(self, table: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert rows in one transaction."""
        marks = ", ".join("?" * len(columns))
        self._database.execute("BEGIN")
        self._database.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608
        self._database.execute("COMMIT")

    def execute_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run one statement for each row of values, in one transaction."""
        self._database.execute("BEGIN")
        self._database.executemany(sql, rows)
        self._database.execute("COMMIT")

    def changes(self) -> int:
        """A number that grows with every row written: what was read before is still true while it stays the same."""
        return self._database.total_changes

    def meta(self, key: str, default: Any = None) -> Any:
        """A remembered JSON value."""
        row = self.one("SELECT value FROM meta WHERE key = ?", key)
        return default if row is None else json.loads(row["value"])

    def set_meta(self, key: str, value: Any) -> None:
        """Remember a JSON value."""
        self.insert("meta", key=key, value=json.dumps(value))

    def next_id(self, table: str) -> int:
        """An id that is not used yet, above 2^31."""
        row = self.one(f"SELECT max(id) AS id FROM {table}")  # noqa: S608
        return max((row["id"] or 0) if row else 0, 2**31) + 1

    def descendants(self, folder_id: int) -> list[int]:
        """The ids of everything below a folder, and the folder's own."""
        rows = self.all(
            "WITH RECURSIVE below(id) AS (SELECT ? UNION ALL SELECT d.id FROM documents d JOIN below b "
            "ON d.parent_id = b.id) SELECT id FROM below",
            folder_id,
        )
        return [row["id"] for row in rows]
