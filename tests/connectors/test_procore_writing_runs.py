"""Whole runs of the engine into a simulated Procore."""

from collections import Counter
from pathlib import Path

from connectors.procore.connector import ProcoreConnector
from connectors.shared.services import Services
from simulator.server import Running
from tests.connectors.procore_place import ProcorePlace
from tests.connectors.procore_support import SimulatorClock, calls, expected_rows, settings_for
from tests.engine.support import Bench, a_job
from tests.engine.whole import accounted_run
from tests.servers import ProcoreSimulators

WALKS = 20
"""Calls that listing both projects before and after takes."""


def connector(served: Running) -> ProcoreConnector:
    return ProcoreConnector(settings_for(served), Services(clock=SimulatorClock(served)))


def a_bench(folder: Path, served: Running) -> Bench:
    job = a_job(
        source={"connection": "office", "path": served.project["name"]},
        destination={"connection": "other", "path": f"{served.facts['projects'][1]['name']}/Copied/Here"},
    )
    return Bench(folder, connector(served), job, clock=SimulatorClock(served))  # type: ignore[arg-type]


def hashes(place: ProcorePlace) -> Counter[str]:
    """Of what was copied."""
    rows = place.served.truth(place.project_id)
    return Counter(row["sha256"] for row in rows if row["kind"] == "file" and row["current"] and not row["deleted"])


async def test_a_project_goes_into_another_and_again_costs_next_to_nothing(
    tmp_path: Path, procore_simulator: ProcoreSimulators
) -> None:
    served = procore_simulator(files=100, projects=2, max_file_bytes=60_000, settings={"spike_calls": 10_000})
    place = ProcorePlace(served, 1)
    bench = a_bench(tmp_path, served)
    account, found = await accounted_run(bench, connector(served))
    expected = Counter(row["sha256"] for row in expected_rows(served).values() if row["kind"] == "file")
    assert account.adds_up, account.unexplained
    too_long = account.total.files["flagged"]  # the sample has one path above what Procore is said to take
    assert too_long == 1
    assert hashes(place) <= expected
    assert hashes(place).total() == expected.total() - too_long
    assert found.clean
    spent = calls(served)
    files = [call for call in spent if call["method"] == "POST" and "folders" not in call["path"]]
    assert len(files) == 2 * (expected.total() - too_long)
    folders = [call for call in spent if call["method"] == "POST" and "folders" in call["path"]]
    assert len(spent) - len(folders) <= 2.05 * expected.total() + WALKS
    again, _ = await accounted_run(bench, connector(served))
    assert again.total.files["skipped"] == expected.total() - too_long
    assert len(calls(served)) - len(spent) <= WALKS


async def test_one_call_in_ten_fails_and_nothing_is_there_twice_or_missing(
    tmp_path: Path, procore_simulator: ProcoreSimulators
) -> None:
    served = procore_simulator(files=60, projects=2, max_file_bytes=60_000, settings={"spike_calls": 10_000})
    place = ProcorePlace(served, 1)
    served.faults(
        [
            {"host": host, "method": method, "fault": fault, "probability": 0.025, "seed": number}
            for number, fault in enumerate(("lost-response", "reset", "500", "503"))
            for host, method in (("api", "POST"), ("api", "GET"), ("blob", "POST"))
        ]
    )
    bench = a_bench(tmp_path, served)
    account, found = await accounted_run(bench, connector(served))
    served.faults([])
    expected = Counter(row["sha256"] for row in expected_rows(served).values() if row["kind"] == "file")
    assert account.adds_up, account.unexplained
    assert found.clean
    assert hashes(place) == expected
