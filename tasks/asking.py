"""Requests to the Prefect server that have to be answered: SiteHaul's own one, should it have died, is started again.

Prefect's client, made anew for a block, does not ask twice when nobody listens. A configured server is asked again for
a while, and not touched.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from tasks.server import restart_own_server

_Answer = TypeVar("_Answer")
ASK_SECONDS_MAX = 45.0
"""A server of our own is back within ten seconds, on a busy machine within thirty."""


def answered(ask: Callable[[], _Answer]) -> _Answer:
    """What `ask` returns; it may be called more than once. Raises what it raises, and what starting a server raises."""
    retrying = Retrying(
        retry=retry_if_exception(nobody_answered),
        wait=wait_random_exponential(multiplier=0.2, max=3.0),
        stop=stop_after_delay(ASK_SECONDS_MAX),
        before_sleep=lambda _state: restart_own_server(),
        reraise=True,
    )
    return retrying(ask)


async def answered_async(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """As `answered`, in an event loop."""
    retrying = AsyncRetrying(
        sleep=asyncio.sleep,
        retry=retry_if_exception(nobody_answered),
        wait=wait_random_exponential(multiplier=0.2, max=3.0),
        stop=stop_after_delay(ASK_SECONDS_MAX),
        before_sleep=_started_again,
        reraise=True,
    )

    async def attempt() -> _Answer:
        return await ask()

    answer: _Answer = await retrying(attempt)
    return answer


async def _started_again(_state: RetryCallState) -> None:
    await asyncio.to_thread(restart_own_server)


def nobody_answered(error: BaseException | None) -> bool:
    """Whether the server could not be reached. Prefect tells that of a client's first request by a RuntimeError."""
    told = error.__cause__ if isinstance(error, RuntimeError) else error
    return isinstance(told, httpx.TransportError)
