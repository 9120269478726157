"""The real servers that tests talk to."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from simulator.server import Running, running

API_PROXY = "SITEHAUL_TEST_API_PROXY"
"""Environment variable: an address that stands in front of every simulated API host, see tests/conformance/run.sh.

`http://127.0.0.1:4010` is one proxy for one simulator on the port SITEHAUL_TEST_API_PORT.
"""
API_PORT = "SITEHAUL_TEST_API_PORT"


class ProcoreSimulators:
    """Starts simulated Procores, each in a folder of its own, and ends them together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._started = 0

    def __call__(self, files: int = 200, *, name: str | None = None, **options: Any) -> Running:
        """A new simulator; `options` are those of `simulator.server.running`. The same `name` continues a folder."""
        self._started += 1
        folder = self._folder / (name or f"procore-{self._started}")
        return self._stack.enter_context(running(folder, files=files, **options))

    def close(self) -> None:
        """End them."""
        self._stack.close()


@contextlib.contextmanager
def procore_simulators(folder: Path) -> Iterator[ProcoreSimulators]:
    """A starter of simulators whose simulators end with the block."""
    simulators = ProcoreSimulators(folder)
    try:
        yield simulators
    finally:
        simulators.close()


def api_url(served: Running) -> str:
    """Where clients reach the API host: behind the checking proxy if one is set, directly otherwise."""
    return os.environ.get(API_PROXY) or str(served.facts["api_url"])


def signed_in(served: Running) -> dict[str, str]:
    """The headers of a client that holds a token of the service account."""
    answer = httpx.post(
        f"{served.facts['login_url']}/oauth/token",
        data={
            "grant_type": "client_credentials",
            "client_id": served.facts["client_id"],
            "client_secret": served.facts["client_secret"],
        },
    )
    token = answer.raise_for_status().json()["access_token"]
    return {"Authorization": f"Bearer {token}", "Procore-Company-Id": str(served.facts["company_id"])}
