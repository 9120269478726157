"""The SFTP connector: what it promises beyond the contract, and how the parts work together.

* Paths are below the connection's folder; symbolic links in it are listed as problems and never followed.
* What is written lies under `.sitehaul-<key>.part` in its own folder until it is whole. A file that must not replace
  anything becomes visible in one atomic step wherever the server has one: OpenSSH's rename, or a second name for the
  file on other servers. Where it has neither it is looked at right before; `test` says so.
* A file that is to be replaced is looked at right before and then replaced in one step (posix-rename@openssh.com);
  SFTP has no replacing under a condition. On servers without that extension nothing can be replaced.
* What a killed process leaves is found by `sweep_staged`.
* A file is identified by its path, its version by when it was modified, to the second, and how long it is. A change
  within the same second that keeps the length is not noticed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime

from connectors.sftp import messages as sftp
from connectors.sftp.channel import Channel
from connectors.sftp.connecting import Opener
from connectors.sftp.errors import GONE, error_of, root_missing
from connectors.sftp.pool import Channels
from connectors.sftp.reading import Reader
from connectors.sftp.server import SYSTEM, Server
from connectors.sftp.settings import SftpSettings
from connectors.sftp.staged import Creating, creating
from connectors.sftp.upload import SftpUpload
from connectors.shared.completion import surely, to_the_end
from connectors.shared.giving import expected_bytes
from connectors.shared.paths import check_key, path_of_ref, path_ref
from connectors.shared.pieces import Pieces
from connectors.shared.services import Services
from connectors.shared.staging import StagedTreeConnector
from connectors.shared.tree import Incoming, destination_changed, incoming
from connectors.shared.walking import Listing
from migration.capabilities import Capabilities, Operation
from migration.contract import Finding, Precondition, Stored, WriteAt
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import FatalError, ItemError
from migration.platforms import name_rules, platform

_PLATFORMS = {"posix": "nfs_linux_share", "windows": "smb_windows_share", "portable": "portable_safe_profile"}
_PUBLISHING_LOCKS = 64


class SftpConnector(StagedTreeConnector):
    """A folder of an SSH server as source and destination. Implements Source, Destination, RangeWritable, Movable,
    Trash and StagedSweep of migration/contract.py."""

    SYSTEM = SYSTEM
    READINGS_ARE_OF_ONE_VERSION = True

    def __init__(self, settings: SftpSettings, services: Services, *, page_entries: int | None = None) -> None:
        """Touches nothing; the first call that needs one opens a connection."""
        capabilities = _capabilities(settings)
        super().__init__(display_name=settings.display_name, capabilities=capabilities, page_entries=page_entries)
        self._settings = settings
        self._opener = Opener(settings)
        self._channels = Channels(self._opener.open, settings.connections, monotonic=services.clock.monotonic)
        self.server = Server(
            self._channels,
            address=settings.summary,
            folder=settings.folder,
            keeps_undecodable_bytes=capabilities.names.keeps_undecodable_bytes,
        )
        self._publishing = [asyncio.Lock() for _ in range(_PUBLISHING_LOCKS)]

    async def connect(self) -> None:
        """Nothing is opened yet."""

    async def disconnect(self) -> None:
        self.folders.forget(())
        await self._channels.close()

    def shown(self, path: PathParts) -> str:
        return self.server.shown(path)

    def path_of(self, entry: Entry) -> PathParts:
        return path_of_ref(entry.ref)

    async def look(self, path: PathParts) -> Entry | None:
        found = await self.server.look(path)
        if found is None and not path:
            raise root_missing(self.shown(()))
        return found

    async def look_at(self, entry: Entry) -> Entry | None:
        return await self.look(self.path_of(entry))

    async def list_folder(self, folder: Entry) -> Listing:
        path = self.path_of(folder)
        try:
            return await self.server.list_folder(path)
        except ItemError as error:
            if path:
                raise
            raise FatalError(error.code, error.message, fix=error.fix) from error

    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:  # noqa: ARG002 - paths are identities
        return path_ref(SYSTEM, path) if await self.server.make_folder(path) else None

    async def remove_file(self, path: PathParts) -> None:
        await self.server.remove_file(path)

    async def rename(self, path: PathParts, to: PathParts) -> None:
        """As required; only OpenSSH's rename of files is one atomic step, folders are looked for right before."""
        async with self.publishing(to):
            if await self.server.find(to) is not None:
                raise destination_changed(self.shown(to), "something is there now")
            [answer] = await self.server.ask(sftp.rename(self.server.name(path), self.server.name(to)))
            if not answer.status:
                return
            if answer.status in GONE:
                raise ItemError("not-found", f"{self.shown(path)}, or the folder it was to go to, is gone.")
            if await self.server.find(to) is not None:
                raise destination_changed(self.shown(to), "something is there now")
            raise error_of(answer, self.shown(path), "move")

    async def duplicate(self, path: PathParts, to: PathParts) -> bool:
        """By a second name, where the server knows such a thing (hardlink@openssh.com)."""
        channel = await self.server.channels.any()
        if not channel.supports("hardlink@openssh.com=1"):
            return False
        [answer] = await self.server.ask(sftp.link(self.server.name(path), self.server.name(to)))
        return not answer.status

    def read(self, entry: Entry, offset: int, length: int | None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._reading(entry, offset, length)

    def upload(self, file: Incoming) -> SftpUpload:
        return SftpUpload(self, file)

    def publishing(self, path: PathParts) -> asyncio.Lock:
        """To be held while a file gets this name: some servers look and rename in two steps, so that of two renames at
        the same instant both would succeed."""
        return self._publishing[hash(path) % _PUBLISHING_LOCKS]

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

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        channel = await self._channels.any()
        found = await self.look(())
        if found is None or found.kind is not EntryKind.FOLDER:
            raise root_missing(self.shown(()))
        findings = [Finding("info", "protection", _protection(channel))]
        space = await self.server.space(())
        if space is not None:
            findings.append(Finding("info", "space", f"{space.free_bytes / 1e9:,.1f} GB are free."))
        else:
            text = "The server does not say how much space is left, so a full disk looks like any other failure."
            findings.append(Finding("info", "space-unknown", text))
        return self._settings.username, (*findings, *_ways_of_publishing(channel))

    @asynccontextmanager
    async def _reading(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        reader = Reader(self.server, entry, offset, expected_bytes(entry, offset, length))
        try:
            yield reader.chunks(await reader.begin())
        finally:
            await reader.close()


def _protection(channel: Channel) -> str:
    key = channel.connection.get_server_host_key()
    fingerprint = "" if key is None else f", host key {key.get_fingerprint()}"
    cipher = str(channel.connection.get_extra_info("send_cipher", "")).removesuffix("@openssh.com")
    return f"The server is {channel.software}, encrypted with {cipher}{fingerprint}."


def _ways_of_publishing(channel: Channel) -> list[Finding]:
    findings = []
    if creating(channel) is Creating.LOOK:
        findings.append(
            Finding(
                "warning",
                "creates-in-two-steps",
                "This server cannot make a file visible without possibly overwriting one that appears at that instant.",
                "Let nobody else write into the destination during a run.",
            )
        )
    if channel.supports("posix-rename@openssh.com=1"):
        text = "A file that is replaced is looked at right before; SFTP cannot replace it under a condition."
        findings.append(Finding("info", "replaced-unconditionally", text))
    else:
        text = "This server cannot replace a file in one step, so changed files are flagged and not replaced."
        fix = "Use a server with the extension posix-rename@openssh.com if files have to be replaced."
        findings.append(Finding("warning", "cannot-replace", text, fix))
    return findings


def _capabilities(settings: SftpSettings) -> Capabilities:
    limits, rules = platform("nfs_linux_share"), name_rules(_PLATFORMS[settings.names])
    return Capabilities(
        names=replace(rules, path_length_max=None) if settings.names == "posix" else rules,
        file_size_max_bytes=limits.file_size_max_bytes,
        time_precision_seconds=1.0,
        atomic_publish=True,
        keeps_times=True,
        operations=frozenset(
            {Operation.RANGE_READS, Operation.RANGE_WRITES, Operation.MOVE, Operation.DELETE_TO_TRASH}
        ),
    )
