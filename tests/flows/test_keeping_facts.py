"""Versions, the sidecar and maps of people, with the real flows."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from flows.endings import EndState
from migration.jobs import Job
from tasks.server import Server
from tests.flows.place import Place, make_place
from tests.servers import ProcoreSimulators


@pytest.fixture
def place(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    return make_place(procore_simulator(files=14, seed=11, max_file_bytes=20_000), tmp_path)


def with_rules(job: Job, **rules: Any) -> Job:
    return Job.model_validate(job.model_dump() | {"rules": rules})


def manifest(place: Place) -> list[dict[str, Any]]:
    path = place.copied / ".sitehaul" / place.job.name / "manifest.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def unmapped(folder: Path) -> list[str]:
    with open(folder / "unmapped-accounts.csv", encoding="utf-8-sig", newline="") as file:
        return [row["source"] for row in csv.DictReader(file)]


async def test_the_sidecar_tells_of_every_file_and_version_and_is_no_content(place: Place, tmp_path: Path) -> None:
    keeps = {"versioning": {"preserve": "native"}, "metadata": "sidecar", "preserve_owners": True}
    ending = await place.run(job=with_rules(place.job, **keeps))
    assert (ending.state, ending.error) == (EndState.DONE, None)
    rows = manifest(place)
    current = {"/".join(row["destination_path"]): row for row in rows if row["kind"] == "file"}
    assert len(current) == len(place.visible())
    assert {row["sha256"] for row in current.values()} == set(place.expected())
    earlier = sum(row["version_number"] - 1 for row in current.values())
    assert len([row for row in rows if row["kind"] == "version"]) == earlier > 0
    assert all(row["version_id"] and row["author"] == row["mapped_author"] for row in rows)
    assert len([path for path in place.files() if ".sitehaul" not in path.parts]) == len(rows)
    assert ending.run is not None
    assert set(unmapped(ending.run.folder)) == {row["author"] for row in current.values()}
    page = ending.run.report.read_text("utf-8")
    assert "unmapped-accounts.csv" in page
    assert f"here/.sitehaul/{place.job.name}" in page

    author = rows[0]["author"]
    (tmp_path / "home" / "people.csv").write_text(f"source,destination\n{author},someone@new.example\n", "utf-8")
    again = await place.run(job=with_rules(place.job, **keeps, account_map={"file": "people.csv"}))
    assert again.reconciliation is not None
    assert again.reconciliation.total.files["skipped"] == len(place.visible())
    for row in rows:
        row["mapped_author"] = "someone@new.example" if row["author"] == author else row["author"]
    assert manifest(place) == rows
    assert again.run is not None
    assert author not in unmapped(again.run.folder)
    assert json.loads((again.run.folder / "sidecar.json").read_text("utf-8"))["written"] == [
        "manifest.jsonl",
        "manifest.csv",
    ]


async def test_files_of_people_in_no_map_need_a_person_if_the_job_says_so(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    job = with_rules(place.job, account_map={"file": str(path), "unmapped_policy": "fail"})
    ending = await place.run(job=job)
    assert ending.state is EndState.FAILED
    assert ending.run is not None
    assert not ending.run.plan.exists()
    path.write_text("source,destination\nNobody,nobody@new.example\n", "utf-8")
    ending = await place.run(job=job)
    assert ending.reconciliation is not None
    flagged = ending.reconciliation.reasons["flagged"]["unmapped-account"]
    assert flagged == ending.reconciliation.total.files["flagged"] > 0
