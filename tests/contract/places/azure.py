import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.azure.connector import AzureConnector
from connectors.azure.settings import AzureSettings
from connectors.shared.services import Services
from migration.entries import PathParts
from tests.contract.place import MODIFIED, Place, Row
from tests.servers.azurite import Azurite
from tests.servers.http_faults import HttpProxy
from tests.servers.http_faults import running as faults_before
from tests.servers.programs import free_ports
from tests.servers.strangers import stranger

TRASH = ".sitehaul-trash"


class AzurePlace(Place):
    """A prefix of its own in a container of Azurite."""

    repetitions = 0.1

    def __init__(self, server: Azurite, proxy: HttpProxy, tls_url: str) -> None:
        self.server = server
        self.proxy = proxy
        self.tls_url = tls_url
        self.prefix = uuid4().hex[:12]
        self.files = server.files.below(self.prefix)

    def connector(self, *, page_entries: int | None = None, **changes: Any) -> AzureConnector:
        values = {
            "endpoint_url": self.proxy.url,
            "account": self.server.account,
            "container": self.server.container,
            "prefix": self.prefix,
            "account_key": self.server.key,
        }
        settings = AzureSettings(**{**values, **changes})
        return AzureConnector(settings, Services(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        await asyncio.to_thread(self.files.plant, path, content, modified_at)

    async def plant_folder(self, path: PathParts) -> None:
        await asyncio.to_thread(self.files.plant_folder, path)

    async def remove(self, path: PathParts) -> None:
        await asyncio.to_thread(self.files.remove, path)

    async def content(self, path: PathParts) -> bytes | None:
        return await asyncio.to_thread(self.files.content, path)

    async def everything(self) -> set[PathParts]:
        """Without blocks that nothing uses: Azure knows no way to remove them, and does so itself."""
        there = await asyncio.to_thread(self.files.everything)
        return {path for path in there if path[0] != TRASH}

    def wrong_password(self) -> AzureConnector:
        return self.connector(account_key=self.server.wrong_key)

    def missing_root(self) -> AzureConnector:
        return self.connector(container=f"no-{self.prefix}")

    def unreachable(self) -> AzureConnector:
        return self.connector(endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}")

    def untrusted(self) -> AzureConnector:
        return self.connector(endpoint_url=self.tls_url)

    def read_only(self) -> AzureConnector:
        return self.connector(account_key=None, sas_token=self.server.readonly_sas)

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
async def opened(server: Azurite, folder: Path) -> AsyncIterator[AzurePlace]:
    with faults_before(server.url) as proxy:
        async with stranger(folder) as tls_url:
            yield AzurePlace(server, proxy, tls_url)


ROWS = (Row("azure", opened, "azurite_server"),)
