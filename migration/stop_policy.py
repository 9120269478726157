"""When a job is complete: after so many runs, unchanged runs or failures, or on a date. Pure.

What counts is a run that came to its end. One that stopped (budget, window, a signal) is continued by the next and
counts once, when it is finished; one that could not start does not count at all.
"""

from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from pydantic import Field

from migration.job_model import JobModel


class StopPolicy(JobModel):
    """After what a job is complete. The first that is reached counts; nothing given = never."""

    executions: int | None = Field(default=None, ge=1, title="Runs", description="After so many runs.")
    no_changes: int | None = Field(
        default=None,
        ge=1,
        title="Runs without changes",
        description="After so many runs in which nothing was to be done; not necessarily one after the other.",
    )
    failures: int | None = Field(
        default=None,
        ge=1,
        title="Failed runs",
        description="After so many runs that an error stopped; one that could not start does not count.",
    )
    on_date: date | None = Field(
        default=None, title="On a date", description="From the beginning of this day on, in the schedule's time zone."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What a job has behind it since it began or was last resumed."""

    executions: int = 0
    no_changes: int = 0
    failures: int = 0
    begun_by_person: bool = False
    """Whether a schedule that was to start paused has been let go."""
    resumed_on: date | None = None
    """When a person last resumed the job; a date of the stop policy that had passed by then is past."""

    def counted(self, *, changed: bool) -> "Counters":
        """After one more run that was finished."""
        return replace(self, executions=self.executions + 1, no_changes=self.no_changes + (not changed))

    def failed(self) -> "Counters":
        """After one more run that an error stopped."""
        return replace(self, executions=self.executions + 1, failures=self.failures + 1)

    def resumed(self, today: date) -> "Counters":
        """After a person said that the job is to go on."""
        return Counters(begun_by_person=True, resumed_on=today)

    def to_json(self) -> dict[str, Any]:
        """What executions.json and `sitehaul status --json` hold."""
        return {**asdict(self), "resumed_on": self.resumed_on.isoformat() if self.resumed_on else None}


def reached(policy: StopPolicy, counters: Counters, today: date) -> str | None:
    """Why the job is complete, for people; None while it is not. `today` is in the job's time zone."""
    limits = (
        (counters.executions, policy.executions, "run"),
        (counters.no_changes, policy.no_changes, "run without changes"),
        (counters.failures, policy.failures, "failed run"),
    )
    for count, limit, what in limits:
        if limit is not None and count >= limit:
            return f"after {_counted(count, what)}"
    if policy.on_date is not None and policy.on_date <= today:
        past = counters.resumed_on is not None and policy.on_date <= counters.resumed_on
        return None if past else f"on {policy.on_date}"
    return None


def progress(policy: StopPolicy, counters: Counters) -> str:
    """How far the job is on the way to its end, for people; "" without a stop policy."""
    limits = (
        (counters.executions, policy.executions, "runs"),
        (counters.no_changes, policy.no_changes, "runs without changes"),
        (counters.failures, policy.failures, "failed runs"),
    )
    words = [f"{count} of {limit} {what}" for count, limit, what in limits if limit is not None]
    if policy.on_date is not None:
        words.append(f"until {policy.on_date}")
    return ", ".join(words)


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what.replace('run', 'runs', 1)}"
