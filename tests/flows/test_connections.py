import asyncio
import sqlite3
from pathlib import Path

import pytest

from connectors.filesystem.settings import FilesystemSettings
from connectors.procore.settings import ProcoreSettings
from migration.budget import UnlimitedBudget
from migration.errors import ConfigurationError
from tasks.budget import PrefectCallBudget
from tasks.connections import (
    delete_connection,
    list_connections,
    load_connection,
    opened,
    opened_with_budget,
    save_connection,
)
from tasks.server import Server

SECRET = "a-secret-that-must-not-be-seen"


def procore(**changes: object) -> ProcoreSettings:
    values = {"company_id": 42, "client_id": "client-1", "client_secret": SECRET, "hourly_calls": 1000}
    return ProcoreSettings.model_validate({**values, **changes})


def test_connections_are_kept_as_they_were_given(prefect_server: Server, tmp_path: Path) -> None:
    folder = FilesystemSettings(folder=tmp_path, durability="file", names="windows")
    save_connection("kept-procore", procore())
    save_connection("kept-folder", folder)

    assert load_connection("kept-procore") == procore()
    assert load_connection("kept-folder") == folder
    listed = list_connections()
    assert ("kept-folder", "filesystem") in listed
    assert ("kept-procore", "procore") in listed
    assert listed == sorted(listed)


def test_saving_again_replaces_and_deleting_forgets(prefect_server: Server) -> None:
    save_connection("changed", procore())
    save_connection("changed", procore(company_id=43))
    assert load_connection("changed") == procore(company_id=43)
    delete_connection("changed")
    assert "changed" not in dict(list_connections())
    with pytest.raises(ConfigurationError):
        delete_connection("changed")


async def test_connections_are_found_inside_a_running_event_loop(prefect_server: Server) -> None:
    save_connection("in-a-loop", procore())
    assert load_connection("in-a-loop") == procore()
    assert "in-a-loop" in dict(list_connections())


def test_an_unknown_connection_names_the_known_ones(prefect_server: Server) -> None:
    save_connection("known-one", procore())
    with pytest.raises(ConfigurationError, match=r"'unknown'.*known-one") as told:
        load_connection("unknown")
    assert told.value.code == "connection-not-found"


@pytest.mark.parametrize("name", ["", "Upper", "with space", "-first", "last-", "under_score", "ümlaut", "a" * 101])
def test_a_name_that_cannot_be_one_is_told(prefect_server: Server, name: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        save_connection(name, procore())
    assert told.value.code == "connection-name"


def test_a_connection_of_another_version_is_told(prefect_server: Server) -> None:
    from pydantic import SecretStr

    from tasks.blocks import SiteHaulConnection

    saved = SiteHaulConnection(system="procore", settings=SecretStr('{"kind": "procore", "colour": "blue"}'))
    saved.save("of-tomorrow", overwrite=True)
    with pytest.raises(ConfigurationError, match="of-tomorrow") as told:
        load_connection("of-tomorrow")
    assert told.value.code == "connection-unreadable"


def test_secrets_are_neither_on_disk_nor_shown(prefect_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    save_connection("secretive", procore())
    load_connection("secretive")
    folder = prefect_server.home / "server"
    with sqlite3.connect(folder / "prefect.db") as database:
        database.execute("PRAGMA wal_checkpoint")
    for path in folder.glob("*.*"):
        assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in caplog.text

    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        shown = client.read_block_documents_by_type("sitehaul-connection", include_secrets=False)
    assert SECRET not in str(shown)


async def test_a_folder_is_opened_without_a_budget(prefect_server: Server, tmp_path: Path) -> None:
    async with opened("folder", FilesystemSettings(folder=tmp_path)) as connector:
        assert connector.system == "filesystem"
    async with opened_with_budget("folder", FilesystemSettings(folder=tmp_path)) as both:
        assert isinstance(both.budget, UnlimitedBudget)


async def test_procore_is_opened_under_its_clients_budget(prefect_server: Server) -> None:
    async with opened_with_budget("kept", procore()) as first, opened_with_budget("kept", procore()) as second:
        assert first.connector.system == "procore"
        assert isinstance(first.budget, PrefectCallBudget)
        assert isinstance(second.budget, PrefectCallBudget)
        await asyncio.gather(first.budget.take(), second.budget.take())
        assert await first.budget.left() == await second.budget.left() <= 998
