"""What all flows have in common: a session around their phases, and an ending that Prefect, a watcher and a script
understand."""

import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from flows.endings import Ending, EndState, judged, sentence_of_error
from flows.gate import Gate, minded
from migration.errors import StoppedResumable
from migration.jobs import Job
from migration.runs import JobRunning
from tasks.progress import resume_sentence
from tasks.session import Session, Start, opened_session
from tasks.telling import publish_ending, told_to_prefect

Phases = Callable[[Session], Awaitable[None]]
LISTENER: ContextVar[Callable[[Ending], None] | None] = ContextVar("listener", default=None)
"""Who wants to know how flows end in this process; Prefect itself only gets a state."""


@dataclass(slots=True)
class _Work:
    """What is known of a run from outside its session."""

    session: Session | None = None


async def carried_out(
    job: Job,
    phases: Phases,
    *,
    start: Start,
    source: bool = True,
    destination: bool = True,
    gate: Callable[[], Gate] | None = None,
) -> State[Any]:
    """Work on a run of the job and return the state Prefect is to show. Errors of SiteHaul do not leave it.

    With a gate the run keeps to the job's schedule and counts for its stop policy.
    """
    began = time.monotonic()
    work = _Work()
    stopped: StoppedResumable | None = None
    error: Exception | None = None
    try:
        asked = gate() if gate is not None else None
        if asked is not None and asked.ending is not None:
            return _told(asked.ending)
        async with opened_session(job, start=start, source=source, destination=destination) as session:
            work.session = session
            async with told_to_prefect(session), minded(session, asked) if asked else nullcontext():
                await phases(session)
    except StoppedResumable as stop:
        stopped = stop
    except Exception as raised:  # noqa: BLE001 - not swallowed: it becomes the flow's failed state and the exit code
        error = raised
    ending = _ending(job, work.session, stopped, error, time.monotonic() - began)
    if work.session is not None:
        await publish_ending(work.session, ending.state.value, ending.sentence)
    return _told(ending)


def _told(ending: Ending) -> State[Any]:
    """The ending as Prefect's state; whoever listens in this process is told, too."""
    listener = LISTENER.get()
    if listener is not None:
        listener(ending)
    return state_of(ending)


def _ending(
    job: Job, session: Session | None, stopped: StoppedResumable | None, error: Exception | None, seconds: float
) -> Ending:
    run = session.paths if session else None
    account = session.account if session else None
    if error is not None:
        state, sentence = EndState.FAILED, sentence_of_error(error)
    elif account is not None:
        state, sentence = judged(account, stopped)
    elif stopped is not None:
        state, sentence = EndState.PENDING, f"Stopped: {stopped.reason}. {resume_sentence(stopped.resume_at)}"
    else:
        state, sentence = EndState.DONE, session.sentence if session else "Done."
    if session is not None and session.simulated:
        sentence = f"Simulation, nothing was written: {sentence}"
    return Ending(
        state=state,
        sentence=sentence,
        job=job.name,
        run=run,
        reconciliation=account,
        stopped=stopped,
        error=error,
        calls=session.hub.calls() if session else 0,
        seconds=seconds,
        undone=session.undone if session else None,
    )


def state_of(ending: Ending) -> State[Any]:
    """What Prefect shows: a stop is a success that says what is left; a job that runs already is not run twice."""
    if isinstance(ending.error, JobRunning):
        return Cancelled(message=ending.sentence)
    if ending.state in (EndState.FAILED, EndState.WRONG):
        return Failed(message=ending.sentence)
    if ending.state is EndState.PENDING:
        return Completed(name="Stopped", message=ending.sentence)
    return Completed(message=ending.sentence)
