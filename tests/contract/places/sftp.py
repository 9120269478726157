from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.sftp.connector import SftpConnector
from connectors.sftp.settings import SftpSettings
from connectors.shared.services import Services
from migration.entries import PathParts
from tests.contract.place import MODIFIED, Place, Row
from tests.servers import ssh_in_process
from tests.servers.programs import free_ports
from tests.servers.ssh import OpenSsh
from tests.servers.ssh_in_process import InProcessSsh

TRASH = ".sitehaul-trash"


class SftpPlace(Place):
    """A folder of its own on a real server."""

    repetitions = 0.12

    def __init__(self, server: OpenSsh | InProcessSsh) -> None:
        self.server = server
        self.name = uuid4().hex[:12]
        self.files = server.files.below(self.name)

    def connector(self, *, page_entries: int | None = None, **changes: Any) -> SftpConnector:
        settings: dict[str, Any] = {
            "host": self.server.host,
            "port": self.server.port,
            "folder": f"{self.server.folder}/{self.name}",
            "username": self.server.username,
            "password": self.server.password,
            "host_key": self.server.keys.host_fingerprint,
        }
        return SftpConnector(SftpSettings(**(settings | changes)), Services(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        self.files.plant(path, content, modified_at)

    async def plant_folder(self, path: PathParts) -> None:
        self.files.plant_folder(path)

    async def remove(self, path: PathParts) -> None:
        self.files.remove(path)

    async def content(self, path: PathParts) -> bytes | None:
        return self.files.content(path)

    async def everything(self) -> set[PathParts]:
        return {path for path in self.files.everything() if path[0] != TRASH}

    def wrong_password(self) -> SftpConnector:
        return self.connector(password="wrong")

    def missing_root(self) -> SftpConnector:
        return self.connector(folder=f"{self.server.folder}/{self.name}/nowhere")

    def unreachable(self) -> SftpConnector:
        return self.connector(port=free_ports(1)[0])

    def untrusted(self) -> SftpConnector:
        return self.connector(host_key=None)


class OpenSshPlace(SftpPlace):
    server: OpenSsh

    def read_only(self) -> SftpConnector:
        return self.connector(port=self.server.readonly_port)

    def full(self) -> SftpConnector | None:
        if self.server.small is None:
            return None
        self.server.small.below(self.name)
        return self.connector(folder=f"{self.server.small_folder}/{self.name}")


class InProcessPlace(SftpPlace):
    """A server of the test's own, whose connections can be cut at any operation."""

    server: InProcessSsh

    async def lose(self, nth: int, *, answered: bool) -> bool:
        self.server.faults([{"fault": "lost-response" if answered else "cut", "nth": nth}] if nth else [])
        return True

    async def hits(self) -> int:
        return self.server._state.rules.struck


@asynccontextmanager
async def opened(server: OpenSsh, folder: Path) -> AsyncIterator[SftpPlace]:
    place = OpenSshPlace(server)
    try:
        yield place
    finally:
        server.files.remove((place.name,))
        if server.small is not None:
            server.small.remove((place.name,))


@asynccontextmanager
async def opened_in_process(server: Any, folder: Path) -> AsyncIterator[SftpPlace]:
    with ssh_in_process.running(folder) as running:
        yield InProcessPlace(running)


ROWS = (Row("sftp", opened, "ssh_server"), Row("sftp-in-process", opened_in_process))
