"""Which entries take part: a filter compiled into one pure function of what is known of an entry.

An exclude beats an include. Each exclude counts for itself; everything that includes has to hold at once. What is
unknown (a size, a time, an author that the system does not tell) leaves nothing out. Rules about content (extension,
group, size, date, locked, author) say nothing about folders: as an exclude they match none, as an include they need
files, so empty folders are left out. Nothing is remembered: every plan asks again, with its own `now`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from migration.entries import EntryKind, PathParts
from migration.errors import ConfigurationError
from migration.file_groups import GROUPS
from migration.filter_rules import (
    AllOfRule,
    AnyOfRule,
    AuthorRule,
    Conditions,
    DateOf,
    DateRule,
    DateUnit,
    ExtensionRule,
    GlobRule,
    GroupRule,
    PathRule,
    PatternPlace,
    PatternRule,
    RegexPlace,
    RegexRule,
    RuleAction,
    SizeRule,
)
from migration.inventory_format import microseconds
from migration.patterns import comparable, glob_matcher, regex_matcher, simple_matcher

EXCLUDED = "excluded"
NOT_INCLUDED = "not-included"
TOO_SMALL = "smaller-than-filter"
TOO_LARGE = "larger-than-filter"
TOO_OLD = "older-than-filter"
TOO_NEW = "newer-than-filter"

HIDDEN_PREFIXES = (".", "~$")
HIDDEN_NAMES = frozenset({"thumbs.db", "desktop.ini"})


class Facts(NamedTuple):
    """What a filter may ask about an entry. None = unknown. Times are microseconds since 1970."""

    path: PathParts
    """From the job's folder downwards, the entry's own name last."""
    kind: EntryKind = EntryKind.FILE
    size_bytes: int | None = None
    modified: int | None = None
    created: int | None = None
    created_by: str | None = None
    locked: bool | None = None
    private: bool | None = None
    """Of the entry or of a folder that it is in."""


EntrySelection = Callable[[Facts], str | None]
"""Why an entry is left out, as a reason code; None = it takes part."""

Selection = Callable[[PathParts, int | None, int | None], str | None]
"""The same, asked with path, size and time of modification only."""

_Condition = Callable[[Facts], bool | None]
"""Whether a rule matches; None = that is unknown."""


def compile_filter(rules: Conditions, now: datetime | None = None) -> Selection | None:
    """`compile_selection` for callers that know path, size and time only."""
    select = compile_selection(rules, now)
    return None if select is None else lambda path, size, modified: select(Facts(path, EntryKind.FILE, size, modified))


def compile_selection(rules: Conditions, now: datetime | None) -> EntrySelection | None:
    """The filter as a function; None if it leaves nothing out.

    Reasons are `excluded` and `not-included` for the patterns of `exclude` and `include`, `smaller-than-filter` and
    the like for the ranges, `excluded-by-TYPE` and `not-included-by-TYPE` for the rules. `now` is when the plan is made
    and needed for sliding dates only. Raises ConfigurationError `bad-filter` for one without it.
    """
    excludes = [(glob_matcher(rules.exclude), EXCLUDED)] if rules.exclude else []
    includes = [(glob_matcher(rules.include), NOT_INCLUDED)] if rules.include else []
    excluding = [(_of_path(matches), reason) for matches, reason in excludes]
    including = [(_of_path(matches), reason) for matches, reason in includes]
    for rule in rules.rules:
        kind = "rules" if isinstance(rule, AllOfRule | AnyOfRule) else rule.type
        if rule.action is RuleAction.EXCLUDE:
            excluding.append((_condition(rule, now), f"{EXCLUDED}-by-{kind}"))
        else:
            including.append((_condition(rule, now), f"{NOT_INCLUDED}-by-{kind}"))
    in_ranges = _in_ranges(rules)
    if not excluding and not including and in_ranges is None:
        return None

    def reason(facts: Facts) -> str | None:
        for condition, code in excluding:
            if condition(facts):
                return code
        for condition, code in including:
            if condition(facts) is False:
                return code
        return in_ranges(facts) if in_ranges else None

    return reason


def _in_ranges(rules: Conditions) -> EntrySelection | None:
    smallest, largest = rules.min_size_bytes, rules.max_size_bytes
    start, end = _time(rules.modified_from), _time(rules.modified_to)
    if smallest is largest is start is end is None:
        return None
    last = None if end is None else end - 1
    return lambda facts: (
        _outside(facts.size_bytes, smallest, largest, TOO_SMALL, TOO_LARGE)
        or _outside(facts.modified, start, last, TOO_OLD, TOO_NEW)
    )


def _outside(value: int | None, least: int | None, most: int | None, below: str, above: str) -> str | None:
    if value is None:
        return None
    if least is not None and value < least:
        return below
    return above if most is not None and value > most else None


def _time(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)


def _condition(rule: Any, now: datetime | None) -> _Condition:
    if isinstance(rule, AllOfRule | AnyOfRule):
        conditions = [_condition(one, now) for one in rule.rules]
        return partial(_all_of if isinstance(rule, AllOfRule) else _any_of, conditions)
    if isinstance(rule, DateRule):
        return _of_file(_date(rule, now))
    return _CONDITIONS[rule.type](rule)


def _all_of(conditions: Sequence[_Condition], facts: Facts) -> bool | None:
    answers = [condition(facts) for condition in conditions]
    return False if False in answers else None if None in answers else True


def _any_of(conditions: Sequence[_Condition], facts: Facts) -> bool | None:
    answers = [condition(facts) for condition in conditions]
    return True if True in answers else None if None in answers else False


def _of_path(matches: Callable[[PathParts], bool]) -> _Condition:
    return lambda facts: matches(facts.path)


def _of_file(condition: _Condition) -> _Condition:
    """Asked about a folder, the answer is no."""
    return lambda facts: condition(facts) if facts.kind is EntryKind.FILE else False


def _regex(rule: RegexRule) -> _Condition:
    found = regex_matcher(rule.patterns, case_sensitive=rule.case_sensitive)
    if rule.match is RegexPlace.NAME:
        return lambda facts: found(facts.path[-1])
    return lambda facts: found("/".join(facts.path))


def _pattern(rule: PatternRule) -> _Condition:
    matches = simple_matcher([rule.text])
    both = PatternPlace.ALL in rule.targets
    folders = both or PatternPlace.CONTAINER in rule.targets
    files = both or PatternPlace.ITEM in rule.targets

    def condition(facts: Facts) -> bool:
        names = facts.path
        if facts.kind is EntryKind.FILE:
            if files and matches(names[-1]):
                return True
            names = names[:-1]
        return folders and any(map(matches, names))

    return condition


def _extension(rule: ExtensionRule) -> _Condition:
    return _of_file(_ends_with(rule.extensions))


def _ends_with(extensions: Sequence[str]) -> _Condition:
    ends = tuple(f".{comparable(one)}" for one in extensions)
    return lambda facts: comparable(facts.path[-1]).endswith(ends)


def _group(rule: GroupRule) -> _Condition:
    types = [GROUPS[group] for group in rule.groups]
    ends = _ends_with([one for group in types for one in group.extensions])
    named = glob_matcher([one for group in types for one in group.patterns])
    return _of_file(lambda facts: ends(facts) or named(facts.path))


def _path(rule: PathRule) -> _Condition:
    wanted = [tuple(map(comparable, path.split("/"))) for path in rule.paths]

    def condition(facts: Facts) -> bool:
        path = tuple(map(comparable, facts.path))
        return any(path[: len(one)] == one for one in wanted)

    return condition


def _size(rule: SizeRule) -> _Condition:
    return _of_file(lambda facts: _between(facts.size_bytes, rule.min_bytes, rule.max_bytes))


def _between(value: int | None, least: int | None, most: int | None) -> bool | None:
    if value is None:
        return None
    return (least is None or value >= least) and (most is None or value <= most)


def _date(rule: DateRule, now: datetime | None) -> _Condition:
    start, end = _time(rule.after), _time(rule.before)
    if rule.within_last is not None:
        if now is None:
            raise ConfigurationError("bad-filter", "A filter's sliding date is asked for without a time of the plan.")
        start = microseconds(_before(now, rule.within_last, rule.unit))
    last = None if end is None else end - 1
    created, modified = DateOf.CREATED_ON in rule.targets, DateOf.MODIFIED_ON in rule.targets

    def condition(facts: Facts) -> bool | None:
        answers = [
            _between(time, start, last)
            for time, asked in ((facts.created, created), (facts.modified, modified))
            if asked
        ]
        return True if True in answers else None if None in answers else False

    return condition


def _before(now: datetime, count: int, unit: DateUnit) -> datetime:
    """So much before `now`; a day that the month does not have is its last; never before the year 1."""
    now = now.astimezone(UTC)
    try:
        if unit in (DateUnit.DAY, DateUnit.WEEK):
            return now - timedelta(days=count * (7 if unit is DateUnit.WEEK else 1))
        months = now.year * 12 + now.month - 1 - count * (12 if unit is DateUnit.YEAR else 1)
        first = now.replace(year=months // 12, month=months % 12 + 1, day=1)
    except (OverflowError, ValueError):
        return datetime.min.replace(tzinfo=UTC)
    following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first.replace(day=min(now.day, (following - timedelta(days=1)).day))


def _hidden(facts: Facts) -> bool:
    return any(part.startswith(HIDDEN_PREFIXES) or part.lower() in HIDDEN_NAMES for part in facts.path)


def _author(rule: AuthorRule) -> _Condition:
    matches = simple_matcher(rule.authors)
    return _of_file(lambda facts: None if facts.created_by is None else matches(facts.created_by))


def _glob(rule: GlobRule) -> _Condition:
    return _of_path(glob_matcher(rule.patterns))


_CONDITIONS: dict[str, Callable[[Any], _Condition]] = {
    "glob": _glob,
    "regex": _regex,
    "pattern": _pattern,
    "extension": _extension,
    "group": _group,
    "path": _path,
    "size": _size,
    "author": _author,
    "hidden": lambda _: _hidden,
    "private": lambda _: lambda facts: facts.private,
    "locked": lambda _: _of_file(lambda facts: facts.locked),
}
