"""A job between a simulated Procore and a folder, run by the real flows on the real local server."""

import hashlib
import os
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.filesystem.settings import FilesystemSettings
from connectors.procore.settings import ProcoreSettings
from flows.endings import Ending
from migration.jobs import Job, Location
from migration.state import JobState
from simulator.server import Running
from tasks.connections import save_connection


@dataclass
class Place:
    """Connections of its own, so that tests share one Prefect server without meeting each other."""

    served: Running
    folder: Path
    job: Job

    @property
    def copied(self) -> Path:
        return self.folder / "copied" / self.job.destination.path

    @property
    def state(self) -> JobState:
        return JobState.of(Path(os.environ["SITEHAUL_HOME"]) / "state", self.job.name)

    async def run(self, flow: str = "migrate", job: Job | None = None, **parameters: Any) -> Ending:
        """Run a flow in this process; how it ended."""
        return await run_flow(flow, job or self.job, **parameters)

    def expected(self) -> Counter[str]:
        """How often each content is at the source, as the account sees it."""
        return Counter(row["sha256"] for row in self.visible())

    def visible(self) -> list[dict[str, Any]]:
        rows = self.served.truth()
        return [
            row for row in rows if row["kind"] == "file" and row["current"] and not (row["deleted"] or row["private"])
        ]

    def found(self) -> Counter[str]:
        """How often each content is at the destination, read from the files themselves."""
        return Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in self.files())

    def files(self) -> list[Path]:
        return [Path(parent) / name for parent, _, names in os.walk(self.copied) for name in names]


async def run_flow(flow: str, job: Job, **parameters: Any) -> Ending:
    """Run a flow with a job in this process; how it ended."""
    import importlib

    from flows.running import LISTENER

    endings: list[Ending] = []
    token = LISTENER.set(endings.append)
    try:
        function = getattr(importlib.import_module(f"flows.{flow}"), flow)
        await function(job, **parameters, return_state=True)
    finally:
        LISTENER.reset(token)
    return endings[-1]


def make_place(served: Running, folder: Path, **settings: Any) -> Place:
    """Save the two connections and describe the job; `settings` are the Procore connection's."""
    mark = uuid.uuid4().hex[:8]
    (folder / "copied").mkdir(parents=True)
    save_connection(f"procore-{mark}", procore_settings(served, **settings))
    save_connection(f"folder-{mark}", FilesystemSettings(folder=folder / "copied"))
    job = Job(
        name=f"job-{mark}",
        source=Location(connection=f"procore-{mark}", path=served.project["name"]),
        destination=Location(connection=f"folder-{mark}", path="here"),
    )
    return Place(served, folder, job)


def procore_settings(served: Running, **changes: Any) -> ProcoreSettings:
    """The settings of a connection to a simulated Procore."""
    from flows.cli.connect import simulator_values

    return ProcoreSettings(**(simulator_values(served.facts) | changes))
