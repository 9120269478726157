"""The simulator's time, which tests can move."""

import time
from datetime import UTC, datetime


class SimulatedClock:
    """The machine's clock plus an offset."""

    def __init__(self, offset_seconds: float = 0.0) -> None:
        self._offset_seconds = offset_seconds

    def now(self) -> float:
        """Unix seconds."""
        return time.time() + self._offset_seconds

    def advance(self, seconds: float) -> None:
        """Move the time forwards, or backwards with a negative number."""
        self._offset_seconds += seconds

    def text(self) -> str:
        """Now, as Procore writes times."""
        return time_text(self.now())


def time_text(unix_seconds: float) -> str:
    """ISO 8601 in UTC with a Z."""
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
