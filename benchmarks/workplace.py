"""A throw-away workplace for measurements and proofs: a simulated Procore, a SiteHaul home, a destination folder.

Everything runs as a user's commands do, in processes of their own on loopback, and ends with the workplace.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Simulator:
    """A `python -m simulator` process on a folder; the same folder continues the same world on the same ports."""

    folder: Path
    options: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Start and wait until it serves. Raises RuntimeError with its last words if it ends instead."""
        log = self.folder.parent / "simulator.log"
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "simulator", "--folder", str(self.folder), *self.options],
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        stdout = self.process.stdout
        line = stdout.readline() if stdout else b""
        if not line:
            raise RuntimeError(f"the simulator did not start: {log.read_text('utf-8')[-2000:]}")
        self.facts = json.loads(line)

    def kill(self) -> None:
        """SIGKILL, at once."""
        _kill(self.process)
        self.process = None

    def control(self, method: str, path: str, body: Any = None) -> bytes:
        """Call the control host."""
        request = urllib.request.Request(
            self.facts["control_url"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=600) as answer:
            content: bytes = answer.read()
            return content

    def truth(self, project_id: int) -> list[dict[str, Any]]:
        """What the project really holds, hashes included."""
        lines = self.control("GET", f"/truth?project_id={project_id}").splitlines()
        return [json.loads(line) for line in lines if line.strip()]

    def edit(self, **values: Any) -> None:
        """Change the world past the Procore API."""
        self.control("POST", "/edit", values)

    @property
    def project(self) -> dict[str, Any]:
        """The first project, the sample that everything is measured on."""
        first: dict[str, Any] = self.facts["projects"][0]
        return first


@dataclass
class Workplace:
    """Folders and processes of one measurement."""

    folder: Path
    simulator: Simulator
    spawned: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def destination(self) -> Path:
        return self.folder / "destination"

    def command(self, *words: str) -> list[str]:
        """The command line of a `sitehaul` call in this workplace."""
        return [sys.executable, "-m", "flows.cli", "--home", str(self.home), *words]

    def environment(self) -> dict[str, str]:
        """The environment of commands: no Prefect server but the workplace's own."""
        foreign = ("PREFECT_", "SITEHAUL_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**inherited, "NO_COLOR": "1"}

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Raises RuntimeError with its output when it fails and `check` is set."""
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, env=self.environment(), timeout=3600, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(
                f"sitehaul {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done

    def spawn(self, output: Path, log: Path, *words: str) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own; `output` gets what it prints for scripts, `log` more of the rest."""
        with open(output, "wb") as told, open(log, "ab") as logged:
            process = subprocess.Popen(
                self.command(*words),
                stdout=told,
                stderr=logged,
                stdin=subprocess.DEVNULL,
                env=self.environment(),
                start_new_session=True,
            )
        self.spawned.append(process)
        return process

    def connect(self, *office_options: str) -> None:
        """Save the two connections `office` (the simulated Procore) and `archive` (the destination folder)."""
        self.destination.mkdir(parents=True, exist_ok=True)
        self.run("connect", "procore", "office", "--simulator", str(self.simulator.folder), *office_options)
        self.run("connect", "filesystem", "archive", "--folder", str(self.destination))


@contextlib.contextmanager
def workplace(folder: Path, *simulator_options: str) -> Iterator[Workplace]:
    """A started workplace; on leaving, its processes are ended and its files stay for inspection."""
    (folder / "simulator").mkdir(parents=True, exist_ok=True)
    place = Workplace(folder, Simulator(folder / "simulator", simulator_options))
    place.simulator.start()
    try:
        yield place
    finally:
        for process in place.spawned:
            if process.poll() is None:
                kill_group(process)
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
            place.run("down", check=False)
        place.simulator.kill()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process started by `spawn` and whatever it started in its session; the local server has its own."""
    _kill(process)


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()
