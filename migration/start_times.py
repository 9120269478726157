"""When a schedule starts runs, as cron expressions or a plain interval. Pure; the run itself minds its window."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from migration.schedules import Schedule, ScheduleMode, span_seconds, weekdays

DEFAULT_MINUTES = 15
"""How often a schedule without times starts a run, as DryvIQ's does."""
CRONS_MAX = 12
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields, days of the week as numbers with Sunday = 0."""

    expression: str


@dataclass(frozen=True, slots=True)
class Every:
    """So many seconds apart, counted from `anchor` (with its zone)."""

    seconds: int
    anchor: datetime


def start_times(schedule: Schedule) -> tuple[Cron | Every, ...]:
    """When runs are started by themselves; () for a job that only people start.

    Times that no small number of cron expressions tells are started by a plain interval; those of them that are
    outside of the window do not run then, and `repeat_count` is not looked at.
    """
    if schedule.mode is ScheduleMode.MANUAL:
        return ()
    minutes, anchor = _interval_minutes(schedule), schedule.run_at or schedule.start_window or time(0)
    if minutes > _DAY_MINUTES:
        return (_every(schedule, minutes, anchor),)
    first = anchor.hour * 60 + anchor.minute
    starts = range(first, first + _span_minutes(schedule, first), minutes)[: schedule.repeat_count]
    crons = _crons(list(starts), weekdays(schedule.days))
    return crons if len(crons) <= CRONS_MAX else (_every(schedule, minutes, anchor),)


def _interval_minutes(schedule: Schedule) -> int:
    if schedule.repeat_interval is not None:
        return span_seconds(schedule.repeat_interval) // 60
    return _DAY_MINUTES if schedule.run_at is not None else DEFAULT_MINUTES


def _span_minutes(schedule: Schedule, first: int) -> int:
    """How long after the first start of a day others may follow."""
    if schedule.end_window is None:
        return _DAY_MINUTES - first
    return (schedule.end_window.hour * 60 + schedule.end_window.minute - first) % _DAY_MINUTES


def _every(schedule: Schedule, minutes: int, anchor: time) -> Every:
    begins = schedule.start_date or date(2024, 1, 1)
    return Every(int(timedelta(minutes=minutes).total_seconds()), datetime.combine(begins, anchor, schedule.zone))


def _crons(starts: list[int], days: frozenset[int]) -> tuple[Cron, ...]:
    """The fewest expressions: hours with the same minutes share one; what is past midnight is on the days after."""
    by_hour: dict[tuple[int, int], list[int]] = defaultdict(list)
    for start in starts:
        by_hour[start // _DAY_MINUTES, start % _DAY_MINUTES // 60].append(start % 60)
    hours: dict[tuple[int, tuple[int, ...]], list[int]] = defaultdict(list)
    for (later, hour), minutes in by_hour.items():
        hours[later, tuple(minutes)].append(hour)
    return tuple(
        Cron(f"{_listed(minutes, 60)} {_listed(on, 24)} * * {_days(days, later)}")
        for (later, minutes), on in hours.items()
    )


def _days(days: frozenset[int], later: int) -> str:
    return _listed(sorted((day + later + 1) % 7 for day in days), 7)


def _listed(numbers: list[int] | tuple[int, ...], all_of_them: int) -> str:
    return "*" if len(numbers) == all_of_them else ",".join(map(str, numbers))
