"""What a person sees of a plan with every kind of action on both sides; the plan is made by hand."""

import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from flows.cli.plans import show_plan
from migration.plan_format import PLAN_SCHEMA
from migration.plans import Plan
from reports.plan_report import plan_page, write_plan
from reports.plan_view import PlanView, view_of
from tests.unit.planning_support import NOW, Desk

ROWS: list[dict[str, Any]] = [
    {"kind": "rename", "destination_path": ["A", "new name.pdf"], "from_path": ["A", "old name.pdf"],
     "expected_id": "1", "reason": "moved-at-source"},
    {"kind": "make_folder", "entry_kind": "folder", "destination_path": ["A", "Folder"], "source_id": "f"},
    {"kind": "copy", "destination_path": ["A", "small.pdf"], "source_id": "2", "size_bytes": 10, "reason": "new"},
    {"kind": "copy", "destination_path": ["A", "<script>alert(1)</script>.pdf"], "source_id": "3",
     "size_bytes": 5_000_000, "reason": "new"},
    {"kind": "copy", "destination_path": ["A", "theirs.pdf"], "source_id": "4", "size_bytes": 20, "expected_id": "40",
     "expected_size_bytes": 19, "reason": "changed-at-destination"},
    {"kind": "copy", "destination_path": ["A", "ours.pdf"], "source_id": "5", "size_bytes": 900, "expected_id": "50",
     "expected_size_bytes": 800, "reason": "newer-at-source"},
    {"kind": "copy", "side": "source", "source_path": ["B", "back.pdf"], "destination_path": ["B", "back.pdf"],
     "expected_id": "6", "expected_size_bytes": 70, "reason": "new-at-destination"},
    {"kind": "skip", "destination_path": ["A", "same.pdf"], "source_id": "7", "reason": "unchanged"},
    {"kind": "flag", "destination_path": ["A", "bad.pdf"], "source_id": "8", "reason": "name-too-long"},
    {"kind": "delete", "destination_path": ["A", "gone.pdf"], "expected_id": "9", "expected_size_bytes": 300,
     "reason": "deleted-at-source"},
]  # fmt: skip


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    desk = Desk(tmp_path)
    made = desk.plan(("A/a.pdf",))
    rows = [
        {
            "seq": seq, "action_id": f"{seq:032x}", "entry_kind": "file", "source_system": "procore", "renamed": False,
            "source_path": row["destination_path"], "side": "destination", "accounts": True, "from_path": [],
            "source_listed_path": [], "expected_kind": "file" if "expected_id" in row else None, **row,
        }
        for seq, row in enumerate(ROWS)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=PLAN_SCHEMA), made.run.plan)
    summary = json.loads(made.run.plan_summary.read_text())
    summary["plan_digest"] = hashlib.sha256(made.run.plan.read_bytes()).hexdigest()
    summary["reasons"] = {"skip": {"unchanged": 1}, "flag": {"name-too-long": 1}}
    summary["warnings"] = ["One part of the source could not be listed."]
    made.run.plan_summary.write_text(json.dumps(summary))
    return Plan.load(made.run)


@pytest.fixture
def view(plan: Plan, tmp_path: Path) -> PlanView:
    return view_of(plan, Desk(tmp_path).job)


def test_each_side_is_counted_by_what_is_done_there(view: PlanView) -> None:
    source, destination = view.sides
    assert source.sentence == "+ 1 copy (70 bytes)"
    assert destination.sentence == "+ 2 copy, ~ 2 replace, > 1 rename, - 1 delete, / 1 make folder (5.0 MB)"
    assert view.changes == 8
    document = view.to_json()
    assert document["sides"]["destination"]["delete"] == 1
    assert json.loads(json.dumps(document)) == document


def test_the_most_dangerous_come_first(view: PlanView) -> None:
    assert [(action.sign, action.path.rsplit("/", 1)[-1]) for action in view.dangerous] == [
        ("-", "gone.pdf"),
        ("~", "theirs.pdf"),
        (">", "new name.pdf"),
        ("~", "ours.pdf"),
        ("+", "<script>alert(1)<∕script>.pdf"),
        ("+", "back.pdf"),
        ("+", "small.pdf"),
    ]
    assert view.dangerous[0].size_bytes == 300
    assert view.dangerous[2].what == "A/old name.pdf → A/new name.pdf"
    assert view.dangerous[1].why == "somebody changed the copy at the destination"


def test_the_console_shows_what_terraform_would(view: PlanView) -> None:
    shown = io.StringIO()
    show_plan(Console(file=shown, width=200, color_system=None), view)
    lines = shown.getvalue().splitlines()
    assert lines[0].startswith(f"Plan {view.summary.plan_id[:12]} of the job job (copy)")
    assert "  skipped: 1 unchanged since the last run" in lines
    assert "  needs a person: 1 its name is longer than the system takes" in lines
    assert "  ! One part of the source could not be listed." in lines
    assert "  - A/gone.pdf  300 bytes  deleted at the source" in lines
    assert "  + [source] B/back.pdf  70 bytes  new at the destination" in lines
    assert lines[-1] == f"To carry out exactly this: sitehaul apply job {view.summary.plan_id[:12]}"


def test_the_page_is_one_file_that_runs_nothing(plan: Plan, view: PlanView, tmp_path: Path) -> None:
    html, table = write_plan(plan, view, tmp_path / "out")
    page = html.read_text("utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page
    assert not re.search(r"(?:src|href)=", page)
    assert "1 deletions" not in page and "1 deletion" in page
    rows = list(csv.DictReader(table.open(encoding="utf-8-sig")))
    assert [row["kind"] for row in rows] == [row["kind"] for row in ROWS]
    assert rows[0]["from_path"] == "A/old name.pdf"
    assert write_plan(plan, view, tmp_path / "mine.csv") == [tmp_path / "mine.csv"]


def test_the_form_in_prefect_tells_the_dangers(view: PlanView) -> None:
    page = plan_page(view)
    assert page.startswith("**1 deletion.**")
    assert "| destination `d:` | + 2 copy" in page
    assert "- `-` destination: `A/gone.pdf` 300 bytes (deleted at the source)" in page
    assert f"Plan `{view.summary.plan_id}`, made {NOW:%Y-%m-%d}" in page
