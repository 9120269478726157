"""One file that is open on one connection or, when it is large, on several. Everything here blocks."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connectors.smb import messages as smb
from connectors.smb.channel import Answer, Channel
from connectors.smb.messages import Found, Message
from connectors.smb.share import Share
from migration.entries import PathParts

SPREAD_BYTES = 16 * 1024 * 1024
"""From this size on a file is worth being opened on every connection."""


class Handles:
    """Where a file is open. The connection that opened it first is its first one; the others follow on demand."""

    def __init__(
        self, share: Share, path: PathParts, access: int, *, spread: bool, check: Callable[[Found], None]
    ) -> None:
        """`check` is asked about the file each time it is opened once more; it raises when it is another one."""
        self._share = share
        self._path = path
        self._access = access
        self._spread = spread
        self._check = check
        self._first: tuple[Channel, bytes] | None = None
        self._others: dict[Channel, bytes] = {}
        self._opening = threading.Lock()

    def opened(self, channel: Channel, handle: bytes) -> None:
        """The file was opened there, for the first time."""
        self._first = channel, handle

    @property
    def is_open(self) -> bool:
        """Whether the connection that opened it first still has it open, as far as anybody knows."""
        return self._first is not None and self._first[0].is_alive

    def exchange(self, chain: Callable[[bytes], list[Message]]) -> list[Answer]:
        """Send a chain made for the file's handle over the first connection."""
        assert self._first is not None
        channel, handle = self._first
        with self._share.channels.this(channel):
            return channel.exchange(*chain(handle))

    @contextmanager
    def somewhere(self) -> Iterator[tuple[Channel, bytes]]:
        """A connection for one exchange, and the file's handle there."""
        assert self._first is not None
        if not self._spread:
            with self._share.channels.this(self._first[0]):
                yield self._first
            return
        with self._share.channels.any() as channel:
            yield channel, self._handle_on(channel)

    def close_others(self) -> None:
        """Leave the file open on its first connection only."""
        others, self._others = self._others, {}
        for channel, handle in others.items():
            if channel.is_alive:
                with self._share.channels.this(channel):
                    channel.exchange(smb.close(handle))

    def forget(self) -> None:
        """It was closed."""
        self._first = None

    def _handle_on(self, channel: Channel) -> bytes:
        assert self._first is not None
        if channel is self._first[0]:
            return self._first[1]
        with self._opening:
            if channel not in self._others:
                [opened] = channel.exchange(
                    smb.create(self._share.name(self._path), self._access, smb.OPEN, smb.IS_FILE | smb.OPEN_LINK_ITSELF)
                )
                self._share.check(opened, self._path)
                handle, found = smb.created(opened.data)
                self._others[channel] = handle
                self._check(found)
            return self._others[channel]
