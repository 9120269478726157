"""Transfer: carries out the actions of a plan in batches, many files at once, and records one outcome per action."""

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

from migration.actions import Action, ActionKind, Outcome, OutcomeWord
from migration.batches import Work, load_batches
from migration.clock import Clock
from migration.contract import Destination, Source, StagedSweep
from migration.copying import AtPoint, Copied, Copier
from migration.errors import FatalError, StoppedResumable
from migration.finishing import Finisher
from migration.flight import Flight, Slot, Step
from migration.folders import FolderMaker
from migration.jobs import Job
from migration.ledger import Latest, Ledger, Staged
from migration.memory import BytePool
from migration.progress import Phase, Progress, ProgressListener
from migration.rules import FailurePolicy
from migration.runs import Run

__all__ = ["BatchResult", "Transfer", "Work", "load_batches"]

UNREACHABLE = "unreachable"
"""The code with which every connector says that a system does not answer at all."""
PROGRESS_SECONDS = 0.2
"""Bytes in flight are told at most so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What came of one batch. `counts` holds only what this call did, not what was done before."""

    counts: dict[OutcomeWord, int] = field(default_factory=dict)
    bytes_copied: int = 0
    done_before: int = 0
    """Actions that already had a final outcome in this run."""
    seconds: float = 0.0


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
        at: AtPoint = lambda _point, _action_id: None,
    ) -> None:
        """`progress` is told totals of this process (files done, bytes done; `Ledger.achieved` knows those of earlier
        ones); `at(point, action_id)` is called at every
        named point of the copy protocol (CopyPoint; tests kill the process there)."""
        self._destination = destination
        self._ledger = ledger
        self._run = run
        self._root = job.destination.parts
        self._halt_on_failure = job.rules.failure_policy is FailurePolicy.HALT
        self._clock = clock
        self._flight = Flight(job.performance.parallel_writes, clock)
        self._reach = _Reach(2 * job.performance.parallel_writes)
        self._meter = _Meter(progress, clock)
        self._stack = AsyncExitStack()
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="hash")
        self._finisher = Finisher(destination, ledger, run.run_id, at=at, recorded=self._meter.finished)
        self._copier = Copier(
            source,
            destination,
            ledger,
            run_id=run.run_id,
            root=self._root,
            keep_times=job.rules.timestamps,
            range_connections=job.performance.range_connections,
            memory=BytePool(job.performance.bytes_in_memory_max),
            pool=self._pool,
            clock=clock,
            at=at,
            moved=self._meter.moved,
        )
        self._folders = FolderMaker(destination, self._root, clock)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self._pool.shutdown)
            if self._root:
                await self._destination.make_folder(self._root)
            if self._run.after_crash and isinstance(self._destination, StagedSweep):
                await self._destination.sweep_staged(self._root)
                self._run.swept()
            await stack.enter_async_context(self._finisher)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flight.close()
        await self._stack.aclose()

    async def pending(self, works: Sequence[Work]) -> list[Work]:
        """Those without a final outcome in this run (never tried, or `retrying`)."""
        latest = await self._ledger.latest(self._run.run_id, [work.action.action_id for work in works])
        return [work for work in works if not _is_done(work.action, latest)]

    async def make_folders(self, actions: Sequence[Action]) -> BatchResult:
        """Carry out the make_folder actions among `actions`, parents before children. Done ones are not repeated.

        Raises as `run_batch`.
        """
        folders = [action for action in actions if action.kind is ActionKind.MAKE_FOLDER]
        latest = await self._ledger.latest(self._run.run_id, [action.action_id for action in folders])
        batch = _Batch(self._clock, done_before=sum(_is_done(action, latest) for action in folders))
        by_depth: dict[int, list[Action]] = {}
        for action in folders:
            if not _is_done(action, latest):
                by_depth.setdefault(len(action.destination_path), []).append(action)
        for depth in sorted(by_depth):
            await self._carry_out(batch, by_depth[depth], lambda action, _: self._make_folder(action, latest))
        return batch.result()

    async def run_batch(self, works: Sequence[Work]) -> BatchResult:
        """Copy the files that have no final outcome yet; every outcome is durable on return.

        Raises StoppedResumable (BudgetExhausted included) when the run is to stop: what was in flight is finished or
        undone, the rest stays pending. Raises FatalError when the run cannot go on, `halted` when the job's
        failure_policy is halt and a file failed, `unreachable` when a system is gone. Cancelled, it undoes what is in
        flight.
        """
        ids = [work.action.action_id for work in works]
        latest = await self._ledger.latest(self._run.run_id, ids)
        todo = [work for work in works if not _is_done(work.action, latest)]
        staged = await self._ledger.staged(self._run.run_id, ids) if self._run.resumed else {}
        batch = _Batch(self._clock, done_before=len(works) - len(todo))
        return await self._carry_out(batch, todo, lambda work, slot: self._copy(work, slot, latest, staged))

    def stop(self, reason: str, *, resume_at: datetime | None = None) -> None:
        """Start no more files; running batches end with StoppedResumable. May be called from a signal handler of the
        event loop. Files in flight get GRACE_SECONDS to finish."""
        self._flight.end(StoppedResumable(reason, resume_at=resume_at))

    async def _copy(self, work: Work, slot: Slot, latest: dict[str, Latest], staged: dict[str, Staged]) -> Copied:
        attempt = _next_attempt(work.action, latest)
        return await self._copier.copy(work, attempt, staged.get(work.action.action_id), slot)

    async def _make_folder(self, action: Action, latest: dict[str, Latest]) -> Copied:
        return Copied(await self._folders.make(action, _next_attempt(action, latest)), None, is_file=False)

    async def _carry_out(
        self, batch: "_Batch", steps: Iterable[Step], carry: Callable[[Step, Slot], Awaitable[Copied]]
    ) -> BatchResult:
        async def finish(copied: Copied) -> None:
            await self._finisher.finish(copied)
            batch.add(copied.outcome)
            if self._halt_on_failure and copied.outcome.word in (OutcomeWord.FLAGGED, OutcomeWord.RETRYING):
                self._flight.end(_halted(copied.outcome))
            if self._reach.is_lost(copied.outcome):
                self._flight.end(_out_of_reach(copied.outcome))

        await self._flight.run(steps, carry, finish)
        return batch.result()


class _Batch:
    """Adds up what one call achieves."""

    def __init__(self, clock: Clock, *, done_before: int) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._done_before = done_before
        self._counts: dict[OutcomeWord, int] = {}
        self._bytes_copied = 0

    def add(self, outcome: Outcome) -> None:
        self._counts[outcome.word] = self._counts.get(outcome.word, 0) + 1
        self._bytes_copied += outcome.bytes_copied

    def result(self) -> BatchResult:
        return BatchResult(
            counts=self._counts,
            bytes_copied=self._bytes_copied,
            done_before=self._done_before,
            seconds=self._clock.monotonic() - self._began,
        )


class _Reach:
    """Notices that a system is gone: so many files in a row, each after all its retries, that no other could be done.

    Without it a run would go on for hours to fail with every single file.
    """

    def __init__(self, files: int) -> None:
        self._files = files
        self._in_a_row = 0

    def is_lost(self, outcome: Outcome) -> bool:
        """Whether this outcome is one too many."""
        unreachable = outcome.word is OutcomeWord.RETRYING and outcome.reason == UNREACHABLE
        self._in_a_row = self._in_a_row + 1 if unreachable else 0
        return self._in_a_row >= self._files


class _Meter:
    """Tells whoever watches how much has been done; bytes in flight count, at most every PROGRESS_SECONDS."""

    def __init__(self, progress: ProgressListener, clock: Clock) -> None:
        self._progress = progress
        self._clock = clock
        self._files_done = 0
        self._bytes_done = 0
        self._told_at = clock.monotonic()

    def moved(self, size_bytes: int) -> None:
        self._bytes_done += size_bytes
        if self._clock.monotonic() - self._told_at >= PROGRESS_SECONDS:
            self._tell()

    def finished(self, group: Sequence[Copied]) -> None:
        self._files_done += sum(copied.is_file and copied.outcome.word.terminal for copied in group)
        self._tell()

    def _tell(self) -> None:
        self._told_at = self._clock.monotonic()
        self._progress(Progress(Phase.TRANSFER, files_done=self._files_done, bytes_done=self._bytes_done))


def _is_done(action: Action, latest: dict[str, Latest]) -> bool:
    known = latest.get(action.action_id)
    return known is not None and known.word.terminal


def _next_attempt(action: Action, latest: dict[str, Latest]) -> int:
    known = latest.get(action.action_id)
    return known.attempt + 1 if known else 1


def _halted(outcome: Outcome) -> FatalError:
    return FatalError(
        "halted",
        f"A file failed ({outcome.reason}: {outcome.message}) and the job's failure_policy is halt.",
        fix="See the report for the file; the next run goes on with the others.",
    )


def _out_of_reach(outcome: Outcome) -> FatalError:
    return FatalError(
        UNREACHABLE,
        f"No file can be copied any more: {outcome.message}",
        fix="Check the network and run the same command again; it continues.",
    )
