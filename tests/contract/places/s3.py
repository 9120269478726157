import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.s3.connector import S3Connector, connector_of
from connectors.s3.settings import S3Settings
from connectors.shared.services import Services
from migration.entries import PathParts
from tests.contract.place import MODIFIED, Place, Row
from tests.servers.http_faults import HttpProxy
from tests.servers.http_faults import running as faults_before
from tests.servers.programs import free_ports
from tests.servers.s3 import S3
from tests.servers.strangers import stranger

TRASH = ".sitehaul-trash"


class S3Place(Place):
    """A prefix of its own in a bucket of a real server."""

    repetitions = 0.12

    def __init__(self, server: S3, proxy: HttpProxy, tls_url: str, *, versioned: bool) -> None:
        self.server = server
        self.proxy = proxy
        self.tls_url = tls_url
        self.versioned = versioned
        self.prefix = uuid4().hex[:12]
        self.files = (server.versioned if versioned else server.files).below(self.prefix)

    def settings(self, **changes: Any) -> S3Settings:
        values = {
            "endpoint_url": self.proxy.url,
            "bucket": self.files.name,
            "prefix": self.prefix,
            "access_key_id": self.server.access_key,
            "secret_access_key": self.server.secret_key,
            "versioned": self.versioned,
        }
        return S3Settings(**{**values, **changes})

    def connector(self, *, page_entries: int | None = None) -> S3Connector:
        return connector_of(self.settings(), Services(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        await asyncio.to_thread(self.files.plant, path, content, modified_at)

    async def plant_folder(self, path: PathParts) -> None:
        await asyncio.to_thread(self.files.plant_folder, path)

    async def remove(self, path: PathParts) -> None:
        await asyncio.to_thread(self.files.remove, path)

    async def content(self, path: PathParts) -> bytes | None:
        return await asyncio.to_thread(self.files.content, path)

    async def everything(self) -> set[PathParts]:
        return await asyncio.to_thread(self._everything)

    def _everything(self) -> set[PathParts]:
        there = {path for path in self.files.everything() if path[0] != TRASH}
        return there | {("session", *path) for path in self.files.unfinished()}

    def wrong_password(self) -> S3Connector:
        return connector_of(self.settings(secret_access_key="wrong"), Services())

    def missing_root(self) -> S3Connector:
        return connector_of(self.settings(bucket=f"no-{self.prefix}"), Services())

    def unreachable(self) -> S3Connector:
        return connector_of(self.settings(endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}"), Services())

    def untrusted(self) -> S3Connector:
        return connector_of(self.settings(endpoint_url=self.tls_url), Services())

    def read_only(self) -> S3Connector:
        server = self.server
        changes = {
            "access_key_id": server.readonly_access_key,
            "secret_access_key": server.readonly_secret_key,
            "versioned": False,
        }
        return connector_of(self.settings(**changes), Services())

    async def throttle(self, requests: int, seconds: float) -> bool:
        rule = {"fault": "answer", "status": 503, "headers": {"Retry-After": f"{seconds:g}"}, "count": requests}
        self.proxy.faults([rule])
        return True

    async def lose(self, nth: int, *, answered: bool) -> bool:
        self.proxy.faults([{"fault": "lost-response" if answered else "reset", "nth": nth}] if nth else [])
        return True

    async def hits(self) -> int:
        return self.proxy.struck


@asynccontextmanager
async def opened(server: S3, folder: Path, *, versioned: bool = False) -> AsyncIterator[S3Place]:
    with faults_before(server.url) as proxy:
        async with stranger(folder) as tls_url:
            yield S3Place(server, proxy, tls_url, versioned=versioned)


ROWS = (Row("s3", opened, "s3_server"),)
