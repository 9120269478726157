"""SiteHaul's own Prefect server is brought back while a command needs it, whatever kills it and whenever."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from migration.errors import SiteHaulError
from tasks.server import own_server_died, restart_own_server

LOOK_SECONDS = 1.0

_log = logging.getLogger("sitehaul.server")


@asynccontextmanager
async def server_kept_running() -> AsyncIterator[None]:
    """While inside, the own server is started again within seconds when it dies; a configured one is left alone.

    Prefect asks a server that does not answer again and again for a minute, in many places (the state of a flow, a
    block, an artifact); so it is enough that the server is back by then. One that cannot be started is left to whoever
    cannot go on without it.
    """
    keeper = asyncio.create_task(_keep(), name="server keeper")
    try:
        yield
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def _keep() -> None:
    try:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if own_server_died():
                _log.warning("the local Prefect server died and is started again")
                await asyncio.to_thread(restart_own_server)
    except SiteHaulError as error:
        _log.warning("%s", error.message)
