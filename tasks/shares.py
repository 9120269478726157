"""One budget of calls for all children of a job, divided so that none of them starves.

Children take turns. In its turn a child may use a slice of what is left of the hour: what is free now, less what the
slices of others still hold, divided by those whose turn is still to come. So everybody gets a turn before anybody gets
a second one, and what one does not use flows on to the next. Whoever has used its slice up stops with `ShareUsedUp`
while others wait, and goes on in its next turn; when nobody waits, the slice grows.

Within a turn the children that are at work are served in rotation, call by call.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from connectors.procore.settings import ProcoreSettings
from migration.budget import RateLimitReading
from migration.clock import Clock
from migration.errors import BudgetExhausted
from migration.jobs import OnBudgetExhausted
from tasks.budget import PrefectCallBudget

SLICE_CALLS_MIN = 10
"""A turn that continues a listing begins by reading the project's folders again. With so many calls it gets beyond
them; each further turn of a child that is not listed yet gets at least twice as many, so that it gets beyond more."""
_DOUBLINGS_MAX = 7


class ShareUsedUp(BudgetExhausted):
    """A child has used the calls of its turn; others wait for theirs."""


@dataclass(slots=True)
class _Purse:
    """The budget of one client, and the slices of it that are given out."""

    inner: PrefectCallBudget
    slices: set["Share"] = field(default_factory=set)

    async def free(self) -> int:
        """Calls that are left and promised to nobody."""
        return await self.inner.left() - sum(share.held for share in self.slices)


class Shares:
    """The budgets of one run of a job with children. Made and used in one event loop; its budgets close with `stack`.

    `waiting` says how many children wait for a turn at this moment.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        *,
        waiting: Callable[[], int],
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
        self.deciding: set[Turn] = set()
        """Turns that have begun and have no slice yet."""

    def turn(self, number: int) -> "Turn":
        """A child's next turn; `number` counts, from 0, those in which it was not listed to the end yet."""
        turn = Turn(self, number)
        self.deciding.add(turn)
        return turn

    @property
    def calls_taken(self) -> int:
        """Calls of all children and of the job itself so far, in this process."""
        return sum(purse.inner.calls_taken for purse in self._purses.values())

    @property
    def waiting(self) -> int:
        """How many children wait for a turn now."""
        return self._waiting()

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
                self._purses[client] = _Purse(await self._stack.enter_async_context(opening))
            return self._purses[client]

    async def slice_for(self, turn: "Turn", purse: _Purse) -> int:
        """How many calls a turn may begin with."""
        self.deciding.add(turn)
        free = await purse.free()
        parts = self.waiting + len(self.deciding)
        self.deciding.discard(turn)
        return max(free // max(1, parts), SLICE_CALLS_MIN << min(turn.number, _DOUBLINGS_MAX))


class Turn:
    """One turn of one child: its budgets, one for each client it calls with."""

    def __init__(self, shares: Shares, number: int) -> None:
        self.shares = shares
        self.number = number
        self.used_up = False
        """Whether its slice was not enough."""
        self.exhausted: BudgetExhausted | None = None
        """What said that the hour's calls are used up."""
        self._budgets: dict[str, Share] = {}

    async def budget(self, settings: ProcoreSettings) -> "Share":
        """The child's part of the budget of a connection's client."""
        purse = await self.shares.purse(settings)
        share = self._budgets.setdefault(settings.client_name, Share(self, purse))
        purse.slices.add(share)
        return share

    @property
    def calls_taken(self) -> int:
        """Calls made in this turn."""
        return sum(share.calls_taken for share in self._budgets.values())

    def end(self) -> None:
        """Give back what was not used."""
        self.shares.deciding.discard(self)
        for share in self._budgets.values():
            share.give_back()


class Share:
    """`migration.budget.CallBudget` for one child in one turn."""

    def __init__(self, turn: Turn, purse: _Purse) -> None:
        self._turn = turn
        self._purse = purse
        self._one = asyncio.Lock()
        """One of the child's calls at a time waits with those of the others."""
        self._slice: int | None = None
        self._calls_taken = 0

    @property
    def calls_taken(self) -> int:
        return self._calls_taken

    @property
    def held(self) -> int:
        """What of the slice is not used yet."""
        return max(0, (self._slice or 0) - self._calls_taken)

    @property
    def waiting_until(self) -> datetime | None:
        """As `PrefectCallBudget.waiting_until`."""
        return self._purse.inner.waiting_until

    async def left(self) -> int:
        """Calls that all children together can still make now."""
        return await self._purse.inner.left()

    async def take(self, calls: int = 1) -> None:
        """As `CallBudget.take`; raises ShareUsedUp when the turn's slice is used up and others wait."""
        async with self._one:
            await self._fit(calls)
            with self._noted():
                await self._purse.inner.take(calls)
            self._calls_taken += calls

    async def observe(self, reading: RateLimitReading) -> None:
        await self._purse.inner.observe(reading)

    async def refused(self, *, retry_after_seconds: float | None, reading: RateLimitReading | None) -> None:
        with self._noted():
            await self._purse.inner.refused(retry_after_seconds=retry_after_seconds, reading=reading)

    def give_back(self) -> None:
        """The turn has ended."""
        self._purse.slices.discard(self)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except BudgetExhausted as exhausted:
            self._turn.exhausted = exhausted
            raise

    async def _fit(self, calls: int) -> None:
        """Return when the slice has room for these calls."""
        if self._slice is None:
            self._slice = await self._turn.shares.slice_for(self._turn, self._purse)
        while self._calls_taken + calls > self._slice:
            if self._turn.shares.waiting:
                self._turn.used_up = True
                raise ShareUsedUp(f"its share of the hour, {self._slice} calls, is used up and others wait")
            free = await self._purse.free()
            self._slice += max(calls, free // max(1, len(self._purse.slices)))


_TURN: ContextVar[Turn | None] = ContextVar("turn", default=None)


def share_of_this_run() -> Turn | None:
    """The turn in which the present run is; None for a run that is nobody's child."""
    return _TURN.get()


def begin_turn(turn: Turn) -> None:
    """Whatever the present asyncio task opens from here on takes its calls in this turn."""
    _TURN.set(turn)
