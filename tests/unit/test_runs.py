import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from migration.errors import FatalError
from migration.jobs import Job
from migration.progress import Phase
from migration.runs import JobRunning, RunRecord, RunState, begin, job_digest, job_lock
from migration.state import JobState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def job(**changes: Any) -> Job:
    plain = {
        "name": "towers",
        "source": {"connection": "office", "path": "Tower A"},
        "destination": {"connection": "archive", "path": "2026"},
    }
    return Job.model_validate({**plain, **changes})


@pytest.fixture
def state(tmp_path: Path) -> JobState:
    return JobState.of(tmp_path, "towers")


def test_the_first_run_is_new_and_recorded(state: JobState) -> None:
    run = begin(state, job(), NOON)
    assert (run.resumed, run.after_crash) == (False, False)
    assert "not been run before" in run.why
    assert state.load_job() == job()
    record = run.record
    assert (record.state, record.started_at, record.starts, record.phases) == (RunState.RUNNING, NOON, 1, {})
    assert record.job_digest == job_digest(job())


def test_phases_are_recorded_when_reached_and_when_finished(state: JobState) -> None:
    run = begin(state, job(), NOON)
    run.reached(Phase.ANALYZE, NOON)
    run.reached(Phase.ANALYZE, NOON + HOUR)
    assert run.record.phases == {Phase.ANALYZE: (NOON, None)}
    assert not run.record.finished(Phase.ANALYZE)
    run.finished_phase(Phase.ANALYZE, NOON + HOUR)
    assert run.record.phases == {Phase.ANALYZE: (NOON, NOON + HOUR)}
    assert run.record.finished(Phase.ANALYZE)


def test_a_stopped_run_is_continued_and_says_why(state: JobState) -> None:
    first = begin(state, job(), NOON)
    first.stopped("the hourly calls are used up", NOON + HOUR, resume_at=NOON + 2 * HOUR)
    assert (first.record.state, first.record.resume_at) == (RunState.STOPPED, NOON + 2 * HOUR)
    second = begin(state, job(), NOON + 2 * HOUR)
    assert (second.run_id, second.resumed, second.after_crash) == (first.run_id, True, False)
    assert second.why == f"Continuing run {first.run_id}, which stopped: the hourly calls are used up."
    assert (second.record.state, second.record.starts, second.record.reason) == (RunState.RUNNING, 2, None)


def test_a_failed_run_is_continued(state: JobState) -> None:
    first = begin(state, job(), NOON)
    first.failed("disk-full", "The disk is full.", NOON)
    assert (first.record.state, first.record.code, first.record.reason) == (
        RunState.FAILED,
        "disk-full",
        "The disk is full.",
    )
    second = begin(state, job(), NOON)
    assert (second.run_id, second.after_crash) == (first.run_id, True)


def test_what_a_dead_process_left_staged_is_remembered_until_it_is_swept(state: JobState) -> None:
    begin(state, job(), NOON)
    stopped_before_transfer = begin(state, job(), NOON)
    stopped_before_transfer.stopped("the hourly calls are used up", NOON)
    third = begin(state, job(), NOON, plan_anew=True)
    assert third.after_crash
    third.swept()
    third.stopped("asked to", NOON)
    assert not begin(state, job(), NOON).after_crash


def test_a_run_whose_process_died_is_continued_and_known_as_such(state: JobState) -> None:
    first = begin(state, job(), NOON)
    second = begin(state, job(), NOON + HOUR)
    assert (second.run_id, second.resumed, second.after_crash) == (first.run_id, True, True)
    assert "process died" in second.why


def begin_after(state: JobState, first_job: Job, second_job: Job, after: timedelta, *, prepare: str = "") -> str:
    first = begin(state, first_job, NOON)
    first.reached(Phase.ANALYZE, NOON)
    if prepare in ("planned", "transferring", "ledger"):
        first.reached(Phase.PLAN, NOON)
        first.finished_phase(Phase.PLAN, NOON + 70 * HOUR)
    if prepare in ("transferring", "ledger"):
        first.reached(Phase.TRANSFER, NOON + 70 * HOUR)
    if prepare == "ledger":
        state.ledger.touch()
    if prepare == "finished":
        first.finished(NOON)
    else:
        first.stopped("asked to", NOON)
    second = begin(state, second_job, NOON + after)
    assert second.resumed == (second.run_id == first.run_id)
    return "resumed" if second.resumed else second.why


@pytest.mark.parametrize(
    ("second", "after", "prepare", "expected"),
    [
        ({}, HOUR, "finished", "the last one finished"),
        ({"rules": {"timestamps": False}}, HOUR, "", "the job was changed"),
        ({"destination": {"connection": "archive", "path": "2027"}}, HOUR, "", "the job was changed"),
        ({"performance": {"parallel_writes": 4}}, HOUR, "", "resumed"),
        ({"on_budget_exhausted": "wait"}, HOUR, "", "resumed"),
        ({}, 72 * HOUR, "", "resumed"),
        ({}, 73 * HOUR, "", "older than 72 hours"),
        ({}, 73 * HOUR, "planned", "resumed"),
        ({}, 143 * HOUR, "planned", "older than 72 hours"),
        ({"plan_ttl_hours": 0.5}, HOUR, "", "older than 0.5 hours"),
        ({}, -HOUR, "", "resumed"),
        ({}, 80 * HOUR, "transferring", "ledger"),
        ({}, 80 * HOUR, "ledger", "resumed"),
    ],
)
def test_when_a_run_is_continued(
    state: JobState, second: dict[str, Any], after: timedelta, prepare: str, expected: str
) -> None:
    assert expected in begin_after(state, job(), job(**second), after, prepare=prepare)


def test_a_new_plan_can_be_asked_for(state: JobState) -> None:
    first = begin(state, job(), NOON)
    first.stopped("asked to", NOON)
    second = begin(state, job(), NOON + HOUR, plan_anew=True)
    assert not second.resumed
    assert begin(state, job(), NOON + HOUR).run_id == second.run_id


def test_the_newest_run_is_the_last_one_also_when_the_clock_was_set_back(state: JobState) -> None:
    first = begin(state, job(), NOON)
    first.finished(NOON)
    second = begin(state, job(), NOON - HOUR)
    assert second.run_id > first.run_id
    assert begin(state, job(), NOON - HOUR).run_id == second.run_id


def test_a_run_killed_while_it_was_being_made_is_passed_over(state: JobState) -> None:
    state.new_run(NOON)
    assert not begin(state, job(), NOON + HOUR).resumed


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run_id": "x"}', '{"state": "running"}'])
def test_a_damaged_record_is_said_so(state: JobState, content: str) -> None:
    run = begin(state, job(), NOON)
    run.paths.run_record.write_text(content)
    with pytest.raises(FatalError) as told:
        RunRecord.load(run.paths)
    assert told.value.code == "run-record-unreadable"


def test_the_record_is_readable_json(state: JobState) -> None:
    run = begin(state, job(), NOON)
    run.stopped("asked to", NOON)
    plain = json.loads(run.paths.run_record.read_text())
    assert plain["format_version"] == 1
    assert plain["job"] == "towers"
    assert plain["ended"] == {"at": NOON.isoformat(), "reason": "asked to", "resume_at": None}
    start = {"pid": os.getpid(), "at": NOON.isoformat(), "ended_at": NOON.isoformat(), "job_version": 1}
    assert plain["starts"] == [start]


HOLD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from migration.runs import job_lock
from migration.state import JobState

with job_lock(JobState(Path(sys.argv[1])), datetime(2026, 3, 1, 12, tzinfo=UTC)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_runs_a_job_and_the_other_learns_who(state: JobState) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(JobRunning) as told, job_lock(state, NOON):
            pass
        assert told.value.code == "already-running"
        assert f"process {holder.pid} since 2026-03-01T12:00" in told.value.message
        holder.kill()
        holder.wait()
        with job_lock(state, NOON):
            assert json.loads(state.lock.read_text())["pid"] == os.getpid()


def test_the_lock_is_free_again_after_its_block(state: JobState) -> None:
    for _ in range(2):
        with job_lock(state, NOON):
            pass
