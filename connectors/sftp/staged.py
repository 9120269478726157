"""Writing one file under a staged name in its own folder, and making it visible in one step.

A small file takes three round trips: open it; write, close, set its time and look at it; rename it. They are not made
fewer, because servers carry out a rename although the write before it has failed.
"""

import asyncio
from contextlib import suppress
from datetime import datetime
from enum import Enum

from connectors.sftp import messages as sftp
from connectors.sftp.channel import Channel
from connectors.sftp.errors import GONE, error_of
from connectors.sftp.messages import Answer, Found, Request, Status
from connectors.sftp.server import SYSTEM, Server, understood
from connectors.shared.paths import path_ref
from connectors.shared.tree import check_expected, destination_changed
from migration.contract import Stored
from migration.entries import Entry, PathParts
from migration.errors import ItemError, RetryableError, SiteHaulError

SPREAD_BYTES = 8 * 1024 * 1024
"""A file of this length or more is written over several connections at once."""
_NEW = sftp.WRITE | sftp.CREATE | sftp.EXCLUSIVE


class Creating(Enum):
    """How a server makes a file visible without ever overwriting another."""

    RENAME = "rename"
    """OpenSSH makes a second name and removes the first (`process_rename` in its sftp-server.c), which is atomic but on
    disks that know no second names."""
    LINK = "link"
    """The same in two requests, for servers whose renaming may overwrite."""
    LOOK = "look"
    """Look, then rename: in two steps."""


def creating(channel: Channel) -> Creating:
    """What this server is to be asked for."""
    if channel.software.startswith("OpenSSH"):
        return Creating.RENAME
    return Creating.LINK if channel.supports("hardlink@openssh.com=1") else Creating.LOOK


class StagedFile:
    """One file on its way. One method at a time but for `write_at`; `discard` in the end unless `publish` returned."""

    def __init__(self, server: Server, path: PathParts, staged: PathParts, size_bytes: int | None) -> None:
        self._server = server
        self._path = path
        self._staged = staged
        self._name = server.name(staged)
        self._spread = size_bytes is None or size_bytes >= SPREAD_BYTES
        self._handles: dict[Channel, bytes] = {}
        self._opening = asyncio.Lock()
        self._may_be_there = False
        self._length = 0
        self._found: Found | None = None

    async def write_whole(self, data: bytes, modified_at: datetime | None) -> None:
        """Create, write and finish a small file."""
        channel = await self.create()
        handle = self._handles.pop(channel)
        writes = _writes(handle, 0, memoryview(data), channel.write_bytes)
        self._length = len(data)
        answers = await channel.exchange(*writes, sftp.close(handle), *self._last_steps(modified_at))
        for answer in answers:
            await self._check(answer)
        await self._check_last(answers[-1])

    async def create(self) -> Channel:
        """Make the staged file in place of any leftover, and open it. ItemError `parent-missing`; FatalError
        `disk-full`, `read-only`."""
        channel = await self._server.channels.any()
        self._may_be_there = True
        opened = await channel.open(sftp.open_file(self._name, _NEW))
        if opened.status in (Status.FAILURE, Status.EXISTS):
            opened = await channel.open(sftp.remove(self._name), sftp.open_file(self._name, _NEW))
        if opened.status:
            self._may_be_there = False
            if opened.status in GONE:
                raise ItemError("parent-missing", f"{self._shown}: its folder does not exist.")
            await self._check(opened)
        self._handles[channel] = understood(sftp.handle, opened, self._shown)
        return channel

    async def write_at(self, offset: int, data: bytes) -> None:
        """Write bytes at their place; may be called for several places at once."""
        channel = await self._somewhere()
        for answer in await channel.exchange(
            *_writes(self._handles[channel], offset, memoryview(data), channel.write_bytes)
        ):
            await self._check(answer)
        self._length = max(self._length, offset + len(data))

    async def finish(self, modified_at: datetime | None) -> None:
        """Close it, set its time and look whether all is there, when nobody writes any more."""
        closed = [channel.exchange(sftp.close(handle)) for channel, handle in self._handles.items()]
        self._handles = {}
        for [answer] in await asyncio.gather(*closed):
            await self._check(answer)
        answers = await self._server.ask(*self._last_steps(modified_at))
        for answer in answers:
            await self._check(answer)
        await self._check_last(answers[-1])

    async def publish(self, expected: Entry | None) -> Stored:
        """Make the file visible as its path. PreconditionFailed `destination-changed`; ItemError `cannot-replace`;
        RetryableError `publish-unknown`."""
        if expected is None:
            how = creating(await self._server.channels.any())
            if how is not Creating.LINK or not await self._link():
                await self._rename(look_first=how is not Creating.RENAME)
        else:
            check_expected(self._shown, await self._server.look(self._path), expected)
            await self._replace()
        self._may_be_there = False
        return self._stored(self._found)

    async def discard(self) -> None:
        """Remove the staged file. What the server cannot be told now stays as a staged name, which the next try
        replaces and `sweep_staged` removes."""
        handles, self._handles = self._handles, {}
        for channel, handle in handles.items():
            with suppress(SiteHaulError):
                await channel.exchange(sftp.close(handle))
        if self._may_be_there:
            with suppress(SiteHaulError):
                await self._server.remove_file(self._staged)
        self._may_be_there = False

    @property
    def _shown(self) -> str:
        return self._server.shown(self._path)

    async def _somewhere(self) -> Channel:
        """The connection to write over; the file is opened there if need be."""
        if not self._spread:
            return next(iter(self._handles))
        channel = await self._server.channels.any()
        if channel in self._handles:
            return channel
        async with self._opening:
            if channel not in self._handles:
                opened = await channel.open(sftp.open_file(self._name, sftp.WRITE))
                await self._check(opened)
                self._handles[channel] = understood(sftp.handle, opened, self._shown)
        return channel

    def _last_steps(self, modified_at: datetime | None) -> list[Request]:
        """By name and after closing: some servers write at the same time as they set times of open files."""
        times = [] if modified_at is None else [sftp.set_time(self._name, sftp.seconds(modified_at))]
        return [*times, sftp.look(self._name)]

    async def _check_last(self, looked: Answer) -> None:
        self._found = understood(sftp.found, looked, self._shown)
        if self._found.size_bytes != self._length:
            raise RetryableError(
                "stored-size-differs",
                f"The server holds {self._found.size_bytes} of the {self._length} bytes sent of {self._shown}.",
            )

    async def _check(self, answer: Answer) -> None:
        if answer.status:
            raise await self._server.failure(answer, self._path, "write")

    async def _link(self) -> bool:
        """Give the file its name as a second one; whether that was possible."""
        answer = await self._published(sftp.link(self._name, self._server.name(self._path)))
        if answer.status:
            return False  # something is there, or the disk knows no second names
        with suppress(SiteHaulError):
            await self._server.remove_file(self._staged)
        return True

    async def _rename(self, *, look_first: bool) -> None:
        if look_first:
            await self._refuse_what_is_there()
        answer = await self._published(sftp.rename(self._name, self._server.name(self._path)))
        if answer.status:
            await self._refuse_what_is_there()
            raise await self._not_published(answer)

    async def _replace(self) -> None:
        channel = await self._server.channels.any()
        if not channel.supports("posix-rename@openssh.com=1"):
            raise ItemError(
                "cannot-replace",
                f"{self._shown} cannot be replaced: the server offers no way to do so in one step.",
                fix="Move the older file away, or use a server with the extension posix-rename@openssh.com.",
            )
        answer = await self._published(sftp.replace(self._name, self._server.name(self._path)))
        if answer.status:
            raise await self._not_published(answer)

    async def _published(self, request: Request) -> Answer:
        """The answer to the step that makes the file visible, or what it must have been."""
        channel = await self._server.channels.any()
        try:
            [answer] = await channel.exchange(request)
        except RetryableError as lost:
            if await self._was_published(lost):
                return Answer.of(Status.OK)
            raise
        return answer

    async def _refuse_what_is_there(self) -> None:
        if await self._server.find(self._path) is not None:
            raise destination_changed(self._shown, "something is there now")

    async def _not_published(self, answer: Answer) -> SiteHaulError:
        if answer.status in GONE:
            return ItemError("parent-missing", f"{self._shown}: its folder is no longer there.")
        if answer.status == Status.FAILURE:
            return await self._server.failure(answer, self._path, "publish")
        return error_of(answer, self._shown, "publish")

    async def _was_published(self, lost: RetryableError) -> bool:
        """Whether a step whose answer was lost was carried out; RetryableError `publish-unknown` when that cannot be
        known. A staged file that is still there is removed, which also keeps the server from renaming it later."""
        try:
            was_there = await self._server.remove_file(self._staged)
            self._may_be_there = False
            found = await self._server.find(self._path)
        except SiteHaulError as error:
            raise self._unknown() from error
        is_ours = found is not None and self._found is not None and found.version == self._found.version
        if is_ours == was_there:
            # Gone without having arrived; or there in both places, as between the two steps of OpenSSH's rename.
            raise self._unknown() from lost
        return is_ours

    def _unknown(self) -> RetryableError:
        return RetryableError(
            "publish-unknown",
            f"Whether {self._shown} was published is unknown: the connection was lost at that moment.",
            fix="It is looked at and tried again by itself.",
        )

    def _stored(self, found: Found | None) -> Stored:
        assert found is not None
        return Stored(path_ref(SYSTEM, self._path, found.version), self._path[-1], self._length, found.modified_at)


def _writes(handle: bytes, offset: int, data: memoryview, block_bytes: int) -> list[Request]:
    return [
        sftp.write(handle, offset + first, data[first : first + block_bytes])
        for first in range(0, len(data), block_bytes)
    ]
