"""What is said of one entry, from real plans, ledgers and verification files of a job."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migration.actions import Action, Outcome, OutcomeWord
from migration.entries import Ref
from migration.errors import PlanError
from migration.explanation import Explanation, explain
from migration.judgement import VERIFICATION_SCHEMA
from migration.ledger import Ledger
from migration.plans import Plan
from migration.state import write_json_atomically
from migration.undo import undo_id
from reports.explained import conclusion, to_json, told
from tests.unit.planning_support import NOW, Desk, a_job

SOURCE = ("A/a.pdf = 10 t5 #a7", "A/b.pdf = 7 t5", "A/c.tmp = 3 t1", "B/d.pdf")
DESTINATION = ("A/", "A/b.pdf = 9 t9")


class Story:
    """A job with one planned run, whose outcomes are told by hand."""

    def __init__(self, folder: Path) -> None:
        self.desk = Desk(folder, job=a_job(filter={"exclude": ["*.tmp"]}, item_overwrite="fail"))
        self.plan: Plan = self.desk.plan(SOURCE, DESTINATION)
        write_json_atomically(self.plan.run.run_record, {"run_id": self.plan.run.run_id})

    def action(self, path: str) -> Action:
        return next(action for action in self.plan.actions() if "/".join(action.source_path) == path)

    async def tried(self, path: str, *words: OutcomeWord, **facts: Any) -> None:
        async with Ledger.open(self.desk.state.ledger) as ledger:
            for number, word in enumerate(words, 1):
                outcome = Outcome(
                    action_id=self.action(path).action_id,
                    attempt=number,
                    started_at=NOW,
                    finished_at=NOW,
                    word=word,
                    **(facts if word is words[-1] else {"reason": "short-body", "message": "3 of 10 bytes arrived"}),
                )
                await ledger.record(self.plan.run.run_id, [outcome])

    def verified(self, path: str, verdict: str, level: str | None = "stored_hash") -> None:
        action = self.action(path)
        row = {
            "action_id": action.action_id,
            "source_id": action.source.id if action.source else None,
            "source_path": action.source_path,
            "destination_path": action.destination_path,
            "verdict": verdict,
            "level": level,
        }
        pq.write_table(pa.Table.from_pylist([row], schema=VERIFICATION_SCHEMA), self.plan.run.verification)

    async def explained(self, asked: str) -> Explanation:
        return await explain(self.desk.state, asked, roots=[("Bridge",)])


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


async def test_a_file_that_arrived_after_a_failed_try(story: Story) -> None:
    await story.tried(
        "A/a.pdf",
        OutcomeWord.RETRYING,
        OutcomeWord.REVISED,
        sha256="ab" * 32,
        destination=Ref("filesystem", "9"),
        destination_name="a (1).pdf",
    )
    story.verified("A/a.pdf", "matches")
    for asked in ("A/a.pdf", "a7", "Bridge/A/a.pdf", "/A/a.pdf"):
        lines = list(told(await story.explained(asked)))
        assert lines[0].startswith("Listed at the source (run run0): A/a.pdf, 10 bytes, changed 2024-01-01")
        assert "copy A/a.pdf at the destination (new at the source)" in lines[1]
        assert "try 1" in lines[2] and "3 of 10 bytes arrived" in lines[2]
        assert "try 2" in lines[3] and "named a (1).pdf there" in lines[3]
        assert lines[4] == "  verified; the stored bytes were hashed"
        assert lines[5].startswith(f"Now: at the destination as A/a (1).pdf; SHA-256 {'ab' * 32}; verified")
        assert len(lines) == 6
    document = to_json(await story.explained("a7"))
    assert json.loads(json.dumps(document)) == document
    assert (document["state"], document["what_to_do"]) == ("arrived", None)
    assert [one["word"] for one in document["decisions"][0]["attempts"]] == ["retrying", "revised"]


@pytest.mark.parametrize(
    ("asked", "words", "state", "now", "help_"),
    [
        (
            "A/b.pdf",
            (),
            "flagged",
            "not copied; the destination has another file under this name",
            "Move the other file",
        ),
        ("A/c.tmp", (), "left_out", "not copied; excluded by the job's filter", "Change rules.filter"),
        ("B/d.pdf", (), "not_reached", "decided, but not reached yet", ""),
        ("B/d.pdf", ("retrying",), "failing", "not done yet; the source sent fewer bytes", ""),
        ("B/d.pdf", ("flagged",), "flagged", "not done; the source sent fewer bytes", ""),
        ("B/d.pdf", ("succeeded",), "arrived", "at the destination as B/d.pdf; not verified yet", ""),
    ],
)
async def test_where_it_is_or_why_not(
    story: Story, asked: str, words: Sequence[str], state: str, now: str, help_: str
) -> None:
    reason = {"reason": "short-body"} if words and words[0] != "succeeded" else {}
    await story.tried(asked, *map(OutcomeWord, words), **reason)
    found, sentence, advice = conclusion(await story.explained(asked))
    assert found == state
    assert sentence.startswith(now)
    assert advice.startswith(help_) and bool(advice) == bool(help_)


async def test_a_difference_that_verification_found_is_told(story: Story) -> None:
    await story.tried("B/d.pdf", OutcomeWord.SUCCEEDED)
    story.verified("B/d.pdf", "differs", None)
    _, sentence, advice = conclusion(await story.explained("B/d.pdf"))
    assert "verification found a difference" in sentence and advice


async def test_what_is_not_known_has_suggestions(story: Story) -> None:
    explanation = await story.explained("A/aa.pdf")
    assert not explanation.found
    assert ("A", "a.pdf") in explanation.near
    lines = list(told(explanation))
    assert lines[0] == "Nothing is known of A/aa.pdf in this job."
    assert "  Did you mean: A/a.pdf" in lines
    assert to_json(explanation)["state"] == "unknown"


async def test_what_was_undone_is_told(story: Story) -> None:
    await story.tried("B/d.pdf", OutcomeWord.SUCCEEDED)
    action = story.action("B/d.pdf")
    async with Ledger.open(story.desk.state.ledger) as ledger:
        outcome = Outcome(
            action_id=action.action_id, attempt=1, started_at=NOW, finished_at=NOW, word=OutcomeWord.SUCCEEDED
        )
        await ledger.record(undo_id(story.plan.run.run_id), [outcome])
    explanation = await story.explained("B/d.pdf")
    assert any("undoing it, try 1" in line for line in told(explanation))
    state, sentence, _ = conclusion(explanation)
    assert state == "undone" and sentence.startswith("what run run0 did at the destination was undone")


async def test_a_damaged_run_is_named(story: Story) -> None:
    story.plan.run.plan.write_bytes(b"no parquet")
    with pytest.raises(PlanError, match="run0"):
        await story.explained("B/d.pdf")
