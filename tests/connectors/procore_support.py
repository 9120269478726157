"""A Procore connector against a simulated Procore, with a clock that is the simulator's and never really waits."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.procore.connector import ProcoreConnector
from connectors.procore.settings import ProcoreSettings
from connectors.shared.services import Services
from connectors.tokens import MemoryTokenStore, TokenStore
from migration.budget import CallBudget, UnlimitedBudget
from migration.contract import WalkPage
from migration.entries import Entry, PathParts
from simulator.server import Running


class SimulatorClock:
    """The simulator's time; waiting moves it. `skew_seconds`: how far this side's clock is ahead."""

    def __init__(self, served: Running, skew_seconds: float = 0.0) -> None:
        self._served = served
        self._skew = timedelta(seconds=skew_seconds)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._served.state.clock.now(), UTC) + self._skew

    def monotonic(self) -> float:
        return self._served.state.clock.now()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._served.advance(seconds)


def settings_for(served: Running, **changes: Any) -> ProcoreSettings:
    """The settings of the simulator's service account."""
    facts = served.facts
    values: dict[str, Any] = {
        "environment": "custom",
        "login_url": facts["login_url"],
        "api_url": facts["api_url"],
        "token_hosts": (facts["storage_url"].split("://")[1],),
        "company_id": facts["company_id"],
        "client_id": facts["client_id"],
        "client_secret": facts["client_secret"],
        "read_timeout_seconds": 5.0,
    }
    return ProcoreSettings(**(values | changes))


def personal_settings(served: Running, **changes: Any) -> ProcoreSettings:
    """The settings of a person who signs in."""
    facts = served.facts
    return settings_for(
        served,
        grant="authorization_code",
        client_id=facts["user_client_id"],
        client_secret=facts["user_client_secret"],
        **changes,
    )


@asynccontextmanager
async def connected(
    served: Running,
    *,
    settings: ProcoreSettings | None = None,
    tokens: TokenStore | None = None,
    budget: CallBudget | None = None,
    clock: SimulatorClock | None = None,
    **changes: Any,
) -> AsyncIterator[ProcoreConnector]:
    """An entered connector; `changes` are those of its settings."""
    connector = ProcoreConnector(
        settings or settings_for(served, **changes),
        Services(
            budget=budget or UnlimitedBudget(),
            tokens=tokens or MemoryTokenStore(),
            clock=clock or SimulatorClock(served),
        ),
    )
    async with connector:
        yield connector


async def walked(connector: ProcoreConnector, root: PathParts, resume_from: str | None = None) -> list[WalkPage]:
    """Every page of a walk."""
    return [page async for page in connector.walk(root, resume_from)]


def kept(pages: list[WalkPage]) -> list[Entry]:
    """The entries a caller keeps: those after the last restart."""
    start = max((number for number, page in enumerate(pages) if page.restarted), default=0)
    return [entry for page in pages[start:] for entry in page.entries]


async def read(connector: ProcoreConnector, entry: Entry, offset: int = 0, length: int | None = None) -> bytes:
    """A content, or a part of it."""
    async with connector.open(entry, offset, length) as chunks:
        return b"".join([chunk async for chunk in chunks])


def expected_rows(served: Running) -> dict[str, dict[str, Any]]:
    """The ground truth of what the service account should see of the sample project, by id; `path` is a tuple."""
    rows = [row for row in served.truth() if not row["deleted"] and (row["kind"] == "folder" or row["current"])]
    hidden = {tuple(row["path"]) for row in rows if row["private"]}
    return {
        str(row["id"]): row | {"path": tuple(row["path"])}
        for row in rows
        if not any(tuple(row["path"][:depth]) in hidden for depth in range(1, len(row["path"]) + 1))
    }


def paths(rows: dict[str, dict[str, Any]]) -> list[PathParts]:
    """The paths of ground truth, sorted; two files may share one."""
    return sorted(row["path"] for row in rows.values())


def listed_paths(pages: list[WalkPage]) -> list[PathParts]:
    """The paths a caller keeps, sorted."""
    return sorted(entry.path for entry in kept(pages))


def sha256(content: bytes) -> str:
    """Lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def calls(served: Running, host: str = "api") -> list[dict[str, Any]]:
    """The logged requests to one host."""
    return [request for request in served.log() if request["host"] == host]
