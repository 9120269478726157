from datetime import UTC, datetime

import pytest

from flows.endings import Ending, EndState, judged
from flows.running import state_of
from migration.errors import BudgetExhausted, FatalError, StoppedResumable
from migration.reconciliation import WORDS, Reconciliation, Tally
from migration.runs import JobRunning

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def account(
    verification: dict[str, int] | None = None, unexplained: tuple[str, ...] = (), **words: int
) -> Reconciliation:
    files = {word: words.get(word, 0) for word in WORDS}
    total = Tally(source_files=sum(files.values()), source_bytes=0, files=files, bytes=dict.fromkeys(WORDS, 0))
    return Reconciliation(
        run_id="r",
        total=total,
        folders={},
        reasons={},
        made_folders=dict.fromkeys(WORDS, 0),
        source_complete=True,
        not_visible=(),
        unexplained=unexplained,
        verification=verification,
    )


@pytest.mark.parametrize(
    ("reconciliation", "stopped", "state", "words"),
    [
        (account(succeeded=3, revised=1), None, EndState.DONE, "4 of 4 files are done."),
        (account(skipped=3), None, EndState.DONE, "3 of 3"),
        (account(succeeded=3, flagged=1), None, EndState.FLAGGED, "3 of 4 files are done; 1 needs a person"),
        (account(succeeded=3, retrying=2), None, EndState.PENDING, "2 pending: they failed for a passing reason"),
        (account(pending=2), None, EndState.PENDING, "2 pending: they have not been reached"),
        (
            account(succeeded=1, pending=2, flagged=1),
            BudgetExhausted("the hourly budget is used up", resume_at=NOON),
            EndState.PENDING,
            "2 pending: the hourly budget is used up. The next run can continue it from 2026-03-01 12:00 UTC on.",
        ),
        (account({"matches": 2, "differs": 1}, succeeded=3), None, EndState.WRONG, "1 that differ"),
        (account({"missing": 1}, succeeded=3), StoppedResumable("x"), EndState.WRONG, "1 that differ or are missing"),
        (account(unexplained=("2 are nowhere.",), succeeded=3), None, EndState.WRONG, "2 are nowhere."),
    ],
)
def test_a_run_is_judged_by_its_account(
    reconciliation: Reconciliation, stopped: StoppedResumable | None, state: EndState, words: str
) -> None:
    judgement = judged(reconciliation, stopped)
    assert judgement[0] is state
    assert words in judgement[1]


@pytest.mark.parametrize(
    ("state", "error", "kind", "name"),
    [
        (EndState.DONE, None, "COMPLETED", "Completed"),
        (EndState.FLAGGED, None, "COMPLETED", "Completed"),
        (EndState.PENDING, None, "COMPLETED", "Stopped"),
        (EndState.WRONG, None, "FAILED", "Failed"),
        (EndState.FAILED, FatalError("disk-full", "full"), "FAILED", "Failed"),
        (EndState.FAILED, JobRunning("already-running", "it runs"), "CANCELLED", "Cancelled"),
    ],
)
def test_prefect_is_told_what_happened(state: EndState, error: Exception | None, kind: str, name: str) -> None:
    shown = state_of(Ending(state=state, sentence="This is why.", job="j", error=error))
    assert (shown.type.value, shown.name, shown.message) == (kind, name, "This is why.")
