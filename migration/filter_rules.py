"""What a job says about which entries take part: docs/filters.md for people, migration/filters.py for what it means.

A filter has simple fields for what most jobs need, and a list of rules for the rest. Type names are DryvIQ's without
its prefix `filter_`.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from migration.errors import ConfigurationError
from migration.file_groups import FileGroup
from migration.job_model import JobModel
from migration.patterns import checked_regex, glob_matcher, simple_matcher


class RuleAction(StrEnum):
    """What becomes of what a rule matches."""

    EXCLUDE = "exclude"
    """It is left out."""
    INCLUDE = "include"
    """It takes part, and what the rule does not match is left out."""


class PatternPlace(StrEnum):
    """Which names a pattern is compared with; the words are DryvIQ's."""

    ALL = "all"
    CONTAINER = "container"
    """Those of the folders on the way to an entry (a folder itself, too)."""
    ITEM = "item"
    """Those of files."""


class RegexPlace(StrEnum):
    """What a regular expression is looked for in."""

    NAME = "name"
    PATH = "path"
    """All names from the job's source folder downwards, joined by `/`."""


class DateOf(StrEnum):
    """Which time of a file a date rule looks at."""

    CREATED_ON = "created_on"
    MODIFIED_ON = "modified_on"


class DateUnit(StrEnum):
    """What the length of a sliding range is counted in."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


def _understood(check: Callable[[str], object]) -> AfterValidator:
    def checked(pattern: str) -> str:
        try:
            check(pattern)
        except ConfigurationError as error:
            raise ValueError(error.message) from None
        return pattern

    return AfterValidator(checked)


def _extension(text: str) -> str:
    bare = text.strip().removeprefix("*").removeprefix(".")
    if not bare or re.search(r"[*?/\\;]", bare):
        raise ValueError(f"{text!r} is no file extension; write one like dwg or tar.gz")
    return bare


def _path(text: str) -> str:
    parts = [part for part in text.split("/") if part]
    if not parts or {".", ".."}.intersection(parts):
        raise ValueError(f"{text!r} names nothing below the job's folder; write a path like Drawings/Old")
    return "/".join(parts)


def _start_of_day(value: object) -> object:
    """A date without a time is its midnight in UTC."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return f"{value}T00:00:00Z"
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def _in_some_zone(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"the time {moment.isoformat()} has no time zone; add a Z for UTC")
    return moment


Glob = Annotated[str, _understood(lambda pattern: glob_matcher([pattern]))]
Moment = Annotated[datetime, BeforeValidator(_start_of_day), AfterValidator(_in_some_zone)]


class _Rule(JobModel):
    action: RuleAction = Field(
        default=RuleAction.EXCLUDE,
        title="Action",
        description="exclude = leave out what matches; include = leave out what does not match.",
    )


class GlobRule(_Rule):
    """Paths, by globs."""

    type: Literal["glob"]
    patterns: list[Glob] = Field(
        min_length=1, title="Patterns", description="As in include and exclude, e.g. Drawings/** or *.pdf."
    )


class RegexRule(_Rule):
    """Names or paths, by Python's regular expressions."""

    type: Literal["regex"]
    patterns: list[Annotated[str, _understood(checked_regex)]] = Field(
        min_length=1, title="Regular expressions", description="One of them has to be found, anywhere in the text."
    )
    match: RegexPlace = Field(
        default=RegexPlace.NAME, title="Looked for in", description="name = the entry's own name, path = all names."
    )
    case_sensitive: bool = Field(default=False, title="Case counts", description="Whether A and a are different.")


class PatternRule(_Rule):
    """Names, by DryvIQ's patterns."""

    type: Literal["pattern"]
    text: Annotated[str, _understood(lambda text: simple_matcher([text]))] = Field(
        title="Pattern", description="* stands for anything, ; separates several: *.bak;~$*"
    )
    targets: list[PatternPlace] = Field(
        default=[PatternPlace.ALL],
        min_length=1,
        title="Compared with",
        description="container = folders' names (and everything in them), item = files' names, all = both.",
    )


class ExtensionRule(_Rule):
    """Files, by the ends of their names."""

    type: Literal["extension"]
    extensions: list[Annotated[str, AfterValidator(_extension)]] = Field(
        min_length=1, title="Extensions", description="With or without the dot: dwg, tar.gz."
    )


class GroupRule(_Rule):
    """Files, by groups of types."""

    type: Literal["group"]
    groups: list[FileGroup] = Field(
        min_length=1, title="Groups", description="Groups of file types such as drawings, models, temporary."
    )


class PathRule(_Rule):
    """Specific files or folders, with everything in them."""

    type: Literal["path"]
    paths: list[Annotated[str, AfterValidator(_path)]] = Field(
        min_length=1, title="Paths", description="From the job's folder, parts separated by '/': Drawings/Old."
    )


class SizeRule(_Rule):
    """Files of these sizes, both limits included."""

    type: Literal["size"]
    min_bytes: int | None = Field(default=None, ge=0, title="At least", description="In bytes.")
    max_bytes: int | None = Field(default=None, ge=0, title="At most", description="In bytes.")

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min_bytes is None and self.max_bytes is None:
            raise ValueError("a size rule needs min_bytes, max_bytes or both")
        _check_sizes("min_bytes", self.min_bytes, "max_bytes", self.max_bytes)
        return self


class DateRule(_Rule):
    """Files of these times: the last so many days, weeks, months or years before the plan is made, or a fixed range."""

    type: Literal["date"]
    targets: list[DateOf] = Field(
        default=[DateOf.MODIFIED_ON],
        min_length=1,
        title="Which time",
        description="created_on, modified_on, or both: then one of them has to be in the range.",
    )
    within_last: int | None = Field(
        default=None, ge=1, le=10_000, title="Within the last", description="So many days, or what unit says."
    )
    unit: DateUnit = Field(default=DateUnit.DAY, title="Unit", description="day, week, month or year.")
    after: Moment | None = Field(default=None, title="From", description="At or after this time (UTC).")
    before: Moment | None = Field(default=None, title="To", description="Before this time (UTC).")

    @model_validator(mode="after")
    def _is_one_range(self) -> Self:
        fixed = self.after is not None or self.before is not None
        if fixed == (self.within_last is not None):
            raise ValueError("a date rule needs either within_last, or after, before or both of these")
        if self.after is not None and self.before is not None and self.after >= self.before:
            raise ValueError("after is not earlier than before, so no file could match")
        return self


class HiddenRule(_Rule):
    """What is hidden: names that begin with a dot or ~$, Thumbs.db, desktop.ini, and what is in hidden folders."""

    type: Literal["hidden"]


class PrivateRule(_Rule):
    """What the source marks as private."""

    type: Literal["private"]


class LockedRule(_Rule):
    """Files that somebody has checked out."""

    type: Literal["locked"]


class AuthorRule(_Rule):
    """Files by who made them, as the source names people."""

    type: Literal["author"]
    authors: list[Annotated[str, _understood(lambda author: simple_matcher([author]))]] = Field(
        min_length=1, title="Authors", description="Names or addresses; * stands for anything: *@builder.example."
    )


_OneRule = (
    GlobRule
    | RegexRule
    | PatternRule
    | ExtensionRule
    | GroupRule
    | PathRule
    | SizeRule
    | DateRule
    | HiddenRule
    | PrivateRule
    | LockedRule
    | AuthorRule
)
SimpleRule = Annotated[_OneRule, Field(discriminator="type")]


class _Combined(_Rule):
    rules: list[SimpleRule] = Field(min_length=1, title="Rules", description="Of any other type.")

    @model_validator(mode="before")
    @classmethod
    def _action_is_said_once(cls, values: Any) -> Any:
        """The rules inside take the action of the whole."""
        if not isinstance(values, dict) or not isinstance(values.get("rules"), list):
            return values
        action = {"action": values.get("action", RuleAction.EXCLUDE)}
        return {**values, "rules": [{**action, **one} if isinstance(one, dict) else one for one in values["rules"]]}

    @model_validator(mode="after")
    def _actions_agree(self) -> Self:
        for place, one in enumerate(self.rules):
            if one.action is not self.action:
                raise ValueError(
                    f"rules.{place}.action is {one.action.value}, but the rule it is a part of says "
                    f"{self.action.value}; leave it out"
                )
        return self


class AllOfRule(_Combined):
    """What all of these rules match."""

    type: Literal["all_of"]


class AnyOfRule(_Combined):
    """What at least one of these rules matches."""

    type: Literal["any_of"]


FilterRule = Annotated[_OneRule | AllOfRule | AnyOfRule, Field(discriminator="type")]
"""One rule, told by its `type`."""


class Conditions(JobModel):
    """Which entries of one side take part. An exclude beats an include; no include means everything."""

    include: list[Glob] = Field(
        default_factory=list, title="Include", description="Glob patterns of paths, e.g. Drawings/** or *.pdf."
    )
    exclude: list[Glob] = Field(
        default_factory=list, title="Exclude", description="Glob patterns of paths to leave out, e.g. **/*.tmp."
    )
    min_size_bytes: int | None = Field(default=None, ge=0, title="Smallest size", description="In bytes.")
    max_size_bytes: int | None = Field(default=None, ge=0, title="Largest size", description="In bytes.")
    modified_from: Moment | None = Field(
        default=None, title="Modified from", description="Only files changed at or after this time (UTC)."
    )
    modified_to: Moment | None = Field(
        default=None, title="Modified to", description="Only files changed before this time (UTC)."
    )
    rules: list[FilterRule] = Field(
        default_factory=list,
        title="Rules",
        description="By extension, group, size, date, author and more. Each exclude counts for itself, all includes "
        "have to hold together.",
    )

    @field_validator("max_size_bytes")
    @classmethod
    def _range_is_not_empty(cls, largest: int | None, info: Any) -> int | None:
        _check_sizes("min_size_bytes", info.data.get("min_size_bytes"), "max_size_bytes", largest)
        return largest


class Filter(Conditions):
    """Which files take part. What it says holds for both sides, unless the destination has a filter of its own."""

    destination: Conditions | None = Field(
        default=None,
        title="Filter of the destination",
        description="For two-way jobs: which of the destination's files take part. Without it the same as above.",
    )

    @property
    def of_destination(self) -> Conditions:
        """What holds for the destination's entries."""
        return self if self.destination is None else self.destination


def _check_sizes(least: str, smallest: int | None, most: str, largest: int | None) -> None:
    if smallest is not None and largest is not None and smallest > largest:
        raise ValueError(f"{least} ({smallest}) is larger than {most} ({largest}), so no file could match")
