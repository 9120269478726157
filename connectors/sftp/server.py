"""What the server can do, in the connector's words: paths from the connection's root, errors of SiteHaul."""

from collections.abc import Callable
from typing import TypeVar

from connectors.sftp import messages as sftp
from connectors.sftp.channel import Channel
from connectors.sftp.errors import GONE, disk_full, error_of, not_sftp, root_missing
from connectors.sftp.messages import Answer, Found, NotSftp, Request, Space, Status
from connectors.sftp.pool import Channels
from connectors.shared.paths import path_ref, readable
from connectors.shared.walking import Listing
from migration.entries import Entry, EntryKind, ListingProblem, PathParts
from migration.errors import ItemError, SiteHaulError

SYSTEM = "sftp"
T = TypeVar("T")
_LISTED_AT_ONCE_MAX = 8
"""How many requests for the next names of a folder are on their way at the same time; OpenSSH answers each with 100."""
_FULL_BYTES = 4 * 1024 * 1024
"""With less room than this a write that merely failed has failed for want of it."""


class Server:
    """Files and folders below the connection's folder."""

    def __init__(self, channels: Channels, *, address: str, folder: str, keeps_undecodable_bytes: bool) -> None:
        """`address` is what precedes paths in messages; `folder` is empty for where sessions begin."""
        self.channels = channels
        self._address = address
        self._folder = folder
        self._keeps_undecodable_bytes = keeps_undecodable_bytes

    def shown(self, path: PathParts) -> str:
        """The path for people."""
        return readable((self._address, *path))

    def name(self, path: PathParts) -> bytes:
        """The path as the server is told it."""
        whole = "/".join(path)
        if self._folder:
            whole = self._folder.rstrip("/") + ("/" + whole if whole or self._folder == "/" else "")
        return whole.encode("utf-8", "surrogateescape") or b"."

    async def ask(self, *requests: Request) -> list[Answer]:
        """Send requests that belong together over any connection."""
        return await (await self.channels.any()).exchange(*requests)

    async def find(self, path: PathParts) -> Found | None:
        """What is there; None if nothing is, or if a file or a link is where a folder would have to be."""
        if not path:
            [answer] = await self.ask(sftp.look_through(self.name(())))
            return await self._found(answer, path)
        steps = [path[:length] for length in range(1, len(path) + 1)]
        answers = await self.ask(*(sftp.look(self.name(step)) for step in steps))
        for step, answer in zip(steps[:-1], answers[:-1], strict=True):
            above = await self._found(answer, step)
            if above is None or not above.is_folder:
                return None
        return await self._found(answers[-1], path)

    async def look(self, path: PathParts) -> Entry | None:
        """The same as an entry."""
        found = await self.find(path)
        return None if found is None else entry_of(path, found)

    async def list_folder(self, path: PathParts) -> Listing:
        """What is directly in the folder. Names of one folder come over one connection."""
        channel = await self.channels.any()
        opened = await channel.open(sftp.open_folder(self.name(path)))
        if opened.status:
            raise await self._not_listed(opened, path)
        handle = understood(sftp.handle, opened, self._address)
        entries: list[Entry] = []
        problems: list[ListingProblem] = []
        calls, at_once = 2, 2
        try:
            while not await self._listed(channel, handle, at_once, path, entries, problems):
                calls += at_once
                at_once = min(2 * at_once, _LISTED_AT_ONCE_MAX)
        finally:
            channel.send(sftp.close(handle))
        return Listing(entries, problems, calls + at_once)

    async def make_folder(self, path: PathParts) -> bool:
        """Make one folder; False if the name is taken. ItemError `not-found` when the folder around it is gone."""
        [answer] = await self.ask(sftp.make_folder(self.name(path)))
        if not answer.status:
            return True
        if answer.status in (Status.FAILURE, Status.EXISTS) and await self.find(path) is not None:
            return False
        if answer.status == Status.FAILURE:
            raise await self.failure(answer, path, "make the folder")
        raise error_of(answer, self.shown(path), "make the folder")

    async def remove_file(self, path: PathParts) -> bool:
        """Remove a file; whether it was there."""
        [answer] = await self.ask(sftp.remove(self.name(path)))
        if answer.status and answer.status not in GONE:
            if answer.status == Status.FAILURE and await self.find(path) is None:
                return False
            raise error_of(answer, self.shown(path), "remove")
        return not answer.status

    async def space(self, path: PathParts) -> Space | None:
        """How much room there is; None if the server does not say."""
        channel = await self.channels.any()
        if not channel.supports("statvfs@openssh.com=2"):
            return None
        [answer] = await channel.exchange(sftp.ask_space(self.name(path)))
        return None if answer.status else understood(sftp.space, answer, self._address)

    async def failure(self, answer: Answer, path: PathParts, doing: str) -> SiteHaulError:
        """What a refusal of something that needs room means: servers have no word for a full disk."""
        if answer.status == Status.FAILURE:
            space = await self.space(path[:-1])
            if space is not None and (space.free_bytes < _FULL_BYTES or space.free_files == 0):
                return disk_full(self.shown(path))
        return error_of(answer, self.shown(path), doing)

    async def _found(self, answer: Answer, path: PathParts) -> Found | None:
        if answer.status in GONE:
            return None
        if answer.status:
            raise error_of(answer, self.shown(path), "look at")
        return understood(sftp.found, answer, self._address)

    async def _listed(
        self,
        channel: Channel,
        handle: bytes,
        at_once: int,
        path: PathParts,
        entries: list[Entry],
        problems: list[ListingProblem],
    ) -> bool:
        """Some more names; whether these were the last."""
        for answer in await channel.exchange(*[sftp.list_some(handle)] * at_once):
            if answer.status == Status.END:
                return True
            if answer.status:
                raise error_of(answer, self.shown(path), "list")
            for name, found in understood(lambda one: list(sftp.names(one)), answer, self._address):
                if name not in (b".", b".."):
                    self._add(path, name, found, entries, problems)
        return False

    def _add(
        self, path: PathParts, raw: bytes, found: Found, entries: list[Entry], problems: list[ListingProblem]
    ) -> None:
        name = raw.decode("utf-8", "surrogateescape")
        here = (*path, name)
        if not name or "/" in name or "\0" in name:
            text = f"The server gave the name {name!a}, which is none."
            problems.append(ListingProblem((*path, ascii(name)[1:-1]), "name-escapes", text))
        elif found.is_link:
            text = f"{readable(here)} is a symbolic link; links are neither followed nor copied."
            problems.append(ListingProblem(here, "symlink", text, hides_entries=False))
        elif not (found.is_folder or found.is_file):
            text = f"{readable(here)} is no file or folder (a pipe, socket or device)."
            problems.append(ListingProblem(here, "special-file", text, hides_entries=False))
        elif not self._keeps_undecodable_bytes and not name.isascii() and _is_undecodable(name):
            text = f"The name {name!a} is no valid text; rename it at the server so that it can be copied."
            problems.append(ListingProblem((*path, ascii(name)[1:-1]), "name-undecodable", text))
        else:
            entries.append(entry_of(here, found))

    async def _not_listed(self, answer: Answer, path: PathParts) -> SiteHaulError:
        if not path and answer.status in GONE:
            return root_missing(self.shown(()))
        if answer.status == Status.FAILURE and await self.find(path) is None:
            return ItemError("not-found", f"{self.shown(path)} is not there any more.")
        return error_of(answer, self.shown(path), "list")


def understood(read: Callable[[Answer], T], answer: Answer, address: str) -> T:
    """What an answer holds. FatalError `not-sftp` when it holds something else."""
    try:
        return read(answer)
    except NotSftp as error:
        raise not_sftp(address) from error


def entry_of(path: PathParts, found: Found) -> Entry:
    """What is there as an entry. What is neither file nor folder counts as a file that cannot be read or replaced."""
    return Entry(
        ref=path_ref(SYSTEM, path, None if found.is_folder else found.version),
        parent=path_ref(SYSTEM, path[:-1]) if path else None,
        name=path[-1] if path else "",
        path=path,
        kind=EntryKind.FOLDER if found.is_folder else EntryKind.FILE,
        size_bytes=None if found.is_folder else found.size_bytes,
        modified_at=found.modified_at,
    )


def _is_undecodable(name: str) -> bool:
    return any(0xDC80 <= ord(letter) <= 0xDCFF for letter in name)
