from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from connectors.procore.connector import ProcoreConnector
from migration.contract import Source
from simulator.server import Running
from tests.connectors.procore_place import ProcorePlace
from tests.connectors.procore_support import settings_for
from tests.contract.place import Place, Row
from tests.contract.rooted import rooted


class RootedProcorePlace(ProcorePlace):
    """The project as the root."""

    def connector(self, *, page_entries: int | None = None) -> Source:  # type: ignore[override]
        return rooted(super().connector(page_entries=page_entries), self.root)

    def wrong_password(self) -> Source:
        settings = settings_for(self.served, client_secret="wrong")
        return rooted(ProcoreConnector(settings, self._services()), self.root)

    def unreachable(self) -> Source:  # type: ignore[override]
        return rooted(super().unreachable(), self.root)


@asynccontextmanager
async def opened(served: Running, folder: Path) -> AsyncIterator[Place]:
    yield RootedProcorePlace(served)


ROWS = (Row("procore", opened, "procore_server"),)
