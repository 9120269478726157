import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from connectors.filesystem.settings import FilesystemSettings
from connectors.tokens import Tokens
from tasks.asking import nobody_answered
from tasks.connections import load_connection, save_connection
from tasks.keeping import server_kept_running
from tasks.server import ensure_server, own_server_died, server_status
from tasks.tokens import PrefectTokenStore


def kill_server(home: Path) -> None:
    pid = server_status(home).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
async def test_a_server_that_dies_is_brought_back_while_it_is_needed(used_home: Path) -> None:
    home = used_home
    await asyncio.to_thread(ensure_server, home)
    assert not own_server_died()
    async with server_kept_running():
        kill_server(home)
        async with asyncio.timeout(60):
            while not (await asyncio.to_thread(server_status, home)).running:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
    assert not own_server_died()


@pytest.mark.slow
async def test_connections_and_sign_ins_are_read_and_kept_although_the_server_just_died(used_home: Path) -> None:
    home = used_home
    await asyncio.to_thread(ensure_server, home)
    settings = FilesystemSettings(folder=home)
    await asyncio.to_thread(save_connection, "kept", settings)
    tokens = PrefectTokenStore("client")
    kill_server(home)
    assert await asyncio.to_thread(load_connection, "kept") == settings
    kill_server(home)
    renewed = Tokens(access_token="access", refresh_token="refresh", expires_at=datetime.now(UTC), client_id="client")
    await tokens.save(renewed)
    assert await tokens.load() == renewed


@pytest.mark.parametrize(
    ("cause", "nobody"), [(httpx.ConnectError("no"), True), (ValueError("other"), False), (None, False)]
)
def test_what_means_that_nobody_answered(cause: Exception | None, nobody: bool) -> None:
    error = RuntimeError("Failed to reach API")
    error.__cause__ = cause
    assert nobody_answered(error) is nobody
