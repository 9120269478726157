"""The flow `migrate`: analyze → plan → transfer → verify → report, continuing an unfinished run."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.account import account_and_report, account_for_what_was_done
from flows.running import carried_out
from migration.errors import FatalError, StoppedResumable
from migration.jobs import Job
from tasks.session import Session, Start
from tasks.steps import analyze_source, make_plan, transfer_planned, verify_destination


@flow(name="migrate", flow_run_name="{job.name}", persist_result=False, log_prints=False)
async def migrate(job: Job, plan_anew: bool = False) -> State[Any]:
    """Copy what the source has and the destination lacks, prove that it arrived, and report.

    An unfinished run of the job is continued; run again, only what is new is copied. A run that stops because the
    hour's calls are used up is completed and says what is pending.

    Args:
        job: What is copied where, and how.
        plan_anew: Do not continue an unfinished run; analyze and plan again.
    """
    return await carried_out(job, _phases, start=Start(plan_anew=plan_anew))


async def _phases(session: Session) -> None:
    try:
        await analyze_source()
        await make_plan()
        await transfer_planned()
        await verify_destination()
    except (StoppedResumable, FatalError) as end:
        if session.plan is not None:
            await account_for_what_was_done(session, end)
        raise
    await account_and_report(session)
