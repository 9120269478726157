import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.gcs.connector import GcsConnector, connector_of
from connectors.gcs.settings import GcsSettings
from connectors.shared.objects import moment_text
from connectors.shared.services import Services
from migration.entries import PathParts
from tests.contract.place import MODIFIED, Place, Row
from tests.servers.gcs import Gcs
from tests.servers.programs import free_ports
from tests.servers.untrusted import untrusted_address

TRASH = ".sitehaul-trash"


@cache
def another_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


class GcsPlace(Place):
    """A prefix of its own in a bucket."""

    repetitions = 0.12

    def __init__(self, server: Gcs, folder: Path, untrusted_url: str, *, versioned: bool) -> None:
        self.server = server
        self.folder = folder
        self.untrusted_url = untrusted_url
        self.versioned = versioned
        self.prefix = uuid4().hex[:12]
        self.files = (server.versioned if versioned else server.files).below(self.prefix)

    def settings(self, **changes: Any) -> GcsSettings:
        values = {
            "api_url": self.server.url,
            "bucket": self.files.name,
            "prefix": self.prefix,
            "key_file": self.server.key_file,
            "versioned": self.versioned,
        }
        return GcsSettings(**{**values, **changes})

    def connector(self, *, page_entries: int | None = None) -> GcsConnector:
        return connector_of(self.settings(), Services(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        self.files.plant(path, content, metadata={"mtime": moment_text(modified_at)})

    async def plant_folder(self, path: PathParts) -> None:
        for length in range(1, len(path) + 1):
            self.files.plant_folder(path[:length])

    async def remove(self, path: PathParts) -> None:
        self.files.remove(path)

    async def content(self, path: PathParts) -> bytes | None:
        return self.files.content(path)

    async def everything(self) -> set[PathParts]:
        there = {path for path in self.files.everything() if path[0] != TRASH}
        return there | {("session", path) for path in self.sessions()}

    def sessions(self) -> list[str]:
        """The names that open sessions are for. One whose first answer was lost is known to nobody and never gets a
        byte: it ends by itself."""
        uploads = self.server.cloud.service.uploads
        opened = self.server.cloud.do(lambda: [(one.bucket, one.name, one.spool.length) for one in uploads.open()])
        return [name for bucket, name, length in opened if length and self._is_mine(bucket, name)]

    def _is_mine(self, bucket: str, name: str) -> bool:
        return bucket == self.files.name and name.startswith(self.files.prefix)

    def wrong_password(self) -> GcsConnector:
        file = self.folder / "another.json"
        values = json.loads(self.server.key_file.read_text("utf-8"))
        file.write_text(json.dumps({**values, "private_key": another_key()}), "utf-8")
        return connector_of(self.settings(key_file=file), Services())

    def missing_root(self) -> GcsConnector:
        return connector_of(self.settings(bucket=f"no-{self.prefix}"), Services())

    def unreachable(self) -> GcsConnector:
        return connector_of(self.settings(api_url=f"http://127.0.0.1:{free_ports(1)[0]}"), Services())

    def untrusted(self) -> GcsConnector:
        return connector_of(self.settings(api_url=self.untrusted_url), Services())

    def read_only(self) -> GcsConnector:
        return connector_of(self.settings(key_file=self.server.readonly_key_file), Services())

    async def expire(self) -> bool:
        self.server.cloud.expire_tokens()
        return True

    async def throttle(self, requests: int, seconds: float) -> bool:
        self.server.cloud.clear_log()
        self.server.cloud.faults([{"route": "/storage/v1", "fault": "429", "retry_after": seconds, "count": requests}])
        return True

    async def lose(self, nth: int, *, answered: bool) -> bool:
        self.server.cloud.clear_log()
        fault = "lost-response" if answered else "reset"
        self.server.cloud.faults([{"route": "/storage/v1", "fault": fault, "nth": nth}] if nth else [])
        return True

    async def hits(self) -> int:
        return sum(1 for request in self.server.cloud.log() if request["fault"])


@asynccontextmanager
async def opened(server: Gcs, folder: Path, *, versioned: bool) -> AsyncIterator[GcsPlace]:
    async with untrusted_address(folder / "certificate") as untrusted_url:
        try:
            yield GcsPlace(server, folder, untrusted_url, versioned=versioned)
        finally:
            server.cloud.faults([])


ROWS = (Row("gcs", partial(opened, versioned=True), "gcs_server"),)
