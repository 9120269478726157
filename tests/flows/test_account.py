from pathlib import Path

import pytest

from flows.endings import EndState
from migration.progress import Phase
from migration.runs import RunRecord, RunState
from tasks.progress import Standing
from tasks.server import Server
from tasks.session import watched
from tests.flows.place import Place, make_place
from tests.servers import ProcoreSimulators


class InTheWay:
    """Puts a folder where the report is to be written once the report's phase has begun."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def stands(self, standing: Standing) -> None:
        if standing.progress.phase is Phase.REPORT:
            self._place.state.runs()[-1].report.mkdir(exist_ok=True)

    def said(self, sentence: str) -> None: ...


async def test_a_run_is_not_finished_before_its_report_is_there(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    served = procore_simulator(files=60, seed=31, max_file_bytes=20_000)
    place = make_place(served, tmp_path)
    with watched(InTheWay(place)):
        ending = await place.run()
    assert ending.state is EndState.FAILED
    assert ending.run is not None
    assert RunRecord.load(ending.run).state is not RunState.FINISHED

    ending.run.report.rmdir()
    again = await place.run()
    assert (again.state, again.run) == (EndState.DONE, ending.run)
    assert ending.run.report.is_file()
    assert RunRecord.load(ending.run).state is RunState.FINISHED
    assert len([entry for entry in served.log() if entry["host"] == "storage"]) == len(place.visible())
