"""When a job may run and when it is started by itself: the operator's words, as fields of a job.

Field names and values are DryvIQ's where it has them. What follows from them is decided in migration/windows.py (may it
run now) and migration/start_times.py (when is it started).
"""

import re
from datetime import date, time
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from migration.job_model import JobModel

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhd])")


class Days(StrEnum):
    """On which days of the week."""

    EVERYDAY = "everyday"
    WEEKDAYS = "weekdays"
    WEEKENDS = "weekends"
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


_MEANT = {Days.EVERYDAY: range(7), Days.WEEKDAYS: range(5), Days.WEEKENDS: range(5, 7)} | {
    day: range(number, number + 1) for number, day in enumerate(list(Days)[3:])
}


def weekdays(days: tuple[Days, ...]) -> frozenset[int]:
    """The days of the week that are meant, Monday = 0."""
    return frozenset(number for day in days for number in _MEANT[day])


class ScheduleMode(StrEnum):
    """Who starts the job's runs."""

    AUTO = "auto"
    """The schedule."""
    MANUAL = "manual"
    """A person or a program."""


class ScheduleStatus(StrEnum):
    """Whether the schedule begins by itself."""

    START = "start"
    PAUSED = "paused"
    """The first run waits for a person to start it."""


def _of_the_wall(value: time) -> time:
    if value.tzinfo is not None or value.second or value.microsecond:
        raise ValueError("a time of the day is written as HH:MM, without seconds; its zone is the job's time_zone")
    return value


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, KeyError, ValueError):
        raise ValueError(f"'{name}' is not a time zone; write it as Europe/Berlin or America/New_York") from None
    return name


def _longer_than_nothing(text: str) -> str:
    if not _SPAN.fullmatch(text):
        raise ValueError(f"'{text}' is not a span of time; write it as 90s, 15m, 2h or 1d")
    return text


def _words(value: object) -> object:
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


SomeDays = Annotated[tuple[Days, ...], BeforeValidator(_words), Field(min_length=1)]
"""Days as a list, or as one text with commas."""
DayTime = Annotated[time, AfterValidator(_of_the_wall)]
Span = Annotated[str, AfterValidator(_longer_than_nothing)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]


def span_seconds(text: str) -> int:
    """The seconds of a span such as 15m or 2h."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a span of time")
    return int(found[1]) * _UNIT_SECONDS[found[2]]


class Schedule(JobModel):
    """When a job runs. Days, dates and windows hold for every run, however it was started."""

    mode: ScheduleMode = Field(
        default=ScheduleMode.MANUAL, title="Started by", description="auto = by this schedule, manual = by a person."
    )
    status: ScheduleStatus = Field(
        default=ScheduleStatus.START,
        title="At first",
        description="start = the schedule begins by itself, paused = the first run waits for a person.",
    )
    days: SomeDays = Field(
        default=(Days.EVERYDAY,),
        title="Days",
        description="everyday, weekdays, weekends, or days by name. A window that goes past midnight belongs to the "
        "day on which it opens.",
    )
    start_date: date | None = Field(default=None, title="From", description="The first day.")
    end_date: date | None = Field(default=None, title="To", description="The last day.")
    start_window: DayTime | None = Field(
        default=None, title="Window opens", description="HH:MM. Outside of the window no run goes on."
    )
    end_window: DayTime | None = Field(
        default=None, title="Window closes", description="HH:MM; earlier than the opening = on the next day."
    )
    run_at: DayTime | None = Field(
        default=None, title="Run at", description="HH:MM. Instead of a window: the time at which a run is started."
    )
    repeat_interval: Span | None = Field(
        default=None,
        title="Again every",
        description="A span such as 15m, 1h or 1d, at least a minute. Not said: every 15 minutes, or once with run_at.",
    )
    repeat_count: int | None = Field(
        default=None, ge=1, title="At most so often", description="Starts per window, or per day without one."
    )
    max_execution: Span | None = Field(
        default=None,
        title="Longest run",
        description="A span such as 2h: a run that takes longer stops and is continued.",
    )
    time_zone: TimeZone = Field(
        default="UTC", title="Time zone", description="In which all these times are meant, e.g. Europe/Berlin."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.start_window is None) != (self.end_window is None):
            raise ValueError("start_window and end_window go together")
        if self.start_window is not None and self.run_at is not None:
            raise ValueError("give either a window or run_at, not both")
        if self.start_window is not None and self.start_window == self.end_window:
            raise ValueError("start_window and end_window are the same; leave both out to allow the whole day")
        if self.start_date and self.end_date and self.end_date < self.start_date:
            raise ValueError("end_date is before start_date")
        if self.repeat_interval is not None and span_seconds(self.repeat_interval) < 60:
            raise ValueError("repeat_interval is shorter than a minute")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.time_zone)
