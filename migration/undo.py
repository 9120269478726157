"""Undo: bring back, on both sides, what one run deleted, replaced or renamed; what is not as the run left it is left.

What was done is recorded in the job's ledger under a run of its own (`undo_id`), so that an undo that was cut short is
continued, and doing it again does nothing. What the run made where nothing was stays.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from migration.actions import OutcomeWord, Side
from migration.baseline import BASELINE_SCHEMA
from migration.carrying import Carrying, is_done, next_attempt
from migration.clock import Clock
from migration.contract import Source
from migration.copying import AtPoint, Copied
from migration.entries import PathParts
from migration.errors import PlanError
from migration.flight import Slot
from migration.inventory_format import stored_path
from migration.jobs import Job
from migration.ledger import Ledger
from migration.plans import Plan
from migration.progress import Phase, ProgressListener
from migration.rules import FailurePolicy
from migration.run_queries import connect, define, record_batches
from migration.sides import Ends, ends_of
from migration.state import JobState, write_json_atomically
from migration.undoer import Undoer
from migration.undoing import How, Undoing, count_created, load_undoings

FORMAT_VERSION = 1
TOLD_MAX = 1_000
ROWS_AT_ONCE = 50_000
UNLIMITED = 10**9
"""What cannot be undone now may be tried as often as somebody likes."""


def undo_id(run_id: str) -> str:
    """The ledger's key of what was undone of a run."""
    return f"{run_id}.undo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What came of an undo; undo.json holds exactly these fields (+ `format_version`)."""

    run_id: str
    at: str
    dry_run: bool
    counts: dict[str, int]
    """How many were `undone`, `left` (with the reason below) or are `pending`."""
    created: int
    """What the run made where nothing was; it stays."""
    left: tuple[dict[str, str], ...]
    """Side, path, what was to be done, reason and message of the first 1,000 that were left, or in a dry run of the
    first that are to be undone."""

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        undone, left = self.counts.get("undone", 0), self.counts.get("left", 0)
        if self.dry_run:
            return (
                f"{self.counts.get('pending', 0):,} changes of run {self.run_id} could be undone; nothing was changed."
            )
        words = [f"{undone:,} changes of run {self.run_id} are undone"]
        if left:
            words.append(f"{left:,} were left as they are, see undo.json")
        if self.created:
            words.append(f"{self.created:,} files and folders that it made stay")
        return "; ".join(words) + "."

    def to_json(self) -> dict[str, Any]:
        """What undo.json holds."""
        return {
            "format_version": FORMAT_VERSION,
            "run_id": self.run_id,
            "at": self.at,
            "dry_run": self.dry_run,
            "counts": self.counts,
            "created": self.created,
            "left": list(self.left),
        }


class Undo:
    """The undoing of one run. An async context manager, entered once, with the job's lock held."""

    def __init__(
        self,
        source: Source,
        destination: Source,
        ledger: Ledger,
        plan: Plan,
        job: Job,
        *,
        clock: Clock,
        progress: ProgressListener,
        at: AtPoint = lambda _point, _action_id: None,
    ) -> None:
        """Needs the run's outcomes.parquet. Raises PlanError `places-changed` when the job leads to other places than
        the run did."""
        _check_places(plan, job, source, destination)
        self._plan = plan
        self._ledger = ledger
        self._clock = clock
        self._undo_id = undo_id(plan.run.run_id)
        self._ends: Ends = ends_of(job, source, destination)
        rules = job.rules.model_copy(update={"failure_policy": FailurePolicy.CONTINUE})
        patient = job.model_copy(update={"rules": rules, "attempts_max": UNLIMITED})
        self._carrying = Carrying(
            self._ends, ledger, self._undo_id, patient, phase=Phase.UNDO, clock=clock, progress=progress, at=at
        )
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="hash")
        self._stack = AsyncExitStack()
        self._undoers = {
            side: Undoer(end, ledger, self._undo_id, job, self._pool, clock, at) for side, end in self._ends.items()
        }

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self._pool.shutdown)
            await stack.enter_async_context(self._carrying.finisher)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._carrying.close()
        await self._stack.aclose()

    def stop(self, reason: str, *, resume_at: datetime | None = None) -> None:
        """As `Carrying.stop`."""
        self._carrying.stop(reason, resume_at=resume_at)

    async def carry_out(self, undoings: Sequence[Undoing]) -> None:
        """Undo these, those that are not undone yet. Raises as `Carrying.carry_out`."""
        latest = await self._carrying.latest(one.action for one in undoings)
        todo = [one for one in undoings if not is_done(one.action, latest)]
        begun = await self._ledger.staged(self._undo_id, [one.action.action_id for one in todo])

        async def carry(undoing: Undoing, slot: Slot) -> Copied:
            action = undoing.action
            attempt = next_attempt(action, latest)
            return await self._undoers[action.side].undo(undoing, attempt, begun.get(action.action_id), slot)

        await self._carrying.carry_out(todo, carry)

    async def told(self) -> Undone:
        """What has come of it so far."""
        latest = await self._ledger.latest(self._undo_id)
        counts = {"undone": 0, "left": 0, "pending": 0}
        left: list[dict[str, str]] = []
        for undoings in load_undoings(self._plan):
            for undoing in undoings:
                known = latest.get(undoing.action.action_id)
                word = "pending" if known is None else "left" if known.word is OutcomeWord.RETRYING else "undone"
                counts[word] += 1
                if word == "left" and known is not None and len(left) < TOLD_MAX:
                    left.append(_told(undoing, known.reason or ""))
        return _undone(self._plan, self._clock, counts, left, dry_run=False)


def preview(plan: Plan, clock: Clock) -> Undone:
    """What would be undone, without asking either system."""
    counts = {"undone": 0, "left": 0, "pending": 0}
    told: list[dict[str, str]] = []
    for undoings in load_undoings(plan):
        for undoing in undoings:
            counts["left" if undoing.how is How.NOTHING else "pending"] += 1
            if len(told) < TOLD_MAX:
                told.append(_told(undoing, "not-kept" if undoing.how is How.NOTHING else ""))
    return _undone(plan, clock, counts, told, dry_run=True)


def record_undone(state: JobState, plan: Plan, undone: Undone, undone_ids: Iterable[str]) -> None:
    """Write undo.json, and take what was brought back out of the baseline: the next plan compares those files afresh
    and shows what it would do. Renames stay in it: undoing one is a rename like any other."""
    write_json_atomically(plan.run.undo, undone.to_json())
    ids = set(undone_ids)
    done = [one for group in load_undoings(plan) for one in group if one.action.action_id in ids]
    brought_back = [one.action.destination_path for one in done if one.how is not How.MOVE_BACK]
    moved_back = {side: [_before(one) for one in done if one.action.side is side] for side in Side}
    gone = {"destination_path": [*brought_back, *moved_back[Side.DESTINATION]], "source_path": moved_back[Side.SOURCE]}
    if any(gone.values()) and state.baseline.is_file():
        _forget(state, plan, {column: [list(stored_path(path)) for path in paths] for column, paths in gone.items()})


def _before(undoing: Undoing) -> PathParts:
    """Where a renamed entry was before the run; () for all else."""
    return undoing.action.from_path or () if undoing.how is How.MOVE_BACK else ()


def _forget(state: JobState, plan: Plan, paths: dict[str, list[list[str]]]) -> None:
    metadata = pq.read_schema(state.baseline).metadata
    schema = BASELINE_SCHEMA.with_metadata(metadata)
    staged = state.baseline.with_name(f".{state.baseline.name}.{os.getpid()}.tmp")
    with connect(plan.run) as database, open(staged, "wb") as file:
        define(database, "baseline", [state.baseline], BASELINE_SCHEMA)
        for column, of_column in paths.items():
            database.register(column, pa.table({"path": pa.array(of_column, pa.list_(pa.string()))}))
        with pq.ParquetWriter(file, schema, compression="zstd", compression_level=1) as writer:
            for batch in record_batches(database, _KEPT, ROWS_AT_ONCE):
                writer.write_table(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, state.baseline)


_KEPT = """
    SELECT b.* FROM baseline AS b
    ANTI JOIN destination_path AS u ON u.path = b.destination_path
    ANTI JOIN source_path AS s ON s.path = b.source_path
    ORDER BY b.destination_path
"""


def _told(undoing: Undoing, reason: str) -> dict[str, str]:
    path = "/".join(undoing.path)
    return {"side": undoing.action.side.value, "path": path, "how": undoing.how.value, "reason": reason}


def _undone(plan: Plan, clock: Clock, counts: dict[str, int], told: list[dict[str, str]], *, dry_run: bool) -> Undone:
    return Undone(
        run_id=plan.run.run_id,
        at=clock.now().isoformat(),
        dry_run=dry_run,
        counts=counts,
        created=count_created(plan),
        left=tuple(told),
    )


def _check_places(plan: Plan, job: Job, source: Source, destination: Source) -> None:
    summary = plan.summary
    then = (summary.source_system, summary.source_root, summary.destination_system, summary.destination_root)
    if then != (source.system, job.source.parts, destination.system, job.destination.parts):
        raise PlanError(
            "places-changed",
            f"The job {job.name!r} leads to other places now than in run {plan.run.run_id}.",
            fix="Set its source and destination as they were, and undo then.",
        )
