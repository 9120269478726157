"""Many steps in flight at once, and one way for all of them to end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from migration.clock import Clock
from migration.errors import StoppedResumable

GRACE_SECONDS = 10.0
"""How long steps in flight may take to finish once everything is to end; then they are cancelled, which undoes them."""
UNFINISHED_MAX = 1000
"""How many steps may wait to be finished (flushed and recorded) besides those in flight."""

Step = TypeVar("Step")
Done = TypeVar("Done")


class Slot:
    """The right of one step to be in flight. Held when the step begins, and given up at its end at the latest."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._held = True

    async def hold(self) -> None:
        """Have it (again); waits while all slots are taken."""
        if not self._held:
            await self._slots.acquire()
            self._held = True

    def release(self) -> None:
        """Leave it to another step; what remains to be done needs none."""
        if self._held:
            self._held = False
            self._slots.release()


class Flight:
    """Carries steps out, at most `slots` of them at a time over all calls of `run`.

    A step has two parts: it is carried in a slot, which it may release early, then finished outside of it. The first
    error of any step ends them all: no step is begun any more, those in flight may finish for GRACE_SECONDS.
    """

    def __init__(self, slots: int, clock: Clock) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._unfinished = asyncio.Semaphore(slots + UNFINISHED_MAX)
        self._clock = clock
        self._ending: BaseException | None = None
        self._carried: set[asyncio.Task[None]] = set()
        self._undone: set[asyncio.Task[None]] = set()
        self._grace: asyncio.Task[None] | None = None

    def end(self, reason: BaseException) -> None:
        """Begin no more steps; every `run` raises `reason`. An error takes precedence over a mere stop."""
        if self._ending is None or (isinstance(self._ending, StoppedResumable) and not _is_stop(reason)):
            self._ending = reason
        if self._grace is None:
            self._grace = asyncio.create_task(self._undo_after_grace(), name="grace")

    def close(self) -> None:
        """Forget about steps that are still in grace; to be called when no `run` is going on any more."""
        if self._grace is not None:
            self._grace.cancel()

    async def run(
        self,
        steps: Iterable[Step],
        carry: Callable[[Step, Slot], Awaitable[Done]],
        finish: Callable[[Done], Awaitable[None]],
    ) -> None:
        """Carry out and finish all steps, begun in their order. Raises what ended the flight; cancelled, it cancels
        what is in flight."""
        async with asyncio.TaskGroup() as tasks:
            for step in steps:
                await self._unfinished.acquire()
                try:
                    await self._slots.acquire()
                except BaseException:
                    self._unfinished.release()
                    raise
                if self._ending is not None:
                    self._slots.release()
                    self._unfinished.release()
                    break
                tasks.create_task(self._step(step, Slot(self._slots), carry, finish))
        if self._ending is not None:
            raise self._ending

    async def _step(
        self,
        step: Step,
        slot: Slot,
        carry: Callable[[Step, Slot], Awaitable[Done]],
        finish: Callable[[Done], Awaitable[None]],
    ) -> None:
        try:
            carried = await self._carry(step, slot, carry)
            if carried:
                await finish(carried[0])
        except Exception as error:  # noqa: BLE001 - not swallowed: `run` raises it once nothing is in flight any more
            self.end(error)
        finally:
            self._unfinished.release()

    async def _carry(
        self, step: Step, slot: Slot, carry: Callable[[Step, Slot], Awaitable[Done]]
    ) -> tuple[()] | tuple[Done]:
        """The first part of a step; () when it was undone."""
        task = asyncio.current_task()
        assert task is not None
        self._carried.add(task)
        try:
            return (await carry(step, slot),)
        except asyncio.CancelledError:
            if task not in self._undone:
                raise
            task.uncancel()
            return ()
        finally:
            self._carried.discard(task)
            slot.release()

    async def _undo_after_grace(self) -> None:
        await self._clock.sleep(GRACE_SECONDS)
        for task in self._carried:
            self._undone.add(task)
            task.cancel()


def _is_stop(reason: BaseException) -> bool:
    return isinstance(reason, StoppedResumable)
