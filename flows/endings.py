"""How a run ended: one word, one sentence, the numbers; the same for Prefect's UI, the command line and a script."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from migration.errors import SiteHaulError, StoppedResumable
from migration.reconciliation import Reconciliation
from migration.state import RunPaths
from migration.undo import Undone
from tasks.progress import resume_sentence


class EndState(StrEnum):
    """How a run ended, worst last."""

    DONE = "done"
    """Nothing is pending, nothing needs a person."""
    FLAGGED = "flagged"
    """Nothing is pending, some files need a person."""
    PENDING = "pending"
    """Stopped, or files failed for now; the next run continues."""
    WRONG = "wrong"
    """The account does not add up, or verification found differences."""
    FAILED = "failed"
    """An error stopped it; the next run continues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended. `error` is set exactly for FAILED."""

    state: EndState
    sentence: str
    job: str
    run: RunPaths | None = None
    reconciliation: Reconciliation | None = None
    stopped: StoppedResumable | None = None
    error: BaseException | None = None
    calls: int = 0
    seconds: float = 0.0
    undone: Undone | None = None
    """What came of an undo."""

    @property
    def resume_at(self) -> datetime | None:
        """When the next run can go on, None = at once or nothing is left."""
        return self.stopped.resume_at if self.stopped else None

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        account = self.reconciliation
        words: Mapping[str, int] = account.total.files if account else {}
        moved = account.total.bytes if account else {}
        return {
            "job": self.job,
            "run_id": self.run.run_id if self.run else None,
            "folder": str(self.run.folder) if self.run else None,
            "state": self.state.value,
            "message": self.sentence,
            "code": self.error.code if isinstance(self.error, SiteHaulError) else None,
            "source_files": account.total.source_files if account else None,
            "counts": dict(words),
            "bytes": sum(moved.get(word, 0) for word in ("succeeded", "revised")),
            "changes": {side: dict(kinds) for side, kinds in account.changes.items()} if account else None,
            "adds_up": account.adds_up if account else None,
            "verification": dict(account.verification) if account and account.verification is not None else None,
            "calls": self.calls,
            "seconds": round(self.seconds, 3),
            "report": str(self.run.report) if self.run and self.run.report.is_file() else None,
            "resume_at": self.resume_at.isoformat() if self.resume_at else None,
        }


def judged(account: Reconciliation, stopped: StoppedResumable | None) -> tuple[EndState, str]:
    """The word and the sentence for a run that was accounted for. Pure."""
    files = account.total.files
    left = files["pending"] + files["retrying"]
    verified = account.verification or {}
    different = verified.get("differs", 0) + verified.get("missing", 0)
    flagged = files["flagged"]
    done = f"{account.total.source_files - left - flagged:,} of {account.total.source_files:,} files are done"
    done += _also_done(account)
    undone = _count(account, "rename", "flagged") + _count(account, "delete", "flagged")
    if not account.adds_up:
        return EndState.WRONG, f"The account does not add up: {' '.join(account.unexplained)}"
    if different:
        return EndState.WRONG, f"{done}, but verification found {different:,} that differ or are missing."
    if stopped is not None:
        pending = max(left, account.left)
        return EndState.PENDING, f"{pending:,} pending: {stopped.reason}. {resume_sentence(stopped.resume_at)}"
    if files["pending"]:
        return EndState.PENDING, f"{left:,} pending: they have not been reached yet. {resume_sentence(None)}"
    if left:
        return EndState.PENDING, f"{left:,} pending: they failed for a passing reason; the next run tries them again."
    if account.left:
        return EndState.PENDING, f"{account.left:,} renames or deletions are pending; the next run goes on with them."
    if flagged:
        return EndState.FLAGGED, f"{done}; {flagged:,} {'needs' if flagged == 1 else 'need'} a person, see flagged.csv."
    if undone:
        return EndState.FLAGGED, f"{done}; {undone:,} renames or deletions were not made, see flagged.csv."
    return EndState.DONE, f"{done}."


def _also_done(account: Reconciliation) -> str:
    """What was done besides copying."""
    copied = sum(account.changes.get("source", {}).get("copy", {}).get(word, 0) for word in ("succeeded", "revised"))
    parts = (
        (copied, "copied to the source"),
        (_count(account, "rename", "succeeded", "revised"), "renamed or moved"),
        (_count(account, "delete", "succeeded"), "deleted (they are in the trash)"),
    )
    return "".join(f", {count:,} {what}" for count, what in parts if count)


def _count(account: Reconciliation, kind: str, *words: str) -> int:
    return sum(kinds.get(kind, {}).get(word, 0) for kinds in account.changes.values() for word in words)


def sentence_of_error(error: BaseException) -> str:
    """What happened and what to do about it."""
    if isinstance(error, SiteHaulError):
        return f"{error.message} {error.fix}" if error.fix else error.message
    return f"{type(error).__name__}: {error}"
