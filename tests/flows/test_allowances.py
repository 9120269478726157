from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.budget import RateLimitReading
from tasks.allowances import (
    BLOCK_SLOTS_MAX,
    BlockSize,
    Bucket,
    Grants,
    Moment,
    Window,
    Windows,
    hourly_bucket,
    seconds_until_returned,
    spike_bucket,
    window_of,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOWS = Windows()


def moment(seconds: float, *, jumped: float = 0.0) -> Moment:
    return Moment(seconds, NOON + timedelta(seconds=seconds + jumped))


def grants_of(bucket: Bucket, span: float) -> int:
    """The most grants Prefect can give within a span: it counts back whole slots only, from the last grant on."""
    given_at: list[float] = []
    active, updated, now = 0, 0.0, 0.0
    while now <= span:
        back = int(bucket.per_second * (now - updated))
        if max(0, active - back) + 1 <= bucket.burst:
            active, updated = max(0, active - back) + 1, now
            given_at.append(now)
        else:
            now += 0.05
    return len(given_at)


@given(st.integers(1, 300))
def test_no_more_than_the_spike_allowance_passes_in_any_window(calls: int) -> None:
    assert grants_of(spike_bucket(calls, WINDOWS), WINDOWS.spike_seconds) <= calls


@given(st.integers(1, 200))
def test_no_more_than_the_allowance_passes_through_the_bucket_in_an_hour(calls: int) -> None:
    windows = Windows(hourly_seconds=60, hold_seconds=5, travel_seconds=1)
    assert grants_of(hourly_bucket(calls, windows), windows.hourly_seconds) <= calls


def test_nearly_the_whole_hour_is_usable() -> None:
    slots_return_late_by = 6.0
    assert WINDOWS.hourly_seconds / (WINDOWS.lease_seconds + slots_return_late_by) > 0.97


def test_a_slot_returns_only_when_the_call_made_with_it_is_a_window_old() -> None:
    assert WINDOWS.lease_seconds >= WINDOWS.hourly_seconds + WINDOWS.hold_seconds + WINDOWS.travel_seconds


@pytest.mark.parametrize(
    ("later", "left"),
    [(moment(19), 5), (moment(21), 0), (moment(5, jumped=3600), 0), (moment(5, jumped=-3600), 5)],
    ids=["in time", "too late", "after a sleep", "clock set back"],
)
def test_granted_slots_are_usable_for_a_while(later: Moment, left: int) -> None:
    grants = Grants(hold_seconds=20)
    grants.add(moment(0), 5)
    assert grants.available(later) == left


def test_granted_slots_are_spent_oldest_first() -> None:
    grants = Grants(hold_seconds=20)
    grants.add(moment(0), 3)
    grants.add(moment(10), 3)
    grants.spend(4)
    assert grants.available(moment(15)) == 2
    assert grants.available(moment(25)) == 2
    assert grants.available(moment(31)) == 0


@pytest.mark.parametrize(
    ("limit", "pauses", "slots"),
    [
        (3600, [], 1),
        (3600, [0.1], 2),
        (3600, [0.1] * 3, 8),
        (3600, [0.1] * 9, BLOCK_SLOTS_MAX),
        (3600, [0.1] * 9 + [2], BLOCK_SLOTS_MAX),
        (3600, [0.1] * 9 + [5], BLOCK_SLOTS_MAX // 2),
        (3600, [0.1] * 9 + [60], 1),
        (100, [0.1] * 9, 2),
        (1, [0.1] * 9, 1),
    ],
)
def test_blocks_grow_with_the_pace(limit: int, pauses: list[float], slots: int) -> None:
    block = BlockSize(limit)
    for seconds in pauses:
        block.took(seconds)
    assert block.slots == slots


@pytest.mark.parametrize(
    ("ends", "needed", "seconds"),
    [
        ([], 1, None),
        ([(10.0, 5)], 5, 10.0),
        ([(10.0, 5), (20.0, 1)], 6, 20.0),
        ([(10.0, 5)], 6, None),
        ([(-2.0, 5)], 5, 0.0),
        ([(-300.0, 5), (20.0, 1)], 1, 20.0),
    ],
)
def test_when_slots_return(ends: list[tuple[float, int]], needed: int, seconds: float | None) -> None:
    assert seconds_until_returned(ends, needed) == seconds


@pytest.mark.parametrize(
    ("limit", "reset_seconds", "date_known", "window"),
    [
        (3600, 1800, True, Window.HOURLY),
        (3600, 3, True, Window.HOURLY),
        (100, 3, True, Window.SPIKE),
        (600, 1800, True, Window.HOURLY),
        (50, 3, True, Window.SPIKE),
        (1000, 3, True, Window.HOURLY),
        (100, 3600 + 3, False, Window.SPIKE),
        (60, 3600 + 3, False, Window.SPIKE),
        (0, 3, True, Window.SPIKE),
    ],
)
def test_which_window_a_header_means(limit: int, reset_seconds: float, date_known: bool, window: Window) -> None:
    reading = RateLimitReading(limit, 1, NOON + timedelta(seconds=reset_seconds), NOON if date_known else None)
    assert window_of(reading, hourly=3600, spike=100, spike_seconds=10) is window
