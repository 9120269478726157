"""A container of Azure Blob Storage as source and destination.

* A small file is one conditional Put Blob; a larger one is sent in blocks, which one conditional list turns into the
  blob. Either way the service itself refuses to overwrite what the plan did not see.
* The time a file was modified is kept in the metadata `mtime`, as rclone does; listings tell metadata.
* Versions are told apart by ETag, which Azure changes with every write.
* Folders are empty blobs with the metadata `hdi_isfolder`, as Azure's own tools write them, besides what prefixes say.
* Blocks that a process left behind when it died, or could not use, are invisible and removed by Azure after a week.
"""

from connectors.azure.service import AzureService
from connectors.azure.settings import AzureSettings
from connectors.shared.objects import Keys
from connectors.shared.objects_tree import ObjectTree
from connectors.shared.services import Services
from connectors.shared.transport import Http
from connectors.shared.trust import trusting
from migration.capabilities import Capabilities, Operation
from migration.contract import Finding
from migration.errors import ContractViolation
from migration.platforms import platform

SYSTEM = "azure"
_BLOCKS = (
    "What a file in parts leaves behind when it fails is invisible and removed by Azure itself after a week; Azure has "
    "no call that removes it sooner."
)


class AzureConnector(ObjectTree):
    """Implements Source, Destination, Movable and Trash of migration/contract.py."""

    SYSTEM = SYSTEM

    def __init__(self, settings: AzureSettings, services: Services, *, page_entries: int | None = None) -> None:
        super().__init__(
            display_name=settings.display_name,
            capabilities=_capabilities(),
            keys=Keys(SYSTEM, settings.key_prefix, keeps_times=True),
            clock=services.clock,
            page_entries=page_entries,
        )
        self._settings = settings
        self._services = services
        self._http: Http | None = None
        self._service: AzureService | None = None

    @property
    def service(self) -> AzureService:
        if self._service is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._service

    async def connect(self) -> None:
        self._http = Http(self._settings.timeouts, tls=trusting(self._settings.ca_file))
        self._service = AzureService(self._settings, self._http, self._services)

    async def disconnect(self) -> None:
        http, self._http, self._service = self._http, None, None
        self.folders.forget(())
        if http is not None:
            await http.aclose()

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        await self.look(())
        return self._who(), (Finding("info", "blocks", _BLOCKS),)

    def _who(self) -> str:
        if self._settings.client_id is not None:
            return f"app {self._settings.client_id}"
        by = "its key" if self._settings.account_key is not None else "a shared access signature"
        return f"account {self._settings.account} by {by}"


def _capabilities() -> Capabilities:
    limits = platform("azure_blob")
    return Capabilities(
        names=limits.names,
        file_size_max_bytes=limits.file_size_max_bytes,
        time_precision_seconds=1e-6,
        atomic_publish=True,
        keeps_times=True,
        operations=frozenset({Operation.RANGE_READS, Operation.MOVE, Operation.DELETE_TO_TRASH}),
    )
