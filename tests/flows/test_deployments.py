import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from migration.errors import ConfigurationError, FatalError
from tasks.deployments import WORK_POOL, deploy_all, start_worker, stop_worker, worker_status
from tasks.server import Server

FLOW = """
    import os
    from pathlib import Path

    from prefect import flow

    @flow
    def tiny(words: str = "none"):
        Path(words).write_text(os.environ["SITEHAUL_HOME"])
"""
YAML = """
    pull:
    - prefect.deployments.steps.set_working_directory:
        directory: {folder}
    deployments:
    - name: now-and-then
      entrypoint: tiny.py:tiny
      schedules:
      - interval: 3600
      concurrency_limit: {{limit: 1, collision_strategy: CANCEL_NEW}}
      work_pool: {{name: {pool}}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "tiny.py").write_text(dedent(FLOW))
    (folder / "prefect.yaml").write_text(dedent(YAML).format(folder=folder, pool=WORK_POOL))
    return folder


def eventually(found: Callable[[], bool], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


@pytest.mark.slow
def test_a_deployed_schedule_makes_runs_and_the_worker_does_them(
    prefect_server: Server, project: Path, tmp_path: Path
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.deployments import run_deployment

    home = prefect_server.home
    assert "tiny/now-and-then" in deploy_all(home, project)
    assert "tiny/now-and-then" in deploy_all(home, project), "deploying again changes nothing"

    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("tiny/now-and-then")

        def scheduled() -> bool:
            return bool(client.get_scheduled_flow_runs_for_deployments([deployment.id]))

        eventually(scheduled, "the schedule made no runs")

        assert not worker_status(home).running
        started = start_worker(home)
        assert started.running
        assert start_worker(home).pid == started.pid
        try:
            written = tmp_path / "written"
            run = run_deployment("tiny/now-and-then", parameters={"words": str(written)}, timeout=0, _sync=True)
            eventually(lambda: client.read_flow_run(run.id).state.is_final(), started.log.read_text())
            assert client.read_flow_run(run.id).state.is_completed()
            assert written.read_text() == str(home)
        finally:
            assert stop_worker(home)
        assert not worker_status(home).running
        assert not stop_worker(home)


def test_a_folder_without_deployments_is_told(prefect_server: Server, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as told:
        deploy_all(prefect_server.home, tmp_path)
    assert told.value.code == "no-deployments"


def test_what_prefect_refuses_is_told(prefect_server: Server, project: Path) -> None:
    (project / "tiny.py").write_text("raise RuntimeError('this flow is broken')")
    with pytest.raises(FatalError, match="Could not find object 'tiny'") as told:
        deploy_all(prefect_server.home, project)
    assert told.value.code == "not-deployed"
