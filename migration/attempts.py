"""How often an action may fail for a passing reason: so many times in all runs of a job, then it needs a person.

The count is the ledger's: attempts are numbered over all runs, from the last success on, or from when a person said
that the file is to be tried again.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from migration.actions import Action, Outcome, OutcomeWord
from migration.decisions import Decisions
from migration.ledger import Latest, Ledger
from migration.ledger_tables import Tried
from migration.stored_text import to_stored


class Attempts:
    """The attempts of one run's actions. Asked once per batch, in that batch's own words."""

    def __init__(self, ledger: Ledger, run_id: str, attempts_max: int, decisions: Decisions) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._attempts_max = attempts_max
        self._decisions = decisions

    async def latest(self, actions: Collection[Action]) -> dict[str, Latest]:
        """The latest outcomes in this run; for actions without one that failed in earlier runs, as if it had been in
        this run, so that numbering goes on."""
        ids = [action.action_id for action in actions]
        latest = await self._ledger.latest(self._run_id, ids)
        tried = await self._ledger.tried(self._run_id, ids)
        for action in actions:
            earlier = tried.get(action.action_id)
            if earlier is not None and action.action_id not in latest and not self._begins_anew(action, earlier):
                latest[action.action_id] = Latest(OutcomeWord.RETRYING, earlier.attempts, earlier.reason, 0)
        return latest

    def used_up(self, action: Action, latest: dict[str, Latest], now: datetime) -> Outcome | None:
        """The outcome of an action that is not to be tried any more; None if it is."""
        known = latest.get(action.action_id)
        if known is None or known.attempt < self._attempts_max or known.word.terminal:
            return None
        return Outcome(
            action_id=action.action_id,
            attempt=known.attempt,
            started_at=now,
            finished_at=now,
            word=OutcomeWord.FLAGGED,
            reason=known.reason,
            message=f"It was not tried again: {known.attempt} attempts have failed. `sitehaul flagged retry` lets it "
            "begin anew.",
        )

    def judged(self, outcome: Outcome) -> Outcome:
        """The outcome of an attempt: one that failed for a passing reason for the last time is flagged."""
        if outcome.word is not OutcomeWord.RETRYING or outcome.attempt < self._attempts_max:
            return outcome
        return replace(outcome, word=OutcomeWord.FLAGGED)

    def _begins_anew(self, action: Action, earlier: Tried) -> bool:
        """Whether a person said so after that attempt."""
        if not self._decisions or action.source is None:
            return False
        version_id = action.source.version_id
        said_at = self._decisions.retried_at(
            to_stored(action.source.id), None if version_id is None else to_stored(version_id)
        )
        return said_at is not None and earlier.finished_at <= said_at
