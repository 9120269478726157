"""The filters of a DryvIQ job: each filter object becomes a rule of `rules.filter`, several rules in it an any_of."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from migration.dryviq.converting import Converting

_SIDES = {"source": "rules.filter.rules", "destination": "rules.filter.destination.rules"}
_TYPES = {
    "filter_extension": "extension", "extension": "extension", "filter_pattern": "pattern", "pattern": "pattern",
    "filter_size": "size", "size": "size", "filter_group": "group", "group": "group", "filter_date": "date",
    "date": "date", "filter_hidden": "hidden", "hidden": "hidden", "filter_path": "path", "path": "path",
}  # fmt: skip
_NOT_APPLICABLE = {
    "shared": "whether an entry is shared with the connection's user is not known; there is a rule `private`",
    "context": "properties are not filtered by expressions; there are rules by author, date, size, path and regex",
    "metadata": "properties are not filtered by expressions; there are rules by author, date, size, path and regex",
    "file_type": "kinds of content are not looked at; use extension or group rules",
    "content_type": "kinds of content are not looked at; use extension or group rules",
    "content_category": "kinds of content are not looked at; use extension or group rules",
}
_DATES = {"created_on": ["created_on"], "modified_on": ["modified_on"], "last_touched": ["modified_on"],
          "all": ["created_on", "modified_on"]}  # fmt: skip


class _NotApplicable(Exception):
    """The rule has no counterpart; the text says why."""


class _NotUnderstood(Exception):
    """The rule's values are not what was expected; the text says what was."""


def filters(work: Converting, path: str, value: Any) -> None:
    """`transfer.filter`: a list of filter objects for each side."""
    if not isinstance(value, Mapping):
        work.unknown(path, value, "an object with source and destination")
        return
    for side, objects in value.items():
        name = f"{path}.{side}"
        if side not in _SIDES or not isinstance(objects, list):
            work.nothing_known(name, objects)
            continue
        rules = [rule for number, one in enumerate(objects) for rule in _object(work, f"{name}[{number}]", one)]
        if rules:
            work.put(_SIDES[side], rules)
        elif not objects:
            work.mapped(name, objects, "no filter")


def _object(work: Converting, path: str, value: Any) -> list[dict[str, Any]]:
    """The rule that a filter object becomes; none if nothing of it could be taken."""
    if not isinstance(value, Mapping):
        work.unknown(path, value, "an object with action, rules and type")
        return []
    action = value.get("action", "exclude")
    rules: list[dict[str, Any]] = []
    for key, part in value.items():
        name = f"{path}.{key}"
        if key == "action" and part in ("include", "exclude"):
            work.mapped(name, part, f"action = {part} of the rule")
        elif key == "type" and part == "filter_rule":
            work.mapped(name, part, "a rule in rules.filter")
        elif key == "rules" and isinstance(part, list):
            rules = [one for number, raw in enumerate(part) for one in _rule(work, f"{name}[{number}]", raw)]
        else:
            work.nothing_known(name, part)
    if len(rules) > 1:
        if action == "exclude":
            work.to_do.append(
                f"{path} has several rules in one exclude; it leaves out what any of them matches. Use the type all_of "
                "if all of them have to match."
            )
        return [{"type": "any_of", "action": action, "rules": rules}]
    return [{"type": rule["type"], "action": action, **rule} for rule in rules]


def _rule(work: Converting, path: str, raw: Any) -> list[dict[str, Any]]:
    if not isinstance(raw, Mapping):
        work.unknown(path, raw, "a rule with a type")
        return []
    kind = str(raw.get("type", ""))
    ours = _TYPES.get(kind)
    try:
        if ours is None:
            _refuse(kind)
        rule = {"type": str(ours), **_MAKERS[str(ours)](raw)}
    except _NotApplicable as why:
        work.not_applicable(path, dict(raw), str(why))
        work.to_do.append(f"{path} ({kind}) could not be taken; check which files take part now.")
        return []
    except _NotUnderstood as wanted:
        work.unknown(path, dict(raw), str(wanted))
        return []
    work.mapped(path, dict(raw), f"a rule of type {ours}")
    for key in raw.keys() - _KEYS[str(ours)] - {"type"}:
        work.unknown(f"{path}.{key}", raw[key])
    return [rule]


def _refuse(kind: str) -> None:
    why = _NOT_APPLICABLE.get(kind.removeprefix("filter_"))
    if why is not None:
        raise _NotApplicable(why)
    raise _NotUnderstood(f"rules have the types {', '.join(key for key in _TYPES if key.startswith('filter_'))}")


def _extension(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {"extensions": _texts(raw.get("extensions"), "extensions")}


def _group(raw: Mapping[str, Any]) -> dict[str, Any]:
    from migration.file_groups import FileGroup

    groups = [name.lower() for name in _texts(raw.get("groups"), "groups")]
    known = [group.value for group in FileGroup]
    if not all(name in known for name in groups):
        raise _NotUnderstood(f"the groups are {', '.join(known)}")
    return {"groups": groups}


def _pattern(raw: Mapping[str, Any]) -> dict[str, Any]:
    text = raw.get("text")
    if not isinstance(text, str) or not text.strip():
        raise _NotUnderstood("a pattern rule has a text")
    words = {"all", "container", "item"}
    targets = _texts(raw.get("targets") or ["all"], "targets")
    if targets == ["none"]:
        raise _NotApplicable("its targets are none, so it matches nothing")
    if not words.issuperset(targets):
        raise _NotUnderstood("targets are container, item, all or none")
    return {"text": text} if targets == ["all"] else {"text": text, "targets": targets}


def _size(raw: Mapping[str, Any]) -> dict[str, Any]:
    limits = {}
    for theirs, ours in (("min", "min_bytes"), ("max", "max_bytes")):
        number = raw.get(theirs)
        if isinstance(number, int) and not isinstance(number, bool):
            limits[ours] = number
        elif number is not None:
            raise _NotUnderstood("min and max are bytes")
    if not limits:
        raise _NotUnderstood("a size rule has min or max")
    return limits


def _date(raw: Mapping[str, Any]) -> dict[str, Any]:
    words = _texts(raw.get("targets") or ["modified_on"], "targets")
    if "accessed_on" in words or words == ["none"]:
        raise _NotApplicable(
            "when a file was last read is not known" if "accessed_on" in words else "it looks at no date"
        )
    if not all(word in _DATES for word in words):
        raise _NotUnderstood(f"targets are {', '.join(_DATES)}")
    targets = sorted({ours for word in words for ours in _DATES[word]})
    span = raw.get("range")
    if not isinstance(span, Mapping):
        raise _NotUnderstood("a date rule has a range")
    unit = span.get("type", "day")
    if unit == "range":
        bounds = {
            ours: _moment(span[theirs]) for theirs, ours in (("from", "after"), ("to", "before")) if span.get(theirs)
        }
        if not bounds:
            raise _NotUnderstood("a range has from or to, in seconds since 1970")
        return {"targets": targets, **bounds}
    if unit not in ("day", "week", "month", "year") or not isinstance(span.get("value"), int):
        raise _NotUnderstood("a range has a type (day, week, month, year, range) and a value")
    return {"targets": targets, "within_last": span["value"], "unit": unit}


def _moment(value: Any) -> str:
    try:
        return datetime.fromtimestamp(float(value), UTC).isoformat().replace("+00:00", "Z")
    except (TypeError, ValueError, OverflowError, OSError):
        raise _NotUnderstood("from and to are seconds since 1970") from None


def _hidden(_raw: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _path(raw: Mapping[str, Any]) -> dict[str, Any]:
    paths = _texts(raw.get("path"), "path")
    return {"paths": [path.strip("/") for path in paths]}


def _texts(value: Any, what: str) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise _NotUnderstood(f"{what} is a list of words")
    return list(texts)


_MAKERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "extension": _extension, "pattern": _pattern, "size": _size, "group": _group, "date": _date, "hidden": _hidden,
    "path": _path,
}  # fmt: skip
_KEYS: Mapping[str, set[str]] = {
    "extension": {"extensions"}, "pattern": {"text", "targets"}, "size": {"min", "max"}, "group": {"groups"},
    "date": {"targets", "range"}, "hidden": set(), "path": {"path"},
}  # fmt: skip
