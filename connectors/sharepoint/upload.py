"""One file on its way into SharePoint.

A file goes through an upload session: it takes the file's own time and the condition together with the content, while a
plain PUT would need a second call for the time, during which the file is visible with a wrong one, and honours no
condition. A small file waits in memory and is two calls; a larger one is sent in parts while it arrives, and becomes
visible by a last call (`deferCommit`). A session cannot make an empty file: that is a PUT, and a PATCH for its time.

What is to be replaced is looked at right before, which also gives the `eTag` that the session is bound to. Microsoft
documents that the condition is checked when the session is made; a larger file is therefore looked at again before its
last call. https://learn.microsoft.com/en-us/graph/api/driveitem-createuploadsession
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from connectors.shared.bodies import Spooled
from connectors.shared.receiving import Part
from connectors.shared.tree import Incoming, check_expected, destination_changed, same_version
from connectors.sharepoint.errors import CONFLICT
from connectors.sharepoint.graph import escaped
from connectors.sharepoint.quickxor import QuickXor
from connectors.sharepoint.session import UNIT_BYTES, SessionGone, UploadSession
from connectors.sharepoint.shapes import QUICKXOR, entry_of, quickxor_of, times
from migration.contract import Stored
from migration.entries import Entry, Ref
from migration.errors import ItemError, PreconditionFailed, RetryableError

if TYPE_CHECKING:
    from connectors.sharepoint.connector import SharePointConnector

PART_BYTES = 16 * UNIT_BYTES
LARGE_PART_BYTES = 32 * UNIT_BYTES
"""10 MiB, the best size on a good connection; https://learn.microsoft.com/en-us/graph/api/driveitem-createuploadsession#best-practices"""
LARGE_BYTES = 64 * 1024 * 1024
_INLINE_BYTES = 1024 * 1024
_CONFLICT_BEHAVIOR = "@microsoft.graph.conflictBehavior"


class SharePointUpload:
    """An upload of `connectors.shared.tree`. One whose length nobody knows is gathered in a temporary file first, as
    every part tells the length of the whole."""

    def __init__(self, connector: "SharePointConnector", file: Incoming) -> None:
        self._connector = connector
        self._file = file
        self._parent: Ref | None = None
        self._small: bytes | None = None
        self._gathered: Spooled | None = None
        self._session: UploadSession | None = None
        self._hashing = QuickXor()
        self._size_bytes = 0
        self._what = f"write {connector.shown(file.path)}"

    @property
    def part_bytes(self) -> int:
        return LARGE_PART_BYTES if (self._file.size_bytes or 0) >= LARGE_BYTES else PART_BYTES

    async def write(self, part: Part) -> None:
        if self._parent is None:
            self._parent = await self._connector.folders.parent_of(self._file.path)
        self._size_bytes += len(part.data)
        if part.is_last and part.offset == 0:
            await self._hash(part.data)
            self._small = part.data
        elif self._file.size_bytes is None:
            self._gathered = self._gathered or Spooled()
            await self._gathered.give(part)
        else:
            await self._send(part.offset, part.data, self._file.size_bytes)

    async def finish(self) -> None:
        if self._gathered is None:
            return
        offset, pending = 0, bytearray()
        async for chunk in self._gathered.chunks():
            pending += chunk
            while len(pending) >= PART_BYTES:
                await self._send(offset, bytes(pending[:PART_BYTES]), self._size_bytes)
                offset += PART_BYTES
                del pending[:PART_BYTES]
        if pending:
            await self._send(offset, bytes(pending), self._size_bytes)

    async def publish(self) -> Stored:
        try:
            shown = await self._published()
        except SessionGone as gone:
            shown = await self._found_after_all(gone.lost)
        except PreconditionFailed as error:
            if error.code == CONFLICT:
                raise destination_changed(self._shown, self._conflict) from error
            raise
        self._session = None
        return await self._stored(shown)

    async def discard(self) -> None:
        session, self._session = self._session, None
        self._small = None
        if self._gathered is not None:
            self._gathered.close()
        if session is not None:
            # Where Microsoft is out of reach or refuses: a session ends by itself and is never visible.
            with suppress(RetryableError, ItemError):
                await session.cancel()

    @property
    def _shown(self) -> str:
        return self._connector.shown(self._file.path)

    @property
    def _conflict(self) -> str:
        return "something is there now" if self._file.expected is None else "the file to replace was changed or is gone"

    async def _send(self, offset: int, data: bytes, total_bytes: int) -> None:
        await self._hash(data)
        if self._session is None:
            self._session = await self._opened(await self._replaced(), total_bytes, deferred=True)
        try:
            await self._session.send(offset, data)
        except SessionGone as gone:
            self._session = None
            raise RetryableError(
                "session-ended", f"Microsoft ended the upload of {self._shown} before it was whole."
            ) from gone

    async def _published(self) -> dict[str, Any]:
        if self._small == b"":
            return await self._publish_empty()
        if self._small is not None:
            self._session = await self._opened(await self._replaced(), self._size_bytes, deferred=False)
            return await self._session.send(0, self._small) or await self._session.commit()
        assert self._session is not None
        await self._replaced()
        return await self._session.commit()

    async def _replaced(self) -> dict[str, Any] | None:
        """What is to be replaced, as it is now; None if nothing is expected. PreconditionFailed when it is another."""
        if self._file.expected is None:
            return None
        shown = await self._connector.shown_at(self._file.path)
        found = None if shown is None else entry_of(shown, self._file.path)
        check_expected(self._shown, found, self._file.expected)
        return shown

    async def _opened(self, replaced: dict[str, Any] | None, total_bytes: int, *, deferred: bool) -> UploadSession:
        behavior = "fail" if replaced is None else "replace"
        about: dict[str, Any] = {_CONFLICT_BEHAVIOR: behavior, **self._times()}
        condition = {} if replaced is None else {"If-Match": replaced["eTag"]}
        values = {"item": about, **({"deferCommit": True} if deferred else {})}
        address = await self._address(replaced)
        try:
            reply = await self._connector.graph.call(
                self._what, "POST", f"{address}/createUploadSession", values=values, headers=condition
            )
        except PreconditionFailed as error:
            raise destination_changed(self._shown, self._conflict) from error
        except ItemError as error:
            raise self._parent_is_gone(error) from error
        return UploadSession(
            self._connector.graph, self._what, reply.json()["uploadUrl"], total_bytes, deferred=deferred
        )

    async def _address(self, replaced: dict[str, Any] | None) -> str:
        if replaced is not None:
            return await self._connector.address(replaced["id"])
        assert self._parent is not None
        return f"{await self._connector.address(self._parent.id)}:/{escaped(self._file.path[-1])}:"

    def _parent_is_gone(self, error: ItemError) -> ItemError:
        if error.code != "not-found":
            return error
        self._connector.folders.forget(self._file.path[:-1])
        return ItemError("parent-missing", f"{self._shown}: its folder does not exist.", fix=error.fix)

    async def _publish_empty(self) -> dict[str, Any]:
        replaced = await self._replaced()
        path = f"{await self._address(replaced)}/content"
        if replaced is None:
            path += f"?{_CONFLICT_BEHAVIOR}=fail"
        headers = {"Content-Type": "application/octet-stream"}
        graph = self._connector.graph
        try:
            reply = await graph.call(self._what, "PUT", path, content=b"", headers=headers, again=False)
            shown = dict(reply.json())
        except ItemError as error:
            raise self._parent_is_gone(error) from error
        except RetryableError as error:
            if error.code != "answer-lost":
                raise
            shown = await self._found_after_all(error)
        return shown if self._file.modified_at is None else await self._dated(shown, is_new=replaced is None)

    async def _dated(self, shown: dict[str, Any], *, is_new: bool) -> dict[str, Any]:
        """An empty file with its own time."""
        address = await self._connector.address(shown["id"])
        try:
            reply = await self._connector.graph.call(self._what, "PATCH", address, values=self._times())
        except (RetryableError, ItemError) as error:
            if not is_new:
                raise RetryableError("publish-unknown", error.message, fix=error.fix) from error
            await self._connector.remove(shown)
            raise
        return dict(reply.json())

    def _times(self) -> dict[str, Any]:
        return {} if self._file.modified_at is None else times(self._file.modified_at)

    async def _hash(self, data: bytes) -> None:
        if len(data) > _INLINE_BYTES:
            await asyncio.to_thread(self._hashing.add, data)
        else:
            self._hashing.add(data)

    async def _found_after_all(self, lost: RetryableError | None) -> dict[str, Any]:
        """What the lost answer to the publishing step would have said."""
        if lost is None:
            raise RetryableError("session-ended", f"Microsoft ended the upload of {self._shown} before it was whole.")
        try:
            shown = await self._connector.shown_at(self._file.path)
        except RetryableError as error:
            raise RetryableError("publish-unknown", lost.message, fix=lost.fix) from error
        if shown is None:
            raise RetryableError("upload-lost", lost.message, fix=lost.fix) from lost
        found = entry_of(shown, self._file.path)
        if self._is_ours(shown, found):
            return shown
        if self._file.expected is not None and same_version(found, self._file.expected):
            raise RetryableError("upload-lost", lost.message, fix=lost.fix) from lost
        raise RetryableError("publish-unknown", lost.message, fix=lost.fix) from lost

    def _is_ours(self, shown: dict[str, Any], found: Entry) -> bool:
        """Whether it has our content, or may be what SharePoint made of it, at our time."""
        wanted = self._times().get("fileSystemInfo", {}).get("lastModifiedDateTime")
        if self._connector.capabilities.rewrites(self._file.path[-1]) and wanted is not None:
            return bool((shown.get("fileSystemInfo") or {}).get("lastModifiedDateTime") == wanted)
        same_size = found.is_file and found.size_bytes == self._size_bytes
        return same_size and quickxor_of(shown) in (None, self._hashing.text())

    async def _stored(self, shown: dict[str, Any]) -> Stored:
        connector, path = self._connector, self._file.path
        if "cTag" not in shown or "fileSystemInfo" not in shown:
            shown = await connector.shown_by_id(shown["id"]) or shown
        entry, checksum = entry_of(shown, path), quickxor_of(shown)
        name, size_bytes = str(shown["name"]), entry.size_bytes or 0
        if checksum == self._hashing.text() or (checksum is None and size_bytes == self._size_bytes):
            confirmed_by = None if checksum is None else QUICKXOR
            return Stored(entry.ref, name, size_bytes, entry.modified_at, confirmed_by=confirmed_by)
        if connector.capabilities.rewrites(path[-1]):
            settled = await connector.settled_sha256(entry)
            return Stored(entry.ref, name, size_bytes, entry.modified_at, stored_sha256=settled)
        return await self._differs(shown)

    async def _differs(self, shown: dict[str, Any]) -> Stored:
        message = f"Microsoft holds other content of {self._shown} than was sent (another size or checksum)."
        if self._file.expected is None and await self._connector.remove(shown):
            raise RetryableError("stored-content-differs", message)
        raise ItemError(
            "stored-content-differs", message, fix="Restore the earlier version in SharePoint, or remove the file."
        )
