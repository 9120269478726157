"""Forgetting what a job knows, so that the next run looks at everything again. Nothing at either end is touched.

soft: an unfinished run is not continued. hard: the baseline is set aside, too; files are recognised anew by size and
time, deletions and moves of before are not known. stats: the account of each past run is taken again from the ledger.
"""

import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from migration.errors import ConfigurationError
from migration.ledger import Ledger
from migration.reconciliation import Reconciliation, reconcile, write_reconciliation
from migration.runs import give_up_unfinished
from migration.state import JobState, RunPaths


class Reset(StrEnum):
    """How much is forgotten."""

    SOFT = "soft"
    HARD = "hard"
    STATS = "stats"


def forget(state: JobState, reset: Reset, now: datetime) -> list[str]:
    """Forget as a soft or hard reset does, with the job's lock held; one sentence for each thing that was forgotten."""
    done = []
    run_id = give_up_unfinished(state, now)
    if run_id is not None:
        done.append(f"The unfinished run {run_id} is not continued; what it did stays done.")
    if reset is Reset.HARD and state.baseline.is_file():
        kept = _set_aside(state, state.baseline, now)
        done.append(f"The baseline is set aside as {kept}; the next run recognises files by size and time.")
    return done


def _set_aside(state: JobState, path: Path, now: datetime) -> Path:
    kept = state.folder / "set-aside" / f"{now:%Y%m%dT%H%M%SZ}-{path.name}"
    kept.parent.mkdir(exist_ok=True, mode=0o700)
    os.replace(path, kept)
    return kept


def accountable_runs(state: JobState) -> list[RunPaths]:
    """The runs whose account can be taken again: those with a plan, oldest first."""
    return [run for run in state.runs() if run.plan_summary.is_file() and run.run_record.is_file()]


async def account_again(state: JobState, run: RunPaths) -> Reconciliation:
    """Write the run's outcomes and account again from the ledger and the run's own files.

    Raises ConfigurationError `ledger-gone`, PlanError or FatalError for files that are missing or damaged; what was
    there before stays then.
    """
    if not state.ledger.is_file():
        raise ConfigurationError(
            "ledger-gone", f"The job's ledger {state.ledger} is gone; its accounts stay as they are."
        )
    async with Ledger.open(state.ledger) as ledger:
        await ledger.export(run.run_id, run.outcomes)
    reconciliation = reconcile(run)
    write_reconciliation(run, reconciliation)
    return reconciliation
