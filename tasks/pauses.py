"""A pause that every process keeps: no call of a client before a moment that one of them noted on the server."""

from datetime import datetime, timedelta

from migration.clock import Clock
from tasks.limits import Limits

_READ_EVERY_SECONDS = 1.0


class Pause:
    """The pause of one client. What others noted is read at most once a second; machines' clocks need not agree."""

    def __init__(self, limits: Limits, note: str, clock: Clock, *, seconds_max: float) -> None:
        self._limits = limits
        self._note = note
        self._clock = clock
        self._seconds_max = seconds_max
        self._read_at = float("-inf")
        self._ends = float("-inf")

    async def begin(self, seconds: float) -> None:
        """No call from any process for this long."""
        self._ends = max(self._ends, self._clock.monotonic() + seconds)
        until = self._limits.server_now() + timedelta(seconds=seconds)
        await self._limits.write_note(self._note, {"until": until.isoformat()})

    async def seconds_left(self) -> float:
        """How long it lasts; zero or less when there is none. Of a note not made here at most `seconds_max` counts."""
        now = self._clock.monotonic()
        if now - self._read_at > _READ_EVERY_SECONDS:
            self._read_at = now
            until = (await self._limits.read_note(self._note)).get("until")
            if isinstance(until, str):
                left = (datetime.fromisoformat(until) - self._limits.server_now()).total_seconds()
                self._ends = max(self._ends, now + min(left, self._seconds_max))
        return self._ends - self._clock.monotonic()
