"""The steps that delete, after everything else was done and verified."""

import asyncio

from migration.actions import ActionKind, OutcomeWord
from migration.deletions import load_deletions
from migration.entries import EntryKind
from migration.errors import ContractViolation
from migration.ledger import Ledger
from migration.progress import Phase
from migration.removing import Removal
from migration.sameness import Renamed
from tasks.session import Session
from tasks.steps import planned, step

_WITHHELD = "Verification found differences, so nothing was deleted. See differences.csv."


async def remove_planned() -> None:
    """Carry out the plan's deletions, if everything else is done and verification found no difference."""
    session = Session.current()
    record, counts = session.run.record, planned(session).summary.counts
    if not counts.get(ActionKind.DELETE) or record.finished(Phase.REMOVE) or not record.finished(Phase.TRANSFER):
        return
    session.raise_if_stopped()
    session.run.reached(Phase.REMOVE, session.clock.now())
    session.hub.begin(Phase.REMOVE, files_total=counts[ActionKind.DELETE])
    async with Ledger.open(session.state.ledger) as ledger:
        async with Removal(
            session.readable.connector,
            session.writable,
            ledger,
            session.run,
            session.job,
            renamed=Renamed.by(planned(session).actions([ActionKind.RENAME])),
            clock=session.clock,
            progress=session.hub.told,
        ) as removal:
            session.removal = removal
            try:
                await remove_entries(counts[ActionKind.DELETE])
            finally:
                session.removal = None
        outcomes = await ledger.counts(session.run.run_id)
    if not outcomes.get(OutcomeWord.RETRYING):
        session.run.finished_phase(Phase.REMOVE, session.clock.now())


@step("Delete", "Delete {entries:,} files and folders")
async def remove_entries(entries: int) -> None:
    """Move to the trash what was deleted (or, in a move, has arrived) on the other side: files, then empty folders."""
    session = Session.current()
    del entries  # only names the task run
    plan, removal = planned(session), session.removal
    if removal is None:
        raise ContractViolation("no-removal", "A step of the removal was used outside of it")
    if session.verification is None or not session.verification.clean:
        await removal.withhold(plan.actions([ActionKind.DELETE]), "verification-differs", _WITHHELD)
        return
    batches = load_deletions(plan)
    while (deletions := await asyncio.to_thread(next, batches, None)) is not None:
        await removal.remove_files(deletions)
    folders = [one for one in plan.actions([ActionKind.DELETE]) if one.entry_kind is EntryKind.FOLDER]
    await removal.remove_folders(folders)
