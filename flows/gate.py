"""What a job's schedule and stop policy say of a run: whether it may begin, what ends it, what it counts for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flows.endings import Ending, EndState
from migration.actions import OutcomeWord
from migration.child_rules import JobKind
from migration.errors import ConfigurationError, PlanError, StoppedResumable
from migration.executions import load_counters, save_counters
from migration.jobs import Job
from migration.ledger import Ledger
from migration.runs import RunState
from migration.schedules import ScheduleStatus
from migration.stop_policy import reached
from migration.windows import Closed, Open, allowed, described
from tasks.session import Session, job_state

LOOK_SECONDS = 20.0
"""The clock may be set while a run waits for its end; it is looked at again after so long."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The answer for one run. `ending` set = it does not begin."""

    ending: Ending | None
    until: datetime | None = None
    why: str = ""
    resume_at: datetime | None = None
    """When it makes sense to go on after `until`; None = at once."""


def gate_of(job: Job, *, force: bool = False) -> Gate:
    """Ask the job's schedule and stop policy. `force` begins whatever they say, and keeps to no window.

    FatalError `counters-unreadable`.
    """
    if force:
        return Gate(None)
    now = datetime.now(UTC)
    schedule, counters = job.schedule, load_counters(job_state(job.name).executions)
    complete = reached(job.stop_policy, counters, now.astimezone(schedule.zone).date())
    if complete is not None:
        return Gate(_not_begun(
            job, EndState.DONE,
            f"The job's stop policy was reached: {complete}. `sitehaul job resume {job.name}` lets it go on.",
        ))  # fmt: skip
    if schedule.status is ScheduleStatus.PAUSED and not counters.begun_by_person and is_scheduled():
        return Gate(_not_begun(
            job, EndState.DONE,
            f"The schedule is paused: the first run waits for a person. `sitehaul run {job.name}` begins.",
        ))  # fmt: skip
    answer = allowed(schedule, now)
    if isinstance(answer, Closed):
        return Gate(_closed(job, answer))
    return Gate(None, answer.until, answer.why, _opens_again(job, answer, now))


@asynccontextmanager
async def minded(session: Session, gate: Gate) -> AsyncIterator[None]:
    """While inside, the run is stopped when its time is over; afterwards it is counted, if it came to its end."""
    state = session.state.executions
    if session.job.schedule.status is ScheduleStatus.PAUSED and not is_scheduled():
        save_counters(state, replace(load_counters(state), begun_by_person=True))
    watch = asyncio.create_task(_stop_in_time(session, gate), name="window")
    try:
        yield
    except (StoppedResumable, ConfigurationError, PlanError):
        raise
    except Exception:
        save_counters(state, load_counters(state).failed())
        raise
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
    if session.run.record.state is RunState.FINISHED:
        save_counters(state, load_counters(state).counted(changed=await _changed_something(session)))


def current(job: Job) -> Job:
    """The job as it is now. A schedule starts it as it was when the schedule was made; where that is an earlier version
    of what is recorded, the job was changed elsewhere since, and that counts."""
    if not is_scheduled():
        return job
    state, versions = job_state(job.name), list[Job]()
    for number in state.version_numbers():
        with contextlib.suppress(ConfigurationError):  # one that this version does not understand any more
            versions.append(state.load_version(number)[0])
    return versions[-1] if job in versions else job


def is_scheduled() -> bool:
    """Whether a schedule, not a person, started the flow run."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    return context is not None and context.flow_run is not None and bool(context.flow_run.auto_scheduled)


async def _stop_in_time(session: Session, gate: Gate) -> None:
    if gate.until is None:
        return
    while (left := (gate.until - session.clock.now()).total_seconds()) > 0:
        await session.clock.sleep(min(left, LOOK_SECONDS))
    session.stop(gate.why, resume_at=gate.resume_at)


async def _changed_something(session: Session) -> bool:
    if session.job.kind is not JobKind.TRANSFER:
        files = session.account.total.files if session.account else {}
        return any(files.get(word) for word in (OutcomeWord.SUCCEEDED, OutcomeWord.REVISED))
    async with Ledger.open(session.state.ledger) as ledger:
        counts = await ledger.counts(session.run.run_id)
    return any(counts.get(word) for word in (OutcomeWord.SUCCEEDED, OutcomeWord.REVISED))


def _opens_again(job: Job, answer: Open, now: datetime) -> datetime | None:
    if answer.until is None:
        return None
    then = allowed(job.schedule, max(answer.until, now))
    return then.opens_at if isinstance(then, Closed) else None


def _closed(job: Job, answer: Closed) -> Ending:
    hours = described(job.schedule)
    if answer.opens_at is None:
        return _not_begun(job, EndState.DONE, f"Not started: the job's schedule is over ({hours}).")
    reason = f"it may run {hours}"
    return replace(
        _not_begun(
            job,
            EndState.PENDING,
            f"Not started: {reason}; that begins at {answer.opens_at:%Y-%m-%d %H:%M} UTC. `--force` runs it now.",
        ),
        stopped=StoppedResumable(reason, resume_at=answer.opens_at),
    )


def _not_begun(job: Job, state: EndState, sentence: str) -> Ending:
    return Ending(state=state, sentence=sentence, job=job.name)
