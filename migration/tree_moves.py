"""Which renames bring a tree of folders from how it is to how it is to be, in an order that always works. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from migration.entries import PathParts


class Position(NamedTuple):
    """Where a folder is: the id of the folder it is in (None = the root) and its name."""

    parent_id: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Wish:
    """This folder is to be there."""

    id: str
    position: Position


@dataclass(frozen=True, slots=True)
class Move:
    """One rename. Paths are those at the moment when it is its turn. `parked` = out of another one's way, to be moved
    on by a later move."""

    id: str
    from_path: PathParts
    to_path: PathParts
    parked: bool = False


class Tree:
    """Folders by id. Names that are one name for the system have one key."""

    def __init__(self, positions: Mapping[str, Position], key: Callable[[str], str]) -> None:
        self._positions = dict(positions)
        self._key = key
        self._children = {
            (position.parent_id, key(position.name)): folder_id for folder_id, position in positions.items()
        }

    def add(self, folder_id: str, position: Position) -> None:
        """A folder that will be made before something is moved into it."""
        self._positions[folder_id] = position
        self._children.setdefault((position.parent_id, self._key(position.name)), folder_id)

    def path(self, folder_id: str | None) -> PathParts:
        """The path from the root now. A folder whose parents are not known hangs at the root."""
        names: list[str] = []
        seen: set[str] = set()
        while folder_id is not None and folder_id in self._positions and folder_id not in seen:
            seen.add(folder_id)
            position = self._positions[folder_id]
            names.append(position.name)
            folder_id = position.parent_id
        return tuple(reversed(names))

    def moves(self, wishes: Iterable[Wish]) -> tuple[list[Move], list[str]]:
        """The renames for the wishes, parents' wishes first; and the ids of those that cannot be had because something
        else is in the way and stays, or because a folder would be in itself."""
        waiting = {wish.id: wish for wish in wishes}
        moves: list[Move] = []
        blocked: list[str] = []
        while waiting:
            wish = waiting.pop(next(iter(waiting)))
            occupant = self._children.get((wish.position.parent_id, self._key(wish.position.name)))
            if self._is_inside(wish.position.parent_id, wish.id):
                blocked.append(wish.id)
                continue
            if occupant not in (None, wish.id):
                if occupant not in waiting:
                    blocked.append(wish.id)
                    continue
                moves.append(self._moved(occupant, self._parking(occupant), parked=True))
            moves.append(self._moved(wish.id, wish.position))
        return [move for move in moves if move.from_path != move.to_path], blocked

    def _is_inside(self, folder_id: str | None, of: str) -> bool:
        seen: set[str] = set()
        while folder_id is not None and folder_id not in seen:
            if folder_id == of:
                return True
            seen.add(folder_id)
            position = self._positions.get(folder_id)
            folder_id = position.parent_id if position else None
        return False

    def _moved(self, folder_id: str, position: Position, *, parked: bool = False) -> Move:
        old = self._positions[folder_id]
        from_path = self.path(folder_id)
        self._children.pop((old.parent_id, self._key(old.name)), None)
        self._positions[folder_id] = position
        self._children[position.parent_id, self._key(position.name)] = folder_id
        return Move(folder_id, from_path, self.path(folder_id), parked)

    def _parking(self, folder_id: str) -> Position:
        position = self._positions[folder_id]
        return Position(position.parent_id, parking_name(position.name, folder_id))


def parking_name(name: str, entry_id: str) -> str:
    """The name of an entry that is out of another one's way. It can be seen, so that nothing hides if a run dies."""
    return f"{name[:60]} (moving {hashlib.sha256(entry_id.encode('utf-8', 'surrogatepass')).hexdigest()[:8]})"


@dataclass(frozen=True, slots=True)
class FileWish:
    """This file is to be there; `from_path` is where it is once all folders are where they are to be."""

    id: str
    from_path: PathParts
    to_path: PathParts


def file_moves(wishes: Iterable[FileWish], key: Callable[[str], str]) -> list[Move]:
    """The renames for the wishes. The only files in their way are some that are to be elsewhere themselves."""

    def place(path: PathParts) -> tuple[PathParts, str]:
        return path[:-1], key(path[-1])

    waiting = {wish.id: wish for wish in wishes}
    at = {place(wish.from_path): wish.id for wish in waiting.values()}
    where = {wish.id: wish.from_path for wish in waiting.values()}
    moves: list[Move] = []

    def moved(file_id: str, to_path: PathParts, *, parked: bool = False) -> None:
        at.pop(place(where[file_id]), None)
        moves.append(Move(file_id, where[file_id], to_path, parked))
        where[file_id] = to_path
        at[place(to_path)] = file_id

    for wish in list(waiting.values()):
        occupant = at.get(place(wish.to_path))
        if occupant is not None and occupant != wish.id:
            path = where[occupant]
            moved(occupant, (*path[:-1], parking_name(path[-1], occupant)), parked=True)
        moved(wish.id, wish.to_path)
    return moves
