"""The deployments of prefect.yaml and the local worker that runs them, both on the server `ensure_server` found."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from migration.errors import ConfigurationError, FatalError
from tasks.background import BackgroundProcess

WORK_POOL = "sitehaul"
_PROJECT = Path(__file__).resolve().parent.parent
_DEPLOY_SECONDS_MAX = 300.0


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What `sitehaul status` says of the local worker."""

    running: bool
    pid: int | None
    log: Path


def deploy_all(home: Path, project: Path | None = None) -> list[str]:
    """Deploy everything in prefect.yaml (of `project`, default the one SiteHaul comes with); the names of what is
    deployed on SiteHaul's work pool, as "flow/deployment".

    `ensure_server` comes first. Deployed runs know `home` by SITEHAUL_HOME, from the worker. ConfigurationError
    `no-deployments` when there is no prefect.yaml, FatalError `not-deployed` with Prefect's words.
    """
    folder = project or _PROJECT
    if not (folder / "prefect.yaml").is_file():
        raise ConfigurationError(
            "no-deployments", f"{folder} holds no prefect.yaml.", fix="Run from a checkout of SiteHaul."
        )
    _ensure_work_pool()
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=folder,
        env=_environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_DEPLOY_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise FatalError("not-deployed", f"The deployments of {folder / 'prefect.yaml'} were refused:\n{words}\n")
    return _deployed()


def start_worker(home: Path) -> WorkerStatus:
    """Start the local worker that runs deployments in the background; one that runs already is left as it is unless it
    works for another server."""
    process = _process(home)
    process.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    api_url = _api_url()
    with process.locked():
        record = process.record()
        if record is not None and record.get("api_url") != api_url:
            process.stop()
            record = None
        if record is None:
            _ensure_work_pool()
            process.start(
                "prefect",
                ["worker", "start", "--pool", WORK_POOL, "--type", "process", "--name", f"sitehaul-{os.getpid()}"],
                environment=_environment(home),
                record={"api_url": api_url},
            )
    return worker_status(home)


def worker_status(home: Path) -> WorkerStatus:
    """Whether the local worker runs; starts nothing."""
    process = _process(home)
    record = process.record()
    return WorkerStatus(running=record is not None, pid=record["pid"] if record else None, log=process.log)


def stop_worker(home: Path) -> bool:
    """Stop the local worker and the runs it started; True if one was running."""
    process = _process(home)
    if not process.running():
        return False
    with process.locked():
        return process.stop()


def _process(home: Path) -> BackgroundProcess:
    return BackgroundProcess(home / "worker", "worker")


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "SITEHAUL_HOME": str(home)}


def _api_url() -> str:
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value())


def _ensure_work_pool() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"))
        except ObjectAlreadyExists:
            return


def _deployed() -> list[str]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = [one for one in client.read_deployments() if one.work_pool_name == WORK_POOL]
        flows = {one.flow_id: client.read_flow(one.flow_id).name for one in found}
        return sorted(f"{flows[one.flow_id]}/{one.name}" for one in found)
