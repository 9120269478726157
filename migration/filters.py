"""Which entries take part: globs, sizes and dates compiled into one pure function.

Patterns are matched against the source path, without regard to case and Unicode form. `*`, `?` and `[abc]` stay within
one name, `**` stands for any number of folders (none too), a pattern without `/` is matched against the file's own
name, and a pattern that ends in `/` means everything below. A size or time that is unknown is not outside any range.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime

from migration.entries import PathParts
from migration.errors import ConfigurationError
from migration.filter_rules import Filter
from migration.inventory_format import microseconds

EXCLUDED = "excluded"
NOT_INCLUDED = "not-included"
TOO_SMALL = "smaller-than-filter"
TOO_LARGE = "larger-than-filter"
TOO_OLD = "older-than-filter"
TOO_NEW = "newer-than-filter"

Selection = Callable[[PathParts, int | None, int | None], str | None]
"""(source path, size in bytes, modified in microseconds since 1970) → why the entry is left out, None = takes part."""


def compile_filter(rules: Filter) -> Selection | None:
    """The filter as a function; None if it leaves nothing out.

    Raises ConfigurationError `bad-filter` naming the pattern that means nothing.
    """
    by_path = _by_path(rules)
    size_min, size_max = rules.min_size_bytes, rules.max_size_bytes
    start, end = _time(rules.modified_from), _time(rules.modified_to)
    if by_path is None and size_min is size_max is start is end is None:
        return None

    def reason(path: PathParts, size_bytes: int | None, modified: int | None) -> str | None:
        left_out = by_path(path) if by_path else None
        return left_out or _outside(size_bytes, size_min, size_max, TOO_SMALL, TOO_LARGE) or _outside(
            modified, start, None if end is None else end - 1, TOO_OLD, TOO_NEW
        )  # fmt: skip

    return reason


def glob_matcher(patterns: Sequence[str]) -> Callable[[PathParts], bool]:
    """A function saying whether any of the patterns matches a path. Raises ConfigurationError `bad-filter`."""
    names = [_name_regex(pattern) for pattern in patterns if "/" not in pattern]
    paths = [_path_regex(pattern) for pattern in patterns if "/" in pattern]
    name_regex = re.compile("|".join(names)) if names else None
    path_regex = re.compile("|".join(paths)) if paths else None

    def matches(path: PathParts) -> bool:
        if name_regex and name_regex.fullmatch(_comparable(path[-1])):
            return True
        return bool(path_regex and path_regex.fullmatch("/".join(map(_comparable, path))))

    return matches


def _by_path(rules: Filter) -> Callable[[PathParts], str | None] | None:
    if not rules.include and not rules.exclude:
        return None
    included = glob_matcher(rules.include) if rules.include else None
    excluded = glob_matcher(rules.exclude)

    def reason(path: PathParts) -> str | None:
        if excluded(path):
            return EXCLUDED
        return NOT_INCLUDED if included and not included(path) else None

    return reason


def _outside(value: int | None, least: int | None, most: int | None, below: str, above: str) -> str | None:
    if value is None:
        return None
    if least is not None and value < least:
        return below
    return above if most is not None and value > most else None


def _time(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ConfigurationError(
            "bad-filter", f"The filter's time {moment.isoformat()} has no time zone.", fix="Add a Z for UTC."
        )
    return microseconds(moment)


def _comparable(name: str) -> str:
    """A name's form for matching; a `/` inside a name is not a separator."""
    if name.isascii():
        return name.lower().replace("/", "\0")
    return unicodedata.normalize("NFC", name.casefold()).replace("/", "\0")


def _name_regex(pattern: str) -> str:
    if not pattern.strip():
        raise _bad(pattern, "is empty")
    return _compiled(_segment_regex(pattern, pattern), pattern)


def _path_regex(pattern: str) -> str:
    """Each `**` swallows its own separator, so that it can stand for no folder at all."""
    parts = [part for part in pattern.removesuffix("/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise _bad(pattern, "names no path below the root")
    if pattern.endswith("/"):
        parts.append("**")
    parts = [part for place, part in enumerate(parts) if part != "**" or place == 0 or parts[place - 1] != "**"]
    regex = ""
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "**":
            regex += "[^/]+(?:/[^/]+)*" if last else "(?:[^/]+/)*"
        else:
            regex += _segment_regex(part, pattern) + ("" if last else "/")
    return _compiled(f"(?:{regex})", pattern)


_PIECE = re.compile(r"\*+|\?|\[[!^]?\]?[^\]]*\]|.", re.DOTALL)


def _segment_regex(segment: str, pattern: str) -> str:
    regex = ""
    for piece in _PIECE.findall(unicodedata.normalize("NFC", segment.casefold())):
        if piece.startswith("*"):
            regex += "[^/]*"
        elif piece == "?":
            regex += "[^/]"
        elif piece == "[":
            raise _bad(pattern, "has a '[' without its ']'")
        elif piece.startswith("["):
            regex += _class_regex(piece)
        else:
            regex += re.escape(piece)
    return regex


def _class_regex(piece: str) -> str:
    body = piece[1:-1]
    negated = body[:1] in ("!", "^") and len(body) > 1
    body = body[1:] if negated else body
    escaped = re.sub(r"([\\\]\[^&~|])", r"\\\1", body)
    return f"(?!/)[{'^' if negated else ''}{escaped}]"


def _compiled(regex: str, pattern: str) -> str:
    try:
        re.compile(regex)
    except re.error as error:
        raise _bad(pattern, f"cannot be understood ({error})") from None
    return regex


def _bad(pattern: str, why: str) -> ConfigurationError:
    return ConfigurationError("bad-filter", f"The filter pattern {pattern!r} {why}.", fix="Correct or remove it.")
