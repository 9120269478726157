"""Calling more slowly before Microsoft refuses calls.

Once an app has used four fifths of what it may in a minute, answers say how much is left of the present window
(`RateLimit-Limit`, `-Remaining`, `-Reset`); apps are asked to use that for slowing down:
https://learn.microsoft.com/en-us/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
"""

from collections.abc import Mapping

from migration.clock import Clock

SLOW_BELOW = 0.2
"""From this share of the allowance on calls are spread over the rest of the window."""
UNITS_PER_CALL = 2
"""What a call costs of the allowance: a listing and everything that writes 2 units, a single look or download 1."""


class Pace:
    """Spaces the calls of one connection."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gap_seconds = 0.0
        self._until = 0.0
        self._next_at = 0.0

    def observe(self, headers: Mapping[str, str]) -> None:
        """Take in what an answer says."""
        if "ratelimit-remaining" not in headers:
            return
        limit, remaining, reset = (_number(headers, name) for name in ("limit", "remaining", "reset"))
        if limit is None or remaining is None or reset is None or remaining >= limit * SLOW_BELOW:
            return
        self._gap_seconds = reset / max(remaining / UNITS_PER_CALL, 1.0)
        self._until = self._clock.monotonic() + reset

    async def wait(self) -> None:
        """Return when it is this call's turn."""
        now = self._clock.monotonic()
        if now >= self._until:
            return
        turn = max(now, self._next_at)
        self._next_at = turn + self._gap_seconds
        await self._clock.sleep(min(turn, self._until) - now)


def _number(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(f"ratelimit-{name}", "").strip()
    return float(text) if text.isdigit() else None
