"""Files on their way into Egnyte
(https://developers.egnyte.com/docs/read/File_System_Management_API_Documentation).

A file of up to 10 MiB is one request, a larger one goes up in chunks of at least that; Egnyte tells the SHA-512 of
each, and of a whole file. The last chunk makes the file, so for a file that is to be replaced it waits for `publish`.
"""

import asyncio
import hashlib
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

from connectors.egnyte.shapes import SYSTEM, text_of, time_of, version_of
from connectors.shared.calls import Reply
from connectors.shared.completion import to_the_end
from connectors.shared.paths import path_ref, staged_name
from connectors.shared.receiving import Part
from connectors.shared.tree import Incoming, destination_changed
from migration.contract import Stored
from migration.entries import Entry, PathParts
from migration.errors import ItemError, RetryableError

if TYPE_CHECKING:
    from connectors.egnyte.connector import EgnyteConnector

CHUNK_BYTES = 10 * 1024 * 1024
"""Chunks are at least this long, and all but the last are equally long."""
LARGE_CHUNK_BYTES = 2 * CHUNK_BYTES
LARGE_FILE_BYTES = 50 * CHUNK_BYTES
_ON_THE_LOOP_BYTES = 1024 * 1024


class EgnyteUpload:
    """One file on its way in."""

    def __init__(self, connector: "EgnyteConnector", file: Incoming) -> None:
        self._connector = connector
        self._file = file
        self._what = f"write {connector.shown(file.path)}"
        self._staged: PathParts = (*file.path[:-1], staged_name(file.staging_key))
        self._place = self._staged if file.expected is None else file.path
        self._begun = False
        self._upload_id: str | None = None
        self._chunks = 0
        self._size_bytes = 0
        self._last: Part | None = None
        self._sha512: str | None = None
        self._version: str | None = None
        self._modified_at: datetime | None = None
        self._kept = ExitStack()

    @property
    def part_bytes(self) -> int:
        is_large = (self._file.size_bytes or 0) > LARGE_FILE_BYTES
        return LARGE_CHUNK_BYTES if is_large else CHUNK_BYTES

    async def write(self, part: Part) -> None:
        connector, file = self._connector, self._file
        if not self._begun:
            if file.expected is not None and not file.expected.is_file:
                raise destination_changed(connector.shown(file.path), "what is there cannot be replaced by a file")
            await connector.folders.parent_of(file.path)
            self._kept.enter_context(connector.writing(self._staged))
            self._begun = True
        self._size_bytes += len(part.data)
        if not part.is_last:
            await self._chunk(part.data, last=False)
        elif file.expected is None:
            # Cut short, it might still be carried out after the staged file was removed.
            await to_the_end(self._ended(part, again=True))
        else:
            self._last = part

    async def finish(self) -> None: ...

    async def publish(self) -> Stored:
        file, connector = self._file, self._connector
        try:
            if file.expected is None:
                await connector.rename(self._staged, file.path)
            else:
                await connector.is_as_expected(file.path, file.expected)
                assert self._last is not None
                await self._ended(self._last, again=False)
        except RetryableError as error:
            if error.code != "answer-lost":
                raise
            return self._stored(await self._found_after_all(error))
        except ItemError as error:
            if error.code == "not-found" and file.expected is None:
                connector.folders.forget(file.path[:-1])
            raise
        if self._version is None or self._modified_at is None:
            found = await connector.look(file.path)
            if found is None:
                raise RetryableError("published-file-lost", f"{connector.shown(file.path)} was published and is gone.")
            return self._stored(found)
        self._kept.close()
        ref = path_ref(SYSTEM, file.path, self._version)
        confirmed = None if self._sha512 is None else "sha512"
        return Stored(ref, file.path[-1], self._size_bytes, self._modified_at, confirmed_by=confirmed)

    async def discard(self) -> None:
        try:
            if self._begun and self._file.expected is None:
                await self._connector.remove_file(self._staged)
        except (RetryableError, ItemError):
            pass  # Egnyte is gone or refuses; the next try replaces the staged file, or `sweep_staged` removes it
        finally:
            self._kept.close()

    async def _ended(self, part: Part, *, again: bool) -> None:
        """Send what makes the file."""
        if self._chunks:
            await self._chunk(part.data, last=True)
            if self._place == self._staged:
                await self._check_staged()
            return
        self._sha512 = ours = await _sha512(part.data)
        headers = {"Content-Type": "application/octet-stream", "X-Sha512-Checksum": ours, **self._time()}
        reply = await self._posted("fs-content", part.data, headers, again=again)
        told = str(reply.json().get("checksum") or "").lower()
        if told != ours:
            raise self._differs()
        self._version = version_of(told)
        self._modified_at = time_of(reply.headers.get("last-modified"))

    async def _check_staged(self) -> None:
        """What came in chunks gets no checksum that could be compared, so its size is."""
        found = await self._connector.look(self._staged)
        if found is None or found.size_bytes != self._size_bytes:
            raise self._differs()
        self._version, self._modified_at = found.ref.version_id, found.modified_at

    async def _chunk(self, data: bytes, *, last: bool) -> None:
        ours = await _sha512(data)
        headers = {
            "Content-Type": "application/octet-stream",
            "X-Egnyte-Chunk-Num": str(self._chunks + 1),
            "X-Egnyte-Chunk-Sha512-Checksum": ours,
            **({"X-Egnyte-Upload-Id": self._upload_id} if self._upload_id else {}),
            **({"X-Egnyte-Last-Chunk": "true", **self._time()} if last else {}),
        }
        reply = await self._posted("fs-content-chunked", data, headers, again=not last)
        if reply.headers.get("x-egnyte-chunk-sha512-checksum", ours).lower() != ours:
            raise self._differs()
        self._upload_id = self._upload_id or reply.headers.get("x-egnyte-upload-id")
        self._chunks += 1

    async def _posted(self, kind: str, data: bytes, headers: dict[str, str], *, again: bool) -> Reply:
        address = self._connector.address(kind, self._place)
        try:
            return await self._connector.calls.call(
                self._what, "POST", address, headers=headers, content=data, again=again
            )
        except ItemError as error:
            if error.code != "not-found":
                raise
            self._connector.folders.forget(self._file.path[:-1])
            shown = self._connector.shown(self._file.path)
            raise ItemError("parent-missing", f"{shown}: its folder does not exist any more.") from error

    async def _found_after_all(self, lost: RetryableError) -> Entry:
        """What the lost answer would have said. RetryableError `publish-unknown` if that cannot be known."""
        file, connector = self._file, self._connector
        unknown = RetryableError(
            "publish-unknown", lost.message, fix=lost.fix, retry_after_seconds=lost.retry_after_seconds
        )
        try:
            found = await connector.look(file.path)
            staged = await connector.look(self._staged) if file.expected is None else None
        except RetryableError as error:
            raise unknown from error
        if found is None or staged is not None or not self._is_ours(found):
            raise unknown
        return found

    def _is_ours(self, found: Entry) -> bool:
        file = self._file
        if not found.is_file or found.size_bytes != self._size_bytes:
            return False
        if file.expected is not None and found.ref.version_id == file.expected.ref.version_id:
            return False
        if self._sha512 is not None:
            return found.checksums.get("sha512") == self._sha512
        return file.modified_at is None or found.modified_at == file.modified_at.replace(microsecond=0)

    def _time(self) -> dict[str, str]:
        return {} if self._file.modified_at is None else {"Last-Modified": text_of(self._file.modified_at)}

    def _differs(self) -> RetryableError | ItemError:
        what = f"What Egnyte stored of {self._connector.shown(self._file.path)} is not what was sent."
        if self._file.expected is None:
            return RetryableError("stored-content-differs", what, fix="Check the network and proxies if this goes on.")
        return ItemError("stored-content-differs", what, fix="Bring back the version before in Egnyte, and run again.")

    def _stored(self, found: Entry) -> Stored:
        if found.size_bytes != self._size_bytes:
            raise self._differs()
        self._kept.close()
        confirmed = "sha512" if self._sha512 is not None and found.checksums.get("sha512") == self._sha512 else None
        return Stored(found.ref, found.name, self._size_bytes, found.modified_at, confirmed_by=confirmed)


async def _sha512(data: bytes) -> str:
    if len(data) <= _ON_THE_LOOP_BYTES:
        return hashlib.sha512(data).hexdigest()
    return (await asyncio.to_thread(hashlib.sha512, data)).hexdigest()
