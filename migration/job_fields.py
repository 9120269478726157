"""The fields of a job as its models define them: walked for messages, for `--set`, and for the documentation."""

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import Enum
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from migration.jobs import Job

_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    datetime: "date and time",
    date: "date",
    time: "time of day",
}


def alternatives(annotation: Any) -> list[Any]:
    """The types a value may have, without None and without annotations."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [one for part in get_args(annotation) for one in alternatives(part)]
    return [] if annotation in (None, type(None)) else [annotation]


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models a value, or an entry of a list, may be."""
    models = []
    for one in alternatives(annotation):
        if isinstance(one, type) and issubclass(one, BaseModel):
            models.append(one)
        elif is_list(one):
            models += models_in(get_args(one)[0])
    return models


def is_list(annotation: Any) -> bool:
    """Whether the type is a list (or a tuple of one type)."""
    return get_origin(annotation) in (list, tuple, set, frozenset) and bool(get_args(annotation))


def allowed_values(annotation: Any) -> list[str]:
    """The words a value, or an entry of a list, may be; empty where it is not one of a few words."""
    words: list[str] = []
    for one in alternatives(annotation):
        if isinstance(one, type) and issubclass(one, Enum):
            words += [str(member.value) for member in one]
        elif get_origin(one) is Literal:
            words += [str(value) for value in get_args(one)]
        elif is_list(one):
            words += allowed_values(get_args(one)[0])
    return words


def annotation_at(place: Sequence[str | int]) -> Any:
    """The type of the value at this place of a job, None where a job has none."""
    found: list[Any] = [Job]
    for part in place:
        found = [below for one in found for below in _below(one, part)]
    return reduce(or_, found) if found else None


def field_at(place: Sequence[str | int]) -> FieldInfo | None:
    """The field at this place, None for list entries and where there is none."""
    if not place or not isinstance(place[-1], str):
        return None
    for model in models_in(annotation_at(place[:-1])):
        if place[-1] in model.model_fields:
            return model.model_fields[place[-1]]
    return None


def _below(annotation: Any, part: str | int) -> list[Any]:
    found = []
    for one in alternatives(annotation):
        if isinstance(part, int) and is_list(one):
            found.append(get_args(one)[0])
        elif isinstance(part, str) and isinstance(one, type) and issubclass(one, BaseModel):
            field = one.model_fields.get(part)
            found += [field.annotation] if field is not None else []
    return found


def names_at(place: Sequence[str | int]) -> list[str]:
    """The keys allowed in the object at this place."""
    names: dict[str, None] = {}
    for model in models_in(annotation_at(place)):
        names |= dict.fromkeys(model.model_fields)
    return list(names)


def all_places() -> dict[str, tuple[str, ...]]:
    """Every key of a job with where it is first found: the keys that lead there (of lists: of their entries)."""
    places: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[tuple[str, ...], type[BaseModel]]] = [((), Job)]
    while waiting:
        path, model = waiting.pop(0)
        for name, field in model.model_fields.items():
            places.setdefault(name, (*path, name))
            if len(path) < 6:
                waiting += [((*path, name), below) for below in models_in(field.annotation)]
    return places


def allowed_text(field: FieldInfo) -> str:
    """What a field takes, for people: `copy, latest, …` or `whole number, 1 to 256`."""
    entry = field.annotation
    words = allowed_values(entry)
    models = models_in(entry)
    if words:
        text = ", ".join(words)
    elif models:
        text = "fields"
    else:
        text = " or ".join(dict.fromkeys(_type_words(entry)))
    listed = any(is_list(one) for one in alternatives(entry))
    limits = _limits(field)
    return ("list of " if listed else "") + text + (f", {limits}" if limits else "")


def _type_words(annotation: Any) -> Iterator[str]:
    for one in alternatives(annotation):
        if is_list(one):
            yield from _type_words(get_args(one)[0])
        elif get_origin(one) is dict:
            yield "keys with values"
        else:
            yield _WORDS.get(one, getattr(one, "__name__", str(one)).lower())


def _limits(field: FieldInfo) -> str:
    found = {
        name: getattr(note, name)
        for note in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if getattr(note, name, None) is not None
    }
    if "ge" in found and "le" in found:
        return f"{found['ge']} to {found['le']}"
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return ", ".join(f"{words[name]} {value}" for name, value in found.items())


@dataclass(frozen=True, slots=True)
class FieldSection:
    """The fields of one object in a job."""

    place: str
    """Where the object is: empty for the job itself, else `rules.filter` or `rules.filter.rules[]`."""
    kind: str
    """For one of several kinds of object in the same place, what tells it apart; else empty."""
    about: str
    rows: tuple[tuple[str, str, str, str], ...]
    """Key, what it takes, default, description."""


def field_sections() -> tuple[FieldSection, ...]:
    """All fields of a job, object by object; an object that is in two places is told at the first."""
    sections: list[FieldSection] = []
    seen: dict[type[BaseModel], str] = {}
    waiting: list[tuple[str, type[BaseModel], bool]] = [("", Job, False)]
    while waiting:
        place, model, one_of_several = waiting.pop(0)
        seen[model] = place
        rows = []
        for name, field in model.model_fields.items():
            rows.append(_row(name, field, place, seen))
            below = models_in(field.annotation)
            listed = any(is_list(one) for one in alternatives(field.annotation))
            for inner in below:
                if inner not in seen:
                    seen[inner] = _joined(place, name, listed)
                    waiting.append((_joined(place, name, listed), inner, len(below) > 1))
        kind = _kind(model) if one_of_several else ""
        sections.append(FieldSection(place, kind, (model.__doc__ or "").strip().splitlines()[0], tuple(rows)))
    return tuple(sorted(sections, key=lambda section: section.place))


def _joined(place: str, name: str, listed: bool) -> str:
    return f"{place}.{name}".removeprefix(".") + ("[]" if listed else "")


def _row(name: str, field: FieldInfo, place: str, seen: dict[type[BaseModel], str]) -> tuple[str, str, str, str]:
    takes = allowed_text(field)
    if models_in(field.annotation):
        listed = any(is_list(one) for one in alternatives(field.annotation))
        here = _joined(place, name, listed)
        told = [seen[model] for model in models_in(field.annotation) if model in seen]
        takes = f"{'list of ' if listed else ''}fields, see {told[0] if told else here}"
    return name, takes, default_text(field), field.description or ""


def default_text(field: FieldInfo) -> str:
    """The default for people: `required`, `not set`, `true`, a word, or empty for an object's own defaults."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if value is None or value in ([], (), {}, ""):
        return "not set" if value is None else "empty"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(str(getattr(one, "value", one)) for one in value)
    return str(value)


def _kind(model: type[BaseModel]) -> str:
    """What tells this model from the others that may be in its place: its first field with one allowed word."""
    for name, field in model.model_fields.items():
        words = allowed_values(field.annotation)
        if len(words) == 1:
            return f"{name}: {words[0]}"
    return model.__name__
