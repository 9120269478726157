"""Who is who on the other side: maps of people and groups, read from CSV files. No system is asked anything.

A map is a CSV file (UTF-8, `,` or `;`) with the columns `source` and `destination`. What it names decides first, then
the rule for everybody else.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migration.errors import ConfigurationError
from migration.rules import Rules, SecurityMap, UnmappedPolicy

UNMAPPED = "unmapped-account"
"""The reason for flagging the file of a person whom no map names."""
_COLUMNS = ("source", "destination")
SIZE_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WhoIsWho:
    """One map, read. Names are compared without case and surrounding spaces."""

    policy: UnmappedPolicy = UnmappedPolicy.KEEP
    default: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """By `key_of` of the source's name."""

    def mapped(self, name: str | None) -> str | None:
        """What somebody is called at the destination; None for nobody, and for whom the policy names nobody."""
        if name is None:
            return None
        known = self.names.get(key_of(name))
        if known is not None:
            return known
        return {UnmappedPolicy.KEEP: name, UnmappedPolicy.DEFAULT: self.default}.get(self.policy)

    def knows(self, name: str) -> bool:
        """Whether the map itself names somebody."""
        return key_of(name) in self.names

    def problem(self, name: str | None) -> str | None:
        """Why the file of this author is flagged (`UNMAPPED`); None if it is not, as for a file without an author."""
        if name is None or self.policy is not UnmappedPolicy.FAIL or self.knows(name):
            return None
        return UNMAPPED


@dataclass(frozen=True, slots=True)
class SecurityMaps:
    """Both maps of a job."""

    accounts: WhoIsWho
    groups: WhoIsWho

    def unmapped(self, authors: Mapping[str, int]) -> Counter[str]:
        """How many files those authors have whom the map of people does not name."""
        return Counter({name: count for name, count in authors.items() if not self.accounts.knows(name)})


def key_of(name: str) -> str:
    """Equal for two spellings of one person or group."""
    return " ".join(name.split()).casefold()


def read_maps(rules: Rules, folder: Path) -> SecurityMaps:
    """The maps that the rules name; relative paths start at `folder`.

    ConfigurationError `map-unreadable` for a file that cannot be read, `bad-map` with file, line and column for one
    that says nothing clear.
    """
    return SecurityMaps(_read(rules.account_map, folder), _read(rules.group_map, folder))


def _read(rule: SecurityMap, folder: Path) -> WhoIsWho:
    names = {} if rule.file is None else _names(folder / Path(rule.file).expanduser())
    return WhoIsWho(rule.unmapped_policy, rule.default, names)


def _names(path: Path) -> dict[str, str]:
    lines = iter(_lines(path))
    line, header = next(lines, (1, []))
    places = [_place(path, line, header, column) for column in _COLUMNS]
    names: dict[str, str] = {}
    named_in: dict[str, int] = {}
    for line, row in lines:
        if not any(cell.strip() for cell in row):
            continue
        source, destination = (
            _cell(path, line, row, place, name) for name, place in zip(_COLUMNS, places, strict=True)
        )
        key = key_of(source)
        before = named_in.setdefault(key, line)
        if names.setdefault(key, destination) != destination:
            raise _bad(path, line, _COLUMNS[0], f"{source!r} has another destination in line {before}")
    return names


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, each with the number of its last line."""
    text = _text(path)
    first = text.partition("\n")[0]
    separator = ";" if ";" in first and "," not in first else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise _bad(path, rows.line_num, None, f"it is no CSV ({error})") from error
        yield rows.line_num, row


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > SIZE_MAX_BYTES:
            raise _unreadable(path, f"it is larger than {SIZE_MAX_BYTES} bytes")
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _bad(path, line, None, "it is not UTF-8") from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def _place(path: Path, line: int, header: list[str], column: str) -> int:
    names = [cell.strip().casefold() for cell in header]
    if column not in names:
        found = ", ".join(repr(cell) for cell in header) or "nothing"
        raise _bad(path, line, column, f"there is no such column; the first line has {found}")
    return names.index(column)


def _cell(path: Path, line: int, row: list[str], place: int, column: str) -> str:
    text = row[place].strip() if place < len(row) else ""
    if not text:
        raise _bad(path, line, column, "it is empty")
    return text


def _unreadable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        "map-unreadable", f"The map {path} cannot be read: {why}.", fix="Correct the path in the job, or the file."
    )


def _bad(path: Path, line: int, column: str | None, what: str) -> ConfigurationError:
    where = f"line {line}" if column is None else f"line {line}, column {column}"
    return ConfigurationError(
        "bad-map",
        f"The map {path}, {where}: {what}.",
        fix="The map is a CSV file in UTF-8 with the columns source and destination.",
    )
