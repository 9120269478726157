"""Reading one file over one connection: a small one in two round trips, a large one with several pieces under way."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from connectors.sftp import messages as sftp
from connectors.sftp.channel import Channel, settled
from connectors.sftp.errors import GONE, error_of, size_unknown
from connectors.sftp.messages import Answer, Found, Status
from connectors.sftp.server import Server, understood
from connectors.shared.giving import source_changed
from connectors.shared.paths import path_of_ref
from migration.entries import Entry
from migration.errors import ItemError

AHEAD_BYTES = 4 * 1024 * 1024
"""How much is asked for before it is wanted."""


class Reader:
    """One reading of an entry's bytes; ItemError `source-changed` from whatever finds another version there. What was
    opened is looked at again after the last byte, so that all bytes are of one version, as finely as seconds can tell.
    """

    def __init__(self, server: Server, entry: Entry, offset: int, count: int | None) -> None:
        """`count` None: to the end, wherever that is."""
        self._server = server
        self._entry = entry
        self._path = path_of_ref(entry.ref)
        self._offset = offset
        self._count = count
        self._channel: Channel | None = None
        self._handle = b""

    async def begin(self) -> bytes:
        """Open it; all bytes if they are few, none otherwise."""
        channel = await self._open()
        if self._count is not None and self._count <= channel.read_bytes:
            self._channel = None
            read, looked, _ = await channel.exchange(
                sftp.read(self._handle, self._offset, self._count),
                sftp.look_open(self._handle),
                sftp.close(self._handle),
            )
            self._check_version(looked)
            content = self._content(read)
            if len(content) == self._count:
                return content
            channel = await self._open()
        [looked] = await channel.exchange(sftp.look_open(self._handle))
        found = self._check_version(looked)
        if self._count is None:
            if found.size_bytes is None:
                raise size_unknown(self._shown)
            self._count = max(found.size_bytes - self._offset, 0)
        return b""

    async def chunks(self, first: bytes) -> AsyncIterator[bytes]:
        """The bytes."""
        channel = self._channel
        if channel is None:
            yield first
            return
        waiting: deque[tuple[int, int, asyncio.Future[list[Answer]]]] = deque()
        at, end, ahead = self._offset, self._offset + (self._count or 0), max(2, AHEAD_BYTES // channel.read_bytes)
        try:
            while at < end or waiting:
                while at < end and len(waiting) < ahead:
                    length = min(channel.read_bytes, end - at)
                    waiting.append((at, length, channel.send(sftp.read(self._handle, at, length))))
                    at += length
                offset, length, asked = waiting[0]
                [answer] = await asyncio.shield(asked)
                waiting.popleft()
                chunk = self._content(answer)
                yield chunk
                if len(chunk) < length:
                    async for rest in self._rest(channel, offset + len(chunk), length - len(chunk)):
                        yield rest
        finally:
            for _, _, asked in waiting:
                await settled(asked)
        [looked] = await channel.exchange(sftp.look_open(self._handle))
        self._check_version(looked)

    async def close(self) -> None:
        """Close what is still open; nobody needs the answer."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.send(sftp.close(self._handle))

    async def _open(self) -> Channel:
        channel = await self._server.channels.any()
        opened = await channel.open(sftp.open_file(self._server.name(self._path), sftp.READ))
        is_gone = opened.status == Status.FAILURE and await self._server.find(self._path) is None
        if is_gone or opened.status in GONE:
            raise self._changed()
        self._check(opened)
        self._channel, self._handle = channel, understood(sftp.handle, opened, self._shown)
        return channel

    async def _rest(self, channel: Channel, offset: int, length: int) -> AsyncIterator[bytes]:
        """What an answer left out: a server may give fewer bytes than it was asked for."""
        while length:
            [answer] = await channel.exchange(sftp.read(self._handle, offset, length))
            chunk = self._content(answer)
            yield chunk
            offset, length = offset + len(chunk), length - len(chunk)

    def _content(self, answer: Answer) -> bytes:
        if answer.status == Status.END:
            raise self._changed()
        self._check(answer)
        content = understood(sftp.content, answer, self._shown)
        if not content:
            raise self._changed()
        return content

    def _check(self, answer: Answer) -> None:
        if answer.status:
            raise error_of(answer, self._shown, "read")

    def _check_version(self, answer: Answer) -> Found:
        self._check(answer)
        found = understood(sftp.found, answer, self._shown)
        known = self._entry.ref.version_id
        if not found.is_file or (known is not None and found.version != known):
            raise self._changed()
        return found

    @property
    def _shown(self) -> str:
        return self._server.shown(self._path)

    def _changed(self) -> ItemError:
        return source_changed(self._shown)
