"""One file on its way into Dropbox
(https://www.dropbox.com/developers/documentation/http/documentation#files-upload_session-start).

A file of up to 4 MiB waits in memory and is published by the request that sends it. A larger one goes into an upload
session, several pieces at a time, and is published by finishing it. Nothing of a session is ever visible, and one that
is not finished ends by itself after seven days: there is nothing to clean up.

Publishing is conditional at Dropbox itself: `add` never overwrites and `update` only replaces the one `rev`, both
strictly. Every piece is sent with its hash, and the hash of the whole file that Dropbox answers with is compared with
that of the bytes sent.
"""

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

from connectors.dropbox.errors import CONFLICT, SESSION_CLOSED
from connectors.dropbox.records import BLOCK_BYTES, HASH, hash_of, moment, written_moment
from connectors.shared.receiving import Part
from connectors.shared.sending import InFlight
from connectors.shared.tree import Incoming, check_expected, destination_changed, same_version
from migration.contract import Stored
from migration.entries import Entry, Ref
from migration.errors import ItemError, RetryableError, SiteHaulError

if TYPE_CHECKING:
    from connectors.dropbox.connector import DropboxConnector

PIECES_AT_ONCE = 6
_BUSY = frozenset({"overloaded", "rate-limited"})
_NO_SESSION = frozenset({"not-found", SESSION_CLOSED})
HASHED_AT_ONCE_BYTES = 1024 * 1024
"""More than this is not hashed in the event loop."""


class DropboxUpload:
    """A piece has the length of one block of Dropbox's hash, so that its digest serves for both."""

    part_bytes = BLOCK_BYTES

    def __init__(self, connector: "DropboxConnector", file: Incoming) -> None:
        self._connector = connector
        self._file = file
        self._what = f"write {connector.shown(file.path)}"
        self._blocks: list[bytes] = []
        self._size_bytes = 0
        self._content: bytes | None = None
        """The whole file, if it is small."""
        self._session: str | None = None
        self._sending = InFlight(PIECES_AT_ONCE)

    async def write(self, part: Part) -> None:
        if not self._blocks:
            await self._connector.folders.parent_of(self._file.path)
        digest = await _digest(part.data)
        self._blocks.append(digest)
        self._size_bytes += len(part.data)
        if part.is_last and self._session is None:
            self._content = part.data
            return
        if self._session is None:
            self._session = await self._started(None)
        if part.is_last:
            await self._sending.finish()  # it closes the session
        await self._sending.start(len(part.data), self._append, part, digest)

    async def finish(self) -> None:
        await self._sending.finish()

    async def publish(self) -> Stored:
        mode, replaced = await self._mode()
        commit = {
            "path": self._connector.written(self._file.path),
            "mode": mode,
            "strict_conflict": True,
            "autorename": False,
            "mute": True,
        }
        if self._file.modified_at is not None:
            commit["client_modified"] = written_moment(self._file.modified_at)
        try:
            return await self._stored(await self._committed(commit))
        except ItemError as error:
            if error.code == CONFLICT:
                return await self._after_conflict(error)
            if error.code in _NO_SESSION:
                raise _upload_lost() from error
            raise
        except RetryableError as error:
            if error.code == "answer-lost":
                return await self._after_all(error, replaced)
            raise

    async def discard(self) -> None:
        await self._sending.stop()
        self._content = None

    async def _started(self, whole: bytes | None) -> str:
        """A session: for pieces to come, or one that holds the whole file."""
        arguments: dict[str, Any] = {"close": False, "session_type": "concurrent"}
        if whole is not None:
            arguments = {"close": True, "content_hash": self._hash}
        answer = await self._connector.api.send(self._what, "files/upload_session/start", arguments, whole or b"")
        return str(answer["session_id"])

    async def _append(self, part: Part, digest: bytes) -> None:
        arguments = {
            "cursor": {"session_id": self._session, "offset": part.offset},
            "close": part.is_last,
            "content_hash": hash_of([digest]),
        }
        try:
            await self._connector.api.send(self._what, "files/upload_session/append_v2", arguments, part.data)
        except ItemError as error:
            # Sent again after a lost answer, the closing piece is one too many; finishing tells whether all is there.
            if error.code == SESSION_CLOSED and part.is_last:
                return
            if error.code in _NO_SESSION:
                raise _upload_lost() from error
            raise

    async def _mode(self) -> tuple[Any, str | None]:
        """How Dropbox is to check what is there, and the rev that is replaced."""
        expected = self._file.expected
        if expected is None:
            return "add", None
        rev = expected.ref.version_id if expected.is_file else None
        if rev is None:
            found = await self._connector.look(self._file.path)
            check_expected(self._connector.shown(self._file.path), found, expected)
            rev = found.ref.version_id if found else None
        return {".tag": "update", "update": rev}, rev

    async def _committed(self, commit: dict[str, Any]) -> dict[str, Any]:
        commits = self._connector.commits
        try:
            if not commits.together:
                return await self._committed_alone(commit)
        except RetryableError as error:
            if error.code not in _BUSY:
                raise
            commits.together = True
        return await self._committed_together(commit)

    async def _committed_together(self, commit: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            self._session = await self._started(self._content)
        return await self._connector.commits.finish(
            self._connector.api, self._what, self._session, self._size_bytes, commit
        )

    async def _committed_alone(self, commit: dict[str, Any]) -> dict[str, Any]:
        api = self._connector.api
        if self._content is not None:
            arguments = {**commit, "content_hash": self._hash}
            return await api.send(self._what, "files/upload", arguments, self._content, again=False)
        arguments = {"cursor": {"session_id": self._session, "offset": self._size_bytes}, "commit": commit}
        return await api.send(self._what, "files/upload_session/finish", arguments, b"", again=False)

    @property
    def _hash(self) -> str:
        return hash_of([] if not self._size_bytes else self._blocks)

    async def _stored(self, record: dict[str, Any]) -> Stored:
        ref = Ref(self._connector.system, str(record["id"]), str(record["rev"]))
        if record.get("content_hash") != self._hash or record.get("size") != self._size_bytes:
            raise await self._differs(ref)
        return Stored(ref, str(record["name"]), self._size_bytes, moment(record["client_modified"]), confirmed_by=HASH)

    async def _differs(self, ref: Ref) -> SiteHaulError:
        """Other bytes were stored than were sent: take a new file away again."""
        message = f"Dropbox holds other bytes of {self._connector.shown(self._file.path)} than were sent."
        if self._file.expected is not None:
            fix = "Bring the version before back in Dropbox (Version history), and report it to Dropbox."
            return ItemError("stored-content-differs", message, fix=fix)
        await self._connector.rearranging.delete(ref, self._what)
        return RetryableError("stored-content-differs", message)

    async def _after_conflict(self, error: ItemError) -> Stored:
        shown, expected = self._connector.shown(self._file.path), self._file.expected
        found = await self._connector.look(self._file.path)
        if expected is None:
            raise destination_changed(shown, "something is there now") from error
        check_expected(shown, found, expected)
        if found is not None and found.checksums.get(HASH) == self._hash:
            return _as_found(found)  # strictly, replacing a content by the same one is a conflict as well
        raise destination_changed(shown, "Dropbox says that something else is there") from error

    async def _after_all(self, lost: RetryableError, replaced: str | None) -> Stored:
        """What the lost answer would have said."""
        try:
            found = await self._connector.look(self._file.path)
        except RetryableError as error:
            raise RetryableError("publish-unknown", lost.message, fix=lost.fix) from error
        if found is not None and found.ref.version_id != replaced and self._is_ours(found):
            return _as_found(found)
        expected = self._file.expected
        as_before = found is None if expected is None else found is not None and same_version(found, expected)
        raise lost if as_before else RetryableError("publish-unknown", lost.message, fix=lost.fix)

    def _is_ours(self, found: Entry) -> bool:
        sent = self._file.modified_at
        same_time = sent is None or (
            found.modified_at is not None and written_moment(found.modified_at) == written_moment(sent)
        )
        return found.checksums.get(HASH) == self._hash and same_time


async def _digest(block: bytes) -> bytes:
    if len(block) <= HASHED_AT_ONCE_BYTES:
        return hashlib.sha256(block).digest()
    return await asyncio.to_thread(lambda: hashlib.sha256(block).digest())


def _as_found(found: Entry) -> Stored:
    return Stored(found.ref, found.name, found.size_bytes or 0, found.modified_at, confirmed_by=HASH)


def _upload_lost() -> RetryableError:
    return RetryableError("upload-lost", "Dropbox no longer knows the upload session; the file has to be sent again.")
