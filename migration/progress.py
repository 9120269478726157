"""How a phase tells whoever watches how far it is. Telling is cheap and never fails the work."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """The phases of a run, in their order."""

    ANALYZE = "analyze"
    PLAN = "plan"
    TRANSFER = "transfer"
    VERIFY = "verify"
    REMOVE = "remove"
    REPORT = "report"
    UNDO = "undo"
    """Not of a run, but of bringing back what one has changed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a phase is now: totals since the phase began (earlier attempts included), None = total not known."""

    phase: Phase
    entries: int = 0
    files_done: int = 0
    files_total: int | None = None
    bytes_done: int = 0
    bytes_total: int | None = None
    calls: int = 0
    message: str | None = None


ProgressListener = Callable[[Progress], None]


def unwatched(progress: Progress) -> None:
    """The listener for when nobody watches."""
    del progress
