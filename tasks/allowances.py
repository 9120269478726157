"""The arithmetic of the call budget: which limits keep which promise, how many slots to take, what a header says.

Decides only; no I/O, no clock.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from migration.budget import RateLimitReading

BLOCK_SLOTS_MAX = 25
_OVERDUE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The spans of the two allowances, and how long a granted slot may be used.

    A slot granted now and used `hold_seconds` later arrives at the system up to `travel_seconds` after that. It must
    not return before that call is a whole window old, so its lease is longer than the window by both.
    """

    hourly_seconds: float = 3600.0
    hold_seconds: float = 20.0
    travel_seconds: float = 10.0
    spike_seconds: float = 10.0
    spike_hold_seconds: float = 1.0
    spike_travel_seconds: float = 1.0

    @property
    def lease_seconds(self) -> float:
        """How long an hourly slot is taken; Prefect allows 60 seconds to a day."""
        return self.hourly_seconds + self.hold_seconds + self.travel_seconds

    @property
    def spike_span_seconds(self) -> float:
        """Grants within this span may all arrive within one spike window."""
        return self.spike_seconds + self.spike_hold_seconds + self.spike_travel_seconds


@dataclass(frozen=True, slots=True)
class Bucket:
    """A limit whose slots flow back: at most `burst + span × per_second` grants in any span."""

    burst: int
    per_second: float


def spike_bucket(calls: int, windows: Windows) -> Bucket:
    """The bucket that lets through at most `calls` in any spike window."""
    return _bucket(calls, max(1, calls // 4), windows.spike_span_seconds)


def hourly_bucket(calls: int, windows: Windows) -> Bucket:
    """The bucket that lets through at most `calls` in any hourly window, for servers whose leases cannot be trusted.

    Unlike leases it loses what is not used at once.
    """
    return _bucket(calls, max(1, min(100, calls // 20)), windows.lease_seconds)


def _bucket(calls: int, burst: int, span_seconds: float) -> Bucket:
    # Prefect returns whole slots only, so with one call in all the next follows a whole span later.
    return Bucket(burst=burst, per_second=max(1, calls - burst) / span_seconds)


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time by both clocks: the monotonic one stands still while a laptop sleeps, the wall clock may jump."""

    monotonic: float
    wall: datetime

    def seconds_since(self, earlier: "Moment") -> float:
        """The longer of what the two clocks say."""
        return max(self.monotonic - earlier.monotonic, (self.wall - earlier.wall).total_seconds())


class Grants:
    """Slots granted and not spent yet. Each may be spent for `hold_seconds` after it was asked for, then it is lost."""

    def __init__(self, hold_seconds: float) -> None:
        self._hold_seconds = hold_seconds
        self._blocks: deque[tuple[Moment, int]] = deque()

    def add(self, asked_at: Moment, slots: int) -> None:
        """Slots granted by a request sent at `asked_at`."""
        self._blocks.append((asked_at, slots))

    def available(self, now: Moment) -> int:
        """How many can be spent now."""
        while self._blocks and now.seconds_since(self._blocks[0][0]) > self._hold_seconds:
            self._blocks.popleft()
        return sum(slots for _, slots in self._blocks)

    def spend(self, slots: int) -> None:
        """Use the oldest ones; there must be as many."""
        while slots:
            asked_at, held = self._blocks.popleft()
            if held > slots:
                self._blocks.appendleft((asked_at, held - slots))
            slots -= min(slots, held)


class BlockSize:
    """How many slots to take at once: more while they are used up quickly, one when they are not.

    Unused slots of a block are lost for a window, so an idle or slow process must not hold many.
    """

    def __init__(self, limit: int, fast_seconds: float = 1.0) -> None:
        self._largest = max(1, min(BLOCK_SLOTS_MAX, limit // 40))
        self._fast_seconds = fast_seconds
        self.slots = 1

    def took(self, seconds_since_last: float) -> None:
        """A block was needed, this long after the one before."""
        if seconds_since_last < self._fast_seconds:
            self.slots = min(self.slots * 2, self._largest)
        elif seconds_since_last > 10 * self._fast_seconds:
            self.slots = 1
        elif seconds_since_last > 3 * self._fast_seconds:
            self.slots = max(1, self.slots // 2)


def seconds_until_returned(ends: Iterable[tuple[float, int]], needed: int) -> float | None:
    """When `needed` slots are back, from (seconds until its end, slots) of each lease, the earliest first.

    None if so many are not leased. A slot that is long overdue will not come back by itself and does not count.
    """
    returned = 0
    for seconds, slots in ends:
        returned += slots if seconds > -_OVERDUE_SECONDS else 0
        if returned >= needed:
            return max(0.0, seconds)
    return None


class Window(StrEnum):
    """Which allowance a rate-limit header speaks of."""

    HOURLY = "hourly"
    SPIKE = "spike"


def seconds_to_reset(reading: RateLimitReading, now: datetime) -> float:
    """How long until the window of the reading begins anew, by the system's own clock where it told it."""
    return max(0.0, (reading.reset_at - (reading.server_now or now)).total_seconds())


def window_of(reading: RateLimitReading, *, hourly: int, spike: int, spike_seconds: float) -> Window:
    """Which allowance a reading means; Procore does not say.

    A limit that is one of the known allowances tells; else a reset farther away than a spike window, by the system's
    own clock, is the hourly one; else the allowance that is nearer to the stated limit.
    """
    if (reading.limit == hourly) != (reading.limit == spike):
        return Window.HOURLY if reading.limit == hourly else Window.SPIKE
    if reading.server_now is not None and seconds_to_reset(reading, reading.server_now) > 1.5 * spike_seconds:
        return Window.HOURLY
    if reading.limit <= 0:
        return Window.SPIKE
    far_from_hourly = abs(math.log(reading.limit / max(1, hourly)))
    far_from_spike = abs(math.log(reading.limit / max(1, spike)))
    return Window.HOURLY if far_from_hourly < far_from_spike else Window.SPIKE
