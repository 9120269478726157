"""Procore's two rate windows, as the server enforces them."""

import math
import sqlite3
from bisect import bisect_right, insort
from dataclasses import dataclass
from pathlib import Path

from simulator.clock import SimulatedClock
from simulator.settings import Settings

OVER_LIMIT_TEXT = "You have surpassed the max number of requests for an hour. Please wait until your limit resets."
"""Procore says this for spikes, too (plan_your_app/rate_limiting.md)."""
_FORGET_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class WindowState:
    """One window as the headers show it."""

    limit: int
    remaining: int
    reset_at: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The three headers of every answer."""
        return [
            (b"x-rate-limit-limit", str(self.limit).encode()),
            (b"x-rate-limit-remaining", str(self.remaining).encode()),
            (b"x-rate-limit-reset", str(self.reset_at).encode()),
        ]


class RateLimits:
    """Counts calls per client (and company, by switch).

    With a file, spent calls survive a restart, also after a SIGKILL. The file is a database of its own, so that
    counting a call does not look like a change of the simulated company (`Store.changes`).
    """

    def __init__(self, clock: SimulatedClock, file: Path | None = None) -> None:
        self._clock = clock
        self._calls: dict[str, list[float]] = {}
        self._database = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute("CREATE TABLE IF NOT EXISTS calls (at REAL NOT NULL, client TEXT NOT NULL)")
        self._written = 0
        for at, key in self._database.execute("SELECT at, client FROM calls ORDER BY at"):
            self._calls.setdefault(key, []).append(at)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def count(self, key: str, settings: Settings) -> tuple[bool, WindowState]:
        """Count one call; whether it is allowed, and the window with the smaller share left.

        A refused call does not use up the window, so that a client that waits gets through.
        """
        now = self._clock.now()
        tightest = self._tightest(key, now, settings)
        if tightest.remaining <= 0:
            return False, tightest
        insort(self._calls[key], now)
        self._write(now, key, settings)
        return True, self._tightest(key, now, settings)

    def _tightest(self, key: str, now: float, settings: Settings) -> WindowState:
        calls = self._calls.setdefault(key, [])
        longest = 2 * max(settings.hourly_window_seconds, settings.spike_window_seconds)
        del calls[: bisect_right(calls, now - longest)]
        fixed = settings.fixed_windows
        windows = [
            self._window(calls, now, settings.hourly_calls, settings.hourly_window_seconds, fixed),
            self._window(calls, now, settings.spike_calls, settings.spike_window_seconds, fixed),
        ]
        return min(windows, key=lambda window: window.remaining / max(1, window.limit))

    @staticmethod
    def _window(calls: list[float], now: float, limit: int, seconds: float, fixed: bool) -> WindowState:
        since = math.floor(now / seconds) * seconds if fixed else now - seconds
        begin = bisect_right(calls, since)
        used = len(calls) - begin
        reset_at = since + seconds if fixed else (calls[begin] if used else now) + seconds
        return WindowState(limit, max(0, limit - used), math.ceil(reset_at))

    def _write(self, now: float, key: str, settings: Settings) -> None:
        self._database.execute("INSERT INTO calls VALUES (?, ?)", (now, key))
        self._written += 1
        if self._written % _FORGET_EVERY == 0:
            longest = 2 * max(settings.hourly_window_seconds, settings.spike_window_seconds)
            self._database.execute("DELETE FROM calls WHERE at < ?", (now - longest,))
