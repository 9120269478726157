"""A plan is carried out as it was shown, after whoever has to approve it did, or not at all."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from connectors.filesystem.settings import FilesystemSettings
from flows.endings import EndState
from migration.approval import Decision
from migration.errors import PlanError
from migration.plans import Plan
from migration.runs import RunRecord, RunState
from tasks.connections import save_connection
from tasks.server import Server
from tests.flows.place import Place, make_place, procore_settings
from tests.flows.test_cli import Cli, names
from tests.servers import ProcoreSimulators


@pytest.fixture
def place(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    return make_place(procore_simulator(files=40, seed=12, max_file_bytes=20_000), tmp_path)


def code_of(error: BaseException | None) -> str:
    assert isinstance(error, PlanError)
    return error.code


async def planned(place: Place) -> Plan:
    ending = await place.run("plan")
    assert ending.run is not None
    return Plan.load(ending.run)


async def test_a_plan_is_applied_only_while_what_it_touches_is_as_it_was(place: Place) -> None:
    plan = await planned(place)
    plan_id = plan.summary.plan_id[:8]
    project, victim = place.served.project["id"], place.visible()[0]
    place.served.edit({"op": "add_file", "project_id": project, "path": ["New", "not in the plan.txt"]})
    place.served.edit({"op": "add_version", "project_id": project, "id": victim["id"]})
    in_the_way = place.copied.joinpath(*plan_files(plan)[-1])
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("somebody else's")

    refused = await place.run("apply", plan_id=plan_id)
    assert (refused.state, code_of(refused.error)) == (EndState.FAILED, "plan-drifted")
    assert place.files() == [in_the_way]
    drift = json.loads((plan.run.folder / "drift.json").read_text("utf-8"))
    assert drift["counts"]["changed"] == 1 and drift["counts"]["appeared"] >= 1
    assert "was changed" in refused.sentence

    applied = await place.run("apply", plan_id=plan_id, accept_drift=True, approved_by="Ann")
    assert applied.run is not None and applied.run.run_id == plan.run.run_id
    assert applied.state is EndState.FLAGGED
    assert applied.reconciliation is not None
    assert applied.reconciliation.total.files["flagged"] == 1
    assert in_the_way.read_text() == "somebody else's"
    assert len(place.files()) == len(plan_files(plan)), "what was added after planning is not copied"
    approval = RunRecord.load(applied.run).approval
    assert approval is not None and (approval.who, approval.plan_id) == ("Ann", plan.summary.plan_id)

    again = await place.run("apply", plan_id=plan_id)
    assert code_of(again.error) == "plan-finished"


def plan_files(plan: Plan) -> list[tuple[str, ...]]:
    from migration.actions import ActionKind

    return [action.destination_path for action in plan.actions([ActionKind.COPY])]


async def test_a_simulation_reports_everything_and_writes_nothing(place: Place) -> None:
    before = place.served.truth()
    simulated = await place.run(simulate=True)
    assert (simulated.state, simulated.error) == (EndState.DONE, None)
    assert simulated.sentence.startswith("Simulation, nothing was written")
    assert simulated.run is not None and simulated.reconciliation is not None
    assert simulated.reconciliation.adds_up
    files = simulated.reconciliation.total.files
    assert files["succeeded"] + files["revised"] == len(place.visible())
    assert "Simulation" in simulated.run.report.read_text("utf-8")
    assert RunRecord.load(simulated.run).simulation
    assert place.files() == [] and not place.copied.exists()
    assert place.served.truth() == before
    assert place.state.runs() == [], "real runs know nothing of it"
    assert not place.state.ledger.exists() and not place.state.baseline.exists()

    real = await place.run()
    assert real.state is EndState.DONE
    assert place.found() == place.expected()
    ledger, baseline = place.state.ledger.read_bytes(), place.state.baseline.read_bytes()
    again = await place.run(job=place.job.model_copy(update={"simulation_mode": True}))
    assert again.reconciliation is not None
    assert again.reconciliation.total.files["skipped"] == len(place.visible()), "it knows what real runs did"
    assert (place.state.ledger.read_bytes(), place.state.baseline.read_bytes()) == (ledger, baseline)


async def answered(place: Place, answer: dict[str, str]) -> Any:
    """Run the job, answer its question over the API as a person would in the UI; the last ending and the state."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterName,
        FlowRunFilterState,
        FlowRunFilterStateName,
    )

    job = place.job.model_copy(update={"require_approval": True})
    running = asyncio.create_task(place.run(job=job))
    waiting = FlowRunFilter(
        name=FlowRunFilterName(any_=[job.name]), state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Paused"]))
    )
    async with get_client() as client:
        while not (found := await client.read_flow_runs(flow_run_filter=waiting)):
            assert not running.done(), running.result()
            await asyncio.sleep(0.2)
        assert place.files() == []
        second = await place.run(job=job)
        assert second.state is EndState.PENDING and "waits for approval" in second.sentence, "it does not ask twice"
        while True:
            result = await client.resume_flow_run(found[0].id, run_input=answer)
            if result.status.value == "ACCEPT":
                break
            await asyncio.sleep(0.2)
    return await running


async def test_what_needs_approval_waits_for_it(place: Place) -> None:
    done = await answered(place, {"decision": "approve", "who": "Ann", "note": "go"})
    assert done.state is EndState.DONE
    assert place.found() == place.expected()
    approval = RunRecord.load(done.run).approval
    assert approval is not None
    assert (approval.decision, approval.who, approval.way, approval.note) == (Decision.APPROVE, "Ann", "Prefect", "go")
    quiet = await place.run(job=place.job.model_copy(update={"require_approval": True}))
    assert quiet.state is EndState.DONE, "a plan without changes needs nobody"


async def test_a_rejected_plan_changes_nothing_and_is_never_carried_out(place: Place) -> None:
    ended = await answered(place, {"decision": "reject", "who": "Bob", "note": "too early"})
    assert place.files() == []
    plan = Plan.load(ended.run)
    record = RunRecord.load(ended.run)
    assert record.state is RunState.STOPPED and record.reason is not None and "rejected by Bob" in record.reason
    assert code_of((await place.run("apply", plan_id=plan.summary.plan_id)).error) == "plan-rejected"
    assert (await planned(place)).run.run_id != plan.run.run_id, "the next plan is a new one"


@pytest.mark.slow
def test_the_command_line_asks_and_explains(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path
) -> None:
    served = procore_simulator(files=20, seed=3, max_file_bytes=5_000, name="simulated")
    cli = Cli(tmp_path / "home", prefect_server, served)
    office, archive = names(tmp_path)
    (tmp_path / "archive").mkdir()
    save_connection(office, procore_settings(served))
    save_connection(archive, FilesystemSettings(folder=tmp_path / "archive"))
    ends = ("--source", f"{office}:{served.project['name']}", "--destination", f"{archive}:tower")

    waiting = cli.json("run", "tower", *ends, "--set", "require_approval=true", code=10)
    assert waiting["state"] == "pending" and "waits for approval" in waiting["message"]
    assert list((tmp_path / "archive").iterdir()) == []
    plan_id = waiting["plan"]["plan_id"]
    done = cli.json("run", "tower", "--approve", plan_id[:8])
    assert (done["state"], done["run_id"]) == ("done", waiting["run_id"])

    path = waiting["plan"]["dangerous"][0]["path"]
    explained = cli.json("explain", "tower", path)
    assert explained["state"] == "arrived" and path in explained["now"]
