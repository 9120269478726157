"""Blocking calls off the event loop, with a clear answer to what cancellation means for each."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A pool of threads. No method returns or raises while the work it was given is still running."""

    def __init__(self, count: int, *, name: str = "files") -> None:
        self._count = count
        self._name = name
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Wait for what is running and end the threads; they would be started again when needed."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns. Cancelled, it does not begin or, begun, is waited for and its outcome dropped."""
        running = self.start(work, *args, **kwargs)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            await settled(running)
            raise

    async def surely(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for cleaning up: `work` is done whatever is cancelled; a cancellation is raised afterwards."""
        running = self.start(work, *args, **kwargs)
        try:
            return await asyncio.shield(asyncio.wrap_future(running))
        except asyncio.CancelledError:
            await settled(running)
            raise

    async def to_the_end(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for a step that cannot be taken back: once it has begun and succeeds, its result is returned, and a
        cancellation that came meanwhile is raised where the caller waits next."""
        running = self.start(work, *args, **kwargs)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            await settled(running)
            if running.cancelled() or running.exception() is not None:
                raise
        _cancel_later()
        return running.result()

    async def stoppable(self, running: "Future[T]", stop: threading.Event) -> T:
        """What work that was started returns. Cancelled, it is told to stop by `stop` and waited for."""
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            stop.set()
            await settled(running)
            raise

    def start(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Begin without waiting; whoever starts has to see it settled."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
        return self._pool.submit(work, *args, **kwargs)


class OneBehind:
    """Lets one piece of work run while the caller gets the next one ready. Leaving the context waits for the last."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._running: Future[object] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self._finish()
        elif self._running is not None:
            await settled(self._running)

    async def start(self, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Begin `work` once the previous one is done. Raises what the previous one raised."""
        await self._finish()
        self._running = self._threads.start(work, *args, **kwargs)

    async def _finish(self) -> None:
        if self._running is None:
            return
        try:
            await asyncio.shield(asyncio.wrap_future(self._running))
        except asyncio.CancelledError:
            await settled(self._running)
            raise
        self._running = None


async def settled(running: "Future[T]") -> None:
    """Wait until the work is done, failed or was never begun, through any number of cancellations."""
    while not running.done():
        waiting = asyncio.wrap_future(running)
        waiting.add_done_callback(_seen)
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError:
            continue


def _seen(future: "asyncio.Future[T]") -> None:
    if not future.cancelled():
        future.exception()


def _cancel_later() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
        task.cancel()
