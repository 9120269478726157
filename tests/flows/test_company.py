"""A whole company in one job: a child for each project, all under one budget."""

import csv
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

from connectors.filesystem.settings import FilesystemSettings
from flows.cli.standing import job_standings
from flows.endings import Ending, EndState
from migration.child_rows import ChildRow, load_roll, roll_file
from migration.child_rules import Children, JobKind
from migration.jobs import Job, Location
from simulator.server import Running
from tasks.clients import BudgetNames
from tasks.connections import save_connection
from tasks.server import Server
from tests.flows.place import Place, procore_settings, run_flow
from tests.servers import ProcoreSimulators

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def company(served: Running, folder: Path, children: Children | None = None, **settings: Any) -> Place:
    """The job over all projects of a simulated Procore."""
    mark = uuid.uuid4().hex[:8]
    (folder / "copied").mkdir(parents=True)
    save_connection(f"procore-{mark}", procore_settings(served, **settings))
    save_connection(f"folder-{mark}", FilesystemSettings(folder=folder / "copied"))
    job = Job(
        name=f"company-{mark}",
        kind=JobKind.COMPANY,
        source=Location(connection=f"procore-{mark}"),
        destination=Location(connection=f"folder-{mark}", path="here"),
        children=children or Children(),
    )
    return Place(served, folder, job)


def visible(served: Running) -> list[int]:
    return [one["id"] for one in served.facts["projects"] if one["permitted"] and one["documents_on"]]


def expected(served: Running, but: int | None = None) -> Counter[str]:
    """How often each content is in the projects that can be seen."""
    rows = [row for project_id in visible(served) if project_id != but for row in served.truth(project_id)]
    return Counter(
        row["sha256"]
        for row in rows
        if row["kind"] == "file" and row["current"] and not (row["deleted"] or row["private"])
    )


def rows_of(ending: Ending) -> dict[str, ChildRow]:
    assert ending.run is not None
    return {row.id: row for row in load_roll(roll_file(ending.run)).rows}


async def an_hour_later(served: Running, *limits: str) -> None:
    """Procore's window moves, and the leases of its calls end."""
    served.advance(3601)
    async with get_client() as client:
        for name in limits:
            await client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(active_slots=0))


async def test_a_company_is_copied_and_goes_on_when_its_projects_change(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path
) -> None:
    served = procore_simulator(files=20, projects=5, further_files=10, seed=61, max_file_bytes=3_000)
    first, second, off, fourth = (one["id"] for one in served.facts["projects"] if one["permitted"])
    name = "Lakeside Elementary Modernization"
    served.edit({"op": "project", "project_id": fourth, "name": name, "project_number": "24-022"})
    place = company(served, tmp_path, Children(at_once=5))
    ending = await place.run()

    assert (ending.state, ending.error) == (EndState.DONE, None), ending.sentence
    assert place.found() == expected(served)
    rows = rows_of(ending)
    assert (rows[str(off)].state, rows[str(off)].code) == ("not visible", "documents-off")
    assert rows[str(second)].destination == [f"24-022 {name}"]
    assert rows[str(fourth)].destination == [f"24-022 {name} ({fourth})"], "two of one name do not meet"
    account = ending.reconciliation
    assert account is not None
    assert account.adds_up
    assert account.total.source_files == sum(account.total.files.values()) == expected(served).total()
    assert [name for name, code, _ in account.not_visible if code == "documents-off"] == ["Riverside Parking Structure"]
    assert ending.run is not None
    page, table = ending.run.report.read_text("utf-8"), ending.run.folder / "children.csv"
    with table.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["id"]: line["succeeded"] for line in lines if line["succeeded"]} == {
        str(first): "20", str(second): "10", str(fourth): "10"
    }  # fmt: skip
    assert all(
        (ending.run.folder / line["report"]).is_file() and line["report"] in page for line in lines if line["report"]
    )
    names = [standing.job for standing in job_standings(place.state.folder.parent, place.job.name)]
    assert len(names) == 5
    assert f"{place.job.name}/24-017-harbor-street-medical-center" in names

    served.edit({"op": "project", "project_id": second, "name": "Lakeside Academy"})
    served.edit({"op": "permission", "project_id": fourth, "level": None})
    served.edit({"op": "add_file", "project_id": second, "path": ["New.pdf"]})
    again = await place.run()
    rows = rows_of(again)
    assert (again.state, rows[str(second)].name) == (EndState.DONE, "Lakeside Academy")
    assert rows[str(second)].destination == [f"24-022 {name}"]
    assert rows[str(second)].files["succeeded"] == 1
    assert (rows[str(fourth)].state, rows[str(fourth)].code) == ("paused", "not-listed")
    assert place.found().total() == 41, "nothing was deleted, and the new file came to where its project goes"


async def test_a_small_budget_is_shared_fairly_and_the_next_hour_goes_on(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path
) -> None:
    """Downloads count here: each project of 20 files needs 24 calls, and the hour has 40 for two of them."""
    limit, percent = 40, 10
    switches = {"count_storage": True, "hourly_calls": limit, "spike_calls": 1000}
    served = procore_simulator(files=20, projects=5, further_files=20, seed=62, max_file_bytes=2_000, settings=switches)
    *_, gone = visible(served)
    served.edit({"op": "permission", "project_id": gone, "level": None})
    served.edit({"op": "project", "project_id": visible(served)[1], "active": 0})
    place = company(
        served, tmp_path, Children(at_once=2, exclude=("Riverside*",)), hourly_calls=limit, spike_calls=1000
    )
    names = BudgetNames(procore_settings(served, hourly_calls=limit).client_name)
    for hour in range(4):
        ending = await place.run("company")
        counted = [entry for entry in served.log() if entry["host"] in ("api", "storage")]
        assert len(counted) <= limit * (100 - percent) // 100
        assert all(entry["status"] != 429 for entry in counted)
        assert ending.reconciliation is not None
        assert ending.reconciliation.adds_up
        if ending.state is EndState.DONE:
            break
        assert ending.state is EndState.PENDING, ending.sentence
        assert ending.resume_at is not None
        if hour == 0:
            hungry = [row.calls for row in rows_of(ending).values() if not row.settled]
            assert len(hungry) >= 2
            assert max(hungry) - min(hungry) <= 5, "those that wanted more got the same"
            assert min(hungry) >= (limit * (100 - percent) // 100) // 2 - 3, "at least an equal part of the hour"
        served.clear_log()
        await an_hour_later(served, names.hourly, names.hourly_but(percent))
    assert ending.state is EndState.DONE, ending.sentence
    assert place.found() == expected(served, but=gone)


async def test_first_folders_become_children(prefect_server: Server, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex[:8]
    for name in ("North/a.txt", "North/Drawings/b.txt", "South/Drawings/c.txt", "loose.txt", "East/e.txt"):
        file = tmp_path / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (tmp_path / "copied").mkdir()
    save_connection(f"source-{mark}", FilesystemSettings(folder=tmp_path))
    save_connection(f"copied-{mark}", FilesystemSettings(folder=tmp_path / "copied"))
    job = Job(
        name=f"map-{mark}",
        kind=JobKind.FOLDER_MAPPING,
        source=Location(connection=f"source-{mark}", path="source"),
        destination=Location(connection=f"copied-{mark}", path="all"),
        children=Children(folder="Drawings", template="{folder} drawings", at_once=2),
    )
    ending = await run_flow("migrate", job)
    assert ending.state is EndState.DONE, ending.sentence
    copied = {path.relative_to(tmp_path / "copied").as_posix() for path in (tmp_path / "copied").rglob("*.txt")}
    assert copied == {"all/North drawings/b.txt", "all/South drawings/c.txt"}
    assert ending.run is not None
    roll = load_roll(roll_file(ending.run))
    assert [(row.name, row.code) for row in roll.rows if row.state == "not visible"] == [("East", "folder-missing")]
    assert any(sentence.startswith("1 files lie directly in the source folder") for sentence in roll.told)
    assert ending.to_json()["counts"]["succeeded"] == 2
