"""How one file is copied: read once, hashed as it passes, staged, recorded, published, recorded (docs/design.md, 6).

A process may die between any two steps. What it leaves behind is either a staged name (swept or replaced by the next
try) or a published file that the durable staged event tells apart from anybody else's: it has the path, the size and
the hash that were recorded before it became visible.
"""

import random
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from migration.actions import Action, Outcome, OutcomeWord, VerificationLevel
from migration.batches import Work
from migration.capabilities import Operation
from migration.clock import Clock
from migration.contract import ContentHash, Destination, Precondition, RangeWritable, Source, Stored
from migration.entries import Entry, PathParts
from migration.errors import ContractViolation, ItemError, PreconditionFailed, RetryableError, SiteHaulError
from migration.flight import Slot
from migration.ledger import Ledger, Staged
from migration.memory import BytePool
from migration.patience import Patience
from migration.ranges import RangedBody
from migration.reading import STREAM_BYTES, Body, Moved, hash_of

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
    """The verdict on one copy, not yet durable; `published` is the path to flush first, None when nothing was."""

    outcome: Outcome
    published: PathParts | None
    is_file: bool = True


class Copier:
    """Copies files of one run. Holds no state of its own between files; may be used for many files at once."""

    def __init__(
        self,
        source: Source,
        destination: Destination,
        ledger: Ledger,
        *,
        run_id: str,
        root: PathParts,
        keep_times: bool,
        range_connections: int,
        memory: BytePool,
        pool: Executor,
        clock: Clock,
        at: AtPoint,
        moved: Moved,
    ) -> None:
        """`root` is the job's destination folder from the connection's root; `pool` hashes."""
        self._source = source
        self._destination = destination
        self._ledger = ledger
        self._run_id = run_id
        self._root = root
        self._keep_times = keep_times
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
        path = (*self._root, *work.action.destination_path)
        self._at(CopyPoint.STARTED, work.action.action_id)
        try:
            before = await self._published_before(work.action, path, staged)
            if before is not None:
                return Copied(self._done(work, attempt, started_at, *before), path)
            carried = await self._carried(work, path, slot)
        except ItemError as error:
            return Copied(self._failed(work, attempt, started_at, OutcomeWord.FLAGGED, error), None)
        except RetryableError as error:
            return Copied(self._failed(work, attempt, started_at, OutcomeWord.RETRYING, error), None)
        return Copied(self._done(work, attempt, started_at, *carried), path)

    async def _published_before(
        self, action: Action, path: PathParts, staged: Staged | None
    ) -> tuple[Stored, str] | None:
        """What an earlier process published for this action before it died, recognised by its staged event."""
        if staged is None or staged.destination_path != path:
            return None
        found = await self._destination.stat(path)
        if found is None or not found.is_file or found.size_bytes != staged.size_bytes:
            return None
        if action.expected is not None and _same_state(found, action.expected):
            return None
        sha256 = await self._stored_sha256(path, found)
        if sha256 != staged.sha256:
            return None
        return Stored(found.ref, found.name, staged.size_bytes, found.modified_at, sha256), sha256

    async def _stored_sha256(self, path: PathParts, found: Entry) -> str:
        if isinstance(self._destination, ContentHash):
            return await self._destination.sha256(path)
        return (await hash_of(self._destination, found, self._pool))[0]

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
                staging.check(stored, rewritten=self._destination.capabilities.rewrites(path[-1]))
                self._at(CopyPoint.PUBLISHED, work.action.action_id)
                return stored, staging.sha256

    async def _check_way(self, action: Action, path: PathParts) -> None:
        """Find out before much is read what publishing would refuse anyway."""
        found = await self._destination.stat(path)
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
            and Operation.RANGE_READS in self._source.capabilities.operations
            and isinstance(self._destination, RangeWritable)
        )

    async def _put_streamed(self, work: Work, staging: "_Staging", patience: Patience, moved: Moved) -> Stored:
        size_bytes, action = work.entry.size_bytes, work.action
        body = Body(self._source, work.entry, patience, self._pool, moved, staging.arrived)

        async def stage() -> None:
            await staging.record(body.size_bytes, await body.sha256())

        taken = await self._memory.take(min(size_bytes, STREAM_BYTES) if size_bytes is not None else STREAM_BYTES)
        try:
            async with aclosing(body.chunks()) as chunks:
                return await self._destination.put(
                    staging.path,
                    chunks,
                    size_bytes=size_bytes,
                    modified_at=action.modified_at if self._keep_times else None,
                    precondition=Precondition(action.expected),
                    staging_key=action.action_id,
                    before_publish=stage,
                )
        finally:
            self._memory.give_back(taken)

    async def _put_by_ranges(
        self, work: Work, size_bytes: int, staging: "_Staging", patience: Patience, moved: Moved
    ) -> Stored:
        assert isinstance(self._destination, RangeWritable)
        body = RangedBody(
            self._source,
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

        return await self._destination.put_ranges(
            staging.path,
            size_bytes=size_bytes,
            modified_at=work.action.modified_at if self._keep_times else None,
            precondition=Precondition(work.action.expected),
            staging_key=work.action.action_id,
            fill=body.fill,
            before_publish=stage,
        )

    def _done(self, work: Work, attempt: int, started_at: datetime, stored: Stored, sha256: str) -> Outcome:
        action = work.action
        other_name = action.renamed or stored.name != action.destination_path[-1]
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
