"""A simulated Procore in the background, for the demo: started once, found again, stopped by `sitehaul down`."""

import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.errors import FatalError
from tasks.background import BackgroundProcess

START_SECONDS_MAX = 90.0


@dataclass(frozen=True, slots=True)
class SimulatedProcore:
    """The simulator of one folder. Nothing is touched by making this object."""

    folder: Path

    @property
    def has_world(self) -> bool:
        """Whether there is a complete world in the folder; its making options are fixed then."""
        return (self.folder / "procore.sqlite").is_file()

    def start(self, *options: str) -> dict[str, Any]:
        """Start it, or find it running; its facts (addresses, client, projects) once it serves.

        FatalError `simulator-did-not-start` with its last words.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        process = self._process
        with process.locked():
            if not process.running():
                process.start(
                    "simulator", ["--folder", str(self.folder), *options], environment=os.environ, record={}
                )  # fmt: skip
            return self._facts_when_ready(process)

    def stop(self) -> bool:
        """End it; True if it was running. Its world stays."""
        return self.folder.is_dir() and self._process.stop()

    def control(self, facts: dict[str, Any], method: str, path: str, body: Any = None) -> bytes:
        """Call the control host (settings, faults, edits, truth); what it answers."""
        request = urllib.request.Request(  # noqa: S310 - the simulator's own address on loopback
            facts["control_url"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content

    @property
    def _process(self) -> BackgroundProcess:
        return BackgroundProcess(self.folder, "simulator")

    def _facts_when_ready(self, process: BackgroundProcess) -> dict[str, Any]:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            record = process.record()
            if record is None:
                break
            facts = self._facts()
            if facts.get("pid") == record["pid"]:
                return facts
            time.sleep(0.1)
        raise FatalError(
            "simulator-did-not-start",
            f"The simulated Procore did not start. Its last words:\n{process.last_words()}\n",
            fix=f"Its log is {process.log}.",
        )

    def _facts(self) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = json.loads((self.folder / "simulator.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return facts
