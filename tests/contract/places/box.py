import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.box.connector import BoxConnector
from connectors.box.settings import BoxSettings
from connectors.shared.services import Services
from migration.entries import PathParts
from simulator.clouds import box
from simulator.clouds.base import Cloud
from tests.contract.place import MODIFIED, Place, Row
from tests.servers.programs import free_ports
from tests.servers.untrusted import untrusted_address

MIB = 1024 * 1024


class BoxPlace(Place):
    """A folder of its own in a stand-in for Box."""

    repetitions = 0.12

    def __init__(self, cloud: Cloud, untrusted: str, *, in_parts: bool) -> None:
        self.cloud = cloud
        self.untrusted_url = untrusted
        self.in_parts = in_parts
        self.name = uuid4().hex[:12]
        self.kept = ExitStack()
        cloud.settings(read_only=False)
        cloud.faults([])
        cloud.clear_log()
        cloud.plant_folder((self.name,))
        self.open_before = cloud.unfinished()

    def settings(self, **changes: Any) -> BoxSettings:
        known = self.cloud.credentials
        values: dict[str, Any] = {
            "client_id": known["client_id"],
            "client_secret": known["client_secret"],
            "enterprise_id": known["enterprise_id"],
            "folder": self.name,
            "api_url": self.cloud.urls["api"],
            "upload_url": self.cloud.urls["upload"],
            "sign_in_url": self.cloud.urls["account"],
        }
        return BoxSettings(**{**values, **changes})

    def connector(self, *, page_entries: int | None = None, **changes: Any) -> BoxConnector:
        session_bytes_min = {"session_bytes_min": 2 * MIB} if self.in_parts else {}
        return BoxConnector(self.settings(**changes), Services(), page_entries=page_entries, **session_bytes_min)

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
        open_now = self.cloud.unfinished() - self.open_before - self._nameless()
        return files | {("session", f"{number}") for number in range(open_now)}

    def _nameless(self) -> int:
        """Sessions whose id nobody was told, as the answer was lost; Box lists no sessions and lets them expire."""
        return sum(
            line["fault"] == "lost-response" and line["method"] == "POST" and line["path"].endswith("upload_sessions")
            for line in self.cloud.log()
        )

    def wrong_password(self) -> BoxConnector:
        return self.connector(client_secret="wrong")

    def missing_root(self) -> BoxConnector:
        return self.connector(folder=f"{self.name}/nowhere")

    def unreachable(self) -> BoxConnector:
        return self.connector(api_url=f"http://127.0.0.1:{free_ports(1)[0]}")

    def untrusted(self) -> BoxConnector:
        return self.connector(api_url=self.untrusted_url)

    def read_only(self) -> BoxConnector:
        self.cloud.settings(read_only=True)
        return self.connector()

    def full(self) -> BoxConnector:
        small = self.kept.enter_context(box.running(quota_bytes=30 * MIB, session_bytes_min=1024))
        small.plant_folder((self.name,))
        known = {name: small.credentials[name] for name in ("client_id", "client_secret", "enterprise_id")}
        urls = {f"{host}_url": small.urls[host] for host in ("api", "upload")}
        return self.connector(**known, **urls)

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
            self.open_before += self._nameless()
            self.cloud.clear_log()
        return True

    async def hits(self) -> int:
        return sum(line["fault"] is not None for line in self.cloud.log())


def key_file(cloud: Cloud, folder: Path) -> Path:
    """What the developer console would give an administrator."""
    known = cloud.credentials
    key = {
        "publicKeyID": known["jwt_key_id"],
        "privateKey": known["private_key"],
        "passphrase": known["private_key_passphrase"],
    }
    app = {"clientID": known["client_id"], "clientSecret": known["client_secret"], "appAuth": key}
    file = folder / "key.json"
    file.write_text(json.dumps({"boxAppSettings": app, "enterpriseID": known["enterprise_id"]}), "utf-8")
    return file


@asynccontextmanager
async def opened(cloud: Cloud, folder: Path, *, in_parts: bool) -> AsyncIterator[BoxPlace]:
    async with untrusted_address(folder) as untrusted:
        place = BoxPlace(cloud, untrusted, in_parts=in_parts)
        with place.kept:
            yield place


ROWS = (
    Row("box", partial(opened, in_parts=False), "box_cloud"),
    Row("box-parts", partial(opened, in_parts=True), "box_cloud"),
)
