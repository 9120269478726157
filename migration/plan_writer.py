"""Writing plan.parquet: rows in, one row group per 50,000 of them out, totals on the way."""

import os
from collections import Counter
from collections.abc import Sequence
from itertools import compress
from operator import is_
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from migration.actions import ActionKind, Side
from migration.entries import EntryKind, PathParts
from migration.plan_format import PLAN_SCHEMA

ROWS_IN_GROUP = 50_000
_REPEATED_COLUMNS = [
    "kind",
    "entry_kind",
    "source_system",
    "source_path.list.element",
    "destination_path.list.element",
    "reason",
    "detail",
    "expected_kind",
    "side",
    "from_path.list.element",
    "source_listed_path.list.element",
]


class PlanColumns(NamedTuple):
    """Some rows of plan.parquet, column by column, without their seq; text as stored, times in microseconds since 1970.

    A destination path that is the source path is the same object, which makes writing faster.
    """

    action_id: Sequence[str]
    kind: Sequence[ActionKind]
    entry_kind: Sequence[EntryKind]
    source_system: Sequence[str]
    source_id: Sequence[str]
    source_version_id: Sequence[str | None]
    source_path: Sequence[PathParts]
    destination_path: Sequence[PathParts]
    size_bytes: Sequence[int | None]
    modified_at: Sequence[int | None]
    reason: Sequence[str | None]
    detail: Sequence[str | None]
    renamed: Sequence[bool]
    expected_id: Sequence[str | None]
    expected_version_id: Sequence[str | None]
    expected_kind: Sequence[EntryKind | None]
    expected_size_bytes: Sequence[int | None]
    expected_modified_at: Sequence[int | None]
    side: Sequence[Side]
    accounts: Sequence[bool]
    from_path: Sequence[PathParts | None]
    source_listed_path: Sequence[PathParts | None]
    version_number: Sequence[int | None]


class PlanWriter:
    """A context manager; the file appears under its name, durable, when it is left without an error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._waiting: list[list[Any]] = [[] for _ in PlanColumns._fields]
        self._seq = 0
        self._file: IO[bytes] | None = None
        self._writer: pq.ParquetWriter | None = None
        self.counts: Counter[tuple[ActionKind, EntryKind, str | None, Side, bool]] = Counter()
        """Rows by kind, kind of entry, reason, side and whether they account for the source's entry."""
        self.bytes_to_copy = 0
        self.files_of_unknown_size = 0
        """Among the files to copy."""
        self.renamed = 0
        """Files to copy whose destination path is not made of the source's names."""

    def __enter__(self) -> Self:
        self._file = open(self._staged, "wb")
        self._writer = pq.ParquetWriter(
            self._file,
            PLAN_SCHEMA,
            compression="zstd",
            compression_level=1,
            use_dictionary=_REPEATED_COLUMNS,  # type: ignore[arg-type]  # the stubs know only bool
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file and self._writer
        done = False
        try:
            with self._file, self._writer:
                if kind is None:
                    self._write_group(self._waiting)
                self._writer.close()
                self._file.flush()
                os.fsync(self._file.fileno())
            done = kind is None
        finally:
            if done:
                os.replace(self._staged, self._path)
            else:
                self._staged.unlink()

    def add(self, rows: PlanColumns) -> None:
        """Take the next rows."""
        for waiting, new in zip(self._waiting, rows, strict=True):
            waiting.extend(new)
        while len(self._waiting[0]) >= ROWS_IN_GROUP:
            self._write_group([column[:ROWS_IN_GROUP] for column in self._waiting])
            self._waiting = [column[ROWS_IN_GROUP:] for column in self._waiting]

    def _write_group(self, group: list[list[Any]]) -> None:
        columns = PlanColumns._make(group)
        count = len(columns.kind)
        if count == 0:
            return
        self._total(columns)
        arrays: list[pa.Array[Any]] = [pa.array(range(self._seq, self._seq + count), pa.int64())]
        self._seq += count
        for name, column in zip(PlanColumns._fields, group, strict=True):
            same_as_source = name == "destination_path" and all(map(is_, column, columns.source_path))
            arrays.append(arrays[-1] if same_as_source else _array(column, PLAN_SCHEMA.field(name).type))
        assert self._writer
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=PLAN_SCHEMA), row_group_size=ROWS_IN_GROUP)

    def _total(self, columns: PlanColumns) -> None:
        self.counts.update(
            zip(columns.kind, columns.entry_kind, columns.reason, columns.side, columns.accounts, strict=True)
        )
        is_copy = [kind in (ActionKind.COPY, ActionKind.ADD_VERSION) for kind in columns.kind]
        sizes = [
            size if side is Side.DESTINATION else size_there
            for size, size_there, side in compress(
                zip(columns.size_bytes, columns.expected_size_bytes, columns.side, strict=True), is_copy
            )
        ]
        unknown = sizes.count(None)
        self.bytes_to_copy += sum(size for size in sizes if size is not None)
        self.files_of_unknown_size += unknown
        self.renamed += sum(compress(columns.renamed, is_copy))


def _array(column: list[Any], kind: pa.DataType) -> "pa.Array[Any]":
    if pa.types.is_timestamp(kind):
        return pa.array(column, type=pa.int64()).cast(kind)
    return pa.array(column, type=kind)
