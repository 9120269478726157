"""Making one folder at either end."""

import random

from migration.actions import Action, Outcome, OutcomeWord
from migration.clock import Clock
from migration.entries import PathParts, Ref
from migration.errors import ItemError, RetryableError, SiteHaulError
from migration.patience import Patience
from migration.sides import End


class FolderMaker:
    """Makes folders below the job's root of one end. Making one again is harmless, so there is nothing to recognise
    after a crash."""

    def __init__(self, end: End, clock: Clock) -> None:
        self._end = end
        self._clock = clock
        self._chance = random.Random()  # noqa: S311 - spreads waits, protects nothing

    async def make(self, action: Action, attempt: int) -> Outcome:
        """Make the folder; the verdict, whatever came of it. Raises FatalError and StoppedResumable."""
        started_at = self._clock.now()
        ref: Ref | None = None
        error: SiteHaulError | None = None
        word = OutcomeWord.REVISED if action.renamed else OutcomeWord.SUCCEEDED
        try:
            ref = await self._made(self._end.place(action.path))
        except ItemError as failure:
            word, error = OutcomeWord.FLAGGED, failure
        except RetryableError as failure:
            word, error = OutcomeWord.RETRYING, failure
        return Outcome(
            action_id=action.action_id,
            attempt=attempt,
            started_at=started_at,
            finished_at=self._clock.now(),
            word=word,
            reason=error.code if error else action.reason,
            message=error.message if error else None,
            destination=ref,
            destination_name=action.path[-1] if ref else None,
        )

    async def _made(self, path: PathParts) -> Ref:
        patience = Patience(self._clock, self._chance)
        while True:
            try:
                return await self._end.writable.make_folder(path)
            except RetryableError as error:
                await patience.wait_after(error)
