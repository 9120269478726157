import asyncio
import itertools
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from connectors.procore.settings import ProcoreSettings
from connectors.tokens import Tokens
from migration.errors import ConfigurationError
from tasks.server import Server
from tasks.tokens import PrefectTokenStore

_numbers = itertools.count()

HOLDER = """
import asyncio, sys
from tasks.tokens import PrefectTokenStore

async def main():
    async with PrefectTokenStore(sys.argv[1]).exclusive():
        print("alone", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def new_client() -> str:
    return f"tokens-{os.getpid()}-{next(_numbers)}"


def tokens(access_token: str = "access-1") -> Tokens:
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    return Tokens(access_token=access_token, refresh_token="refresh-1", expires_at=expires_at, client_id="client")


async def test_tokens_are_what_was_saved_last_by_anybody(prefect_server: Server) -> None:
    client = new_client()
    assert await PrefectTokenStore(client).load() is None
    for access_token in ("access-1", "access-2"):
        saved = tokens(access_token)
        await PrefectTokenStore(client).save(saved)
        assert await PrefectTokenStore(client).load() == saved


def test_connections_of_one_client_share_tokens_and_other_clients_do_not() -> None:
    def client_of(**changes: object) -> str:
        values = {"company_id": 1, "client_id": "one", "client_secret": "x"}
        return PrefectTokenStore.of(ProcoreSettings.model_validate({**values, **changes}))._client

    assert client_of() == client_of(company_id=2, page_size=10)
    assert len({client_of(), client_of(client_id="two"), client_of(environment="sandbox")}) == 3


async def test_one_at_a_time_in_a_process(prefect_server: Server) -> None:
    client, inside, most = new_client(), 0, 0

    async def enter() -> None:
        nonlocal inside, most
        async with PrefectTokenStore(client).exclusive():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.02)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(5)))
    assert most == 1


def test_one_at_a_time_over_processes_and_a_killed_holder_frees_it(prefect_server: Server) -> None:
    client = new_client()

    async def enter(seconds: float) -> None:
        async with asyncio.timeout(seconds), PrefectTokenStore(client).exclusive():
            pass

    holder = subprocess.Popen([sys.executable, "-c", HOLDER, client], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "alone\n"
    with pytest.raises(TimeoutError):
        asyncio.run(enter(0.3))
    holder.kill()
    holder.wait()
    asyncio.run(enter(5))


async def test_on_a_server_of_the_operator_one_slot_of_a_limit_decides(
    prefect_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SITEHAUL_OWN_SERVER")
    client, order = new_client(), []

    async def enter(number: int) -> None:
        async with PrefectTokenStore(client).exclusive():
            order.append(number)
            await asyncio.sleep(0.1)
            order.append(number)

    await asyncio.gather(enter(1), enter(2))
    assert order in ([1, 1, 2, 2], [2, 2, 1, 1])


async def test_stored_tokens_that_are_none_are_told(prefect_server: Server) -> None:
    from pydantic import SecretStr

    from tasks.blocks import SiteHaulTokens

    client = new_client()
    await SiteHaulTokens(client=client, tokens=SecretStr("nonsense")).asave(client)
    with pytest.raises(ConfigurationError) as told:
        await PrefectTokenStore(client).load()
    assert told.value.code == "tokens-unreadable"
    assert "nonsense" not in str(told.value)
