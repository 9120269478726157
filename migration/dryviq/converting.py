"""What a conversion gathers: the values of the job, a line for every field, and what a person has to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from migration.job_changes import shown
from migration.job_fields import allowed_values, annotation_at
from migration.job_text import Place


class Verdict(StrEnum):
    """What became of a field."""

    MAPPED = "mapped"
    NOT_APPLICABLE = "not applicable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FieldReport:
    """What became of one field of the DryvIQ job."""

    field: str
    """With dots, as DryvIQ has it: transfer.schedule.mode."""
    value: Any
    verdict: Verdict
    text: str
    """Mapped: to what. Not applicable: why. Unknown: what was expected."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A DryvIQ job as values of ours."""

    values: dict[str, Any]
    fields: tuple[FieldReport, ...]
    to_do: tuple[str, ...]
    """What a person has to do or to check, one sentence each."""
    notes: tuple[str, ...]
    """What the job said about itself for people: for the top of the file."""


@dataclass(slots=True)
class Converting:
    """A conversion that is going on."""

    values: dict[str, Any] = field(default_factory=dict)
    fields: list[FieldReport] = field(default_factory=list)
    to_do: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def put(self, place: str, value: Any) -> None:
        """Set a value of the job; the place with dots."""
        *parents, last = place.split(".")
        here = self.values
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value

    def has(self, place: str) -> bool:
        """Whether the job already says something there."""
        here: Any = self.values
        for part in place.split("."):
            if not isinstance(here, Mapping) or part not in here:
                return False
            here = here[part]
        return True

    def mapped(self, name: str, value: Any, text: str) -> None:
        """The field has its counterpart."""
        self._report(name, value, Verdict.MAPPED, text)

    def not_applicable(self, name: str, value: Any, why: str) -> None:
        """The field means nothing here."""
        self._report(name, value, Verdict.NOT_APPLICABLE, why)

    def unknown(self, name: str, value: Any, text: str = "no such field is known") -> None:
        """The field, or its value, is not understood."""
        self._report(name, value, Verdict.UNKNOWN, text)

    def map_to(self, name: str, value: Any, place: str, ours: Any, note: str = "") -> None:
        """The field becomes this value of the job."""
        self.put(place, ours)
        self.mapped(name, value, f"{place} = {shown(ours)}" + (f" ({note})" if note else ""))

    def map_word(self, name: str, value: Any, place: str) -> None:
        """The field becomes the same word of ours, if we have it."""
        allowed = allowed_values(annotation_at(place_of(place)))
        if str(value) in allowed:
            self.map_to(name, value, place, str(value))
        else:
            self.unknown(name, value, f"{place} takes {', '.join(allowed)}")

    def map_switch(self, name: str, value: Any, place: str) -> None:
        """The field becomes the same true or false."""
        if isinstance(value, bool):
            self.map_to(name, value, place, value)
        else:
            self.unknown(name, value, f"{place} takes true or false")

    def map_count(self, name: str, value: Any, place: str) -> None:
        """The field becomes the same number; nothing, and none, where there is no limit."""
        if value is None or value == 0:
            self.mapped(name, value, f"{place} is not set: no limit")
        elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
            self.map_to(name, value, place, value)
        else:
            self.unknown(name, value, f"{place} takes a whole number")

    def nothing_known(self, name: str, value: Any) -> None:
        """Report every part of a value as unknown."""
        if isinstance(value, Mapping) and value:
            for key, part in value.items():
                self.nothing_known(f"{name}.{key}", part)
        else:
            self.unknown(name, value)

    def _report(self, name: str, value: Any, verdict: Verdict, text: str) -> None:
        self.fields.append(FieldReport(name, value, verdict, text))


def place_of(text: str) -> Place:
    """A place written with dots."""
    return tuple(text.split("."))
