"""A connection that is never written to, whatever its credentials would allow."""

from dataclasses import replace
from typing import Any

from connectors.wrappers.passing import PassingSource, wrapped
from migration.capabilities import Capabilities, Operation
from migration.contract import Destination, Source
from migration.entries import Entry, PathParts

_READING = frozenset({Operation.RANGE_READS, Operation.CONTENT_HASH, Operation.CHANGES, Operation.VERSIONS})


class _ReadOnly(PassingSource):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        own: Capabilities = inner.capabilities
        self._capabilities = replace(own, operations=own.operations & _READING)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities


class LookedAt(_ReadOnly):
    """A destination that is looked at only."""

    async def stat(self, path: PathParts) -> Entry | None:
        """The entry at `path` now; None if nothing is there."""
        found: Entry | None = await self._inner.stat(path)
        return found


def looked_at(inner: Destination) -> LookedAt:
    """The destination as something that can be listed and read: it has no operation that changes anything."""
    return wrapped(LookedAt, inner)


def read_only(inner: Source) -> Source:
    """The connector as a source only: it has no operation that changes anything."""
    return wrapped(_ReadOnly, inner)
