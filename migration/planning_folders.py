"""Deciding about folders: which are made, renamed or deleted on which side."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field

from migration.actions import ActionKind, Side
from migration.entries import EntryKind
from migration.filters import Facts
from migration.inventory_format import stored_path
from migration.naming import Namer
from migration.placing import Folder
from migration.plan_queries import FILES_BESIDE_FOLDERS, FOLDERS_WITH_FILES
from migration.plan_rows import Pair, Row
from migration.planner import (
    ALREADY_THERE,
    DELETED_AT_SOURCE,
    EMPTY_FOLDER,
    FILE_IN_THE_WAY,
    IN_THE_WAY,
    KEPT_AT_DESTINATION,
    MAKE_FOLDER,
    MOVED_AT_DESTINATION,
    MOVED_AT_SOURCE,
    NOTHING_TAKES_PART,
    PARENT_FLAGGED,
    Before,
    SourceFile,
    There,
    Verdict,
    deletion,
)
from migration.rules import DeletePropagation, EmptyContainers, TransferType
from migration.sorted_groups import Answers
from migration.stored_text import from_stored, to_stored
from migration.taking_part import TakingPart
from migration.tree_moves import Move

MAKE_AT_SOURCE = Verdict(ActionKind.MAKE_FOLDER, side=Side.SOURCE)
MOVED_FOLDER = Verdict(ActionKind.DELETE, "moved", side=Side.SOURCE)


@dataclass(slots=True, kw_only=True)
class FolderDecider:
    """Decides about all folders. `prepare` comes first, then `rows`, `rows_there` when all files are decided."""

    answers: Answers
    folders: Sequence[Folder]
    namer: Namer
    part: TakingPart
    system: str
    transfer_type: TransferType
    deletions: DeletePropagation
    two_sightings: bool
    empty: EmptyContainers
    _in_the_way: dict[int, There] = field(default_factory=dict)

    def prepare(self, folders_of_taking_files: Iterator[int] | None) -> None:
        """Note which folders take part and which cannot be made. The iterator gives the ordinals of folders with files
        that take part; None = every folder with files does."""
        self._note_what_takes_part(folders_of_taking_files)
        in_the_way = self._files_in_the_way()
        for folder in self.folders[1:]:
            parent = folder.parent
            assert parent is not None
            if folder.deleted:
                continue
            if parent.flagged:
                folder.flagged = parent.flagged
            elif folder.problem:
                folder.flagged = folder.problem
            elif folder.there_id is None and folder.ordinal in in_the_way:
                folder.flagged = FILE_IN_THE_WAY.reason
        self._in_the_way = in_the_way

    def rows(self, moved: Set[int]) -> list[Row]:
        """The rows of the source's folders but for those (by ordinal) that are renamed."""
        wanted = (folder for folder in self.folders[1:] if folder.id is not None and folder.ordinal not in moved)
        return [row for folder in wanted for row in self._rows(folder)]

    def moved(self, folder: Folder, side: Side, move: Move) -> Row:
        """The row of a folder's rename."""
        reason = MOVED_AT_SOURCE if side is Side.DESTINATION else MOVED_AT_DESTINATION
        pair = self._pair(folder)
        if move.parked and side is Side.DESTINATION:
            pair.destination_path = stored_path(move.to_path)
        elif move.parked:
            pair.source_path = stored_path(move.to_path)
        verdict = Verdict(ActionKind.RENAME, IN_THE_WAY if move.parked else reason, side=side)
        accounts = folder.id is not None and not move.parked
        return pair.row(verdict, accounts=accounts, from_path=stored_path(move.from_path))

    def rows_there(self) -> list[Row]:
        """The rows of folders that only the destination has."""
        verdicts: dict[int, Verdict] = {}
        for folder in reversed(self.folders[1:]):
            if folder.id is not None:
                continue
            verdict = self._verdict_there(folder)
            if verdict is not None and not (verdict.deletes and folder.stays):
                verdicts[folder.ordinal] = verdict
            goes = folder.ordinal in verdicts and verdicts[folder.ordinal].deletes
            if not goes and folder.parent is not None:
                folder.parent.stays = True
        found = (folder for folder in self.folders if folder.ordinal in verdicts)
        return [self._pair(folder).row(verdicts[folder.ordinal], detail=_detail(folder)) for folder in found]

    def _rows(self, folder: Folder) -> Iterator[Row]:
        verdict = self._verdict(folder)
        pair = self._pair(folder)
        yield pair.row(verdict, detail=_detail(folder))
        if self.transfer_type is TransferType.MOVE and verdict in (MAKE_FOLDER, ALREADY_THERE):
            yield pair.row(MOVED_FOLDER, accounts=False)

    def _verdict(self, folder: Folder) -> Verdict:
        if folder.deleted:
            return DELETED_AT_SOURCE
        if folder.there_id is not None and not folder.flagged:
            return ALREADY_THERE if folder.takes_part or folder.link else self._takes_no_part(folder)
        gone = self._gone_there(folder)
        if gone is not None:
            return gone
        if not folder.takes_part:
            return self._takes_no_part(folder)
        if folder.parent is not None and folder.parent.flagged:
            return Verdict(ActionKind.FLAG, PARENT_FLAGGED, folder.parent.flagged)
        if folder.flagged:
            return Verdict(ActionKind.FLAG, folder.flagged)
        return MAKE_FOLDER

    def _gone_there(self, folder: Folder) -> Verdict | None:
        """What becomes of a folder that was at the destination and is no longer; None if it is made again."""
        if folder.link is None or folder.flagged or Side.DESTINATION in folder.needed:
            return None
        if self.transfer_type is TransferType.SYNC:
            if self.deletions.of_destination:
                return deletion(_before(folder), Side.SOURCE, twice=self.two_sightings)
            return KEPT_AT_DESTINATION
        return None if self.deletions.of_destination else KEPT_AT_DESTINATION

    def _takes_no_part(self, folder: Folder) -> Verdict:
        if folder.has_files:
            return NOTHING_TAKES_PART
        left_out = self._left_out(folder)
        return Verdict(ActionKind.SKIP, left_out) if left_out else EMPTY_FOLDER

    def _verdict_there(self, folder: Folder) -> Verdict | None:
        known = folder.link is not None and folder.link.source_id is not None
        if folder.deleted or (folder.parent is not None and folder.parent.flagged):
            return None
        if self.transfer_type is TransferType.SYNC and (not known or Side.SOURCE in folder.needed):
            if Side.SOURCE not in folder.needed and self.empty is EmptyContainers.SKIP:
                return None
            if folder.problem:
                return Verdict(ActionKind.FLAG, folder.problem, side=Side.SOURCE)
            return MAKE_AT_SOURCE
        if not self.deletions.of_source or not (known or self.transfer_type is TransferType.PUBLISH):
            return None
        return deletion(_before(folder), Side.DESTINATION, twice=self.two_sightings)

    def _left_out(self, folder: Folder) -> str | None:
        if self.part.entry is None:
            return None
        return self.part.entry(Facts(folder.source_path, EntryKind.FOLDER))

    def _note_what_takes_part(self, taking: Iterator[int] | None) -> None:
        """A folder takes part if a file in it does, at any depth, or if it is an empty one that is to be made."""
        for ordinal, _ in self.answers.to(FOLDERS_WITH_FILES):
            folder = self.folders[ordinal]
            folder.has_files = not folder.deleted
            folder.takes_part = folder.has_files and taking is None
        for ordinal in taking or ():
            self.folders[ordinal].takes_part = not self.folders[ordinal].deleted
        for folder in reversed(self.folders[1:]):
            if folder.deleted or folder.parent is None or folder.id is None:
                continue
            if not folder.has_files and self.empty is EmptyContainers.CREATE and not self._left_out(folder):
                folder.takes_part = True
            folder.parent.takes_part |= folder.takes_part
            folder.parent.has_files |= folder.has_files

    def _files_in_the_way(self) -> dict[int, There]:
        """Destination files that have the name of a folder which is to be made, by that folder's ordinal."""
        found: dict[int, There] = {}
        for ordinal, (names, *facts) in self.answers.to(FILES_BESIDE_FOLDERS):
            subfolders = self.folders[ordinal].subfolders
            for name, *fact in zip(names, *facts, strict=True):
                folder = subfolders.get(self.namer.key(from_stored(name)))
                if folder is not None:
                    found.setdefault(folder.ordinal, There(True, *fact))
        return found

    def _pair(self, folder: Folder) -> Pair:
        there = self._in_the_way.get(folder.ordinal)
        if folder.there_id is not None:
            there = There(False, to_stored(folder.there_id), None, None, None)
        source = None if folder.id is None else SourceFile(to_stored(folder.id), None, None, None)
        source_path = stored_path(folder.source_path)
        moved = source is not None and folder.listed_path != folder.source_path
        return Pair(
            system=self.system,
            source=source,
            there=there,
            source_path=source_path,
            destination_path=stored_path(folder.destination_path) if folder.renamed else source_path,
            entry_kind=EntryKind.FOLDER,
            renamed=folder.renamed,
            listed_path=stored_path(folder.listed_path) if moved else None,
        )


def _before(folder: Folder) -> Before | None:
    """What the baseline says of the folder, as far as deletions ask."""
    link = folder.link
    if link is None:
        return None
    nothing = (None, None, None, link.destination_id, None, None)
    return Before(link.source_id, *nothing, link.missing_at_source, link.missing_at_destination)


def _detail(folder: Folder) -> str | None:
    return ", ".join(folder.changes) or None
