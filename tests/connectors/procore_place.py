"""A project of a simulated Procore as a place for the contract's tests (tests/contract/place.py).

`root` names the project: the first part of every path a connector is given. The place's own paths begin below it. What
it plants and looks at goes through the simulator's edits, truth and bodies, never through its API.
"""

import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.procore.connector import ProcoreConnector
from connectors.shared.services import Services
from migration.entries import PathParts
from simulator.bodies import UPLOAD_PREFIX
from simulator.clock import time_text
from simulator.server import Running
from simulator.settings import Settings
from simulator.store import FILE_NAME
from tests.connectors.procore_support import SimulatorClock, settings_for
from tests.contract.place import MODIFIED, Place
from tests.servers import procore_simulators

READ_ONLY, ADMIN = 2, 4
PLENTY = {"spike_calls": 10**6, "hourly_calls": 10**7}


class ProcorePlace(Place):
    """One project, emptied, in which the service account may do everything."""

    repetitions = 0.1

    def __init__(self, served: Running, number: int = 0) -> None:
        """`number` tells which of the simulator's projects."""
        project = served.facts["projects"][number]
        self.served = served
        self.project_id: int = project["id"]
        self.root: PathParts = (project["name"],)
        self.edit("permission", level=ADMIN, private_access=True)
        self.edit("project", documents_on=1)
        served.settings(**Settings(**PLENTY).described())
        served.faults([])
        self.clear()
        served.clear_log()

    def connector(self, *, page_entries: int | None = None) -> ProcoreConnector:
        """A connector to it, not entered yet."""
        pages = {} if page_entries is None else {"page_size": page_entries}
        return ProcoreConnector(settings_for(self.served, **pages), self._services())

    def edit(self, op: str, **values: Any) -> dict[str, Any]:
        """Change the project past Procore's rules."""
        return self.served.edit({"op": op, "project_id": self.project_id, **values})

    def clear(self) -> None:
        """Put everything that is in the project into its recycle bin."""
        rows = self.served.truth(self.project_id, hashes=False)
        for document_id in {row["id"] for row in rows if len(row["path"]) == 1 and not row["deleted"]}:
            self.edit("delete", id=document_id)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        """Put a file there, or a new version of the one that is there."""
        key = f"planted-{secrets.token_hex(8)}"
        (self.served.state.store.uploads_folder / key).write_bytes(content)
        there = self._current(path) is not None
        self.edit(
            "add_version" if there else "add_file",
            path=list(path),
            size_bytes=len(content),
            body=UPLOAD_PREFIX + key,
            created_at=time_text(modified_at.timestamp()),
        )

    async def plant_folder(self, path: PathParts) -> None:
        """Make a folder there."""
        self.edit("add_folder", path=list(path))

    async def remove(self, path: PathParts) -> None:
        """Put the file there into the recycle bin."""
        row = self._current(path)
        assert row is not None
        self.edit("delete", id=row["id"])

    async def content(self, path: PathParts) -> bytes | None:
        """The bytes of the current version of the file there."""
        row = self._current(path)
        if row is None:
            return None
        with closing(sqlite3.connect(self.served.state.store.folder / FILE_NAME)) as database:
            (key,) = database.execute("SELECT body_key FROM versions WHERE id = ?", (row["version_id"],)).fetchone()
        return (self.served.state.store.uploads_folder / key.removeprefix(UPLOAD_PREFIX)).read_bytes()

    async def everything(self) -> set[PathParts]:
        """Every file that can be seen; what waits in the storage is not."""
        return {tuple(row["path"]) for row in self._files()}

    def unreachable(self) -> ProcoreConnector:
        settings = settings_for(self.served, login_url="http://127.0.0.1:9", api_url="http://127.0.0.1:9")
        return ProcoreConnector(settings, self._services())

    def read_only(self) -> ProcoreConnector:
        self.edit("permission", level=READ_ONLY, private_access=True)
        return self.connector()

    async def expire(self) -> bool:
        self.served.edit({"op": "expire_tokens"})
        return True

    async def throttle(self, requests: int, seconds: float) -> bool:
        self.served.faults([{"host": "api", "fault": "503", "retry_after": int(seconds), "count": requests}])
        return True

    async def lose(self, nth: int, *, answered: bool) -> bool:
        fault = "lost-response" if answered else "reset"
        hosts = ("login", "api", "blob") if nth else ()
        self.served.faults([{"host": host, "fault": fault, "nth": nth} for host in hosts])
        return True

    async def hits(self) -> int:
        return sum(rule["injected"] for rule in self.served.state.faults.described())

    def _services(self) -> Services:
        return Services(clock=SimulatorClock(self.served))

    def _files(self) -> list[dict[str, Any]]:
        rows = self.served.truth(self.project_id, hashes=False)
        return [row for row in rows if row["kind"] == "file" and row["current"] and not row["deleted"]]

    def _current(self, path: PathParts) -> dict[str, Any] | None:
        return next((row for row in self._files() if tuple(row["path"]) == path), None)


@asynccontextmanager
async def procore_place(folder: Path) -> AsyncIterator[ProcorePlace]:
    """A place in a simulated Procore of its own."""
    with procore_simulators(folder) as start:
        yield ProcorePlace(start(files=1, projects=1))
