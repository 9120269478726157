"""Bounded memory for file content, shared by everything that is in flight."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class BytePool:
    """At most `limit` bytes are held at a time; who asks first is served first.

    A request for more than the limit is granted the whole limit, so that a small pool slows things down and never
    blocks them for good.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._free = limit_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size_bytes: int) -> int:
        """Wait until `size_bytes` may be held; returns what to give back."""
        wanted = min(size_bytes, self._limit)
        if not self._waiting and wanted <= self._free:
            self._free -= wanted
            return wanted
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.give_back(wanted)
            else:
                self._waiting.remove((wanted, granted))
                self._serve()
            raise
        return wanted

    def give_back(self, taken_bytes: int) -> None:
        """What `take` granted is free again."""
        self._free += taken_bytes
        self._serve()

    @asynccontextmanager
    async def held(self, size_bytes: int) -> AsyncIterator[None]:
        """Hold `size_bytes` for the duration of the block."""
        taken = await self.take(size_bytes)
        try:
            yield
        finally:
            self.give_back(taken)

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, granted = self._waiting.popleft()
            if not granted.done():
                self._free -= wanted
                granted.set_result(None)
