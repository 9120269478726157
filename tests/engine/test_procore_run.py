"""Whole runs from a simulated Procore onto a disk."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from connectors.procore.connector import ProcoreConnector
from connectors.shared.services import Services
from simulator.server import Running
from tests.connectors.procore_support import SimulatorClock, calls, expected_rows, settings_for
from tests.engine.support import Bench, a_job
from tests.engine.whole import accounted_run
from tests.servers import ProcoreSimulators

HOSTS = ("storage", "blob")
FAULTS = ("503", "500", "reset", "reset-mid-body", "truncated", "too-long", "expired", "html-200", "stall")


def a_bench(folder: Path, served: Running, **settings: Any) -> Bench:
    clock = SimulatorClock(served)
    source = ProcoreConnector(settings_for(served, **settings), Services(clock=clock))
    job = a_job(source={"connection": "office", "path": served.project["name"]})
    return Bench(folder, source, job, clock=clock)  # type: ignore[arg-type]


def true_hashes(served: Running) -> Counter[str]:
    return Counter(row["sha256"] for row in expected_rows(served).values() if row["kind"] == "file")


def found_hashes(bench: Bench) -> Counter[str]:
    return Counter(hashlib.sha256(content).hexdigest() for content in bench.found().values())


async def test_a_project_arrives_as_it_is_and_again_costs_next_to_nothing(
    tmp_path: Path, procore_simulator: ProcoreSimulators
) -> None:
    served = procore_simulator(files=100, max_file_bytes=60_000)
    bench = a_bench(tmp_path, served)
    account, found = await accounted_run(bench)
    assert account.adds_up, account.unexplained
    expected = true_hashes(served)
    assert account.total.files["succeeded"] + account.total.files["revised"] == expected.total()
    assert found_hashes(bench) == expected
    assert found.clean
    assert len(calls(served)) <= 6
    before = len(calls(served)), len(calls(served, "storage"))
    again, _ = await accounted_run(bench)
    assert again.total.files["skipped"] == expected.total()
    assert len(calls(served)) - before[0] <= 5
    assert len(calls(served, "storage")) == before[1]


async def test_one_request_in_five_fails_and_still_all_arrives_or_is_named(
    tmp_path: Path, procore_simulator: ProcoreSimulators
) -> None:
    served = procore_simulator(files=100, max_file_bytes=60_000)
    served.faults(
        [
            {"host": host, "fault": fault, "probability": 0.2 / len(FAULTS), "seed": number, "after_bytes": 100}
            for number, fault in enumerate(FAULTS)
            for host in HOSTS
        ]
    )
    bench = a_bench(tmp_path, served, read_timeout_seconds=0.3)
    account, found = await accounted_run(bench)
    expected = true_hashes(served)
    assert account.adds_up, account.unexplained
    done = account.total.files["succeeded"] + account.total.files["revised"]
    assert done + account.total.files["retrying"] + account.total.files["flagged"] == expected.total()
    assert found.clean
    assert found_hashes(bench) <= expected
    served.faults([])
    await accounted_run(bench)
    assert found_hashes(bench) == expected
