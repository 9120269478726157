"""Procore's Documents tool as a source."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Self

from connectors.procore.api import ApiClient
from connectors.procore.download import Downloads
from connectors.procore.examination import examine
from connectors.procore.hosts import TrustedHosts
from connectors.procore.oauth import Authority
from connectors.procore.rates import Meter
from connectors.procore.records import SYSTEM
from connectors.procore.settings import ProcoreSettings
from connectors.procore.walk import Walk
from connectors.shared.services import Services
from connectors.shared.transport import Http
from connectors.tokens import TokenStore
from migration.capabilities import Capabilities, Operation
from migration.clock import Clock
from migration.contract import ConnectionReport, WalkPage
from migration.entries import Entry, PathParts
from migration.errors import ContractViolation
from migration.platforms import name_rules


class ProcoreConnector:
    """Access to one Procore company. `walk` lists a project: `root` is the project, then folders in it.

    Ids are the documents' own, version ids those of their versions. `modified_at` and `created_by` are the current
    version's; Procore has no checksums and no time of last change of a content.
    """

    def __init__(self, settings: ProcoreSettings, services: Services) -> None:
        self._settings = settings
        self._tokens = services.tokens
        self._clock = services.clock
        self._meter = Meter(services.budget, services.clock)
        self._trusted = TrustedHosts(settings)
        self._capabilities = Capabilities(
            names=name_rules("procore"),
            time_precision_seconds=1.0,
            stable_ids=True,
            keeps_versions=True,
            operations=frozenset({Operation.RANGE_READS}),
            calls_per_page=1,
            entries_per_page=settings.page_size,
        )
        self._parts: _Parts | None = None

    @property
    def system(self) -> str:
        return SYSTEM

    @property
    def display_name(self) -> str:
        return self._settings.display_name

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def __aenter__(self) -> Self:
        self._parts = _Parts(self._settings, self._meter, self._trusted, self._tokens, self._clock)
        return self

    async def __aexit__(self, *exc: object) -> None:
        parts, self._parts = self._parts, None
        if parts is not None:
            await parts.close()

    def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        """As `Source.walk`. Raises ConfigurationError for a project or folder that is not there or not to be seen."""
        return self._walk(root, all_versions=False).pages(resume_from)

    def walk_versions(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        """The same with an entry for every version of every file, oldest first; one call per folder."""
        return self._walk(root, all_versions=True).pages(resume_from)

    def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """As `Source.open`. A link that has died costs one call, once per file."""
        return self._entered.downloads.open(entry, offset, length)

    async def test(self) -> ConnectionReport:
        parts = self._entered
        return await examine(parts.api, self._meter, self._settings, self._clock)

    def _walk(self, root: PathParts, *, all_versions: bool) -> Walk:
        return Walk(self._entered.api, self._settings, self._clock, root, all_versions=all_versions)

    @property
    def _entered(self) -> "_Parts":
        if self._parts is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._parts


class _Parts:
    """What lives as long as the connector is entered."""

    def __init__(
        self, settings: ProcoreSettings, meter: Meter, trusted: TrustedHosts, tokens: TokenStore, clock: Clock
    ) -> None:
        self._http = Http(settings.timeouts)
        self._authority = Authority(self._http, settings, tokens, clock)
        self.api = ApiClient(self._http, settings, self._authority, meter, clock)
        self.downloads = Downloads(self._http, self.api, self._authority, meter, trusted)

    async def close(self) -> None:
        """End what is under way and close the connections."""
        await self._authority.settle()
        await self._http.aclose()
