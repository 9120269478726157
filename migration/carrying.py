"""What all carrying out has in common: many actions in flight, one durable outcome each, one end for all of them."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from migration.actions import Action, Outcome, OutcomeWord
from migration.attempts import Attempts
from migration.clock import Clock
from migration.copying import AtPoint, Copied
from migration.decisions import Decisions
from migration.errors import FatalError, ItemError, SiteHaulError, StoppedResumable
from migration.finishing import Finisher
from migration.flight import Flight, Slot, Step
from migration.jobs import Job
from migration.ledger import Latest, Ledger
from migration.progress import Phase, Progress, ProgressListener
from migration.rules import FailurePolicy
from migration.sides import Ends

UNREACHABLE = "unreachable"
"""The code with which every connector says that a system does not answer at all."""
PROGRESS_SECONDS = 0.2
"""Bytes in flight are told at most so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What came of one batch. `counts` holds only what this call did, not what was done before."""

    counts: dict[OutcomeWord, int] = field(default_factory=dict)
    bytes_copied: int = 0
    done_before: int = 0
    """Actions that already had a final outcome in this run."""
    seconds: float = 0.0


class Carrying:
    """Carries out actions of one run in one phase. `finisher` is to be entered by whoever uses this."""

    def __init__(
        self,
        ends: Ends,
        ledger: Ledger,
        run_id: str,
        job: Job,
        *,
        phase: Phase,
        clock: Clock,
        progress: ProgressListener,
        at: AtPoint,
        decisions: Decisions | None = None,
        heard: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> None:
        """`run_id` is the ledger's key of the outcomes; `decisions` say which files begin anew with their attempts;
        `heard` is told of each outcome once it is durable."""
        self._heard = heard
        self._attempts = Attempts(ledger, run_id, job.attempts_max, decisions or Decisions())
        self._clock = clock
        self._halt_on_failure = job.rules.failure_policy is FailurePolicy.HALT
        self._flight = Flight(job.performance.parallel_writes, clock)
        self._reach = _Reach(2 * job.performance.parallel_writes)
        self.meter = _Meter(phase, progress, clock)
        self.finisher = Finisher(ends, ledger, run_id, at=at, recorded=self.meter.finished)

    def stop(self, reason: str, *, resume_at: datetime | None = None) -> None:
        """Begin no more actions; what is carrying any out ends with StoppedResumable. May be called from a signal
        handler of the event loop. What is in flight gets GRACE_SECONDS to finish."""
        self._flight.end(StoppedResumable(reason, resume_at=resume_at))

    def close(self) -> None:
        """To be called when nothing is carried out any more."""
        self._flight.close()

    async def latest(self, actions: Iterable[Action]) -> dict[str, Latest]:
        """The latest outcomes of those of the actions that were tried in this run, or failed in earlier ones."""
        return await self._attempts.latest(list(actions))

    def used_up(self, action: Action, latest: dict[str, Latest]) -> Outcome | None:
        """The outcome of an action that has failed too often to be tried again; None for all others."""
        return self._attempts.used_up(action, latest, self._clock.now())

    async def carry_out(
        self,
        steps: Iterable[Step],
        carry: Callable[[Step, Slot], Awaitable[Copied]],
        *,
        done_before: int = 0,
        may_halt: bool = True,
    ) -> BatchResult:
        """Carry every step out, as many at a time as the job allows; each outcome is durable before this returns.

        Raises StoppedResumable (BudgetExhausted included) when the run is to stop: what was in flight is finished or
        undone, the rest stays pending. Raises FatalError when the run cannot go on, `halted` when the job's
        failure_policy is halt and something failed (unless `may_halt` is False), `unreachable` when a system is gone.
        Cancelled, it undoes what is in flight.
        """
        batch = _Batch(self._clock, done_before=done_before)

        async def finish(copied: Copied) -> None:
            is_lost = self._reach.is_lost(copied.outcome)
            copied = replace(copied, outcome=self._attempts.judged(copied.outcome))
            await self.finisher.finish(copied)
            batch.add(copied.outcome)
            self._heard(copied.outcome)
            if (
                may_halt
                and self._halt_on_failure
                and copied.outcome.word in (OutcomeWord.FLAGGED, OutcomeWord.RETRYING)
            ):
                self._flight.end(_halted(copied.outcome))
            if is_lost:
                self._flight.end(_out_of_reach(copied.outcome))

        await self._flight.run(steps, carry, finish)
        return batch.result()


def is_done(action: Action, latest: dict[str, Latest]) -> bool:
    """Whether the action has its final outcome."""
    known = latest.get(action.action_id)
    return known is not None and known.word.terminal


def next_attempt(action: Action, latest: dict[str, Latest]) -> int:
    """The number of the attempt that comes now, from 1."""
    known = latest.get(action.action_id)
    return known.attempt + 1 if known else 1


def total(results: Sequence[BatchResult], *, done_before: int) -> BatchResult:
    """Several results as one, and what had been done before any of them."""
    counts: dict[OutcomeWord, int] = {}
    for result in results:
        for word, count in result.counts.items():
            counts[word] = counts.get(word, 0) + count
    return BatchResult(
        counts=counts,
        bytes_copied=sum(result.bytes_copied for result in results),
        done_before=done_before + sum(result.done_before for result in results),
        seconds=sum(result.seconds for result in results),
    )


def failed(action: Action, attempt: int, started_at: datetime, now: datetime, error: SiteHaulError) -> Outcome:
    """The outcome of an attempt that ended with an ItemError (flagged) or a passing fault (retrying)."""
    return Outcome(
        action_id=action.action_id,
        attempt=attempt,
        started_at=started_at,
        finished_at=now,
        word=OutcomeWord.FLAGGED if isinstance(error, ItemError) else OutcomeWord.RETRYING,
        reason=error.code,
        message=f"{error.message} {error.fix}" if error.fix else error.message,
    )


class _Batch:
    """Adds up what one call achieves."""

    def __init__(self, clock: Clock, *, done_before: int) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._done_before = done_before
        self._counts: dict[OutcomeWord, int] = {}
        self._bytes_copied = 0

    def add(self, outcome: Outcome) -> None:
        self._counts[outcome.word] = self._counts.get(outcome.word, 0) + 1
        self._bytes_copied += outcome.bytes_copied

    def result(self) -> BatchResult:
        return BatchResult(
            counts=self._counts,
            bytes_copied=self._bytes_copied,
            done_before=self._done_before,
            seconds=self._clock.monotonic() - self._began,
        )


class _Reach:
    """Notices that a system is gone: so many files in a row, each after all its retries, that no other could be done.

    Without it a run would go on for hours to fail with every single file.
    """

    def __init__(self, files: int) -> None:
        self._files = files
        self._in_a_row = 0

    def is_lost(self, outcome: Outcome) -> bool:
        """Whether this outcome is one too many."""
        unreachable = outcome.word is OutcomeWord.RETRYING and outcome.reason == UNREACHABLE
        self._in_a_row = self._in_a_row + 1 if unreachable else 0
        return self._in_a_row >= self._files


class _Meter:
    """Tells whoever watches how much has been done; bytes in flight count, at most every PROGRESS_SECONDS."""

    def __init__(self, phase: Phase, progress: ProgressListener, clock: Clock) -> None:
        self._phase = phase
        self._progress = progress
        self._clock = clock
        self._files_done = 0
        self._bytes_done = 0
        self._told_at = clock.monotonic()

    def moved(self, size_bytes: int) -> None:
        self._bytes_done += size_bytes
        if self._clock.monotonic() - self._told_at >= PROGRESS_SECONDS:
            self._tell()

    def finished(self, group: Sequence[Copied]) -> None:
        self._files_done += sum(copied.is_file and copied.outcome.word.terminal for copied in group)
        self._tell()

    def _tell(self) -> None:
        self._told_at = self._clock.monotonic()
        self._progress(Progress(self._phase, files_done=self._files_done, bytes_done=self._bytes_done))


def _halted(outcome: Outcome) -> FatalError:
    return FatalError(
        "halted",
        f"A file failed ({outcome.reason}: {outcome.message}) and the job's failure_policy is halt.",
        fix="See the report for the file; the next run goes on with the others.",
    )


def _out_of_reach(outcome: Outcome) -> FatalError:
    return FatalError(
        UNREACHABLE,
        f"No file can be copied any more: {outcome.message}",
        fix="Check the network and run the same command again; it continues.",
    )
