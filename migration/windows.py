"""May a job run now, and until when. Pure: schedule and time in, answer out; right on days of 23 or 25 hours.

A window is opened by the first clock that shows its opening and closed by the last that shows its closing: when clocks
are put back, a window over the repeated hour is longer. A time that is skipped when clocks are put forward is the
moment at which they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from migration.schedules import Days, Schedule, span_seconds, weekdays

_AROUND = timedelta(days=8)
"""So far before and after a moment lies what decides it: every day of the week comes, and a window spans a midnight."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Open:
    """It may run, until then (UTC; None = for ever)."""

    until: datetime | None
    why: str = ""
    """What ends it then, for people; "" if nothing does."""


@dataclass(frozen=True, slots=True)
class Closed:
    """It may not run; `opens_at` (UTC) is when it may, None = never again."""

    opens_at: datetime | None


def allowed(schedule: Schedule, now: datetime) -> Open | Closed:
    """Whether a run may begin or go on now, and what ends that. Days and windows hold whoever starts it; `run_at` is no
    window, so with it only the dates do."""
    for opens, closes in _spans(schedule, now):
        if closes is not None and closes <= now:
            continue
        if opens is not None and opens > now:
            return Closed(opens)
        return _not_longer_than(schedule, now, Open(closes, "its window closed" if closes else ""))
    return Closed(None)


def _not_longer_than(schedule: Schedule, now: datetime, answer: Open) -> Open:
    if schedule.max_execution is None:
        return answer
    latest = now + timedelta(seconds=span_seconds(schedule.max_execution))
    if answer.until is not None and answer.until <= latest:
        return answer
    return Open(latest, f"one run may take {schedule.max_execution} at most")


def _spans(schedule: Schedule, now: datetime) -> Iterator[tuple[datetime | None, datetime | None]]:
    """When it may run, in order; None = unbounded. Those that ended long before now are left out."""
    zone, start, end = schedule.zone, schedule.start_date, schedule.end_date
    if schedule.start_window is None and (schedule.run_at or len(weekdays(schedule.days)) == 7):
        yield (
            moment(start, time(0), zone) if start else None,
            moment(end + _DAY, time(0), zone) if end else None,
        )
        return
    around = now.astimezone(zone).date()
    if start is not None:
        around = max(around, start)
    dates = (around + _DAY * offset for offset in range(-_AROUND.days, _AROUND.days + 1))
    taking_part = [one for one in dates if (start is None or start <= one) and (end is None or one <= end)]
    yield from daily(schedule.days, schedule.start_window, schedule.end_window, zone, taking_part)


def daily(
    days: tuple[Days, ...], opening: time | None, closing: time | None, zone: ZoneInfo, dates: list[date]
) -> Iterator[tuple[datetime, datetime]]:
    """The windows of those dates that are on these days, in order; without times the whole day. Windows that touch are
    one."""
    wanted = weekdays(days)
    begun: tuple[datetime, datetime] | None = None
    for one in dates:
        if one.weekday() not in wanted:
            continue
        opens = moment(one, opening or time(0), zone)
        next_day = closing is None or (closing <= (opening or time(0)))
        closes = moment(one + _DAY if next_day else one, closing or time(0), zone, last=True)
        if closes <= opens:
            continue
        if begun is not None and opens <= begun[1]:
            begun = (begun[0], max(begun[1], closes))
            continue
        if begun is not None:
            yield begun
        begun = (opens, closes)
    if begun is not None:
        yield begun


def moment(day: date, at: time, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """When the clocks of the zone show this (UTC): the first time, or the last; if they never do, when they skip it."""
    wall = datetime.combine(day, at, zone)
    before, after = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if before <= after:
        return after if last else before
    low, high = after, before  # skipped: the clocks change in between
    offset = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def described(schedule: Schedule) -> str:
    """Days and window in words, e.g. "weekdays 20:00 to 06:00 (Europe/Berlin)"."""
    words = [", ".join(day.value for day in schedule.days)]
    if schedule.start_window is not None and schedule.end_window is not None:
        words.append(f"{schedule.start_window:%H:%M} to {schedule.end_window:%H:%M}")
    if schedule.run_at is not None:
        words.append(f"at {schedule.run_at:%H:%M}")
    if schedule.start_date:
        words.append(f"from {schedule.start_date}")
    if schedule.end_date:
        words.append(f"to {schedule.end_date}")
    return f"{' '.join(words)} ({schedule.time_zone})"
