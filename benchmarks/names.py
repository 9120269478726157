"""What Procore makes of names, written down a second time so that the product does not judge itself.

Procore puts `_` for some characters and takes away spaces at the edges; letters that differ in case only are one name
(simulator/api/names.py). SiteHaul besides keeps to what migration tools publish: no spaces around the extension, one
Unicode form, paths of 255 characters.
"""

import re
import unicodedata
from collections.abc import Iterable

RelativePath = tuple[str, ...]
PATH_LENGTH_MAX = 255
_CLEANED = re.compile(r'[#%*:<>?/\\|~"]')
_SPACED = re.compile(r"\s+\.[^.]*$|\.\s+[^.]*$|^\s|\s$")


def cleaned(name: str) -> str:
    """The name as Procore keeps it."""
    return _CLEANED.sub("_", name).strip()


def why_renamed(path: RelativePath, others: Iterable[RelativePath], root_length: int) -> str:
    """Why the path cannot stay as it is in a folder of Procore whose own path is so long; empty if it can.

    `others` are the paths of all files, this one included.
    """
    if root_length + len("/".join(path)) > PATH_LENGTH_MAX:
        return "the path is too long"
    twins = {_key(other[:depth]): set[RelativePath]() for other in (path,) for depth in range(1, len(path) + 1)}
    for other in others:
        for depth in range(1, len(path) + 1):
            if (key := _key(other[:depth])) in twins:
                twins[key].add(other[:depth])
    if any(len(same) > 1 for same in twins.values()):
        return "another name differs in case or Unicode form only"
    if any(cleaned(name) != name or _SPACED.search(name) for name in path):
        return "Procore cleans the name"
    return ""


def _key(path: RelativePath) -> RelativePath:
    return tuple(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()) for name in path)
