"""A bucket of Amazon S3, or of anything that speaks like it, as source and destination.

* A small file is one conditional PUT; a larger one is an upload in parts whose completion is conditional. Either way
  the service itself refuses to overwrite what the plan did not see. Services without conditions
  (`conditional_writes` off) are looked at right before, so a change within that instant would be overwritten.
* The time a file was modified is kept in the metadata `mtime`, as rclone does. S3 tells metadata one object at a time.
* Versions are told apart by ETag; earlier versions, where the bucket keeps them, by their id besides.
* Uploads in parts that a process left behind when it died are found by `sweep_staged`, or end by a lifecycle rule of
  the bucket.

An object `a` and objects `a/…` may be there together in S3; the connector makes no such pair where it has seen the
first half of it, and does not ask before each file whether somebody else made one.
"""

import base64
import binascii
from dataclasses import replace
from typing import Any

from connectors.s3.answers import Version
from connectors.s3.service import VERSION_SEPARATOR, S3Service
from connectors.s3.settings import S3Settings
from connectors.s3.upload import STAGED_KEY, end_uploads
from connectors.shared.objects import STAGED_FOLDER, Keys
from connectors.shared.objects_tree import ObjectTree, at_once
from connectors.shared.services import Services
from connectors.shared.transport import Http
from connectors.shared.trust import trusting
from migration.capabilities import Capabilities, NameRules, Operation
from migration.contract import Finding
from migration.entries import Entry, PathParts
from migration.errors import ContractViolation, ItemError, SiteHaulError
from migration.platforms import platform

SYSTEM = "s3"


class S3Connector(ObjectTree):
    """Implements Source, Destination, StagedSweep, Movable and Trash of migration/contract.py."""

    SYSTEM = SYSTEM

    def __init__(self, settings: S3Settings, services: Services, *, page_entries: int | None = None) -> None:
        super().__init__(
            display_name=settings.display_name,
            capabilities=_capabilities(settings),
            keys=Keys(SYSTEM, settings.key_prefix, keeps_times=settings.original_times),
            clock=services.clock,
            page_entries=page_entries,
        )
        self._settings = settings
        self._http: Http | None = None
        self._service: S3Service | None = None

    @property
    def service(self) -> S3Service:
        if self._service is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._service

    @property
    def heads_at_once(self) -> int:
        return self._settings.concurrency

    async def connect(self) -> None:
        self._http = Http(self._settings.timeouts, tls=trusting(self._settings.ca_file))
        staged = self.keys.folder_key((STAGED_FOLDER,))
        self._service = S3Service(self._settings, self._http, self.clock, staged)

    async def disconnect(self) -> None:
        http, self._http, self._service = self._http, None, None
        self.folders.forget(())
        if http is not None:
            await http.aclose()

    async def sweep_staged(self, root: PathParts) -> int:
        """As `StagedSweep.sweep_staged`; uploads that this connector has under way stay."""
        self.check(root)
        prefix = self.keys.folder_key((STAGED_FOLDER,))
        ended, position = 0, None
        while True:
            page = await self.service.page(prefix, position)
            mine = [found.key for found in page.objects if found.key[len(prefix) :] not in self.in_use]
            ended += sum(await at_once(mine, lambda key: self._sweep_one(key, root), self.heads_at_once))
            position = page.following
            if position is None:
                return ended

    async def _sweep_one(self, marker: str, root: PathParts) -> int:
        found = await self.service.head(marker)
        key = None if found is None else _key_marked((found.metadata or {}).get(STAGED_KEY))
        if key is None or not key.startswith(self.keys.folder_key(root)):
            return 0
        ended = await end_uploads(self.service, key, None, twice=False)
        await self.service.delete(marker, None)
        return max(ended, 1)

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        who = f"access key {await self.service.access_key_id()}"
        await self.look(())
        return who, (*await self._about_conditions(), *await self._about_versions(), *await self._about_leftovers())

    async def _about_conditions(self) -> tuple[Finding, ...]:
        if self.service.conditional:
            return ()
        return (
            Finding(
                "warning", "unconditional",
                "The service is said not to honour conditions, so a file that somebody else writes at the very moment "
                "it is published would be overwritten.",
                "Let nobody else write into the destination during a run.",
            ),
        )  # fmt: skip

    async def _about_versions(self) -> tuple[Finding, ...]:
        answer = await self._asked("versioning")
        keeps = answer is not None and b"<Status>Enabled" in answer
        if answer is None or keeps == self._settings.versioned:
            return ()
        if keeps:
            return (
                Finding("info", "versions-kept",
                        "The bucket keeps versions; the connection does not list earlier ones.",
                        "Connect again with --versioned to see them."),
            )  # fmt: skip
        return (
            Finding("warning", "no-versions", "The bucket keeps no versions, but the connection says it does.",
                    "Enable versioning on the bucket, or connect again with --no-versioned."),
        )  # fmt: skip

    async def _about_leftovers(self) -> tuple[Finding, ...]:
        answer = await self._asked("lifecycle")
        if answer is None or b"AbortIncompleteMultipartUpload" in answer:
            return ()
        return (
            Finding("info", "no-lifecycle-rule",
                    "No lifecycle rule of the bucket ends uploads in parts that nobody finishes.",
                    "Add a rule AbortIncompleteMultipartUpload after 7 days: such uploads cost money unseen."),
        )  # fmt: skip

    async def _asked(self, what: str) -> bytes | None:
        """What the bucket is set to; None where it may not be asked."""
        try:
            reply = await self.service.call(
                f"ask for the {what} of the bucket", "GET", query={what: ""}, accept=frozenset({403, 404, 405, 501})
            )
        except (ItemError, SiteHaulError):
            return None
        return reply.content if reply.status in (200, 404) else None


class VersionedS3Connector(S3Connector):
    """Besides implements Versioned, for a bucket that keeps versions."""

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        """As `Versioned.versions`."""
        path = self.keys.path_of(entry.ref)
        found = await self.service.versions_of(self.keys.key(path))
        current = await self.look_for_file(path)
        if current is None or not found:
            raise ItemError("not-found", f"{self.shown(path)} is not there.")
        count = len(found)
        earlier = [self._earlier(current, version, number) for number, version in enumerate(found[:0:-1], start=1)]
        return (*earlier, replace(current, version_number=count, version_count=count))

    def _earlier(self, current: Entry, version: Version, number: int) -> Entry:
        told = f"{version.etag}{VERSION_SEPARATOR}{version.id}"
        return replace(
            current,
            ref=replace(current.ref, version_id=told),
            size_bytes=version.size_bytes,
            modified_at=version.changed_at,
            version_number=number,
            checksums={},
        )


_FILE_NAME_BYTES_MAX = 255


def connector_of(settings: S3Settings, services: Services, **more: Any) -> S3Connector:
    """The connector for a bucket that keeps versions, or for one that does not."""
    return (VersionedS3Connector if settings.versioned else S3Connector)(settings, services, **more)


def _key_marked(named: str | None) -> str | None:
    try:
        return None if named is None else base64.urlsafe_b64decode(named).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _elsewhere(rules: NameRules) -> NameRules:
    """Amazon takes a backslash and names as long as a key; services that keep objects as files make a slash of the
    one (SeaweedFS) or refuse it, and take 255 bytes between slashes
    (https://min.io/docs/minio/linux/operations/concepts/thresholds.html)."""
    return replace(
        rules, forbidden_characters=rules.forbidden_characters | {"\\"}, segment_length_max=_FILE_NAME_BYTES_MAX
    )


def _capabilities(settings: S3Settings) -> Capabilities:
    limits = platform("amazon_s3")
    operations = {Operation.RANGE_READS, Operation.MOVE, Operation.DELETE_TO_TRASH}
    return Capabilities(
        names=limits.names if settings.endpoint_url is None else _elsewhere(limits.names),
        file_size_max_bytes=limits.file_size_max_bytes,
        checksum_types=frozenset({"sha256"}) if settings.checksums else frozenset(),
        time_precision_seconds=1e-6 if settings.original_times else 1.0,
        atomic_publish=True,
        keeps_times=settings.original_times,
        keeps_versions=settings.versioned,
        operations=frozenset(operations | ({Operation.VERSIONS} if settings.versioned else set())),
    )
