"""Steps that must not be left half done, and what a cancellation means for each."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_the_end(step: Coroutine[Any, Any, T]) -> T:
    """What a step returns that cannot be taken back, publishing above all.

    Once it has begun it is waited for, whatever is cancelled. If it succeeds its result is returned and a cancellation
    that came meanwhile is raised where the caller waits next; if it fails, the cancellation (or else its error) is
    raised.
    """
    running = asyncio.ensure_future(step)
    cancelled = await _settled(running)
    if running.cancelled():
        raise asyncio.CancelledError
    if running.exception() is not None and cancelled is not None:
        raise cancelled
    if cancelled is not None:
        _cancel_later()
    return running.result()


async def surely(step: Coroutine[Any, Any, T]) -> T:
    """What cleaning up returns: it is done whatever is cancelled; a cancellation is raised afterwards."""
    running = asyncio.ensure_future(step)
    cancelled = await _settled(running)
    if cancelled is not None:
        if not running.cancelled():
            running.exception()
        raise cancelled
    return running.result()


async def _settled(running: "asyncio.Future[T]") -> asyncio.CancelledError | None:
    """Wait through any number of cancellations of the waiting task; the last one."""
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


def _cancel_later() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
        task.cancel()
