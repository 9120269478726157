"""Transfer: carries out the actions of a plan in batches, many files at once, and records one outcome per action."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Self

from migration.actions import Action, ActionKind, Outcome, Side
from migration.batches import Work, load_batches
from migration.carrying import BatchResult, Carrying, failed, is_done, next_attempt, total
from migration.clock import Clock
from migration.contract import Source, StagedSweep
from migration.copying import AtPoint, Copied, Copier
from migration.decisions import Decisions
from migration.entries import PathParts
from migration.errors import ItemError, RetryableError
from migration.flight import Slot
from migration.folders import FolderMaker
from migration.jobs import Job
from migration.ledger import Latest, Ledger, Staged
from migration.memory import BytePool
from migration.progress import Phase, ProgressListener
from migration.rearranging import Mover, independent
from migration.rules import TransferType
from migration.runs import Run
from migration.sameness import Renamed
from migration.sides import Ends, ends_of
from migration.version_copies import LeftOut, VersionSteps, in_rounds, replacing_as_planned

__all__ = ["BatchResult", "Transfer", "Work", "load_batches"]


class Transfer:
    """The transfer of one run, on whichever side its actions are. An async context manager, entered once; its batches
    may run concurrently and share the limits of `job.performance`. Renames come first, then folders, then files.

    Entering makes the destination root and, after a crash (`run.after_crash`), removes staged names that are left.
    """

    def __init__(
        self,
        source: Source,
        destination: Source,
        ledger: Ledger,
        run: Run,
        job: Job,
        *,
        clock: Clock,
        progress: ProgressListener,
        at: AtPoint = lambda _point, _action_id: None,
        decisions: Decisions | None = None,
        heard: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> None:
        """`progress` is told totals of this process (files done, bytes done; `Ledger.achieved` knows those of earlier
        ones); `at(point, action_id)` is called at every
        named point of the copy protocol (CopyPoint; tests kill the process there). `decisions` are people's about
        files that were flagged; `heard` is told of each outcome once it is durable."""
        self._ends: Ends = ends_of(job, source, destination)
        self._ledger = ledger
        self._run = run
        self._carrying = Carrying(
            self._ends,
            ledger,
            run.run_id,
            job,
            phase=Phase.TRANSFER,
            clock=clock,
            progress=progress,
            at=at,
            decisions=decisions,
            heard=heard,
        )
        self._clock = clock
        self._versions = VersionSteps(self._ends, ledger, run.run_id, run.paths.versions)
        self._written_to = tuple(Side) if job.transfer_type is TransferType.SYNC else (Side.DESTINATION,)
        self._stack = AsyncExitStack()
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="hash")
        memory = BytePool(job.performance.bytes_in_memory_max)
        self._copiers = {
            side: Copier(
                self._ends,
                side,
                ledger,
                run_id=run.run_id,
                keep_times=job.rules.timestamps,
                keep_replaced=job.rules.keep_replaced,
                range_connections=job.performance.range_connections,
                memory=memory,
                pool=self._pool,
                clock=clock,
                at=at,
                moved=self._carrying.meter.moved,
            )
            for side in Side
        }
        self._folders = {side: FolderMaker(end, clock) for side, end in self._ends.items()}
        self._movers = {side: Mover(end, clock, at) for side, end in self._ends.items()}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self._pool.shutdown)
            destination = self._ends[Side.DESTINATION]
            if destination.root:
                await destination.writable.make_folder(destination.root)
            if self._run.after_crash:
                for side in self._written_to:
                    end = self._ends[side]
                    if isinstance(end.connector, StagedSweep):
                        await end.connector.sweep_staged(end.root)
                self._run.swept()
            await stack.enter_async_context(self._carrying.finisher)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._carrying.close()
        await self._stack.aclose()

    async def pending(self, works: Sequence[Work]) -> list[Work]:
        """Those without a final outcome in this run (never tried, or `retrying`)."""
        latest = await self._carrying.latest(work.action for work in works)
        return [work for work in works if not is_done(work.action, latest)]

    async def rename(self, actions: Sequence[Action]) -> BatchResult:
        """Carry out the renames among `actions`, in their order. Done ones are not repeated, but have to be among them:
        what lies where they led to is another entry by its path than the plan saw. Raises as `Carrying.carry_out`."""
        renames = sorted((one for one in actions if one.kind is ActionKind.RENAME), key=lambda action: action.seq)
        latest = await self._carrying.latest(renames)

        async def move(action: Action, _: Slot) -> Copied:
            return await self._movers[action.side].move(action, next_attempt(action, latest))

        todo = [action for action in renames if not is_done(action, latest)]
        results = [await self._carrying.carry_out(group, move) for group in independent(todo)]
        for copier in self._copiers.values():
            copier.renamed = Renamed.by(renames)
        return total(results, done_before=len(renames) - len(todo))

    async def make_folders(self, actions: Sequence[Action]) -> BatchResult:
        """Carry out the make_folder actions among `actions`, parents before children. Done ones are not repeated.

        Raises as `Carrying.carry_out`.
        """
        folders = [action for action in actions if action.kind is ActionKind.MAKE_FOLDER]
        latest = await self._carrying.latest(folders)

        async def make(action: Action, _: Slot) -> Copied:
            outcome = await self._folders[action.side].make(action, next_attempt(action, latest))
            return Copied(outcome, None, is_file=False, side=action.side)

        by_depth: dict[int, list[Action]] = {}
        for action in folders:
            if not is_done(action, latest):
                by_depth.setdefault(len(action.path), []).append(action)
        results = [await self._carrying.carry_out(by_depth[depth], make) for depth in sorted(by_depth)]
        return total(results, done_before=sum(is_done(action, latest) for action in folders))

    async def run_batch(self, works: Sequence[Work]) -> BatchResult:
        """Copy the files that have no final outcome yet, to whichever side; what goes to one path one after the other,
        and nothing more of it once something waits for another try. Raises as `Carrying.carry_out`."""
        latest = await self._carrying.latest(work.action for work in works)
        todo = [work for work in works if not is_done(work.action, latest)]
        ids = [work.action.action_id for work in works]
        staged = await self._ledger.staged(self._run.run_id, ids) if self._run.resumed else {}
        results: list[BatchResult] = []
        waiting: set[tuple[Side, PathParts]] = set()
        for group in in_rounds(todo):
            ready = [work for work in group if (work.action.side, work.action.path) not in waiting]
            results.append(
                await self._carrying.carry_out(ready, lambda work, slot: self._copy(work, slot, latest, staged))
            )
            waiting |= await self._waiting(ready) if len(group) < len(todo) else set()
        return total(results, done_before=len(works) - len(todo))

    async def _waiting(self, works: Sequence[Work]) -> set[tuple[Side, PathParts]]:
        """The places of the works that have no final outcome."""
        return {(work.action.side, work.action.path) for work in await self.pending(works)}

    def stop(self, reason: str, *, resume_at: datetime | None = None) -> None:
        """As `Carrying.stop`."""
        self._carrying.stop(reason, resume_at=resume_at)

    async def _copy(self, work: Work, slot: Slot, latest: dict[str, Latest], staged: dict[str, Staged]) -> Copied:
        copier, published = self._copiers[work.action.side], staged.get(work.action.action_id)
        used_up = self._carrying.used_up(work.action, latest)
        if used_up is not None and published is None:
            return Copied(used_up, None, side=work.action.side)
        attempt = next_attempt(work.action, latest)
        try:
            ready = await self._versions.ready(work)
        except (ItemError, RetryableError) as error:
            now = self._clock.now()
            return Copied(failed(work.action, attempt, now, now, error), None, side=work.action.side)
        if isinstance(ready, LeftOut):
            return Copied(ready.outcome(work.action, attempt, self._clock), None, side=work.action.side)
        copied = await copier.copy(ready, attempt, published, slot)
        return replace(copied, outcome=replacing_as_planned(copied.outcome, work)) if work.follows else copied
