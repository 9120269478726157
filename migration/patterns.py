r"""What patterns of names and paths mean: globs, DryvIQ's simple patterns, and regular expressions. Pure.

All but case-sensitive regular expressions match without regard to case and Unicode form.

* Globs: `*`, `?` and `[abc]` stay within one name, `**` stands for any number of folders (none too), a pattern without
  `/` is matched against the entry's own name, and a pattern that ends in `/` means everything below.
* Simple patterns know `*` only; `;` separates several.
* Regular expressions are Python's. Those whose time can grow exponentially with a name's length are refused by how they
  are written, so that what is accepted does not depend on the machine: a repetition of what itself repeats or has
  alternatives, references back, more than a hundred combinations of optional parts, and more than three unlimited
  repetitions, or two where it does not begin with `^` (then every place of the text is one more beginning).
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from migration.entries import PathParts
from migration.errors import ConfigurationError

UNLIMITED_MAX = 3
COMBINATIONS_MAX = 100
_FEW = 10
"""A repetition with a wider range counts as unlimited."""


def comparable(name: str) -> str:
    """A name's form for matching; a `/` inside a name is not a separator."""
    if name.isascii():
        return name.lower().replace("/", "\0")
    return unicodedata.normalize("NFC", name.casefold()).replace("/", "\0")


def glob_matcher(patterns: Sequence[str]) -> Callable[[PathParts], bool]:
    """A function saying whether any of the patterns matches a path. Raises ConfigurationError `bad-filter`."""
    names = [_name_regex(pattern) for pattern in patterns if "/" not in pattern]
    paths = [_path_regex(pattern) for pattern in patterns if "/" in pattern]
    name_regex = re.compile("|".join(names)) if names else None
    path_regex = re.compile("|".join(paths)) if paths else None

    def matches(path: PathParts) -> bool:
        if name_regex and name_regex.fullmatch(comparable(path[-1])):
            return True
        return bool(path_regex and path_regex.fullmatch("/".join(map(comparable, path))))

    return matches


def simple_matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A function saying whether any of DryvIQ's patterns is a whole name. Raises ConfigurationError `bad-filter`."""
    regex = re.compile("|".join(_simple_regex(pattern) for pattern in patterns), re.DOTALL)
    return lambda name: regex.fullmatch(comparable(name)) is not None


def regex_matcher(patterns: Sequence[str], *, case_sensitive: bool) -> Callable[[str], bool]:
    """A function saying whether any of the expressions is found in a text. Raises ConfigurationError `bad-filter`."""
    compiled = [checked_regex(pattern, case_sensitive=case_sensitive) for pattern in patterns]

    def matches(text: str) -> bool:
        text = unicodedata.normalize("NFC", text)
        return any(regex.search(text) for regex in compiled)

    return matches


def checked_regex(pattern: str, *, case_sensitive: bool = False) -> re.Pattern[str]:
    """The expression, compiled. Raises ConfigurationError `bad-filter` for one that is none or could run too long."""
    if not pattern:
        raise _bad(pattern, "is empty", "regular expression")
    try:
        compiled = re.compile(unicodedata.normalize("NFC", pattern), 0 if case_sensitive else re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise _bad(pattern, f"cannot be understood ({error})", "regular expression") from None
    danger = _Danger()
    for piece in _PIECES.finditer(pattern):
        danger.see(piece.group())
        if danger.why:
            break
    why = danger.why or danger.of_repetitions(anchored=re.match(r"(\(\?\w+\))?(\^|\\A)", pattern) is not None)
    if why:
        raise _bad(pattern, why, "regular expression")
    return compiled


_PIECES = re.compile(
    r"""\\. | \[\^?\]?(?:\\.|[^\]\\])*\] | \(\?\#[^)]*\) | \(\?P=|\(\?P?<\w+> | \(\?[aiLmsux-]+[:)] | \(\?<?. | \(
    | (?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\})[?+]? | .""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(slots=True)
class _Group:
    """A group while it is read: whether what is in it can match in several ways, and how many alternatives it has."""

    varies: bool = False
    alternatives: int = 1


class _Danger:
    """Reads an expression piece by piece and notes in `why` what makes it dangerous."""

    def __init__(self) -> None:
        self.why: str | None = None
        self._groups = [_Group()]
        self._piece_varies = False
        """Whether what came last, to which a repetition would apply, can match in several ways."""
        self._unlimited = 0
        self._combinations = 1

    def see(self, piece: str) -> None:
        if piece.startswith("(?#") or re.fullmatch(r"\(\?[aiLmsu-]+\)", piece):
            return
        if piece in ("(?P=", "(?(") or re.fullmatch(r"\\[1-9]", piece):
            self.why = "refers back to what it matched before"
        elif re.match(r"\(\?\w*x", piece):
            self.why = "uses the flag x"
        elif piece.startswith("("):
            self._groups.append(_Group())
        elif piece == ")":
            self._close()
        elif piece == "|":
            self._groups[-1].varies = True
            self._groups[-1].alternatives += 1
        elif re.match(r"[*+?]|\{\d*,?\d*\}", piece):
            self._repeat(piece)
        else:
            self._piece_varies = False

    def of_repetitions(self, *, anchored: bool) -> str | None:
        """What is wrong with their number, once everything was read."""
        anchored = anchored and self._groups[0].alternatives == 1
        most = UNLIMITED_MAX if anchored else UNLIMITED_MAX - 1
        if self._unlimited <= most:
            return None
        return f"has more than {most} unlimited repetitions" + ("" if anchored else " and does not begin with ^")

    def _close(self) -> None:
        group = self._groups.pop()
        self._combine(group.alternatives)
        self._piece_varies = group.varies
        self._groups[-1].varies |= group.varies

    def _repeat(self, piece: str) -> None:
        least, most = _bounds(piece)
        if self._piece_varies and most != 1:
            self.why = "repeats what itself repeats or has alternatives"
        if most is None or most - least > _FEW:
            self._unlimited += 1
        else:
            self._combine(most - least + 1)
        if most != least:
            self._groups[-1].varies = True
        self._piece_varies = False

    def _combine(self, ways: int) -> None:
        self._combinations *= ways
        if self._combinations > COMBINATIONS_MAX:
            self.why = f"has more than {COMBINATIONS_MAX} combinations of optional parts and alternatives"


def _bounds(repetition: str) -> tuple[int, int | None]:
    simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
    if repetition[0] in simple:
        return simple[repetition[0]]
    least, comma, most = repetition[1 : repetition.index("}")].partition(",")
    first = int(least or 0)
    if not comma:
        return first, first
    return first, int(most) if most else None


def _simple_regex(pattern: str) -> str:
    pieces = [piece.strip() for piece in pattern.split(";")]
    if not any(pieces):
        raise _bad(pattern, "is empty")
    return "|".join(".*".join(re.escape(comparable(part)) for part in re.split(r"\*+", one)) for one in pieces if one)


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


def _bad(pattern: str, why: str, kind: str = "pattern") -> ConfigurationError:
    return ConfigurationError("bad-filter", f"The filter {kind} {pattern!r} {why}.", fix="Correct or remove it.")
