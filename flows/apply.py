"""The flow `apply`: exactly the plan that somebody named or approved is carried out, or nothing is."""

from functools import partial
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.gate import gate_of
from flows.migrate import migration
from flows.running import carried_out
from migration.approval import Approval, Decision
from migration.clock import SystemClock
from migration.jobs import Job
from tasks.plan_steps import refuse_drift
from tasks.session import Session, Start
from tasks.steps import planned


@flow(name="apply", flow_run_name="{job.name}", persist_result=False, log_prints=False)
async def apply(
    job: Job, plan_id: str, accept_drift: bool = False, force: bool = False, approved_by: str = "", note: str = ""
) -> State[Any]:
    """Carry out a plan that was made before, word for word.

    Refused, with nothing changed, if the plan is not the job's latest unfinished one, if it is too old or the job's
    rules were changed, or if something that the plan touches changed at either side since it was made.

    Args:
        job: As it was when the plan was made.
        plan_id: The plan's id, or the beginning of it.
        accept_drift: Carry it out although something changed; what is not as planned is flagged, not overwritten.
        force: Although the job's window is closed or its stop policy reached.
        approved_by: Who says so; kept with the run.
        note: Kept with the run.
    """
    who = approved_by or "whoever started this flow run"
    allowed = partial(_allowed, who=who, note=note, accept_drift=accept_drift)
    return await carried_out(
        job,
        partial(migration, allowed=allowed),
        start=Start(plan_id=plan_id),
        gate=partial(gate_of, job, force=force),
    )


async def _allowed(session: Session, *, who: str, note: str, accept_drift: bool) -> None:
    """Naming a plan is approving it."""
    await refuse_drift(accepted=accept_drift)
    summary = planned(session).summary
    if session.run.record.approval is None:
        now = SystemClock().now()
        session.run.decided(
            Approval(
                plan_id=summary.plan_id, decision=Decision.APPROVE, who=who, way="sitehaul apply", at=now, note=note
            )
        )
