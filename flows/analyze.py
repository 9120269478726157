"""The flow `analyze`: the source of a job is listed into an inventory, and the inventory reported."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.account import report
from flows.running import carried_out
from migration.jobs import Job
from migration.progress import Phase
from tasks.progress import size_text
from tasks.session import Session, Start
from tasks.steps import analyze_source


@flow(name="analyze", flow_run_name="{job.name}", persist_result=False, log_prints=False)
async def analyze(job: Job, plan_anew: bool = False) -> State[Any]:
    """List the source of a job into an inventory (Parquet) and write a report about it. Nothing is changed anywhere.

    An unfinished analysis is continued. The next plan or migration of the job uses this analysis.

    Args:
        job: Whose source is listed.
        plan_anew: Do not continue an unfinished run; analyze again.
    """
    start = Start(plan_anew=plan_anew, list_again=Phase.ANALYZE)
    return await carried_out(job, _phases, start=start, destination=False)


async def _phases(session: Session) -> None:
    inventory = await analyze_source()
    header = inventory.header
    files = f"{header.files:,} files ({size_text(header.bytes)})"
    session.sentence = f"{files} in {header.folders:,} folders, listed with {header.calls:,} API calls."
    if header.problems:
        session.sentence += f" {header.problems:,} parts could not be seen; see the report."
    if Phase.TRANSFER not in session.run.record.phases:
        session.run.stopped("it was only analyzed", session.clock.now())
    await report()
