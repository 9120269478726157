"""Transfer: carries out the actions of a plan in batches, many files at once, and records one outcome per action."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

from migration.actions import Action, OutcomeWord
from migration.clock import Clock
from migration.contract import Destination, Source
from migration.entries import Entry
from migration.inventory import Inventory
from migration.jobs import Job
from migration.ledger import Ledger
from migration.plans import Plan
from migration.progress import ProgressListener
from migration.runs import Run


@dataclass(frozen=True, slots=True)
class Work:
    """One file to copy: the plan's action and the source entry it reads."""

    action: Action
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What came of one batch. `counts` holds only what this call did, not what was done before."""

    counts: Mapping[OutcomeWord, int] = field(default_factory=dict)
    bytes_copied: int = 0
    done_before: int = 0
    """Actions that already had a final outcome in this run."""
    seconds: float = 0.0


def load_batches(plan: Plan, inventory: Inventory, batch_files: int) -> Iterator[list[Work]]:
    """The plan's copies in plan order, joined with the source entries they read, `batch_files` at a time.

    Memory stays bounded whatever the plan's size. Raises PlanError `plan-changed` when the inventory lacks an entry.
    """
    raise NotImplementedError


class Transfer:
    """The transfer of one run. An async context manager, entered once; its batches may run concurrently and share the
    limits of `job.performance`.

    Entering makes the destination root and, after a crash (`run.after_crash`), removes staged names that are left.
    """

    def __init__(
        self,
        source: Source,
        destination: Destination,
        ledger: Ledger,
        run: Run,
        job: Job,
        *,
        clock: Clock,
        progress: ProgressListener,
        at: Callable[[str, str], None] | None = None,
    ) -> None:
        """`progress` is told totals of this process (files done, bytes done); `at(point, action_id)` is called at every
        named point of the copy protocol (tests kill the process there)."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    async def pending(self, works: Sequence[Work]) -> list[Work]:
        """Those without a final outcome in this run (never tried, or `retrying`)."""
        raise NotImplementedError

    async def make_folders(self, actions: Sequence[Action]) -> BatchResult:
        """Carry out the make_folder actions among `actions`, parents before children. Done ones are not repeated.

        Raises as `run_batch`.
        """
        raise NotImplementedError

    async def run_batch(self, works: Sequence[Work]) -> BatchResult:
        """Copy the files that have no final outcome yet; every outcome is durable on return.

        Raises StoppedResumable (BudgetExhausted included) when the run is to stop: what was in flight is finished or
        undone, the rest stays pending. Raises FatalError when the run cannot go on, `halted` when the job's
        failure_policy is halt and a file failed. Cancelled, it undoes what is in flight.
        """
        raise NotImplementedError

    def stop(self, reason: str, *, resume_at: datetime | None = None) -> None:
        """Start no more files; running batches end with StoppedResumable. May be called from a signal handler of the
        event loop."""
        raise NotImplementedError
