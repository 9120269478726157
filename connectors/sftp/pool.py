"""The connections to the server: opened when there is work for them, opened anew when they are lost.

A wrong password is tried once only, however many ask: servers lock users out after a few.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from connectors.sftp.channel import Channel
from connectors.sftp.errors import same_again
from migration.errors import ConfigurationError, FatalError, SiteHaulError

_NO_MORE_SECONDS = 60.0
"""So long after a further connection did not come about, none is tried."""

Connect = Callable[[], Awaitable[Channel]]

_log = logging.getLogger(__name__)


class Channels:
    """A few connections that all work shares."""

    def __init__(self, connect: Connect, count: int, *, monotonic: Callable[[], float]) -> None:
        self._connect = connect
        self._count = count
        self._monotonic = monotonic
        self._channels: list[Channel] = []
        self._opening: asyncio.Task[Channel] | None = None
        self._no_more_before = 0.0
        self._refused: SiteHaulError | None = None

    async def any(self) -> Channel:
        """The connection that has the least to do. Raises what connecting raises."""
        self._channels = [channel for channel in self._channels if channel.is_alive]
        if not self._channels:
            return await self._first()
        best = min(self._channels, key=_load)
        if best.load and len(self._channels) < self._count and self._opening is None:
            self._open_another()
        return best

    async def close(self) -> None:
        """Close all; they would be opened anew when needed."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.wait([opening])
            if not opening.cancelled() and opening.exception() is None:
                self._channels.append(opening.result())
        channels, self._channels = self._channels, []
        self._refused = None
        self._no_more_before = 0.0
        for channel in channels:
            channel.close()
        for channel in channels:
            await channel.connection.wait_closed()

    async def _first(self) -> Channel:
        if self._refused is not None:
            raise same_again(self._refused)
        opening = self._opening or self._open()
        # Shielded: one who is stopped must not stop the connection the others wait for.
        try:
            return await asyncio.shield(opening)
        except SiteHaulError as error:
            raise same_again(error) from error

    def _open_another(self) -> None:
        """The first connection has shown that others will probably come about; nobody waits for them."""
        if self._monotonic() >= self._no_more_before:
            self._open()

    def _open(self) -> asyncio.Task[Channel]:
        self._opening = asyncio.create_task(self._opened())
        self._opening.add_done_callback(_seen)
        return self._opening

    async def _opened(self) -> Channel:
        try:
            channel = await self._connect()
        except SiteHaulError as error:
            if self._channels:
                _log.info("No further connection: %s", error.message)
                self._no_more_before = self._monotonic() + _NO_MORE_SECONDS
            elif isinstance(error, FatalError | ConfigurationError):
                self._refused = error
            raise
        finally:
            if self._opening is asyncio.current_task():
                self._opening = None
        self._channels.append(channel)
        return channel


def _load(channel: Channel) -> int:
    return channel.load


def _seen(opening: "asyncio.Task[Channel]") -> None:
    if not opening.cancelled():
        opening.exception()
