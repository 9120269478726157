"""The children of a job are worked on in turns, some at a time, until each is done or nothing more can be done now.

Each is an ordinary run of an ordinary job, a flow run below its parent's. What happened to it is written into the roll
after every turn, so that the next start of the parent's run goes on there, however this one ends.
"""

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flows.approval import PAUSES
from flows.endings import Ending, EndState
from flows.running import LISTENER
from migration.child_rows import NOT_VISIBLE, PAUSED, WAITING, WORKING, ChildRow, Roll
from migration.errors import BudgetExhausted, FatalError, SiteHaulError, StoppedResumable
from migration.inventory import entries_so_far
from migration.jobs import Job
from migration.mapping import Child
from migration.plans import Plan
from migration.progress import Phase, Progress
from migration.rules import FailurePolicy
from migration.runs import JobRunning
from tasks.children import NOT_VISIBLE as NOT_VISIBLE_CODES
from tasks.children import child_job
from tasks.last_runs import last_record
from tasks.progress import Standing
from tasks.session import Session, job_state, watched
from tasks.shares import Shares, Turn, begin_turn
from tasks.signals import Together, stop_with

SAVE_SECONDS = 2.0
"""While children are at work, the roll is written so often, so that a kill forgets few of their calls."""


@dataclass(frozen=True, slots=True)
class ChildWork:
    """What is done with each child: a flow by its name, and its parameters."""

    flow: str
    parameters: dict[str, Any]
    simulated: bool

    async def __call__(self, job: Job) -> None:
        function = getattr(importlib.import_module(f"flows.{self.flow}"), self.flow)
        await function(job, **self.parameters, return_state=True)


class Rounds:
    """The turns of all children in this process."""

    def __init__(
        self, session: Session, work: ChildWork, shares: Shares, roll: Roll, exhausted: BudgetExhausted | None
    ) -> None:
        self._session = session
        self._work = work
        self._shares = shares
        self._roll = roll
        self._children: dict[str, Child] = {}
        self._queue: list[ChildRow] = []
        self._together = Together()
        self._live: dict[str, Progress] = {}
        self._saved_at = 0.0
        self.exhausted = exhausted
        """Set when the hour's calls are used up."""

    @property
    def waiting(self) -> list[str]:
        """The ids of the children that wait for a turn."""
        return [row.id for row in self._queue]

    async def go_on(self, children: tuple[Child, ...]) -> None:
        """Give turns until nothing more can be done now. Raises what Prefect raises when it cannot be reached; what a
        child's run ended with is in the roll."""
        self._children = {child.id: child for child in children}
        self._queue = [row for row in self._roll.rows if not row.settled]
        self._queue.sort(key=lambda row: row.turns)  # stable: those with equally many in the order of the roll
        self._roll.save()
        self._session.also_stops = self._together.stop
        self._shares.begin({row.id: row.calls for row in self._queue})
        ends = await asyncio.gather(
            *(self._give_turns() for _ in range(self._session.job.children.at_once)), return_exceptions=True
        )
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _give_turns(self) -> None:
        while (row := self._next()) is not None:
            await self._turn(row)

    def _next(self) -> ChildRow | None:
        while self._queue and self._session.stopped is None:
            row = self._queue.pop(0)
            if self.exhausted is None or self._can_do_without_calls(row):
                return row
        self._queue.clear()
        return None

    def _can_do_without_calls(self, row: ChildRow) -> bool:
        """Whether a child's plan is made, so that what is left may need few calls or none."""
        last = last_record(job_state(self._name(row), simulated=self._work.simulated))
        return self._work.flow == "migrate" and last is not None and last[1].finished(Phase.PLAN)

    async def _turn(self, row: ChildRow) -> None:
        row.state, row.sentence = WORKING, ""
        self._roll.save()
        calls_before = row.calls

        def stands(progress: Progress) -> None:
            row.calls = calls_before + turn.calls_taken
            self._stands(row, progress)

        turn, entries = self._shares.turn(row.id, row.futile_turns), self._entries(row)
        try:
            ending = await asyncio.create_task(self._run_of(row, turn, stands), name=f"child {row.slug}")
        finally:
            self._live.pop(row.id, None)
            row.turns += 1
            row.calls = calls_before + turn.calls_taken
        self._record(row, ending)
        if turn.exhausted is not None:
            self.exhausted = turn.exhausted
        if turn.used_up and not row.settled:
            row.futile_turns = row.futile_turns + 1 if entries == self._entries(row) and not self._is_listed(row) else 0
            self._queue.append(row)
        self._shares.ended(turn, finished=row not in self._queue)
        self._roll.save()
        self._tell(row)

    async def _run_of(self, row: ChildRow, turn: Turn, stands: Callable[[Progress], None]) -> Ending:
        """Run the child in the present task, whose context is its own."""
        begin_turn(turn)
        stop_with(self._together)
        PAUSES.set(False)
        endings: list[Ending] = []
        LISTENER.set(endings.append)
        name = self._name(row)
        try:
            job = child_job(self._session.job, self._children[row.id])
        except SiteHaulError as error:
            return Ending(state=EndState.FAILED, sentence=error.message, job=name, error=error)
        with watched(_Watching(stands)):
            await self._work(job)
        if endings:
            return endings[-1]
        not_run = FatalError("flow-not-run", "Prefect ended the flow before it began.", fix="See its flow run.")
        return Ending(state=EndState.FAILED, sentence=not_run.message, job=name, error=not_run)

    def _record(self, row: ChildRow, ending: Ending) -> None:
        row.state, row.sentence, row.code = ending.state.value, ending.sentence, None
        row.run_id = ending.run.run_id if ending.run else row.run_id
        row.resume_at = ending.resume_at.isoformat() if ending.resume_at else None
        row.settled = ending.state in (EndState.DONE, EndState.FLAGGED, EndState.WRONG)
        if isinstance(ending.error, SiteHaulError):
            row.code = ending.error.code
            if isinstance(ending.error, JobRunning):
                row.state = EndState.PENDING.value
            elif row.code == "never-run":
                row.state, row.settled = WAITING, True
            elif row.code in NOT_VISIBLE_CODES:
                row.state, row.settled = NOT_VISIBLE, True
        if ending.reconciliation is not None:
            total = ending.reconciliation.total
            row.source_files, row.files = total.source_files, dict(total.files)
            row.bytes_copied = sum(total.bytes.get(word, 0) for word in ("succeeded", "revised"))
        if self._work.flow == "plan" and ending.run is not None and ending.run.plan_summary.is_file():
            summary = Plan.load(ending.run).summary
            row.source_files, row.calls_planned = summary.files, summary.forecast.calls
        if row.state == EndState.FAILED.value and self._session.job.rules.failure_policy is FailurePolicy.HALT:
            self._session.stop(f"'{row.name}' failed and the failure policy is halt")

    def _is_listed(self, row: ChildRow) -> bool:
        last = last_record(job_state(self._name(row), simulated=self._work.simulated))
        return last is not None and last[1].finished(Phase.ANALYZE)

    def _entries(self, row: ChildRow) -> int:
        """How many entries of it are listed."""
        last = last_record(job_state(self._name(row), simulated=self._work.simulated))
        return entries_so_far(last[0].source_inventory) if last else 0

    def _name(self, row: ChildRow) -> str:
        return f"{self._session.job.name}/{row.slug}"

    def _tell(self, row: ChildRow) -> None:
        rows = [one for one in self._roll.rows if one.state != PAUSED]
        done = sum(one.settled for one in rows)
        self._session.hub.say(f"{row.name}: {row.sentence} ({done} of {len(rows)} children are done)")
        self._session.hub.told(self._progress())

    def _stands(self, row: ChildRow, progress: Progress) -> None:
        self._live[row.id] = progress
        now = self._session.clock.monotonic()
        if now - self._saved_at >= SAVE_SECONDS:
            self._saved_at = now
            self._roll.save()
        self._session.hub.told(self._progress())

    def _progress(self) -> Progress:
        """All children together. Those that are at work count as they stand, the others by their accounts."""
        at_rest = [row for row in self._roll.rows if row.id not in self._live]
        at_work = [one for one in self._live.values() if one.phase is Phase.TRANSFER]
        return Progress(
            Phase.TRANSFER,
            files_done=sum(sum(row.files.get(word, 0) for word in _FINAL) for row in at_rest)
            + sum(one.files_done for one in at_work),
            bytes_done=sum(row.bytes_copied for row in at_rest) + sum(one.bytes_done for one in at_work),
            calls=self._shares.calls_taken,
        )


_FINAL = ("succeeded", "revised", "skipped", "flagged")


class _Watching:
    """A child's watcher: its progress goes to the parent's, its sentences stay in its own run."""

    def __init__(self, tell: Callable[[Progress], None]) -> None:
        self._tell = tell

    def stands(self, standing: Standing) -> None:
        """The child got further."""
        self._tell(replace(standing.progress))

    def said(self, sentence: str) -> None:
        """Kept in the child's own run."""


def what_is_left(roll: Roll, exhausted: BudgetExhausted | None) -> StoppedResumable | None:
    """Why the parent's run is not at its end; None if every child is settled or failed."""
    left = [row for row in roll.rows if not row.settled and row.state != EndState.FAILED.value]
    if not left:
        return None
    count = f"{len(left)} of {sum(row.state != PAUSED for row in roll.rows)} children are not done"
    if exhausted is not None:
        return BudgetExhausted(f"{count}: {exhausted}", resume_at=exhausted.resume_at)
    return StoppedResumable(count)


def failure(roll: Roll) -> FatalError | None:
    """What is to be said when children failed; the first is named."""
    failed = [row for row in roll.rows if row.state == EndState.FAILED.value]
    if not failed:
        return None
    return FatalError(
        "children-failed",
        f"{len(failed)} of {sum(row.state != PAUSED for row in roll.rows)} children failed; the first, "
        f"'{failed[0].name}': {failed[0].sentence}",
        fix="The others were done as far as possible; the next run tries the failed ones again.",
    )
