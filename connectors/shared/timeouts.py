"""How long requests wait."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for what."""

    connect_seconds: float = 15.0
    read_seconds: float = 60.0
    """Between two arrivals of bytes, not for a whole body."""
    pool_seconds: float = 60.0
    """Until a connection is there, the wait for a free one included."""
