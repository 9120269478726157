from collections import Counter
from pathlib import Path

import pytest

from flows.endings import EndState
from migration.inventory import Inventory
from migration.jobs import Job
from migration.plans import Plan
from tasks.server import Server
from tests.flows.place import Place, make_place
from tests.servers import ProcoreSimulators


@pytest.fixture
def place(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    served = procore_simulator(files=150, seed=11, max_file_bytes=200_000)
    return make_place(served, tmp_path)


async def test_everything_visible_arrives_and_nothing_is_copied_twice(place: Place) -> None:
    first = await place.run()
    assert (first.state, first.error) == (EndState.DONE, None)
    assert place.found() == place.expected()
    account = first.reconciliation
    assert account is not None and account.adds_up
    assert account.verification == {"matches": len(place.visible())}
    assert first.run is not None and first.run.report.is_file()

    second = await place.run()
    assert second.state is EndState.DONE
    assert second.calls <= 5
    assert second.reconciliation is not None
    assert second.reconciliation.total.files["skipped"] == len(place.visible())
    assert place.found() == place.expected()


async def test_modification_times_are_those_of_the_current_versions(place: Place) -> None:
    ending = await place.run()
    assert ending.run is not None
    plan = Plan.load(ending.run)
    checked = 0
    for action in plan.actions():
        target = place.copied.joinpath(*action.destination_path)
        if action.modified_at is not None and target.is_file():
            assert abs(target.stat().st_mtime - action.modified_at.timestamp()) < 0.001
            checked += 1
    assert checked == len(place.visible())


async def test_only_what_people_changed_is_copied_again(place: Place) -> None:
    await place.run()
    rows = place.visible()
    place.served.edit({"op": "add_file", "project_id": place.served.project["id"], "path": ["New", "minutes.txt"]})
    place.served.edit({"op": "add_version", "project_id": place.served.project["id"], "id": rows[3]["id"]})
    ending = await place.run()
    assert ending.reconciliation is not None
    files = ending.reconciliation.total.files
    assert (files["succeeded"], files["skipped"]) == (2, len(rows) - 1)
    assert place.found() == place.expected()


async def test_a_plan_changes_nothing_and_the_next_run_does_exactly_that(place: Place) -> None:
    analyzed = await place.run("analyze")
    planned = await place.run("plan")
    assert analyzed.run is not None and planned.run is not None
    assert (analyzed.state, planned.state) == (EndState.DONE, EndState.DONE)
    assert planned.run.run_id == analyzed.run.run_id, "the plan uses the analysis"
    assert place.files() == []
    before = planned.run.plan.read_bytes()
    migrated = await place.run()
    assert migrated.run is not None and migrated.run.run_id == planned.run.run_id
    assert migrated.run.plan.read_bytes() == before
    assert place.found() == place.expected()


async def test_verification_finds_what_was_damaged_afterwards(place: Place) -> None:
    await place.run()
    victim = max(place.files(), key=lambda path: path.stat().st_size)
    times = victim.stat()
    victim.write_bytes(b"x" * times.st_size)
    ending = await place.run("verify")
    assert ending.state is EndState.WRONG
    assert ending.reconciliation is not None and ending.reconciliation.verification is not None
    assert ending.reconciliation.verification["differs"] == 1


async def test_a_file_of_somebody_else_is_flagged_and_stays(place: Place) -> None:
    place.job = place.job.model_copy(update={"rules": place.job.rules.model_copy(update={"item_overwrite": "fail"})})
    path = place.visible()[0]["path"]
    there = place.copied.joinpath(*path)
    there.parent.mkdir(parents=True)
    there.write_text("mine")
    ending = await place.run()
    assert ending.state is EndState.FLAGGED
    assert there.read_text() == "mine"
    assert "1 needs a person" in ending.sentence


async def test_a_job_that_is_being_run_is_not_run_twice(place: Place) -> None:
    from datetime import UTC, datetime

    from migration.runs import job_lock

    with job_lock(place.state, datetime.now(UTC)):
        ending = await place.run()
    assert ending.error is not None and "is being run" in ending.sentence
    assert place.state.runs() == []


async def test_prefect_shows_phases_batches_and_what_came_of_it(place: Place) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    from tasks.telling import artifact_key

    job = place.job.model_copy(update={"performance": place.job.performance.model_copy(update={"batch_files": 50})})
    ending = await place.run(job=Job.model_validate(job.model_dump()))
    assert ending.state is EndState.DONE
    key = artifact_key(place.job.name)
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(like_=key)))
    pages = {artifact.key: str(artifact.data) for artifact in found}
    assert "The account adds up." in pages[key]
    assert "succeeded" in pages[artifact_key(place.job.name, "folders")]


async def test_the_inventory_is_complete_and_paths_keep_their_names(place: Place) -> None:
    ending = await place.run("analyze")
    assert ending.run is not None
    inventory = Inventory.load(ending.run.source_inventory)
    listed = Counter(entry.path for entry in inventory.entries() if entry.is_file)
    assert listed == Counter(tuple(row["path"]) for row in place.visible())
