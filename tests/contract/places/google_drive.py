import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.google_drive.connector import GoogleDriveConnector
from connectors.google_drive.settings import GoogleDriveSettings
from connectors.shared.services import Services
from migration.entries import PathParts
from simulator.clouds import drive
from simulator.clouds.drive import DriveCloud
from tests.contract.place import MODIFIED, Place, Row
from tests.servers.programs import free_ports
from tests.servers.untrusted import untrusted_address

MIB = 1024 * 1024


def settings_of(cloud: DriveCloud, folder: str, **changes: Any) -> GoogleDriveSettings:
    given = cloud.credentials
    values = {
        "client_id": given["client_id"],
        "client_secret": given["client_secret"],
        "refresh_token": given["refresh_token"],
        "folder": folder,
        "api_url": cloud.urls["api"],
        "upload_url": cloud.urls["upload"],
        "token_url": cloud.urls["token"],
    }
    return GoogleDriveSettings(**{**values, **changes})


class GoogleDrivePlace(Place):
    """A folder of its own in a person's My Drive."""

    repetitions = 0.12

    def __init__(self, cloud: DriveCloud, kept: ExitStack, untrusted_url: str) -> None:
        self.cloud = cloud
        self.name = uuid4().hex[:12]
        self.untrusted_url = untrusted_url
        self._kept = kept
        self._unknown_sessions = cloud.unfinished()
        cloud.plant_folder((self.name,))

    def settings(self, **changes: Any) -> GoogleDriveSettings:
        return settings_of(self.cloud, self.name, **changes)

    def connector(self, *, page_entries: int | None = None) -> GoogleDriveConnector:
        return GoogleDriveConnector(self.settings(), Services(), page_entries=page_entries)

    async def plant(self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED) -> None:
        self.cloud.plant((self.name, *path), content, modified_at)
        # What is made next is younger by Google's clock, which knows milliseconds: the older one of a name stays.
        await asyncio.sleep(0.002)

    async def plant_folder(self, path: PathParts) -> None:
        self.cloud.plant_folder((self.name, *path))

    async def remove(self, path: PathParts) -> None:
        self.cloud.remove((self.name, *path))

    async def content(self, path: PathParts) -> bytes | None:
        return self.cloud.content((self.name, *path))

    async def everything(self) -> set[PathParts]:
        found = {path[1:] for path in self.cloud.everything() if path[0] == self.name}
        sessions = self.cloud.unfinished() - self._unknown_sessions
        return found | {("session", str(number)) for number in range(sessions)}

    def wrong_password(self) -> GoogleDriveConnector:
        return GoogleDriveConnector(self.settings(client_secret="wrong"), Services())

    def missing_root(self) -> GoogleDriveConnector:
        return GoogleDriveConnector(settings_of(self.cloud, f"{self.name}/nowhere"), Services())

    def unreachable(self) -> GoogleDriveConnector:
        url = f"http://127.0.0.1:{free_ports(1)[0]}"
        return GoogleDriveConnector(self.settings(api_url=url, upload_url=url, token_url=url), Services())

    def untrusted(self) -> GoogleDriveConnector:
        url = self.untrusted_url
        return GoogleDriveConnector(self.settings(api_url=url, upload_url=url, token_url=url), Services())

    def read_only(self) -> GoogleDriveConnector:
        self.cloud.settings(read_only=True)
        self._kept.callback(self.cloud.settings, read_only=False)
        return self.connector()

    def full(self) -> GoogleDriveConnector:
        small = self._kept.enter_context(drive.running(quota_bytes=8 * MIB))
        return GoogleDriveConnector(settings_of(small, ""), Services())

    async def expire(self) -> bool:
        self.cloud.expire_tokens()
        return True

    async def throttle(self, requests: int, seconds: float) -> bool:
        self.cloud.clear_log()
        self.cloud.faults([{"route": "/drive/v3", "fault": "429", "retry_after": seconds, "count": requests}])
        return True

    async def lose(self, nth: int, *, answered: bool) -> bool:
        self.cloud.clear_log()
        fault = "lost-response" if answered else "reset"
        self.cloud.faults([{"route": "/drive/v3", "fault": fault, "nth": nth}] if nth else [])
        if not nth and answered:
            # Of a session whose address was in the lost answer nobody knows; it ends by itself.
            self._unknown_sessions = self.cloud.unfinished()
        return True

    async def hits(self) -> int:
        return sum(1 for request in self.cloud.log() if request["fault"])


@asynccontextmanager
async def opened(cloud: DriveCloud, folder: Path) -> AsyncIterator[GoogleDrivePlace]:
    async with untrusted_address(folder) as untrusted_url:
        with ExitStack() as kept:
            kept.callback(cloud.faults, [])
            yield GoogleDrivePlace(cloud, kept, untrusted_url)


ROWS = (Row("google-drive", opened, "drive_cloud"),)
