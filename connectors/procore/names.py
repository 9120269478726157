r"""Names as Procore keeps and compares them (API.md section 7).

Which characters Procore cleans and what it puts in their place is not documented by Procore; one partner lists
`# % * : < > ? / \ | ~ "`. So a name is sent as it is, what came back is what counts, and a name with such a character
is found again under whatever stands for it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from migration.capabilities import NameRules
from migration.entries import PathParts
from migration.errors import ItemError

CLEANED = frozenset('#%*:<>?/\\|~"')
T = TypeVar("T")


def check_path(path: PathParts, rules: NameRules) -> None:
    """Refuse names below the project that are no names: ItemError `name-escapes`, `name-refused`, `name-too-long`."""
    for name in path[1:]:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise _refusal(path, "name-escapes", f"{name!r} cannot be the name of one file or folder")
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise _refusal(path, "name-refused", f"{name!r} holds characters that Procore cannot store")
        if rules.segment_length_max is not None and len(name) > rules.segment_length_max:
            what = f"the name has {len(name)} characters; Procore takes {rules.segment_length_max}"
            raise _refusal(path, "name-too-long", what)


def shown(path: PathParts) -> str:
    """A path for messages."""
    return "'" + "/".join(path).encode("utf-8", "replace").decode() + "'"


def key_of(name: str) -> str:
    """What two names have in common that count as one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class Names(Generic[T]):
    """What is in a folder, by name."""

    def __init__(self) -> None:
        self._exact: dict[str, T] = {}
        self._keys: dict[str, str] = {}

    def __iter__(self) -> Iterator[T]:
        return iter(self._exact.values())

    def items(self) -> Iterable[tuple[str, T]]:
        """Everything with every name it has."""
        return self._exact.items()

    def add(self, name: str, value: T) -> None:
        """Put it there, in place of what has exactly this name."""
        self._exact[name] = value
        self._keys.setdefault(key_of(name), name)

    def remove(self, value: T) -> None:
        """Take it away, whatever its names."""
        for name in [name for name, other in self._exact.items() if other is value]:
            del self._exact[name]
        self._keys = {key_of(name): name for name in reversed(self._exact)}

    def find(self, name: str) -> T | None:
        """What has this name: exactly, or as names are compared, or as the server would have cleaned it."""
        found = self._exact.get(name)
        if found is not None:
            return found
        key = key_of(name)
        if key in self._keys:
            return self._exact[self._keys[key]]
        pattern = _cleaned(key)
        if pattern is None:
            return None
        matching = [other for other in self._keys if pattern.fullmatch(other)]
        return self._exact[self._keys[matching[0]]] if len(matching) == 1 else None


def _cleaned(key: str) -> re.Pattern[str] | None:
    """What the server may have made of a name; None if there is nothing to clean in it."""
    stripped = key.strip()
    if stripped == key and CLEANED.isdisjoint(key):
        return None
    return re.compile("".join(r"[\W_]?" if letter in CLEANED else re.escape(letter) for letter in stripped))


def _refusal(path: PathParts, code: str, what: str) -> ItemError:
    return ItemError(code, f"{shown(path)}: {what}.", fix="Give it another name at the source, or leave it out.")
