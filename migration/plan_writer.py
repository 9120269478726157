"""Writing plan.parquet: rows in, one row group per 50,000 of them out, totals on the way."""

import os
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from migration.actions import ActionKind
from migration.entries import EntryKind, PathParts
from migration.plan_format import PLAN_SCHEMA

ROWS_IN_GROUP = 50_000


class PlanRow(NamedTuple):
    """One row of plan.parquet without its seq; text as it is stored, times in microseconds since 1970."""

    action_id: str
    kind: ActionKind
    entry_kind: EntryKind
    source_system: str
    source_id: str
    source_version_id: str | None
    source_path: PathParts
    destination_path: PathParts
    size_bytes: int | None
    modified_at: int | None
    reason: str | None
    detail: str | None
    renamed: bool
    expected_id: str | None
    expected_kind: EntryKind | None
    expected_size_bytes: int | None
    expected_modified_at: int | None


class PlanWriter:
    """A context manager; the file appears under its name, durable, when it is left without an error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._rows: list[PlanRow] = []
        self._seq = 0
        self._file: IO[bytes] | None = None
        self._writer: pq.ParquetWriter | None = None
        self.counts: Counter[tuple[ActionKind, EntryKind, str | None]] = Counter()
        """Rows by kind, kind of entry and reason."""
        self.bytes_to_copy = 0
        self.files_of_unknown_size = 0
        """Among the files to copy."""
        self.renamed = 0
        """Files to copy whose destination path is not made of the source's names."""

    def __enter__(self) -> Self:
        self._file = open(self._staged, "wb")
        self._writer = pq.ParquetWriter(self._file, PLAN_SCHEMA, compression="zstd", compression_level=1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file and self._writer
        try:
            if kind is None:
                self._write_group()
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
        if kind is None:
            os.replace(self._staged, self._path)
        else:
            self._staged.unlink()

    def add(self, row: PlanRow) -> None:
        """Take the next row."""
        self._rows.append(row)
        if len(self._rows) >= ROWS_IN_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        self._total(rows)
        columns: list[tuple[object, ...]] = list(zip(*rows, strict=True))
        fields = [PLAN_SCHEMA.field(name) for name in PlanRow._fields]
        seq = pa.array(range(self._seq, self._seq + len(rows)), pa.int64())
        arrays = [seq, *(_array(column, field.type) for column, field in zip(columns, fields, strict=True))]
        self._seq += len(rows)
        assert self._writer
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=PLAN_SCHEMA), row_group_size=ROWS_IN_GROUP)

    def _total(self, rows: list[PlanRow]) -> None:
        self.counts.update((row.kind, row.entry_kind, row.reason) for row in rows)
        copies = [row for row in rows if row.kind is ActionKind.COPY]
        self.bytes_to_copy += sum(row.size_bytes or 0 for row in copies)
        self.files_of_unknown_size += sum(row.size_bytes is None for row in copies)
        self.renamed += sum(row.renamed for row in copies)


def _array(column: tuple[object, ...], kind: pa.DataType) -> "pa.Array[pa.Scalar[pa.DataType]]":
    if pa.types.is_timestamp(kind):
        return pa.array(column, type=pa.int64()).cast(kind)
    return pa.array(column, type=kind)
