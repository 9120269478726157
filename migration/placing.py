"""Where folders belong: the folders of both sides as one tree, with their places on either side. Pure.

A folder of the source has a place at the destination, which naming gives it; a folder that only the destination has
gets one at the source where the job goes both ways. Which folders are one is known from the last run (links, by id,
where ids survive a move) or else by name. What a link joins and what is no longer at its place is to be renamed.

Long because placing, joining and adopting share what is known of both sides.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from migration.actions import Side
from migration.entries import PathParts
from migration.errors import PlanError
from migration.naming import MappedName, Namer, Place, Sibling
from migration.tree_moves import Move, Position, Tree, Wish

MADE = "\0made:"
"""Begins the ids of folders that the source does not have yet. No system's ids begin so."""


class FolderRow(NamedTuple):
    """One folder of an inventory. `top` = directly below the root; `created` orders by age, None = unknown."""

    id: str
    parent_id: str | None
    name: str
    top: bool
    created: int | None = None
    deleted: bool = False

    @property
    def position(self) -> Position:
        """Where it is."""
        return Position(None if self.top else self.parent_id, self.name)


class Link(NamedTuple):
    """A pair of folders as the last run left it."""

    source_id: str | None
    source_path: PathParts
    destination_id: str | None
    destination_path: PathParts
    """As planned."""
    destination_name: str
    """As the destination calls it."""
    missing_at_source: str | None = None
    missing_at_destination: str | None = None


@dataclass(slots=True, eq=False)
class Folder:
    """One folder of the tree. The root has ordinal 0, no parent and empty paths. Paths are as they will be when the
    plan's renames are done."""

    ordinal: int
    parent: "Folder | None"
    id: str | None
    """At the source; None = it is not there."""
    source_path: PathParts
    destination_path: PathParts
    place: Place
    """Where the files in it are, at the destination."""
    source_place: Place = field(default_factory=Place)
    """The same at the source."""
    changes: tuple[str, ...] = ()
    problem: str | None = None
    renamed: bool = False
    deleted: bool = False
    subfolders: dict[str, "Folder"] = field(default_factory=dict)
    """By key of their names at the destination."""
    there_id: str | None = None
    """The id of the folder at the destination; None = it is not there."""
    there_is_exact: bool = False
    link: Link | None = None
    listed_path: PathParts = ()
    """The path at the source now."""
    moves: bool = False
    """Whether it or one around it is renamed by this plan."""
    has_files: bool = False
    """Whether a file that is not deleted is in it, at any depth."""
    takes_part: bool = False
    """Whether a file or folder in it takes part, so that it is needed."""
    needed: set[Side] = field(default_factory=set)
    """The sides to which something in it is copied or moved."""
    stays: bool = False
    """Whether something in it stays at the destination although the source does not have the folder."""
    flagged: str | None = None
    """Why it cannot be made; then nothing in it can be copied."""

    def need(self, side: Side) -> None:
        """Note that something comes into this folder on that side."""
        folder: Folder | None = self
        while folder is not None and side not in folder.needed:
            folder.needed.add(side)
            folder = folder.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """What of the other side is looked at."""

    source_moves: bool = False
    """Folders that the source moved are moved at the destination."""
    destination_moves: bool = False
    """And the other way round."""
    destination_wins: bool = False
    """Of folders that both moved."""
    adopts: bool = False
    """Folders that only the destination has are part of the tree."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The tree: every folder, the root first, parents before children; and how it comes about."""

    all: list[Folder]
    by_there_id: dict[str, int]
    """Ordinals by id at the destination."""
    moves: dict[Side, list[Move]]
    """In the order of work; ids are those of the side."""


def join_trees(
    source: Sequence[FolderRow],
    destination: Sequence[FolderRow],
    links: Sequence[Link],
    *,
    namer: Namer,
    source_namer: Namer,
    roots: tuple[Place, Place],
    following: Following,
    files_here: Mapping[str | None, Set[str]],
    files_there: Mapping[str | None, Set[str]],
) -> Folders:
    """One tree of both. Rows come parents first. `namer` gives names at the destination, `source_namer` at the source;
    `roots` are the places of the job's roots there (destination, source). `files_here` are names of files at the source
    that folders of the destination have, too, by the id of their folder (None = the root); `files_there` the other way
    round: where it names any, a folder that is moved there, or made in a job that goes both ways, gets another name.

    Raises PlanError `orphan-entry` or `duplicate-entry` for source rows that are no tree.
    """
    joining = _Joining(source, destination, links, namer, source_namer, following, files_here)
    rows, moved_here = joining.source_rows()
    given = joining.given_names(rows)
    blocked: set[str] = set()
    while True:
        folders = place_folders(rows, namer, roots[0], source_namer=source_namer, source_root=roots[1], given=given)
        by_there_id, wishes = joining.match(folders, blocked)
        moving = {wish.id for wish in wishes}
        wanted = [
            folder
            for folder in folders[1:]
            if folder.there_id in moving or (folder.there_id is None and following.destination_moves)
        ]
        others = _other_names(wanted, files_there, namer)
        tree = Tree({row.id: row.position for row in destination}, namer.key)
        _add_made(tree, folders)
        moves, in_the_way = tree.moves(wishes)
        if not in_the_way and not others:
            break
        given |= others
        blocked |= {joining.source_of[there_id] for there_id in in_the_way}
    if following.adopts:
        joining.adopt(folders, by_there_id)
    source_moves = joining.note_listed_paths(folders, rows, moved_here)
    _note_moves(folders, {move.id for move in moves}, {move.id for move in source_moves})
    return Folders(folders, by_there_id, {Side.DESTINATION: moves, Side.SOURCE: source_moves})


def place_folders(
    rows: Iterable[FolderRow],
    namer: Namer,
    root: Place,
    *,
    source_namer: Namer | None = None,
    source_root: Place | None = None,
    given: Mapping[str, str] | None = None,
) -> list[Folder]:
    """Every folder of the source with its place at the destination, the root first, parents before children, siblings
    by name.

    `given` says which folder (by id) already has which name there. Raises PlanError `orphan-entry` or
    `duplicate-entry` for rows that are no tree.
    """
    children: dict[str | None, list[FolderRow]] = defaultdict(list)
    ids: set[str] = set()
    for row in rows:
        if row.id in ids:
            raise duplicate(row.id, row.name)
        ids.add(row.id)
        children[None if row.top else row.parent_id].append(row)
    folders = [Folder(0, None, None, (), (), root, source_root or Place())]
    names = given or {}
    waiting = [(folders[0], row, new) for row, new in _placed(folders[0], children.pop(None, []), namer, names)]
    while waiting:
        parent, row, new = waiting.pop()
        folder = _folder(len(folders), parent, row, new, namer, source_namer or namer)
        folders.append(folder)
        waiting.extend((folder, child, name) for child, name in _placed(folder, children.pop(row.id, []), namer, names))
    for rest in children.values():
        raise orphan(rest[0].id, rest[0].name)
    return folders


class _Joining:
    """What is known of both sides while the tree is made."""

    def __init__(
        self,
        source: Sequence[FolderRow],
        destination: Sequence[FolderRow],
        links: Sequence[Link],
        namer: Namer,
        source_namer: Namer,
        following: Following,
        files_here: Mapping[str | None, Set[str]],
    ) -> None:
        self._namer = namer
        self._files_here = files_here
        self._source_namer = source_namer
        self._following = following
        self._source = {row.id: row for row in source if not row.deleted}
        self._source_rows = source
        self._destination = {row.id: row for row in destination}
        self._links = [link for link in links if link.source_id is not None and link.destination_id is not None]
        self._all_links = links
        self._by_source = {link.source_id: link for link in self._links}
        self._by_destination = {link.destination_id: link for link in links if link.destination_id is not None}
        self._source_paths = {link.source_path: link.source_id for link in links}
        self._destination_paths = {link.destination_path: link.destination_id for link in links}
        self._children: dict[tuple[str | None, str], list[FolderRow]] = defaultdict(list)
        for row in destination:
            self._children[row.position.parent_id, namer.key(row.name)].append(row)
        self.source_of = {row.id: link.source_id for row in destination if (link := self._live(row)) and link.source_id}
        """Which source folder a destination folder belongs to, by ids, as far as links tell."""

    def _live(self, row: FolderRow) -> Link | None:
        link = self._by_destination.get(row.id)
        return link if link is not None and link.source_id in self._source else None

    def _moved_at_source(self, link: Link) -> bool:
        row = self._source.get(link.source_id or "")
        if row is None or not link.source_path:
            return False
        return row.name != link.source_path[-1] or self._left(row, link.source_path, self._source_paths)

    def _moved_at_destination(self, link: Link) -> bool:
        row = self._destination.get(link.destination_id or "")
        if row is None or not link.destination_path:
            return False
        return row.name != link.destination_name or self._left(row, link.destination_path, self._destination_paths)

    @staticmethod
    def _left(row: FolderRow, path: PathParts, ids: Mapping[PathParts, str | None]) -> bool:
        """Whether it is in another folder than the last run knew it in; False where that is not known."""
        if len(path) == 1:
            return not row.top
        before = ids.get(path[:-1])
        return before is not None and row.position.parent_id != before

    def source_rows(self) -> tuple[list[FolderRow], dict[str, FolderRow]]:
        """The source's folders, those that the destination moved where they belong; and these, by id."""
        moved: dict[str, FolderRow] = {}
        if self._following.destination_moves:
            for link in self._links:
                if self._is_moved_home(link):
                    self._move_home(link, moved)
        for row_id in _in_a_circle({**self._source, **moved}):
            moved.pop(row_id, None)
        made = [row for row in moved.values() if row.id not in self._source]
        return [*(moved.get(row.id, row) for row in self._source_rows), *made], moved

    def _is_moved_home(self, link: Link) -> bool:
        if link.source_id not in self._source or not self._moved_at_destination(link):
            return False
        return self._following.destination_wins or not self._moved_at_source(link)

    def _move_home(self, link: Link, moved: dict[str, FolderRow]) -> None:
        here, there = self._source[link.source_id or ""], self._destination[link.destination_id or ""]
        parent_id = None if there.top else self._home_of(there.parent_id, moved)
        name = here.name if there.name == link.destination_name else self._name_at_source(there, parent_id, here.id)
        moved[here.id] = here._replace(parent_id=parent_id, name=name, top=parent_id is None)

    def _home_of(self, there_id: str | None, moved: dict[str, FolderRow]) -> str | None:
        """The id of the source folder that a destination folder belongs to; one that is to be made if there is none."""
        there = self._destination.get(there_id or "")
        if there is None:
            return None
        if there.id in self.source_of:
            return self.source_of[there.id]
        parent_id = None if there.top else self._home_of(there.parent_id, moved)
        key = self._source_namer.key(there.name)
        for row in self._source.values():
            if row.position.parent_id == parent_id and self._source_namer.key(row.name) == key:
                return row.id
        made_id = MADE + there.id
        if made_id not in moved:
            name = self._name_at_source(there, parent_id, made_id)
            moved[made_id] = FolderRow(made_id, parent_id, name, parent_id is None)
            self.source_of[there.id] = made_id
        return made_id

    def _name_at_source(self, there: FolderRow, parent_id: str | None, own_id: str) -> str:
        taken = {
            self._source_namer.key(row.name)
            for row in self._source.values()
            if row.position.parent_id == parent_id and row.id != own_id
        }
        taken |= {self._source_namer.key(name) for name in self._files_here.get(parent_id, ())}
        mapped = self._source_namer.map_names([Sibling(there.id, there.name)], Place(folders=True), taken=taken)
        return mapped[0].name

    def given_names(self, rows: Iterable[FolderRow]) -> dict[str, str]:
        """Which source folder keeps which name at the destination: those whose own name was not changed since, and
        those that the destination renamed itself."""
        given: dict[str, str] = {}
        for row in rows:
            link = self._by_source.get(row.id)
            there = self._destination.get(link.destination_id or "") if link else None
            if row.id.startswith(MADE):
                given[row.id] = self._destination[row.id.removeprefix(MADE)].name
            elif link and there and self._keeps_name(row, link, there):
                given[row.id] = there.name
        return {folder_id: name for folder_id, name in given.items() if self._source_name(folder_id) != name}

    def _source_name(self, folder_id: str) -> str | None:
        row = self._source.get(folder_id)
        return row.name if row else None

    def _keeps_name(self, row: FolderRow, link: Link, there: FolderRow) -> bool:
        unchanged_there = there.name == link.destination_name
        if unchanged_there:
            return bool(link.source_path) and row.name == link.source_path[-1]
        return self._following.destination_moves and self._is_moved_home(link)

    def match(self, folders: Sequence[Folder], blocked: set[str]) -> tuple[dict[str, int], list[Wish]]:
        """Note on each folder which destination folder is it; ordinals by id there, and who has to move."""
        matched: dict[str, int] = {}
        wishes: list[Wish] = []
        for folder in folders[1:]:
            folder.there_id, folder.there_is_exact = None, False
            folder.link = self._by_source.get(folder.id)
            if folder.problem or folder.deleted or folder.id is None:
                continue
            parent = folder.parent
            assert parent is not None
            parent_id = parent.there_id if parent.parent else None
            reachable = parent.parent is None or parent.there_id is not None
            name = folder.destination_path[-1]
            linked = self._linked(folder.id, blocked)
            if linked is None and reachable:
                linked = self._named(parent_id, name, folder.id, matched, blocked)
            if linked is None or linked.id in matched:
                continue
            folder.there_id, folder.there_is_exact = linked.id, linked.name == name
            matched[linked.id] = folder.ordinal
            home = parent_id if reachable else _new_id(parent)
            by_link = folder.id is not None and self.source_of.get(linked.id) == folder.id
            if by_link and linked.position != Position(home, name):
                wishes.append(Wish(linked.id, Position(home, name)))
        return matched, wishes

    def _linked(self, folder_id: str, blocked: set[str]) -> FolderRow | None:
        if folder_id.startswith(MADE):
            return self._destination.get(folder_id.removeprefix(MADE))
        link = self._by_source.get(folder_id)
        row = self._destination.get(link.destination_id or "") if link else None
        if link is None or row is None or folder_id in blocked:
            return None
        if self._moved_at_destination(link) and not self._following.destination_moves:
            return None
        if self._moved_at_source(link) and not self._following.source_moves:
            return None
        return row

    def _named(
        self, parent_id: str | None, name: str, folder_id: str, matched: Mapping[str, int], blocked: set[str]
    ) -> FolderRow | None:
        """A folder of that name there that does not belong to another one of the source; the one spelt alike first."""
        found = [
            row
            for row in self._children.get((parent_id, self._namer.key(name)), ())
            if row.id not in matched and self._is_free(row, folder_id, blocked)
        ]
        return next((row for row in found if row.name == name), found[0] if found else None)

    def _is_free(self, row: FolderRow, folder_id: str, blocked: set[str]) -> bool:
        owner = self.source_of.get(row.id)
        return owner in (None, folder_id) or self._linked(owner or "", blocked) is None

    def adopt(self, folders: list[Folder], by_there_id: dict[str, int]) -> None:
        """Add the folders that only the destination has, with their places at the source."""
        waiting: dict[int, list[FolderRow]] = defaultdict(list)
        lone: dict[str, list[FolderRow]] = defaultdict(list)
        for row in self._destination.values():
            if row.id in by_there_id:
                continue
            ordinal = 0 if row.top else by_there_id.get(row.parent_id or "")
            if ordinal is not None:
                waiting[ordinal].append(row)
            else:
                lone[row.parent_id or ""].append(row)
        for ordinal in sorted(waiting):
            todo = [(folders[ordinal], waiting[ordinal])]
            while todo:
                parent, rows = todo.pop()
                adopted = self._adopted(parent, rows, folders, by_there_id)
                todo.extend((folder, lone.pop(folder.there_id or "", [])) for folder in adopted)

    def _adopted(
        self, parent: Folder, rows: list[FolderRow], folders: list[Folder], by_there_id: dict[str, int]
    ) -> Iterator[Folder]:
        rows.sort(key=lambda row: (row.name, row.id))
        key = self._source_namer.key
        taken = {key(one.source_path[-1]) for one in parent.subfolders.values()}
        if parent.parent is None or parent.id is not None:
            taken |= set(map(key, self._files_here.get(parent.id, ())))
        siblings = [Sibling(row.id, row.name, row.created) for row in rows]
        place = Place(parent.source_place.length, folders=True)
        for row, new in zip(rows, self._source_namer.map_names(siblings, place, taken=taken), strict=True):
            folder = Folder(
                ordinal=len(folders),
                parent=parent,
                id=None,
                source_path=(*parent.source_path, new.name),
                destination_path=(*parent.destination_path, row.name),
                place=_below(parent.place, row.name, self._namer),
                source_place=_below(parent.source_place, new.name, self._source_namer),
                changes=new.changes,
                problem=new.problem,
                renamed=parent.renamed or new.name != row.name,
                there_id=row.id,
                there_is_exact=True,
                link=self._by_destination.get(row.id),
                deleted=parent.deleted,
            )
            parent.subfolders.setdefault(self._namer.key(row.name), folder)
            folders.append(folder)
            by_there_id[row.id] = folder.ordinal
            yield folder

    def note_listed_paths(
        self, folders: Sequence[Folder], rows: Sequence[FolderRow], moved: Mapping[str, FolderRow]
    ) -> list[Move]:
        """Note where each folder of the source is now; the renames that bring them where they belong."""
        tree = Tree({row.id: row.position for row in self._source_rows}, self._source_namer.key)
        if not moved:
            for folder in folders:
                folder.listed_path = folder.source_path
            return []
        for folder in folders[1:]:
            folder.listed_path = tree.path(folder.id)
        for row in rows:
            if row.id.startswith(MADE):
                tree.add(row.id, row.position)
        wished = [folder.id for folder in folders[1:] if folder.id in moved and folder.id in self._source]
        moves, _ = tree.moves([Wish(one, moved[one].position) for one in wished if one is not None])
        for folder in folders[1:]:
            if folder.id is not None and folder.id.startswith(MADE):
                folder.id = None
                folder.listed_path = ()
        return moves


def _other_names(folders: Sequence[Folder], files_there: Mapping[str | None, Set[str]], namer: Namer) -> dict[str, str]:
    """Other names for folders that are to come where files have their names, by source id."""
    others: dict[str, str] = {}
    for folder in folders if files_there else ():
        parent = folder.parent
        assert parent is not None
        known = parent.parent is None or parent.there_id is not None
        if folder.id is None or folder.problem or folder.deleted or not known:
            continue
        files = {namer.key(name) for name in files_there.get(parent.there_id, ())}
        name = folder.destination_path[-1]
        if namer.key(name) in files:
            new = namer.marked_apart(name, "", folder.id, parent.place, files | parent.subfolders.keys())
            if new is not None:
                others[folder.id] = new.name
    return others


def _add_made(tree: Tree, folders: Iterable[Folder]) -> None:
    for folder in folders:
        if folder.parent is not None and folder.there_id is None and not folder.problem and not folder.deleted:
            parent = folder.parent
            above = None if parent.parent is None else parent.there_id or _new_id(parent)
            tree.add(_new_id(folder), Position(above, folder.destination_path[-1]))


def _new_id(folder: Folder) -> str:
    return f"{MADE}{folder.ordinal}"


def _note_moves(folders: Sequence[Folder], there: set[str], here: set[str]) -> None:
    for folder in folders[1:]:
        own = folder.there_id in there or folder.id in here
        folder.moves = own or (folder.parent is not None and folder.parent.moves)


def _in_a_circle(rows: Mapping[str, FolderRow]) -> set[str]:
    """The ids of folders that would be in themselves."""
    circle: set[str] = set()
    good: set[str] = set()
    for start in rows:
        way: list[str] = []
        one: str | None = start
        while one is not None and one in rows and one not in good and one not in way:
            way.append(one)
            one = rows[one].position.parent_id
        if one is not None and one in way:
            circle.update(way[way.index(one) :])
        good.update(way)
    return circle


def _placed(
    parent: Folder, rows: list[FolderRow], namer: Namer, given: Mapping[str, str]
) -> Iterator[tuple[FolderRow, MappedName]]:
    """Last name first, as they are taken from the end of a stack."""
    rows.sort(key=lambda row: (row.name, row.id), reverse=True)
    live = [row for row in rows if not (row.deleted or parent.deleted)]
    names = {row.id: MappedName(given[row.id], namer.key(given[row.id])) for row in live if row.id in given}
    others = [row for row in live if row.id not in names]
    siblings = [Sibling(row.id, row.name, row.created) for row in others]
    taken = {new.key for new in names.values()}
    mapped = namer.map_names(siblings, Place(parent.place.length, folders=True), taken=taken)
    names.update((row.id, new) for row, new in zip(others, mapped, strict=True))
    return ((row, names.get(row.id) or MappedName(row.name, "")) for row in rows)


def _folder(ordinal: int, parent: Folder, row: FolderRow, new: MappedName, namer: Namer, source_namer: Namer) -> Folder:
    folder = Folder(
        ordinal=ordinal,
        parent=parent,
        id=row.id,
        source_path=(*parent.source_path, row.name),
        destination_path=(*parent.destination_path, new.name),
        place=_below(parent.place, new.name, namer),
        source_place=_below(parent.source_place, row.name, source_namer),
        changes=new.changes,
        problem=new.problem,
        renamed=parent.renamed or new.name != row.name,
        deleted=parent.deleted or row.deleted,
    )
    if new.problem is None and not folder.deleted:
        parent.subfolders[new.key] = folder
    return folder


def _below(place: Place, name: str, namer: Namer) -> Place:
    return Place(place.length + (1 if place.length else 0) + namer.length(name))


def duplicate(entry_id: str, name: str) -> PlanError:
    """The error for an entry that the inventory holds more than once."""
    return PlanError(
        "duplicate-entry", f"The inventory lists {name!r} (id {entry_id}) more than once.", fix="Analyze again."
    )


def orphan(entry_id: str, name: str) -> PlanError:
    """The error for an entry whose folder the inventory does not hold."""
    return PlanError(
        "orphan-entry",
        f"The inventory lists {name!r} (id {entry_id}) in a folder that it does not list.",
        fix="Analyze again; if it happens again, please report it.",
    )
