"""What Procore's answers say about its rate limits (API.md section 5), and telling the call budget.

Times in the headers are by Procore's clock; the answer's Date header gives that clock, so a wrong clock on this side
changes no wait.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from migration.budget import CallBudget, RateLimitReading
from migration.clock import Clock

WAIT_MAX_SECONDS = 3600.0
"""Nothing at Procore is limited by a longer window."""
FIRST_ANSWER_SECONDS = 2.0
"""How long other downloads wait for the first one's answer, which tells whether they count."""


def server_time(headers: httpx.Headers) -> datetime | None:
    """The answer's Date header; None if it is absent or unreadable."""
    text = headers.get("date")
    if not text:
        return None
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)


def reading_of(headers: httpx.Headers) -> RateLimitReading | None:
    """The X-Rate-Limit headers; None if they are absent or unreadable."""
    limit = headers.get("x-rate-limit-limit")
    if limit is None:
        return None
    try:
        reset_at = datetime.fromtimestamp(float(headers["x-rate-limit-reset"]), UTC)
        return RateLimitReading(int(limit), int(headers["x-rate-limit-remaining"]), reset_at, server_time(headers))
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def wait_seconds(headers: httpx.Headers, clock: Clock, status: int) -> float | None:
    """How long a 429 or 503 asks to wait: the later of Retry-After and (429 only) X-Rate-Limit-Reset; None = unsaid."""
    waits: list[float] = []
    now = server_time(headers) or clock.now()
    retry_after = headers.get("retry-after", "").strip()
    if retry_after.isascii() and retry_after.isdigit():
        waits.append(float(retry_after))
    elif retry_after and (until := server_time(httpx.Headers({"date": retry_after}))):
        waits.append((until - now) / timedelta(seconds=1))
    reading = reading_of(headers)
    if reading is not None and status == 429:
        # Date has whole seconds: one more, so that the window has certainly moved.
        waits.append((reading.reset_at - now) / timedelta(seconds=1) + 1.0)
    return min(max(0.0, *waits), WAIT_MAX_SECONDS) if waits else None


class Meter:
    """Every call passes here before it is made, every answer after."""

    def __init__(self, budget: CallBudget, clock: Clock) -> None:
        self._budget = budget
        self._clock = clock
        self.latest: RateLimitReading | None = None
        self.storage_counts = False
        """Whether an answer of a storage host carried rate headers: downloads are calls then."""
        self._asks_storage = False
        self._storage_answered = asyncio.Event()

    @property
    def calls_taken(self) -> int:
        """Calls taken from the budget so far."""
        return self._budget.calls_taken

    async def before_call(self) -> None:
        """Take one call from the budget; raises BudgetExhausted."""
        await self._budget.take()

    async def before_download(self) -> None:
        """Take one call if downloads count. They are taken to count until an answer has told; one goes ahead to ask."""
        if not self._asks_storage:
            self._asks_storage = True
        elif not self._storage_answered.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_ANSWER_SECONDS):
                    await self._storage_answered.wait()
        if self.storage_counts or not self._storage_answered.is_set():
            await self._budget.take()

    async def after_call(self, headers: httpx.Headers) -> None:
        """Tell the budget what the answer said."""
        reading = reading_of(headers)
        if reading is not None:
            self.latest = reading
            await self._budget.observe(reading)

    async def after_download(self, headers: httpx.Headers) -> None:
        """The same for an answer of a storage host, which tells whether downloads count."""
        self.storage_counts = self.storage_counts or "x-rate-limit-limit" in headers
        self._storage_answered.set()
        if self.storage_counts:
            await self.after_call(headers)

    async def refused_download(self, status: int, headers: httpx.Headers) -> float | None:
        """After a 429 or 503 of a storage host: as `refused` if downloads count, else only how long to wait."""
        if self.storage_counts:
            return await self.refused(status, headers)
        return wait_seconds(headers, self._clock, status)

    async def refused(self, status: int, headers: httpx.Headers) -> float | None:
        """Hold back every call of this client after a 429 or 503; raises BudgetExhausted when that is for long.

        Returns how many seconds are still to be waited by whoever tries again; None = the answer did not say.
        """
        asked = wait_seconds(headers, self._clock, status)
        began = self._clock.monotonic()
        await self._budget.refused(retry_after_seconds=asked, reading=reading_of(headers))
        return None if asked is None else max(0.0, asked - (self._clock.monotonic() - began))
