import os
import signal
from pathlib import Path

import pytest

from flows.endings import EndState
from migration.errors import BudgetExhausted, SiteHaulError
from migration.progress import Phase
from migration.runs import RunRecord, RunState
from tasks.connections import save_connection
from tasks.progress import Standing
from tasks.server import Server
from tasks.session import watched
from tests.flows.place import Place, make_place, procore_settings
from tests.servers import ProcoreSimulators


@pytest.fixture
def simulators(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ProcoreSimulators:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    return procore_simulator


class Interrupting:
    """Sends this process a signal once a phase is under way."""

    def __init__(self, phase: Phase, number: signal.Signals) -> None:
        self.sentences: list[str] = []
        self._phase = phase
        self._number: signal.Signals | None = number

    def stands(self, standing: Standing) -> None:
        progress = standing.progress
        if progress.phase is self._phase and self._number and (progress.files_done or progress.entries):
            os.kill(os.getpid(), self._number)
            self._number = None

    def said(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.mark.parametrize(
    ("phase", "number"),
    [(Phase.TRANSFER, signal.SIGTERM), (Phase.ANALYZE, signal.SIGTERM), (Phase.VERIFY, signal.SIGINT)],
)
async def test_a_signal_stops_in_good_order_and_the_next_run_continues(
    simulators: ProcoreSimulators, tmp_path: Path, phase: Phase, number: signal.Signals
) -> None:
    served = simulators(files=150, seed=12, max_file_bytes=100_000, settings={"latency_ms": 20.0})
    place = make_place(served, tmp_path, page_size=40)
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    with watched(Interrupting(phase, number)):
        stopped = await place.run()
    assert stopped.state is EndState.PENDING
    assert stopped.run is not None
    assert RunRecord.load(stopped.run).state is RunState.STOPPED
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert not [path for path in place.files() if path.name.startswith(".sitehaul-")]

    watcher = Interrupting(Phase.REPORT, signal.SIGTERM)
    watcher._number = None
    with watched(watcher):
        finished = await place.run()
    assert finished.state is EndState.DONE, finished.sentence
    assert finished.run is not None and finished.run.run_id == stopped.run.run_id
    assert watcher.sentences[0].startswith("Continuing run")
    assert place.found() == place.expected()


async def test_a_budget_used_up_in_the_analysis_is_continued_there(
    simulators: ProcoreSimulators, tmp_path: Path
) -> None:
    served = simulators(files=150, seed=13, max_file_bytes=10_000)
    place = make_place(served, tmp_path, page_size=20, hourly_calls=6)
    stopped = await place.run()
    assert stopped.state is EndState.PENDING
    assert isinstance(stopped.stopped, BudgetExhausted)
    assert stopped.resume_at is not None
    listed_before = index_calls(place)

    save_connection(place.job.source.connection, procore_settings(served, page_size=20, hourly_calls=1000))
    finished = await place.run()
    assert finished.state is EndState.DONE, finished.sentence
    assert place.found() == place.expected()
    pages = [call for call in index_calls(place) if "document_type%5D=file" in call]
    assert len(pages) <= len(set(pages)) + 1, "pages of files listed before the stop are not listed again"
    assert len(index_calls(place)) > len(listed_before)


def api_calls(place: Place) -> list[dict[str, object]]:
    return [entry for entry in place.served.log() if entry["host"] in ("api", "storage")]


def index_calls(place: Place) -> list[str]:
    return [
        f"{entry['path']}?{entry.get('query', '')}"
        for entry in place.served.log()
        if entry["host"] == "api" and "documents" in entry["path"]
    ]


@pytest.mark.slow
async def test_a_budget_used_up_in_the_transfer_leaves_files_pending(
    simulators: ProcoreSimulators, tmp_path: Path
) -> None:
    served = simulators(files=60, seed=14, max_file_bytes=10_000, settings={"count_storage": True, "hourly_calls": 40})
    place = make_place(served, tmp_path, hourly_calls=40)
    stopped = await place.run()
    assert stopped.state is EndState.PENDING, stopped.sentence
    assert stopped.reconciliation is not None and stopped.reconciliation.adds_up
    assert stopped.reconciliation.total.files["pending"] > 0
    assert "pending" in stopped.sentence
    assert stopped.run is not None and stopped.run.report.is_file()

    calls = len(api_calls(place))
    again = await place.run()
    assert again.state is EndState.PENDING, again.sentence
    assert again.run is not None and again.run.run_id == stopped.run.run_id
    in_flight = place.job.performance.parallel_writes
    assert len(api_calls(place)) <= calls + in_flight, "who was refused does not ask again before the time named"


@pytest.mark.slow
async def test_a_source_that_goes_away_and_comes_back(
    procore_simulator: ProcoreSimulators, simulators: ProcoreSimulators, tmp_path: Path
) -> None:
    served = simulators(files=24, seed=15, max_file_bytes=10_000, name="comes-back")
    place = make_place(served, tmp_path)
    await place.run("plan")
    served.faults([{"host": "blob", "fault": "reset"}, {"host": "storage", "fault": "503"}])
    failed = await place.run()
    assert failed.state is EndState.PENDING, failed.sentence
    assert failed.reconciliation is not None
    assert failed.reconciliation.total.files["retrying"] > 0
    served.faults([])
    finished = await place.run()
    assert finished.state is EndState.DONE, finished.sentence
    assert finished.run is not None and failed.run is not None
    assert finished.run.run_id == failed.run.run_id
    assert place.found() == place.expected()


async def test_a_plan_that_no_longer_fits_is_refused_and_then_made_anew(
    simulators: ProcoreSimulators, tmp_path: Path
) -> None:
    place = make_place(simulators(files=40, seed=16, max_file_bytes=10_000), tmp_path)
    planned = await place.run("plan")
    assert planned.run is not None
    planned.run.plan.write_bytes(planned.run.plan.read_bytes() + b"x")
    refused = await place.run()
    assert isinstance(refused.error, SiteHaulError) and refused.error.code == "plan-changed"
    assert place.files() == []
    again = await place.run()
    assert again.state is EndState.DONE
    assert again.run is not None and again.run.run_id != planned.run.run_id
