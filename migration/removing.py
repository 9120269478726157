"""Removing: the deletions of a plan, after everything else was done and verified; what is deleted goes to a trash.

Each deletion looks first and deletes only what the plan saw. Before it deletes it records that it is about to (as a
staged event), so that an entry that is gone after a crash is known to be in the trash, and by which name.
"""

import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

from migration.actions import Action, Outcome, OutcomeWord, Side, trash_key
from migration.carrying import BatchResult, Carrying, failed, is_done, next_attempt, total
from migration.clock import Clock
from migration.contract import ContentHash, Source
from migration.copying import AtPoint, Copied, CopyPoint
from migration.deletions import Deletion
from migration.entries import Entry, EntryKind, PathParts
from migration.errors import ConfigurationError, ItemError, PreconditionFailed, RetryableError
from migration.flight import Slot
from migration.jobs import Job
from migration.judgement import Verdict
from migration.ledger import Ledger, Staged
from migration.patience import Patience
from migration.progress import Phase, ProgressListener
from migration.reading import hash_of
from migration.rules import TransferType
from migration.runs import Run
from migration.sameness import Renamed, is_as_seen
from migration.sides import End, Ends, ends_of

ALREADY_GONE = "already-gone"
"""The reason of a deletion that found nothing to delete."""


class Removal:
    """The deletions of one run. An async context manager, entered once."""

    def __init__(
        self,
        source: Source,
        destination: Source,
        ledger: Ledger,
        run: Run,
        job: Job,
        *,
        renamed: Renamed,
        clock: Clock,
        progress: ProgressListener,
        at: AtPoint = lambda _point, _action_id: None,
    ) -> None:
        """`renamed`: what this run has renamed. `at` as in Transfer."""
        self._ledger = ledger
        self._run = run
        self._clock = clock
        self._ends: Ends = ends_of(job, source, destination)
        self._carrying = Carrying(
            self._ends, ledger, run.run_id, job, phase=Phase.REMOVE, clock=clock, progress=progress, at=at
        )
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="hash")
        self._stack = AsyncExitStack()
        rewrites = self._ends[Side.DESTINATION].connector.capabilities.rewrites
        self._removers = {
            side: Remover(
                end,
                ledger,
                run.run_id,
                renamed,
                only_proved=job.transfer_type is TransferType.MOVE and side is Side.SOURCE,
                rewrites=rewrites,
                pool=self._pool,
                clock=clock,
                at=at,
            )
            for side, end in self._ends.items()
        }

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self._pool.shutdown)
            await stack.enter_async_context(self._carrying.finisher)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._carrying.close()
        await self._stack.aclose()

    def stop(self, reason: str, *, resume_at: datetime | None = None) -> None:
        """As `Carrying.stop`."""
        self._carrying.stop(reason, resume_at=resume_at)

    async def withhold(self, actions: Iterable[Action], reason: str, message: str) -> BatchResult:
        """Delete nothing of these; they need a person, for this reason."""
        todo = list(actions)
        latest = await self._carrying.latest(todo)

        async def leave(action: Action, _: Slot) -> Copied:
            now, error = self._clock.now(), ItemError(reason, message)
            return _not_done(action, failed(action, next_attempt(action, latest), now, now, error))

        left = [one for one in todo if not is_done(one, latest)]
        return await self._carrying.carry_out(left, leave, may_halt=False)

    async def remove_files(self, deletions: Sequence[Deletion]) -> BatchResult:
        """Delete the files that have no final outcome yet. Raises as `Carrying.carry_out`."""
        latest = await self._carrying.latest(one.action for one in deletions)
        todo = [one for one in deletions if not is_done(one.action, latest)]
        begun = await self._begun(one.action for one in todo)

        async def remove(deletion: Deletion, _: Slot) -> Copied:
            action = deletion.action
            remover = self._removers[action.side]
            return await remover.remove(deletion, next_attempt(action, latest), begun=action.action_id in begun)

        return await self._carrying.carry_out(todo, remove, done_before=len(deletions) - len(todo))

    async def remove_folders(self, actions: Sequence[Action]) -> BatchResult:
        """Delete folders from the bottom up, those that are empty: every topmost one is listed once, and what is in it
        that was not to be deleted keeps the folders around it (`folder-not-empty`). Raises as `Carrying.carry_out`."""
        latest = await self._carrying.latest(actions)
        begun = await self._begun(actions)
        results = []
        for side, end in self._ends.items():
            folders = {action.path: action for action in actions if action.side is side}
            todo = [action for action in folders.values() if not is_done(action, latest)]
            occupied = await _occupied(end, _tops({action.path for action in todo}), set(folders) - _paths(todo))

            async def remove(action: Action, _: Slot, occupied: set[PathParts] = occupied) -> Copied:
                attempt = next_attempt(action, latest)
                if action.path in occupied:
                    now = self._clock.now()
                    copied = _not_done(action, failed(action, attempt, now, now, _not_empty(action)))
                else:
                    remover = self._removers[action.side]
                    copied = await remover.remove(Deletion(action), attempt, begun=action.action_id in begun)
                if copied.outcome.word is not OutcomeWord.SUCCEEDED:
                    occupied.update(_around(action.path))
                return copied

            by_depth: dict[int, list[Action]] = defaultdict(list)
            for action in todo:
                by_depth[len(action.path)].append(action)
            results += [await self._carrying.carry_out(by_depth[one], remove) for one in sorted(by_depth, reverse=True)]
        return total(results, done_before=sum(is_done(action, latest) for action in actions))

    async def _begun(self, actions: Iterable[Action]) -> dict[str, Staged]:
        """The deletions that an earlier process of this run had begun."""
        if not self._run.resumed:
            return {}
        return await self._ledger.staged(self._run.run_id, [action.action_id for action in actions])


class Remover:
    """Deletes entries of one end."""

    def __init__(
        self,
        end: End,
        ledger: Ledger,
        run_id: str,
        renamed: Renamed,
        *,
        only_proved: bool,
        rewrites: Callable[[str], bool],
        pool: Executor,
        clock: Clock,
        at: AtPoint,
    ) -> None:
        """`only_proved`: delete only files whose content this run found at the other end, as a move does. `rewrites`
        says which files the destination may have made other bytes of."""
        self._only_proved = only_proved
        self._end = end
        self._ledger = ledger
        self._run_id = run_id
        self._renamed = renamed
        self._rewrites = rewrites
        self._pool = pool
        self._clock = clock
        self._at = at
        self._chance = random.Random()  # noqa: S311 - spreads waits, protects nothing

    async def remove(self, deletion: Deletion, attempt: int, *, begun: bool) -> Copied:
        """Delete one file or empty folder; the verdict, whatever came of it. `begun`: an earlier process may have
        deleted it. Raises FatalError, StoppedResumable and ConfigurationError."""
        action, started_at = deletion.action, self._clock.now()
        self._at(CopyPoint.STARTED, action.action_id)
        try:
            trashed, reason = await self._patiently_removed(deletion, begun=begun)
        except (ItemError, RetryableError) as error:
            return _not_done(action, failed(action, attempt, started_at, self._clock.now(), error))
        outcome = Outcome(
            action_id=action.action_id,
            attempt=attempt,
            started_at=started_at,
            finished_at=self._clock.now(),
            word=OutcomeWord.SUCCEEDED,
            reason=reason or action.reason,
            trashed=trashed,
        )
        return Copied(outcome, None, is_file=action.entry_kind is EntryKind.FILE, side=action.side)

    async def _patiently_removed(self, deletion: Deletion, *, begun: bool) -> tuple[str | None, str | None]:
        patience = Patience(self._clock, self._chance)
        intent = _Intent(self._ledger, self._run_id, self._clock, begun=begun)
        while True:
            try:
                return await self._removed(deletion, intent)
            except RetryableError as error:
                await patience.wait_after(error)

    async def _removed(self, deletion: Deletion, intent: "_Intent") -> tuple[str | None, str | None]:
        """What `Trash.restore` needs, and why there is none."""
        action, trash = deletion.action, self._end.trash
        place, key = self._end.place(action.path), trash_key(self._run_id, action.action_id)
        found = await self._end.writable.stat(place)
        if found is None:
            if intent.is_recorded and action.expected is not None:
                return await trash.find_deleted(action.expected, place, key), None
            return None, ALREADY_GONE
        moved = self._renamed.covers(action.side, action.path)
        capabilities = self._end.connector.capabilities
        if action.expected is None or not is_as_seen(found, action.expected, capabilities, moved=moved):
            raise _changed(action)
        if self._only_proved and found.is_file:
            await self._prove(deletion, found, place)
        await intent.record(action, place)
        self._at(CopyPoint.STAGED, action.action_id)
        token = await trash.delete_to_trash(found, key)
        self._at(CopyPoint.PUBLISHED, action.action_id)
        return token, None

    async def _prove(self, deletion: Deletion, found: Entry, place: PathParts) -> None:
        """Raise ItemError `not-verified` unless the destination's stored bytes were hashed in this run and are the
        source's."""
        proof, action = deletion.proof, deletion.action
        if proof is not None and proof.verdict is Verdict.MATCHES and proof.sha256 is not None:
            if proof.is_the_sources and not self._rewrites(action.destination_path[-1]):
                return
            if await self._sha256(found, place) == proof.sha256:
                return
        raise ItemError(
            "not-verified",
            f"{'/'.join(action.path)!r} stays: its content was not found unchanged at the destination in this run.",
            fix="See differences.csv; the next run copies or verifies it again.",
        )

    async def _sha256(self, found: Entry, place: PathParts) -> str:
        if isinstance(self._end.connector, ContentHash):
            return await self._end.connector.sha256(place)
        return (await hash_of(self._end.connector, found, self._pool))[0]


class _Intent:
    """The record that something is about to be deleted."""

    def __init__(self, ledger: Ledger, run_id: str, clock: Clock, *, begun: bool) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._clock = clock
        self.is_recorded = begun

    async def record(self, action: Action, place: PathParts) -> None:
        if self.is_recorded:
            return
        now = self._clock.now()
        staged = Staged(action_id=action.action_id, destination_path=place, size_bytes=0, sha256="", at=now)
        await self._ledger.record_staged(self._run_id, staged)
        self.is_recorded = True


async def _occupied(end: End, tops: Iterable[PathParts], kept: set[PathParts]) -> set[PathParts]:
    """The folders at or below `tops` that hold something which is not a folder to be deleted; `kept` are folders whose
    deletion was decided against or is done."""
    occupied: set[PathParts] = set()
    for top in tops:
        try:
            async for page in end.connector.walk(end.place(top)):
                if page.restarted:
                    occupied = {path for path in occupied if path[: len(top)] != top}
                hidden = [problem.path for problem in page.problems if problem.hides_entries]
                for path in hidden:
                    occupied.update({(*top, *path), *_around((*top, *path))})
                for entry in page.entries:
                    path = (*top, *entry.path)
                    if entry.is_file or path in kept:
                        occupied.update(_around(path))
        except ConfigurationError:
            # It is gone, which is as good; or something else is there now, which stays.
            if await end.writable.stat(end.place(top)) is not None:
                occupied.add(top)
    return occupied


def _tops(paths: set[PathParts]) -> list[PathParts]:
    """Those that are not inside another one."""
    return sorted(path for path in paths if not paths & _around(path))


def _around(path: PathParts) -> set[PathParts]:
    """Every folder around it."""
    return {path[:depth] for depth in range(1, len(path))}


def _paths(actions: Iterable[Action]) -> set[PathParts]:
    return {action.path for action in actions}


def _not_done(action: Action, outcome: Outcome) -> Copied:
    return Copied(outcome, None, is_file=action.entry_kind is EntryKind.FILE, side=action.side)


def _not_empty(action: Action) -> ItemError:
    return ItemError(
        "folder-not-empty",
        f"The folder {'/'.join(action.path)!r} stays: something is in it that was not to be deleted.",
        fix="Look into it, and delete it by hand if it is not needed.",
    )


def _changed(action: Action) -> PreconditionFailed:
    return PreconditionFailed(
        f"{action.side.value}-changed",
        f"{'/'.join(action.path)!r} has changed at the {action.side.value} since the plan was made, so it stays.",
        fix="Run again; the next plan decides anew.",
    )
