"""The Parquet columns of an inventory, and the way between them and entries.

Every column is a plain type, so that `pandas.read_parquet` on the folder just works. Times are kept to the microsecond
(finer ones are cut). Names, paths and ids that are not Unicode text are stored as migration/stored_text.py says;
`checksums` and `extra` are JSON objects of strings.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa

from migration.entries import Entry, EntryKind, ListingProblem, PathParts, Ref
from migration.stored_text import from_stored, to_stored

TIME = pa.timestamp("us", tz="UTC")
PATH = pa.list_(pa.string())

SCHEMA = pa.schema(
    [
        pa.field("system", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("version_id", pa.string()),
        pa.field("parent_id", pa.string()),
        pa.field("name", pa.string(), nullable=False),
        pa.field("path", PATH, nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("created_at", TIME),
        pa.field("modified_at", TIME),
        pa.field("created_by", pa.string()),
        pa.field("version_number", pa.int64()),
        pa.field("version_count", pa.int64()),
        pa.field("checksums", pa.string(), nullable=False),
        pa.field("locked", pa.bool_()),
        pa.field("private", pa.bool_()),
        pa.field("deleted", pa.bool_(), nullable=False),
        pa.field("extra", pa.string(), nullable=False),
    ]
)
"""The columns of an inventory's part files."""

PROBLEM_SCHEMA = pa.schema(
    [
        pa.field("path", PATH, nullable=False),
        pa.field("code", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("hides_entries", pa.bool_(), nullable=False),
    ]
)
"""The columns of an inventory's problem files."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, rounded down."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(microseconds_since_epoch: int) -> datetime:
    """The inverse of `microseconds`."""
    return _EPOCH + timedelta(microseconds=microseconds_since_epoch)


def to_table(entries: Sequence[Entry]) -> pa.Table:
    """The entries as rows of SCHEMA, in their order."""
    columns: dict[str, list[Any]] = {
        "system": [entry.ref.system for entry in entries],
        "id": [to_stored(entry.ref.id) for entry in entries],
        "version_id": [_stored(entry.ref.version_id) for entry in entries],
        "parent_id": [to_stored(entry.parent.id) if entry.parent else None for entry in entries],
        "name": [to_stored(entry.name) for entry in entries],
        "path": [stored_path(entry.path) for entry in entries],
        "kind": [entry.kind.value for entry in entries],
        "size_bytes": [entry.size_bytes for entry in entries],
        "created_at": [_stored_time(entry.created_at) for entry in entries],
        "modified_at": [_stored_time(entry.modified_at) for entry in entries],
        "created_by": [_stored(entry.created_by) for entry in entries],
        "version_number": [entry.version_number for entry in entries],
        "version_count": [entry.version_count for entry in entries],
        "checksums": [_stored_mapping(entry.checksums) for entry in entries],
        "locked": [entry.locked for entry in entries],
        "private": [entry.private for entry in entries],
        "deleted": [entry.deleted for entry in entries],
        "extra": [_stored_mapping(entry.extra) for entry in entries],
    }
    arrays = [_array(columns[field.name], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def to_entries(rows: pa.RecordBatch | pa.Table) -> Iterator[Entry]:
    """The entries of rows that have (at least) the columns of SCHEMA, in their order."""
    columns = [values(rows.column(field.name)) for field in SCHEMA]
    for row in zip(*columns, strict=True):
        yield _entry(*row)


def to_problem_table(problems: Iterable[ListingProblem]) -> pa.Table:
    """The problems as rows of PROBLEM_SCHEMA."""
    rows = [
        {
            "path": stored_path(problem.path),
            "code": problem.code,
            "message": to_stored(problem.message),
            "hides_entries": problem.hides_entries,
        }
        for problem in problems
    ]
    return pa.Table.from_pylist(rows, schema=PROBLEM_SCHEMA)


def to_problems(table: pa.Table) -> Iterator[ListingProblem]:
    """The inverse of `to_problem_table`."""
    for row in table.to_pylist():
        path = tuple(from_stored(part) for part in row["path"])
        yield ListingProblem(path, row["code"], from_stored(row["message"]), row["hides_entries"])


def values(column: "pa.ChunkedArray[Any] | pa.Array[Any]") -> list[Any]:
    """The column as Python values, None where null: times as microseconds, lists as lists of str.

    Many times faster than `to_pylist`, which makes a scalar object of every value.
    """
    array: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_list(array.type):
        return _lists(array)
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    if array.null_count == 0 or pa.types.is_string(array.type) or pa.types.is_boolean(array.type):
        plain: list[Any] = array.to_numpy(zero_copy_only=False).tolist()
        return plain
    filled = array.fill_null(0).to_numpy(zero_copy_only=False).tolist()
    known = array.is_valid().to_numpy(zero_copy_only=False).tolist()
    return [value if is_known else None for value, is_known in zip(filled, known, strict=True)]


def stored_path(path: PathParts) -> PathParts:
    """The path as it is written to Parquet."""
    return path if all(map(str.isascii, path)) else tuple(map(to_stored, path))


def read_path(parts: Iterable[str]) -> PathParts:
    """The inverse of `stored_path`."""
    return tuple(map(from_stored, parts))


def _lists(array: Any) -> list[list[str]]:
    offsets = array.offsets.to_numpy().tolist()
    first = offsets[0]
    flat = values(array.flatten())
    return [flat[start - first : end - first] for start, end in pairwise(offsets)]


def _array(column: list[Any], kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return pa.array(column, type=pa.int64()).cast(kind)
    return pa.array(column, type=kind)


def _stored(text: str | None) -> str | None:
    return None if text is None else to_stored(text)


def _stored_time(value: datetime | None) -> int | None:
    return None if value is None else microseconds(value)


def _stored_mapping(mapping: Mapping[str, str]) -> str:
    if not mapping:
        return "{}"
    return json.dumps({to_stored(key): to_stored(value) for key, value in mapping.items()}, ensure_ascii=False)


def _read_mapping(text: str) -> dict[str, str]:
    if text == "{}":
        return {}
    return {from_stored(key): from_stored(value) for key, value in json.loads(text).items()}


def _read(text: str | None) -> str | None:
    return None if text is None else from_stored(text)


def _entry(
    system: str,
    entry_id: str,
    version_id: str | None,
    parent_id: str | None,
    name: str,
    path: list[str],
    kind: str,
    size_bytes: int | None,
    created_at: int | None,
    modified_at: int | None,
    created_by: str | None,
    version_number: int | None,
    version_count: int | None,
    checksums: str,
    locked: bool | None,
    private: bool | None,
    deleted: bool,
    extra: str,
) -> Entry:
    return Entry(
        ref=Ref(system, from_stored(entry_id), _read(version_id)),
        parent=None if parent_id is None else Ref(system, from_stored(parent_id)),
        name=from_stored(name),
        path=read_path(path),
        kind=EntryKind(kind),
        size_bytes=size_bytes,
        created_at=None if created_at is None else moment(created_at),
        modified_at=None if modified_at is None else moment(modified_at),
        created_by=_read(created_by),
        version_number=version_number,
        version_count=version_count,
        checksums=_read_mapping(checksums),
        locked=locked,
        private=private,
        deleted=deleted,
        extra=_read_mapping(extra),
    )
