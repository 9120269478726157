"""How jobs stand, read from their state alone: no server is needed."""

import asyncio
import fcntl
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from migration.errors import ConfigurationError
from migration.executions import load_counters
from migration.jobs import Job
from migration.ledger import Ledger
from migration.plan_format import PlanSummary
from migration.plans import Plan
from migration.reconciliation import load_reconciliation
from migration.runs import RunRecord, RunState
from migration.state import JobState, RunPaths
from migration.stop_policy import Counters, progress, reached


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStanding:
    """A job and its last run. `state` is a RunState, or "interrupted" (its process died), "new" (no run yet)."""

    job: str
    state: str
    run: RunPaths | None = None
    started_at: datetime | None = None
    reason: str | None = None
    resume_at: datetime | None = None
    source_files: int | None = None
    done: int | None = None
    pending: int | None = None
    flagged: int | None = None
    counters: Counters = field(default_factory=Counters)
    stop_policy: str = ""
    """How far the job is on the way to its end, or why it is complete; "" without a stop policy."""

    def to_json(self) -> dict[str, Any]:
        """What `status --json` prints of a job."""
        report = self.run.report if self.run and self.run.report.is_file() else None
        return {
            "job": self.job,
            "state": self.state,
            "run_id": self.run.run_id if self.run else None,
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "reason": self.reason,
            "resume_at": self.resume_at.isoformat() if self.resume_at else None,
            "source_files": self.source_files,
            "done": self.done,
            "pending": self.pending,
            "flagged": self.flagged,
            "counters": self.counters.to_json(),
            "stop_policy": self.stop_policy,
            "report": str(report) if report else None,
        }

    def cells(self) -> list[str]:
        """One row of the table people see."""
        numbers = (self.source_files, self.done, self.pending, self.flagged)
        why = self.reason or ""
        if self.resume_at:
            why += f" (continues from {self.resume_at:%Y-%m-%d %H:%M} UTC on)"
        why = "; ".join(words for words in (why, self.stop_policy) if words)
        return [
            self.job,
            self.state,
            f"{self.started_at:%Y-%m-%d %H:%M}" if self.started_at else "",
            *["" if number is None else f"{number:,}" for number in numbers],
            why,
        ]


def states_of(state_folder: Path, name: str | None = None) -> list[JobState]:
    """The states of the job named and of its children, or of all jobs. ConfigurationError `job-not-found`."""
    if name is not None:
        state = _existing(state_folder, name)
        return [state, *state.children()]
    jobs = [JobState(path.parent) for path in sorted(state_folder.glob("*/job.json"))]
    return [one for state in jobs for one in (state, *state.children())]


def job_standings(state_folder: Path, name: str | None = None) -> list[JobStanding]:
    """Every job but the children of others, or the one named and its children. ConfigurationError `job-not-found` for
    one that does not exist."""
    if name is not None:
        return [_standing(one) for one in states_of(state_folder, name)]
    if not state_folder.is_dir():
        return []
    return [_standing(JobState(path)) for path in sorted(state_folder.iterdir()) if (path / "job.json").is_file()]


def known_job(state_folder: Path, name: str) -> Job:
    """The job as it was last run. ConfigurationError `job-not-found`."""
    return _existing(state_folder, name).load_job()


def run_of(state_folder: Path, name: str, run_id: str | None) -> RunPaths:
    """A run of the job, the newest one unless another is named. ConfigurationError `run-not-found`."""
    runs = [run for run in _existing(state_folder, name).runs() if run.run_record.is_file()]
    for run in reversed(runs):
        if run_id in (None, run.run_id):
            return run
    raise ConfigurationError(
        "run-not-found",
        f"The job '{name}' has no run {run_id}." if run_id else f"The job '{name}' has not been run yet.",
        fix=f"Its runs: {', '.join(run.run_id for run in runs)}." if runs else None,
    )


def _existing(state_folder: Path, name: str) -> JobState:
    state = JobState.of(state_folder, name)
    if not state.job_file.is_file():
        known = ", ".join(sorted(path.parent.name for path in state_folder.glob("*/job.json")))
        raise ConfigurationError(
            "job-not-found",
            f"There is no job '{name}' in {state_folder}.",
            fix=f"Known jobs: {known}." if known else "Run one first: sitehaul run --help",
        )
    return state


def _standing(state: JobState) -> JobStanding:
    counters = load_counters(state.executions)
    return replace(_last_run(state), counters=counters, stop_policy=_stop_policy(state, counters))


def _stop_policy(state: JobState, counters: Counters) -> str:
    try:
        job = state.load_job()
    except ConfigurationError as error:
        return error.message
    complete = reached(job.stop_policy, counters, datetime.now(job.schedule.zone).date())
    return f"complete {complete}" if complete else progress(job.stop_policy, counters)


def _last_run(state: JobState) -> JobStanding:
    runs = [run for run in state.runs() if run.run_record.is_file()]
    if not runs:
        return JobStanding(job=state.job_name, state="new")
    run, record = runs[-1], RunRecord.load(runs[-1])
    died = record.state is RunState.RUNNING and not _is_locked(state)
    numbers = _numbers(state, run, record)
    return JobStanding(
        job=state.job_name,
        state="interrupted" if died else record.state.value,
        run=run,
        started_at=record.started_at,
        reason="its process died; the next run continues" if died else record.reason,
        resume_at=record.resume_at,
        source_files=numbers.get("source_files"),
        done=numbers.get("done"),
        pending=numbers.get("pending"),
        flagged=numbers.get("flagged"),
    )


def _numbers(state: JobState, run: RunPaths, record: RunRecord) -> dict[str, int]:
    if run.reconciliation.is_file() and record.state is not RunState.RUNNING:
        account = load_reconciliation(run).total
        left = account.files["pending"] + account.files["retrying"]
        done = account.source_files - left
        return _named(account.source_files, done, left, account.files["flagged"])
    if run.plan_summary.is_file():
        return _numbers_from_ledger(state, run, Plan.load(run).summary)
    return {}


def _numbers_from_ledger(state: JobState, run: RunPaths, summary: PlanSummary) -> dict[str, int]:
    """For a run that goes on or died: folders come first, so outcomes beyond them are files."""
    counts = asyncio.run(_counts(state.ledger, run.run_id)) if state.ledger.is_file() else {}
    finished = sum(count for word, count in counts.items() if word in ("succeeded", "revised", "skipped", "flagged"))
    copied = min(max(0, finished - summary.folders_to_make), summary.files_to_copy)
    left = summary.files_to_copy - copied
    return _named(summary.files, summary.files - left, left, summary.files_flagged + counts.get("flagged", 0))


async def _counts(path: Path, run_id: str) -> dict[str, int]:
    async with Ledger.open(path) as ledger:
        return {word.value: count for word, count in (await ledger.counts(run_id)).items()}


def _named(source_files: int, done: int, pending: int, flagged: int) -> dict[str, int]:
    return {"source_files": source_files, "done": done, "pending": pending, "flagged": flagged}


def _is_locked(state: JobState) -> bool:
    try:
        with open(state.lock, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
