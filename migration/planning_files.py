"""Deciding about files, one folder of the tree after the other: names, pairs, verdicts, rows.

Long because a folder's files are decided about together: who has which name depends on all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from migration.actions import ActionKind, Side
from migration.entries import PathParts
from migration.inventory_format import stored_path
from migration.naming import MappedName, Namer, Place, Sibling
from migration.placing import Folder, duplicate
from migration.plan_queries import BEFORE, FILES, THERE
from migration.plan_rows import Pair, Row
from migration.planner import (
    CONFLICT_COPY,
    DELETED_AT_SOURCE,
    MOVED_AT_DESTINATION,
    MOVED_AT_SOURCE,
    MOVED_WITH_FOLDER,
    PARENT_FLAGGED,
    Before,
    SourceFile,
    Strategy,
    There,
    Verdict,
)
from migration.sorted_groups import Answers, Columns
from migration.stored_text import from_stored, to_stored
from migration.taking_part import FileFacts, TakingPart
from migration.tree_moves import FileWish

AS_BEFORE = "as-before"
"""Why a name differs from the source's: it did so after the last run."""
MOVED = Verdict(ActionKind.DELETE, "moved", side=Side.SOURCE)
AT_DESTINATION = ("unchanged", "already-there", MOVED_WITH_FOLDER)
"""Reasons of files that are skipped because the destination has them."""


class Moving(NamedTuple):
    """One file that is renamed by this plan."""

    side: Side
    row: Row
    wish: FileWish


class _Before(NamedTuple):
    """A baseline row of a folder."""

    before: Before
    planned_key: str
    kept_key: str
    """Of the name as the destination called it."""
    name_here: str
    name_there: str
    pair: int | None


_NAMELESS = MappedName("", "")


@dataclass(slots=True, eq=False)
class _There:
    """A destination entry in its folder."""

    there: There
    name: str
    key: str
    pair: int | None
    listed_in: int
    claimed: bool = False
    """Whether it belongs to a source file."""


@dataclass(slots=True, eq=False)
class _Here:
    """A source file in its folder. `new` is its name at the destination."""

    file: SourceFile
    facts: FileFacts
    name: str
    left_out: Verdict | None
    pair: int | None
    listed_in: int
    new: MappedName = _NAMELESS


@dataclass(slots=True)
class _Contents:
    """What is in one folder of the tree on both sides, and was."""

    folder: Folder
    here: list[_Here]
    there: list[_There]
    before: list[_Before]
    by_key: dict[str, _There] = field(default_factory=dict)
    by_name: dict[str, _There] = field(default_factory=dict)
    """Only of those that share their key with another."""
    by_planned: dict[str, _Before] = field(default_factory=dict)
    by_source: dict[str | None, _Before] = field(default_factory=dict)
    pairs_there: dict[int, _There] = field(default_factory=dict)
    pairs_before: dict[int, _Before] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unmoved = [one for one in self.there if one.pair is None]
        self.by_key = {one.key: one for one in reversed(unmoved)}
        self.by_name = {one.name: one for one in unmoved} if len(self.by_key) < len(unmoved) else {}
        self.by_planned = {one.planned_key: one for one in self.before if one.pair is None}
        self.by_source = {one.before.source_id: one for one in self.before if one.pair is None}
        self.pairs_there = {one.pair: one for one in self.there if one.pair is not None}
        self.pairs_before = {one.pair: one for one in self.before if one.pair is not None}

    def known(self, name: MappedName) -> _There | None:
        """What is under the name that the destination gave the file, else under the planned one."""
        before = self.by_planned.get(name.key)
        kept = self.by_key.get(before.kept_key) if before else None
        return kept or self.by_name.get(name.name) or self.by_key.get(name.key)


@dataclass(slots=True, kw_only=True)
class FileDecider:
    """Decides about all files. `rows` gives the rows folder by folder; what is renamed is collected in `moving`."""

    answers: Answers
    folders: Sequence[Folder]
    namer: Namer
    source_namer: Namer
    strategy: Strategy
    part: TakingPart
    system: str
    when: str
    """For the names of conflict copies."""
    adopts: bool
    """Whether what only the destination has is decided about, too."""
    problems: Mapping[str, ActionKind]
    """What problems of names lead to; those not named here to a flag."""
    removes_source: bool
    """Whether source files are deleted once they are at the destination."""
    reserved: Callable[[PathParts], Set[str]]
    """Keys of names in a destination folder that files must not get."""
    moving: list[Moving] = field(default_factory=list)

    def rows(self) -> Iterator[list[Row]]:
        """The rows of each folder that has any, in the order of the tree."""
        files, there, before = (self.answers.to(query) for query in (FILES, THERE, BEFORE))
        for folder in self.folders:
            found = files.take(folder.ordinal)
            listed, known = there.take(folder.ordinal), before.take(folder.ordinal)
            if found is not None or (self.adopts and (listed or known)):
                contents = _Contents(folder, self._here(folder, found), self._there(listed), self._before(known))
                rows = self._rows(contents)
                if rows:
                    yield rows

    def _here(self, folder: Folder, columns: Columns | None) -> list[_Here]:
        if columns is None:
            return []
        names = list(map(from_stored, columns[2]))
        _check_unique(columns[0], names)
        rows: list[_Here] = []
        for name, (*values, pair, listed_in) in zip(names, zip(*columns, strict=True), strict=True):
            facts = FileFacts._make(values)
            file = SourceFile(facts.id, facts.version_id, facts.size_bytes, facts.modified)
            rows.append(_Here(file, facts, name, self._why_left_out(folder, name, facts), pair, listed_in))
        return rows

    def _why_left_out(self, folder: Folder, name: str, facts: FileFacts) -> Verdict | None:
        if folder.deleted or facts.deleted:
            return DELETED_AT_SOURCE
        return self.part.file((*folder.source_path, name), facts) if self.part.file else None

    def _there(self, columns: Columns | None) -> list[_There]:
        if columns is None:
            return []
        rows: list[_There] = []
        for stored, *facts, pair, listed_in in zip(*columns, strict=True):
            name = from_stored(stored)
            rows.append(_There(There._make(facts), name, self.namer.key(name), pair, listed_in))
        return rows

    def _before(self, columns: Columns | None) -> list[_Before]:
        if columns is None:
            return []
        key = self.namer.key
        rows: list[_Before] = []
        for planned, kept, here, *facts, pair in zip(*columns, strict=True):
            planned_name, name_here = from_stored(planned), from_stored(here)
            name_there = planned_name if kept is None else from_stored(kept)
            rows.append(_Before(Before(*facts), key(planned_name), key(name_there), name_here, name_there, pair))
        return rows

    def _rows(self, contents: _Contents) -> list[Row]:
        self._name(contents)
        rows: list[Row] = []
        for one in contents.here:
            if one.left_out is not None:
                rows.append(self._pair(contents.folder, one, None).row(one.left_out))
            elif one.pair is None:
                rows += self._plain_rows(contents, one)
            else:
                rows += self._moved_rows(contents, one, one.pair)
        if self.adopts:
            rows += self._rows_of_the_rest(contents)
        return rows

    def _name(self, contents: _Contents) -> None:
        """Give each file that takes part its name at the destination; the others claim none and keep their own."""
        given = self._given_names(contents)
        taken = set(contents.folder.subfolders) | self.reserved(contents.folder.destination_path)
        todo: list[_Here] = []
        for one in contents.here:
            if one.left_out is not None:
                one.new = MappedName(one.name, "")
            elif one.file.id in given:
                one.new = MappedName(given[one.file.id], self.namer.key(given[one.file.id]), (AS_BEFORE,))
                taken.add(one.new.key)
            elif one.pair is None:
                todo.append(one)
        holders = {before.planned_key: before.before.source_id or "" for before in contents.before}
        self._map(todo, contents.folder.place, taken, holders)
        late = [one for one in contents.here if one.pair is not None and not one.new.name]
        if late:
            self._name_moved(contents, late, taken | {one.new.key for one in todo})

    def _name_moved(self, contents: _Contents, late: list[_Here], taken: set[str]) -> None:
        """Names of files that came from elsewhere: none that something else has there. But where the former holder of
        the name is gone and its copy is still there, the file was replaced by this one, as programs do that save under
        another name first: then names say more than ids, and it no longer counts as moved."""
        ids = {one.file.id for one in contents.here if not one.facts.deleted}
        for one in late:
            wish = self.namer.map_names([Sibling(one.file.id, one.name)], contents.folder.place, taken=taken)[0]
            before = contents.by_planned.get(wish.key)
            if before is not None and before.before.source_id not in ids and contents.known(wish) is not None:
                one.new, one.pair = wish, None
                taken.add(wish.key)
        still = [one for one in late if one.pair is not None]
        self._map(still, contents.folder.place, taken | set(contents.by_key), {})

    def _map(self, todo: list[_Here], place: Place, taken: set[str], holders: dict[str, str]) -> None:
        siblings = [Sibling(one.file.id, one.name, one.facts.created) for one in todo]
        for one, new in zip(todo, self.namer.map_names(siblings, place, taken=taken, holders=holders), strict=True):
            one.new = new

    def _given_names(self, contents: _Contents) -> dict[str, str]:
        """Which file keeps which name at the destination although naming might give it another: those whose own name
        is what it was after the last run, and differs there, or was changed there since."""
        names = {one.file.id: one.name for one in contents.here if one.left_out is None}
        given: dict[str, str] = {}
        for before in contents.before:
            source_id = before.before.source_id
            if source_id is None or names.get(source_id) != before.name_here:
                continue
            there = contents.pairs_there.get(before.pair) if before.pair is not None else None
            if there is not None and there.name != before.name_there:
                given[source_id] = there.name
            elif self._may_keep_its_name(contents, before) and self._is_named_otherwise(contents.folder, before):
                given[source_id] = before.name_there
        return given

    def _may_keep_its_name(self, contents: _Contents, before: _Before) -> bool:
        there = contents.by_key.get(before.kept_key)
        return before.planned_key == before.kept_key and (there is None or there.there.is_file)

    def _is_named_otherwise(self, folder: Folder, before: _Before) -> bool:
        """Whether naming alone would not give the name that the file has there."""
        if before.name_there == before.name_here:
            return False
        alone = self.namer.map_names([Sibling(before.before.source_id or "", before.name_here)], folder.place)
        return alone[0].name != before.name_there

    def _plain_rows(self, contents: _Contents, one: _Here) -> list[Row]:
        found = contents.known(one.new)
        known = contents.by_planned.get(one.new.key)
        if found is not None:
            found.claimed = True
        elif known is None:
            known = contents.by_source.get(one.file.id)
        there, before = found.there if found else None, known.before if known else None
        verdict = self._verdict(contents.folder, one, there, before)
        if verdict.aside is not None and found is not None:
            return self._kept_both(contents, one, found, verdict)
        return self._told(contents.folder, one, there, verdict)

    def _told(self, folder: Folder, one: _Here, there: There | None, verdict: Verdict) -> list[Row]:
        pair = self._pair(folder, one, there)
        if verdict.kind is ActionKind.COPY:
            folder.need(verdict.side)
        if folder.moves and verdict.reason == "unchanged":
            verdict = verdict._replace(reason=MOVED_WITH_FOLDER)
        rows = [pair.row(verdict, detail=", ".join(one.new.changes) or None)]
        if self.removes_source and (verdict.kind is ActionKind.COPY or verdict.reason in AT_DESTINATION):
            rows.append(pair.row(MOVED, accounts=False))
        return rows

    def _kept_both(self, contents: _Contents, one: _Here, found: _There, verdict: Verdict) -> list[Row]:
        """The loser of a conflict is renamed, the winner copied to its place."""
        folder = contents.folder
        folder.need(verdict.side)
        rename = Verdict(ActionKind.RENAME, CONFLICT_COPY, verdict.reason, verdict.side)
        winner = self._pair(folder, one, found.there)
        if verdict.side is Side.DESTINATION:
            taken = set(contents.by_key) | {other.new.key for other in contents.here}
            name = self._conflict_name(found.name, self.namer, folder.place, taken)
            loser = self._pair(folder, None, found.there, name_there=name, name_here=name)
            from_path = (*folder.destination_path, found.name)
            winner.there = None
            rows = [winner.row(verdict, detail=", ".join(one.new.changes) or None)]
        else:
            taken = {self.source_namer.key(other.name) for other in contents.here}
            name = self._conflict_name(one.name, self.source_namer, folder.source_place, taken)
            loser = self._pair(folder, one, None, name_here=name)
            from_path = (*folder.source_path, one.name)
            loser.listed_path = winner.listed_path or winner.source_path
            winner.source = winner.listed_path = None
            rows = [winner.row(verdict, accounts=False)]
        self._rename(loser, rename, from_path, found.there.id if verdict.side is Side.DESTINATION else one.file.id)
        return rows

    def _conflict_name(self, name: str, namer: Namer, place: Place, taken: set[str]) -> str:
        mark = f" (conflict {self.when})"
        new = namer.marked(name, mark, place)
        if new is None or new.key in taken:
            new = namer.marked_apart(name, mark, name, place, taken)
        return new.name if new else f"conflict {self.when}"

    def _rename(
        self, pair: Pair, verdict: Verdict, from_path: PathParts, entry_id: str, *, accounts: bool | None = None
    ) -> None:
        row = pair.row(verdict, from_path=stored_path(from_path), accounts=accounts)
        path = pair.destination_path if verdict.side is Side.DESTINATION else pair.source_path
        wish = FileWish(f"{verdict.side}:{entry_id}", from_path, tuple(map(from_stored, path)))
        self.moving.append(Moving(verdict.side, row, wish))

    def _moved_rows(self, contents: _Contents, one: _Here, pair_number: int) -> list[Row]:
        """A file that is not where it was, on one side or both: renamed on the other, then decided about as any."""
        found, before = contents.pairs_there[pair_number], contents.pairs_before[pair_number]
        found.claimed = True
        folder = contents.folder
        # Where ids are made of paths a move has changed them; that it is the same file is known already.
        known = before.before._replace(source_id=one.file.id, destination_id=found.there.id)
        verdict = self._verdict(folder, one, found.there, known)
        stays = verdict.kind is ActionKind.SKIP and verdict.reason in AT_DESTINATION
        if not stays and verdict.kind is not ActionKind.COPY:
            return [self._pair(folder, one, found.there).row(verdict)]
        side = Side.DESTINATION if self._is_elsewhere_there(folder, one, found) else Side.SOURCE
        pair = self._pair(folder, one, found.there)
        if side is Side.SOURCE:
            pair = self._renamed_here(contents, one, before, pair)
        from_path = self._from(side, one, found)
        to_path = pair.destination_path if side is Side.DESTINATION else pair.source_path
        if from_path == tuple(map(from_stored, to_path)):
            return self._told(folder, one, found.there, verdict)
        folder.need(side)
        reason = MOVED_AT_SOURCE if side is Side.DESTINATION else MOVED_AT_DESTINATION
        rename = Verdict(ActionKind.RENAME, reason, side=side)
        entry_id = found.there.id if side is Side.DESTINATION else one.file.id
        self._rename(pair, rename, from_path, entry_id, accounts=None if stays else False)
        if stays:
            return [pair.row(MOVED, accounts=False)] if self.removes_source else []
        if verdict.aside is not None:
            verdict = Verdict(ActionKind.FLAG, verdict.reason, "it was moved, too")
        else:
            folder.need(verdict.side)
        return [pair.row(verdict)]

    def _is_elsewhere_there(self, folder: Folder, one: _Here, found: _There) -> bool:
        """Whether it is the destination's file that has to be renamed."""
        return found.listed_in != folder.ordinal or found.name != one.new.name

    def _renamed_here(self, contents: _Contents, one: _Here, before: _Before, pair: Pair) -> Pair:
        """The pair with the name that the source's file is to get."""
        name = one.name
        if one.new.name != before.name_there:
            key = self.source_namer.key
            taken = {key(other.name) for other in contents.here if other is not one}
            taken |= {key(sub.source_path[-1]) for sub in contents.folder.subfolders.values()}
            wish = Sibling(one.file.id, one.new.name)
            name = self.source_namer.map_names([wish], contents.folder.source_place, taken=taken)[0].name
        return self._pair(contents.folder, one, pair.there, name_here=name)

    def _from(self, side: Side, one: _Here, found: _There) -> PathParts:
        if side is Side.DESTINATION:
            return (*self.folders[found.listed_in].destination_path, found.name)
        return (*self.folders[one.listed_in].source_path, one.name)

    def _rows_of_the_rest(self, contents: _Contents) -> list[Row]:
        """What only the destination has, or only the baseline knows."""
        self._claim_what_is_left_out(contents)
        before = {one.kept_key: one for one in contents.before if one.pair is None}
        planned = {one.new.key for one in contents.here if one.left_out is None}
        rest = [one for one in contents.there if not one.claimed and one.there.is_file and one.pair is None]
        decided: list[tuple[_There, _Before | None, Verdict]] = []
        for one in rest:
            known = before.get(one.key)
            if known is not None and known.planned_key in planned:
                known = None
            verdict = self._verdict_there(contents.folder, one, known.before if known else None)
            if verdict is not None:
                decided.append((one, known, verdict))
        self._note_what_stays(contents, decided)
        names = self._names_here(contents, [(one, known) for one, known, _ in decided])
        rows: list[Row] = []
        for (one, _, verdict), new in zip(decided, names, strict=True):
            if verdict.kind is ActionKind.COPY:
                contents.folder.need(verdict.side)
                if new.problem:
                    verdict = Verdict(ActionKind.FLAG, new.problem, side=Side.SOURCE)
            pair = self._pair(contents.folder, None, one.there, name_here=new.name, name_there=one.name)
            rows.append(pair.row(verdict, detail=", ".join(new.changes) or None))
        return rows

    def _note_what_stays(self, contents: _Contents, decided: Sequence[tuple[_There, _Before | None, Verdict]]) -> None:
        leaving = {id(one) for one, _, verdict in decided if verdict.deletes}
        contents.folder.stays = any(one.there.is_file and id(one) not in leaving for one in contents.there)

    def _claim_what_is_left_out(self, contents: _Contents) -> None:
        """A file that a rule leaves out is there all the same: what was made of it is not without a source."""
        ids = {one.file.id for one in contents.here if one.left_out is not None and not one.facts.deleted}
        if not ids or contents.folder.deleted:
            return
        keys = {one.kept_key for one in contents.before if one.before.source_id in ids}
        for one in contents.there:
            one.claimed = one.claimed or (one.pair is None and one.key in keys)

    def _names_here(self, contents: _Contents, rest: Sequence[tuple[_There, _Before | None]]) -> list[MappedName]:
        """Names at the source for what only the destination has: what it was called before, if there was a before."""
        key = self.source_namer.key
        taken = {key(one.name) for one in contents.here if not one.facts.deleted}
        taken |= {key(sub.source_path[-1]) for sub in contents.folder.subfolders.values()}
        siblings = [Sibling(one.there.id, known.name_here if known else one.name) for one, known in rest]
        return self.source_namer.map_names(siblings, contents.folder.source_place, taken=taken)

    def _verdict(self, folder: Folder, one: _Here, there: There | None, before: Before | None) -> Verdict:
        if folder.flagged:
            return Verdict(ActionKind.FLAG, PARENT_FLAGGED, folder.flagged)
        if one.new.problem:
            return Verdict(self.problems.get(one.new.problem, ActionKind.FLAG), one.new.problem)
        verdict = self.strategy.pair(one.file, there, before)
        assert verdict is not None
        return verdict

    def _verdict_there(self, folder: Folder, one: _There, before: Before | None) -> Verdict | None:
        if folder.flagged:
            return None
        if self.part.there and not self.part.there((*folder.destination_path, one.name), one.there):
            return None
        return self.strategy.pair(None, one.there, before)

    def _pair(
        self,
        folder: Folder,
        one: _Here | None,
        there: There | None,
        *,
        name_here: str | None = None,
        name_there: str | None = None,
    ) -> Pair:
        here = name_here or (one.name if one else "")
        name = name_there or (one.new.name if one else "")
        source_path = (*stored_path(folder.source_path), to_stored(here))
        renamed = folder.renamed or name != here
        listed_path = None
        if one is not None and (one.listed_in != folder.ordinal or here != one.name or folder.moves):
            listed = self.folders[one.listed_in]
            listed_path = (*stored_path(listed.listed_path), to_stored(one.name))
        return Pair(
            system=self.system,
            source=one.file if one else None,
            there=there,
            source_path=source_path,
            destination_path=(*stored_path(folder.destination_path), to_stored(name)) if renamed else source_path,
            renamed=renamed,
            listed_path=None if listed_path == source_path else listed_path,
        )


def _check_unique(ids: list[str], names: list[str]) -> None:
    """One id may have several names (hard links), but not one name twice."""
    if len(set(ids)) == len(ids):
        return
    seen: set[tuple[str, str]] = set()
    for one in zip(ids, names, strict=True):
        if one in seen:
            raise duplicate(*one)
        seen.add(one)
