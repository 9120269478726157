"""The commands as a user calls them: processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.filesystem.settings import FilesystemSettings
from simulator.server import Running
from tasks.connections import save_connection
from tasks.server import Server
from tests.flows.place import procore_settings
from tests.servers import ProcoreSimulators


@dataclass
class Cli:
    """Calls `sitehaul` against the tests' Prefect server, with a home of its own."""

    home: Path
    server: Server
    served: Running

    def __call__(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.command(words), capture_output=True, text=True, env=self.environment(), timeout=100)
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code).stdout)

    def command(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "flows.cli", "--home", str(self.home), *words]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SITEHAUL_"))}
        return {**kept, "PREFECT_API_URL": self.server.api_url, "NO_COLOR": "1"}


@pytest.fixture
def cli(procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path) -> Cli:
    served = procore_simulator(files=60, seed=18, max_file_bytes=50_000, name="simulated")
    return Cli(tmp_path / "home", prefect_server, served)


def names(tmp_path: Path) -> tuple[str, str]:
    """Connections of this test alone: the server is shared."""
    mark = f"{os.getpid()}-{abs(hash(tmp_path)) % 10_000}"
    return f"office-{mark}", f"archive-{mark}"


def connect(cli: Cli, tmp_path: Path) -> tuple[str, str]:
    office, archive = names(tmp_path)
    (tmp_path / "archive").mkdir()
    cli("connect", "procore", office, "--simulator", str(tmp_path / "procore" / "simulated"))
    cli("connect", "filesystem", archive, "--folder", str(tmp_path / "archive"))
    return office, archive


@pytest.mark.slow
def test_from_connecting_to_the_report(cli: Cli, tmp_path: Path) -> None:
    office, archive = connect(cli, tmp_path)
    report = cli.json("test", office)
    assert report["usable"] and cli.served.project["name"] in report["roots"]
    ends = ("--source", f"{office}:{cli.served.project['name']}", "--destination", f"{archive}:tower")
    planned = cli.json("plan", "tower", *ends)
    assert planned["plan"]["files_to_copy"] == planned["plan"]["files"] > 0
    done = cli.json("run", "tower")
    assert (done["state"], done["adds_up"]) == ("done", True)
    assert done["run_id"] == planned["run_id"]
    assert done["counts"]["succeeded"] + done["counts"]["revised"] == planned["plan"]["files"]
    assert Path(done["report"]).is_file()
    status = cli.json("status", "tower")
    assert [(job["job"], job["state"], job["pending"]) for job in status["jobs"]] == [("tower", "finished", 0)]
    budget = cli.json("budget", office)
    assert budget[0]["used"] >= done["calls"]
    assert cli("report", "tower").stdout.strip() == done["report"]

    secret = cli.served.facts["client_secret"]
    for path in (tmp_path / "home").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), f"{path} holds the secret"

    cli("connect", "remove", office)
    assert office not in [connection["name"] for connection in cli.json("connect", "list")]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("frobnicate",), 2, "No such command"),
        (("run",), 2, "Missing argument"),
        (("run", "unknown"), 3, "has no source"),
        (("run", "bad:name", "--source", "a:b", "--destination", "c:d"), 3, "name"),
        (("run", "j", "--source", "a/b", "--destination", "c:d"), 3, "names no connection"),
        (("run", "j", "--source", "a:b", "--destination", "c:../d"), 3, "not contain"),
        (("run", "j", "--source", "a:b", "--destination", "c:d", "--set", "rules.large_item=perhaps"), 3, "large_item"),
        (("status", "unknown"), 3, "no job"),
        (("verify", "unknown"), 3, "no job"),
        (("connect", "procore", "x", "--simulator", "/nowhere"), 3, "no running simulator"),
        (("connect", "procore", "x", "--company-id", "1", "--client-id", "y", "--client-secret-file", "/dev/null"), 2,
         "secret is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_readable_paragraph(
    prefect_server: Server, tmp_path: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    cli = Cli(tmp_path / "home", prefect_server, served=None)  # type: ignore[arg-type]
    done = cli(*words, code=code)
    assert told in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_configured_server_that_is_dead_is_named(prefect_server: Server, tmp_path: Path) -> None:
    dead = Server(api_url="http://127.0.0.1:9/api", ui_url="", started_here=False, home=tmp_path)
    cli = Cli(tmp_path / "home", dead, served=None)  # type: ignore[arg-type]
    done = cli("run", "j", "--source", "a:b", "--destination", "c:d", "--json", code=3)
    assert json.loads(done.stdout)["code"] == "server-unreachable"
    assert "does not answer" in done.stderr


@pytest.mark.slow
def test_ctrl_c_and_then_the_same_command(cli: Cli, tmp_path: Path) -> None:
    office, archive = names(tmp_path)
    (tmp_path / "archive").mkdir()
    save_connection(office, procore_settings(cli.served))
    save_connection(archive, FilesystemSettings(folder=tmp_path / "archive"))
    cli.served.settings(latency_ms=500.0)
    ends = ("--source", f"{office}:{cli.served.project['name']}", "--destination", f"{archive}:c")
    words = ("run", "c", *ends, "--set", "performance.parallel_writes=2", "--json")
    process = subprocess.Popen(
        cli.command(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cli.environment()
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "archive").rglob("*.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    other = cli("run", "c", "--json", code=6)
    assert json.loads(other.stdout)["code"] == "already-running"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 10, errors
    stopped = json.loads(output)
    assert stopped["state"] == "pending" and stopped["counts"]["pending"] > 0
    assert cli.json("status", "c")["jobs"][0]["state"] == "stopped"

    cli.served.settings(latency_ms=0.0)
    finished = cli.json("run", "c", "--set", "performance.parallel_writes=32")
    assert (finished["state"], finished["run_id"]) == ("done", stopped["run_id"])
    assert finished["verification"] == {"matches": finished["source_files"]}
