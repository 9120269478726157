"""Single files in the log of the flow run, from the job's `audit_level` on.

Prefect ships and keeps every log record, so a batch gives one record per level, of at most NAMED_MAX files.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from migration.actions import Action, ActionKind, Outcome, OutcomeWord
from migration.batches import Work
from migration.entries import EntryKind, PathParts
from migration.plans import Plan
from migration.rules import AuditLevel
from migration.stored_text import readable

NAMED_MAX = 50
"""So many files are named in one record."""
Logger = Callable[[], Any]

_ORDER = (AuditLevel.TRACE, AuditLevel.DEBUG, AuditLevel.INFO, AuditLevel.WARN, AuditLevel.ERROR, AuditLevel.NONE)
_LEVELS = {
    OutcomeWord.FLAGGED: AuditLevel.ERROR,
    OutcomeWord.RETRYING: AuditLevel.WARN,
    OutcomeWord.SUCCEEDED: AuditLevel.INFO,
    OutcomeWord.REVISED: AuditLevel.INFO,
    OutcomeWord.SKIPPED: AuditLevel.DEBUG,
}
_LOGGED_AS = {AuditLevel.ERROR: logging.ERROR, AuditLevel.WARN: logging.WARNING}
"""All others as information: Prefect's loggers pass nothing below it on, and the job asked for it."""


def run_logger() -> Any:
    """The logger of the task or flow that runs. Prefect is imported late: sessions are known before its server is."""
    from prefect.logging import get_run_logger

    return get_run_logger()


class Audit:
    """Hears of outcomes and names those that the job wants named."""

    def __init__(self, level: AuditLevel, logger: Logger = run_logger) -> None:
        """`logger` gives that of the task or flow which runs when something is told."""
        self._level = level
        self._logger = logger
        self._heard: dict[str, Outcome] = {}

    def heard(self, outcome: Outcome) -> None:
        """Remember an outcome until its batch is told."""
        if self._tells(_LEVELS[outcome.word]):
            self._heard[outcome.action_id] = outcome

    def tell_batch(self, works: Sequence[Work]) -> None:
        """Name those of the batch's files that were heard of."""
        lines: dict[OutcomeWord, list[str]] = defaultdict(list)
        for work in works:
            outcome = self._heard.pop(work.action.action_id, None)
            if outcome is not None:
                lines[outcome.word].append(_line(work.action.source_path, outcome.reason, outcome.message))
        for word, named in lines.items():
            self._tell(word, named, len(named))

    def tell_plan(self, plan: Plan) -> None:
        """Name the files that the plan itself flags or leaves out."""
        summary = plan.summary
        for kind, word, count in (
            (ActionKind.FLAG, OutcomeWord.FLAGGED, summary.files_flagged),
            (ActionKind.SKIP, OutcomeWord.SKIPPED, summary.files_skipped),
        ):
            if count and self._tells(_LEVELS[word]):
                files = _files(plan.actions([kind]))
                self._tell(word, [_line(one.source_path, one.reason, one.detail) for one in files], count)

    def _tells(self, level: AuditLevel) -> bool:
        return _ORDER.index(level) >= _ORDER.index(self._level)

    def _tell(self, word: OutcomeWord, lines: Sequence[str], count: int) -> None:
        more = [f"… and {count - NAMED_MAX:,} more, see files.csv"] if count > NAMED_MAX else []
        text = "\n".join([f"{count:,} {word.value}:", *lines[:NAMED_MAX], *more])
        self._logger().log(_LOGGED_AS.get(_LEVELS[word], logging.INFO), "%s", text)


def _files(actions: Iterable[Action]) -> Iterator[Action]:
    """As many as are named, of those that account for a file."""
    return islice((one for one in actions if one.entry_kind is EntryKind.FILE and one.accounts), NAMED_MAX)


def _line(path: PathParts, reason: str | None, message: str | None) -> str:
    """One file in one line: names come from outside, and may hold anything."""
    name = "".join(letter if letter.isprintable() else "�" for letter in readable("/".join(path)))
    why = ": ".join(word for word in (reason, message) if word)
    return f"  {name} ({why})" if why else f"  {name}"
