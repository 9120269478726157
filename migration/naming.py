"""Name mapping: which legal name each source name gets at the destination. Pure and deterministic.

A name that is legal and free stays as it is. Everything else is changed as little as possible:

* illegal characters become `_`, or the hexadecimal digits of their UTF-8 bytes; illegal spaces and dots at the edges
  and around the extension go; reserved names get a `_`;
* a name or path that is too long is cut before its extension and gets `-` and eight hexadecimal digits that depend on
  the whole name;
* of several names that are one name at the destination, one keeps it and the others get such digits too. Who keeps
  it: the one that held it after the last run, else one that need not be changed, else the oldest. A sibling that is
  added later therefore takes no name away.

The rules must allow `_`, `-`, digits and a-f; those of every known platform do.
"""

import hashlib
import re
import unicodedata
from collections.abc import Container, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from migration.capabilities import CaseRule, LengthUnit, NameRules, UnicodeRule
from migration.entries import PathParts

STAGED_PREFIX = ".sitehaul-"
"""Destinations use names with this prefix for files being written, so no file may get one."""

SIDECAR_FOLDER = ".sitehaul"
"""SiteHaul's own folder at a job's destination. An analysis leaves it out at any depth; nothing else gets its name."""

_REPLACEMENT = "_"
_DIGITS = 8
_EXTENSION_MAX = 16
"""Longer ones are taken for a part of the name."""
FOLDER_NAME_MIN = 12
"""Folder names are shortened to make room for what is in them, but not below this length."""
ROOM_IN_FOLDERS = 32
"""What a folder's path leaves free under the path limit, if shortening its name can achieve that."""


class NameOptions(NamedTuple):
    """What the operator allows. What is not allowed becomes the problem of the name instead."""

    change_illegal: bool = True
    shorten: bool = True
    rename_duplicates: bool = True
    encode_illegal: bool = False
    """Illegal characters become the hexadecimal digits of their UTF-8 bytes (DryvIQ's `encode_invalid_characters`,
    https://skysync.atlassian.net/wiki/spaces/S4D/pages/514981948) instead of `_`: Congrats!.txt, Congrats21.txt."""
    rename_types: bool = True
    """Files of a type that the destination does not take (`NameRules.forbidden_suffixes` with a dot) get another one.
    Off = their problem is `restricted-type`, whatever else is allowed."""


class Sibling(NamedTuple):
    """One source entry among those of its folder. `created` orders by age in any unit; None = unknown."""

    id: str
    name: str
    created: int | None = None


class MappedName(NamedTuple):
    """The name at the destination. `changes` says why it differs from the source's (empty = it does not);
    `problem` is set when no name may be given (then `name` is the source's and `key` says nothing)."""

    name: str
    key: str
    changes: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the siblings' folder is: `length` of its path in the destination's unit, the destination's root included
    (0 = at the connection's root)."""

    length: int = 0
    folders: bool = False
    """Whether the siblings are folders, which leave room for what is in them."""


class Namer:
    """Maps names under one destination's rules."""

    def __init__(self, rules: NameRules, options: NameOptions | None = None) -> None:
        self._rules = rules
        self._options = options or NameOptions()
        self._folds = rules.case is CaseRule.PRESERVING
        self._normalises = rules.unicode is UnicodeRule.NORMALISING
        self._illegal = re.compile(_illegal_characters(rules))
        self._names = rules.forbidden_names | {"", ".", "..", SIDECAR_FOLDER}
        self._stems = rules.forbidden_stems
        self._prefixes = (STAGED_PREFIX, *rules.forbidden_prefixes)
        self._suffixes = rules.forbidden_suffixes
        self._types = tuple(one for one in rules.forbidden_suffixes if one.startswith(".") and len(one) > 1)
        self._parts = rules.forbidden_parts
        self._strip = {edge: "".join(one for one in edges if one in _STRIPPED) for edge, edges in (
            ("left", rules.forbidden_prefixes), ("right", rules.forbidden_suffixes))}  # fmt: skip

    def key(self, name: str) -> str:
        """Equal for two names exactly if they may be one name at the destination (in doubt, they are)."""
        if name.isascii():
            return name.lower() if self._folds else name
        if self._rules.keeps_undecodable_bytes:
            name = _as_read_back(name)
        if self._normalises:
            name = unicodedata.normalize("NFD", name)
        if self._folds:
            name = name.casefold().upper().casefold()
        return unicodedata.normalize("NFD", name) if self._normalises else name

    def length(self, text: str) -> int:
        """The length in the destination's unit."""
        if text.isascii() or self._rules.length_unit is LengthUnit.CHARACTERS:
            return len(text)
        if self._rules.length_unit is LengthUnit.UTF16_UNITS:
            return len(text.encode("utf-16-le", "surrogatepass")) // 2
        escaped = sum(map(len, _ESCAPED_BYTES.findall(text))) if self._rules.keeps_undecodable_bytes else 0
        return len(text.encode("utf-8", "surrogatepass")) - 2 * escaped

    def path_length(self, path: PathParts) -> int:
        """The length of the path with its separators."""
        return sum(map(self.length, path)) + max(0, len(path) - 1)

    def is_legal(self, name: str) -> bool:
        """Whether the destination takes the name, its length apart."""
        if self._illegal.search(name):
            return False
        lower = name.lower()
        if lower in self._names or lower.startswith(self._prefixes) or lower.endswith(self._suffixes):
            return False
        if self._stems and lower.split(".", 1)[0].rstrip(" ") in self._stems:
            return False
        if self._parts and any(part in lower for part in self._parts):
            return False
        if self._rules.trim_around_extension and _trimmed_around_extension(name) != name:
            return False
        return not self._rules.keeps_undecodable_bytes or name.isascii() or _as_read_back(name) == name

    def legal_name(self, name: str) -> str:
        """The nearest legal name, whatever its length; a legal name is returned as it is."""
        better = name
        for _ in range(8):
            if self.is_legal(better):
                return better
            better = self._repaired(better)
        return f"renamed{_suffix(name)}"

    def room(self, place: Place) -> tuple[int | None, str]:
        """How long a name may be in a folder (None = no limit), and the problem of one that cannot be so short."""
        segment, path = self._rules.segment_length_max, self._rules.path_length_max
        left = None if path is None else path - place.length - (1 if place.length else 0)
        if left is not None and place.folders and left > FOLDER_NAME_MIN:
            left = max(FOLDER_NAME_MIN, left - 1 - ROOM_IN_FOLDERS)
        if left is None or (segment is not None and segment <= left):
            return segment, "name-too-long"
        return left, "path-too-long"

    def map_names(
        self,
        siblings: Sequence[Sibling],
        place: Place,
        *,
        taken: Set[str] = frozenset(),
        holders: Mapping[str, str] | None = None,
        fixed: Mapping[str, str] | None = None,
    ) -> list[MappedName]:
        """The names of all siblings of one folder, in their order.

        Their keys are all different and none is in `taken`, problems apart. `holders` says which source id has which
        key since the last run. `fixed` says which source id has which name at the destination: it is given as it is,
        whatever the rules say of it (change `kept-name` if the source's is another), and the others avoid its key. A
        fixed name whose key is taken, or fixed for another sibling, too, is not given: the oldest sibling has it.
        """
        given = self._given(siblings, taken, fixed) if fixed else {}
        if given:
            others = [one for index, one in enumerate(siblings) if index not in given]
            taken = {*taken, *(new.key for new in given.values())}
            named = iter(self.map_names(others, place, taken=taken, holders=holders))
            return [given.get(index) or next(named) for index in range(len(siblings))]
        room, _ = self.room(place)
        mapped = [MappedName(one.name, self.key(one.name)) for one in siblings]
        free = len({one.key for one in mapped}) == len(mapped) and taken.isdisjoint(one.key for one in mapped)
        as_before = not holders or all(
            holders.get(new.key) == one.id for new, one in zip(mapped, siblings, strict=True)
        )
        if free and as_before and all(self._fits_as_it_is(one.name, room) for one in siblings):
            return mapped
        return self._mapped_one_by_one(siblings, place, taken, holders or {})

    def marked(self, name: str, mark: str, place: Place) -> MappedName | None:
        """A legal name with `mark` (legal everywhere) before its extension, cut to have room; None without room."""
        room, _ = self.room(place)
        marked = self._with_suffix(name, mark, room)
        return None if marked is None else MappedName(marked, self.key(marked))

    def marked_apart(self, name: str, mark: str, apart: str, place: Place, used: Container[str]) -> MappedName | None:
        """The same with digits of `apart` after the mark, the first such name whose key is not in `used`."""
        for count in range(16):
            marked = self.marked(name, mark + _suffix(f"{name}\0{apart}\0{count}"), place)
            if marked is not None and marked.key not in used:
                return marked
        return None

    def _given(self, siblings: Sequence[Sibling], taken: Set[str], fixed: Mapping[str, str]) -> dict[int, MappedName]:
        """The fixed names by index. Of siblings with one id (hard links) the one that is called like it has it."""

        def precedence(index: int) -> tuple[bool, int, str, bool, bool, str]:
            one, name = siblings[index], fixed[siblings[index].id]
            unlike = self.key(one.name) != self.key(name)
            return one.created is None, one.created or 0, one.id, unlike, one.name != name, one.name

        given: dict[int, MappedName] = {}
        used, served = set(taken), set[str]()
        for index in sorted((place for place, one in enumerate(siblings) if one.id in fixed), key=precedence):
            one = siblings[index]
            name = fixed[one.id]
            key = self.key(name)
            if one.id not in served and key not in used:
                given[index] = MappedName(name, key, ("kept-name",) if name != one.name else ())
                used.add(key)
                served.add(one.id)
        return given

    def _fits_as_it_is(self, name: str, room: int | None) -> bool:
        return (room is None or self.length(name) <= room) and self.is_legal(name)

    def _mapped_one_by_one(
        self, siblings: Sequence[Sibling], place: Place, taken: Set[str], holders: Mapping[str, str]
    ) -> list[MappedName]:
        wishes = [self._wish(one, place) for one in siblings]
        held = {source_id: key for key, source_id in holders.items()}

        def precedence(index: int) -> tuple[int, bool, bool, int, str, int, str]:
            one, wish = siblings[index], wishes[index]
            claim = 0 if holders.get(wish.key) == one.id else 1 if one.id in held else 2
            age = one.created or 0
            return claim, bool(wish.changes), one.created is None, age, one.name, len(one.id), one.id

        used = set(taken)
        result = list(wishes)
        for index in sorted(range(len(siblings)), key=precedence):
            one, wish = siblings[index], wishes[index]
            if wish.problem is None:
                result[index] = self._free_name(one, wish, place, used, held.get(one.id))
                used.add(result[index].key)
        return result

    def _wish(self, one: Sibling, place: Place) -> MappedName:
        """The name as if there were no siblings."""
        name, changes = one.name, list[str]()
        if not self.is_legal(name):
            if not place.folders and not self._options.rename_types and self._is_of_restricted_type(name):
                return MappedName(one.name, "", (), "restricted-type")
            if not self._options.change_illegal:
                return MappedName(one.name, "", (), "name-not-allowed")
            name = self.legal_name(name)
            changes.append("illegal-name")
        room, problem = self.room(place)
        if room is not None and self.length(name) > room:
            shorter = self._with_suffix(name, _suffix(one.name), room) if self._options.shorten else None
            if shorter is None:
                return MappedName(one.name, "", (), problem)
            name = shorter
            changes.append(problem)
        return MappedName(name, self.key(name), tuple(changes))

    def _free_name(
        self, one: Sibling, wish: MappedName, place: Place, used: set[str], kept_key: str | None
    ) -> MappedName:
        """The first of the sibling's possible names that nobody uses; the one it had after the last run goes first."""
        room, problem = self.room(place)
        others = self._names_with_suffix(one, wish, room)
        if kept_key is not None and kept_key != wish.key and kept_key not in used and self._options.rename_duplicates:
            kept = next((other for other in islice(others, 2) if other.key == kept_key), None)
            if kept:
                return kept
        if wish.key not in used:
            return wish
        if not self._options.rename_duplicates:
            return MappedName(one.name, "", (), "name-collision")
        free = (other for other in self._names_with_suffix(one, wish, room) if other.key not in used)
        return next(free, MappedName(one.name, "", (), problem))

    def _names_with_suffix(self, one: Sibling, wish: MappedName, room: int | None) -> Iterator[MappedName]:
        """Digits of the name alone first: a file deleted and uploaded again (another id) gets the same name."""
        for text in (one.name, *(f"{one.name}\0{one.id}\0{count}" for count in range(16))):
            name = self._with_suffix(wish.name, _suffix(text), room)
            if name is not None:
                yield MappedName(name, self.key(name), (*wish.changes, "collision"))

    def _with_suffix(self, name: str, suffix: str, room: int | None) -> str | None:
        """`suffix` put before the extension, the name cut so that the whole has room; None if there is too little."""
        stem, extension = split_extension(name)
        if room is None:
            return f"{stem}{suffix}{extension}"
        space = room - len(suffix) - self.length(extension)
        if space < 0:
            stem, extension, space = name, "", room - len(suffix)
        if space < 0:
            return None
        for whole in (f"{self._cut(stem, space)}{suffix}{extension}", f"renamed{suffix}"):
            if self.length(whole) <= room and self.is_legal(whole):
                return whole
        return None

    def _cut(self, stem: str, space: int) -> str:
        """The longest beginning of `stem` that has room and does not tear a character from its marks."""
        end = min(len(stem), space)
        while end and self.length(stem[:end]) > space:
            end -= 1
        while 0 < end < len(stem) and _continues(stem[end - 1], stem[end]):
            end -= 1
        return stem[:end].rstrip(" .") if end < len(stem) else stem

    def _is_of_restricted_type(self, name: str) -> bool:
        """Whether its type is forbidden as soon as nothing else of it is."""
        lower = self._without_illegal(self._without_illegal(name)).lower()
        return any(lower.endswith(one) and len(lower) > len(one) for one in self._types)

    def _repaired(self, name: str) -> str:
        return self._without_reserved(self._without_illegal(name))

    def _without_illegal(self, name: str) -> str:
        if self._rules.keeps_undecodable_bytes:
            name = _as_read_back(name)
        name = self._illegal.sub(_hexadecimal if self._options.encode_illegal else _REPLACEMENT, name)
        if self._rules.trim_around_extension:
            name = _trimmed_around_extension(name)
        name = name.lstrip(self._strip["left"]) if self._strip["left"] else name
        return name.rstrip(self._strip["right"]) if self._strip["right"] else name

    def _without_reserved(self, name: str) -> str:
        lower = name.lower()
        if lower.startswith(self._prefixes):
            name = _REPLACEMENT + name
        if lower.endswith(self._suffixes):
            name += _REPLACEMENT
        for part in self._parts:
            name = re.sub(re.escape(part), part.replace("_", "-"), name, flags=re.IGNORECASE)
        stem, dot, rest = name.partition(".")
        if stem.rstrip(" ").lower() in self._stems:
            return f"{stem.rstrip(' ')}{_REPLACEMENT}{dot}{rest}"
        if name.lower() in self._names:
            return name.strip(".") + _REPLACEMENT if set(name) <= {"."} else _REPLACEMENT + name
        return name


_STRIPPED = frozenset(" .")
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]+")
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


def _illegal_characters(rules: NameRules) -> str:
    surrogates = "\ud800-\udc7f\udd00-\udfff" if rules.keeps_undecodable_bytes else "\ud800-\udfff"
    beyond = "\U00010000-\U0010ffff" if rules.basic_plane_only else ""
    return f"[\\x00{re.escape(''.join(sorted(rules.forbidden_characters)))}{surrogates}{beyond}]"


def _hexadecimal(illegal: re.Match[str]) -> str:
    """A byte that is no UTF-8 stands for itself."""
    character = illegal.group()
    escaped = "\udc80" <= character <= "\udcff"
    return character.encode("utf-8", "surrogateescape" if escaped else "surrogatepass").hex().upper()


def _as_read_back(name: str) -> str:
    """The name as a POSIX system gives it back: bytes that together are UTF-8 become the character."""

    def decoded(run: re.Match[str]) -> str:
        return run.group().encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")

    return _ESCAPED_BYTES.sub(decoded, name)


def _trimmed_around_extension(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem:
        return name.rstrip()
    return f"{stem.rstrip()}{dot}{extension.strip()}"


def split_extension(name: str) -> tuple[str, str]:
    """The name without its extension, and the extension with its dot; what is too long for one is none."""
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem.strip(".") or not extension or len(extension) >= _EXTENSION_MAX:
        return name, ""
    return stem, dot + extension


def _suffix(text: str) -> str:
    return "-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _continues(before: str, character: str) -> bool:
    return before == "\u200d" or character in _JOINERS or unicodedata.combining(character) > 0
