from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from migration.bandwidth import BandwidthLimit, rate_at
from migration.schedules import Schedule
from migration.start_times import Cron, Every, start_times
from migration.windows import Closed, Open, allowed, described, moment

BERLIN = ZoneInfo("Europe/Berlin")
"""Clocks go forward on 2026-03-29 (02:00 to 03:00) and back on 2026-10-25 (03:00 to 02:00)."""


def at(text: str) -> datetime:
    """Berlin's wall clock; a second "*" = the second time that clocks show it."""
    later = text.endswith("*")
    return datetime.fromisoformat(text.rstrip("*")).replace(tzinfo=BERLIN, fold=int(later)).astimezone(UTC)


def schedule(**fields: Any) -> Schedule:
    return Schedule.model_validate({"time_zone": "Europe/Berlin", **fields})


NIGHT = {"start_window": "22:00", "end_window": "06:00"}
DAY = {"start_window": "08:00", "end_window": "17:30"}
SMALL = {"start_window": "02:15", "end_window": "02:45"}


@pytest.mark.parametrize(
    ("fields", "now", "answer"),
    [
        # 2026-03-02 is a Monday.
        ({}, "2026-03-02 12:00", None),
        (DAY, "2026-03-02 08:00", "until 2026-03-02 17:30"),
        (DAY, "2026-03-02 17:29", "until 2026-03-02 17:30"),
        (DAY, "2026-03-02 17:30", "opens 2026-03-03 08:00"),
        (DAY, "2026-03-02 07:59", "opens 2026-03-02 08:00"),
        (NIGHT, "2026-03-02 23:00", "until 2026-03-03 06:00"),
        (NIGHT, "2026-03-02 05:59", "until 2026-03-02 06:00"),
        (NIGHT, "2026-03-02 06:00", "opens 2026-03-02 22:00"),
        # The night of a weekday goes on into Saturday, the one before Monday does not take place.
        (NIGHT | {"days": "weekdays"}, "2026-03-07 05:00", "until 2026-03-07 06:00"),
        (NIGHT | {"days": "weekdays"}, "2026-03-07 22:30", "opens 2026-03-09 22:00"),
        (NIGHT | {"days": "weekdays"}, "2026-03-02 01:00", "opens 2026-03-02 22:00"),
        ({"days": "weekdays"}, "2026-03-02 12:00", "until 2026-03-07 00:00"),
        ({"days": "weekdays"}, "2026-03-07 12:00", "opens 2026-03-09 00:00"),
        ({"days": "weekends,monday"}, "2026-03-07 12:00", "until 2026-03-10 00:00"),
        ({"days": ["saturday"]}, "2026-03-08 00:00", "opens 2026-03-14 00:00"),
        ({"days": ["weekdays", "weekends"]}, "2026-03-07 12:00", None),
        # Dates.
        ({"start_date": "2026-05-01"}, "2026-03-02 12:00", "opens 2026-05-01 00:00"),
        ({"start_date": "2026-05-01", **NIGHT}, "2026-03-02 23:00", "opens 2026-05-01 22:00"),
        ({"start_date": "2026-05-02", "days": "weekdays"}, "2026-03-02 12:00", "opens 2026-05-04 00:00"),
        ({"end_date": "2026-03-03"}, "2026-03-02 12:00", "until 2026-03-04 00:00"),
        ({"end_date": "2026-03-02", **NIGHT}, "2026-03-03 05:00", "until 2026-03-03 06:00"),
        ({"end_date": "2026-03-02", **NIGHT}, "2026-03-03 22:00", "never"),
        ({"end_date": "2026-03-01"}, "2026-03-02 12:00", "never"),
        ({"run_at": "22:00", "days": "monday"}, "2026-03-03 12:00", None),
        ({"run_at": "22:00", "end_date": "2026-03-03"}, "2026-03-03 12:00", "until 2026-03-04 00:00"),
        # The longest run.
        ({"max_execution": "90m"}, "2026-03-02 12:00", "until 2026-03-02 13:30"),
        (DAY | {"max_execution": "2h"}, "2026-03-02 16:00", "until 2026-03-02 17:30"),
        (DAY | {"max_execution": "30m"}, "2026-03-02 16:00", "until 2026-03-02 16:30"),
        # Clocks forward: the night is an hour shorter, a skipped opening is the change itself.
        (NIGHT, "2026-03-28 23:00", "until 2026-03-29 06:00"),
        ({"start_window": "02:30", "end_window": "05:00"}, "2026-03-29 01:30", "opens 2026-03-29 03:00"),
        ({"start_window": "01:00", "end_window": "02:30"}, "2026-03-29 01:30", "until 2026-03-29 03:00"),
        (SMALL, "2026-03-29 01:59", "opens 2026-03-30 02:15"),
        # Clocks back: the repeated hour belongs to the window both times.
        (NIGHT, "2026-10-24 23:00", "until 2026-10-25 06:00"),
        ({"start_window": "01:00", "end_window": "02:30"}, "2026-10-25 01:30", "until 2026-10-25 02:30*"),
        ({"start_window": "02:30", "end_window": "05:00"}, "2026-10-25 02:10", "opens 2026-10-25 02:30"),
        (SMALL, "2026-10-25 02:30", "until 2026-10-25 02:45*"),
    ],
)  # fmt: skip
def test_when_a_job_may_run(fields: dict[str, Any], now: str, answer: str | None) -> None:
    said = allowed(schedule(**fields), at(now))
    if answer == "never":
        assert said == Closed(None)
    elif answer is None:
        assert said == Open(None)
    elif answer.startswith("opens "):
        assert said == Closed(at(answer.removeprefix("opens ")))
    else:
        assert isinstance(said, Open)
        assert said.until == at(answer.removeprefix("until "))
        assert said.why


@pytest.mark.parametrize(
    ("zone", "now", "until"),
    [
        ("America/New_York", "2026-03-02T14:00+00:00", "2026-03-02T22:30+00:00"),
        ("Asia/Kolkata", "2026-03-02T03:00+00:00", "2026-03-02T12:00+00:00"),
        ("UTC", "2026-03-02T09:00+00:00", "2026-03-02T17:30+00:00"),
    ],
)
def test_a_window_is_meant_in_its_time_zone(zone: str, now: str, until: str) -> None:
    said = allowed(schedule(**DAY, time_zone=zone), datetime.fromisoformat(now))
    assert said == Open(datetime.fromisoformat(until), "its window closed")


def test_a_moment_that_clocks_skip_is_the_change_to_the_second() -> None:
    change = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert moment(date(2026, 3, 29), time(2, 30), BERLIN) == change
    assert moment(date(2026, 3, 29), time(2, 30), BERLIN, last=True) == change


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"start_window": "20:00"}, "go together"),
        ({"start_window": "20:00", "end_window": "20:00"}, "are the same"),
        ({**DAY, "run_at": "10:00"}, "not both"),
        ({"start_date": "2026-03-02", "end_date": "2026-03-01"}, "before start_date"),
        ({"run_at": "10:00:30"}, "without seconds"),
        ({"run_at": "10:00+01:00"}, "zone is the job's"),
        ({"time_zone": "Europe/Atlantis"}, "not a time zone"),
        ({"time_zone": "../etc/passwd"}, "not a time zone"),
        ({"max_execution": "2 hours"}, "write it as"),
        ({"repeat_interval": "30s"}, "shorter than a minute"),
        ({"days": []}, "at least 1"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        schedule(**fields)


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({}, ["0,15,30,45 * * * *"]),
        ({"repeat_interval": "1h"}, ["0 * * * *"]),
        ({"repeat_interval": "1d"}, ["0 0 * * *"]),
        ({"run_at": "22:05", "days": "weekdays"}, ["5 22 * * 1,2,3,4,5"]),
        ({"run_at": "22:05", "days": "sunday"}, ["5 22 * * 0"]),
        ({"run_at": "08:00", "repeat_interval": "2h", "repeat_count": 3}, ["0 8,10,12 * * *"]),
        (DAY | {"repeat_interval": "4h", "days": "weekends"}, ["0 8,12,16 * * 0,6"]),
        (NIGHT | {"repeat_interval": "2h", "days": "friday,saturday"}, ["0 22 * * 5,6", "0 0,2,4 * * 0,6"]),
        (NIGHT | {"repeat_count": 1, "days": "sunday"}, ["0 22 * * 0"]),
        ({"start_window": "22:10", "end_window": "23:00", "repeat_interval": "20m"}, ["10,30,50 22 * * *"]),
    ],
)
def test_a_schedule_as_cron_expressions(fields: dict[str, Any], starts: list[str]) -> None:
    assert start_times(schedule(mode="auto", **fields)) == tuple(map(Cron, starts))


def test_what_is_not_a_few_cron_expressions_is_an_interval() -> None:
    midnight = datetime(2026, 5, 1, tzinfo=BERLIN)
    assert start_times(schedule(mode="auto", repeat_interval="2d", start_date="2026-05-01")) == (
        Every(172_800, midnight),
    )
    assert start_times(schedule(mode="auto", repeat_interval="13m", start_date="2026-05-01")) == (Every(780, midnight),)
    assert start_times(schedule(repeat_interval="1h")) == ()


def test_a_schedule_in_words() -> None:
    assert described(schedule(**NIGHT, days="weekdays", end_date="2026-12-31")) == (
        "weekdays 22:00 to 06:00 to 2026-12-31 (Europe/Berlin)"
    )


LIMIT = BandwidthLimit.model_validate(
    {
        "bytes_per_second": 1000,
        "window": [
            {"days": "weekdays", "start_time": "08:00", "end_time": "18:00", "bytes_per_second": 10},
            {"start_time": "22:00", "end_time": "05:00"},
            {"days": ["sunday"], "bytes_per_second": 500},
        ],
    }
)


@pytest.mark.parametrize(
    ("now", "rate"),
    [
        ("2026-03-02 07:59", 1000),
        ("2026-03-02 08:00", 10),
        ("2026-03-02 18:00", 1000),
        ("2026-03-02 23:00", None),
        ("2026-03-03 04:59", None),
        ("2026-03-08 12:00", 500),
        ("2026-03-08 23:00", None),
    ],
)
def test_the_bandwidth_by_the_clock(now: str, rate: int | None) -> None:
    assert rate_at(LIMIT, BERLIN, at(now)) == rate


def test_no_limit_is_said_to_be_none() -> None:
    assert not BandwidthLimit().is_one
    assert LIMIT.is_one
