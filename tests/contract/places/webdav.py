from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.shared.services import Services
from connectors.webdav.connector import WebDavConnector
from connectors.webdav.settings import WebDavSettings
from migration.entries import PathParts
from tests.contract.place import MODIFIED, Place, Row
from tests.servers.programs import free_ports
from tests.servers.webdav import WebDav

TRASH = ".sitehaul-trash"


class WebDavPlace(Place):
    """A folder of its own on a real server."""

    def __init__(self, server: WebDav) -> None:
        self.server = server
        # Apache shows a cut upload never and not at once, so that the connector looks for it until it is sure.
        self.repetitions = 0.05 if server.kind == "apache" else 0.12  # type: ignore[misc]
        self.name = uuid4().hex[:12]
        self.files = server.files.below(self.name)

    def settings(self, **changes: Any) -> WebDavSettings:
        values = {
            "url": f"{self.server.url}{self.name}",
            "username": self.server.username,
            "password": self.server.password,
            "ca_file": self.server.certificate,
            "vendor": {"apache": "generic"}.get(self.server.kind, self.server.kind),
        }
        return WebDavSettings(**{**values, **changes})

    def connector(self, *, page_entries: int | None = None) -> WebDavConnector:
        return WebDavConnector(self.settings(), Services(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        self.files.plant(path, content, modified_at)

    async def plant_folder(self, path: PathParts) -> None:
        self.files.plant_folder(path)

    async def remove(self, path: PathParts) -> None:
        self.files.remove(path)

    async def content(self, path: PathParts) -> bytes | None:
        return self.files.content(path)

    async def everything(self) -> set[PathParts]:
        found = {path for path in self.files.everything() if path[0] != TRASH}
        # What Apache gathers an upload in is its own, and goes when it notices that the upload was cut.
        return {path for path in found if not path[-1].startswith(".davfs.tmp")}

    def wrong_password(self) -> WebDavConnector:
        return WebDavConnector(self.settings(password="wrong"), Services())

    def missing_root(self) -> WebDavConnector:
        return WebDavConnector(self.settings(url=f"{self.server.url}{self.name}/nowhere"), Services())

    def unreachable(self) -> WebDavConnector:
        return WebDavConnector(self.settings(url=f"http://127.0.0.1:{free_ports(1)[0]}/files"), Services())

    def untrusted(self) -> WebDavConnector | None:
        return WebDavConnector(self.settings(ca_file=None), Services()) if self.server.certificate else None

    def read_only(self) -> WebDavConnector | None:
        if self.server.readonly_url is None:
            return None
        return WebDavConnector(self.settings(url=f"{self.server.readonly_url}{self.name}"), Services())

    def full(self) -> WebDavConnector | None:
        if self.server.small is None or self.server.kind != "apache":
            return None  # the others do not say why they cannot store a file
        self.server.small.below(self.name)
        return WebDavConnector(self.settings(url=f"{self.server.small_url}{self.name}"), Services())


@asynccontextmanager
async def opened(server: WebDav, folder: Path) -> AsyncIterator[WebDavPlace]:
    place = WebDavPlace(server)
    try:
        yield place
    finally:
        server.files.remove((place.name,))
        if server.small is not None:
            server.small.remove((place.name,))


ROWS = (
    Row("webdav", opened, "webdav_server"),
    Row("webdav-apache", opened, "apache_webdav_server"),
)
