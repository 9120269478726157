"""Servers of the tests' own that run in a thread of this process."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator

import uvloop

Serve = Callable[[], Awaitable[asyncio.Server]]


@contextlib.contextmanager
def served(name: str, serve: Serve, ended: Callable[[], None]) -> Iterator[tuple[int, asyncio.AbstractEventLoop]]:
    """The port and the loop of what `serve` starts. At the end `ended` is called in the loop: it ends connections."""
    ready, over = threading.Event(), asyncio.Event()
    found: list[tuple[int, asyncio.AbstractEventLoop]] = []

    async def main() -> None:
        try:
            server = await serve()
            found.append((server.sockets[0].getsockname()[1], asyncio.get_running_loop()))
        finally:
            ready.set()
        await over.wait()
        server.close()
        ended()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    ready.wait()
    if not found:
        raise RuntimeError(f"the {name} did not start")
    try:
        yield found[0]
    finally:
        found[0][1].call_soon_threadsafe(over.set)
        thread.join(10)
