"""Preconditions, see https://cloud.google.com/storage/docs/request-preconditions ."""

from collections.abc import Mapping

from simulator.clouds.base import Refused
from simulator.clouds.gcs.refusals import condition_not_met, invalid, not_modified
from simulator.clouds.gcs.world import Object

Given = Mapping[str, list[str]]
"""The query of a call."""


def number(query: Given, name: str) -> int | None:
    """A parameter that is a number. Raises Refused for one that is none."""
    if name not in query:
        return None
    text = query[name][0]
    if not text.isdecimal():
        raise invalid(f"Invalid value '{text}'", name)
    return int(text)


def check(query: Given, there: Object | None, *, reading: bool = False, source: bool = False) -> None:
    """Raises Refused if a precondition of the call does not hold of what is there."""
    generation = 0 if there is None else there.generation
    metageneration = 0 if there is None else there.metageneration
    prefix = "ifSource" if source else "if"
    for name, value in (("Generation", generation), ("Metageneration", metageneration)):
        wanted = number(query, f"{prefix}{name}Match")
        if wanted is not None and (wanted != value or (name == "Metageneration" and there is None)):
            raise condition_not_met()
        unwanted = number(query, f"{prefix}{name}NotMatch")
        if unwanted is not None and unwanted == value:
            raise _unwanted(reading)


def _unwanted(reading: bool) -> Refused:
    return not_modified() if reading else condition_not_met("If-None-Match")
