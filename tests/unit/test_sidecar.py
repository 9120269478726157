"""The sidecar's files, from a baseline, an inventory, versions that were read, and the manifest of before."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from migration.actions import OutcomeWord
from migration.baseline import baseline_schema
from migration.ledger_tables import OUTCOMES_SCHEMA
from migration.plan_format import PLAN_SCHEMA
from migration.security_maps import SecurityMaps, WhoIsWho, key_of
from migration.sidecar import is_wanted, write_sidecar
from migration.state import RunPaths
from tests.unit.planning_support import Desk, a_job, at, entries

MAPS = SecurityMaps(WhoIsWho(names={key_of("Ann Lee"): "=a.lee"}), WhoIsWho())
KEEPS = a_job(metadata="sidecar", preserve_owners=True)


def kept(path: str, **facts: Any) -> dict[str, Any]:
    """A row of the baseline."""
    return {
        "source_system": "procore", "source_id": path, "source_version_id": "1", "source_path": path.split("/"),
        "source_modified_at": at(5), "destination_path": path.split("/"), "destination_id": "7", "size_bytes": 9,
        "sha256": "ab" * 32, "run_id": "run0", "entry_kind": "file", **facts,
    }  # fmt: skip


def prepared(desk: Desk, baseline: list[dict[str, Any]], source: list[str], author: str, number: int = 0) -> RunPaths:
    run = desk.run(number)
    pq.write_table(pa.Table.from_pylist(baseline, schema=baseline_schema(desk.job)), desk.state.baseline)
    listed = [replace(one, created_by=author, version_number=3, created_at=at(1)) for one in entries("procore", source)]
    desk.inventory(run.source_inventory, "procore", listed)
    return run


def lines(run: RunPaths) -> list[dict[str, Any]]:
    text = (run.folder / "sidecar" / "manifest.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def table(run: RunPaths, name: str) -> list[dict[str, str]]:
    with open(run.folder / "sidecar" / name, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_says_where_it_came_from(tmp_path: Path) -> None:
    desk = Desk(tmp_path, KEEPS)
    renamed = kept("a/b:c.pdf", destination_path=["a", "b_c.pdf"], destination_name="B_c.pdf")
    run = prepared(desk, [kept("a"), renamed, kept("a/", entry_kind="folder")], ["a", "a/b:c.pdf"], "Ann Lee")
    sidecar = write_sidecar(desk.state, run, desk.job, MAPS)
    assert sidecar.rows == 2
    assert list(sidecar.files) == ["manifest.jsonl", "manifest.csv", "names.csv", "README.txt"]
    first, second = lines(run)
    assert first == {
        "kind": "file", "source_system": "procore", "source_id": "a", "version_id": "1", "version_number": 3,
        "source_path": ["a"], "destination_path": ["a"], "size_bytes": 9, "sha256": "ab" * 32,
        "created_at": "2024-01-01T00:00:01.000000Z", "modified_at": "2024-01-01T00:00:05.000000Z",
        "author": "Ann Lee", "mapped_author": "=a.lee", "run_id": "run0",
    }  # fmt: skip
    assert (second["source_path"], second["destination_path"]) == (["a", "b:c.pdf"], ["a", "B_c.pdf"])
    assert [row["mapped_author"] for row in table(run, "manifest.csv")] == ["'=a.lee"] * 2
    (name,) = table(run, "names.csv")
    assert (name["source_path"], name["destination_path"]) == ("a/b:c.pdf", "a/B_c.pdf")
    assert sidecar.files["README.txt"].read_text("utf-8").count("\n") == 3


def test_what_the_source_has_lost_is_remembered(tmp_path: Path) -> None:
    desk = Desk(tmp_path, KEEPS)
    rows = [kept("a"), kept("b")]
    write_sidecar(desk.state, prepared(desk, rows, ["a", "b"], "Ann Lee"), desk.job, MAPS)
    run = prepared(desk, rows, ["b"], "Bob", number=1)
    write_sidecar(desk.state, run, desk.job, MAPS)
    assert [(row["source_id"], row["author"], row["version_number"]) for row in lines(run)] == [
        ("a", "Ann Lee", 3),
        ("b", "Bob", 3),
    ]


def test_authors_are_only_told_if_they_are_wanted(tmp_path: Path) -> None:
    desk = Desk(tmp_path, a_job(metadata="sidecar"))
    run = prepared(desk, [kept("a")], ["a"], "Ann Lee")
    write_sidecar(desk.state, run, desk.job, MAPS)
    (row,) = lines(run)
    assert row.get("author") is row.get("mapped_author") is None
    assert [is_wanted(job) for job in (desk.job, KEEPS, a_job())] == [True, True, False]


def test_earlier_versions_have_lines_of_their_own(tmp_path: Path) -> None:
    desk = Desk(tmp_path, KEEPS)
    beside = kept("a", entry_kind="version", version_number=1, destination_path=["a (v1)"], source_modified_at=None)
    run = prepared(desk, [kept("a"), beside], ["a"], "Ann Lee")
    notes = {"source_id": "a", "versions": [
        {"number": 1, "version_id": "11", "size_bytes": 9, "modified_at": at(1).isoformat(), "created_by": "Bob"},
        {"number": 2, "version_id": "12", "size_bytes": 9, "modified_at": at(2).isoformat(), "created_by": None},
    ]}  # fmt: skip
    run.versions.write_text(json.dumps(notes) + "\n", "utf-8")
    on_top = {
        "seq": 0, "action_id": "x", "kind": "add_version", "entry_kind": "file", "source_system": "procore",
        "source_id": "a", "source_version_id": "1", "source_path": ["a"], "destination_path": ["a"],
        "reason": "earlier-version", "renamed": False, "side": "destination", "accounts": False, "version_number": 2,
    }  # fmt: skip
    done = {
        "action_id": "x", "attempt": 1, "word": OutcomeWord.SUCCEEDED, "bytes_copied": 8, "sha256": "cd" * 32,
        "started_at": at(9), "finished_at": at(9),
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist([on_top], PLAN_SCHEMA), run.plan)
    pq.write_table(pa.Table.from_pylist([done], OUTCOMES_SCHEMA), run.outcomes)
    write_sidecar(desk.state, run, desk.job, MAPS)
    told = [
        (row["kind"], row["version_number"], row["version_id"], "/".join(row["destination_path"]), row.get("author"))
        for row in lines(run)
    ]
    expected = [
        ("file", 3, "1", "a", "Ann Lee"),
        ("version", 2, "12", "a", None),
        ("version", 1, "11", "a (v1)", "Bob"),
    ]
    assert told == expected
    later = prepared(desk, [kept("a"), beside], ["a"], "Ann Lee", number=1)
    write_sidecar(desk.state, later, desk.job, MAPS)
    assert lines(later)[1:] == lines(run)[1:]
