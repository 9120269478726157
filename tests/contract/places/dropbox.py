from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.dropbox.connector import DropboxConnector
from connectors.dropbox.settings import DropboxSettings
from connectors.shared.services import Services
from migration.entries import PathParts
from simulator.clouds import dropbox
from simulator.clouds.dropbox import DropboxCloud
from tests.contract.place import MODIFIED, Place, Row
from tests.servers.programs import free_ports
from tests.servers.untrusted import untrusted_address

TRASH = ".sitehaul-trash"
MIB = 1024 * 1024


def settings_of(cloud: DropboxCloud, folder: str, **changes: Any) -> DropboxSettings:
    given = cloud.credentials
    values = {
        "app_key": given["app_key"],
        "app_secret": given["app_secret"],
        "refresh_token": given["refresh_token"],
        "folder": folder,
        "api_url": cloud.urls["api"],
        "content_url": cloud.urls["content"],
        "www_url": cloud.urls["www"],
    }
    return DropboxSettings(**{**values, **changes})


class DropboxPlace(Place):
    """A folder of its own in a Dropbox."""

    repetitions = 0.15

    def __init__(self, cloud: DropboxCloud, kept: ExitStack, untrusted_url: str) -> None:
        self.cloud = cloud
        self.name = uuid4().hex[:12]
        self.untrusted_url = untrusted_url
        self._kept = kept
        cloud.plant_folder((self.name,))

    def connector(self, *, page_entries: int | None = None) -> DropboxConnector:
        return DropboxConnector(settings_of(self.cloud, self.name), Services(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        self.cloud.plant((self.name, *path), content, modified_at.replace(microsecond=0))

    async def plant_folder(self, path: PathParts) -> None:
        self.cloud.plant_folder((self.name, *path))

    async def remove(self, path: PathParts) -> None:
        self.cloud.remove((self.name, *path))

    async def content(self, path: PathParts) -> bytes | None:
        return self.cloud.content((self.name, *path))

    async def everything(self) -> set[PathParts]:
        found = {path[1:] for path in self.cloud.everything() if path[0] == self.name}
        return {path for path in found if path[0] != TRASH}

    def wrong_password(self) -> DropboxConnector:
        return DropboxConnector(settings_of(self.cloud, self.name, app_secret="wrong"), Services())

    def missing_root(self) -> DropboxConnector:
        return DropboxConnector(settings_of(self.cloud, f"{self.name}/nowhere"), Services())

    def unreachable(self) -> DropboxConnector:
        url = f"http://127.0.0.1:{free_ports(1)[0]}"
        return DropboxConnector(settings_of(self.cloud, self.name, api_url=url, content_url=url), Services())

    def untrusted(self) -> DropboxConnector:
        url = self.untrusted_url
        return DropboxConnector(settings_of(self.cloud, self.name, api_url=url, content_url=url), Services())

    def read_only(self) -> DropboxConnector:
        self.cloud.settings(read_only=True)
        self._kept.callback(self.cloud.settings, read_only=False)
        return self.connector()

    def full(self) -> DropboxConnector:
        small = self._kept.enter_context(dropbox.running(quota_bytes=8 * MIB))
        return DropboxConnector(settings_of(small, ""), Services())

    async def expire(self) -> bool:
        self.cloud.expire_tokens()
        return True

    async def throttle(self, requests: int, seconds: float) -> bool:
        self.cloud.clear_log()
        self.cloud.faults([{"route": "/2/", "fault": "429", "retry_after": seconds, "count": requests}])
        return True

    async def lose(self, nth: int, *, answered: bool) -> bool:
        self.cloud.clear_log()
        fault = "lost-response" if answered else "reset"
        self.cloud.faults([{"route": "/2/", "fault": fault, "nth": nth}] if nth else [])
        return True

    async def hits(self) -> int:
        return sum(1 for request in self.cloud.log() if request["fault"])


@asynccontextmanager
async def opened(cloud: DropboxCloud, folder: Path) -> AsyncIterator[DropboxPlace]:
    async with untrusted_address(folder) as untrusted_url:
        with ExitStack() as kept:
            kept.callback(cloud.faults, [])
            yield DropboxPlace(cloud, kept, untrusted_url)


ROWS = (Row("dropbox", opened, "dropbox_cloud"),)
