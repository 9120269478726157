"""One file on its way to a WebDAV server: a PUT under a staged name, then a MOVE."""

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from connectors.shared.bodies import Body, Passed, Spooled
from connectors.shared.completion import to_the_end
from connectors.shared.paths import staged_name
from connectors.shared.receiving import Part
from connectors.shared.tree import Incoming
from migration.contract import Stored
from migration.entries import Entry, PathParts
from migration.errors import ItemError, RetryableError

if TYPE_CHECKING:
    from connectors.webdav.connector import WebDavConnector

PART_BYTES = 1024 * 1024
MOVES_MAX = 3
LATE_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


class WebDavUpload:
    """A small file is one request; a larger one is streamed while it arrives. One whose length nobody knows is gathered
    in a temporary file first: many servers take no body without a Content-Length, and some store an empty file."""

    part_bytes = PART_BYTES

    def __init__(self, connector: "WebDavConnector", file: Incoming) -> None:
        self._connector = connector
        self._file = file
        self._staged: PathParts = (*file.path[:-1], staged_name(file.staging_key))
        self._size_bytes = 0
        self._begun = False
        self._body: Body | None = None
        self._sending: asyncio.Task[None] | None = None
        self._kept = ExitStack()

    async def write(self, part: Part) -> None:
        if not self._begun:
            await self._connector.folders.parent_of(self._file.path)
            self._kept.enter_context(self._connector.writing(self._staged))
            self._begun = True
        self._size_bytes += len(part.data)
        if part.is_last and self._body is None:
            # Cut short, it might still be carried out after the staged file was removed.
            await to_the_end(self._put(part.data))
            return
        if self._body is None:
            self._body = Spooled() if self._file.size_bytes is None else Passed()
        if isinstance(self._body, Passed) and self._sending is None:
            self._sending = asyncio.create_task(self._send(self._body, self._file.size_bytes))
        await self._give(self._body, part)

    async def finish(self) -> None:
        if isinstance(self._body, Spooled):
            self._sending = asyncio.create_task(self._send(self._body, self._size_bytes))
        if self._sending is None:
            return
        await self._sending
        staged = await self._connector.look(self._staged)
        if staged is None or staged.size_bytes != self._size_bytes:
            size_bytes = None if staged is None else staged.size_bytes
            raise RetryableError(
                "stored-size-differs",
                f"The server holds {size_bytes} of the {self._size_bytes} bytes sent of "
                f"{self._connector.shown(self._file.path)}.",
            )

    async def publish(self) -> Stored:
        return await self._connector.published(self._file, self._publish)

    async def _publish(self, expected: Entry | None) -> Stored:
        path = self._file.path
        if expected is not None:
            await self._connector.is_as_expected(path, expected)
        for attempt in range(MOVES_MAX):
            try:
                await self._connector.move_file(self._staged, path, overwrite=expected is not None)
                break
            except (RetryableError, ItemError) as error:
                # The first of two moves may still be under way when the second one finds nothing to move.
                if error.code != "answer-lost" and not (attempt and error.code == "not-found"):
                    raise
                found = await self._found_after_all(error, is_last=attempt == MOVES_MAX - 1)
                if found is not None:
                    return self._stored(found)
        found = await self._connector.look(path)
        if found is None:
            raise RetryableError(
                "published-file-lost", f"{self._connector.shown(path)} was published and is gone again."
            )
        return self._stored(found)

    async def discard(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None and not sending.done():
            sending.cancel()
            await asyncio.wait([sending])
        was_cut = sending is not None and (sending.cancelled() or sending.exception() is not None)
        try:
            if self._begun:
                await self._remove_staged(was_cut=was_cut)
        except (RetryableError, ItemError):
            pass  # the server is gone or refuses; the next try replaces the staged file, or `sweep_staged` removes it
        finally:
            self._kept.close()
            if isinstance(self._body, Spooled):
                self._body.close()

    async def _remove_staged(self, *, was_cut: bool) -> None:
        was_there = await self._connector.remove_file(self._staged)
        waits = LATE_SECONDS if was_cut else ()
        for seconds in waits:
            # The server may not have begun with a request that was cut, and make the file yet.
            if was_there:
                return
            await self._connector.pause(seconds)
            was_there = await self._connector.remove_file(self._staged)

    async def _put(self, content: bytes) -> None:
        connector = self._connector
        await connector.calls.call(
            f"write {connector.shown(self._file.path)}",
            "PUT",
            connector.base.address(self._staged),
            headers=self._headers(len(content)),
            content=content,
        )

    async def _send(self, body: Body, size_bytes: int | None) -> None:
        connector = self._connector
        await connector.calls.send(
            f"write {connector.shown(self._file.path)}",
            "PUT",
            connector.base.address(self._staged),
            body.chunks(),
            headers=self._headers(size_bytes),
        )

    async def _give(self, body: Body, part: Part) -> None:
        """Hand a part to the request, or learn why the request has ended."""
        giving = asyncio.ensure_future(body.give(part))
        waiting = {giving} if self._sending is None else {giving, self._sending}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not giving.done():
                giving.cancel()
        if giving.done() and not giving.cancelled():
            await giving
        elif self._sending is not None:
            await self._sending
            raise RetryableError("answer-too-early", "The server answered before the whole file had been sent.")

    def _headers(self, size_bytes: int | None) -> dict[str, str]:
        headers = {"Content-Type": "application/octet-stream"}
        if size_bytes is not None:
            headers["Content-Length"] = str(size_bytes)
        if self._file.modified_at is not None and self._connector.keeps_times:
            headers["X-OC-Mtime"] = f"{self._file.modified_at.timestamp():.0f}"
        return headers

    async def _found_after_all(self, lost: RetryableError | ItemError, *, is_last: bool) -> Entry | None:
        """What the lost answer to the move would have said; None when it was not carried out and may be asked again."""
        try:
            staged = await self._connector.look(self._staged)
            found = await self._connector.look(self._file.path)
        except RetryableError as error:
            raise RetryableError("publish-unknown", lost.message, fix=lost.fix) from error
        if staged is None and found is not None and found.is_file and found.size_bytes == self._size_bytes:
            return found
        if staged is None or is_last:
            raise lost
        return None

    def _stored(self, found: Entry) -> Stored:
        self._kept.close()
        return Stored(found.ref, found.name, found.size_bytes or 0, found.modified_at)
