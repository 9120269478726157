"""A query's answer, sorted by an ordinal, read group by group without holding more than a group and a batch.

The answer goes through a Parquet file: one query at a time has DuckDB's whole memory and spills beyond it, and reading
the sorted files side by side needs next to none, whatever their size.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq

from migration.inventory_format import values

ROWS_AT_ONCE = 20_000

Columns = list[list[Any]]
"""The values of one group, column by column, the ordinal left out."""


class Answers:
    """The answers of a database, as files in `folder`, which outlives their reading."""

    def __init__(self, database: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._count = 0

    def to(self, query: str) -> "SortedGroups":
        """The groups of a query whose first column is the ordinal (not null) it is sorted by."""
        self._count += 1
        file = self._folder / f"{self._count}.parquet"
        target = str(file).replace("'", "''")
        self._database.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, ROW_GROUP_SIZE 50000)")
        return SortedGroups(file)


class SortedGroups:
    """The groups of one answer. Each may be read once."""

    def __init__(self, file: Path) -> None:
        self._groups = _groups(file)
        self._next: tuple[int, Columns] | None = next(self._groups, None)

    def __iter__(self) -> Iterator[tuple[int, Columns]]:
        """All groups that were not read yet."""
        while self._next is not None:
            group, self._next = self._next, next(self._groups, None)
            yield group

    def take(self, ordinal: int) -> Columns | None:
        """The group of this ordinal, None if there is none. Ordinals are to be asked for in ascending order."""
        while self._next is not None and self._next[0] < ordinal:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != ordinal:
            return None
        columns = self._next[1]
        self._next = next(self._groups, None)
        return columns


def _groups(file: Path) -> Iterator[tuple[int, Columns]]:
    ordinal, pieces = -1, list[Columns]()
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=ROWS_AT_ONCE):
            ordinals = batch.column(0).to_numpy()
            columns = [values(batch.column(place)) for place in range(1, batch.num_columns)]
            starts = [0, *(np.flatnonzero(np.diff(ordinals)) + 1).tolist(), len(ordinals)]
            for start, end in pairwise(starts):
                if int(ordinals[start]) != ordinal:
                    if pieces:
                        yield ordinal, _joined(pieces)
                    ordinal, pieces = int(ordinals[start]), []
                pieces.append([column[start:end] for column in columns])
    if pieces:
        yield ordinal, _joined(pieces)


def _joined(pieces: list[Columns]) -> Columns:
    if len(pieces) == 1:
        return pieces[0]
    return [[value for piece in pieces for value in piece[place]] for place in range(len(pieces[0]))]
