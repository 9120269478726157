"""The record of a run (run.json): which phases it reached, how it was started, stopped and ended; and who may run.

A run goes on over several processes: each start of it is a line in the record. One process runs a job at a time; the
lock is the operating system's, so that a dead process never locks a job for good.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from migration.approval import Approval
from migration.errors import ConfigurationError, FatalError
from migration.job_changes import JobChange, changed_fields, job_changes
from migration.jobs import Job
from migration.progress import Phase
from migration.state import JobState, RunPaths, write_json_atomically

FORMAT_VERSION = 1
_NOT_PLANNED_BY = {
    "performance",
    "on_budget_exhausted",
    "plan_ttl_hours",
    "schedule",
    "stop_policy",
    "attempts_max",
    "children",
    "reserve_percent",
    "require_approval",
    "simulation_mode",
}
"""Fields of a job that change how a run works but not what it decides: changing them resumes the run."""


class RunState(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    """A process works on it, or died doing so (the lock tells which)."""
    STOPPED = "stopped"
    """Stopped cleanly (budget, time, a signal); the next run continues it."""
    FAILED = "failed"
    """Stopped by an error; the next run continues it."""
    FINISHED = "finished"
    """Nothing is pending; the next run analyzes and plans anew."""


class JobRunning(ConfigurationError):
    """Another process is running this job."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job as this process works on it. Every method that changes the record is durable on return."""

    paths: RunPaths
    resumed: bool
    """Whether an earlier, unfinished run is continued."""
    why: str
    """One sentence for the operator: why this run was resumed or begun."""
    after_crash: bool
    """Whether an earlier process of this job died or failed, and what it may have left staged was not swept yet."""

    @property
    def run_id(self) -> str:
        return self.paths.run_id

    @property
    def record(self) -> "RunRecord":
        """The record as it is on disk."""
        return RunRecord.load(self.paths)

    def swept(self) -> None:
        """What dead processes left staged at the destination is gone."""
        self._change(lambda record: record.update(staged_may_be_left=False))

    def reached(self, phase: Phase, now: datetime) -> None:
        """The phase begins or is continued; the first time is kept."""
        self._change(lambda record: record["phases"].setdefault(phase.value, {"reached_at": _text(now)}))

    def finished_phase(self, phase: Phase, now: datetime) -> None:
        """The phase is complete. A phase that was reached again (verify, report) gets the new time."""

        def change(record: dict[str, Any]) -> None:
            record["phases"].setdefault(phase.value, {"reached_at": _text(now)})["finished_at"] = _text(now)

        self._change(change)

    def decided(self, approval: Approval) -> None:
        """A person decided on the run's plan; an earlier decision is replaced."""
        self._change(lambda record: record.update(approval=approval.to_json()))

    def stopped(self, reason: str, now: datetime, resume_at: datetime | None = None) -> None:
        """The run stops here and the next one continues it; `resume_at` is when that makes sense."""
        self._end(RunState.STOPPED, now, reason=reason, resume_at=_text(resume_at) if resume_at else None)

    def failed(self, code: str, message: str, now: datetime) -> None:
        """An error stopped the run; the next one continues it."""
        self._end(RunState.FAILED, now, reason=message, code=code)

    def finished(self, now: datetime) -> None:
        """Nothing is pending."""
        self._end(RunState.FINISHED, now)

    def _end(self, state: RunState, now: datetime, **why: str | None) -> None:
        def change(record: dict[str, Any]) -> None:
            record["state"] = state.value
            record["ended"] = {"at": _text(now), **why}
            record["starts"][-1]["ended_at"] = _text(now)

        self._change(change)

    def _change(self, change: Any) -> None:
        record = _read(self.paths)
        change(record)
        write_json_atomically(self.paths.run_record, record)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What run.json says."""

    run_id: str
    job_digest: str
    state: RunState
    started_at: datetime
    starts: int
    """How many processes have worked on it."""
    phases: dict[Phase, tuple[datetime, datetime | None]]
    """When each phase was reached and when it was finished (None: not yet)."""
    reason: str | None
    """Why it stopped or failed."""
    code: str | None
    """The stable code of the error it failed with."""
    resume_at: datetime | None
    ended_at: datetime | None
    staged_may_be_left: bool
    approval: Approval | None
    """What a person decided on the run's plan; None = nobody was asked or has answered."""
    simulation: bool
    """Whether nothing is written anywhere but here."""
    job_version: int | None
    """Which version of the job the last start of it used; None = not recorded."""
    given_up: bool
    """Whether a reset said that it is not to be continued."""

    def finished(self, phase: Phase) -> bool:
        """Whether the phase is complete."""
        reached = self.phases.get(phase)
        return reached is not None and reached[1] is not None

    @classmethod
    def load(cls, paths: RunPaths) -> "RunRecord":
        """Raises FatalError `run-record-unreadable` for a record that is missing or damaged."""
        raw = _read(paths)
        ended = raw.get("ended") or {}
        try:
            return cls(
                run_id=raw["run_id"],
                job_digest=raw["job_digest"],
                state=RunState(raw["state"]),
                started_at=datetime.fromisoformat(raw["started_at"]),
                starts=len(raw["starts"]),
                phases={
                    Phase(name): (datetime.fromisoformat(times["reached_at"]), _time(times.get("finished_at")))
                    for name, times in raw["phases"].items()
                },
                reason=ended.get("reason"),
                code=ended.get("code"),
                resume_at=_time(ended.get("resume_at")),
                ended_at=_time(ended.get("at")),
                staged_may_be_left=raw["staged_may_be_left"],
                approval=Approval.from_json(raw["approval"]) if raw.get("approval") else None,
                simulation=raw.get("simulation", False),
                job_version=raw["starts"][-1].get("job_version"),
                given_up=raw.get("given_up_at") is not None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(paths) from error


def begin(state: JobState, job: Job, now: datetime, *, plan_anew: bool = False, simulation: bool = False) -> Run:
    """Resume the job's last run if it is unfinished, of the same job and young enough; begin a new one otherwise.

    To be called with the job's lock held. Records the job and this start. Age counts from when the plan was made (from
    the start while there is none); a run whose ledger is gone is not resumed. `plan_anew` never resumes.
    """
    version = state.save_job(job, now)
    digest = job_digest(job)
    last = _last_run(state)
    after_crash = last is not None and (
        last[1].staged_may_be_left or last[1].state in (RunState.RUNNING, RunState.FAILED)
    )
    why_new = "an own plan was asked for" if plan_anew else _why_not_resumed(state, last, digest, job, now)
    if last is not None and why_new is None:
        _resume(last[0], now, version, after_crash=after_crash)
        return Run(last[0], resumed=True, after_crash=after_crash,
                   why=f"Continuing run {last[0].run_id}, {_how_ended(last[1])}." + _what_changed(state, last[1], job),
        )  # fmt: skip
    paths = state.new_run(_after_all_runs(state, now))
    write_json_atomically(paths.run_record, {
        "format_version": FORMAT_VERSION, "run_id": paths.run_id, "job": job.name, "job_digest": digest,
        "state": RunState.RUNNING.value, "started_at": _text(now), "phases": {}, "ended": None,
        "simulation": simulation,
        "starts": [_start(now, version)],
        "staged_may_be_left": after_crash,
    })  # fmt: skip
    changed = _what_changed(state, last[1], job) if last else ""
    return Run(paths, resumed=False, why=f"A new run, because {why_new}.{changed}", after_crash=after_crash)


def why_not_resumed(state: JobState, job: Job, now: datetime) -> str | None:
    """Why the job's last run would not be continued by `begin`; None if it would."""
    return _why_not_resumed(state, _last_run(state), job_digest(job), job, now)


def give_up_unfinished(state: JobState, now: datetime) -> str | None:
    """Let the next run begin anew even if the last one is unfinished; the id of that one, None if there is none.

    To be called with the job's lock held. What the run did stays done.
    """
    last = _last_run(state)
    if last is None or last[1].state is RunState.FINISHED or last[1].given_up:
        return None
    record = _read(last[0])
    record["given_up_at"] = _text(now)
    write_json_atomically(last[0].run_record, record)
    return last[0].run_id


def job_digest(job: Job) -> str:
    """32 hexadecimal characters over what a plan depends on in a job."""
    decided = job.model_dump(mode="json", exclude=_NOT_PLANNED_BY)
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:32]


def changes_between(before: Job, after: Job) -> tuple[JobChange, ...]:
    """The fields in which two jobs differ, and what each means for an unfinished run."""
    return job_changes(before, after, resumed_with=_NOT_PLANNED_BY)


@contextmanager
def job_lock(state: JobState, now: datetime) -> Iterator[None]:
    """Be the only process running this job.

    Raises JobRunning `already-running` (with the other's process id and since when) when another one is. The lock goes
    with the process, however it ends.
    """
    state.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(state.lock, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _running(state, file.read()) from None
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": _text(now)}) + "\n")
        file.flush()
        yield


def _running(state: JobState, holder: str) -> JobRunning:
    try:
        who = json.loads(holder)
        by = f" by process {who['pid']} since {who['since']}"
    except (ValueError, KeyError, TypeError):
        by = " by another process"
    return JobRunning(
        "already-running",
        f"The job {state.job_name!r} is being run{by}.",
        fix="Wait until it has ended, or stop it; one run of a job at a time is allowed.",
    )


def _last_run(state: JobState) -> tuple[RunPaths, RunRecord] | None:
    """The newest run that has a record. One without was killed while it was being made and holds nothing."""
    for paths in reversed(state.runs()):
        if paths.run_record.is_file():
            return paths, RunRecord.load(paths)
    return None


def _after_all_runs(state: JobState, now: datetime) -> datetime:
    """A time for the new run's name after every other run's, also when the clock was set back in between."""
    latest = now
    for paths in state.runs():
        with suppress(ValueError):
            begun = datetime.strptime(paths.run_id, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
            latest = max(latest, begun + timedelta(microseconds=1))
    return latest


def _why_not_resumed(
    state: JobState, last: tuple[RunPaths, RunRecord] | None, digest: str, job: Job, now: datetime
) -> str | None:
    """Why the last run cannot be continued, None when it can."""
    if last is None:
        return "this job has not been run before"
    record = last[1]
    if record.state is RunState.FINISHED:
        return "the last one finished"
    if record.given_up:
        return f"the unfinished run {record.run_id} was given up by a reset"
    if record.job_digest != digest:
        return f"the job was changed since the unfinished run {record.run_id}"
    if Phase.TRANSFER in record.phases and not state.ledger.is_file():
        return f"the ledger of the unfinished run {record.run_id} is gone"
    planned = record.phases.get(Phase.PLAN)
    age = now - ((planned[1] if planned else None) or record.started_at)
    if age > timedelta(hours=job.plan_ttl_hours):
        return f"the unfinished run {record.run_id} is older than {job.plan_ttl_hours:g} hours"
    return None


def _resume(paths: RunPaths, now: datetime, version: int, *, after_crash: bool) -> None:
    record = _read(paths)
    record["state"] = RunState.RUNNING.value
    record["ended"] = None
    record["staged_may_be_left"] = after_crash
    record["starts"].append(_start(now, version))
    write_json_atomically(paths.run_record, record)


def _what_changed(state: JobState, record: RunRecord, job: Job) -> str:
    """A sentence, with a space before it, about the fields that changed since the run; empty if none did."""
    if record.job_version is None:
        return ""
    try:
        before = state.load_version(record.job_version)[0]
    except ConfigurationError:
        return ""
    changes = changes_between(before, job)
    return f" Changed since then: {changed_fields(changes)}." if changes else ""


def _how_ended(record: RunRecord) -> str:
    if record.state is RunState.RUNNING:
        return "whose process died"
    return f"which {record.state.value}: {record.reason}"


def _start(now: datetime, job_version: int) -> dict[str, Any]:
    return {"pid": os.getpid(), "at": _text(now), "ended_at": None, "job_version": job_version}


def _read(paths: RunPaths) -> dict[str, Any]:
    try:
        record = json.loads(paths.run_record.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(paths) from error
    if not isinstance(record, dict):
        raise _unreadable(paths)
    return record


def _unreadable(paths: RunPaths) -> FatalError:
    return FatalError(
        "run-record-unreadable",
        f"The record of the run, {paths.run_record}, is missing or damaged.",
        fix="Move the run's folder away; the next run plans anew and recognises what is already at the destination.",
    )


def _text(time: datetime) -> str:
    return time.isoformat()


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
