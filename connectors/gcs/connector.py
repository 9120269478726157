"""A bucket of Google Cloud Storage as source and destination, over the JSON API.

* A small file is one request that carries content, metadata, MD5 and condition; a larger one a resumable session whose
  last part publishes. Either way the service itself refuses to overwrite what the plan did not see (generations), and
  to store what is not what was sent (MD5).
* The time a file was modified is kept in metadata, as rclone and Google's own tools do; listings tell it.
* Versions are told apart by generation. Reading is of one generation.
* What a killed process leaves behind is a session that shows nowhere and ends after a week by itself.

An object `a` and objects `a/…` may be there together; the connector makes no such pair where it has seen the first half
of it, and does not ask before each file whether somebody else made one.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from connectors.gcs.service import GcsService
from connectors.gcs.settings import GcsSettings
from connectors.gcs.signing import signer_of
from connectors.gcs.upload import GcsUpload
from connectors.shared.objects import Keys
from connectors.shared.objects_tree import ObjectTree
from connectors.shared.services import Services
from connectors.shared.transport import Http
from connectors.shared.tree import Incoming
from connectors.shared.trust import trusting
from migration.capabilities import Capabilities, Operation
from migration.contract import Finding
from migration.entries import Entry
from migration.errors import ContractViolation, ItemError
from migration.platforms import platform

SYSTEM = "gcs"
_CONTROLS = frozenset(chr(code) for code in (*range(32), 127))
"""Google discourages them: https://cloud.google.com/storage/docs/objects#naming"""


WRITING = ("storage.objects.create", "storage.objects.delete")
"""The permissions that a destination needs besides those to read."""


class GcsConnector(ObjectTree):
    """Implements Source, Destination, Movable and Trash of migration/contract.py."""

    SYSTEM = SYSTEM

    def __init__(self, settings: GcsSettings, services: Services, *, page_entries: int | None = None) -> None:
        super().__init__(
            display_name=settings.display_name,
            capabilities=_capabilities(settings),
            keys=Keys(SYSTEM, settings.key_prefix, keeps_times=True),
            clock=services.clock,
            page_entries=page_entries,
        )
        self._settings = settings
        self._services = services
        self._http: Http | None = None
        self._service: GcsService | None = None
        self._who = ""
        self._settle: Callable[[], Awaitable[None]] | None = None

    @property
    def service(self) -> GcsService:
        if self._service is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._service

    async def connect(self) -> None:
        self._http = Http(self._settings.timeouts, tls=trusting(self._settings.ca_file))
        signer, self._who, self._settle = await signer_of(self._settings, self._http, self._services)
        self._service = GcsService(self._settings, self._http, self.clock, signer)

    async def disconnect(self) -> None:
        http, self._http, self._service = self._http, None, None
        settle, self._settle = self._settle, None
        self.folders.forget(())
        try:
            if settle is not None:
                await settle()
        finally:
            if http is not None:
                await http.aclose()

    def upload(self, file: Incoming) -> GcsUpload:
        return GcsUpload(self, file)

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        await self.look(())
        missing = () if self._settings.read_only else _about_writing(await self.service.missing(WRITING))
        told = await self.service.about_bucket()
        about = () if told is None else (*self._about_versions(told), *_about_rules(told))
        return self._who, (*missing, *about)

    def _about_versions(self, told: Mapping[str, Any]) -> tuple[Finding, ...]:
        keeps = bool((told.get("versioning") or {}).get("enabled"))
        if keeps == self._settings.versioned:
            return ()
        if keeps:
            return (
                Finding("info", "versions-kept",
                        "The bucket keeps versions; the connection does not list earlier ones.",
                        "Connect again with --versioned to see them."),
            )  # fmt: skip
        return (
            Finding("warning", "no-versions", "The bucket keeps no versions, but the connection says it does.",
                    "Turn on object versioning for the bucket, or connect again with --no-versioned."),
        )  # fmt: skip


class VersionedGcsConnector(GcsConnector):
    """Besides implements Versioned, for a bucket that keeps versions."""

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        """As `Versioned.versions`."""
        path = self.keys.path_of(entry.ref)
        found = await self.service.versions_of(self.keys.key(path))
        current = await self.look_for_file(path)
        if current is None or not found:
            raise ItemError("not-found", f"{self.shown(path)} is not there.")
        return tuple(
            replace(self.keys.file(path, one), version_number=number, version_count=len(found))
            for number, one in enumerate(found, start=1)
        )


def connector_of(settings: GcsSettings, services: Services, **more: Any) -> GcsConnector:
    """The connector for a bucket that keeps versions, or for one that does not."""
    return (VersionedGcsConnector if settings.versioned else GcsConnector)(settings, services, **more)


def _about_writing(missing: tuple[str, ...]) -> tuple[Finding, ...]:
    if not missing:
        return ()
    return (
        Finding("warning", "not-writable",
                f"The service account can read here, but not write all: it has not {' and '.join(missing)}.",
                "Give it the role Storage Object User on the bucket, or connect a mere source with --read-only."),
    )  # fmt: skip


def _about_rules(told: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What of the bucket's set-up stands in the way of some work."""
    findings = []
    if told.get("retentionPolicy"):
        findings.append(
            Finding("warning", "retention",
                    "A retention policy keeps every file of the bucket, so none can be replaced, moved or deleted.",
                    "Use the bucket for new files only.")
        )  # fmt: skip
    if (told.get("hierarchicalNamespace") or {}).get("enabled"):
        findings.append(
            Finding("warning", "hierarchical",
                    "The bucket has a hierarchical namespace, whose own empty folders are not listed.",
                    "Use a bucket with a flat namespace where empty folders matter.")
        )  # fmt: skip
    return tuple(findings)


def _capabilities(settings: GcsSettings) -> Capabilities:
    limits = platform("google_cloud_storage")
    operations = {Operation.RANGE_READS, Operation.MOVE, Operation.DELETE_TO_TRASH}
    return Capabilities(
        names=replace(limits.names, forbidden_characters=limits.names.forbidden_characters | _CONTROLS),
        file_size_max_bytes=limits.file_size_max_bytes,
        checksum_types=frozenset({"md5", "crc32c"}),
        time_precision_seconds=1e-6,
        atomic_publish=True,
        keeps_times=True,
        keeps_versions=settings.versioned,
        operations=frozenset(operations | ({Operation.VERSIONS} if settings.versioned else set())),
    )
