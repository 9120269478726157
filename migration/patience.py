"""The one layer of retries of a copy: how often it goes on after passing faults, and how long it waits before."""

import random
from typing import Self

from migration.clock import Clock
from migration.errors import RetryableError

FAILURES_MAX = 5
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 20.0
LONGEST_ASKED_SECONDS = 120.0
"""A system that asks for a longer wait is not waited for in this run: the slot is given to another file."""


class Patience:
    """Counts the passing faults of one copy, wherever they happen: reading may go on inside a file, writing starts
    again, and both spend from the same count, so that retries never multiply.

    Faults in a row count; `progressed` begins a new row. Waits grow exponentially with full jitter, or are what the
    system asked for.
    """

    def __init__(self, clock: Clock, chance: random.Random, parent: Self | None = None) -> None:
        self._clock = clock
        self._chance = chance
        self._parent = parent
        self._failures = 0
        self.gave_up = False

    def fork(self) -> "Patience":
        """Own count for one of several connections that read one file; giving up there is giving up here."""
        return Patience(self._clock, self._chance, self)

    def progressed(self) -> None:
        """Something substantial was achieved since the last fault."""
        self._failures = 0

    async def wait_after(self, error: RetryableError) -> None:
        """Wait before the next try. Raises `error` when there is to be none."""
        self._failures += 1
        asked = error.retry_after_seconds
        if self.gave_up or self._failures >= FAILURES_MAX or (asked is not None and asked > LONGEST_ASKED_SECONDS):
            self._give_up()
            raise error
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 4.0 ** (self._failures - 1))
        await self._clock.sleep(asked if asked is not None else self._chance.uniform(longest / 2, longest))

    def _give_up(self) -> None:
        self.gave_up = True
        if self._parent is not None:
            self._parent._give_up()
