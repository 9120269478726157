"""Field masks: which fields of an answer the client asked for.

`a,b(c,d),e/f,*` as in https://developers.google.com/workspace/drive/api/guides/fields-parameter. What was not asked for
is not there, and a name that the description does not know is refused.
"""

import functools
import re
from typing import Any

from simulator.clouds.drive.described import FIELDS
from simulator.clouds.drive.refusals import Refusal

Mask = dict[str, "Mask"]
"""The fields asked for, each with those below it; `*` = all."""
_TOKEN = re.compile(r"\s*([A-Za-z*][A-Za-z0-9]*|[,()/])\s*")


@functools.lru_cache(maxsize=1024)
def parsed(text: str, resource: str) -> Mask:
    """The mask of a `fields` parameter. Raises Refusal for bad grammar and for names the resource does not have."""
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _wrong(text)
        tokens.append(match[1])
        at = match.end()
    mask, rest = _fields([*tokens, ""], 0, text)
    if rest != len(tokens):
        raise _wrong(text)
    _check(mask, resource)
    return mask


def picked(value: Any, mask: Mask) -> Any:
    """What of a value the mask asks for."""
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [picked(one, mask) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: picked(value[name], below) for name, below in mask.items() if name in value}


def _fields(tokens: list[str], at: int, text: str) -> tuple[Mask, int]:
    mask: Mask = {}
    while True:
        at = _field(tokens, at, mask, text)
        if tokens[at] != ",":
            return mask, at
        at += 1


def _field(tokens: list[str], at: int, mask: Mask, text: str) -> int:
    place = mask
    while True:
        name = tokens[at]
        if not name or name in ",()/":
            raise _wrong(text)
        known = place.get(name)
        place[name] = {} if known is None else known
        at += 1
        if tokens[at] != "/":
            break
        place, at = place[name], at + 1
    if tokens[at] == "(":
        below, at = _fields(tokens, at + 1, text)
        if tokens[at] != ")":
            raise _wrong(text)
        place[name].update(below)
        at += 1
    return at


def _check(mask: Mask, resource: str) -> None:
    known = FIELDS[resource]
    for name, below in mask.items():
        if name == "*":
            continue
        if name not in known:
            raise _wrong(name)
        if below and known[name] != "*":
            if not known[name]:
                raise _wrong(next(iter(below)))
            _check(below, known[name])


def _wrong(text: str) -> Refusal:
    return Refusal(400, "invalidParameter", f"Invalid field selection {text}", location="fields")
