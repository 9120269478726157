"""A person's word on a plan: whether it may be carried out, who said so, and when."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Decision(StrEnum):
    """What was said about a plan."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The decision on one plan, as run.json keeps it. It holds for no other plan."""

    plan_id: str
    decision: Decision
    who: str
    """As people named themselves, or the user of the command line; nobody checks it."""
    way: str
    """Where it was said, e.g. "Prefect" or "command line"."""
    at: datetime
    note: str = ""

    @property
    def approved(self) -> bool:
        """Whether the plan may be carried out."""
        return self.decision is Decision.APPROVE

    @property
    def sentence(self) -> str:
        """For people."""
        word = "approved" if self.approved else "rejected"
        note = f": {self.note}" if self.note else ""
        return f"Plan {self.plan_id[:12]} was {word} by {self.who} ({self.way}), {self.at:%Y-%m-%d %H:%M} UTC{note}"

    def to_json(self) -> dict[str, Any]:
        """What run.json holds."""
        return {**asdict(self), "decision": self.decision.value, "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Approval":
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(**{**plain, "decision": Decision(plain["decision"]), "at": datetime.fromisoformat(plain["at"])})
