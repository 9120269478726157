"""The baseline remembers what a run achieved, so that the next plan knows it."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from migration.actions import ActionKind
from migration.baseline import BASELINE_SCHEMA, usable_baseline, write_baseline
from migration.ledger_tables import OUTCOMES_SCHEMA
from migration.plans import Plan
from migration.stored_text import to_stored
from tests.unit.planning_support import NOW, WINDOWS, Desk, a_job, at, printed

SHA = "ab" * 32


def outcomes(plan: Plan, words: dict[str, str], kept: dict[str, str] | None = None, **facts: object) -> None:
    """Export outcomes as the ledger does: by destination path, `word`; the others were not reached."""
    rows = []
    for action in plan.actions({ActionKind.COPY, ActionKind.MAKE_FOLDER}):
        path = "/".join(action.destination_path)
        if path in words:
            rows.append(
                {
                    "action_id": action.action_id, "attempt": 1, "word": words[path], "bytes_copied": 1,
                    "sha256": SHA, "destination_id": to_stored(f"id of {path}"),
                    "destination_name": to_stored((kept or {}).get(path, action.destination_path[-1])),
                    "destination_modified_at": at(99), "started_at": NOW, "finished_at": NOW, **facts,
                }
            )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=OUTCOMES_SCHEMA), plan.run.outcomes)


def rows(desk: Desk) -> dict[str, tuple[str, str | None, datetime, str]]:
    table = pq.read_table(desk.state.baseline)
    assert table.schema.equals(BASELINE_SCHEMA)
    return {
        "/".join(row["destination_path"]): (
            row["source_id"], row["source_version_id"], row["destination_modified_at"], row["run_id"]
        )
        for row in table.to_pylist()
    }  # fmt: skip


def test_a_second_run_finds_everything_unchanged(tmp_path: Path) -> None:
    desk = Desk(tmp_path, a_job(), WINDOWS)
    source = ["A/x = 10 t5", "y:z = 3 t6"]
    plan = desk.plan(source, [], 0)
    outcomes(plan, {"A": "succeeded", "A/x": "succeeded", "y_z": "revised"})
    assert write_baseline(desk.state, plan.run, desk.job) == 3
    first = desk.state.baseline.read_bytes()
    assert write_baseline(desk.state, plan.run, desk.job) == 3
    assert desk.state.baseline.read_bytes() == first

    second = desk.plan(source, ["A/x = 10 t99", "y_z = 3 t99"], 1)
    assert printed(second.actions()) == [
        "skip A/ (already-there)",
        "skip y:z -> y_z (unchanged; illegal-name)",
        "skip A/x (unchanged)",
    ]
    outcomes(second, {})
    assert write_baseline(desk.state, second.run, desk.job) == 3
    assert rows(desk)["A/x"] == ("A/x", "1", at(99), "run0")
    assert pq.read_table(desk.state.baseline)["sha256"].to_pylist() == [None, SHA, SHA]


def test_only_what_was_done_is_remembered(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    plan = desk.plan(["done", "failed", "flagged", "pending"])
    outcomes(plan, {"done": "succeeded", "failed": "retrying", "flagged": "flagged"})
    write_baseline(desk.state, plan.run, desk.job)
    assert list(rows(desk)) == ["done"]


def test_what_the_run_did_not_touch_stays(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.baseline(["gone-at-source", "updated = 1 v0", "failed = 1 v0"])
    plan = desk.plan(["updated = 2 v1", "failed = 2 v1"], ["gone-at-source", "updated", "failed"])
    outcomes(plan, {"updated": "succeeded", "failed": "retrying"})
    write_baseline(desk.state, plan.run, desk.job)
    assert rows(desk) == {
        "failed": ("failed", "0", at(0), "before"),
        "gone-at-source": ("gone-at-source", "1", at(0), "before"),
        "updated": ("updated", "1", at(99), "run0"),
    }


def test_equal_files_that_were_there_are_adopted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    plan = desk.plan(["a = 10 t5 #7"], ["a = 10 t5"])
    outcomes(plan, {})
    write_baseline(desk.state, plan.run, desk.job)
    assert rows(desk) == {"a": ("7", "1", at(5), "run0")}
    assert printed(desk.plan(["a = 11 t6 v2 #7"], ["a = 10 t5"], 1).actions()) == [
        "copy a over 10 t5 (newer-at-source)"
    ]


def test_the_name_as_the_destination_kept_it_is_remembered(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    plan = desk.plan(["a+b = 1 t5"])
    outcomes(plan, {"a+b": "revised"}, {"a+b": "a_b"})
    write_baseline(desk.state, plan.run, desk.job)
    assert printed(desk.plan(["a+b = 1 t5"], ["a_b = 1 t99"], 1).actions()) == ["skip a+b (unchanged)"]


def test_it_belongs_to_its_places(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert not usable_baseline(desk.state.baseline, desk.job)
    desk.baseline(["a"])
    assert usable_baseline(desk.state.baseline, desk.job)
    assert usable_baseline(desk.state.baseline, a_job(item_overwrite="skip"))
    elsewhere = desk.job.model_copy(update={"source": desk.job.source.model_copy(update={"path": "Tunnel"})})
    assert not usable_baseline(desk.state.baseline, elsewhere)


def test_names_that_are_no_text_are_remembered(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    plan = desk.plan(["D\udcff/x\udc80 = 3 t5"])
    outcomes(plan, {"D\udcff/x\udc80": "succeeded"})
    write_baseline(desk.state, plan.run, desk.job)
    again = desk.plan(["D\udcff/x\udc80 = 3 t5"], ["D\udcff/x\udc80 = 3 t99"], 1)
    assert [action.reason for action in again.actions()] == ["already-there", "unchanged"]
