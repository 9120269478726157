"""How many bytes a second a job may move, by the clock: an office works by day, its files are copied by night."""

from datetime import datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from migration.clock import Clock
from migration.job_model import JobModel
from migration.schedules import Days, DayTime, SomeDays
from migration.windows import daily

_DAY = timedelta(days=1)


class BandwidthWindow(JobModel):
    """Another limit at some times."""

    days: SomeDays = Field(default=(Days.EVERYDAY,), title="Days", description="everyday, weekdays, or days by name.")
    start_time: DayTime | None = Field(default=None, title="From", description="HH:MM in the schedule's time zone.")
    end_time: DayTime | None = Field(default=None, title="To", description="HH:MM; earlier = on the next day.")
    bytes_per_second: int | None = Field(
        default=None, ge=1, title="Bytes a second", description="Not said: no limit in this window."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.start_time is None) != (self.end_time is None):
            raise ValueError("start_time and end_time go together; without both the whole day is meant")
        return self


class BandwidthLimit(JobModel):
    """How fast content moves in one direction, over all files of a run together."""

    bytes_per_second: int | None = Field(
        default=None, ge=1, title="Bytes a second", description="Outside of all windows. Not said: no limit."
    )
    window: tuple[BandwidthWindow, ...] = Field(
        default=(), title="Windows", description="Other limits at some times; the first that is open holds."
    )

    @property
    def is_one(self) -> bool:
        """Whether anything is ever limited."""
        return self.bytes_per_second is not None or any(one.bytes_per_second for one in self.window)


def rate_at(limit: BandwidthLimit, zone: ZoneInfo, now: datetime) -> int | None:
    """Bytes per second at this moment, None = no limit. Pure."""
    today = now.astimezone(zone).date()
    for window in limit.window:
        dates = [today - _DAY, today, today + _DAY]
        spans = daily(window.days, window.start_time, window.end_time, zone, dates)
        if any(opens <= now < closes for opens, closes in spans):
            return window.bytes_per_second
    return limit.bytes_per_second


class RateByClock:
    """The limit as it is now; looked up once a second at most, since it is asked for every piece of content."""

    def __init__(self, limit: BandwidthLimit, zone: ZoneInfo, clock: Clock) -> None:
        self._limit = limit
        self._zone = zone
        self._clock = clock
        self._looked_at: float | None = None
        self._rate: int | None = None

    def __call__(self) -> float | None:
        """Bytes per second, None = no limit."""
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at >= 1.0:
            self._rate, self._looked_at = rate_at(self._limit, self._zone, self._clock.now()), now
        return self._rate
