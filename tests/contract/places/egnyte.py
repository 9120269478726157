from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.egnyte.connector import EgnyteConnector
from connectors.egnyte.settings import EgnyteSettings
from connectors.shared.services import Services
from migration.entries import PathParts
from simulator.clouds import egnyte
from simulator.clouds.base import Cloud
from tests.contract.place import MODIFIED, Place, Row
from tests.servers.programs import free_ports
from tests.servers.untrusted import untrusted_address

MIB = 1024 * 1024
TRASH = ".sitehaul-trash"


class EgnytePlace(Place):
    """A folder of its own in a stand-in for Egnyte. Uploads in chunks that were begun do not count: nobody can give
    them up, they have no name, and they end by themselves."""

    repetitions = 0.12

    def __init__(self, cloud: Cloud, untrusted: str) -> None:
        self.cloud = cloud
        self.untrusted_url = untrusted
        self.kept = ExitStack()
        self.name = uuid4().hex[:12]
        cloud.settings(read_only=False)
        cloud.faults([])
        cloud.clear_log()
        cloud.plant_folder((self.name,))

    def settings(self, **changes: Any) -> EgnyteSettings:
        return settings_of(self.cloud, **{"folder": f"{self.cloud.credentials['root']}/{self.name}", **changes})

    def connector(self, *, page_entries: int | None = None, **changes: Any) -> EgnyteConnector:
        return EgnyteConnector(self.settings(**changes), Services(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        self.cloud.plant((self.name, *path), content, modified_at)

    async def plant_folder(self, path: PathParts) -> None:
        self.cloud.plant_folder((self.name, *path))

    async def remove(self, path: PathParts) -> None:
        self.cloud.remove((self.name, *path))

    async def content(self, path: PathParts) -> bytes | None:
        return self.cloud.content((self.name, *path))

    async def everything(self) -> set[PathParts]:
        files = {path[1:] for path in self.cloud.everything() if path[0] == self.name}
        return {path for path in files if path[0] != TRASH}

    def wrong_password(self) -> EgnyteConnector:
        return self.connector(password="wrong")

    def missing_root(self) -> EgnyteConnector:
        return self.connector(folder="/Shared/nowhere")

    def unreachable(self) -> EgnyteConnector:
        return self.connector(url=f"http://127.0.0.1:{free_ports(1)[0]}")

    def untrusted(self) -> EgnyteConnector:
        return self.connector(url=self.untrusted_url)

    def read_only(self) -> EgnyteConnector:
        self.cloud.settings(read_only=True)
        return self.connector()

    def full(self) -> EgnyteConnector:
        small = self.kept.enter_context(egnyte.running(quota_bytes=30 * MIB))
        small.plant_folder((self.name,))
        return EgnyteConnector(settings_of(small, folder=f"{small.credentials['root']}/{self.name}"), Services())

    async def expire(self) -> bool:
        self.cloud.expire_tokens()
        return True

    async def throttle(self, requests: int, seconds: float) -> bool:
        self.cloud.clear_log()
        self.cloud.faults([{"fault": "429", "count": requests, "retry_after": seconds}])
        return True

    async def lose(self, nth: int, *, answered: bool) -> bool:
        self.cloud.faults([{"fault": "lost-response" if answered else "reset", "nth": nth}] if nth else [])
        if nth:
            self.cloud.clear_log()
        return True

    async def hits(self) -> int:
        return sum(line["fault"] is not None for line in self.cloud.log())


def settings_of(cloud: Cloud, **changes: Any) -> EgnyteSettings:
    """A connection to the stand-in's folder as its user, not slowed down."""
    known = cloud.credentials
    values: dict[str, Any] = {
        "url": cloud.url,
        "folder": known["root"],
        "client_id": known["client_id"],
        "client_secret": known["client_secret"],
        "username": known["username"],
        "password": known["password"],
        "calls_per_second": 100_000,
    }
    return EgnyteSettings(**{**values, **changes})


@asynccontextmanager
async def opened(cloud: Cloud, folder: Path) -> AsyncIterator[EgnytePlace]:
    async with untrusted_address(folder) as untrusted:
        place = EgnytePlace(cloud, untrusted)
        with place.kept:
            yield place


ROWS = (Row("egnyte", opened, "egnyte_cloud"),)
