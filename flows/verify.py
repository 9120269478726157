"""The flow `verify`: the destination is listed and hashed again, whatever the last run believed."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.account import report
from flows.running import carried_out
from migration.jobs import Job
from tasks.session import Session, Start
from tasks.steps import take_account, verify_destination


@flow(name="verify", flow_run_name="{job.name}", persist_result=False, log_prints=False)
async def verify(job: Job, everything: bool = True) -> State[Any]:
    """Compare the destination with what the job's last run says is there, and report. Nothing is changed.

    Args:
        job: Whose destination is verified.
        everything: Also the files that were there before the last run; otherwise only those it copied.
    """

    async def phases(_session: Session) -> None:
        await verify_destination("everything" if everything else "this_run")
        await take_account()
        await report()

    return await carried_out(job, phases, start=Start(looks_back=True), source=False)
