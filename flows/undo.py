"""The flow `undo`: what one run deleted, replaced or renamed is brought back."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.running import carried_out
from migration.jobs import Job
from tasks.session import Session, Start
from tasks.undo import undo_run


@flow(name="undo", flow_run_name="{job.name}", persist_result=False, log_prints=False)
async def undo(job: Job, run_id: str | None = None, dry_run: bool = False) -> State[Any]:
    """Bring back, on both sides, what a run of the job deleted, replaced or renamed. What somebody has changed since is
    left; what the run made where nothing was stays.

    Args:
        job: Whose run is undone.
        run_id: Another run than the last one.
        dry_run: Only say what would be undone.
    """

    async def phases(session: Session) -> None:
        undone = await undo_run(dry_run=dry_run)
        session.undone = undone
        session.sentence = undone.sentence

    return await carried_out(job, phases, start=Start(looks_back=True, run_id=run_id))
