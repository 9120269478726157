"""What a connector needs to know of the call budget. Who keeps it (Prefect's concurrency limits) lives in tasks/."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RateLimitReading:
    """What one answer said about a rate limit (Procore: X-Rate-Limit-Limit, -Remaining, -Reset).

    Which window is meant (hourly or spike) is not stated by Procore; `limit` and the distance to `reset_at` tell.
    `server_now` is the answer's own Date header, so that clock skew between machines can be removed; None if absent.
    """

    limit: int
    remaining: int
    reset_at: datetime
    server_now: datetime | None


class CallBudget(Protocol):
    """The right to make calls. Shared by every connector instance that uses the same client of the same system."""

    async def take(self, calls: int = 1) -> None:
        """Return when `calls` calls may be made now; they count as spent whether or not they are made.

        Waits for the short (spike) window itself. Raises BudgetExhausted when the hourly allowance is used up and the
        job said `stop`; waits for it when the job said `wait`.
        """
        ...

    async def observe(self, reading: RateLimitReading) -> None:
        """Correct the budget by what the server says (another application may share the client)."""
        ...

    async def refused(self, *, retry_after_seconds: float | None, reading: RateLimitReading | None) -> None:
        """The server answered 429 or 503: no call of this client is to be made until the time it named.

        Waits when that time is near (a spike window, a short Retry-After); raises BudgetExhausted when it is the hourly
        window and the job said `stop`.
        """
        ...

    @property
    def calls_taken(self) -> int:
        """Calls granted through this object since it was made."""
        ...


class UnlimitedBudget:
    """For systems that do not count calls: grants everything and counts."""

    def __init__(self) -> None:
        self._calls_taken = 0

    async def take(self, calls: int = 1) -> None:
        self._calls_taken += calls

    async def observe(self, reading: RateLimitReading) -> None:
        """Nothing to correct."""

    async def refused(self, *, retry_after_seconds: float | None, reading: RateLimitReading | None) -> None:
        """Nothing is shared, so there is nobody to hold back; the caller's own retry waits."""

    @property
    def calls_taken(self) -> int:
        return self._calls_taken
