"""The SMB connector: what it promises beyond the contract, and how the parts work together.

* Paths are below the connection's folder; nothing outside it is touched. Links and junctions are listed as problems and
  never followed; deduplicated, tiered and compressed files are files.
* What is written lies under `.sitehaul-<key>.part` in its own folder until it is renamed. A rename that must not
  replace anything is the server's own atomic step. SMB has no replacing under a condition: the file to replace is
  looked at right before, and `test` says so.
* What a killed process leaves is found by `sweep_staged`.
* A file is identified by its path, its version by when it was written and how long it is.
* smbprotocol blocks and takes its time in Python, so everything runs in threads, eight to a connection; a cancelled
  call is waited for, and no call waits for the server longer than the connection's `timeout_seconds`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime

from connectors.shared.completion import surely, to_the_end
from connectors.shared.giving import expected_bytes
from connectors.shared.paths import check_key, path_of_ref
from connectors.shared.pieces import Pieces
from connectors.shared.services import Services
from connectors.shared.staging import StagedTreeConnector
from connectors.shared.threads import Threads
from connectors.shared.tree import Incoming, destination_changed, incoming
from connectors.shared.walking import Listing
from connectors.smb.channel import WORKERS, Channel
from connectors.smb.pool import Channels
from connectors.smb.reading import Reader
from connectors.smb.settings import SmbSettings
from connectors.smb.share import SYSTEM, Share
from connectors.smb.upload import SmbUpload
from migration.capabilities import Capabilities, LengthUnit, Operation
from migration.contract import Finding, Precondition, Stored, WriteAt
from migration.entries import Entry, PathParts, Ref
from migration.errors import FatalError, ItemError
from migration.platforms import name_rules, platform

_PUBLISHING_LOCKS = 64


class SmbConnector(StagedTreeConnector):
    """One share, or a folder in it, as source and destination. Implements Source, Destination, RangeWritable, Movable,
    Trash and StagedSweep of migration/contract.py."""

    SYSTEM = SYSTEM
    READINGS_ARE_OF_ONE_VERSION = True

    def __init__(self, settings: SmbSettings, services: Services, *, page_entries: int | None = None) -> None:
        """Touches nothing; the first call that needs one opens a connection."""
        super().__init__(
            display_name=settings.display_name, capabilities=_capabilities(settings), page_entries=page_entries
        )
        self._settings = settings
        self._channels = Channels(lambda: Channel(settings), settings.connections, monotonic=services.clock.monotonic)
        self.share = Share(self._channels, address=f"\\\\{settings.server}\\{settings.share}", folder=settings.folder)
        self.threads = Threads(settings.connections * WORKERS, name="smb")
        self._publishing = [asyncio.Lock() for _ in range(_PUBLISHING_LOCKS)]

    async def connect(self) -> None:
        """Nothing is opened yet."""

    async def disconnect(self) -> None:
        await asyncio.to_thread(self._close)

    def shown(self, path: PathParts) -> str:
        return self.share.shown(path)

    def path_of(self, entry: Entry) -> PathParts:
        return path_of_ref(entry.ref)

    async def look(self, path: PathParts) -> Entry | None:
        return await self.threads.run(self.share.look, path)

    async def look_at(self, entry: Entry) -> Entry | None:
        return await self.look(self.path_of(entry))

    async def list_folder(self, folder: Entry) -> Listing:
        path = self.path_of(folder)
        try:
            return await self.threads.run(self.share.list_folder, path)
        except ItemError as error:
            if path:
                raise
            raise FatalError(error.code, error.message, fix=error.fix) from error

    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:  # noqa: ARG002 - paths are identities
        made = await self.threads.run(self.share.make_folder, path)
        return None if made is None else made.ref

    async def remove_file(self, path: PathParts) -> None:
        await self.threads.run(self.share.remove_file, path)

    async def rename(self, path: PathParts, to: PathParts) -> None:
        async with self.publishing(to):
            if not await self.threads.run(self.share.rename, path, to):
                raise destination_changed(self.shown(to), "something is there now")

    def read(self, entry: Entry, offset: int, length: int | None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._reading(entry, offset, length)

    def upload(self, file: Incoming) -> SmbUpload:
        return SmbUpload(self, file)

    def publishing(self, path: PathParts) -> asyncio.Lock:
        """To be held while a file gets this name: Samba looks and renames in two steps, so that of two renames at the
        same instant both would succeed."""
        return self._publishing[hash(tuple(name.casefold() for name in path)) % _PUBLISHING_LOCKS]

    async def put_ranges(
        self,
        path: PathParts,
        *,
        size_bytes: int,
        modified_at: datetime | None,
        precondition: Precondition,
        staging_key: str,
        fill: Callable[[WriteAt], Awaitable[object]],
        before_publish: Callable[[], Awaitable[None]],
    ) -> Stored:
        check_key(staging_key)
        self.check(path)
        if not path:
            raise ItemError("not-a-file", f"{self.shown(path)}: the root of the connection cannot be replaced.")
        upload = self.upload(incoming(path, size_bytes, modified_at, precondition, staging_key))
        try:
            await upload.begin_ranges()
            async with Pieces(upload.write_at, size_bytes) as pieces:
                await fill(pieces.write_at)
            await upload.finish()
            await before_publish()
            return await to_the_end(upload.publish())
        except BaseException:
            await surely(upload.discard())
            raise

    def _close(self) -> None:
        """Cut off what is still running, a walk that was left for example, and what it opens meanwhile."""
        self._channels.close()
        self.threads.close()
        self._channels.close()

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        return await self.threads.run(self._examine)

    def _examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        self.share.look(())
        with self._channels.any() as channel:
            protection = channel.protection
        findings = [Finding("info", "protection", f"The connection speaks {protection}.")]
        if "neither" in protection:
            text = "Nothing protects what is sent from being read or changed on its way."
            findings.append(Finding("warning", "unprotected", text, "Set signing of the connection to required."))
        if self.share.may_write():
            free = self.share.free_bytes()
            room = "" if free is None else f" {free / 2**30:.1f} GiB are free."
            findings.append(Finding("info", "writable", f"Files can be written to {self.shown(())}.{room}"))
            text = "A file that is replaced is looked at right before; SMB cannot replace it under a condition."
            findings.append(Finding("info", "replaced-unconditionally", text))
        else:
            text = f"{self._settings.username} can read {self.shown(())} but not write there."
            fix = "As a destination it needs the right to change files, in the share and in the folder."
            findings.append(Finding("warning", "read-only", text, fix))
        return self._settings.username, tuple(findings)

    @asynccontextmanager
    async def _reading(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        count = expected_bytes(entry, offset, length) or 0
        reader = Reader(self.share, self.threads, entry, offset, count)
        try:
            first = await reader.begin()
            yield reader.chunks(first)
        finally:
            await reader.close()


def _capabilities(settings: SmbSettings) -> Capabilities:
    limits, names = platform("smb_windows_share"), name_rules("smb_windows_share")
    if settings.names == "linux":
        names = replace(names, length_unit=LengthUnit.BYTES)
    return Capabilities(
        names=names,
        file_size_max_bytes=limits.file_size_max_bytes,
        time_precision_seconds=1e-6,
        atomic_publish=True,
        keeps_times=True,
        operations=frozenset(
            {Operation.RANGE_READS, Operation.RANGE_WRITES, Operation.MOVE, Operation.DELETE_TO_TRASH}
        ),
    )
