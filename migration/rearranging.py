"""Renames and moves inside one end of a job, as the plan decided them; what is moved keeps its content and identity."""

import random
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace

from migration.actions import Action, Outcome, OutcomeWord
from migration.carrying import failed
from migration.clock import Clock
from migration.copying import AtPoint, Copied, CopyPoint
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ItemError, PreconditionFailed, RetryableError
from migration.patience import Patience
from migration.sameness import is_as_seen
from migration.sides import End


class Mover:
    """Moves entries of one end. A move that was carried out before the process died is recognised by its result:
    nothing where the entry was, and the same entry where it was to go."""

    def __init__(self, end: End, clock: Clock, at: AtPoint) -> None:
        self._end = end
        self._clock = clock
        self._at = at
        self._chance = random.Random()  # noqa: S311 - spreads waits, protects nothing

    async def move(self, action: Action, attempt: int) -> Copied:
        """Move the action's entry from `from_path` to `path`; the verdict, whatever came of it. A folder around the new
        path that is not there yet is made. Raises FatalError, StoppedResumable and ConfigurationError."""
        started_at = self._clock.now()
        self._at(CopyPoint.STARTED, action.action_id)
        patience = Patience(self._clock, self._chance)
        while True:
            try:
                moved = await self._moved(action)
            except RetryableError as error:
                try:
                    await patience.wait_after(error)
                except RetryableError as last:
                    return self._failed(action, failed(action, attempt, started_at, self._clock.now(), last))
            except ItemError as error:
                return self._failed(action, failed(action, attempt, started_at, self._clock.now(), error))
            else:
                break
        self._at(CopyPoint.PUBLISHED, action.action_id)
        outcome = Outcome(
            action_id=action.action_id,
            attempt=attempt,
            started_at=started_at,
            finished_at=self._clock.now(),
            word=OutcomeWord.REVISED if action.renamed else OutcomeWord.SUCCEEDED,
            reason=action.reason,
            destination=moved.ref,
            destination_name=moved.name,
            destination_modified_at=moved.modified_at if moved.is_file else None,
        )
        place = self._end.place(action.path)
        return Copied(outcome, place if moved.is_file else None, is_file=False, side=action.side)

    def _failed(self, action: Action, outcome: Outcome) -> Copied:
        return Copied(outcome, None, is_file=False, side=action.side)

    async def _moved(self, action: Action) -> Entry:
        """The entry at its new place."""
        connector = self._end.writable
        old, new = self._end.place(action.from_path or ()), self._end.place(action.path)
        found = await connector.stat(old)
        if found is None or not self._is_meant(found, action):
            there = await connector.stat(new) if found is None else None
            if there is not None and self._is_meant(there, action):
                return _known_as_planned(there, there, action)
            raise _changed(action, "is gone" if found is None else "is another one now")
        ref = await self._moved_to(found, new)
        return _known_as_planned(await connector.stat(new) or _at(found, ref, new), found, action)

    async def _moved_to(self, found: Entry, new: PathParts) -> Ref:
        try:
            return await self._end.movable.move(found, new)
        except ItemError as error:
            if error.code != "parent-missing":
                raise
        await self._end.writable.make_folder(new[:-1])
        return await self._end.movable.move(found, new)

    def _is_meant(self, found: Entry, action: Action) -> bool:
        """Whether it is the entry the plan saw. Where ids are stable they say so, whatever its content is now."""
        seen, capabilities = action.expected, self._end.connector.capabilities
        if seen is None or found.kind is not seen.kind:
            return False
        if capabilities.stable_ids:
            return found.ref.id == seen.ref.id
        return is_as_seen(found, seen, capabilities, moved=True)


def independent(actions: Iterable[Action]) -> Iterator[list[Action]]:
    """The renames in groups, in their order: those of one group are of files that do not meet and may be carried out at
    the same time; a folder is a group of its own."""
    group: list[Action] = []
    used: set[tuple[str, PathParts]] = set()
    for action in actions:
        paths = {(action.side.value, _key(path)) for path in (action.from_path or (), action.path)}
        alone = action.entry_kind is EntryKind.FOLDER
        if group and (alone or used & paths):
            yield group
            group, used = [], set()
        group.append(action)
        used |= paths
        if alone:
            yield group
            group, used = [], set()
    if group:
        yield group


def _key(path: PathParts) -> PathParts:
    """Equal for paths that some system takes for the same."""
    return tuple(unicodedata.normalize("NFD", name.casefold()) for name in path)


def _at(found: Entry, ref: Ref, path: PathParts) -> Entry:
    """The entry as it was found, at its new place."""
    return replace(found, ref=ref, name=path[-1], path=path)


def _known_as_planned(moved: Entry, found: Entry, action: Action) -> Entry:
    """The entry in the version that the plan saw if it was changed since, so that the next run notices the change."""
    seen = action.expected
    if seen is None or seen.ref.version_id is None or found.ref.version_id == seen.ref.version_id:
        return moved
    ref = replace(moved.ref, version_id=seen.ref.version_id)
    return replace(moved, ref=ref, modified_at=seen.modified_at)


def _changed(action: Action, what: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"{action.side.value}-changed",
        f"The {action.side.value} has changed since the plan was made: {'/'.join(action.from_path or ())!r} {what}.",
        fix="Run again; the next plan decides anew.",
    )
