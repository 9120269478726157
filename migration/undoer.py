"""Undoing one thing: out of the trash, written again, or renamed back; whatever is not as the run left it is left."""

import random
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime

from migration.actions import Action, ActionKind, Outcome, OutcomeWord, Side, trash_key
from migration.batches import Work
from migration.carrying import failed
from migration.clock import Clock
from migration.contract import Versioned
from migration.copying import AtPoint, Copied, Copier, CopyPoint
from migration.entries import Entry, EntryKind, PathParts
from migration.errors import ItemError, PreconditionFailed, RetryableError
from migration.flight import Slot
from migration.jobs import Job
from migration.ledger import Ledger, Staged
from migration.memory import BytePool
from migration.patience import Patience
from migration.rearranging import Mover
from migration.sameness import is_as_seen
from migration.sides import End
from migration.undoing import How, Undoing


class Undoer:
    """Undoes what was done on one side."""

    def __init__(
        self, end: End, ledger: Ledger, run_id: str, job: Job, pool: Executor, clock: Clock, at: AtPoint
    ) -> None:
        self._end = end
        self._ledger = ledger
        self._run_id = run_id
        self._clock = clock
        self._at = at
        self._mover = Mover(end, clock, at)
        self._chance = random.Random()  # noqa: S311 - spreads waits, protects nothing
        same_place = {end.side: end, end.side.other: End(end.side.other, end.connector, end.root)}
        self._copier = Copier(
            same_place,
            end.side,
            ledger,
            run_id=run_id,
            keep_times=job.rules.timestamps,
            keep_replaced=False,
            range_connections=job.performance.range_connections,
            memory=BytePool(job.performance.bytes_in_memory_max),
            pool=pool,
            clock=clock,
            at=at,
            moved=lambda _size_bytes: None,
        )

    async def undo(self, undoing: Undoing, attempt: int, begun: Staged | None, slot: Slot) -> Copied:
        """Undo one thing; the verdict, whatever came of it. What could not be undone may be tried again later."""
        action, started_at = undoing.action, self._clock.now()
        try:
            if undoing.how is How.MOVE_BACK:
                copied = await self._mover.move(_reversed(undoing), attempt)
            elif undoing.how is How.NOTHING:
                raise _not_kept(undoing)
            elif undoing.how is How.EARLIER_VERSION:
                copied = await self._written_again(undoing, attempt, begun, slot)
            else:
                copied = await self._from_trash(undoing, attempt, started_at, is_begun=begun is not None)
        except (ItemError, RetryableError) as error:
            copied = Copied(failed(action, attempt, started_at, self._clock.now(), error), None, side=action.side)
        if copied.outcome.word is OutcomeWord.FLAGGED:
            copied = replace(copied, outcome=replace(copied.outcome, word=OutcomeWord.RETRYING))
        return replace(copied, is_file=action.entry_kind is EntryKind.FILE)

    async def _from_trash(self, undoing: Undoing, attempt: int, started_at: datetime, *, is_begun: bool) -> Copied:
        action, patience = undoing.action, Patience(self._clock, self._chance)
        self._at(CopyPoint.STARTED, action.action_id)
        while True:
            try:
                bring_back = self._restored if undoing.how is How.RESTORE else self._exchanged
                found = await bring_back(undoing, is_begun=is_begun)
                break
            except RetryableError as error:
                await patience.wait_after(error)
                is_begun = is_begun or await self._is_recorded(action)
        self._at(CopyPoint.PUBLISHED, action.action_id)
        outcome = Outcome(
            action_id=action.action_id,
            attempt=attempt,
            started_at=started_at,
            finished_at=self._clock.now(),
            word=OutcomeWord.SUCCEEDED,
            destination=found.ref,
            destination_name=found.name,
        )
        return Copied(outcome, self._end.place(undoing.path) if found.is_file else None, side=action.side)

    async def _restored(self, undoing: Undoing, *, is_begun: bool) -> Entry:
        """Take what was deleted out of the trash; the entry. One that an earlier try has brought back is all right, and
        so is any folder where one was."""
        place = self._end.place(undoing.path)
        if not is_begun:
            await self._record(undoing.action, place)
        self._at(CopyPoint.STAGED, undoing.action.action_id)
        try:
            await self._end.trash.restore(undoing.trashed or "")
        except ItemError:
            found = await self._end.writable.stat(place)
            is_back = found is not None and self._is_the_old(found, undoing) and (is_begun or not found.is_file)
            if found is None or not is_back:
                raise
            return found
        return await self._there(place)

    async def _exchanged(self, undoing: Undoing, *, is_begun: bool) -> Entry:
        """Put what was replaced back in the place of what replaced it, which goes to the trash."""
        place, action = self._end.place(undoing.path), undoing.action
        found = await self._end.writable.stat(place)
        if found is not None and undoing.left is not None and self._is(found, undoing.left):
            if not is_begun:
                await self._record(action, place)
            self._at(CopyPoint.STAGED, action.action_id)
            await self._end.trash.delete_to_trash(found, trash_key(self._run_id, action.action_id))
        elif found is not None and is_begun and self._is_the_old(found, undoing):
            return found
        elif found is not None or not is_begun:
            raise _changed(undoing, "is gone" if found is None else "was changed")
        return await self._restored(undoing, is_begun=True)

    async def _written_again(self, undoing: Undoing, attempt: int, begun: Staged | None, slot: Slot) -> Copied:
        """Write the version that was replaced as a new one."""
        action, connector = undoing.action, self._end.connector
        found = await self._end.writable.stat(self._end.place(undoing.path))
        if found is None or (begun is None and not (undoing.left is not None and self._is(found, undoing.left))):
            raise _changed(undoing, "is gone" if found is None else "was changed")
        if not isinstance(connector, Versioned):
            raise ItemError(
                "no-versions",
                f"{connector.display_name} has kept the version before, but does not let it be read.",
                fix="Bring it back there by hand.",
            )
        versions = await connector.versions(found)
        earlier = next((one for one in versions if one.ref.version_id == undoing.replaced_version_id), None)
        if earlier is None:
            raise ItemError("not-restorable", f"{'/'.join(undoing.path)!r}: the version before is no longer kept.")
        again = _at_path(
            replace(
                action,
                kind=ActionKind.COPY,
                expected=undoing.left if begun is not None else found,
                size_bytes=earlier.size_bytes,
                modified_at=earlier.modified_at,
                reason=None,
                renamed=False,
            ),
            undoing.path,
        )
        return await self._copier.copy(Work(again, earlier), attempt, begun, slot)

    async def _there(self, place: PathParts) -> Entry:
        found = await self._end.writable.stat(place)
        if found is None:
            raise ItemError("not-found", f"{'/'.join(place)!r} was brought back and is gone again.")
        return found

    def _is(self, found: Entry, seen: Entry) -> bool:
        return is_as_seen(found, seen, self._end.connector.capabilities)

    def _is_the_old(self, found: Entry, undoing: Undoing) -> bool:
        """Whether it is what the run had deleted or replaced; a folder is as good as another."""
        old = undoing.action.expected
        if old is None or found.kind is not old.kind:
            return False
        return not found.is_file or is_as_seen(
            found, old, replace(self._end.connector.capabilities, stable_ids=False), moved=True
        )

    async def _record(self, action: Action, place: PathParts) -> None:
        now = self._clock.now()
        staged = Staged(action_id=action.action_id, destination_path=place, size_bytes=0, sha256="", at=now)
        await self._ledger.record_staged(self._run_id, staged)

    async def _is_recorded(self, action: Action) -> bool:
        return bool(await self._ledger.staged(self._run_id, [action.action_id]))


def _reversed(undoing: Undoing) -> Action:
    """The rename that leads back."""
    action = undoing.action
    back = replace(action, from_path=undoing.path, expected=undoing.left, reason=None, renamed=False)
    return _at_path(back, action.from_path or ())


def _at_path(action: Action, path: PathParts) -> Action:
    """The action at another path of the side it changes."""
    if action.side is Side.SOURCE:
        return replace(action, source_path=path)
    return replace(action, destination_path=path)


def _not_kept(undoing: Undoing) -> ItemError:
    return ItemError("not-kept", f"{'/'.join(undoing.path)!r}: what the run replaced there was not kept.")


def _changed(undoing: Undoing, what: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"{undoing.action.side.value}-changed",
        f"{'/'.join(undoing.path)!r} {what} at the {undoing.action.side.value} since the run, so it is left.",
    )
