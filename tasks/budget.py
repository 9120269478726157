"""The call budget kept by Prefect's global concurrency limits: shared by every process that uses the same server.

Hourly: slots of `procore-<client>-hourly` are leased for a little more than the window and never renewed or released,
so each comes back once the call made with it is a whole window old: at most the limit in any rolling window, full
bursts, nothing lost by idling. Slots of a process that dies stay counted until then. Spike: `procore-<client>-spike`
is a bucket that flows back. What a system says in its headers lowers both for every process (variables `procore_…`).
A server that may forget leases gets a bucket for the hour, too; `mechanism` says which is in use.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum

from migration.budget import RateLimitReading
from migration.clock import Clock
from migration.errors import BudgetExhausted
from migration.jobs import OnBudgetExhausted
from tasks.allowances import (
    BlockSize,
    Grants,
    Window,
    Windows,
    hourly_bucket,
    seconds_to_reset,
    seconds_until_returned,
    spike_bucket,
    window_of,
)
from tasks.clients import BudgetNames
from tasks.leases import read_leases
from tasks.limits import Answer, Grant, LeaseStorage, Limits, LimitState
from tasks.pauses import Pause

_FAR_SECONDS = 30.0
"""A wait up to this long is simply waited; a longer one asks what the job wants."""
_SOON_SECONDS = 5.0
"""A job that stops when the budget is used up does not stop for slots that return this soon."""
_LATE_SECONDS = 5.0
"""How much later than its lease's end a slot is surely back; the server looks every few seconds."""
_RECHECK_SECONDS = 5.0
_OTHERS_SECONDS = 2.0
_POLL_SECONDS_MAX = 15.0
_WORTH_RESUMING = 20
"""A stopped run is told to come back when this part (1/n) of the limit has returned."""

_log = logging.getLogger("sitehaul.budget")


class Mechanism(StrEnum):
    """How the hourly limit is kept."""

    LEASES = "leases"
    BUCKET = "bucket"


class PrefectCallBudget:
    """`migration.budget.CallBudget` on Prefect. Made by `opened`, for one event loop."""

    def __init__(
        self,
        limits: Limits,
        names: BudgetNames,
        storage: LeaseStorage,
        *,
        hourly_calls: int,
        spike_calls: int,
        reserve_percent: int,
        on_budget_exhausted: OnBudgetExhausted,
        clock: Clock,
        windows: Windows,
    ) -> None:
        self._limits = limits
        self._reserve_percent = reserve_percent
        self.names = names
        self._storage = storage
        self._configured = {Window.HOURLY: hourly_calls, Window.SPIKE: spike_calls}
        self._seen: dict[Window, int] = {}
        self._stops = on_budget_exhausted is OnBudgetExhausted.STOP
        self._clock = clock
        self._windows = windows
        self._turn = asyncio.Lock()
        self._adjusting = asyncio.Lock()
        self._hourly = Grants(windows.hold_seconds)
        self._spike = Grants(windows.spike_hold_seconds)
        self._block = BlockSize(hourly_calls)
        self._spike_block = BlockSize(spike_calls * 4)
        self._took_at = {Window.HOURLY: float("-inf"), Window.SPIKE: float("-inf")}
        self._calls_taken = 0
        self._free_at_most = hourly_calls
        self._checked_at = float("-inf")
        self._others_checked_at = float("-inf")
        self._pause = Pause(limits, names.pause, clock, seconds_max=windows.lease_seconds)
        self._own_ends: list[tuple[float, int]] = []
        self._reset_at: float | None = None
        self._waiting_until: datetime | None = None

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        client: str,
        *,
        hourly_calls: int,
        spike_calls: int,
        on_budget_exhausted: OnBudgetExhausted,
        clock: Clock,
        windows: Windows | None = None,
        reserve_percent: int = 0,
    ) -> AsyncIterator["PrefectCallBudget"]:
        """The budget of a client (its name for limits, see `tasks.clients`); its limits are made or corrected.

        With a reserve, everybody who keeps the same one together uses at most the rest of any hour.
        """
        async with Limits.opened(clock) as limits:
            storage = await limits.lease_storage()
            budget = cls(
                limits, BudgetNames(client), storage, hourly_calls=hourly_calls, spike_calls=spike_calls,
                reserve_percent=reserve_percent, on_budget_exhausted=on_budget_exhausted, clock=clock,
                windows=windows or Windows(),
            )  # fmt: skip
            await budget._begin()
            yield budget

    @property
    def mechanism(self) -> Mechanism:
        """How the hourly limit is kept on this server."""
        return Mechanism.LEASES if self._storage.durable else Mechanism.BUCKET

    @property
    def calls_taken(self) -> int:
        return self._calls_taken

    @property
    def waiting_until(self) -> datetime | None:
        """When a wait for the hourly budget is expected to end; None while calls are granted."""
        return self._waiting_until

    async def left(self) -> int:
        """Calls that can still be made now under the hourly limit, by all processes together, the reserve kept."""
        state = await self._tightest()
        return state.free if state is not None else min(self._hourly_limits().values())

    async def take(self, calls: int = 1) -> None:
        async with self._turn:
            while True:
                await self._respect_pause()
                await self._fill_spike(calls)
                await self._fill_hourly(calls)
                now = self._limits.moment()
                if min(self._spike.available(now), self._hourly.available(now)) >= calls:
                    break
            self._spike.spend(calls)
            self._hourly.spend(calls)
            self._calls_taken += calls

    async def observe(self, reading: RateLimitReading) -> None:
        window = self._window_of(reading)
        # One at a time: slots counted under the old limit would be mistaken for another application's under the new.
        async with self._adjusting:
            if reading.limit > 0 and reading.limit != self._seen.get(window):
                await self._allowance_seen(window, reading.limit)
            seconds = self._seconds_to_reset(reading)
            if window is Window.SPIKE:
                if reading.remaining <= 0:
                    await self._pause.begin(seconds + 1.0)
                return
            self._reset_at = self._clock.monotonic() + seconds
            if reading.remaining < self._free_at_most:
                await self._make_room_for_others(reading.remaining, seconds)

    async def refused(self, *, retry_after_seconds: float | None, reading: RateLimitReading | None) -> None:
        known = [] if retry_after_seconds is None else [retry_after_seconds]
        used_up = reading is not None and reading.remaining <= 0
        if reading is not None and used_up:
            known.append(self._seconds_to_reset(reading))
        seconds = max(known, default=self._windows.spike_seconds) + 1.0
        if reading is not None and used_up and self._window_of(reading) is Window.HOURLY:
            self._reset_at = self._clock.monotonic() + seconds
            async with self._adjusting:
                await self._make_room_for_others(0, seconds, at_once=True)
        await self._pause.begin(seconds)
        await self._wait_or_stop(seconds, "Procore refuses further calls for now")

    async def _begin(self) -> None:
        seen = await self._limits.read_note(self.names.seen)
        self._seen = {window: int(seen[str(window)]) for window in Window if isinstance(seen.get(str(window)), int)}
        if self.mechanism is Mechanism.BUCKET:
            _log.warning(
                "Prefect's concurrency leases cannot be relied on here (%s); the hourly calls are rationed evenly"
                " instead: never more than the allowance, but what is not used at once is lost.",
                self._storage.said,
            )
        await self._ensure(Window.HOURLY)
        await self._ensure(Window.SPIKE)

    async def _ensure(self, window: Window) -> None:
        calls = self._allowance(window)
        if window is Window.SPIKE:
            bucket = spike_bucket(calls, self._windows)
            await self._limits.ensure(self.names.spike, bucket.burst, bucket.per_second)
            return
        for name, hourly_calls in self._hourly_limits().items():
            if self.mechanism is Mechanism.LEASES:
                await self._limits.ensure(name, hourly_calls)
            else:
                bucket = hourly_bucket(hourly_calls, self._windows)
                await self._limits.ensure(name, bucket.burst, bucket.per_second)

    def _hourly_limits(self) -> dict[str, int]:
        """The limits that every call of the hour counts under."""
        calls = self._allowance(Window.HOURLY)
        limits = {self.names.hourly: calls}
        if self._reserve_percent:
            own = calls * (100 - self._reserve_percent) // 100
            limits[self.names.hourly_but(self._reserve_percent)] = max(1, own)
        return limits

    async def _tightest(self) -> LimitState | None:
        """The one of them with the fewest free slots; None when one is missing or switched off."""
        states = [await self._limits.read(name) for name in self._hourly_limits()]
        there = [state for state in states if state is not None and state.active]
        if len(there) < len(states):
            return None
        self._free_at_most = there[0].free
        return min(there, key=lambda state: state.free)

    def _allowance(self, window: Window) -> int:
        """What may be used: the operator's setting, or less when the system said so."""
        return min(self._configured[window], self._seen.get(window, self._configured[window]))

    async def _fill_spike(self, calls: int) -> None:
        while (missing := calls - self._spike.available(self._limits.moment())) > 0:
            bucket = spike_bucket(self._allowance(Window.SPIKE), self._windows)
            if calls > bucket.burst:
                raise ValueError(f"{calls} calls at once are more than the spike allowance lets through")
            wanted = min(max(missing, self._next_block(Window.SPIKE)), bucket.burst)
            grant = await self._limits.take_flowing([self.names.spike], wanted)
            if grant.answer is Answer.GRANTED:
                self._add_spike(grant, wanted)
            elif grant.answer is Answer.DENIED:
                self._spike_block.slots = max(1, wanted // 2)
                await self._clock.sleep(max(0.05, missing / bucket.per_second / 2))
            else:
                await self._ensure(Window.SPIKE)

    def _add_spike(self, grant: Grant, slots: int) -> None:
        now = self._limits.moment()
        if now.seconds_since(grant.asked_at) > self._windows.spike_hold_seconds:
            # So slow a server would never give a slot in time; one for each such answer is safe.
            self._spike.add(now, 1)
        else:
            self._spike.add(grant.asked_at, slots)

    async def _fill_hourly(self, calls: int) -> None:
        while (missing := calls - self._hourly.available(self._limits.moment())) > 0:
            await self._check_limit()
            wanted = max(missing, self._next_block(Window.HOURLY))
            grant = await self._take_hourly(wanted)
            if grant.answer is Answer.GRANTED:
                self._granted(grant, wanted)
            elif grant.answer is Answer.MISSING:
                await self._ensure(Window.HOURLY)
            else:
                await self._take_rest(missing, wanted)

    async def _take_hourly(self, slots: int) -> Grant:
        names = list(self._hourly_limits())
        if self.mechanism is Mechanism.LEASES:
            return await self._limits.take_leased(names, slots, self._windows.lease_seconds)
        return await self._limits.take_flowing(names, slots)

    async def _take_rest(self, missing: int, wanted: int) -> None:
        """Take what is left when that is enough for now; otherwise wait for a while, or stop."""
        state = await self._tightest()
        if state is None:
            await self._ensure(Window.HOURLY)
            return
        if state.free < missing:
            self._block.slots = 1
            await self._wait_for_slots(state, missing)
            return
        rest = min(wanted, state.free)
        grant = await self._take_hourly(rest)
        if grant.answer is Answer.GRANTED:
            self._granted(grant, rest)

    def _granted(self, grant: Grant, slots: int) -> None:
        self._waiting_until = None
        self._hourly.add(grant.asked_at, slots)
        self._free_at_most -= slots
        now = self._clock.monotonic()
        self._own_ends = [(end, held) for end, held in self._own_ends if end > now]
        self._own_ends.append((now + self._windows.lease_seconds, slots))

    def _next_block(self, window: Window) -> int:
        block = self._block if window is Window.HOURLY else self._spike_block
        now = self._clock.monotonic()
        block.took(now - self._took_at[window])
        self._took_at[window] = now
        return block.slots

    async def _check_limit(self) -> None:
        """Someone may switch the limit off or delete it in Prefect's UI, and Prefect then grants everything."""
        now = self._clock.monotonic()
        if now - self._checked_at < _RECHECK_SECONDS:
            return
        self._checked_at = now
        if await self._tightest() is None:
            _log.warning("the limit %s was missing or switched off; it is in force again", self.names.hourly)
            await self._ensure(Window.HOURLY)

    async def _wait_for_slots(self, state: LimitState, missing: int) -> None:
        if self.mechanism is Mechanism.BUCKET:
            seconds = (missing - state.free) / max(state.per_second, 1e-6)
            await self._wait_or_stop(seconds, "the hourly calls are used up")
            return
        needed = max(missing - state.free, state.limit // _WORTH_RESUMING if self._stops else 1)
        seconds = self._seconds_until_returned(state, needed)
        if self._stops and seconds > _SOON_SECONDS:
            kept = f" ({self._reserve_percent} % are kept for others)" if self._reserve_percent else ""
            reason = f"the hourly budget of {state.limit} calls is used up{kept}"
            raise self._exhausted(reason, seconds + _LATE_SECONDS)
        self._waiting_until = self._clock.now() + timedelta(seconds=seconds)
        await self._clock.sleep(min(max(seconds, 0.5), _POLL_SECONDS_MAX))

    def _seconds_until_returned(self, state: LimitState, needed: int) -> float:
        """Until this many slots are back, by the leases on disk, else by what this process took, else by the headers;
        a whole lease when nothing is known."""
        now = self._clock.now()
        ends = [
            ((lease.expires_at - now).total_seconds(), lease.slots)
            for lease in (read_leases(self._storage.prefect_home) if self._storage.prefect_home else [])
            if state.id in lease.limit_ids
        ]
        ends = ends or [(end - self._clock.monotonic(), slots) for end, slots in self._own_ends]
        seconds = seconds_until_returned(ends, needed)
        if seconds is not None:
            return seconds
        if self._reset_at is not None and self._reset_at > self._clock.monotonic():
            return self._reset_at - self._clock.monotonic()
        return self._windows.lease_seconds

    async def _wait_or_stop(self, seconds: float, reason: str) -> None:
        if seconds > _FAR_SECONDS:
            if self._stops:
                raise self._exhausted(reason, seconds)
            self._waiting_until = self._clock.now() + timedelta(seconds=seconds)
        await self._clock.sleep(seconds)
        self._waiting_until = None

    def _exhausted(self, reason: str, seconds: float) -> BudgetExhausted:
        return BudgetExhausted(reason, resume_at=self._clock.now() + timedelta(seconds=seconds))

    async def _respect_pause(self) -> None:
        if (seconds := await self._pause.seconds_left()) > 0:
            await self._wait_or_stop(seconds, "Procore refuses further calls for now")

    def _window_of(self, reading: RateLimitReading) -> Window:
        return window_of(
            reading,
            hourly=self._seen.get(Window.HOURLY, self._configured[Window.HOURLY]),
            spike=self._seen.get(Window.SPIKE, self._configured[Window.SPIKE]),
            spike_seconds=self._windows.spike_seconds,
        )

    def _seconds_to_reset(self, reading: RateLimitReading) -> float:
        """Never more than a window, whatever this machine's clock shows."""
        return min(seconds_to_reset(reading, self._clock.now()), self._windows.hourly_seconds)

    async def _allowance_seen(self, window: Window, calls: int) -> None:
        before = self._allowance(window)
        self._seen[window] = calls
        await self._limits.write_note(self.names.seen, {str(one): seen for one, seen in self._seen.items()})
        if (after := self._allowance(window)) != before:
            _log.warning("Procore's %s allowance is %d calls, not %d; it is kept", window, after, before)
            await self._ensure(window)

    async def _make_room_for_others(self, remaining: int, seconds: float, *, at_once: bool = False) -> None:
        """Take the slots that another application of the same client has used up, until the system's window ends.

        Ours are always counted here before they are counted there, and longer, so that fewer calls left there than free
        slots here means that somebody else calls.
        """
        now = self._clock.monotonic()
        if self.mechanism is Mechanism.BUCKET or (now - self._others_checked_at < _OTHERS_SECONDS and not at_once):
            return
        self._others_checked_at = now
        state = await self._limits.read(self.names.hourly)
        if state is None:
            return
        self._free_at_most = state.free
        theirs = state.free - remaining
        if theirs > 0:
            lease = min(seconds + self._windows.travel_seconds, self._windows.lease_seconds)
            await self._limits.take_leased([self.names.hourly], theirs, lease)
            self._free_at_most = remaining
            _log.info("another application used %d calls of this client", theirs)
