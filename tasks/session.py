"""One process's work on one run of a job: the lock, the record, the open ends, the way to stop, and how it ended.

Steps (tasks/steps.py) find the session by `Session.current()` instead of getting it as a parameter, because Prefect
walks through and keeps the parameters of tasks.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from connectors.registry import require_destination
from connectors.wrappers.read_only import looked_at, read_only
from migration.actions import Side
from migration.analysis import Listable
from migration.binding import bound_plan
from migration.capabilities import Capabilities
from migration.clock import Clock, SystemClock
from migration.contract import Destination
from migration.errors import ContractViolation, SiteHaulError, StoppedResumable
from migration.inventory import Inventory
from migration.jobs import Job
from migration.plans import Plan
from migration.progress import Phase
from migration.reconciliation import Reconciliation
from migration.removing import Removal
from migration.runs import Run, RunRecord, RunState, begin, job_lock
from migration.state import JobState, RunPaths
from migration.transfer import Transfer
from migration.undo import Undo, Undone
from migration.verification import Verification
from tasks.audit import Audit
from tasks.bandwidths import Bandwidths
from tasks.connections import Opened, load_connection, opened_with_budget
from tasks.last_runs import last_planned_run, last_record, named_run
from tasks.progress import Hub, Unwatched, Watcher
from tasks.server import HOME_VARIABLE
from tasks.signals import stopping_on_signals
from tasks.state_disk import told_disk_faults

if TYPE_CHECKING:
    from connectors.shared.settings import ConnectionSettings

T = TypeVar("T")

_MADE_ANEW_AFTER = ("plan-", "analysis-")
"""A run that failed with an error of these codes would fail again: its plan or inventory is no longer usable."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a run is to begin."""

    plan_anew: bool = False
    """Never continue an unfinished run."""
    list_again: Phase | None = None
    """Begin anew if the last run reached this phase's end but nothing has been transferred: it was asked for again."""
    looks_back: bool = False
    """Look at the last run that has a plan, whether or not it is finished; its record stays as it is."""
    run_id: str | None = None
    """Look back at this run instead of the last one."""
    plan_id: str | None = None
    """Carry out this plan (its id, or the beginning of it) and no other; refused if it may not be carried out."""
    simulate: bool = False
    """Write nowhere but into the folder of the job's simulations."""


@dataclass(kw_only=True)
class Session:
    """Everything the steps of a run share. Made by `opened_session`."""

    job: Job
    state: JobState
    run: Run
    clock: Clock
    hub: Hub
    source: Opened | None
    destination: Opened | None
    abilities: Mapping[Side, Capabilities]
    """What both ends could do, were this no simulation; an end that is not open is not in it."""
    simulated: bool = False
    """Whether nothing can be written: both ends are open for reading only."""
    audit: Audit
    hourly_calls: int | None = None
    """The source's allowance per hour, None when its calls are not limited."""
    inventory: Inventory | None = None
    listed_destination: Inventory | None = None
    plan: Plan | None = None
    transfer: Transfer | None = None
    removal: Removal | None = None
    undo: Undo | None = None
    undone: Undone | None = None
    verification: Verification | None = None
    account: Reconciliation | None = None
    sentence: str = "Done."
    """What this flow achieved, when there is no account to tell it."""
    stopped: StoppedResumable | None = None
    also_stops: Callable[[str], None] | None = None
    """What else is to be told when this run stops: the runs of its children."""
    _stoppable: set[asyncio.Future[Any]] = field(default_factory=set)

    @staticmethod
    def current() -> "Session":
        """The session of the running flow. ContractViolation outside of one."""
        session = _CURRENT.get()
        if session is None:
            raise ContractViolation("no-session", "A step was used outside of a run of a job")
        return session

    @property
    def paths(self) -> RunPaths:
        """The files of this run."""
        return self.run.paths

    @property
    def writable(self) -> Destination:
        """The open destination of the job."""
        if self.destination is None:
            raise ContractViolation("no-destination", "A step needs the destination, which this flow does not open")
        return require_destination(self.destination.connector, self.job.destination.connection)

    @property
    def listable(self) -> Listable:
        """The open destination of the job, for listing it."""
        if self.simulated and self.destination is not None:
            return cast("Listable", self.destination.connector)
        return self.writable

    @property
    def readable(self) -> Opened:
        """The open source of the job."""
        if self.source is None:
            raise ContractViolation("no-source", "A step needs the source, which this flow does not open")
        return self.source

    def stop(self, reason: str, *, resume_at: datetime | None = None) -> None:
        """Stop as soon as that loses nothing; `resume_at` is when it makes sense to go on, None = at once. To be called
        in the event loop, e.g. by a signal handler."""
        if self.stopped is not None:
            return
        self.stopped = StoppedResumable(reason, resume_at=resume_at)
        self.hub.say(f"Stopping: {reason}. Files in flight may finish …")
        for carrying in (self.transfer, self.removal, self.undo):
            if carrying is not None:
                carrying.stop(reason, resume_at=resume_at)
        if self.also_stops is not None:
            self.also_stops(reason)
        for work in self._stoppable:
            work.cancel()

    def raise_if_stopped(self) -> None:
        """Raise what stopped this run, if something did."""
        if self.stopped is not None:
            raise self.stopped

    async def until_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of work that may be cut off at any moment without loss; raises StoppedResumable when it was."""
        try:
            self.raise_if_stopped()
        except StoppedResumable:
            work.close()
            raise
        task = asyncio.ensure_future(work)
        self._stoppable.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is None or not current.cancelling():
                self.raise_if_stopped()
            raise
        finally:
            self._stoppable.discard(task)


_CURRENT: ContextVar[Session | None] = ContextVar("session", default=None)
_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Whatever runs inside tells this watcher."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def watcher_of_this_run() -> Watcher:
    """Who watches the present run."""
    return _WATCHER.get() or Unwatched()


def home_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where servers and state live: SITEHAUL_HOME, else ~/.sitehaul."""
    named = (os.environ if environment is None else environment).get(HOME_VARIABLE)
    return Path(named).expanduser().absolute() if named else Path.home() / ".sitehaul"


def job_state(job_name: str, *, simulated: bool = False) -> JobState:
    """The state of a job in this process's home; that of its simulations is elsewhere, so that real runs know nothing
    of them."""
    return JobState.of(home_folder() / ("simulations" if simulated else "state"), job_name)


@asynccontextmanager
async def opened_session(
    job: Job,
    *,
    start: Start,
    source: bool = True,
    destination: bool = True,
    clock: Clock | None = None,
) -> AsyncIterator[Session]:
    """The session in which a flow works on a run of the job.

    Raises JobRunning when another process runs the job, ConfigurationError for connections that are missing or not
    fit; nothing is begun then. Raises FatalError when the disk with the job's state is full or fails. However the
    inside ends, run.json says how: an error as failed, a stop as stopped; a flow that got through says `finished`
    itself.
    """
    clock = clock or SystemClock()
    state = job_state(job.name, simulated=start.simulate)
    async with AsyncExitStack() as stack:
        stack.enter_context(told_disk_faults(state.folder))
        stack.enter_context(job_lock(state, clock.now()))
        hourly_calls, ends, limits = None, [], Bandwidths.of(job, clock)
        for location, wanted in ((job.source, source), (job.destination, destination)):
            settings = await asyncio.to_thread(load_connection, location.connection) if wanted else None
            ends.append(await _opened(stack, job, location.connection, settings, limits, clock) if settings else None)
            hourly_calls = hourly_calls or getattr(settings, "hourly_calls", None)
        if ends[1] is not None:
            require_destination(ends[1].connector, job.destination.connection)
        abilities = {side: end.connector.capabilities for side, end in zip(Side, ends, strict=True) if end}
        if start.simulate:
            ends = _for_reading(job, ends)
            _keep_if_new(job, job_state(job.name), clock)
            _take_over_knowledge(job_state(job.name), state)
        run = _begun(state, job, start, clock)
        hub = Hub(
            clock,
            watcher_of_this_run(),
            calls=lambda: sum(end.budget.calls_taken for end in ends if end),
        )
        session = Session(
            job=job,
            state=state,
            run=run,
            clock=clock,
            hub=hub,
            source=ends[0],
            destination=ends[1],
            abilities=abilities,
            simulated=start.simulate,
            audit=Audit(job.rules.audit_level),
            hourly_calls=hourly_calls,
        )
        stack.enter_context(_as_current(session))
        stack.enter_context(stopping_on_signals(session.stop))
        if not start.looks_back:
            stack.enter_context(_recorded_end(session))
            stack.enter_context(told_disk_faults(state.folder))
        hub.say(run.why)
        yield session


async def _opened(
    stack: AsyncExitStack, job: Job, connection: str, settings: "ConnectionSettings", limits: Bandwidths, clock: Clock
) -> Opened:
    opening = opened_with_budget(
        connection,
        settings,
        on_budget_exhausted=job.on_budget_exhausted,
        clock=clock,
        reserve_percent=job.kept_percent,
    )
    opened = await stack.enter_async_context(opening)
    return replace(opened, connector=limits.over(opened.connector))


def _begun(state: JobState, job: Job, start: Start, clock: Clock) -> Run:
    if start.looks_back:
        planned = last_planned_run(state) if start.run_id is None else named_run(state, start.run_id)
        return Run(planned, resumed=True, why=f"Looking at run {planned.run_id}.", after_crash=False)
    if start.plan_id is not None:
        plan = bound_plan(state, job, start.plan_id, clock.now())
        run = begin(state, job, clock.now())
        if run.paths != plan.run:
            raise ContractViolation(
                "plan-not-continued", f"Run {run.run_id} was begun instead of continuing the plan's"
            )
        return run
    last = last_record(state)
    return begin(
        state,
        job,
        clock.now(),
        plan_anew=start.plan_anew or _is_to_be_made_anew(last, start),
        simulation=start.simulate,
    )


def _for_reading(job: Job, ends: list[Opened | None]) -> list[Opened | None]:
    """The same ends without any operation that changes something."""
    source, destination = ends
    if source is None or destination is None:
        raise ContractViolation("simulation-of-one-end", "A simulation needs both ends of the job")
    inner = require_destination(destination.connector, job.destination.connection)
    return [
        replace(source, connector=read_only(source.connector)),
        replace(destination, connector=looked_at(inner)),
    ]


def _keep_if_new(job: Job, real: JobState, clock: Clock) -> None:
    """A job that is new, or that is to be simulated whenever it runs, is known by its name from now on."""
    if job.simulation_mode or not real.job_file.is_file():
        real.save_job(job, clock.now())


def _take_over_knowledge(real: JobState, simulations: JobState) -> None:
    """Simulations begin with what real runs and people left; what they make of it stays theirs."""
    simulations.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for known, copy in ((real.baseline, simulations.baseline), (real.decisions, simulations.decisions)):
        if known.is_file():
            shutil.copyfile(known, copy)
        else:
            copy.unlink(missing_ok=True)


def _is_to_be_made_anew(last: tuple[RunPaths, RunRecord] | None, start: Start) -> bool:
    if last is None:
        return False
    record = last[1]
    if record.approval is not None and not record.approval.approved:
        return True
    if record.state is RunState.FAILED and (record.code or "").startswith(_MADE_ANEW_AFTER):
        return True
    return start.list_again is not None and record.finished(start.list_again) and Phase.TRANSFER not in record.phases


@contextmanager
def _as_current(session: Session) -> Iterator[None]:
    token = _CURRENT.set(session)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def _recorded_end(session: Session) -> Iterator[None]:
    run, clock = session.run, session.clock
    try:
        yield
    except StoppedResumable as stop:
        _record(session, partial(run.stopped, stop.reason, clock.now(), stop.resume_at))
        raise
    except SiteHaulError as error:
        _record(session, partial(run.failed, error.code, error.message, clock.now()))
        raise
    except Exception as error:
        _record(session, partial(run.failed, "unexpected", f"{type(error).__name__}: {error}", clock.now()))
        raise
    except BaseException:
        _record(session, partial(run.stopped, "it was interrupted", clock.now()))
        raise


def _record(session: Session, end: Callable[[], None]) -> None:
    """Record the end; where that is impossible the run looks as if its process had died, which loses nothing."""
    try:
        end()
    except OSError as error:
        session.hub.say(f"How the run ended could not be recorded: {error}")
