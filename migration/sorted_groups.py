"""A query's answer, sorted by an ordinal, read group by group without holding more than a group and a batch."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np

from migration.inventory_format import values
from migration.run_queries import record_batches

ROWS_AT_ONCE = 20_000

Columns = list[list[Any]]
"""The values of one group, column by column, the ordinal left out."""


class SortedGroups:
    """The groups of a query whose first column is the ordinal (not null) it is sorted by. Each may be read once."""

    def __init__(self, database: duckdb.DuckDBPyConnection, query: str) -> None:
        self._groups = _groups(database.cursor(), query)
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


def _groups(database: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple[int, Columns]]:
    ordinal, pieces = -1, list[Columns]()
    for batch in record_batches(database, query, ROWS_AT_ONCE):
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
