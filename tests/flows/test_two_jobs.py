"""Two jobs of one Procore client at the same time, in processes of their own: one hourly limit, used exactly."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.server import Running
from tasks.server import Server
from tests.flows.place import Place, make_place
from tests.servers import ProcoreSimulators

pytestmark = pytest.mark.slow

WINDOW = timedelta(hours=1)
SLOWLY = ("--set", "performance.parallel_writes=2")
"""So that neither job has used the limit up before the other has begun."""


@dataclass
class Two:
    """Two jobs of the same client: each has its connections, destination and process."""

    served: Running
    server: Server
    home: Path
    places: tuple[Place, Place]

    def run(self) -> list[dict[str, Any]]:
        """Run both at once; what each said at its end."""
        processes = [
            subprocess.Popen(
                self._command(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self._environment()
            )
            for place in self.places
        ]
        said = []
        for process in processes:
            output, errors = process.communicate(timeout=120)
            assert "Traceback" not in errors
            said.append(json.loads(output) | {"exit_code": process.returncode, "told": errors})
        return said

    def _command(self, place: Place) -> list[str]:
        job = place.job
        source = f"{job.source.connection}:{job.source.path}"
        destination = f"{job.destination.connection}:{job.destination.path}"
        words = ["run", job.name, "--source", source, "--destination", destination, "--json", *SLOWLY]
        return [sys.executable, "-m", "flows.cli", "--home", str(self.home), *words]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SITEHAUL_"))}
        return {**kept, "PREFECT_API_URL": self.server.api_url, "NO_COLOR": "1"}

    def counted(self) -> list[float]:
        """When each call that Procore counts was made, by Procore's own log."""
        hosts = ("api", "storage") if self.served.state.settings.count_storage else ("api",)
        return sorted(entry["time"] for entry in self.served.log() if entry["host"] in hosts)


def two_jobs(served: Running, server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Two:
    home = folder / "home"
    monkeypatch.setenv("SITEHAUL_HOME", str(home))
    first, second = (make_place(served, folder / name, **settings) for name in ("first", "second"))
    return Two(served, server, home, (first, second))


def busiest_hour(calls: list[float]) -> int:
    return max(sum(1 for other in calls if first <= other < first + WINDOW.total_seconds()) for first in calls)


def names_the_next_window(ending: dict[str, Any]) -> bool:
    at = datetime.fromisoformat(ending["resume_at"])
    return (
        timedelta(minutes=50) < at - datetime.now(UTC) <= timedelta(minutes=62) and f"{at:%H:%M}" in ending["message"]
    )


@pytest.mark.timeout(150)
def test_two_transfers_share_one_limit(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Downloads count here, so that the limit is reached in the middle of both transfers."""
    limit = 120
    switches = {"count_storage": True, "hourly_calls": limit, "spike_calls": 1000, "latency_ms": 80.0}
    served = procore_simulator(files=120, seed=51, max_file_bytes=5_000, settings=switches)
    two = two_jobs(served, prefect_server, tmp_path, monkeypatch, hourly_calls=limit, spike_calls=1000)
    endings = two.run()

    assert [(ending["state"], ending["exit_code"]) for ending in endings] == [("pending", 10)] * 2
    assert all("pending" in ending["message"] and names_the_next_window(ending) for ending in endings), endings
    assert all(ending["adds_up"] and ending["counts"]["pending"] > 0 for ending in endings)
    assert [entry for entry in served.log() if entry["status"] == 429] == []
    calls = two.counted()
    assert busiest_hour(calls) <= limit
    assert len(calls) == sum(ending["calls"] for ending in endings), "each counted here what Procore counted"
    assert len(calls) >= limit - 2 * (limit // 40), "what is not used is at most a block of each process"
    for place, ending in zip(two.places, endings, strict=True):
        assert place.found().total() == ending["counts"]["succeeded"] + ending["counts"]["revised"] > 0

    again = two.run()
    assert [ending["state"] for ending in again] == ["pending"] * 2
    assert len(two.counted()) <= limit, "nobody asks before the window has moved"


@pytest.mark.timeout(150)
def test_two_analyses_share_one_limit(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many small pages, so that the limit is reached while both are listing."""
    limit = 30
    served = procore_simulator(
        files=120, seed=52, max_file_bytes=5_000,
        settings={"hourly_calls": limit, "spike_calls": 1000, "latency_ms": 250.0},
    )  # fmt: skip
    two = two_jobs(served, prefect_server, tmp_path, monkeypatch, hourly_calls=limit, spike_calls=1000, page_size=4)
    endings = two.run()
    assert [(ending["state"], ending["exit_code"]) for ending in endings] == [("pending", 10)] * 2
    assert all(names_the_next_window(ending) for ending in endings), endings
    assert [entry for entry in served.log() if entry["status"] == 429] == []
    assert len(two.counted()) == limit == sum(ending["calls"] for ending in endings)
    assert all(ending["calls"] > 0 for ending in endings)
