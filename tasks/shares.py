"""One budget of calls for all children of a job, divided so that none of them starves.

Children take turns. What is left of the hour goes to those unfinished children that have made the fewest calls in this
run, until all have made the same; what a finished one did not need so goes to the others. Whoever has made so many
stops with `ShareUsedUp` while somebody waits for a turn who has made fewer, and goes on in its next one. Otherwise it
pauses a little while others at work have made fewer, and goes on.

Within a turn the children that are at work are served in rotation, call by call.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from connectors.procore.settings import ProcoreSettings
from migration.budget import RateLimitReading
from migration.clock import Clock
from migration.errors import BudgetExhausted
from migration.jobs import OnBudgetExhausted
from tasks.budget import PrefectCallBudget

CALLS_MIN = 10
"""What a child may use in any case. A turn that continues a listing begins by reading the project's folders again; a
child that did not get beyond them may use twice as many the next time, and so on."""
_DOUBLINGS_MAX = 7
PAUSE_SECONDS = 0.5
PAUSES_MAX = 10
"""A child that has had its share pauses so often for others at work that have had less; then what is left is used."""


class ShareUsedUp(BudgetExhausted):
    """A child has used the calls of its turn; others wait for theirs."""


@dataclass(slots=True)
class _Purse:
    """The budget of one client, and what the unfinished children have used of it in this run."""

    inner: PrefectCallBudget
    used: dict[str, int] = field(default_factory=dict)


class Shares:
    """The budgets of one run of a job with children. Made and used in one event loop; its budgets close with `stack`.

    `waiting` says which children wait for a turn at this moment.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        *,
        waiting: Callable[[], Sequence[str]],
        on_budget_exhausted: OnBudgetExhausted,
        reserve_percent: int,
        clock: Clock,
    ) -> None:
        self._stack = stack
        self._waiting = waiting
        self._on_budget_exhausted = on_budget_exhausted
        self._reserve_percent = reserve_percent
        self._clock = clock
        self._opening = asyncio.Lock()
        self._purses: dict[str, _Purse] = {}
        self._used_before: dict[str, int] = {}
        self._turns: set[Turn] = set()
        """Those that go on."""

    def begin(self, used: Mapping[str, int]) -> None:
        """What the unfinished children have used in earlier starts of the run counts, so that it is made up for."""
        self._used_before = dict(used)
        for purse in self._purses.values():
            purse.used.update(used)

    def turn(self, child: str, futile_turns: int = 0) -> "Turn":
        """A child's next turn; `futile_turns` counts those in a row that did not get on with listing it."""
        calls_min = self._used_before.get(child, 0) + (CALLS_MIN << min(futile_turns, _DOUBLINGS_MAX))
        turn = Turn(self, child, calls_min)
        self._turns.add(turn)
        return turn

    def ended(self, turn: "Turn", *, finished: bool) -> None:
        """A turn has ended. What a finished child used no longer counts in what the others may use."""
        self._turns.discard(turn)
        if finished:
            for purse in self._purses.values():
                purse.used.pop(turn.child, None)
            self._used_before.pop(turn.child, None)

    @property
    def calls_taken(self) -> int:
        """Calls of all children and of the job itself so far, in this process."""
        return sum(purse.inner.calls_taken for purse in self._purses.values())

    def somebody_waits(self, purse: _Purse, calls: int) -> bool:
        """Whether a child waits for a turn that has made fewer calls."""
        return any(purse.used.get(child, 0) < calls for child in self._waiting())

    def somebody_works(self, purse: _Purse, calls: int) -> bool:
        """Whether a child is at work that has made fewer calls."""
        return any(purse.used.get(turn.child, 0) < calls for turn in self._turns)

    async def pause(self) -> None:
        """Let the others go on for a moment."""
        await self._clock.sleep(PAUSE_SECONDS)

    async def purse(self, settings: ProcoreSettings) -> _Purse:
        """The budget of a connection's client, opened once."""
        client = settings.client_name
        async with self._opening:
            if client not in self._purses:
                opening = PrefectCallBudget.opened(
                    client,
                    hourly_calls=settings.hourly_calls,
                    spike_calls=settings.spike_calls,
                    on_budget_exhausted=self._on_budget_exhausted,
                    clock=self._clock,
                    reserve_percent=self._reserve_percent,
                )
                inner = await self._stack.enter_async_context(opening)
                self._purses[client] = _Purse(inner, dict(self._used_before))
            return self._purses[client]

    @property
    def unfinished(self) -> int:
        """How many children are at work or wait."""
        return max(1, len(self._waiting()) + len(self._turns))

    async def fair_share(self, purse: _Purse) -> int:
        """How many calls each unfinished child may have made by now."""
        children = {*self._waiting(), *(turn.child for turn in self._turns)}
        return level([purse.used.get(child, 0) for child in children], await purse.inner.left())


def level(used: Sequence[int], left: int) -> int:
    """Up to which count `left` more calls fill those who have made fewer, so that all of these have made the same.
    Pure."""
    total = left
    for number, (count, following) in enumerate(pairwise([*sorted(used), math.inf]), start=1):
        total += int(count)
        if total <= number * following:
            return total // number
    return left


class Turn:
    """One turn of one child: its budgets, one for each client it calls with."""

    def __init__(self, shares: Shares, child: str, calls_min: int) -> None:
        self.shares = shares
        self.child = child
        self.calls_min = calls_min
        self.used_up = False
        """Whether its share was not enough."""
        self.exhausted: BudgetExhausted | None = None
        """What said that the hour's calls are used up."""
        self._budgets: dict[str, Share] = {}

    async def budget(self, settings: ProcoreSettings) -> "Share":
        """The child's part of the budget of a connection's client."""
        purse = await self.shares.purse(settings)
        return self._budgets.setdefault(settings.client_name, Share(self, purse))

    @property
    def calls_taken(self) -> int:
        """Calls made in this turn."""
        return sum(share.calls_taken for share in self._budgets.values())


class Share:
    """`migration.budget.CallBudget` for one child in one turn."""

    def __init__(self, turn: Turn, purse: _Purse) -> None:
        self._turn = turn
        self._purse = purse
        self._one = asyncio.Lock()
        """One of the child's calls at a time waits with those of the others."""
        self._allowed = turn.calls_min
        purse.used.setdefault(turn.child, 0)
        self._calls_taken = 0

    @property
    def calls_taken(self) -> int:
        return self._calls_taken

    @property
    def waiting_until(self) -> datetime | None:
        """As `PrefectCallBudget.waiting_until`."""
        return self._purse.inner.waiting_until

    async def left(self) -> int:
        """Calls that all children together can still make now."""
        return await self._purse.inner.left()

    async def take(self, calls: int = 1) -> None:
        """As `CallBudget.take`; raises ShareUsedUp when the child has had its share and others wait."""
        async with self._one:
            await self._fit(calls)
            with self._noted():
                await self._purse.inner.take(calls)
            self._calls_taken += calls
            self._purse.used[self._turn.child] = self._used + calls

    async def observe(self, reading: RateLimitReading) -> None:
        await self._purse.inner.observe(reading)

    async def refused(self, *, retry_after_seconds: float | None, reading: RateLimitReading | None) -> None:
        with self._noted():
            await self._purse.inner.refused(retry_after_seconds=retry_after_seconds, reading=reading)

    @property
    def _used(self) -> int:
        return self._purse.used.get(self._turn.child, 0)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except BudgetExhausted as exhausted:
            self._turn.exhausted = exhausted
            raise

    async def _fit(self, calls: int) -> None:
        """Return when the share has room for these calls."""
        if self._used + calls <= self._allowed:
            return
        shares = self._turn.shares
        for _ in range(PAUSES_MAX):
            self._allowed = max(self._allowed, await shares.fair_share(self._purse))
            if self._used + calls <= self._allowed:
                return
            if shares.somebody_waits(self._purse, self._used):
                self._turn.used_up = True
                raise ShareUsedUp(f"its share of the hour, {self._used} calls, is used up and others wait")
            if not shares.somebody_works(self._purse, self._used) or await self.left() < calls:
                break
            await shares.pause()
        self._allowed = self._used + max(calls, await self.left() // (2 * shares.unfinished))


_TURN: ContextVar[Turn | None] = ContextVar("turn", default=None)


def share_of_this_run() -> Turn | None:
    """The turn in which the present run is; None for a run that is nobody's child."""
    return _TURN.get()


def begin_turn(turn: Turn) -> None:
    """Whatever the present asyncio task opens from here on takes its calls in this turn."""
    _TURN.set(turn)
