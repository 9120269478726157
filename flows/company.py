"""The flow `company`: a job over many projects or folders, as one child job for each."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State

from flows.approval import PAUSES
from flows.children import ChildWork, Rounds, failure, what_is_left
from flows.gate import gate_of
from flows.running import carried_out
from migration.accounts import summed
from migration.child_rows import NOT_VISIBLE, Roll
from migration.clock import SystemClock
from migration.errors import StoppedResumable
from migration.jobs import Job
from migration.mapping import Arrangement
from migration.progress import Phase
from migration.reconciliation import Reconciliation, load_reconciliation, write_reconciliation
from migration.state import RunPaths
from tasks.children import arrange_children
from tasks.session import Session, Start, job_state
from tasks.shares import Shares, begin_turn
from tasks.telling import publish_table

What = Literal["migrate", "plan", "analyze", "verify"]


@flow(name="company", flow_run_name="{job.name}", persist_result=False, log_prints=False)
async def company(
    job: Job, plan_anew: bool = False, simulate: bool = False, force: bool = False, what: What = "migrate"
) -> State[Any]:
    """Do the same with every project of a company, or with every first folder: one child job each, under one budget.

    An unfinished run is continued with the children that are not done. The hour's calls are shared out so that every
    child gets its turn before any gets a second one.

    Args:
        job: Of the kind company or folder_mapping: which children, and where each goes.
        plan_anew: Do not continue unfinished runs; analyze and plan again.
        simulate: Do everything but the writes, and report as if they had been done; real runs know nothing of it.
        force: Run although the job's window is closed, its schedule paused or its stop policy reached.
        what: migrate = copy and verify; plan = only decide; analyze = only list; verify = only look at what is there.
    """
    simulated = what == "migrate" and (simulate or job.simulation_mode)
    work = ChildWork(what, _parameters(what, plan_anew=plan_anew, simulated=simulated), simulated)
    async with AsyncExitStack() as stack:
        # A child that waited for an answer would hold up the others: it ends, and its plan is approved by its id.
        stack.callback(PAUSES.reset, PAUSES.set(False))
        waiting = _Waiting()
        shares = Shares(
            stack,
            waiting=waiting,
            on_budget_exhausted=job.on_budget_exhausted,
            reserve_percent=job.kept_percent,
            clock=SystemClock(),
        )
        own_turn = shares.turn(job.name)
        begin_turn(own_turn)

        async def phases(session: Session) -> None:
            session.hub.calls = lambda: shares.calls_taken
            arrangement = await arrange_children()
            shares.ended(own_turn, finished=True)
            roll = await asyncio.to_thread(Roll.begun, session.paths, what, arrangement, ())
            rounds = waiting.rounds = Rounds(session, work, shares, roll, own_turn.exhausted)
            await _carry(session, work, rounds, arrangement, roll)

        return await carried_out(
            job,
            phases,
            start=Start(plan_anew=plan_anew, simulate=simulated),
            gate=partial(gate_of, job, force=force) if what == "migrate" and not simulated else None,
        )


class _Waiting:
    """Which children wait; nobody before the rounds have begun."""

    rounds: Rounds | None = None

    def __call__(self) -> list[str]:
        return self.rounds.waiting if self.rounds else []


def _parameters(what: What, *, plan_anew: bool, simulated: bool) -> dict[str, Any]:
    if what == "verify":
        return {}
    return {"plan_anew": plan_anew} | ({"simulate": simulated, "force": True} if what == "migrate" else {})


async def _carry(session: Session, work: ChildWork, rounds: Rounds, arrangement: Arrangement, roll: Roll) -> None:
    for sentence in arrangement.told:
        session.hub.say(sentence)
    session.hub.begin(Phase.TRANSFER)
    await rounds.go_on(arrangement.active)
    left = session.stopped or what_is_left(roll, rounds.exhausted)
    await _account(session, work, roll)
    await publish_table(session.job.name, "children", _table(roll), f"The children of {session.job.name}")
    await _end(session, work, roll, left)


async def _account(session: Session, work: ChildWork, roll: Roll) -> None:
    """The sum of the children's accounts, and the report."""
    from reports.children_report import write_children_report

    def written() -> Reconciliation | None:
        accounts = _accounts(session.job, work, roll)
        hidden = [(row.name, row.code or "", row.sentence) for row in roll.rows if row.state == NOT_VISIBLE]
        account = (
            summed(session.run.run_id, accounts, hidden) if accounts or work.flow in ("migrate", "verify") else None
        )
        if account is not None:
            write_reconciliation(session.paths, account)
        write_children_report(session.paths, job=session.job)
        return account

    session.run.reached(Phase.REPORT, session.clock.now())
    session.account = await asyncio.to_thread(written)
    session.run.finished_phase(Phase.REPORT, session.clock.now())


def _accounts(job: Job, work: ChildWork, roll: Roll) -> dict[str, Reconciliation]:
    """By the children's names; those that have one in the run that the roll names."""
    found: dict[str, Reconciliation] = {}
    for row in roll.rows:
        state = job_state(f"{job.name}/{row.slug}", simulated=work.simulated)
        paths = RunPaths(state.folder / "runs" / row.run_id) if row.run_id else None
        if paths is not None and paths.reconciliation.is_file() and work.flow in ("migrate", "verify"):
            found[f"{row.name} ({row.slug})"] = load_reconciliation(paths)
    return found


async def _end(session: Session, work: ChildWork, roll: Roll, left: StoppedResumable | None) -> None:
    """Raise what the run ends with, or finish it."""
    error = failure(roll)
    if error is not None:
        raise error
    if left is not None:
        raise left
    if work.flow in ("plan", "analyze"):
        files, calls = (sum(getattr(row, name) or 0 for row in roll.rows) for name in ("source_files", "calls_planned"))
        planned = f": {files:,} files, about {calls:,} calls" if work.flow == "plan" else ""
        session.sentence = f"{sum(row.settled for row in roll.rows)} children were looked at{planned}."
        session.run.stopped(f"it was only {'planned' if work.flow == 'plan' else 'analyzed'}", session.clock.now())
    else:
        session.run.finished(session.clock.now())


def _table(roll: Roll) -> list[dict[str, object]]:
    return [
        {
            "child": row.name, "state": row.state, "files": row.source_files, **row.files, "calls": row.calls,
            "what": row.sentence,
        }
        for row in roll.rows
    ]  # fmt: skip
