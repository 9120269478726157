"""A tiny Procore whose every entry the test put there, and a client that checks each exchange by the description."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator import oauth
from simulator.api import handle
from simulator.clock import SimulatedClock
from simulator.limits import RateLimits
from simulator.settings import Settings
from simulator.store import Store
from simulator.web import Call
from tests.conformance import oas

COMPANY, PROJECT, ROOT, BIN, SCHEDULES = 4_000_000_077, 5_000_000_001, 6_000_000_001, 6_000_000_002, 6_000_000_003
SERVICE, ANNA, BOB = 101, 102, 103
OLD = "2024-03-01T08:00:00Z"
DOCUMENTS = f"/rest/v1.0/projects/{PROJECT}/documents"
EXTENDED = {"view": "extended", "per_page": "1000", "sort": "document_type_then_name"}


@dataclass
class Api:
    store: Store
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    settings: Settings = field(default_factory=lambda: Settings(spike_calls=10_000, hourly_calls=10_000))
    urls: dict[str, str] = field(
        default_factory=lambda: {"api": oas.HOST, "storage": "http://storage.test", "blob": "http://blob.test"}
    )
    company_id: int = COMPANY
    limits: RateLimits = field(init=False)
    tokens: dict[int, str] = field(default_factory=dict)
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.limits = RateLimits(self.clock)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url=oas.HOST)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        answer = await handle(self, Call.of(scope, receive))
        assert isinstance(answer.body, bytes)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    def switch(self, **values: Any) -> None:
        self.settings = self.settings.changed(values)

    async def call(
        self, method: str, path: str, *, user: int = SERVICE, checked: bool = True,
        headers: dict[str, str] | None = None, **how: Any,
    ) -> httpx.Response:  # fmt: skip
        sent = {
            "authorization": f"Bearer {self.tokens[user]}",
            "procore-company-id": str(COMPANY),
            **(headers or {}),
        }
        sent = {name: value for name, value in sent.items() if value}
        request = self.client.build_request(method, path, headers=sent, **how)
        if checked:
            oas.check_request(request)
        response = await self.client.send(request)
        await response.aread()
        assert response.headers["x-request-id"]
        assert int(response.headers["x-rate-limit-remaining"]) < int(response.headers["x-rate-limit-limit"]) + 1
        if checked:
            oas.check_response(response)
        return response

    async def get(self, path: str, status: int = 200, **how: Any) -> Any:
        response = await self.call("GET", path, **how)
        assert response.status_code == status, response.text
        return response.json()

    async def index(self, user: int = SERVICE, **params: Any) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = await self.get(DOCUMENTS, params={**EXTENDED, **params}, user=user)
        return entries

    async def names(self, user: int = SERVICE, **params: Any) -> list[str]:
        return [entry["name"] for entry in await self.index(user, **params)]

    def folder(self, name: str, parent: int = ROOT, **values: Any) -> int:
        return self._document("folder", name, parent, **values)

    def file(self, name: str, parent: int = ROOT, *, sizes: tuple[int, ...] = (12,), **values: Any) -> int:
        file_id = self._document("file", name, parent, **values)
        for number, size_bytes in enumerate(sizes, 1):
            version_id = self.store.next_id("versions")
            self.store.insert(
                "versions", id=version_id, file_id=file_id, number=number, size_bytes=size_bytes, created_at=OLD,
                created_by=ANNA, notes=None, body_key=f"{file_id}/{number}", filename=name,
            )  # fmt: skip
        self.store.execute("UPDATE documents SET version_id = ? WHERE id = ?", version_id, file_id)
        return file_id

    def _document(self, kind: str, name: str, parent: int, **values: Any) -> int:
        document_id = self.store.next_id("documents")
        row: dict[str, Any] = {
            "id": document_id, "project_id": PROJECT, "kind": kind, "parent_id": parent, "name": name,
            "folded": name.casefold(), "created_at": OLD, "created_by": ANNA, "updated_at": OLD, **values,
        }  # fmt: skip
        self.store.insert("documents", **row)
        return document_id

    def level(self, user: int, level: int, *, private_access: bool = False) -> None:
        self.store.insert(
            "permissions", user_id=user, project_id=PROJECT, level=level, private_access=int(private_access)
        )

    def sign_in(self, user: int, client_id: str, *, service_account: bool) -> None:
        self.store.insert("clients", client_id=client_id, secret="s", user_id=user)
        tokens = oauth._issue(self, client_id, user, refreshable=not service_account)
        self.tokens[user] = tokens["access_token"]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    place = Api(Store(tmp_path))
    for user, name in ((SERVICE, "Migration Service"), (ANNA, "Anna Ångström"), (BOB, "Bob Builder")):
        place.store.insert("users", id=user, login=f"user{user}@example.com", name=name, company_name="Acme")
        place.level(user, 3)
    place.sign_in(SERVICE, "service-client", service_account=True)
    place.sign_in(ANNA, "anna-client", service_account=False)
    place.sign_in(BOB, "bob-client", service_account=False)
    place.store.insert(
        "projects", id=PROJECT, company_id=COMPANY, name="Harbor / Tower", active=1, documents_on=1, root_id=ROOT,
        bin_id=BIN, created_at=OLD, updated_at=OLD,
    )  # fmt: skip
    place.store.insert(
        "documents", id=ROOT, project_id=PROJECT, kind="folder", parent_id=None, name="Harbor / Tower",
        folded="harbor / tower", created_at=OLD, created_by=ANNA, updated_at=OLD,
    )  # fmt: skip
    for folder_id, name, flags in (
        (BIN, "Recycle Bin", {"recycle_bin": 1}),
        (SCHEDULES, "Schedules", {"read_only": 1}),
    ):
        place.store.insert(
            "documents", id=folder_id, project_id=PROJECT, kind="folder", parent_id=ROOT, name=name,
            folded=name.casefold(), created_at=OLD, created_by=ANNA, updated_at=OLD, **flags,
        )  # fmt: skip
    yield place
    await place.client.aclose()
    place.store.close()
