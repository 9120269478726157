"""The connections to the share: opened when there is work for them, opened anew when they are lost. Everything blocks.

A wrong password is tried once only, however many ask: servers lock users out after a few.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connectors.smb.channel import Channel
from connectors.smb.errors import same_again
from migration.errors import FatalError, SiteHaulError

_NO_MORE_SECONDS = 60.0
"""So long after a further connection did not come about, none is tried."""


class Channels:
    """A few connections for many threads."""

    def __init__(self, connect: Callable[[], Channel], count: int, *, monotonic: Callable[[], float]) -> None:
        self._connect = connect
        self._count = count
        self._monotonic = monotonic
        self._no_more_before = 0.0
        self._busy: dict[Channel, int] = {}
        self._connecting = 0
        self._changed = threading.Condition()
        self._failures = 0
        self._failure: SiteHaulError | None = None
        self._refused: SiteHaulError | None = None

    @contextmanager
    def any(self) -> Iterator[Channel]:
        """The connection that has the least to do, for one exchange. Raises what connecting raises."""
        channel = self._chosen()
        try:
            yield channel
        finally:
            self._release(channel)

    @contextmanager
    def this(self, channel: Channel) -> Iterator[None]:
        """The same with one that has a file open."""
        with self._changed:
            while self._busy.get(channel, 0) >= channel.slots:
                self._changed.wait()
            self._busy[channel] = self._busy.get(channel, 0) + 1
        try:
            yield
        finally:
            self._release(channel)

    def close(self) -> None:
        """Sign out of all; they would be opened anew when needed."""
        with self._changed:
            channels, self._busy = list(self._busy), {}
        for channel in channels:
            channel.sign_out()

    def _chosen(self) -> Channel:
        with self._changed:
            failures = self._failures
            while True:
                channel = self._free()
                if channel is not None:
                    self._busy[channel] += 1
                    return channel
                if self._may_connect():
                    self._connecting += 1
                    break
                self._changed.wait()
                if self._failures != failures and not self._busy and self._failure is not None:
                    raise same_again(self._failure)
        return self._connected()

    def _free(self) -> Channel | None:
        """One that has room; one that is idle, or any if no more may be opened."""
        for channel in [channel for channel, busy in self._busy.items() if not channel.is_alive and not busy]:
            del self._busy[channel]
        alive = [channel for channel in self._busy if channel.is_alive and self._busy[channel] < channel.slots]
        best = min(alive, key=lambda channel: self._busy[channel], default=None)
        return best if best is not None and (not self._busy[best] or not self._may_connect()) else None

    def _may_connect(self) -> bool:
        """The first connection shows whether the others will come about; nobody tries meanwhile."""
        if self._refused is not None:
            raise same_again(self._refused)
        alive = sum(channel.is_alive for channel in self._busy)
        if not alive:
            return not self._connecting
        return alive + self._connecting < self._count and self._monotonic() >= self._no_more_before

    def _connected(self) -> Channel:
        try:
            channel = self._connect()
        except BaseException as error:
            with self._changed:
                self._connecting -= 1
                self._failed(error)
                others = any(channel.is_alive for channel in self._busy)
                self._changed.notify_all()
            if others and isinstance(error, SiteHaulError):
                return self._chosen()
            raise
        with self._changed:
            self._connecting -= 1
            self._busy[channel] = 1
            self._changed.notify_all()
        return channel

    def _failed(self, error: BaseException) -> None:
        self._failures += 1
        if any(channel.is_alive for channel in self._busy):
            # The server seems to allow no more; the work goes on with those that are there.
            self._no_more_before = self._monotonic() + _NO_MORE_SECONDS
        elif isinstance(error, SiteHaulError):
            self._failure = error
            if isinstance(error, FatalError) and error.code == "sign-in-refused":
                self._refused = error

    def _release(self, channel: Channel) -> None:
        with self._changed:
            if channel in self._busy:
                self._busy[channel] -= 1
            self._changed.notify_all()
