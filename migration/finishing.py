"""The last steps of every copy, taken for many at once: make durable, then record the outcome."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from migration.actions import Side
from migration.contract import Flushable
from migration.copying import AtPoint, Copied, CopyPoint
from migration.ledger import Ledger
from migration.sides import Ends

GROUP_MAX = 500


@dataclass(frozen=True, slots=True)
class _Waiting:
    copied: Copied
    done: "asyncio.Future[None]"


class Finisher:
    """Flushes and records whatever has been copied since it last did so: a single file at once, many files together.

    An async context manager; leaving it finishes what was handed over.
    """

    def __init__(
        self,
        ends: Ends,
        ledger: Ledger,
        run_id: str,
        *,
        at: AtPoint,
        recorded: Callable[[Sequence[Copied]], None],
    ) -> None:
        """`recorded` is told of each group once it is durable."""
        self._ends = ends
        self._ledger = ledger
        self._run_id = run_id
        self._at = at
        self._recorded = recorded
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._finish_groups(), name="finisher")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._queue.put_nowait(None)
            await self._task

    async def finish(self, copied: Copied) -> None:
        """Return when the outcome is durable. Raises what flushing or recording raised; there is no outcome then.

        A cancelled caller does not take its outcome with it.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(copied, done))
        await done

    async def _finish_groups(self) -> None:
        more = True
        while more:
            group, more = await self._next_group()
            if group:
                await self._finish(group)

    async def _next_group(self) -> tuple[list[_Waiting], bool]:
        """What is waiting (at least one copy), and whether more may come."""
        waiting = await self._queue.get()
        group: list[_Waiting] = []
        while waiting is not None:
            group.append(waiting)
            if self._queue.empty() or len(group) == GROUP_MAX:
                return group, True
            waiting = self._queue.get_nowait()
        return group, False

    async def _finish(self, group: list[_Waiting]) -> None:
        try:
            await self._flush_and_record([waiting.copied for waiting in group])
        except Exception as error:  # noqa: BLE001 - handed to every caller that waits, who raises it
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_exception(error)
        else:
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_result(None)

    async def _flush_and_record(self, group: list[Copied]) -> None:
        for side in Side:
            await self._flush(side, [copied for copied in group if copied.side is side])
        self._tell(group, CopyPoint.FLUSHED)
        await self._ledger.record(self._run_id, [copied.outcome for copied in group])
        self._tell(group, CopyPoint.RECORDED)
        self._recorded(group)

    async def _flush(self, side: Side, group: list[Copied]) -> None:
        connector = self._ends[side].connector
        published = tuple(copied.published for copied in group if copied.published is not None)
        made_folder = any(not copied.is_file and copied.outcome.destination for copied in group)
        if (published or made_folder) and isinstance(connector, Flushable):
            await connector.flush(published)

    def _tell(self, group: list[Copied], point: CopyPoint) -> None:
        for copied in group:
            self._at(point, copied.outcome.action_id)
