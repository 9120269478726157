"""Reading one file: a small one in a single round trip, a large one with several pieces on their way."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from connectors.shared.giving import source_changed
from connectors.shared.paths import path_of_ref
from connectors.shared.threads import Threads
from connectors.smb import messages as smb
from connectors.smb.channel import CHUNK_BYTES, Answer
from connectors.smb.errors import END_OF_FILE, FILE_IS_A_FOLDER, GONE
from connectors.smb.handles import SPREAD_BYTES, Handles
from connectors.smb.messages import Found
from connectors.smb.share import Share, once_more, version_of
from migration.entries import Entry

AHEAD = 4
"""How many pieces are asked for before they are wanted."""
_ACCESS = smb.READ_DATA | smb.READ_ATTRIBUTES


class Reader:
    """One reading of an entry's bytes; ItemError `source-changed` from whatever finds another version there."""

    def __init__(self, share: Share, threads: Threads, entry: Entry, offset: int, count: int) -> None:
        self._share = share
        self._threads = threads
        self._entry = entry
        self._path = path_of_ref(entry.ref)
        self._offset = offset
        self._count = count
        self._chunk_bytes = CHUNK_BYTES
        self._handles = Handles(share, self._path, _ACCESS, spread=count >= SPREAD_BYTES, check=self._check)

    async def begin(self) -> bytes:
        """Open it; its first bytes, or all of them if they are few."""
        return await self._threads.run(once_more, self._begin)

    async def chunks(self, first: bytes) -> AsyncIterator[bytes]:
        """The bytes from the first ones on."""
        yield first
        if not self._handles.is_open:
            return
        waiting: deque[asyncio.Task[bytes]] = deque()
        at, end = self._offset + len(first), self._offset + self._count
        try:
            while at < end or waiting:
                while at < end and len(waiting) < AHEAD:
                    length = min(self._chunk_bytes, end - at)
                    waiting.append(asyncio.create_task(self._threads.run(self._piece, at, length)))
                    at += length
                chunk = await waiting[0]
                waiting.popleft()
                yield chunk
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        await self._threads.run(self._end)

    async def close(self) -> None:
        """Close what is still open."""
        if self._handles.is_open:
            await self._threads.surely(self._close)

    def _begin(self) -> bytes:
        opening = smb.create(self._share.name(self._path), _ACCESS, smb.OPEN, smb.IS_FILE)
        with self._share.channels.any() as channel:
            self._chunk_bytes = channel.chunk_bytes
            is_small = self._count <= self._chunk_bytes
            reading = smb.read(smb.PREVIOUS, self._offset, min(self._count, self._chunk_bytes))
            opened, first, *closed = channel.exchange(
                opening, reading, *([smb.close(smb.PREVIOUS)] if is_small else [])
            )
            if opened.status in GONE or opened.status == FILE_IS_A_FOLDER:
                raise self._changed()
            self._share.check(opened, self._path)
            handle, found = smb.created(opened.data)
            if not is_small:
                self._handles.opened(channel, handle)
        self._check(found)
        content = self._content(first)
        if closed:
            self._check_closed(closed[0])
        return content

    def _piece(self, offset: int, length: int) -> bytes:
        with self._handles.somewhere() as (channel, handle):
            [answer] = channel.exchange(smb.read(handle, offset, length))
        content = self._content(answer)
        if len(content) != length:
            raise self._changed()
        return content

    def _content(self, answer: Answer) -> bytes:
        if answer.status == END_OF_FILE:
            raise self._changed()
        self._share.check(answer, self._path)
        return smb.content(answer.data)

    def _end(self) -> None:
        self._check_closed(self._close())

    def _close(self) -> Answer:
        self._handles.close_others()
        [closed] = self._handles.exchange(lambda handle: [smb.close(handle)])
        self._handles.forget()
        return closed

    def _check_closed(self, answer: Answer) -> None:
        self._share.check(answer, self._path)
        found = smb.closed(answer.data) or self._share.find(self._path)
        if found is None:
            raise self._changed()
        self._check(found)

    def _check(self, found: Found) -> None:
        if found.is_folder or version_of(found) != self._entry.ref.version_id:
            raise self._changed()

    def _changed(self) -> Exception:
        return source_changed(self._share.shown(self._path))
