"""The flow `plan`: everything that `migrate` does before it changes something."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.account import report
from flows.running import carried_out
from migration.jobs import Job
from migration.progress import Phase
from tasks.progress import size_text
from tasks.session import Session, Start
from tasks.steps import analyze_source, make_plan


@flow(name="plan", flow_run_name="{job.name}", persist_result=False, log_prints=False)
async def plan(job: Job, plan_anew: bool = False) -> State[Any]:
    """Decide what a migration would do and what it costs. Nothing is changed; the next migration does exactly this.

    Args:
        job: What is to be copied where, and how.
        plan_anew: Do not continue an unfinished run; analyze and plan again.
    """
    return await carried_out(job, _phases, start=Start(plan_anew=plan_anew, list_again=Phase.PLAN))


async def _phases(session: Session) -> None:
    await analyze_source()
    summary = (await make_plan()).summary
    session.sentence = (
        f"{summary.files_to_copy:,} files ({size_text(summary.bytes_to_copy)}) to copy, "
        f"{summary.files_skipped:,} to skip, "
        f"{summary.files_flagged:,} that need a person; about {summary.forecast.calls:,} calls."
    )
    if Phase.TRANSFER not in session.run.record.phases:
        session.run.stopped("it was only planned", session.clock.now())
    await report()
