"""Writing one file: under a staged name in its own folder, then visible in one step. Everything here blocks.

A small file takes two round trips: one opens it, writes and sets its time, one renames and closes it. They are not
made one, because Samba carries out the rename of a chain whose write has failed, and a truncated file would be visible.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from connectors.shared.paths import path_ref, readable
from connectors.shared.tree import check_expected, destination_changed
from connectors.smb import messages as smb
from connectors.smb.channel import Answer, Channel
from connectors.smb.errors import ACCESS_DENIED, DELETE_PENDING, GONE, NAME_COLLISION, SHARING_VIOLATION
from connectors.smb.handles import SPREAD_BYTES, Handles
from connectors.smb.messages import Found
from connectors.smb.share import SYSTEM, Share, entry_of, once_more, version_of
from migration.contract import Stored
from migration.entries import Entry, PathParts
from migration.errors import ItemError, RetryableError, SiteHaulError

_ACCESS = smb.WRITE_DATA | smb.READ_ATTRIBUTES | smb.WRITE_ATTRIBUTES | smb.DELETE
_WRITTEN_IN_ONE = 3
"""So many answers come when the bytes were in the chain."""
_PATIENCE_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""A server notices a lost connection when it comes to it; until then what it had open cannot be made anew."""
_ROUNDING = 2 * 10**7
"""Disks keep times by two seconds at worst."""


class StagedFile:
    """One file on its way. One method at a time but for `write_at`; `discard` in the end unless `publish` returned."""

    def __init__(self, share: Share, path: PathParts, staged: PathParts, size_bytes: int | None) -> None:
        self._share = share
        self._path = path
        self._staged = staged
        self._size_bytes = size_bytes
        spread = size_bytes is None or size_bytes >= SPREAD_BYTES
        self._handles = Handles(share, staged, _ACCESS, spread=spread, check=_any_will_do)
        self._may_be_there = False
        self._length = 0
        self._written = 0

    def write_whole(self, data: bytes, modified_at: datetime | None) -> None:
        """Create, write and finish a small file."""
        self._written = _time(modified_at)

        def rest(channel: Channel) -> list[smb.Message]:
            fits = 0 < len(data) <= channel.chunk_bytes
            return [*([smb.write(smb.PREVIOUS, 0, data)] if fits else []), smb.set_times(smb.PREVIOUS, self._written)]

        answers = self._create(rest)
        if len(answers) == _WRITTEN_IN_ONE:
            self._check_count(answers[1], len(data))
            self._length = len(data)
        elif data:
            self.write_at(0, data)
            self.finish(modified_at)

    def create(self) -> None:
        """Make the staged file in place of any leftover, as long as it is going to be if that is known, so that a disk
        that is too full says so at once. ItemError `parent-missing`; FatalError `disk-full`, `read-only`."""
        length = [] if self._size_bytes is None else [smb.set_end(smb.PREVIOUS, self._size_bytes)]
        self._create(lambda _: length)

    def write_at(self, offset: int, data: bytes) -> None:
        """Write bytes at their place; several threads may do so at once."""
        view = memoryview(data)
        while view:
            with self._handles.somewhere() as (channel, handle):
                piece = view[: channel.chunk_bytes]
                [answer] = channel.exchange(smb.write(handle, offset, piece))
            self._share.check(answer, self._path)
            self._check_count(answer, len(piece))
            view, offset = view[len(piece) :], offset + len(piece)
            self._length = max(self._length, offset)

    def finish(self, modified_at: datetime | None) -> None:
        """Set the time, when nobody writes any more."""
        self._written = _time(modified_at)
        self._handles.close_others()
        self._check(self._handles.exchange(lambda handle: [smb.set_times(handle, self._written)]))

    def publish(self, expected: Entry | None) -> Stored:
        """Make the file visible as its path. PreconditionFailed `destination-changed`; RetryableError `locked`,
        `publish-unknown`.

        A rename that must not replace anything is the server's own atomic step. The file to replace is looked at right
        before; SMB has no replacing under a condition.
        """
        if expected is not None:
            found = self._share.find(self._path, to_replace=True)
            check_expected(self._shown, None if found is None else entry_of(self._path, found), expected)
        name, replace = self._share.name(self._path), expected is not None
        try:
            renamed, closed = self._handles.exchange(
                lambda handle: [smb.rename(handle, name, replace=replace), smb.close(handle)]
            )
        except RetryableError as lost:
            return self._after_lost_answer(lost)
        self._handles.forget()
        if renamed.status:
            raise self._not_renamed(renamed.status, replace=replace)
        self._may_be_there = False
        found = smb.closed(closed.data) if not closed.status else None
        return self._stored(found or self._share.find(self._path))

    def discard(self) -> None:
        """Remove the staged file. What the server cannot be told now stays as a staged name, which the next try
        replaces and `sweep_staged` removes."""
        with suppress(SiteHaulError):
            self._handles.close_others()
        if not self._may_be_there:
            return
        if self._handles.is_open:
            with suppress(SiteHaulError):
                answers = self._handles.exchange(lambda handle: [smb.delete(handle), smb.close(handle)])
                self._may_be_there = any(answer.status for answer in answers)
        self._handles.forget()
        if self._may_be_there:
            with suppress(SiteHaulError):
                self._share.remove_file(self._staged)
        self._may_be_there = False

    @property
    def _shown(self) -> str:
        return self._share.shown(self._path)

    def _create(self, rest: Callable[[Channel], list[smb.Message]]) -> list[Answer]:
        """Open the staged file, and do the rest of a chain with it. What a lost connection left is waited for."""
        opening = smb.create(self._share.name(self._staged), _ACCESS, smb.OVERWRITE_IF, smb.IS_FILE)
        for seconds in (*_PATIENCE_SECONDS, 0.0):
            answers = once_more(lambda: self._open(opening, rest))
            if not answers[0].status:
                break
            self._may_be_there = False
            if answers[0].status != DELETE_PENDING:
                break
            time.sleep(seconds)
        if answers[0].status in GONE and answers[0].status != DELETE_PENDING:
            raise ItemError("parent-missing", f"{self._shown}: its folder does not exist.")
        self._check(answers)
        return answers

    def _open(self, opening: smb.Message, rest: Callable[[Channel], list[smb.Message]]) -> list[Answer]:
        with self._share.channels.any() as channel:
            self._may_be_there = True
            answers = channel.exchange(opening, *rest(channel))
            if not answers[0].status:
                self._handles.opened(channel, smb.created(answers[0].data)[0])
        return answers

    def _check(self, answers: list[Answer]) -> None:
        for answer in answers:
            if answer.status == ACCESS_DENIED:
                raise self._share.not_writable(self._path)
            self._share.check(answer, self._path)

    def _check_count(self, answer: Answer, length: int) -> None:
        if smb.count_written(answer.data) != length:
            raise RetryableError("short-write", f"{self._shown}: the server wrote less than it was sent.")

    def _not_renamed(self, status: int, *, replace: bool) -> SiteHaulError:
        if status == NAME_COLLISION and not replace:
            return destination_changed(self._shown, "something is there now")
        if status in GONE:
            return ItemError("parent-missing", f"{self._shown}: its folder is no longer there.")
        if status != ACCESS_DENIED:
            return self._share.error(status, self._path)
        if replace and self._share.is_open_elsewhere(self._path):
            return self._share.error(SHARING_VIOLATION, self._path)
        return self._share.not_writable(self._path)

    def _stored(self, found: Found | None) -> Stored:
        if found is None or found.size_bytes != self._length:
            raise RetryableError(
                "stored-content-differs",
                f"{self._shown} is not as it was written: somebody else changed or removed it at once.",
                fix="Run again; the next plan decides anew.",
            )
        ref = path_ref(SYSTEM, self._path, version_of(found))
        return Stored(ref, self._path[-1], found.size_bytes, smb.moment(found.written))

    def _after_lost_answer(self, lost: RetryableError) -> Stored:
        """Whether the rename was carried out: if not, the staged file is still there and is removed, which also keeps
        the server from renaming it later."""
        try:
            if self._share.remove_file(self._staged):
                self._may_be_there = False
                raise lost
            found = self._share.find(self._path)
        except SiteHaulError as error:
            if error is lost:
                raise
            raise self._unknown() from error
        self._may_be_there = False
        if found is None or found.size_bytes != self._length or abs(found.written - self._written) > _ROUNDING:
            raise self._unknown() from lost
        return self._stored(found)

    def _unknown(self) -> RetryableError:
        return RetryableError(
            "publish-unknown",
            f"Whether {readable(self._path)} was published is unknown: the connection was lost at that moment.",
            fix="It is looked at and tried again by itself.",
        )


def _time(modified_at: datetime | None) -> int:
    """The time is always set: servers write their own one when they come to it, and the version would change."""
    return smb.ticks(modified_at or datetime.now(UTC))


def _any_will_do(found: Found) -> None:
    """The staged name is ours alone."""
