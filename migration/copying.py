"""How one file is copied: read once, hashed as it passes, staged, recorded, published, recorded (docs/design.md, 6).

A process may die between any two steps. What it leaves behind is either a staged name (swept or replaced by the next
try) or a published file that the durable staged event tells apart from anybody else's: it has the path, the size and
the hash that were recorded before it became visible.

Long because the steps of one copy and what each leaves behind are read together.
"""

import random
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from migration.actions import Action, ActionKind, Outcome, OutcomeWord, Side, VerificationLevel, trash_key
from migration.batches import Work
from migration.capabilities import Operation
from migration.clock import Clock
from migration.contract import ContentHash, Precondition, RangeWritable, Stored, Trash
from migration.entries import Entry, PathParts
from migration.errors import ContractViolation, ItemError, PreconditionFailed, RetryableError, SiteHaulError
from migration.flight import Slot
from migration.ledger import Ledger, Staged
from migration.memory import BytePool
from migration.patience import Patience
from migration.ranges import RangedBody
from migration.reading import STREAM_BYTES, Body, Moved, hash_of
from migration.sameness import Renamed, is_as_seen
from migration.sides import End, Ends

LARGE_BYTES = 32 * 1024 * 1024
"""From here on a file is read over several connections where both ends can, and what is in its way is looked for before
its content is read."""


class CopyPoint(StrEnum):
    """The named points of the protocol; what is durable when the process dies there decides what a resume does."""

    STARTED = "started"
    MOVING = "moving"
    """Some of the content was read; more than once per file."""
    WRITTEN = "written"
    """Every byte is at the destination under the staged name."""
    STAGED = "staged"
    """The ledger has the staged event; nothing is visible yet."""
    PUBLISHED = "published"
    """The file is visible."""
    FLUSHED = "flushed"
    """The file would survive a power loss; there is no outcome yet."""
    RECORDED = "recorded"
    """The ledger has the outcome."""


AtPoint = Callable[[str, str], None]
"""Called with the point's name and the action's id. Used by tests to kill the process there."""


@dataclass(frozen=True, slots=True)
class Copied:
    """The verdict on one action, not yet durable; `published` is the path to flush first, None when nothing was."""

    outcome: Outcome
    published: PathParts | None
    is_file: bool = True
    side: Side = Side.DESTINATION
    """The end that was changed."""


class Copier:
    """Copies files of one run from one end of the job to the other. Holds no state of its own between files; may be
    used for many files at once."""

    renamed: Renamed
    """What this run has renamed before."""

    def __init__(
        self,
        ends: Ends,
        side: Side,
        ledger: Ledger,
        *,
        run_id: str,
        keep_times: bool,
        keep_replaced: bool,
        range_connections: int,
        memory: BytePool,
        pool: Executor,
        clock: Clock,
        at: AtPoint,
        moved: Moved,
    ) -> None:
        """`side` is the end that is written to; `pool` hashes."""
        self._end = ends[side]
        self._reader = ends[side.other]
        self.renamed = Renamed({})
        self._ledger = ledger
        self._run_id = run_id
        self._keep_times = keep_times
        self._keep_replaced = keep_replaced
        self._range_connections = range_connections
        self._memory = memory
        self._pool = pool
        self._clock = clock
        self._at = at
        self._moved = moved
        self._chance = random.Random()  # noqa: S311 - spreads waits, protects nothing

    async def copy(self, work: Work, attempt: int, staged: Staged | None, slot: Slot) -> Copied:
        """Copy one file; the verdict, whatever came of it. The slot is held while bytes move.

        `staged` is the action's staged event of an earlier process. Raises FatalError, StoppedResumable and
        ContractViolation, and then has left nothing visible that a resume would not recognise.
        """
        started_at = self._clock.now()
        path, side = self._end.place(work.action.path), self._end.side
        self._at(CopyPoint.STARTED, work.action.action_id)
        try:
            before = await self._published_before(work.action, path, staged)
            if before is not None:
                return Copied(self._done(work, attempt, started_at, *before), path, side=side)
            carried = await self._carried(await self._as_renamed(work, path), path, slot)
        except ItemError as error:
            failed = self._failed(work, attempt, started_at, OutcomeWord.FLAGGED, error)
            return Copied(failed, None, side=side)
        except RetryableError as error:
            failed = self._failed(work, attempt, started_at, OutcomeWord.RETRYING, error)
            return Copied(failed, None, side=side)
        return Copied(self._done(work, attempt, started_at, *carried), path, side=side)

    async def _as_renamed(self, work: Work, path: PathParts) -> Work:
        """The work with what is read and what is replaced as this run's renames have left them."""
        action, entry, expected = work.action, work.entry, work.action.expected
        if action.kind is ActionKind.COPY and self.renamed.covers(self._reader.side, action.other_path):
            place = self._reader.place(action.other_path)
            entry = await self._now(self._reader, place, entry, "source-changed")
        if expected is not None and self.renamed.covers(self._end.side, action.path):
            expected = await self._now(self._end, path, expected, "destination-changed")
        return Work(replace(action, expected=expected), entry)

    async def _now(self, end: End, place: PathParts, seen: Entry, code: str) -> Entry:
        found = await end.writable.stat(place)
        if found is None or not is_as_seen(found, seen, end.connector.capabilities, moved=True):
            raise PreconditionFailed(
                code,
                f"The {end.side.value} has changed since the plan was made: {'/'.join(place)!r} is not what was there.",
                fix="Run again; the next plan decides anew.",
            )
        return found

    async def _published_before(
        self, action: Action, path: PathParts, staged: Staged | None
    ) -> tuple[Stored, str] | None:
        """What an earlier process published for this action before it died, recognised by its staged event."""
        if staged is None or staged.destination_path != path:
            return None
        found = await self._end.writable.stat(path)
        if found is None or not found.is_file or found.size_bytes != staged.size_bytes:
            return None
        if action.expected is not None and _same_state(found, action.expected):
            return None
        sha256 = await self._stored_sha256(path, found)
        if sha256 != staged.sha256:
            return None
        trashed = await self._trashed(action, path)
        return Stored(found.ref, found.name, staged.size_bytes, found.modified_at, sha256, trashed=trashed), sha256

    async def _trashed(self, action: Action, path: PathParts) -> str | None:
        """Where what was replaced went before the process died."""
        trash = self._end.connector
        if action.expected is None or not self._keeps_replaced or not isinstance(trash, Trash):
            return None
        return await trash.find_deleted(action.expected, path, trash_key(self._run_id, action.action_id))

    @property
    def _keeps_replaced(self) -> bool:
        """Whether what is replaced goes to a trash; where the system keeps versions that is not needed."""
        return self._keep_replaced and not self._end.connector.capabilities.keeps_versions

    async def _stored_sha256(self, path: PathParts, found: Entry) -> str:
        if isinstance(self._end.connector, ContentHash):
            return await self._end.connector.sha256(path)
        return (await hash_of(self._end.connector, found, self._pool))[0]

    async def _carried(self, work: Work, path: PathParts, slot: Slot) -> tuple[Stored, str]:
        """Copy the content, going on after passing faults; what is stored, and the hash of what was sent."""
        size_bytes = work.entry.size_bytes
        if size_bytes is not None and size_bytes >= LARGE_BYTES:
            await self._check_way(work.action, path)
        patience = Patience(self._clock, self._chance)
        staged: Staged | None = None
        while True:
            staging = _Staging(self._ledger, self._run_id, work, path, self._clock, self._at, slot)
            await slot.hold()
            try:
                before = await self._published_before(work.action, path, staged)
                if before is not None:
                    return before
                stored = await self._put(work, staging, patience)
            except RetryableError as error:
                # The fault may have hidden that the publishing succeeded; the next try looks first.
                staged = staging.staged or staged
                await patience.wait_after(error)
            else:
                staging.check(stored, rewritten=self._end.connector.capabilities.rewrites(path[-1]))
                self._at(CopyPoint.PUBLISHED, work.action.action_id)
                return stored, staging.sha256

    async def _check_way(self, action: Action, path: PathParts) -> None:
        """Find out before much is read what publishing would refuse anyway."""
        found = await self._end.writable.stat(path)
        if found is None and action.expected is not None and await self._trashed(action, path) is not None:
            return  # an earlier try had moved it there, to put the new one in its place
        if (found is None) != (action.expected is None):
            raise PreconditionFailed(
                "destination-changed",
                "The destination has changed since the plan was made: "
                + ("something is there now." if found else "the file to replace is gone."),
                fix="Run again; the next plan decides anew.",
            )

    async def _put(self, work: Work, staging: "_Staging", patience: Patience) -> Stored:
        """One try. Counts what moved, and takes it back when the try fails."""
        moved_bytes = 0

        def moved(size_bytes: int) -> None:
            nonlocal moved_bytes
            moved_bytes += size_bytes
            self._moved(size_bytes)
            self._at(CopyPoint.MOVING, work.action.action_id)

        try:
            size_bytes = work.entry.size_bytes
            if size_bytes is not None and size_bytes >= LARGE_BYTES and self._can_use_ranges():
                return await self._put_by_ranges(work, size_bytes, staging, patience, moved)
            return await self._put_streamed(work, staging, patience, moved)
        except BaseException:
            self._moved(-moved_bytes)
            raise

    def _can_use_ranges(self) -> bool:
        return (
            self._range_connections > 1
            and Operation.RANGE_READS in self._reader.connector.capabilities.operations
            and isinstance(self._end.connector, RangeWritable)
        )

    async def _put_streamed(self, work: Work, staging: "_Staging", patience: Patience, moved: Moved) -> Stored:
        size_bytes, action = work.entry.size_bytes, work.action
        body = Body(self._reader.connector, work.entry, patience, self._pool, moved, staging.arrived)

        async def stage() -> None:
            await staging.record(body.size_bytes, await body.sha256())

        taken = await self._memory.take(min(size_bytes, STREAM_BYTES) if size_bytes is not None else STREAM_BYTES)
        try:
            async with aclosing(body.chunks()) as chunks:
                return await self._end.writable.put(
                    staging.path,
                    chunks,
                    size_bytes=size_bytes,
                    modified_at=action.modified_at if self._keep_times else None,
                    precondition=self._precondition(action),
                    staging_key=action.action_id,
                    before_publish=stage,
                )
        finally:
            self._memory.give_back(taken)

    async def _put_by_ranges(
        self, work: Work, size_bytes: int, staging: "_Staging", patience: Patience, moved: Moved
    ) -> Stored:
        assert isinstance(self._end.connector, RangeWritable)
        body = RangedBody(
            self._reader.connector,
            work.entry,
            size_bytes=size_bytes,
            connections=self._range_connections,
            memory=self._memory,
            patience=patience,
            pool=self._pool,
            clock=self._clock,
            moved=moved,
        )

        async def stage() -> None:
            await staging.record(size_bytes, await body.sha256())

        return await self._end.connector.put_ranges(
            staging.path,
            size_bytes=size_bytes,
            modified_at=work.action.modified_at if self._keep_times else None,
            precondition=self._precondition(work.action),
            staging_key=work.action.action_id,
            fill=body.fill,
            before_publish=stage,
        )

    def _precondition(self, action: Action) -> Precondition:
        if action.expected is None:
            return Precondition()
        key = trash_key(self._run_id, action.action_id) if self._keeps_replaced else None
        return Precondition(action.expected, keep_replaced=self._keep_replaced, trash_key=key)

    def _done(self, work: Work, attempt: int, started_at: datetime, stored: Stored, sha256: str) -> Outcome:
        action = work.action
        other_name = action.renamed or stored.name != action.path[-1]
        versions_kept = self._end.connector.capabilities.keeps_versions
        replaced = action.expected.ref.version_id if action.expected is not None and versions_kept else None
        hashed = stored.stored_sha256 or stored.confirmed_by
        level = VerificationLevel.STORED_HASH if hashed else VerificationLevel.SENT_HASH
        return Outcome(
            action_id=action.action_id,
            attempt=attempt,
            started_at=started_at,
            finished_at=self._clock.now(),
            word=OutcomeWord.REVISED if other_name else OutcomeWord.SUCCEEDED,
            reason=action.reason,
            bytes_copied=stored.size_bytes,
            sha256=sha256,
            settled_sha256=stored.stored_sha256 if stored.stored_sha256 != sha256 else None,
            destination=stored.ref,
            destination_name=stored.name,
            destination_modified_at=stored.modified_at,
            trashed=stored.trashed,
            replaced_version_id=replaced,
            verification=level,
        )

    def _failed(
        self, work: Work, attempt: int, started_at: datetime, word: OutcomeWord, error: SiteHaulError
    ) -> Outcome:
        return Outcome(
            action_id=work.action.action_id,
            attempt=attempt,
            started_at=started_at,
            finished_at=self._clock.now(),
            word=word,
            reason=error.code,
            message=f"{error.message} {error.fix}" if error.fix else error.message,
        )


class _Staging:
    """The step between "every byte is there" and "it is visible" of one try."""

    def __init__(
        self, ledger: Ledger, run_id: str, work: Work, path: PathParts, clock: Clock, at: AtPoint, slot: Slot
    ) -> None:
        self._slot = slot
        self._ledger = ledger
        self._run_id = run_id
        self._work = work
        self._clock = clock
        self._at = at
        self._size_bytes = 0
        self.path = path
        self.sha256 = ""
        self.staged: Staged | None = None
        """What was made durable; None = nothing."""

    def arrived(self) -> None:
        """Everything has been read: another file may be in flight instead."""
        self._slot.release()

    async def record(self, size_bytes: int, sha256: str) -> None:
        """Make the staged event durable. Raises RetryableError when what was read is not what the source had listed."""
        entry, action = self._work.entry, self._work.action
        if entry.size_bytes is not None and size_bytes != entry.size_bytes:
            raise RetryableError("short-body", f"{size_bytes} of {entry.size_bytes} bytes arrived")
        listed = entry.checksums.get("sha256")
        if listed is not None and listed != sha256:
            raise RetryableError(
                "checksum-differs", "The content read does not have the checksum the source had listed"
            )
        self._size_bytes, self.sha256 = size_bytes, sha256
        self.arrived()
        self._at(CopyPoint.WRITTEN, action.action_id)
        staged = Staged(
            action_id=action.action_id,
            destination_path=self.path,
            size_bytes=size_bytes,
            sha256=sha256,
            at=self._clock.now(),
        )
        await self._ledger.record_staged(self._run_id, staged)
        self.staged = staged
        self._at(CopyPoint.STAGED, action.action_id)

    def check(self, stored: Stored, *, rewritten: bool) -> None:
        """Compare what the destination says it holds with what was sent. Raises ItemError; the file stays as it is."""
        if not self.sha256:
            raise ContractViolation("not-staged", f"{self.path}: published without awaiting before_publish")
        if rewritten:
            return
        if stored.size_bytes != self._size_bytes or stored.stored_sha256 not in (None, self.sha256):
            raise ItemError(
                "stored-content-differs",
                f"The destination holds other content ({stored.size_bytes} bytes) than was sent ({self._size_bytes}).",
                fix="Remove the file at the destination and run again.",
            )


def _same_state(found: Entry, expected: Entry) -> bool:
    """Whether this still is the file the plan saw, untouched."""
    return (found.ref, found.size_bytes, found.modified_at) == (
        expected.ref,
        expected.size_bytes,
        expected.modified_at,
    )
