"""Changing single fields of a job by text, as `--set rules.deletes.count_max=5` does.

A field is named with dots, an entry of a list by its number (`rules.filter.exclude.0`). What the text means depends on
the field: a word or number as it is, a list as comma-separated words or as YAML (`[a, b]`), an object as YAML
(`{preserve: native}`), nothing = back to the default. `+=` appends to a list.
"""

import difflib
from typing import Any, get_args

from pydantic import BaseModel

from migration.errors import ConfigurationError
from migration.job_fields import all_places, alternatives, annotation_at, is_list, names_at
from migration.job_text import Place, key_text, read_job_text


def set_field(values: dict[str, Any], change: str, *, option: str = "--set") -> None:
    """Change `values` as `FIELD=VALUE` says; what the value must be is found out when the job is validated.

    Raises ConfigurationError `job-change` for text that names no field, or an entry that is not there.
    """
    name, separator, text = change.partition("=")
    if not separator or not name.strip("+ "):
        raise _wrong(option, change, "has no '='" if not separator else "names no field", "Write FIELD=VALUE.")
    appends = name.endswith("+")
    place: Place = tuple(int(part) if part.isdigit() else part for part in name.removesuffix("+").strip().split("."))
    _check_known(place, option, change)
    if appends:
        _append(values, place, text, option, change)
    else:
        _put(values, place, text, option, change)


def _check_known(place: Place, option: str, change: str) -> None:
    for length in range(1, len(place) + 1):
        if annotation_at(place[:length]) is not None:
            continue
        around, part = place[: length - 1], place[length - 1]
        allowed = names_at(around)
        where = f"'{key_text(around)}'" if around else "a job"
        why = f"{where} has no field '{part}'" if allowed else f"{where} has no fields"
        found = all_places().get(str(place[-1]))
        close = difflib.get_close_matches(str(part), allowed, n=1, cutoff=0.7)
        if close:
            fix = f"Did you mean {key_text((*around, close[0]))}?"
        elif found is not None and found != place:
            fix = f"Did you mean {'.'.join(found)}?"
        else:
            fix = f"Its fields: {', '.join(allowed)}." if allowed else "See `sitehaul job fields`."
        raise _wrong(option, change, why, fix)


def _put(values: dict[str, Any], place: Place, text: str, option: str, change: str) -> None:
    holder = _holder(values, place, option, change)
    last = place[-1]
    annotation = annotation_at(place)
    if isinstance(holder, list):
        if not isinstance(last, int) or last >= len(holder):
            raise _no_entry(option, change, place, holder)
        holder[last] = _meaning(text, annotation, option, change)
    elif not text and not _takes_text(annotation):
        holder.pop(last, None)
    else:
        holder[last] = _meaning(text, annotation, option, change)


def _append(values: dict[str, Any], place: Place, text: str, option: str, change: str) -> None:
    annotation = annotation_at(place)
    if not any(is_list(one) for one in alternatives(annotation)):
        raise _wrong(option, change, f"'{key_text(place)}' is no list", "Write FIELD=VALUE.")
    holder = _holder(values, place, option, change)
    before = holder.get(place[-1]) if isinstance(holder, dict) else holder[int(place[-1])]
    more = _meaning(text, annotation, option, change)
    holder[place[-1]] = [*(before or []), *(more if isinstance(more, list) else [more])]


def _holder(values: dict[str, Any], place: Place, option: str, change: str) -> Any:
    """The object or list that the last key of the place is in; objects on the way there are made."""
    here: Any = values
    for length, part in enumerate(place[:-1], 1):
        if isinstance(here, list):
            if not isinstance(part, int) or part >= len(here):
                raise _no_entry(option, change, place[:length], here)
            here = here[part]
        else:
            if not isinstance(here.get(part), dict | list):
                is_a_list = isinstance(place[length], int)
                here[part] = [] if is_a_list else {}
            here = here[part]
    return here


def _no_entry(option: str, change: str, place: Place, entries: list[Any]) -> ConfigurationError:
    count = f"the list has {len(entries)} entries, counted from 0" if entries else "the list is empty"
    return _wrong(option, change, f"there is no {key_text(place)}; {count}", "Append one with FIELD+=VALUE.")


def _takes_text(annotation: Any) -> bool:
    return any(one is str for one in alternatives(annotation))


def _meaning(text: str, annotation: Any, option: str, change: str) -> Any:
    kinds = alternatives(annotation)
    lists = [one for one in kinds if is_list(one)]
    objects = [one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)]
    stripped = text.strip()
    if stripped == "null":
        return None
    if lists and not stripped.startswith(("[", "{")):
        return [part.strip() for part in text.split(",")] if stripped else []
    if lists and not stripped.endswith(("]", "}")) and str in get_args(lists[0]):
        return [part.strip() for part in text.split(",")]
    if (lists or objects) and stripped.startswith(("[", "{")):
        return _from_yaml(text, option, change)
    return text


def _from_yaml(text: str, option: str, change: str) -> Any:
    read = read_job_text(f"value: {text}")
    if read.problems:
        raise _wrong(option, change, read.problems[0].message, "Quote values with special characters.")
    return read.values["value"]


def _wrong(option: str, change: str, why: str, fix: str) -> ConfigurationError:
    words = f"{option} '{change}'" if option else f"'{change}'"
    return ConfigurationError("job-change", f"{words}: {why}.", fix=fix)
