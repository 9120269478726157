"""What is wrong with a job's values, told so that a person can mend it: the key, its line, the value, what is allowed.

All problems are told at once. A key that does not exist is compared with those that do.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from migration.errors import ConfigurationError
from migration.job_fields import all_places, allowed_values, annotation_at, field_at, names_at
from migration.job_text import JobProblem, JobText, Place, key_text
from migration.jobs import Job

_TOLD_MAX = 20
_FOREIGN = ("transfer", "kind", "category", "convention")
"""Keys at the top of a job that only DryvIQ's jobs have."""


def job_from_values(values: Mapping[str, Any], *, read: JobText | None = None, what: str = "The job") -> Job:
    """The validated job. `read` is the text the values come from, `what` how it is called in a message.

    Raises ConfigurationError `job-invalid` naming everything that is wrong.
    """
    problems = list(read.problems) if read else []
    job = None
    try:
        job = Job.model_validate(values)
    except ValidationError as error:
        told = {problem.key for problem in problems}
        found = problems_of(error, values, read or JobText())
        problems += [problem for problem in found if problem.key not in told]
    if job is None or problems:
        raise job_invalid(what, problems, foreign=_is_foreign(values))
    return job


def job_invalid(what: str, problems: Sequence[JobProblem], *, foreign: bool = False) -> ConfigurationError:
    """The error that tells these problems, in the order of their lines."""
    told = sorted(dict.fromkeys(problems), key=lambda problem: problem.line or 0)
    fix = "DryvIQ's own job files are read by `sitehaul job import`." if foreign else None
    if len(told) == 1:
        sentence = str(told[0])
        end = "" if sentence.endswith("?") else "."
        return ConfigurationError("job-invalid", f"{what} is not valid: {sentence}{end}", fix=fix)
    lines = [f"\n  {problem}" for problem in told[:_TOLD_MAX]]
    if len(told) > _TOLD_MAX:
        lines.append(f"\n  … and {len(told) - _TOLD_MAX} more")
    return ConfigurationError(
        "job-invalid", f"{what} is not valid, in {len(told)} places:" + "".join(lines) + "\n", fix=fix
    )


def problems_of(error: ValidationError, values: Mapping[str, Any], read: JobText) -> list[JobProblem]:
    """One problem for each key that is wrong; a value that fits none of several kinds is told once."""
    told: dict[str, JobProblem] = {}
    for item in error.errors(include_url=False):
        place = _place(item["loc"], values)
        kind = str(item["type"])
        key = key_text(place)
        message = _message(kind, place, item)
        if key not in told:
            told[key] = JobProblem(key, message, read.line_of(place))
    return list(told.values())


def _place(loc: Sequence[str | int], values: Any) -> Place:
    """Where in the values an error is: pydantic's own notes about kinds of values are left out."""
    place: list[str | int] = []
    here = values
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        if _leads_on(here, part):
            here = here[part]
        elif not (last and isinstance(here, Mapping) and part in names_at(place)):
            continue
        place.append(part)
    return tuple(place)


def _leads_on(here: Any, part: str | int) -> bool:
    if isinstance(here, Mapping):
        return part in here
    return isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)


def _message(kind: str, place: Place, item: Any) -> str:
    value = item.get("input")
    annotation = annotation_at(place)
    if kind == "extra_forbidden":
        return _no_such_key(place)
    if kind == "missing":
        return "is missing" if place else "is empty"
    words = allowed_values(annotation)
    if words and not isinstance(value, Mapping) and str(value) not in words:
        close = difflib.get_close_matches(str(value).lower(), words, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"is {_shown(value)}; allowed: {', '.join(words)}{hint}"
    wanted = _WANTED.get(kind)
    if wanted is not None:
        limits = {name: _limit(limit) for name, limit in (item.get("ctx") or {}).items()}
        return f"is {_shown(value)}; {wanted.format(**limits)}"
    return _other(kind, place, item, value)


def _other(kind: str, place: Place, item: Any, value: Any) -> str:
    text = str(item["msg"]).removeprefix("Value error, ")
    if not place:
        return text
    if kind == "value_error":
        return f"is not possible: {text}" if isinstance(value, Mapping) else f"is {_shown(value)}; {text}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"is {_shown(value)}; it has fields of its own: {', '.join(names_at(place))}"
    if kind == "string_pattern_mismatch":
        field = field_at(place)
        return f"is {_shown(value)}; " + (field.description if field and field.description else text)
    return f"is {_shown(value)}; {text[:1].lower()}{text[1:]}"


_NUMBER, _WHOLE_NUMBER, _YES_OR_NO = "a number is needed", "a whole number is needed", "true or false is needed"
_WANTED = {
    "int_parsing": _WHOLE_NUMBER,
    "int_type": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "bool_parsing": _YES_OR_NO,
    "bool_type": _YES_OR_NO,
    "string_type": "text is needed (in quotes, if it looks like a number)",
    "list_type": "a list is needed",
    "tuple_type": "a list is needed",
    "datetime_from_date_parsing": "a date and time such as 2026-03-01T22:00:00Z is needed",
    "datetime_parsing": "a date and time such as 2026-03-01T22:00:00Z is needed",
    "datetime_type": "a date and time such as 2026-03-01T22:00:00Z is needed",
    "greater_than_equal": "at least {ge} is needed",
    "greater_than": "more than {gt} is needed",
    "less_than_equal": "at most {le} is possible",
    "less_than": "less than {lt} is needed",
    "string_too_short": "it must not be empty",
}


def _limit(limit: Any) -> Any:
    return f"{limit:g}" if isinstance(limit, float) else limit


def _no_such_key(place: Place) -> str:
    name, around = str(place[-1]), place[:-1]
    here = names_at(around)
    close = difflib.get_close_matches(name.lower(), here, n=1, cutoff=0.7)
    if close:
        return f"does not exist; did you mean {close[0]}?"
    elsewhere = all_places()
    found = elsewhere.get(name)
    if found is None:
        near = difflib.get_close_matches(name.lower(), list(elsewhere), n=1, cutoff=0.8)
        found = elsewhere[near[0]] if near else None
    if found is not None and found[:-1] != around:
        return f"does not exist here; did you mean {'.'.join(found)}?"
    return f"does not exist; allowed here: {', '.join(here)}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "empty"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    text = str(value)
    return f"'{text}'" if len(text) <= 80 else f"'{text[:79]}…'"


def _is_foreign(values: Mapping[str, Any]) -> bool:
    return any(key in values for key in _FOREIGN) and "source" not in values
