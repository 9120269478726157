from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.filesystem.settings import FilesystemSettings
from flows.endings import Ending, EndState
from migration.errors import SiteHaulError
from migration.jobs import Location
from tasks.connections import save_connection
from tasks.server import Server
from tests.flows.place import Place, make_place, procore_settings
from tests.servers import ProcoreSimulators


@pytest.fixture
def place(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    return make_place(procore_simulator(files=60, seed=17, max_file_bytes=50_000), tmp_path)


def code_of(ending: Ending) -> str:
    assert ending.state is EndState.FAILED, ending.sentence
    assert isinstance(ending.error, SiteHaulError), ending.error
    assert ending.error.fix, "it says what to do"
    return ending.error.code


async def after_repair(place: Place) -> None:
    """Whatever went wrong has lost nothing: the next run finishes."""
    ending = await place.run()
    assert ending.state is EndState.DONE, ending.sentence
    assert place.found() == place.expected()


async def test_a_wrong_secret(place: Place) -> None:
    right = procore_settings(place.served)
    save_connection(place.job.source.connection, right.model_copy(update={"client_secret": SecretStr("wrong-secret")}))
    ending = await place.run()
    assert code_of(ending)
    assert "wrong-secret" not in ending.sentence
    save_connection(place.job.source.connection, right)
    await after_repair(place)


async def test_tokens_revoked_between_runs_are_renewed(place: Place) -> None:
    await place.run("plan")
    place.served.edit({"op": "revoke_tokens"})
    await after_repair(place)


@pytest.mark.parametrize(
    ("project", "code"), [("No Such Tower", "project-not-found"), ("Riverside Parking Structure", "documents-off")]
)
async def test_a_project_that_cannot_be_read(place: Place, project: str, code: str) -> None:
    job = place.job.model_copy(update={"source": Location(connection=place.job.source.connection, path=project)})
    assert code_of(await place.run(job=job)) == code
    await after_repair(place)


async def test_a_connection_that_was_never_saved(place: Place) -> None:
    job = place.job.model_copy(update={"source": Location(connection="nobody")})
    assert code_of(await place.run(job=job)) == "connection-not-found"


async def test_what_is_read_only_cannot_be_a_destination(place: Place, tmp_path: Path) -> None:
    save_connection("kept", FilesystemSettings(folder=tmp_path, read_only=True))
    job = place.job.model_copy(update={"destination": Location(connection="kept")})
    assert code_of(await place.run(job=job)) == "not-a-destination"
    assert place.state.runs() == []


async def test_procore_as_a_destination_needs_a_project(place: Place) -> None:
    job = place.job.model_copy(update={"destination": Location(connection=place.job.source.connection)})
    assert code_of(await place.run(job=job)) == "project-needed"


async def test_a_destination_folder_that_is_gone(place: Place, tmp_path: Path) -> None:
    save_connection(place.job.destination.connection, FilesystemSettings(folder=tmp_path / "unplugged"))
    code_of(await place.run())
    (tmp_path / "copied").mkdir(exist_ok=True)
    save_connection(place.job.destination.connection, FilesystemSettings(folder=tmp_path / "copied"))
    await after_repair(place)


async def test_every_fault_at_once_costs_time_and_no_file(place: Place) -> None:
    faults = ("500", "reset-mid-body", "truncated", "html-200", "corrupt")
    rules = [
        {"host": "blob", "fault": fault, "probability": 0.05, "seed": seed} for seed, fault in enumerate(faults[:4])
    ]
    rules += [{"host": "storage", "fault": "503", "probability": 0.05, "seed": 9, "count": 5}]
    rules += [{"host": "api", "fault": "500", "nth": [2, 5]}]
    place.served.faults(rules)
    await after_repair(place)
