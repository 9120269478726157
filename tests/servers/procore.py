"""Starts simulated Procores, records what they are asked."""

import base64
import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from simulator.server import Running, running
from simulator.web import Answer

RECORD_FOLDER = "SITEHAUL_TEST_RECORD_API"
"""Environment variable: a folder into which every exchange with a simulated API host is written, but for faulty ones.

`tests/conformance/replay.py` then holds them against Procore's API description.
"""


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
        served = self._stack.enter_context(running(folder, files=files, **options))
        if os.environ.get(RECORD_FOLDER):
            served.state.observer = Recorder(Path(os.environ[RECORD_FOLDER]) / f"{os.getpid()}.jsonl")
        return served

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
    """Where clients reach the API host."""
    return str(served.facts["api_url"])


class Recorder:
    """Writes exchanges as JSON lines; a simulator's observer."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self, method: str, address: str, headers: Mapping[str, str], body: bytes, answer: Answer) -> None:
        """Append one exchange; the token is not written."""
        kept = {name: value for name, value in headers.items() if name in ("content-type", "procore-company-id")}
        exchange = {
            "method": method,
            "address": address,
            "headers": kept | ({"authorization": "Bearer recorded"} if "authorization" in headers else {}),
            "body": base64.b64encode(body).decode(),
            "status": answer.status,
            "answer_headers": {name.decode(): value.decode("latin-1") for name, value in answer.headers},
            "answer": base64.b64encode(answer.body if isinstance(answer.body, bytes) else b"").decode(),
        }
        with self._file.open("a") as file:
            file.write(json.dumps(exchange) + "\n")


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
