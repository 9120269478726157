from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.shared.services import Services
from connectors.sharepoint.connector import SharePointConnector
from connectors.sharepoint.settings import SharePointSettings
from migration.entries import PathParts
from simulator.clouds import graph
from simulator.clouds.base import Cloud
from tests.contract.place import MODIFIED, Place, Row
from tests.servers.programs import free_ports
from tests.servers.untrusted import untrusted_address

TRASH = ".sitehaul-trash"
MIB = 1024 * 1024


def settings_of(cloud: Cloud, folder: str = "", **changes: Any) -> SharePointSettings:
    """Access to the sample library of a stand-in for Microsoft Graph."""
    given = cloud.credentials
    values = {
        "tenant_id": given["tenant_id"],
        "client_id": given["client_id"],
        "client_secret": given["client_secret"],
        "where": f"https://{given['site_hostname']}{given['site_path']}",
        "folder": folder,
        "api_url": cloud.url,
        "login_url": cloud.urls["login"],
        "ca_file": Path(given["ca_file"]),
    }
    return SharePointSettings(**{**values, **changes})


class Hurried:
    """A clock that does not wait, and tells how long it would have."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += max(seconds, 0)


class SharePointPlace(Place):
    """A folder of its own in the library of a site."""

    repetitions = 0.12

    def __init__(self, cloud: Cloud, kept: ExitStack, untrusted_url: str) -> None:
        self.cloud = cloud
        self.name = uuid4().hex[:12]
        self.untrusted_url = untrusted_url
        self._kept = kept
        cloud.plant_folder((self.name,))
        cloud.clear_log()
        self._open_before = cloud.unfinished()

    def connector(self, *, page_entries: int | None = None, **changes: Any) -> SharePointConnector:
        settings = settings_of(self.cloud, **{"folder": self.name, **changes})
        return SharePointConnector(settings, Services(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        self.cloud.plant((self.name, *path), content, modified_at)

    async def plant_folder(self, path: PathParts) -> None:
        self.cloud.plant_folder((self.name, *path))

    async def remove(self, path: PathParts) -> None:
        self.cloud.remove((self.name, *path))

    async def content(self, path: PathParts) -> bytes | None:
        return self.cloud.content((self.name, *path))

    async def everything(self) -> set[PathParts]:
        found = {path[1:] for path in self.cloud.everything() if path[0] == self.name}
        open_now = self.cloud.unfinished() - self._open_before - self._nameless()
        sessions = {("session", f"{number}") for number in range(open_now)}
        return {path for path in found if path[0] != TRASH} | sessions

    def _nameless(self) -> int:
        """Sessions whose address nobody was told, as the answer was lost: they expire by themselves."""
        made = [line for line in self.cloud.log() if line["path"].endswith("/createUploadSession")]
        return sum(line["fault"] == "lost-response" for line in made)

    def wrong_password(self) -> SharePointConnector:
        return self.connector(client_secret="wrong")

    def missing_root(self) -> SharePointConnector:
        return self.connector(folder=f"{self.name}/nowhere")

    def unreachable(self) -> SharePointConnector:
        return self.connector(api_url=f"http://127.0.0.1:{free_ports(1)[0]}")

    def untrusted(self) -> SharePointConnector:
        return self.connector(api_url=self.untrusted_url)

    def read_only(self) -> SharePointConnector:
        self.cloud.settings(read_only=True)
        self._kept.callback(self.cloud.settings, read_only=False)
        return self.connector()

    def full(self) -> SharePointConnector:
        small = self._kept.enter_context(graph.running(quota_bytes=8 * MIB))
        return SharePointConnector(settings_of(small), Services())

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
            self._open_before += self._nameless()
            self.cloud.clear_log()
        return True

    async def hits(self) -> int:
        return sum(line["fault"] is not None for line in self.cloud.log())


@asynccontextmanager
async def opened(cloud: Cloud, folder: Path) -> AsyncIterator[SharePointPlace]:
    async with untrusted_address(folder) as untrusted_url:
        with ExitStack() as kept:
            kept.callback(cloud.faults, [])
            yield SharePointPlace(cloud, kept, untrusted_url)


ROWS = (Row("sharepoint", opened, "graph_cloud"),)
