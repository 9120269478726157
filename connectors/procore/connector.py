"""Procore's Documents tool as a source and a destination."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Self

from connectors.procore.api import ApiClient
from connectors.procore.download import Downloads
from connectors.procore.examination import examine
from connectors.procore.folders import Folders
from connectors.procore.hosts import TrustedHosts
from connectors.procore.oauth import Authority
from connectors.procore.projects import company_projects
from connectors.procore.rates import Meter
from connectors.procore.rearranging import Rearranger, deletion
from connectors.procore.records import SYSTEM
from connectors.procore.refusals import Refusals
from connectors.procore.settings import ProcoreSettings
from connectors.procore.uploads import Uploads
from connectors.procore.walk import Walk
from connectors.procore.writing import Writer
from connectors.shared.paths import check_key
from connectors.shared.services import Services
from connectors.shared.transport import Http
from connectors.tokens import TokenStore
from migration.capabilities import Capabilities, NameRules, Operation
from migration.clock import Clock
from migration.contract import ConnectionReport, FoundChild, Precondition, Stored, WalkPage
from migration.entries import Entry, PathParts, Ref
from migration.errors import ContractViolation
from migration.platforms import name_rules

FILE_BYTES_MAX = 5 * 1024**4
"""Procore documents no maximum; this is that of the object store behind it.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""


class ProcoreConnector:
    """Access to one Procore company. A path is the project (its name, number or id), then folders in it.

    Ids are the documents' own, version ids those of their versions. `modified_at` and `created_by` are the current
    version's; Procore has no checksums and no time of last change of a content, and sets the time of what is written
    itself.

    Nothing staged is ever visible or left to be swept: Procore deletes an upload that is not used within a week. What
    is published when a process dies is one call old or not there. A cancellation that comes while a file is being
    published is raised after it was: either nothing is visible, or `put` returns.
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
            cleans_names=True,
            atomic_publish=True,
            file_size_max_bytes=FILE_BYTES_MAX,
            operations=frozenset(
                {Operation.RANGE_READS, Operation.VERSIONS, Operation.MOVE, Operation.DELETE_TO_TRASH}
            ),
            calls_per_page=1,
            entries_per_page=settings.page_size,
            calls_per_upload=2,
            calls_per_folder=1,
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
        self._parts = _Parts(
            self._settings, self._meter, self._trusted, self._tokens, self._clock, self._capabilities.names
        )
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

    async def projects(self) -> tuple[FoundChild, ...]:
        """As `Company.projects`; one call per 300. A project whose documents are off, or in which this connection has
        no rights, is listed as any other."""
        return await company_projects(self._entered.api, self._settings.company_id)

    async def inside(self, path: PathParts) -> tuple[Entry, ...]:
        """As `Browsable.inside`: one call per 5,000 folders of the project and one for the folder."""
        return await self._entered.folders.inside(path)

    async def stat(self, path: PathParts) -> Entry | None:
        """As `Destination.stat`, as of at most five seconds ago, what this connector wrote meanwhile included: one call
        answers all that is asked about a folder by then. ConfigurationError for a project that is not there."""
        return await self._entered.folders.look(path)

    async def make_folder(self, path: PathParts) -> Ref:
        """As `Destination.make_folder`; one call for each folder that is not there. Where the server keeps another
        name, the folder is found under the name given here, too."""
        folder = await self._entered.folders.make(path)
        return Ref(SYSTEM, folder.id)

    async def put(
        self,
        path: PathParts,
        chunks: AsyncIterator[bytes],
        *,
        size_bytes: int | None,
        modified_at: datetime | None,  # noqa: ARG002 - Procore sets its own
        precondition: Precondition,
        staging_key: str,
        before_publish: Callable[[], Awaitable[None]],
    ) -> Stored:
        """As `Destination.put`: two calls for a new file, three for one above 32 MiB or for a new version. `name` is
        what Procore made of the name. Further errors: ItemError `locked`, `name-taken`, `permission-denied`; FatalError
        `read-only`; RetryableError `publish-unknown`, after which the file may be there, whole."""
        check_key(staging_key)  # nothing is named by it: Procore names its uploads itself
        return await self._entered.writer.put(path, chunks, size_bytes, precondition, before_publish)

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """As connectors/procore/rearranging.py."""
        return await self._entered.rearranger.move(entry, to)

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:  # noqa: ARG002
        """As connectors/procore/rearranging.py."""
        return await self._entered.rearranger.delete_to_trash(entry)

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:  # noqa: ARG002
        """As `Trash.find_deleted`; nothing tells from which folder something was deleted but its path."""
        folder = await self.stat(path[:-1])
        return None if folder is None else deletion(folder, entry, path[-1])

    async def restore(self, token: str) -> PathParts:
        """As connectors/procore/rearranging.py."""
        return await self._entered.rearranger.restore(token)

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        """As connectors/procore/rearranging.py."""
        return await self._entered.rearranger.versions(entry)

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
        self,
        settings: ProcoreSettings,
        meter: Meter,
        trusted: TrustedHosts,
        tokens: TokenStore,
        clock: Clock,
        names: NameRules,
    ) -> None:
        self._http = Http(settings.timeouts)
        self._authority = Authority(self._http, settings, tokens, clock)
        self.api = ApiClient(self._http, settings, self._authority, meter, clock)
        self.downloads = Downloads(self._http, self.api, self._authority, meter, trusted)
        refusals = Refusals(self.api, clock, settings.company_id)
        self.folders = Folders(self.api, settings, clock, names, refusals)
        uploads = Uploads(self._http, self.api, clock)
        self.writer = Writer(self.api, uploads, self.folders, self.downloads, refusals, names, clock)
        self.rearranger = Rearranger(self.api, self.folders, refusals, clock)

    async def close(self) -> None:
        """End what is under way and close the connections."""
        await self._authority.settle()
        await self._http.aclose()
