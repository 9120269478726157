"""Every error of SiteHaul, grouped by what the caller does about it.

    SiteHaulError
    ├── ConfigurationError      do not start; the operator changes a setting
    ├── PlanError               do not start; analyze and plan again
    ├── RetryableError          try again, after `retry_after_seconds` when the system said so
    ├── ItemError               this entry ends (flagged), the run goes on
    │   └── PreconditionFailed  the destination is not as the plan saw it
    ├── FatalError              stop the run; what is done stays done
    └── ContractViolation       a bug in SiteHaul or in a connector

StoppedResumable is not an error: the run used up its budget or time and the next run continues there.
`code` is stable and machine-readable (ledger, reports); the message is one sentence for a person; `fix` says what to
do.
"""

from datetime import datetime


class SiteHaulError(Exception):
    """Base of all errors; `code` is stable kebab-case, `fix` is a sentence telling the operator what to do or None."""

    def __init__(self, code: str, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix


class ConfigurationError(SiteHaulError):
    """A setting, connection or job is wrong; nothing was started."""


class PlanError(SiteHaulError):
    """A plan cannot be made or no longer matches its inputs; nothing was started."""


class RetryableError(SiteHaulError):
    """A passing fault. `retry_after_seconds` is None when the system did not say."""

    def __init__(
        self, code: str, message: str, *, fix: str | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(code, message, fix=fix)
        self.retry_after_seconds = retry_after_seconds


class ItemError(SiteHaulError):
    """This entry cannot be done and trying again will not help; the run goes on."""


class PreconditionFailed(ItemError):
    """The destination's state differs from the one the plan saw; nothing was overwritten."""


class FatalError(SiteHaulError):
    """The run cannot go on (credentials refused, disk full, server gone); what is recorded stays valid."""


class ContractViolation(SiteHaulError):
    """A connector or the engine broke its own promise; always a bug."""


class StoppedResumable(Exception):
    """The run stops here and the next one continues; `resume_at` (UTC) is when that makes sense, None = at once."""

    def __init__(self, reason: str, *, resume_at: datetime | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.resume_at = resume_at


class BudgetExhausted(StoppedResumable):
    """The hourly call budget is used up and the job's `on_budget_exhausted` is `stop`."""
