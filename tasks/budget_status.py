"""What `sitehaul budget` shows: how many calls are left, who holds the others, and when they return."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from connectors.procore.settings import ProcoreSettings
from migration.clock import Clock, SystemClock
from tasks.budget import Mechanism
from tasks.clients import BudgetNames
from tasks.leases import Lease, read_leases
from tasks.limits import Limits

_SYSTEM_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class SlotReturn:
    """Slots that return at about the same time (UTC, to the minute)."""

    at: datetime
    slots: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Who took slots that have not returned yet: a flow run's name, or None for what no flow run took."""

    who: str | None
    slots: int
    last_returns_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """The hourly budget of one client over all processes; what the server does not tell is empty or None."""

    client: str
    limit: int
    used: int
    free: int
    spike_calls: int
    mechanism: Mechanism
    note: str | None
    """What is to be known of the mechanism, e.g. why leases are not used."""
    paused_until: datetime | None
    returns: tuple[SlotReturn, ...]
    holders: tuple[Holder, ...]


def budget_status(settings: ProcoreSettings, *, clock: Clock = _SYSTEM_CLOCK) -> BudgetStatus:
    """The budget of a connection's client now; outside of an event loop. Changes nothing."""
    return asyncio.run(read_budget_status(settings, clock=clock))


async def read_budget_status(settings: ProcoreSettings, *, clock: Clock = _SYSTEM_CLOCK) -> BudgetStatus:
    """The same, inside an event loop."""
    client = settings.client_name
    names = BudgetNames(client)
    async with Limits.opened(clock) as limits:
        storage = await limits.lease_storage()
        state = await limits.read(names.hourly)
        pause = (await limits.read_note(names.pause)).get("until")
        leases: list[Lease] = []
        if state is not None and storage.prefect_home is not None:
            leases = [lease for lease in read_leases(storage.prefect_home) if state.id in lease.limit_ids]
        paused_until = datetime.fromisoformat(pause) if isinstance(pause, str) else None
        return BudgetStatus(
            client=client,
            limit=state.limit if state else settings.hourly_calls,
            used=state.taken if state else 0,
            free=state.free if state else settings.hourly_calls,
            spike_calls=settings.spike_calls,
            mechanism=Mechanism.LEASES if storage.durable else Mechanism.BUCKET,
            note=None if storage.durable else storage.said,
            paused_until=paused_until if paused_until and paused_until > limits.server_now() else None,
            returns=_returns(leases),
            holders=await _holders(limits, leases),
        )


def _returns(leases: list[Lease]) -> tuple[SlotReturn, ...]:
    by_minute: dict[datetime, int] = {}
    for lease in leases:
        minute = lease.expires_at.replace(second=0, microsecond=0)
        by_minute[minute] = by_minute.get(minute, 0) + lease.slots
    return tuple(SlotReturn(at, slots) for at, slots in sorted(by_minute.items()))


async def _holders(limits: Limits, leases: list[Lease]) -> tuple[Holder, ...]:
    held: dict[str | None, tuple[int, datetime]] = {}
    for lease in leases:
        slots, last = held.get(lease.holder, (0, lease.expires_at))
        held[lease.holder] = (slots + lease.slots, max(last, lease.expires_at))
    holders = [Holder(await _named(limits, who), slots, last) for who, (slots, last) in held.items()]
    return tuple(sorted(holders, key=lambda holder: -holder.slots))


async def _named(limits: Limits, holder: str | None) -> str | None:
    if holder is None or not holder.startswith("flow_run "):
        return holder
    return await limits.flow_run_name(holder.removeprefix("flow_run ")) or holder
