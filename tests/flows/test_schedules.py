"""Windows, longest runs, stop policies and attempts, as runs keep to them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.endings import EndState
from migration.actions import ActionKind
from migration.decisions import Decision, Word, decide
from migration.executions import load_counters
from migration.jobs import Job
from migration.plans import Plan
from migration.stop_policy import Counters
from tasks.server import Server
from tasks.session import watched
from tests.flows.place import Place, make_place
from tests.flows.test_account import InTheWay
from tests.servers import ProcoreSimulators


@pytest.fixture
def simulators(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ProcoreSimulators:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    return procore_simulator


def changed(place: Place, **fields: Any) -> Job:
    return Job.model_validate(place.job.model_dump(mode="json") | fields)


def only_on(day: datetime) -> dict[str, Any]:
    return {"days": [f"{day:%A}".lower()]}


def counters(place: Place) -> Counters:
    return load_counters(place.state.executions)


async def test_outside_of_its_window_a_job_does_not_begin(simulators: ProcoreSimulators, tmp_path: Path) -> None:
    place = make_place(simulators(files=12, seed=41, max_file_bytes=10_000), tmp_path)
    day_after_tomorrow = datetime.now(UTC) + timedelta(days=2)
    job = changed(place, schedule=only_on(day_after_tomorrow))
    ending = await place.run(job=job)
    assert ending.state is EndState.PENDING
    assert ending.resume_at is not None and ending.resume_at.date() == day_after_tomorrow.date()
    assert f"that begins at {day_after_tomorrow:%Y-%m-%d} 00:00 UTC" in ending.sentence
    assert ending.run is None and not place.state.runs()


async def test_a_run_that_takes_too_long_stops_and_is_continued_then_the_job_is_complete(
    simulators: ProcoreSimulators, tmp_path: Path
) -> None:
    served = simulators(files=120, seed=42, max_file_bytes=20_000, settings={"latency_ms": 150.0})
    place = make_place(served, tmp_path, page_size=40)
    slow = changed(place, schedule={"max_execution": "2s"}, performance={"parallel_writes": 2})
    stopped = await place.run(job=slow)
    assert stopped.state is EndState.PENDING, stopped.sentence
    assert "one run may take 2s at most" in stopped.sentence
    assert counters(place) == Counters()

    served.settings(latency_ms=0.0)
    policy = {"stop_policy": {"no_changes": 1}}
    finished = await place.run(job=changed(place, **policy))
    assert finished.state is EndState.DONE, finished.sentence
    assert finished.run is not None and stopped.run is not None and finished.run.run_id == stopped.run.run_id
    assert place.found() == place.expected()
    assert counters(place) == Counters(executions=1)

    await place.run(job=changed(place, **policy))
    assert counters(place) == Counters(executions=2, no_changes=1)
    runs = len(place.state.runs())
    complete = await place.run(job=changed(place, **policy))
    assert (complete.state, complete.run) == (EndState.DONE, None)
    assert "stop policy was reached: after 1 run without changes" in complete.sentence
    assert len(place.state.runs()) == runs


async def test_a_run_that_fails_counts_and_one_that_cannot_start_does_not(
    simulators: ProcoreSimulators, tmp_path: Path
) -> None:
    place = make_place(simulators(files=12, seed=43, max_file_bytes=10_000), tmp_path)
    nowhere = changed(place, source={"connection": "nobody-knows", "path": ""})
    assert (await place.run(job=nowhere)).state is EndState.FAILED
    assert counters(place) == Counters()

    with watched(InTheWay(place)):
        failed = await place.run(job=changed(place, stop_policy={"failures": 1}))
    assert failed.state is EndState.FAILED, failed.sentence
    assert counters(place) == Counters(executions=1, failures=1)
    complete = await place.run(job=changed(place, stop_policy={"failures": 1}))
    assert "after 1 failed run" in complete.sentence


async def test_a_file_that_always_fails_is_flagged_after_three_attempts_until_a_person_says_retry(
    simulators: ProcoreSimulators, tmp_path: Path
) -> None:
    served = simulators(files=12, seed=44, max_file_bytes=10_000, name="fails")
    place = make_place(served, tmp_path)
    served.faults([{"host": "storage", "fault": "503", "retry_after": 600}])
    job = changed(place, attempts_max=3)
    closed = changed(place, attempts_max=3, schedule=only_on(datetime.now(UTC) + timedelta(days=2)))
    first = await place.run(job=closed, force=True)
    assert first.state is EndState.PENDING, first.sentence
    second = await place.run(job=job)
    assert second.state is EndState.FLAGGED, second.sentence
    assert second.reconciliation is not None and second.run is not None
    files = second.reconciliation.total
    assert files.files["flagged"] == files.source_files
    assert ",3," in (second.run.folder / "flagged.csv").read_text("utf-8-sig")

    served.faults([])
    left_out, *others = decided(place)
    decide(place.state.decisions, [replace(left_out, decision=Word.IGNORE, note="not needed"), *others])
    again = await place.run(job=job)
    assert again.state is EndState.DONE, again.sentence
    assert again.reconciliation is not None and again.run is not None
    assert again.reconciliation.reasons["skipped"] == {"ignored-by-person": 1}
    assert "by ann on" in (again.run.folder / "skipped.csv").read_text("utf-8-sig")
    assert (place.expected() - place.found()).total() == 1


def decided(place: Place) -> list[Decision]:
    plan = Plan.load(place.state.runs()[-1])
    return [
        Decision(
            source_id=action.source.id,
            source_version_id=action.source.version_id,
            size_bytes=action.size_bytes,
            modified_at=action.modified_at,
            source_path=action.source_path,
            decision=Word.RETRY,
            reason=None,
            by="ann",
            at=datetime.now(UTC),
        )
        for action in plan.actions([ActionKind.COPY])
        if action.source is not None
    ]
