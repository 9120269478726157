"""The judge of the proof by killing is judged: what is right passes, and every kind of wrong is found."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.judge import JobFiles, Truth, Violation, judge_budget, judge_end, judge_moment

MODIFIED = "2025-03-04T05:06:07Z"
CONTENTS = {"1": b"one", "2": b"two, a twin", "3": b"two, a twin"}
PATHS = {"1": ["Drawings", "A.pdf"], "2": ["Drawings", "B.pdf"], "3": ["Drawings", "a/b.pdf"]}
MAPPED = {**PATHS, "3": ["Drawings", "a_b.pdf"]}
OUTCOMES = "CREATE TABLE outcomes (id INTEGER PRIMARY KEY, run_id, action_id, word, reason, message, sha256)"


def sha256(file_id: str) -> str:
    return hashlib.sha256(CONTENTS[file_id]).hexdigest()


def truth_rows() -> list[dict[str, Any]]:
    files = [
        {"id": int(file_id), "version_id": 10 + int(file_id), "kind": "file", "current": True, "deleted": False,
         "private": False, "path": path, "size_bytes": len(CONTENTS[file_id]), "sha256": sha256(file_id),
         "modified_at": MODIFIED}
        for file_id, path in PATHS.items()
    ]  # fmt: skip
    folder = {"id": 9, "version_id": None, "kind": "folder", "current": True, "deleted": False, "private": False,
              "path": ["Drawings"]}  # fmt: skip
    hidden = {**files[0], "id": 4, "version_id": 14, "private": True}
    return [folder, *files, hidden]


def plan_rows() -> list[dict[str, Any]]:
    files = [
        {"action_id": f"copy-{file_id}", "kind": "copy", "entry_kind": "file", "source_id": file_id,
         "source_version_id": f"1{file_id}", "source_path": path, "destination_path": MAPPED[file_id],
         "renamed": path != MAPPED[file_id]}
        for file_id, path in PATHS.items()
    ]  # fmt: skip
    folder = {"action_id": "make-9", "kind": "make_folder", "entry_kind": "folder", "source_id": "9",
              "source_version_id": None, "source_path": ["Drawings"], "destination_path": ["Drawings"],
              "renamed": False}  # fmt: skip
    return [folder, *files]


class Finished:
    """A finished job of one run, and ways to spoil it."""

    def __init__(self, folder: Path) -> None:
        self.job = JobFiles(folder / "state" / "job", folder / "destination")
        self.run = self.job.state / "runs" / "run1"
        self.truth = Truth.of(truth_rows())
        self.said: dict[str, Any] = {"state": "done", "adds_up": True, "counts": {"succeeded": 2, "revised": 1}}
        self.run.mkdir(parents=True)
        (self.run / "report.html").touch()
        self.record(state="finished")
        self.plan(plan_rows())
        (self.run / "plan.json").touch()
        for file_id, path in MAPPED.items():
            self.write(path, CONTENTS[file_id])
        with closing(sqlite3.connect(self.job.state / "ledger.sqlite")) as database, database:
            database.execute(OUTCOMES)
        self.outcome("make-9", "succeeded", None)
        for file_id in PATHS:
            self.outcome(f"copy-{file_id}", "revised" if file_id == "3" else "succeeded", sha256(file_id))

    def record(self, state: str) -> None:
        (self.run / "run.json").write_text(json.dumps({"run_id": "run1", "state": state, "phases": {}, "starts": []}))

    def plan(self, rows: list[dict[str, Any]]) -> None:
        pq.write_table(pa.Table.from_pylist(rows), self.run / "plan.parquet")

    def path(self, *parts: str) -> Path:
        return self.job.destination.joinpath(*parts)

    def write(self, parts: list[str], content: bytes, modified: str = MODIFIED) -> None:
        path = self.path(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        seconds = datetime.fromisoformat(modified).timestamp()
        os.utime(path, (seconds, seconds))

    def outcome(self, action_id: str, word: str, sha256: str | None, run_id: str = "run1") -> None:
        values = (run_id, action_id, word, sha256)
        self.sql("INSERT INTO outcomes (run_id, action_id, word, sha256) VALUES (?, ?, ?, ?)", *values)

    def sql(self, statement: str, *values: str | None) -> None:
        with closing(sqlite3.connect(self.job.state / "ledger.sqlite")) as database, database:
            database.execute(statement, values)


@pytest.fixture
def finished(tmp_path: Path) -> Finished:
    return Finished(tmp_path)


def test_what_is_right_passes(finished: Finished) -> None:
    judge_moment(finished.job, finished.truth)
    judge_end(finished.job, finished.truth, finished.said)


Spoil = Callable[[Finished], object]

AT_ANY_MOMENT: dict[str, tuple[Spoil, str]] = {
    "a file is gone": (lambda f: f.path("Drawings", "A.pdf").unlink(), "not there or not the same"),
    "a file is cut": (lambda f: f.write(PATHS["1"], b"on"), "not what the source file holds"),
    "two files are swapped": (lambda f: f.write(PATHS["1"], CONTENTS["2"]), "not what the source file holds"),
    "a file is there twice": (lambda f: f.write(["Drawings", "A (1).pdf"], CONTENTS["1"]), "no plan put it there"),
    "an action ended twice": (lambda f: f.outcome("copy-1", "succeeded", sha256("1")), "two final outcomes"),
    "a wrong hash is recorded": (
        lambda f: f.sql("UPDATE outcomes SET sha256 = 'x' WHERE action_id = 'copy-1'"), "another hash"
    ),
    "a file is called flagged": (
        lambda f: f.sql("UPDATE outcomes SET word = 'flagged' WHERE action_id = 'copy-1'"), "is called flagged"
    ),
    "a rename is kept quiet": (
        lambda f: f.sql("UPDATE outcomes SET word = 'succeeded' WHERE action_id = 'copy-3'"), "where revised is due"
    ),
    "an outcome of nothing": (lambda f: f.outcome("copy-7", "succeeded", None), "an action that the plan"),
    "an outcome of no run": (lambda f: f.outcome("copy-1", "succeeded", None, "run0"), "no record"),
    "a folder is only called made": (lambda f: f.path("Drawings").rename(f.path("Other")), "no plan put it there"),
    "a plan with one name for two": (
        lambda f: f.plan([*plan_rows()[:3], plan_rows()[3] | {"destination_path": PATHS["2"]}]), "twice"
    ),
    "a plan that leads outside": (
        lambda f: f.plan([*plan_rows()[:3], plan_rows()[3] | {"destination_path": ["..", "a"]}]), "impossible path"
    ),
    "a plan with what is not there": (
        lambda f: f.plan([*plan_rows(), plan_rows()[1] | {"source_id": "4", "destination_path": ["x"]}]), "has not"
    ),
    "a plan with another version": (
        lambda f: f.plan([*plan_rows()[:3], plan_rows()[3] | {"source_version_id": "99"}]), "never was"
    ),
    "a plan that renames silently": (
        lambda f: f.plan([*plan_rows()[:3], plan_rows()[3] | {"renamed": False}]), "says otherwise"
    ),
    "a ledger that is damaged": (
        lambda f: f.job.state.joinpath("ledger.sqlite").write_bytes(b"x" * 8192),
        "not a database",
    ),
}  # fmt: skip


@pytest.mark.parametrize("spoil", AT_ANY_MOMENT)
def test_what_is_wrong_at_any_moment_is_found(finished: Finished, spoil: str) -> None:
    change, said = AT_ANY_MOMENT[spoil]
    change(finished)
    with pytest.raises((Violation, sqlite3.DatabaseError), match=said):
        judge_moment(finished.job, finished.truth)


AT_THE_END: dict[str, tuple[Spoil, str]] = {
    "an outcome is missing": (lambda f: f.sql("DELETE FROM outcomes WHERE action_id = 'make-9'"), "1 actions"),
    "a file and its outcome are missing": (
        lambda f: (f.path("Drawings", "A.pdf").unlink(), f.sql("DELETE FROM outcomes WHERE action_id = 'copy-1'")),
        "1 actions",
    ),
    "a file was never planned": (
        lambda f: (
            f.plan([*plan_rows()[:3]]), f.path("Drawings", "a_b.pdf").unlink(),
            f.sql("DELETE FROM outcomes WHERE action_id = 'copy-3'"),
        ),
        "1 files of the project are not planned",
    ),
    "a time is another": (
        lambda f: f.write(PATHS["1"], CONTENTS["1"], "2025-03-04T05:06:08Z"), "another modification time"
    ),
    "a staged name is left": (lambda f: f.write(["Drawings", ".sitehaul-ab.part"], b""), "staged names were left"),
    "a folder too many": (lambda f: f.path("Drawings", "Other").mkdir(), "the folders are not"),
    "a run was given up": (lambda f: f.record(state="running"), "given up"),
    "the report is missing": (lambda f: (f.run / "report.html").unlink(), "no report"),
    "it counts wrong": (lambda f: f.said.update(counts={"succeeded": 4}), "of 3 files"),
    "it does not add up": (lambda f: f.said.update(adds_up=False), "calls itself done"),
}  # fmt: skip


@pytest.mark.parametrize("spoil", AT_THE_END)
def test_what_is_wrong_at_the_end_is_found(finished: Finished, spoil: str) -> None:
    change, said = AT_THE_END[spoil]
    change(finished)
    judge_moment(finished.job, finished.truth)
    with pytest.raises(Violation, match=said):
        judge_end(finished.job, finished.truth, finished.said)


def test_between_publishing_and_recording_an_update_both_contents_are_right(finished: Finished) -> None:
    newer = hashlib.sha256(b"newer").hexdigest()
    rows = [row | {"current": row["id"] != 1} for row in truth_rows()]
    rows.append(truth_rows()[1] | {"version_id": 21, "sha256": newer, "size_bytes": 5})
    truth = Truth.of(rows)
    second = finished.job.state / "runs" / "run2"
    second.mkdir()
    (second / "run.json").write_text(json.dumps({"run_id": "run2", "state": "running", "phases": {}, "starts": []}))
    pq.write_table(pa.Table.from_pylist([plan_rows()[1] | {"source_version_id": "21"}]), second / "plan.parquet")
    (second / "plan.json").touch()
    judge_moment(finished.job, truth)
    finished.write(PATHS["1"], b"newer")
    judge_moment(finished.job, truth)
    finished.outcome("copy-1", "succeeded", newer, "run2")
    judge_moment(finished.job, truth)
    finished.write(PATHS["1"], CONTENTS["1"])
    with pytest.raises(Violation, match="not the same"):
        judge_moment(finished.job, truth)


@pytest.mark.parametrize(("taken", "calls", "said"), [(7, 7, ""), (7, 8, "counts only 7"), (9, 7, "leases hold 7")])
def test_the_budget_counts_what_leases_hold_and_all_calls(tmp_path: Path, taken: int, calls: int, said: str) -> None:
    leases = tmp_path / "concurrency_leases"
    leases.mkdir()
    (leases / "expirations.json").write_text("{}")
    for number, slots in enumerate((3, 4)):
        lease = {"resource_ids": ["limit"], "metadata": {"slots": slots}}
        (leases / f"{number}.json").write_text(json.dumps(lease))
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as database, database:
        database.execute("CREATE TABLE concurrency_limit_v2 (id, name, active_slots)")
        database.execute("INSERT INTO concurrency_limit_v2 VALUES ('limit', 'procore-x-hourly', ?)", (taken,))
    if not said:
        judge_budget(tmp_path, calls)
        return
    with pytest.raises(Violation, match=said):
        judge_budget(tmp_path, calls)
