import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from migration.actions import Action, ActionKind, Outcome, OutcomeWord
from migration.batches import Work
from migration.entries import Entry, EntryKind, Ref
from migration.rules import AuditLevel
from tasks.audit import NAMED_MAX, Audit

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = {
    "a": OutcomeWord.FLAGGED,
    "b": OutcomeWord.RETRYING,
    "c": OutcomeWord.SUCCEEDED,
    "d": OutcomeWord.REVISED,
    "e": OutcomeWord.SKIPPED,
}


def work(name: str) -> Work:
    ref = Ref("procore", name)
    action = Action(
        seq=1, action_id=name, kind=ActionKind.COPY, source=ref, source_path=(name,), destination_path=(name,)
    )
    return Work(action, Entry(ref=ref, parent=None, name=name, path=(name,), kind=EntryKind.FILE))


def outcome(name: str, word: OutcomeWord) -> Outcome:
    return Outcome(
        action_id=name, attempt=1, started_at=NOON, finished_at=NOON, word=word, reason="why", message="This."
    )


@pytest.mark.parametrize(
    ("level", "named"),
    [
        (AuditLevel.NONE, ""),
        (AuditLevel.ERROR, "a"),
        (AuditLevel.WARN, "ab"),
        (AuditLevel.INFO, "abcd"),
        (AuditLevel.DEBUG, "abcde"),
        (AuditLevel.TRACE, "abcde"),
    ],
)
def test_files_are_named_from_the_level_on(level: AuditLevel, named: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    audit = Audit(level, lambda: logging.getLogger("run"))
    for name, word in WORDS.items():
        audit.heard(outcome(name, word))
    audit.tell_batch([work(name) for name in WORDS])
    told = {record.getMessage(): record.levelno for record in caplog.records}
    assert set(told) == {f"1 {WORDS[name].value}:\n  {name} (why: This.)" for name in named}
    assert sorted(told.values(), reverse=True)[:1] == ([logging.ERROR] if named else [])
    caplog.clear()
    audit.tell_batch([work(name) for name in WORDS])
    assert not caplog.records, "each is named once"


def test_many_files_are_one_record_and_names_stay_on_their_line(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit(AuditLevel.WARN, lambda: logging.getLogger("run"))
    works = [work(f"{number}\n.pdf") for number in range(200)]
    for one in works:
        audit.heard(replace(outcome(one.action.action_id, OutcomeWord.FLAGGED), message=None))
    audit.tell_batch(works)
    (record,) = caplog.records
    lines = record.getMessage().splitlines()
    assert lines[0] == "200 flagged:"
    assert lines[1] == "  0\ufffd.pdf (why)"
    assert lines[-1] == "… and 150 more, see files.csv"
    assert len(lines) == NAMED_MAX + 2
