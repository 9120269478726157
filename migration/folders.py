"""Making one folder at the destination."""

import random

from migration.actions import Action, Outcome, OutcomeWord
from migration.clock import Clock
from migration.contract import Destination
from migration.entries import PathParts, Ref
from migration.errors import ItemError, RetryableError, SiteHaulError
from migration.patience import Patience


class FolderMaker:
    """Makes folders below the job's destination root. Making one again is harmless, so there is nothing to recognise
    after a crash."""

    def __init__(self, destination: Destination, root: PathParts, clock: Clock) -> None:
        self._destination = destination
        self._root = root
        self._clock = clock
        self._chance = random.Random()  # noqa: S311 - spreads waits, protects nothing

    async def make(self, action: Action, attempt: int) -> Outcome:
        """Make the folder; the verdict, whatever came of it. Raises FatalError and StoppedResumable."""
        started_at = self._clock.now()
        ref: Ref | None = None
        error: SiteHaulError | None = None
        word = OutcomeWord.REVISED if action.renamed else OutcomeWord.SUCCEEDED
        try:
            ref = await self._made((*self._root, *action.destination_path))
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
            destination_name=action.destination_path[-1] if ref else None,
        )

    async def _made(self, path: PathParts) -> Ref:
        patience = Patience(self._clock, self._chance)
        while True:
            try:
                return await self._destination.make_folder(path)
            except RetryableError as error:
                await patience.wait_after(error)
