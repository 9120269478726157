"""How much of the hourly allowance can be used: calls granted by Prefect's limits until they are used up."""

import asyncio
import time
from pathlib import Path

from benchmarks.table import Table
from migration.clock import SystemClock
from migration.errors import BudgetExhausted
from migration.jobs import OnBudgetExhausted
from tasks.allowances import Windows
from tasks.server import ensure_server, stop_server

ALLOWANCE = 3600


def use_of_the_window(folder: Path) -> Table:
    """Take calls one by one until none is left."""
    ensure_server(folder / "home")
    try:
        granted, seconds = asyncio.run(_take_all())
    finally:
        stop_server(folder / "home")
    windows = Windows()
    usable = granted / ALLOWANCE * windows.hourly_seconds / windows.lease_seconds
    table = Table(f"An allowance of {ALLOWANCE:,} calls an hour")
    table.row("granted at once, before the budget says stop", f"{granted:,} calls")
    table.row("a slot is taken for", f"{windows.lease_seconds:,.0f} s")
    table.row("usable of every hour", f"{usable:.1%}")
    table.row("asking Prefect, per call", f"{seconds / granted * 1000:.2f} ms")
    return table


async def _take_all() -> tuple[int, float]:
    from tasks.budget import PrefectCallBudget

    began = time.perf_counter()
    async with PrefectCallBudget.opened(
        "bench",
        hourly_calls=ALLOWANCE,
        spike_calls=100 * ALLOWANCE,
        on_budget_exhausted=OnBudgetExhausted.STOP,
        clock=SystemClock(),
    ) as budget:
        try:
            while True:
                await budget.take()
        except BudgetExhausted:
            return budget.calls_taken, time.perf_counter() - began
