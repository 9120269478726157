"""Which children a company-wide or mapping job has, what each is called and where it goes. Pure.

A child is known by the id of its project or folder. What it was first called (its place in the state and its folder at
the destination) stays, whatever the project is called later; nothing is ever moved or deleted because of a new name.
No two children share a folder, and none lies in another's: the later one gets its id added to its name, and that is
told.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from migration.child_rules import Children, JobKind, ProjectStatus, matches, rendered
from migration.contract import FoundChild
from migration.entries import PathParts
from migration.naming import Namer, Place, Sibling

SLUG_MAX = 40
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child as the parent's state keeps it."""

    id: str
    slug: str
    """The second part of its job's name and the folder of its state; never changes."""
    name: str
    number: str | None
    source: PathParts
    destination: PathParts
    """Below the parent's destination; never changes."""
    first_seen_at: str
    paused: str | None = None
    """Why it takes no part now (`not-listed`, `left-out`), None = it does."""

    def to_json(self) -> dict[str, Any]:
        """As children.json keeps it."""
        return {
            "id": self.id, "slug": self.slug, "name": self.name, "number": self.number, "source": list(self.source),
            "destination": list(self.destination), "first_seen_at": self.first_seen_at, "paused": self.paused,
        }  # fmt: skip

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Child":
        """Back from `to_json`."""
        return cls(**{**values, "source": tuple(values["source"]), "destination": tuple(values["destination"])})


@dataclass(frozen=True, slots=True)
class Arrangement:
    """All children, the paused ones included, and what a person should be told about them."""

    children: tuple[Child, ...]
    """Those that take part first, in the order of their turns."""
    told: tuple[str, ...]

    @property
    def active(self) -> tuple[Child, ...]:
        """Those that take part."""
        return tuple(child for child in self.children if child.paused is None)


def arranged(
    found: Sequence[FoundChild],
    known: Sequence[Child],
    rules: Children,
    kind: JobKind,
    *,
    namer: Namer,
    root_length: int,
    now: datetime,
) -> Arrangement:
    """The children from what is listed now and what was known before.

    `namer` knows the destination's names, `root_length` is the length of the parent's destination path in its unit.
    """
    by_id = {one.id: one for one in found}
    before = {child.id: child for child in known}
    wanted = sorted((one for one in found if _takes_part(one, rules)), key=_age)
    told: list[str] = []
    slugs = _slugs(wanted, before)
    places = _places(wanted, before, rules.template_of(kind), kind, namer, root_length, told)
    active = [
        _child(one, before.get(one.id), slugs[one.id], places[one.id], rules.folder, now, told)
        for one in sorted(wanted, key=lambda one: _precedence(one, rules))
    ]
    active_ids = {child.id for child in active}
    resting = [_resting(child, by_id, told) for child in known if child.id not in active_ids]
    return Arrangement((*active, *resting), tuple(told))


def left_out(found: Iterable[FoundChild], rules: Children) -> int:
    """How many of the listed ones the rules leave out."""
    return sum(not _takes_part(one, rules) for one in found)


def _takes_part(one: FoundChild, rules: Children) -> bool:
    if rules.include and matches(rules.include, one.names) is None:
        return False
    if matches(rules.exclude, one.names) is not None:
        return False
    if rules.stages and matches(rules.stages, (one.stage,)) is None:
        return False
    wanted = {ProjectStatus.ACTIVE: True, ProjectStatus.INACTIVE: False}.get(rules.status)
    return wanted is None or one.is_active is None or one.is_active == wanted


def _precedence(one: FoundChild, rules: Children) -> tuple[int, bool, float, str, str]:
    rank = matches(rules.first, one.names)
    changed = -one.changed_at.timestamp() if one.changed_at else 0.0
    return (len(rules.first) if rank is None else rank, one.is_active is False, changed, one.name, one.id)


def _age(one: FoundChild) -> tuple[float, int, str]:
    """The oldest first; ids grow in most systems, so that they decide among those of unknown age."""
    created = one.created_at.timestamp() if one.created_at else 0.0
    return (created, len(one.id), one.id)


def _child(
    one: FoundChild,
    before: Child | None,
    slug: str,
    destination: PathParts,
    folder: str,
    now: datetime,
    told: list[str],
) -> Child:
    inside = tuple(part for part in folder.split("/") if part)
    if before is not None and before.name != one.name:
        told.append(
            f"'{before.name}' is now called '{one.name}'; it stays the child {slug} and goes on in its folder "
            f"'{'/'.join(destination)}'."
        )
    return Child(
        id=one.id,
        slug=slug,
        name=one.name,
        number=one.number,
        source=(*one.path, *inside),
        destination=destination,
        first_seen_at=before.first_seen_at if before else now.isoformat(),
    )


def _resting(child: Child, listed: Mapping[str, FoundChild], told: list[str]) -> Child:
    paused = "left-out" if child.id in listed else "not-listed"
    if paused == "not-listed":
        told.append(
            f"'{child.name}' (id {child.id}) is not listed any more: it was deleted, or this connection may not see it "
            "now. Its job is paused; nothing is deleted."
        )
    return replace(child, paused=paused)


def _slugs(wanted: Sequence[FoundChild], before: Mapping[str, Child]) -> dict[str, str]:
    """A short name for each: that of before; else its own; where others have the same, with digits of its id."""
    slugs = {child.id: child.slug for child in before.values()}
    taken = set(slugs.values())
    for one in wanted:
        if one.id in slugs:
            continue
        plain = _slug(" ".join(filter(None, (one.number, one.name))))
        slug = plain if plain and plain not in taken else f"{plain}-{_digits(one.id)}".strip("-")
        slugs[one.id] = slug
        taken.add(slug)
    return slugs


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_MAX].strip("-")


def _digits(child_id: str) -> str:
    if re.fullmatch(r"[0-9]{1,20}", child_id):
        return child_id
    return hashlib.sha256(child_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _places(
    wanted: Sequence[FoundChild],
    before: Mapping[str, Child],
    template: str,
    kind: JobKind,
    namer: Namer,
    root_length: int,
    told: list[str],
) -> dict[str, PathParts]:
    """Where each goes; who has a place already keeps it, the others take theirs in the order of age."""
    places = {child.id: child.destination for child in before.values()}
    taken = _Taken(namer)
    for place in places.values():
        taken.add(place)
    for one in wanted:
        if one.id in places:
            continue
        wish = rendered(template, _values(one, kind))
        legal = _legal(wish.segments, namer, root_length)
        place = taken.free(legal, wish.own, _digits(one.id), lambda path: _legal(path, namer, root_length))
        if place != legal:
            told.append(
                f"'{one.name}' (id {one.id}) goes to '{'/'.join(place)}', because '{'/'.join(legal)}' is another "
                "child's folder."
            )
        elif legal != wish.segments:
            told.append(
                f"'{one.name}' (id {one.id}) goes to '{'/'.join(legal)}', because the destination does not allow "
                f"'{'/'.join(wish.segments)}'."
            )
        places[one.id] = place
        taken.add(place)
    return places


def _values(one: FoundChild, kind: JobKind) -> dict[str, str | None]:
    if kind is JobKind.FOLDER_MAPPING:
        return {"id": _digits(one.id), "folder": one.name}
    return {
        "id": one.id, "company": one.company, "company_id": one.company_id, "project_id": one.id,
        "project_number": one.number, "project_name": one.name, "display_name": one.display_name, "stage": one.stage,
    }  # fmt: skip


def _legal(path: PathParts, namer: Namer, root_length: int) -> PathParts:
    """The path in names that the destination takes."""
    made: list[str] = []
    length = root_length
    for segment in path:
        mapped = namer.map_names([Sibling("", segment)], Place(length, folders=True))[0]
        made.append(mapped.name.replace("/", "_"))
        length += (1 if length else 0) + namer.length(made[-1])
    return tuple(made)


class _Taken:
    """The folders that are given away, as the destination tells names apart."""

    def __init__(self, namer: Namer) -> None:
        self._namer = namer
        self._folders: set[PathParts] = set()
        self._above: dict[PathParts, int] = {}
        """Folders in which given ones lie."""

    def add(self, path: PathParts) -> None:
        keys = self._keys(path)
        self._folders.add(keys)
        for depth in range(1, len(keys)):
            self._above[keys[:depth]] = depth

    def conflict(self, path: PathParts) -> int | None:
        """How many segments of the path lead to a folder that is another's, or holds another's; None = it is free."""
        keys = self._keys(path)
        if keys in self._above:
            return len(keys)
        return next((depth for depth in range(1, len(keys) + 1) if keys[:depth] in self._folders), None)

    def free(self, path: PathParts, own: int, digits: str, legal: Any) -> PathParts:
        """The path, with the digits added to one of its segments where that is needed."""
        best = path
        for attempt in range(1, 9):
            depth = self.conflict(best)
            if depth is None:
                return best
            place = min(own if depth == len(best) else depth - 1, len(path) - 1)
            mark = f" ({digits})" if attempt == 1 else f" ({digits}-{attempt})"
            best = legal((*path[:place], path[place] + mark, *path[place + 1 :]))
        return (*path[:own], digits, *path[own + 1 :])

    def _keys(self, path: PathParts) -> PathParts:
        return tuple(self._namer.key(segment) for segment in path)
