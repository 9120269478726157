"""Attempts over runs: numbering goes on, the last one flags, and a person can let it begin anew."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from migration.actions import Action, ActionKind, Outcome, OutcomeWord, action_id
from migration.attempts import Attempts
from migration.decisions import Decision, Decisions, Word
from migration.entries import Ref
from migration.ledger import Latest, Ledger
from migration.ledger_tables import Tried, tried_queries

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILE = Ref("procore", "17", "v1")
ACTION = Action(
    seq=1,
    action_id=action_id(FILE, ("a.pdf",), ("a.pdf",)),
    kind=ActionKind.COPY,
    source=FILE,
    source_path=("a.pdf",),
    destination_path=("a.pdf",),
)
RETRYING, FLAGGED, SUCCEEDED = OutcomeWord.RETRYING, OutcomeWord.FLAGGED, OutcomeWord.SUCCEEDED


def outcome(word: OutcomeWord, attempt: int, minutes: int = 0) -> Outcome:
    at = NOON + timedelta(minutes=minutes)
    return Outcome(
        action_id=ACTION.action_id, attempt=attempt, started_at=at, finished_at=at, word=word, reason="http-503"
    )


def retried(minutes: int) -> Decisions:
    one = Decision(
        source_id="17",
        source_version_id="v1",
        size_bytes=7,
        modified_at=NOON,
        source_path=("a.pdf",),
        decision=Word.RETRY,
        reason="http-503",
        by="ann",
        at=NOON + timedelta(minutes=minutes),
    )
    return Decisions({("17", "v1"): one})


History = list[tuple[str, OutcomeWord, int]]


@pytest.mark.parametrize(
    ("history", "attempt", "used_up"),
    [
        ([], 1, False),
        ([("now", RETRYING, 1)], 2, False),
        ([("one", RETRYING, 1), ("one", RETRYING, 2)], 3, False),
        ([("one", RETRYING, 1), ("now", RETRYING, 2)], 3, False),
        ([("one", RETRYING, 1), ("two", RETRYING, 2), ("three", RETRYING, 3)], 4, True),
        ([("one", RETRYING, 2), ("two", FLAGGED, 3)], 4, True),
        ([("now", RETRYING, 3)], 4, True),
        # What needed a person at once may be tried whenever a plan says so.
        ([("one", FLAGGED, 1), ("two", FLAGGED, 1), ("three", FLAGGED, 1)], 1, False),
        # A success begins the count anew.
        ([("one", RETRYING, 1), ("one", RETRYING, 2), ("two", SUCCEEDED, 3)], 1, False),
        ([("one", RETRYING, 1), ("one", SUCCEEDED, 2), ("two", RETRYING, 1)], 2, False),
    ],
)
async def test_attempts_are_numbered_over_all_runs(
    tmp_path: Path, history: History, attempt: int, used_up: bool
) -> None:
    async with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        for run_id, word, number in history:
            await ledger.record(run_id, [outcome(word, number)])
        attempts = Attempts(ledger, "now", 3, Decisions())
        latest = await attempts.latest([ACTION])
        assert latest.get(ACTION.action_id, Latest(RETRYING, 0, None, 0)).attempt + 1 == attempt
        told = attempts.used_up(ACTION, latest, NOON)
        assert (told is not None) is used_up
        if told is not None:
            assert (told.word, told.reason, told.attempt) == (FLAGGED, "http-503", 3)


async def test_the_last_attempt_flags_and_keeps_the_reason(tmp_path: Path) -> None:
    attempts = Attempts(Ledger.open(tmp_path / "ledger.sqlite"), "now", 3, Decisions())
    assert attempts.judged(outcome(RETRYING, 2)).word is RETRYING
    last = attempts.judged(outcome(RETRYING, 3))
    assert (last.word, last.reason, last.attempt) == (FLAGGED, "http-503", 3)
    assert attempts.judged(outcome(SUCCEEDED, 3)).word is SUCCEEDED


@pytest.mark.parametrize(("said_after_minutes", "used_up"), [(5, True), (10, False), (15, False)])
async def test_a_person_lets_it_begin_anew(tmp_path: Path, said_after_minutes: int, used_up: bool) -> None:
    async with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        await ledger.record("one", [outcome(RETRYING, 2)])
        await ledger.record("two", [outcome(FLAGGED, 3, minutes=10)])
        attempts = Attempts(ledger, "now", 3, retried(said_after_minutes))
        latest = await attempts.latest([ACTION])
        assert (attempts.used_up(ACTION, latest, NOON) is not None) is used_up
        assert (ACTION.action_id in latest) is used_up


async def test_earlier_failures_are_found_by_an_index_also_in_a_ledger_that_had_none(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    async with Ledger.open(path) as ledger:
        await ledger.record("one", [outcome(RETRYING, 1)])
    with sqlite3.connect(path) as database:
        database.execute("DROP INDEX tried_again")
        for column in ("settled_sha256", "destination_version_id", "trashed", "replaced_version_id"):
            database.execute(f"ALTER TABLE outcomes DROP COLUMN {column}")
        database.execute("UPDATE ledger_format SET version = 1")
    async with Ledger.open(path) as ledger:
        assert await ledger.tried("now", [ACTION.action_id]) == {ACTION.action_id: Tried(1, "http-503", NOON)}
        assert await ledger.tried("one", [ACTION.action_id]) == {}
    query = next(tried_queries("now", ["a", "b"])).compile(compile_kwargs={"literal_binds": True})
    with sqlite3.connect(path) as database:
        steps = " ".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert "USING INDEX tried_again (action_id=?)" in steps
