"""The parts of one file on their way out, several at the same time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from connectors.shared.receiving import Part

MIB = 1024 * 1024
SINGLE_BYTES = 8 * MIB
"""A file of up to this is sent by one request."""
PART_BYTES = 5 * MIB
"""S3 takes no smaller ones (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html). Six are held for one
file: on their way, waiting and being gathered."""
IN_FLIGHT = 3
IN_FLIGHT_BYTES = 32 * MIB
GROWN_MAX = 8

P = ParamSpec("P")


def part_bytes(size_bytes: int | None, parts_max: int) -> int:
    """How long parts have to be so that no more than `parts_max` make the file."""
    if size_bytes is None or size_bytes <= SINGLE_BYTES:
        return SINGLE_BYTES
    smallest = -(-size_bytes // parts_max)
    return max(PART_BYTES, -(-smallest // MIB) * MIB)


class Growing:
    """Joins the parts of a file of unknown size to longer ones the more there are: after every `grow_every` they are
    twice as long, up to GROWN_MAX times. Those of a file of known size (`grow_every` None) stay as they are."""

    def __init__(self, grow_every: int | None) -> None:
        self._grow_every = grow_every
        self._waiting: list[bytes] = []
        self._given = 0

    def take(self, part: Part) -> bytes | None:
        """What is to be sent now; None while more is to come first."""
        self._waiting.append(part.data)
        if not part.is_last and len(self._waiting) < self._together:
            return None
        data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
        self._waiting = []
        self._given += 1
        return data

    @property
    def _together(self) -> int:
        return 1 if self._grow_every is None else min(2 ** (self._given // self._grow_every), GROWN_MAX)


class InFlight:
    """Runs at most `at_once` sendings at the same time, fewer where they are large."""

    def __init__(self, at_once: int = IN_FLIGHT) -> None:
        self._at_once = at_once
        self._running: set[asyncio.Task[None]] = set()

    async def start(
        self, size_bytes: int, send: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Begin `send` as soon as there is room for one of so many bytes. Raises what an earlier one raised."""
        at_once = max(1, min(self._at_once, IN_FLIGHT_BYTES // max(size_bytes, 1)))
        while len(self._running) >= at_once:
            await self._some_ended()
        self._running.add(asyncio.create_task(send(*args, **kwargs)))

    async def finish(self) -> None:
        """Return when all are done. Raises what one raised."""
        while self._running:
            await self._some_ended()

    async def stop(self) -> bool:
        """End those that are under way, whatever becomes of them; whether any was cut."""
        running, self._running = self._running, set()
        cut = [task for task in running if not task.done()]
        for task in cut:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return bool(cut)

    async def _some_ended(self) -> None:
        done, self._running = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        errors = [error for task in done if (error := task.exception()) is not None]
        if errors:
            raise errors[0]
