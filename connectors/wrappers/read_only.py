"""A connection that is never written to, whatever its credentials would allow."""

from dataclasses import replace
from typing import Any

from connectors.wrappers.passing import PassingSource, wrapped
from migration.capabilities import Capabilities, Operation
from migration.contract import Source

_READING = frozenset({Operation.RANGE_READS, Operation.CONTENT_HASH, Operation.CHANGES, Operation.VERSIONS})


class _ReadOnly(PassingSource):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        own: Capabilities = inner.capabilities
        self._capabilities = replace(own, operations=own.operations & _READING)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities


def read_only(inner: Source) -> Source:
    """The connector as a source only: it has no operation that changes anything."""
    return wrapped(_ReadOnly, inner)
