"""A job's schedule on a real Prefect server, and the commands `schedule`, `job resume` and `flagged`."""

import contextlib
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import commands
from flows.cli.main import Leaving, app
from migration.errors import ConfigurationError
from migration.executions import load_counters, save_counters
from migration.jobs import Job, Location
from migration.state import JobState
from migration.stop_policy import Counters
from tasks.deployments import WORK_POOL
from tasks.job_schedules import put_schedule, remove_schedule, schedule_of
from tasks.server import Server

assert commands.__all__
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def job(name: str, **fields: Any) -> Job:
    ends = {"source": Location(connection="office"), "destination": Location(connection="archive")}
    return Job.model_validate({"name": name, **ends, **fields})


@pytest.fixture
def home(prefect_server: Server) -> Path:
    """The home of a server with the flow's deployment, as `sitehaul up` makes it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client:
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"))
        client.create_deployment(
            client.create_flow_from_name("migrate"),
            "on-demand",
            work_pool_name=WORK_POOL,
            entrypoint="flows.migrate.migrate",
        )
    return prefect_server.home


def new_name() -> str:
    """Of a job of this test alone: server and home are shared."""
    return f"tower-{uuid.uuid4().hex[:8]}"


def run(home: Path, *words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["--home", str(home), *words], obj=Leaving(), standalone_mode=False)
    if done.exception is not None and code == 0:
        raise done.exception
    return done


def test_a_job_gets_a_deployment_with_its_schedule(home: Path) -> None:
    name = new_name()
    one = job(name, schedule={"mode": "auto", "run_at": "22:00", "days": "weekdays", "time_zone": "Europe/Berlin"})
    made = put_schedule(one)
    assert made.deployment == f"migrate/{name}"
    assert made.starts == ("0 22 * * 1,2,3,4,5 (Europe/Berlin)",)

    again = put_schedule(job(name, schedule={"mode": "auto", "repeat_interval": "2d"}))
    assert (again.deployment_id, again.starts) == (made.deployment_id, ("every 2 days, 0:00:00",))
    assert put_schedule(job(name)).starts == ()
    assert remove_schedule(name)
    assert not remove_schedule(name)
    assert schedule_of(name) is None


def test_the_command_changes_the_job_and_its_deployment(home: Path) -> None:
    name = new_name()
    state = JobState.of(home / "state", name)
    state.save_job(job(name, stop_policy={"executions": 2}), NOW)
    words = ("--window", "20:00-06:00", "--every", "2h", "--days", "weekdays", "--time-zone", "America/New_York")
    told = json.loads(run(home, "schedule", name, *words, "--paused", "--json").stdout)
    assert told["starts"] == ["0 20,22 * * 1,2,3,4,5 (America/New_York)", "0 0,2,4 * * 2,3,4,5,6 (America/New_York)"]
    saved = state.load_job().schedule
    assert (saved.mode, saved.status, str(saved.start_window)) == ("auto", "paused", "20:00:00")

    save_counters(state.executions, Counters(executions=2))
    shown = run(home, "schedule", name, "--show").stderr
    assert "weekdays 20:00 to 06:00 (America/New_York)" in shown
    assert "It is paused" in shown and "2 of 2 runs" in shown
    run(home, "job", "resume", name)
    assert load_counters(state.executions).executions == 0
    assert "It is paused" not in run(home, "schedule", name, "--show").stderr

    removed = json.loads(run(home, "schedule", name, "--remove", "--json").stdout)
    assert (removed["deployment"], removed["schedule"]["mode"]) == (None, "manual")
    assert schedule_of(name) is None


def test_a_schedule_that_makes_no_sense_is_refused_and_nothing_is_changed(home: Path) -> None:
    name = new_name()
    state = JobState.of(home / "state", name)
    state.save_job(job(name), NOW)
    for words in (("--window", "20:00"), ("--days", "someday"), ("--every", "soon"), ("--time-zone", "Mars/Olympus")):
        with pytest.raises(ConfigurationError):
            run(home, "schedule", name, *words)
    assert state.load_job() == job(name)
    assert schedule_of(name) is None


def test_a_deployment_holds_the_job_and_an_active_schedule(home: Path) -> None:
    from prefect.client.orchestration import get_client

    name = new_name()
    put_schedule(job(name, schedule={"mode": "auto", "repeat_interval": "1m"}))
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(f"migrate/{name}")
        assert deployment.parameters["job"]["name"] == name
        assert [one.active for one in deployment.schedules] == [True]
        soon = deployment.schedules[0].schedule
        assert soon.cron == "* * * * *"
    assert remove_schedule(name)
