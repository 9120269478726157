"""The `fields` parameter: which fields of an answer the client asked for.

https://cloud.google.com/storage/docs/json_api#partial-response
"""

import functools
import re
from typing import Any

from simulator.clouds.gcs.refusals import invalid

Mask = dict[str, "Mask"]
"""The fields asked for, each with those below it; `*` = all."""
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9]*|[,()/]")


@functools.lru_cache(maxsize=256)
def parsed(text: str) -> Mask:
    """The mask of a `fields` parameter. Raises Refused for bad grammar."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise invalid(f"Invalid field selection {text}", "fields")
    mask, rest = _fields([*tokens, ""], text)
    if rest != [""]:
        raise invalid(f"Invalid field selection {text}", "fields")
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


def _fields(tokens: list[str], text: str) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while True:
        place, name = mask, tokens[0]
        while True:
            if name in ("", ",", "(", ")", "/"):
                raise invalid(f"Invalid field selection {text}", "fields")
            below = place.setdefault(name, {})
            tokens = tokens[1:]
            if tokens[0] != "/":
                break
            place, name, tokens = below, tokens[1], tokens[1:]
        if tokens[0] == "(":
            inner, tokens = _fields(tokens[1:], text)
            if tokens[0] != ")":
                raise invalid(f"Invalid field selection {text}", "fields")
            below.update(inner)
            tokens = tokens[1:]
        if tokens[0] != ",":
            return mask, tokens
        tokens = tokens[1:]
