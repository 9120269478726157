"""Earlier versions in a transfer: what each step reads, in which order the steps of one file come, and what each finds
at its place.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from migration.actions import Action, ActionKind, Outcome, OutcomeWord
from migration.batches import Work
from migration.capabilities import Capabilities
from migration.clock import Clock
from migration.contract import Versioned
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ConfigurationError, ItemError
from migration.ledger import Ledger
from migration.sides import Ends
from migration.stored_text import to_stored
from migration.versions import EARLIER_AS_FILE

VERSION_GONE = "version-gone"
"""The reason for leaving out a version that the source does not have any more."""
ALREADY_THERE = "already-there"
FILES_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why a step is not carried out although the plan has it."""

    reason: str
    message: str

    def outcome(self, action: Action, attempt: int, clock: Clock) -> Outcome:
        """The verdict on the step."""
        now, there = clock.now(), action.expected if self.reason == ALREADY_THERE else None
        return Outcome(
            action_id=action.action_id,
            attempt=attempt,
            started_at=now,
            finished_at=now,
            word=OutcomeWord.SKIPPED,
            reason=self.reason,
            message=self.message,
            destination=there.ref if there else None,
            destination_name=there.name if there else None,
            destination_modified_at=there.modified_at if there else None,
        )


def in_rounds(works: Iterable[Work]) -> list[list[Work]]:
    """The works in groups that come one after the other: what goes to one path in the order given, all else at once."""
    rounds: list[list[Work]] = []
    count: dict[tuple[str, PathParts], int] = {}
    for work in works:
        place = (work.action.side, work.action.path)
        number = count.get(place, 0)
        count[place] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(work)
    return rounds


class VersionSteps:
    """Makes the steps of earlier versions ready to be carried out. For one run; may be used for many files at once."""

    def __init__(self, ends: Ends, ledger: Ledger, run_id: str, notes: Path) -> None:
        """What is learnt of versions is appended to `notes`, one JSON object per file, for the sidecar."""
        self._ends = ends
        self._ledger = ledger
        self._run_id = run_id
        self._notes = notes
        self._read: OrderedDict[Ref, asyncio.Future[Mapping[int, Entry]]] = OrderedDict()

    async def ready(self, work: Work) -> Work | LeftOut:
        """The work with the version it reads and with what is at its place after the steps before it.

        Raises what reading the versions raises; ItemError `another-file-there` when the place of a version as a file
        holds something else.
        """
        action = await self._on_top(work)
        if action.kind is not ActionKind.ADD_VERSION or action.accounts:
            return replace(work, action=action)
        versions = await self._versions_of(work)
        entry = versions.get(action.version_number or 0)
        if entry is None:
            return LeftOut(VERSION_GONE, f"The source no longer has version {action.version_number} of the file.")
        if action.expected is not None and action.reason == EARLIER_AS_FILE:
            left_out = _compared(action.expected, entry, self._ends[action.side].connector.capabilities)
            if left_out is not None:
                return left_out
        action = replace(action, size_bytes=entry.size_bytes, modified_at=entry.modified_at)
        return replace(work, action=action, entry=entry)

    async def _on_top(self, work: Work) -> Action:
        """The action expecting what the last of the steps before it has left at the path, if one of them did."""
        if not work.follows:
            return work.action
        written = await self._ledger.written(self._run_id, work.follows)
        for action_id in reversed(work.follows):
            done = written.get(action_id)
            if done is not None:
                path = work.action.path
                ref = Ref(self._ends[work.action.side].connector.system, done.id, done.version_id)
                expected = Entry(
                    ref=ref,
                    parent=None,
                    name=done.name or path[-1],
                    path=path,
                    kind=EntryKind.FILE,
                    size_bytes=done.size_bytes,
                    modified_at=done.modified_at,
                )
                return replace(work.action, expected=expected)
        return work.action

    async def _versions_of(self, work: Work) -> Mapping[int, Entry]:
        """The versions of a file by number; read once, however many steps ask."""
        known = self._read.get(work.entry.ref)
        if known is None:
            known = self._read[work.entry.ref] = asyncio.ensure_future(self._listed(work))
            known.add_done_callback(_looked_at)
            while len(self._read) > FILES_REMEMBERED and next(iter(self._read.values())).done():
                self._read.popitem(last=False)
        try:
            return await asyncio.shield(known)
        except BaseException:
            if known.done():
                self._read.pop(work.entry.ref, None)
            raise

    async def _listed(self, work: Work) -> Mapping[int, Entry]:
        source = self._ends[work.action.side.other].connector
        if not isinstance(source, Versioned):
            raise ConfigurationError(
                "no-versions",
                f"The plan copies earlier versions, which {source.display_name} does not hand out.",
                fix="Set versioning.preserve to none, or plan again.",
            )
        versions = numbered(await source.versions(work.entry))
        await asyncio.to_thread(_note, self._notes, work.entry.ref.id, versions)
        return versions


def replacing_as_planned(outcome: Outcome, work: Work) -> Outcome:
    """The outcome of a step that came on top of others, with what the plan saw at the path as the version that was
    replaced: undoing brings that back, not the step before."""
    expected = work.action.expected
    if outcome.replaced_version_id is None:
        return outcome
    return replace(outcome, replaced_version_id=None if expected is None else expected.ref.version_id)


def numbered(versions: Sequence[Entry]) -> dict[int, Entry]:
    """Versions, oldest first, by their number: the system's, or counted from 1 where it has none."""
    return {version.version_number or place: version for place, version in enumerate(versions, start=1)}


def _compared(there: Entry, version: Entry, capabilities: Capabilities) -> LeftOut | None:
    """What is at a version's place may be that version, put there by a run that is forgotten."""
    times = (there.modified_at, version.modified_at)
    tolerance = max(0.000_002, capabilities.time_precision_seconds or 0.0)
    if (
        there.is_file
        and there.size_bytes == version.size_bytes
        and there.size_bytes is not None
        and (times[0] is not None and times[1] is not None and abs((times[0] - times[1]).total_seconds()) <= tolerance)
    ):
        return LeftOut(ALREADY_THERE, "A file of the same size and time is there.")
    raise ItemError(
        "another-file-there",
        f"The name of version {version.version_number or '?'} is that of another file at the destination.",
        fix="Rename that file and run again.",
    )


def _looked_at(read: "asyncio.Future[Mapping[int, Entry]]") -> None:
    """Whoever waited has got its error; if all were cancelled nobody is to be told."""
    if not read.cancelled():
        read.exception()


def _note(path: Path, source_id: str, versions: Mapping[int, Entry]) -> None:
    plain = {
        "source_id": to_stored(source_id),
        "versions": [
            {
                "number": number,
                "version_id": None if one.ref.version_id is None else to_stored(one.ref.version_id),
                "size_bytes": one.size_bytes,
                "modified_at": one.modified_at.isoformat() if one.modified_at else None,
                "created_by": None if one.created_by is None else to_stored(one.created_by),
            }
            for number, one in versions.items()
        ],
    }
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(plain, ensure_ascii=False) + "\n")
