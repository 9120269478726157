"""What differs between two jobs, field by field, and what that means for the next run."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from migration.job_text import Place, key_text
from migration.jobs import Job

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class JobChange:
    """One field that is not the same in two jobs. None = the field is not set, or not there."""

    field: str
    before: Any
    after: Any
    effect: str
    """What the next run makes of it, as the end of a sentence that begins with the field."""

    def __str__(self) -> str:
        return f"{self.field}: {shown(self.before)} → {shown(self.after)}"


def job_changes(before: Job, after: Job, *, resumed_with: Collection[str]) -> tuple[JobChange, ...]:
    """The fields that differ, in the order of the job. `resumed_with` are the top fields no plan depends on."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return tuple(
        JobChange(key_text(place), earlier, later, _effect(str(place[0]), resumed_with))
        for place, earlier, later in _differences(old, new, ())
        if place != ("name",)
    )


def changed_fields(changes: Collection[JobChange]) -> str:
    """The names of a few changed fields for a sentence: `rules.filter.exclude, transfer_type and 3 more`."""
    names = [change.field for change in changes]
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def shown(value: Any) -> str:
    """A field's value in one line."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(shown(part) for part in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(part)}" for key, part in value.items() if part is not None) + "}"
    return str(value) if value != "" else "''"


def _effect(top: str, resumed_with: Collection[str]) -> str:
    if top in resumed_with:
        return "an unfinished run goes on with it"
    if top in ("source", "destination"):
        return "planned anew; what was known of the old places is not used, files are recognised by size and time"
    return "an unfinished run is planned anew"


def _differences(before: Any, after: Any, place: Place) -> Iterator[tuple[Place, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*after, *before]):
            yield from _differences(before.get(key, _ABSENT), after.get(key, _ABSENT), (*place, key))
    elif before != after:
        yield place, None if before is _ABSENT else before, None if after is _ABSENT else after
