"""The step that undoes what one run has changed."""

import asyncio

from migration.errors import StoppedResumable
from migration.ledger import Ledger
from migration.plans import Plan
from migration.progress import Phase
from migration.runs import give_up_unfinished
from migration.undo import Undo, Undone, preview, record_undone, undo_id
from migration.undoing import load_undoings
from tasks.session import Session
from tasks.steps import step


async def undo_run(*, dry_run: bool) -> Undone:
    """Bring back what the session's run deleted, replaced or renamed. The run is not continued any more then.

    Raises PlanError `plan-missing` or `places-changed`, StoppedResumable when it stops; what was undone so far is
    recorded in any case.
    """
    session = Session.current()
    session.plan = Plan.load(session.paths)
    async with Ledger.open(session.state.ledger) as ledger:
        await ledger.export(session.run.run_id, session.paths.outcomes)
        if dry_run:
            return await asyncio.to_thread(preview, session.plan, session.clock)
        if session.state.runs()[-1] == session.paths:
            give_up_unfinished(session.state, session.clock.now())
        total = (await asyncio.to_thread(preview, session.plan, session.clock)).counts["pending"]
        session.hub.begin(Phase.UNDO, files_total=total)
        async with Undo(
            session.readable.connector,
            session.writable,
            ledger,
            session.plan,
            session.job,
            clock=session.clock,
            progress=session.hub.told,
        ) as undo:
            session.undo = undo
            stopped: StoppedResumable | None = None
            try:
                await bring_back(total)
            except StoppedResumable as stop:
                stopped = stop
            finally:
                session.undo = None
                undone = await undo.told()
                latest = await ledger.latest(undo_id(session.run.run_id))
                done = [action_id for action_id, known in latest.items() if known.word.terminal]
                await asyncio.to_thread(record_undone, session.state, session.plan, undone, done)
        if stopped is not None:
            raise stopped
        return undone


@step("Bring back", "Bring back {changes:,} files and folders")
async def bring_back(changes: int) -> None:
    """Take out of the trash, write again or rename back, newest first."""
    session = Session.current()
    del changes  # only names the task run
    if session.undo is None or session.plan is None:
        return
    groups = load_undoings(session.plan)
    while (undoings := await asyncio.to_thread(next, groups, None)) is not None:
        await session.undo.carry_out(undoings)
