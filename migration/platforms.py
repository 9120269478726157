r"""The platform table: what each storage system accepts, and where that was read (migration/platforms.csv).

The columns copied from the vendors' pages are prose for people. The `rule_*` columns say the same for the engine:
tokens separated by spaces, where `[space]` is a space, `\xNN`, `\uNNNN`, `\r`, `\n` and `\t` are characters and
`\xNN-\xNN` is a range. What the sources call uncertain is decided for the safe side (two names that might be one name
are one), and names are forbidden on every level even where a system forbids them at the top only.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

from migration.capabilities import CaseRule, LengthUnit, NameRules, UnicodeRule
from migration.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLimits:
    """One row of the table. The texts are for people, `names` and `file_size_max_bytes` for the engine."""

    name: str
    names: NameRules
    file_size_max_bytes: int | None
    native_versions: str
    timestamps_preserved: str
    permissions: str
    notes: str
    source_url: str


def platform(name: str) -> PlatformLimits:
    """The row of this name. Raises ConfigurationError `unknown-platform` naming the known ones."""
    table = platforms()
    if name not in table:
        known = ", ".join(table)
        raise ConfigurationError("unknown-platform", f"There is no platform '{name}'.", fix=f"Use one of: {known}.")
    return table[name]


def name_rules(name: str) -> NameRules:
    """Which names the platform accepts. Raises ConfigurationError as `platform` does."""
    return platform(name).names


@cache
def platforms() -> Mapping[str, PlatformLimits]:
    """The whole table by name, in the file's order; read once."""
    text = resources.files("migration").joinpath("platforms.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines(keepends=True))
    return MappingProxyType({row["platform"]: _limits(row) for row in rows})


def _limits(row: dict[str, str]) -> PlatformLimits:
    return PlatformLimits(
        name=row["platform"],
        names=_name_rules(row),
        file_size_max_bytes=_number(row["file_size_max_bytes"]),
        native_versions=row["native_versions"],
        timestamps_preserved=row["timestamps_preserved"],
        permissions=row["permissions"],
        notes=row["notes"],
        source_url=row["source_url"],
    )


def _name_rules(row: dict[str, str]) -> NameRules:
    return NameRules(
        case=CaseRule(row["rule_case"]),
        unicode=UnicodeRule(row["rule_unicode"]),
        forbidden_characters=frozenset(_characters(row["rule_characters"])),
        forbidden_names=frozenset(_tokens(row["rule_names"])),
        forbidden_stems=frozenset(_tokens(row["rule_stems"])),
        forbidden_prefixes=tuple(_tokens(row["rule_prefixes"])),
        forbidden_suffixes=tuple(_tokens(row["rule_suffixes"])),
        forbidden_parts=tuple(_tokens(row["rule_parts"])),
        trim_around_extension=row["rule_trim_around_extension"] == "yes",
        segment_length_max=_number(row["rule_segment_max"]),
        path_length_max=_number(row["rule_path_max"]),
        length_unit=LengthUnit(row["rule_unit"]),
        basic_plane_only=row["rule_basic_plane_only"] == "yes",
        keeps_undecodable_bytes=row["rule_keeps_undecodable_bytes"] == "yes",
    )


_ESCAPE = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\([rnt])|\[(space)\]")
_LETTERS = {"r": "\r", "n": "\n", "t": "\t"}


def _unescaped(token: str) -> str:
    def character(found: re.Match[str]) -> str:
        two, four, letter, _ = found.groups()
        if two or four:
            return chr(int(two or four, 16))
        return _LETTERS[letter] if letter else " "

    return _ESCAPE.sub(character, token)


def _tokens(cell: str) -> list[str]:
    return [_unescaped(token).lower() for token in cell.split()]


def _characters(cell: str) -> list[str]:
    characters: list[str] = []
    for token in cell.split():
        text = _unescaped(token)
        if len(text) == 3 and text[1] == "-":
            characters.extend(chr(code) for code in range(ord(text[0]), ord(text[2]) + 1))
        else:
            characters.append(text)
    return characters


def _number(cell: str) -> int | None:
    return int(cell) if cell else None
