"""Procore's limits change while a run is under way, and clocks that are an hour apart."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.endings import EndState
from migration.progress import Phase
from simulator.server import Running
from tasks.clients import BudgetNames
from tasks.progress import Standing
from tasks.server import Server
from tasks.session import watched
from tests.flows.place import Place, make_place, procore_settings
from tests.servers import ProcoreSimulators

IN_FLIGHT = 4


@pytest.fixture
def simulators(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ProcoreSimulators:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    return procore_simulator


class AtFile:
    """Does something once so many files are done."""

    def __init__(self, files: int, what: Callable[[], object]) -> None:
        self._files = files
        self._what: Callable[[], object] | None = what

    def stands(self, standing: Standing) -> None:
        progress = standing.progress
        if self._what and progress.phase is Phase.TRANSFER and progress.files_done >= self._files:
            what, self._what = self._what, None
            what()

    def said(self, sentence: str) -> None: ...


def statuses(served: Running, status: int) -> list[dict[str, object]]:
    return [entry for entry in served.log() if entry["status"] == status]


def few_at_once(place: Place) -> Place:
    """What is on its way when a limit changes may be refused; so that this is not much."""
    performance = place.job.performance.model_copy(update={"parallel_writes": IN_FLIGHT})
    place.job = place.job.model_copy(update={"performance": performance})
    return place


def soon(time_named: datetime | None) -> bool:
    """Whether a run that stopped is told to come back within the hour, by this machine's clock."""
    return time_named is not None and time_named - datetime.now(UTC) < timedelta(minutes=62)


async def as_an_hour_later(place: Place) -> None:
    """All slots are back, and nothing is remembered of what Procore said."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    names = BudgetNames(procore_settings(place.served).client_name)
    async with get_client() as prefect:
        await prefect.delete_global_concurrency_limit_by_name(names.hourly)
        await prefect.delete_global_concurrency_limit_by_name(names.spike)
        for note in (names.seen, names.pause):
            with suppress(ObjectNotFound):
                await prefect.delete_variable_by_name(note)


@pytest.mark.parametrize("latency_ms", [0.0, 30.0])
async def test_the_hours_allowance_is_lowered_in_the_middle(
    simulators: ProcoreSimulators, tmp_path: Path, latency_ms: float
) -> None:
    served = simulators(
        files=120, seed=41, max_file_bytes=5_000,
        settings={"count_storage": True, "latency_ms": latency_ms, "spike_calls": 1000},
    )  # fmt: skip
    place = few_at_once(make_place(served, tmp_path, spike_calls=1000))
    with watched(AtFile(20, lambda: served.settings(hourly_calls=80))):
        stopped = await place.run()
    assert stopped.state is EndState.PENDING, stopped.sentence
    assert soon(stopped.resume_at), stopped.sentence
    assert stopped.reconciliation is not None and stopped.reconciliation.adds_up
    assert len(statuses(served, 429)) <= IN_FLIGHT, "only what was on its way when the allowance was lowered"
    calls = len([entry for entry in served.log() if entry["host"] in ("api", "storage") and entry["status"] != 429])
    assert 60 <= calls <= 80
    assert place.found().total() > 20

    served.settings(hourly_calls=3600)
    served.advance(3600)
    await as_an_hour_later(place)
    finished = await place.run()
    assert finished.state is EndState.DONE, finished.sentence
    assert place.found() == place.expected()


@pytest.mark.slow
async def test_the_spike_allowance_is_lowered_in_the_middle(simulators: ProcoreSimulators, tmp_path: Path) -> None:
    served = simulators(files=100, seed=42, max_file_bytes=5_000, settings={"count_storage": True, "spike_calls": 200})
    place = few_at_once(make_place(served, tmp_path, spike_calls=200))
    with watched(AtFile(20, lambda: served.settings(spike_calls=80))):
        ending = await place.run()
    assert ending.state is EndState.DONE, ending.sentence
    assert place.found() == place.expected()
    assert len(statuses(served, 429)) <= IN_FLIGHT


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_clocks_an_hour_apart(simulators: ProcoreSimulators, tmp_path: Path, seconds: int) -> None:
    served = simulators(files=80, seed=43, max_file_bytes=5_000, settings={"link_seconds": 600.0})
    served.advance(seconds)
    place = make_place(served, tmp_path, page_size=20)
    began = time.monotonic()
    ending = await place.run()
    assert ending.state is EndState.DONE, ending.sentence
    assert place.found() == place.expected()
    assert statuses(served, 401) == [] and statuses(served, 429) == []
    again = await place.run()
    assert again.state is EndState.DONE, again.sentence
    assert again.reconciliation is not None and again.reconciliation.total.files["skipped"] == len(place.visible())
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_a_used_up_hour_with_clocks_an_hour_apart(
    simulators: ProcoreSimulators, tmp_path: Path, seconds: int
) -> None:
    served = simulators(files=60, seed=44, max_file_bytes=5_000, settings={"count_storage": True, "hourly_calls": 30})
    served.advance(seconds)
    place = few_at_once(make_place(served, tmp_path))
    began = time.monotonic()
    ending = await place.run()
    assert ending.state is EndState.PENDING, ending.sentence
    assert soon(ending.resume_at) and ending.resume_at is not None and ending.resume_at > datetime.now(UTC)
    assert time.monotonic() - began < 60
    assert len(statuses(served, 429)) <= IN_FLIGHT


async def test_the_clock_jumps_in_the_middle(simulators: ProcoreSimulators, tmp_path: Path) -> None:
    served = simulators(files=80, seed=45, max_file_bytes=5_000, settings={"link_seconds": 600.0, "latency_ms": 10.0})
    place = make_place(served, tmp_path, page_size=20)
    with watched(AtFile(20, lambda: served.advance(3600))):
        ending = await place.run()
    assert ending.state is EndState.DONE, ending.sentence
    assert place.found() == place.expected()
