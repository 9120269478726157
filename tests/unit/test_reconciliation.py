import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migration.clock import SystemClock
from migration.contract import WalkPage
from migration.entries import Entry, EntryKind, ListingProblem, Ref
from migration.errors import PlanError
from migration.inventory import InventoryWriter
from migration.judgement import VERIFICATION_SCHEMA
from migration.ledger import OUTCOMES_SCHEMA
from migration.plan_format import PLAN_SCHEMA
from migration.reconciliation import load_reconciliation, reconcile, write_reconciliation
from migration.state import RunPaths

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NONE = {"succeeded": 0, "revised": 0, "skipped": 0, "flagged": 0, "retrying": 0, "pending": 0}

SOURCE = [
    "Drawings/",
    "Drawings/a.pdf 100",
    "Drawings/b.pdf 200",
    "Drawings/c.pdf 300",
    "Drawings/d.pdf ?",
    "Photos/",
    "Photos/e.jpg 50",
    "Photos/f.jpg 60",
    "g.txt 0",
]
PLAN = [
    "make_folder Drawings/",
    "make_folder Photos/",
    "copy Drawings/a.pdf",
    "copy Drawings/b.pdf",
    "copy Drawings/c.pdf",
    "copy Drawings/d.pdf",
    "skip Photos/e.jpg already-there",
    "flag Photos/f.jpg file-too-large",
    "copy g.txt",
]
OUTCOMES = [
    "Drawings/ succeeded",
    "Drawings/a.pdf succeeded",
    "Drawings/b.pdf revised illegal-characters",
    "Drawings/c.pdf retrying short-body",
    "g.txt flagged source-changed",
]


def entry(line: str) -> Entry:
    name, _, size = line.partition(" ")
    path = tuple(part for part in name.split("/") if part)
    return Entry(
        ref=Ref("procore", name, "1"),
        parent=None,
        name=path[-1],
        path=path,
        kind=EntryKind.FOLDER if name.endswith("/") else EntryKind.FILE,
        size_bytes=int(size) if size.isdigit() else None,
    )


def plan_row(seq: int, line: str) -> dict[str, Any]:
    kind, name, *reason = line.split(" ")
    path = [part for part in name.split("/") if part]
    return {
        "seq": seq,
        "action_id": name,
        "kind": kind,
        "entry_kind": "folder" if name.endswith("/") else "file",
        "source_system": "procore",
        "source_id": name,
        "source_version_id": "1",
        "source_path": path,
        "destination_path": path,
        "reason": reason[0] if reason else None,
        "renamed": False,
        "side": "destination",
        "accounts": True,
    }


def outcome_row(line: str) -> dict[str, Any]:
    action_id, word, *reason = line.split(" ")
    return {
        "action_id": action_id,
        "attempt": 1,
        "word": word,
        "reason": reason[0] if reason else None,
        "bytes_copied": 0,
        "started_at": NOON,
        "finished_at": NOON,
    }


def a_run(
    folder: Path,
    source: Iterable[str] = SOURCE,
    plan: Iterable[str] = PLAN,
    outcomes: Iterable[str] | None = OUTCOMES,
    problems: tuple[ListingProblem, ...] = (),
) -> RunPaths:
    run = RunPaths(folder / "job" / "runs" / "one [1]")
    run.folder.mkdir(parents=True)
    writer = InventoryWriter.open(
        run.source_inventory, run_id=run.run_id, system="procore", root=("Tower",), clock=SystemClock()
    )
    writer.write_page(WalkPage(tuple(map(entry, source)), problems, None))
    writer.finish()
    rows = [plan_row(seq, line) for seq, line in enumerate(plan)]
    pq.write_table(pa.Table.from_pylist(rows, PLAN_SCHEMA), run.plan)
    if outcomes is not None:
        pq.write_table(pa.Table.from_pylist(list(map(outcome_row, outcomes)), OUTCOMES_SCHEMA), run.outcomes)
    return run


def test_every_source_file_has_exactly_one_word(tmp_path: Path) -> None:
    account = reconcile(a_run(tmp_path))
    assert account.adds_up, account.unexplained
    assert (account.total.source_files, account.total.source_bytes) == (7, 710)
    assert account.total.files == {
        "succeeded": 1, "revised": 1, "skipped": 1, "flagged": 2, "retrying": 1, "pending": 1
    }  # fmt: skip
    assert account.total.bytes == {
        "succeeded": 100, "revised": 200, "skipped": 50, "flagged": 60, "retrying": 300, "pending": 0
    }  # fmt: skip
    assert list(account.folders) == ["", "Drawings", "Photos"]
    assert account.folders["Photos"].files == {**NONE, "skipped": 1, "flagged": 1}
    assert account.folders[""].files == {**NONE, "flagged": 1}
    assert all(tally.adds_up for tally in account.folders.values())
    assert account.reasons == {
        "succeeded": {"": 1},
        "revised": {"illegal-characters": 1},
        "skipped": {"already-there": 1},
        "flagged": {"file-too-large": 1, "source-changed": 1},
        "retrying": {"short-body": 1},
        "pending": {"": 1},
    }
    assert account.made_folders == {**NONE, "succeeded": 1, "pending": 1}
    assert account.verification is None
    assert account.source_complete


def test_without_outcomes_everything_to_do_is_pending(tmp_path: Path) -> None:
    account = reconcile(a_run(tmp_path, outcomes=None))
    assert account.adds_up
    assert account.total.files == {**NONE, "skipped": 1, "flagged": 1, "pending": 5}


def test_an_empty_source_adds_up(tmp_path: Path) -> None:
    account = reconcile(a_run(tmp_path, source=[], plan=[], outcomes=[]))
    assert account.adds_up
    assert (account.total.files, account.folders) == (NONE, {})


@pytest.mark.parametrize(
    ("source", "plan", "outcomes", "unexplained"),
    [
        ([*SOURCE, "h.txt 1"], PLAN, OUTCOMES, ["Source files without an action: 1, for instance h.txt.",
         "The source has 8 files, but 7 are accounted for."]),
        ([*SOURCE, "g.txt 0"], PLAN, OUTCOMES, ["Source files listed twice: 1, for instance g.txt."]),
        (SOURCE, [*PLAN, "copy g.txt"], OUTCOMES,
         ["Source files with several actions or outcomes: 1, for instance g.txt.",
          "The source has 7 files, but 6 are accounted for."]),
        (SOURCE, [*PLAN, "copy x.txt"], OUTCOMES,
         ["Actions for files the source does not have: 1, for instance x.txt."]),
        (SOURCE, PLAN, [*OUTCOMES, "x.txt succeeded"],
         ["Outcomes of actions the plan does not have: 1, for instance x.txt."]),
        (SOURCE, PLAN, [*OUTCOMES, "Photos/e.jpg succeeded"],
         ["Outcomes of actions the plan skips or flags: 1, for instance Photos/e.jpg."]),
        (SOURCE, PLAN, [*OUTCOMES, "g.txt succeeded"],
         ["Source files with several actions or outcomes: 1, for instance g.txt.",
          "The source has 7 files, but 6 are accounted for."]),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_named(
    tmp_path: Path, source: list[str], plan: list[str], outcomes: list[str], unexplained: list[str]
) -> None:
    account = reconcile(a_run(tmp_path, source, plan, outcomes))
    assert not account.adds_up
    assert list(account.unexplained) == unexplained


def test_what_could_not_be_listed_is_told(tmp_path: Path) -> None:
    problems = (
        ListingProblem(("Drawings", "Secret"), "not-visible", "This folder is private."),
        ListingProblem(("a", "not-utf8-\udcff"), "symlink", "A link.", hides_entries=False),
    )
    account = reconcile(a_run(tmp_path, problems=problems))
    assert not account.source_complete
    assert account.not_visible == (
        ("Drawings / Secret", "not-visible", "This folder is private."),
        ("a / not-utf8-\\xff", "symlink", "A link."),
    )


def test_what_verification_found_is_in_the_account_and_all_of_it_can_be_read_back(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    rows = [
        {"action_id": str(number), "source_path": ["a"], "destination_path": ["a"], "verdict": verdict}
        for number, verdict in enumerate(["matches", "matches", "missing"])
    ]
    pq.write_table(pa.Table.from_pylist(rows, VERIFICATION_SCHEMA), run.verification)
    account = reconcile(run)
    assert account.verification == {"matches": 2, "missing": 1}
    write_reconciliation(run, account)
    assert load_reconciliation(run) == account
    plain = json.loads(run.reconciliation.read_text())
    assert (plain["format_version"], plain["adds_up"], plain["total"]["source_files"]) == (1, True, 7)


def test_without_a_plan_there_is_no_account(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    run.plan.unlink()
    with pytest.raises(PlanError):
        reconcile(run)
