"""Earlier versions of files: which are copied, and under which names where a system keeps none. Pure.

Where the destination keeps versions, a file's earlier ones are put under its own path, oldest first, the current one
last. Elsewhere they become files beside it: `Plan (v1).pdf`, `Plan (v2).pdf`, `Plan.pdf`. On the way back such a family
of files becomes one file with its versions again.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from migration.capabilities import Capabilities, Operation
from migration.naming import MappedName, Namer, Place, split_extension
from migration.rules import PreserveVersions, SelectVersions, Versioning

EARLIER = "earlier-version"
"""The reason of a step that puts an earlier version under the file's own path."""
EARLIER_AS_FILE = "earlier-version-as-file"
"""The reason of a step that puts one beside the file, as a file of its own."""
FOLDED = "becomes-an-earlier-version"
"""The reason of a step that puts a file named like a version under the path of the file it belongs to."""
FOLDED_BEFORE = "is-an-earlier-version-there"
"""The reason for skipping one that an earlier run put there."""
BEYOND_LIMIT = "beyond-the-version-limit"
NUMBER_MAX = 999_999

_VERSION_NAME = re.compile(r"(?P<stem>.*) \(v(?P<number>[1-9][0-9]{0,5})\)(?P<extension>(\.[^.]*)?)", re.DOTALL)
VERSION_NAME_SQL = r" \(v[1-9][0-9]{0,5}\)(-[0-9a-f]{8})?(\.[^.]*)?$"
"""Which names `version_name` and `free_version_name` can give, for a search that ignores case (DuckDB)."""


class Form(StrEnum):
    """What becomes of earlier versions."""

    NONE = "none"
    """They are not copied."""
    NATIVE = "native"
    """Versions, under the file's own path."""
    FILES = "files"
    """Files beside it."""


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """What a job does with earlier versions on the way from one system to another."""

    form: Form
    newest: int | None = None
    """At most so many versions of each file, the current one included."""
    folds: bool = False
    """Whether files named like versions become versions again."""


def version_policy(versioning: Versioning, source: Capabilities, destination: Capabilities) -> VersionPolicy:
    """The policy of one direction; `source` is the system that is read.

    `from_source` limits what is copied as it is, `from_destination` what is folded back on its way home.
    """
    if versioning.preserve is PreserveVersions.NONE or versioning.select is SelectVersions.LATEST:
        return VersionPolicy(Form.NONE)
    folds = destination.keeps_versions and not source.keeps_versions
    if folds:
        return VersionPolicy(Form.NONE, versioning.from_destination or versioning.from_source, folds=True)
    if Operation.VERSIONS not in source.operations:
        return VersionPolicy(Form.NONE)
    return VersionPolicy(Form.NATIVE if destination.keeps_versions else Form.FILES, versioning.from_source)


def earlier_numbers(policy: VersionPolicy, current: int | None, *, copied: int | None = None) -> range:
    """The numbers of the earlier versions to copy, oldest first, of a file whose current version has the number
    `current` (None = the listing does not tell; then none).

    `copied` is the number of the newest version that is at the destination already.
    """
    if policy.form is Form.NONE or current is None:
        return range(0)
    first = 1 if policy.newest is None else current - policy.newest + 1
    return range(max(1, first, (copied or 0) + 1), min(current, NUMBER_MAX + 1))


def version_name(name: str, number: int) -> str:
    """`Plan (v3).pdf`; its length is not looked at."""
    stem, extension = split_extension(name)
    return f"{stem} (v{number}){extension}"


def current_name(name: str) -> str | None:
    """What the current file is called, for a name that `version_name` gives; None for any other."""
    parsed = _parsed(name)
    return None if parsed is None else parsed[0]


def free_version_name(
    name: str, number: int, source_id: str, *, namer: Namer, place: Place, used: Container[str]
) -> MappedName | None:
    """The name of a version as a file beside `name` (which is legal at the destination): legal, short enough, and with
    no key in `used`. None when there is no such name."""
    plain = namer.marked(name, f" (v{number})", place)
    if plain is not None and plain.key not in used:
        return plain
    return namer.marked_apart(name, f" (v{number})", source_id, place, used)


class Sibling(NamedTuple):
    """A file of a folder that may be an earlier version of another. `modified` in any unit, None = unknown."""

    id: str
    name: str
    modified: int | None


@dataclass(frozen=True, slots=True)
class Family:
    """A file and its earlier versions, oldest first, as (number, file)."""

    current: Sibling
    earlier: tuple[tuple[int, Sibling], ...]


def families(files: Iterable[Sibling], known: Mapping[str, tuple[str, int]] | None = None) -> list[Family]:
    """The families among the files of one folder that SiteHaul made, in the order of their current files.

    `known` names files that are versions for certain (of a baseline or a manifest): the current file's name and the
    number, by name. Without that a family must be complete: every number from 1 on, each version younger than the one
    before it and the current file younger than all of them.
    """
    by_name = {file.name: file for file in files}
    certain = _members(by_name, known or {})
    likely = _members(by_name, {name: parsed for name in by_name if (parsed := _parsed(name))})
    heads: dict[str, dict[int, Sibling]] = {}
    taken: set[str] = set()
    for head in (*certain, *sorted(likely, key=len, reverse=True)):
        members = certain.get(head) or likely[head]
        names = {file.name for file in members.values()}
        if head in taken or not names.isdisjoint(taken | heads.keys()):
            continue
        if head in certain or _is_complete(by_name[head], members):
            heads.setdefault(head, members)
            taken |= names
    return [Family(file, tuple(sorted(heads[name].items()))) for name, file in by_name.items() if name in heads]


def limited(family: Family, policy: VersionPolicy) -> tuple[list[tuple[int, Sibling]], list[tuple[int, Sibling]]]:
    """The earlier versions that are taken, and the older ones that the policy's limit leaves out."""
    earlier = list(family.earlier)
    if policy.newest is None:
        return earlier, []
    cut = max(0, len(earlier) - (policy.newest - 1))
    return earlier[cut:], earlier[:cut]


def _members(by_name: Mapping[str, Sibling], belongs: Mapping[str, tuple[str, int]]) -> dict[str, dict[int, Sibling]]:
    """Files by number, by the name of the current file they belong to, as far as both are there."""
    members: dict[str, dict[int, Sibling]] = {}
    for name, (head, number) in belongs.items():
        if name in by_name and head in by_name and name != head:
            members.setdefault(head, {})[number] = by_name[name]
    return members


def _parsed(name: str) -> tuple[str, int] | None:
    """The current file's name and the number, for a name that `version_name` gives."""
    match = _VERSION_NAME.fullmatch(name)
    if match is None:
        return None
    current, number = match["stem"] + match["extension"], int(match["number"])
    return (current, number) if version_name(current, number) == name else None


def _is_complete(current: Sibling, earlier: Mapping[int, Sibling]) -> bool:
    numbers = sorted(earlier)
    if numbers != list(range(1, len(numbers) + 1)):
        return False
    return _ascend([*(earlier[number].modified for number in numbers), current.modified])


def _ascend(times: Sequence[int | None]) -> bool:
    known = [time for time in times if time is not None]
    return len(known) == len(times) and all(one < next_one for one, next_one in pairwise(known))
