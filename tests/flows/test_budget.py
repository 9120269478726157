import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from connectors.procore.settings import ProcoreSettings
from migration.budget import RateLimitReading
from migration.clock import SystemClock
from migration.errors import BudgetExhausted
from migration.jobs import OnBudgetExhausted
from tasks.background import BackgroundProcess
from tasks.budget import Mechanism, PrefectCallBudget
from tasks.budget_status import read_budget_status
from tasks.clients import BudgetNames
from tasks.limits import Limits
from tasks.prefect_settings import server_variables
from tasks.server import Server, ensure_server, server_status

_numbers = itertools.count()

UNTIL_EXHAUSTED = """
import asyncio, sys, time
from migration.clock import SystemClock
from migration.errors import BudgetExhausted
from migration.jobs import OnBudgetExhausted
from tasks.allowances import Windows
from tasks.budget import PrefectCallBudget

async def main(client, calls, policy, seconds, window, hold, travel):
    windows = Windows(hourly_seconds=float(window), hold_seconds=float(hold), travel_seconds=float(travel))
    async with PrefectCallBudget.opened(
        client, hourly_calls=int(calls), spike_calls=100_000, on_budget_exhausted=OnBudgetExhausted(policy),
        clock=SystemClock(), windows=windows,
    ) as budget:
        async with asyncio.timeout(float(seconds)):
            while True:
                await budget.take()
                print(time.time(), flush=True)

try:
    asyncio.run(main(*sys.argv[1:]))
except (BudgetExhausted, TimeoutError):
    pass
"""


def calling(
    client: str, calls: int, *, policy: str = "stop", seconds: float = 60, window: float = 3600, hold: float = 20
) -> subprocess.Popen[str]:
    """A process that makes calls as fast as it may and prints when."""
    words = [client, str(calls), policy, str(seconds), str(window), str(hold), "1"]
    return subprocess.Popen([sys.executable, "-c", UNTIL_EXHAUSTED, *words], stdout=subprocess.PIPE, text=True)


def times_of(process: subprocess.Popen[str]) -> list[float]:
    output, _ = process.communicate()
    assert process.returncode == 0
    return [float(line) for line in output.split()]


def wait_until(reached: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def new_client() -> str:
    return f"test{os.getpid()}-{next(_numbers)}"


@asynccontextmanager
async def budget_of(
    client: str, *, hourly: int = 200, spike: int = 100, policy: OnBudgetExhausted = OnBudgetExhausted.STOP
) -> AsyncIterator[PrefectCallBudget]:
    async with PrefectCallBudget.opened(
        client, hourly_calls=hourly, spike_calls=spike, on_budget_exhausted=policy, clock=SystemClock()
    ) as budget:
        yield budget


def reading(limit: int, remaining: int, reset_seconds: float = 1800.0, ahead_seconds: float = 0.0) -> RateLimitReading:
    """As a system says it whose clock is ahead of ours."""
    now = datetime.now(UTC) + timedelta(seconds=ahead_seconds)
    return RateLimitReading(limit, remaining, now + timedelta(seconds=reset_seconds), now)


async def take_all(budget: PrefectCallBudget) -> BudgetExhausted:
    while True:
        try:
            await budget.take()
        except BudgetExhausted as exhausted:
            return exhausted


def test_two_processes_use_one_limit_up_exactly(prefect_server: Server) -> None:
    client = new_client()
    processes = [calling(client, 150) for _ in range(2)]
    counts = [len(times_of(process)) for process in processes]
    assert sum(counts) == 150


async def test_a_used_up_budget_stops_and_says_when_it_returns(prefect_server: Server) -> None:
    async with budget_of(new_client(), hourly=40, spike=10_000) as budget:
        exhausted = await take_all(budget)
        assert budget.calls_taken == 40
        assert await budget.left() == 0
    assert exhausted.resume_at is not None
    assert timedelta(minutes=59) < exhausted.resume_at - datetime.now(UTC) < timedelta(minutes=61)


async def test_an_idle_process_holds_little(prefect_server: Server) -> None:
    async with budget_of(new_client(), hourly=3600) as budget:
        await budget.take()
        assert await budget.left() == 3599


async def test_tasks_of_one_process_share_and_each_call_is_counted(prefect_server: Server) -> None:
    async with budget_of(new_client(), hourly=3600, spike=1000) as budget:
        await asyncio.gather(*(budget.take() for _ in range(60)))
        assert budget.calls_taken == 60
        assert 3600 - 60 - 50 <= await budget.left() <= 3600 - 60


@pytest.mark.slow
async def test_the_spike_allowance_spreads_calls(prefect_server: Server) -> None:
    async with budget_of(new_client(), hourly=3600, spike=40) as budget:
        started = time.monotonic()
        made = []
        while time.monotonic() - started < 12:
            await budget.take()
            made.append(time.monotonic())
    assert max(sum(1 for other in made if first <= other < first + 10) for first in made) <= 40
    assert len(made) >= 30


async def test_a_lower_allowance_in_the_headers_is_kept_by_everybody(prefect_server: Server) -> None:
    client = new_client()
    async with budget_of(client, hourly=200) as budget:
        await budget.take()
        await budget.observe(reading(limit=50, remaining=49))
        assert await budget.left() <= 49
    async with budget_of(client, hourly=200, spike=10_000) as later:
        await take_all(later)
        assert later.calls_taken <= 49
        await later.observe(reading(limit=1000, remaining=900))
        assert 200 - 51 <= await later.left() <= 150


async def test_a_lower_allowance_that_many_answers_tell_at_once_costs_no_calls(prefect_server: Server) -> None:
    async with budget_of(new_client(), hourly=3600) as budget:
        await budget.take(10)
        await asyncio.gather(*(budget.observe(reading(limit=80, remaining=70)) for _ in range(10)))
        assert await budget.left() >= 70 - 25


async def test_the_calls_of_another_application_are_left_to_it(prefect_server: Server) -> None:
    async with budget_of(new_client(), hourly=200) as budget:
        await budget.take()
        await budget.observe(reading(limit=200, remaining=199))
        assert await budget.left() == 199
    async with budget_of(new_client(), hourly=200) as budget:
        await budget.take()
        await budget.observe(reading(limit=200, remaining=30))
        assert await budget.left() == 30


@pytest.mark.parametrize("ahead_seconds", [0.0, 3600.0, -3600.0])
async def test_a_refusal_for_the_hour_stops_every_process(prefect_server: Server, ahead_seconds: float) -> None:
    client = new_client()
    said = reading(limit=200, remaining=0, reset_seconds=900, ahead_seconds=ahead_seconds)
    async with budget_of(client) as budget, budget_of(client) as other:
        await budget.take()
        with pytest.raises(BudgetExhausted) as refused:
            await budget.refused(retry_after_seconds=None, reading=said)
        with pytest.raises(BudgetExhausted):
            await other.take()
        assert await other.left() == 0
    assert refused.value.resume_at is not None
    assert timedelta(minutes=14) < refused.value.resume_at - datetime.now(UTC) < timedelta(minutes=16)


async def test_an_overloaded_server_costs_no_calls(prefect_server: Server) -> None:
    async with budget_of(new_client()) as budget:
        await budget.take()
        await budget.refused(retry_after_seconds=0.0, reading=reading(limit=200, remaining=150))
        assert await budget.left() == 199


async def test_a_short_refusal_is_waited_for_by_every_process(prefect_server: Server) -> None:
    client = new_client()
    async with budget_of(client) as budget, budget_of(client) as other:
        refused_at = time.monotonic()
        waiting = asyncio.create_task(budget.refused(retry_after_seconds=2.0, reading=None))
        await asyncio.sleep(0.5)  # so that the refusal is known to the server
        await other.take()
        assert time.monotonic() - refused_at >= 2.0
        await waiting
        assert budget.calls_taken == 0


@pytest.mark.parametrize("damage", ["delete", "switch off"])
async def test_a_limit_that_somebody_broke_is_in_force_again(prefect_server: Server, damage: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    client = new_client()
    names = BudgetNames(client)
    async with budget_of(client, hourly=50):
        pass
    async with get_client() as prefect:
        if damage == "delete":
            await prefect.delete_global_concurrency_limit_by_name(names.hourly)
            await prefect.delete_global_concurrency_limit_by_name(names.spike)
        else:
            off = GlobalConcurrencyLimitUpdate(active=False)
            await prefect.update_global_concurrency_limit(names.hourly, off)
    async with budget_of(client, hourly=50, spike=10_000) as budget:
        await take_all(budget)
        assert budget.calls_taken == 50


async def test_a_limit_deleted_under_a_running_process_is_made_again(prefect_server: Server) -> None:
    from prefect.client.orchestration import get_client

    client = new_client()
    async with budget_of(client, hourly=50, spike=10_000) as budget:
        await budget.take()
        async with get_client() as prefect:
            await prefect.delete_global_concurrency_limit_by_name(BudgetNames(client).hourly)
        await take_all(budget)
        assert 50 <= budget.calls_taken <= 51


async def test_what_the_budget_command_shows(prefect_server: Server) -> None:
    settings = ProcoreSettings.model_validate(
        {"company_id": 1, "client_id": f"{new_client()}-Secretive-Looking-Id", "client_secret": "x", "hourly_calls": 90}
    )
    assert "secretive" not in settings.client_name
    before = await read_budget_status(settings)
    assert (before.limit, before.used, before.free, before.holders) == (90, 0, 90, ())
    async with budget_of(settings.client_name, hourly=90) as budget:
        await budget.take()
    after = await read_budget_status(settings)
    assert (after.limit, after.used, after.free) == (90, 1, 89)
    assert after.mechanism is Mechanism.LEASES
    assert [back.slots for back in after.returns] == [1]
    assert [(holder.who, holder.slots) for holder in after.holders] == [(None, 1)]


def test_a_server_that_forgets_leases_is_detected_and_the_hour_is_rationed(
    used_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = used_home / "server"
    (folder / "ui").mkdir()
    memory = server_variables(os.environ, folder, port) | {
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.memory"
    }
    process = BackgroundProcess(folder, "server")
    with process.locked():
        words = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
        process.start("prefect", words, environment=memory, record={"port": port})
    # As an operator who runs a server of their own.
    while not server_status(folder.parent).running:
        assert process.running(), process.last_words()
        time.sleep(0.2)
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    monkeypatch.delenv("SITEHAUL_OWN_SERVER", raising=False)
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    assert ensure_server(folder.parent).started_here is False

    async def use() -> tuple[Mechanism, int, float]:
        async with budget_of(new_client(), hourly=400, spike=10_000) as budget:
            for _ in range(20):
                await budget.take()
            async with Limits.opened(SystemClock()) as limits:
                state = await limits.read(budget.names.hourly)
                assert state is not None
                return budget.mechanism, state.limit, state.per_second

    mechanism, burst, per_second = asyncio.run(use())
    assert mechanism is Mechanism.BUCKET
    assert burst + 3600 * per_second <= 400
    assert "forgets them" in caplog.text


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_never_more_than_the_limit_in_any_window_while_the_server_is_killed(used_home: Path) -> None:
    """Two processes, a limit of 60 in 60 seconds, a SIGKILL of the server between the two bursts."""
    home = used_home
    ensure_server(home)
    client, limit, window = new_client(), 60, 60.0
    processes = [calling(client, limit, policy="wait", seconds=150, window=window, hold=4) for _ in range(2)]
    seen: list[float] = []
    reading_them = [
        Thread(target=lambda lines: seen.extend(map(float, lines)), args=(one.stdout,)) for one in processes
    ]
    for thread in reading_them:
        thread.start()
    wait_until(lambda: len(seen) >= limit, seconds=40)
    pid = server_status(home).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    ensure_server(home)

    wait_until(lambda: len(seen) >= 2 * limit, seconds=140)
    time.sleep(2)  # a call too many would be made at once
    for process, thread in zip(processes, reading_them, strict=True):
        process.terminate()
        process.wait()
        thread.join()

    calls = sorted(seen)
    busiest = max(sum(1 for other in calls if first <= other < first + window) for first in calls)
    assert busiest <= limit, busiest
    assert len(calls) == 2 * limit
    assert calls[limit] - calls[0] >= window


@pytest.mark.slow
def test_a_server_killed_under_a_running_process_is_started_again(used_home: Path) -> None:
    home = used_home
    ensure_server(home)

    async def use() -> int:
        async with budget_of(new_client(), hourly=200) as budget:
            await budget.take()
            pid = server_status(home).pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            for _ in range(5):
                await budget.take()
            return await budget.left()

    assert 200 - 12 <= asyncio.run(use()) <= 194
