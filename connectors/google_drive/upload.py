"""One file on its way into Google Drive.

A file of up to 5 MB waits in memory and is published by the request that sends it; a larger one goes into a resumable
session, of which the last 256 KiB are held back until it is to be published.

Google Drive knows no conditions, and two files of one folder may have one name: making a file never overwrites another.
So that a file that appears meanwhile gets no twin, the folder is looked into after publishing (for larger files before
as well). If something else of that name is there, ours goes to the trash and the precondition has failed. Of several
small files that are made at the same time the oldest stays.

A file that is to be replaced is looked at right before; a change within that instant becomes its version before.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from connectors.google_drive.records import Record, entry_of, moment, oldest_first, ref_of, written_moment
from connectors.google_drive.sessions import PIECE_BYTES, Sending
from connectors.shared.completion import to_the_end
from connectors.shared.receiving import Part
from connectors.shared.tree import Incoming, destination_changed, same_version
from migration.contract import Stored
from migration.entries import Entry
from migration.errors import ItemError, RetryableError

if TYPE_CHECKING:
    from connectors.google_drive.connector import GoogleDriveConnector

PART_BYTES = 32 * PIECE_BYTES
WHOLE_BYTES_MAX = 5_000_000
"""More than this is not to be sent together with its metadata."""
_NOT_DONE = frozenset({"upload-lost", "rate-limited", "overloaded"})


class GoogleDriveUpload:
    """Parts are multiples of a piece."""

    part_bytes = PART_BYTES

    def __init__(self, connector: "GoogleDriveConnector", file: Incoming) -> None:
        self._connector = connector
        self._file = file
        self._shown = connector.shown(file.path)
        self._what = f"write {self._shown}"
        self._parent = ""
        self._metadata: dict[str, Any] = {}
        self._sending: Sending | None = None
        self._size_bytes = 0
        self._rest = b""
        """What is sent by publishing: the whole file if it is small."""

    async def write(self, part: Part) -> None:
        if self._sending is None:
            self._parent = (await self._connector.folders.parent_of(self._file.path)).id
            self._sending = await self._begun()
        self._size_bytes += len(part.data)
        if part.is_last and not part.offset and len(part.data) <= WHOLE_BYTES_MAX:
            self._rest = part.data
            return
        if not self._sending.has_begun:
            # Cut short, the session would be there and nobody would know its address.
            await to_the_end(self._sending.begin(self._metadata))
        # Every piece but the last is a multiple; at least one byte is left for the last.
        rest = (len(part.data) - 1) % PIECE_BYTES + 1 if part.is_last else 0
        cut = len(part.data) - rest
        if cut:
            await self._sending.send(part.offset, part.data[:cut])
        self._rest = part.data[cut:]

    async def finish(self) -> None: ...

    async def publish(self) -> Stored:
        if self._file.expected is None:
            return await self._made()
        return await self._replaced(self._file.expected)

    async def discard(self) -> None:
        sending, self._sending = self._sending, None
        self._rest = b""
        if sending is not None and sending.has_begun:
            # If Google cannot be reached or refuses, the session ends by itself after a week.
            with suppress(RetryableError, ItemError):
                await sending.give_up()

    async def _begun(self) -> Sending:
        connector, expected = self._connector, self._file.expected
        if self._file.modified_at is not None:
            self._metadata["modifiedTime"] = written_moment(self._file.modified_at)
        replaced = None
        if expected is None:
            self._metadata |= {
                "id": await connector.api.new_id(), "name": self._file.path[-1], "parents": [self._parent],
            }  # fmt: skip
        elif expected.is_file:
            replaced = expected.ref.id
        else:
            raise destination_changed(self._shown, "what is there cannot be replaced by a file")
        return Sending(connector.api, connector.upload_url, self._what, self._file.path[-1], replaced=replaced)

    async def _sent(self) -> Record:
        assert self._sending is not None
        if self._sending.has_begun:
            record = await self._sending.complete(self._size_bytes - len(self._rest), self._rest)
        else:
            record = await self._sending.whole(self._metadata, self._rest)
        self._sending = None
        return record

    async def _made(self) -> Stored:
        assert self._sending is not None
        is_large = self._sending.has_begun
        if is_large and await self._connector.named(self._parent, self._file.path[-1], self._shown):
            raise destination_changed(self._shown, "something is there now")
        try:
            record = await self._sent_or_found()
        except ItemError as error:
            if error.code == "not-found":
                raise self._parent_missing() from error
            raise
        if record.get("trashed"):
            await self._take_back(record)
            raise self._parent_missing()
        try:
            others = await self._connector.named(self._parent, self._file.path[-1], self._shown)
        except RetryableError as error:
            raise RetryableError("publish-unknown", error.message, fix=error.fix) from error
        others = [other for other in others if other["id"] != record["id"]]
        if others and (is_large or oldest_first([record, *others])[0] is not record):
            await self._take_back(record)
            raise destination_changed(self._shown, "something is there now")
        return self._stored(record)

    async def _sent_or_found(self) -> Record:
        """The new file, also when every answer about it was lost."""
        try:
            return await self._sent()
        except RetryableError as error:
            if error.code in _NOT_DONE:
                raise
            try:
                record = await self._connector.api.get(self._what, str(self._metadata["id"]))
            except RetryableError as unknown:
                raise RetryableError("publish-unknown", error.message, fix=error.fix) from unknown
            if record is None:
                raise
            return record

    async def _replaced(self, expected: Entry) -> Stored:
        before = await self._as_expected(expected)
        try:
            return self._stored(await self._sent())
        except RetryableError as error:
            if error.code not in ("answer-lost", "publish-unknown"):
                raise
            return await self._after_all(error, before)

    async def _as_expected(self, expected: Entry) -> Record:
        record = await self._connector.api.get(self._what, expected.ref.id)
        if record is None or record.get("trashed") or self._parent not in record.get("parents", ()):
            raise destination_changed(self._shown, "the file to replace is gone")
        if record["name"] != self._file.path[-1]:
            raise destination_changed(self._shown, "the file to replace has another name now")
        if not same_version(entry_of(record, self._file.path, None), expected):
            raise destination_changed(self._shown, "the file to replace was changed")
        return record

    async def _after_all(self, lost: RetryableError, before: Record) -> Stored:
        """What the lost answer would have said."""
        unknown = RetryableError("publish-unknown", lost.message, fix=lost.fix)
        try:
            record = await self._connector.api.get(self._what, str(before["id"]))
        except RetryableError as error:
            raise unknown from error
        if record is not None and record.get("headRevisionId") == before.get("headRevisionId"):
            raise RetryableError("answer-lost", lost.message, fix=lost.fix)
        if record is not None and not record.get("trashed") and int(record.get("size", -1)) == self._size_bytes:
            return self._stored(record)
        raise unknown

    async def _take_back(self, record: Record) -> None:
        await self._connector.api.change(self._what, str(record["id"]), {"trashed": True})

    def _parent_missing(self) -> ItemError:
        self._connector.folders.forget(self._file.path[:-1])
        return ItemError("parent-missing", f"{self._shown}: its folder does not exist any more.")

    def _stored(self, record: Record) -> Stored:
        size_bytes = int(record.get("size", -1))
        if size_bytes != self._size_bytes:
            raise RetryableError(
                "stored-size-differs", f"Google Drive holds {size_bytes} of {self._size_bytes} bytes of {self._shown}."
            )
        return Stored(
            ref_of(record),
            str(record["name"]),
            size_bytes,
            moment(record["modifiedTime"]),
            stored_sha256=record.get("sha256Checksum"),
        )
