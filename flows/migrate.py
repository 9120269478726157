"""The flow `migrate`: analyze → plan → transfer → verify → remove → report, continuing an unfinished run."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.account import account_and_report, account_for_what_was_done
from flows.approval import PAUSES, WaitsForApproval, asked, stop_unless_approved
from flows.gate import current, gate_of
from flows.running import carried_out
from migration.child_rules import JobKind
from migration.errors import FatalError, StoppedResumable
from migration.jobs import Job
from migration.plans import Plan
from tasks.plan_steps import refuse_drift, simulate_plan
from tasks.removal import remove_planned
from tasks.session import Session, Start, job_state
from tasks.steps import analyze_source, make_plan, transfer_planned, verify_destination


@flow(name="migrate", flow_run_name="{job.name}", persist_result=False, log_prints=False)
async def migrate(job: Job, plan_anew: bool = False, simulate: bool = False, force: bool = False) -> State[Any]:
    """Copy what the source has and the destination lacks, prove that it arrived, and report.

    An unfinished run of the job is continued; run again, only what is new is copied. A run that stops because the
    hour's calls are used up is completed and says what is pending.

    Args:
        job: What is copied where, and how.
        plan_anew: Do not continue an unfinished run; analyze and plan again.
        simulate: Do everything but the writes, and report as if they had been done; real runs know nothing of it.
        force: Run although the job's window is closed, its schedule paused or its stop policy reached.
    """
    job = current(job)
    if job.kind is not JobKind.TRANSFER:
        from flows.company import company

        state: State[Any] = await company(job, plan_anew, simulate, force, return_state=True)
        return state
    if simulate or job.simulation_mode:
        return await carried_out(job, simulated, start=Start(plan_anew=plan_anew, simulate=True))
    waiting: list[WaitsForApproval] = []

    async def unless_approved(session: Session) -> None:
        try:
            await stop_unless_approved(session)
        except WaitsForApproval as stop:
            waiting.append(stop)
            raise

    state = await carried_out(
        job,
        partial(migration, allowed=unless_approved),
        start=Start(plan_anew=plan_anew),
        gate=partial(gate_of, job, force=force),
    )
    if not waiting or not PAUSES.get():
        return state
    return await approved_by_a_person(job, waiting[0].plan) or state


async def approved_by_a_person(job: Job, plan: Plan) -> State[Any] | None:
    """Wait for the answer and carry out what was approved; None if there is nothing more to do."""
    state = job_state(job.name)
    approval = await asked(job, state, plan)
    if approval is None:
        return None
    if not approval.approved:
        return Completed(name="Rejected", message=f"{approval.sentence}. Nothing was changed.")

    async def allowed(session: Session) -> None:
        session.run.decided(approval)
        await refuse_drift(accepted=False)

    return await carried_out(
        job,
        partial(migration, allowed=allowed),
        start=Start(plan_id=plan.summary.plan_id),
        gate=partial(gate_of, job),
    )


async def migration(session: Session, *, allowed: Callable[[Session], Awaitable[None]]) -> None:
    """The phases of a migration. `allowed` is asked before anything is changed and raises what forbids it."""
    try:
        await analyze_source()
        await make_plan()
        await allowed(session)
        await transfer_planned()
        await verify_destination()
        await remove_planned()
    except (StoppedResumable, FatalError) as end:
        if session.plan is not None:
            await account_for_what_was_done(session, end)
        raise
    await account_and_report(session)


async def simulated(session: Session) -> None:
    """The phases of a simulation."""
    try:
        await analyze_source()
        await make_plan()
        await simulate_plan()
    except (StoppedResumable, FatalError) as end:
        if session.plan is not None:
            await account_for_what_was_done(session, end)
        raise
    await account_and_report(session)
