"""The contract, for any system that holds folders and files: a connector supplies what the system can do, in a dozen
small methods, and gets checked names, ordered resumable walks, folders made once, measured reading, and writing that
leaves nothing behind.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol, Self

from connectors.shared.completion import surely, to_the_end
from connectors.shared.folders import Folders
from connectors.shared.giving import expected_bytes, measured, source_changed
from connectors.shared.paths import check_key, check_path, path_of_ref, readable
from connectors.shared.receiving import Part, parts
from connectors.shared.walking import PAGE_ENTRIES, ListFolder, Listing, TreeWalk, visible
from migration.capabilities import Capabilities
from migration.contract import ConnectionReport, Finding, Precondition, Stored, WalkPage
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ConfigurationError, ItemError, PreconditionFailed, SiteHaulError


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """What `Destination.put` was told about a file to come."""

    path: PathParts
    size_bytes: int | None
    modified_at: datetime | None
    expected: Entry | None
    """The precondition: what the plan saw at the path; None = nothing."""
    staging_key: str
    keep_replaced: bool = False
    """Whether what is replaced is to go to the trash, where the system keeps no versions."""
    trash_key: str | None = None


def incoming(
    path: PathParts, size_bytes: int | None, modified_at: datetime | None, precondition: Precondition, staging_key: str
) -> Incoming:
    """What `put` and `put_ranges` were told."""
    return Incoming(
        path=path,
        size_bytes=size_bytes,
        modified_at=modified_at,
        expected=precondition.expected,
        staging_key=staging_key,
        keep_replaced=precondition.keep_replaced and precondition.expected is not None,
        trash_key=precondition.trash_key,
    )


class Upload(Protocol):
    """One file on its way in. `write` for each part in order, `finish`, `publish`; `discard` may come after anything
    but a `publish` that returned, and again.

    The first part's `is_last` tells a small file, which may wait in memory for `publish` to send it in one request.
    """

    @property
    def part_bytes(self) -> int:
        """How long the parts are to be."""
        ...

    async def write(self, part: Part) -> None:
        """Take the part; it may still be on its way when this returns."""
        ...

    async def finish(self) -> None:
        """Return when every byte that is not to be sent by `publish` itself is there."""
        ...

    async def publish(self) -> Stored:
        """Make the file visible if the precondition holds (PreconditionFailed otherwise). Once begun it is not cut
        short. RetryableError `publish-unknown` when the answer was lost and looking did not tell either."""
        ...

    async def discard(self) -> None:
        """Remove whatever is staged. Raises nothing that only says it is gone already."""
        ...


class TreeConnector(ABC):
    """One connection as Source and Destination. Paths given to the methods below start at the connection's root; those
    of the entries they return as well."""

    SYSTEM: ClassVar[str]
    SLASH_IS_LEGAL: ClassVar[bool] = False
    """Whether a name may hold a slash and mean nothing by it."""

    def __init__(self, *, display_name: str, capabilities: Capabilities, page_entries: int | None = None) -> None:
        self._display_name = display_name
        self._capabilities = capabilities
        self._page_entries = page_entries or PAGE_ENTRIES
        self.folders = Folders(self.look, self.create_folder, self.shown)

    async def connect(self) -> None:  # noqa: B027 - many systems need nothing
        """Get ready; `disconnect` follows in any case. Should not ask the system anything yet if it can be helped, so
        that `test` can say what is wrong."""

    async def disconnect(self) -> None:
        """Close everything; may be called when `connect` has failed half way."""
        self.folders.forget(())

    def shown(self, path: PathParts) -> str:
        """The path as people of this system write it, for messages."""
        return f"{self.SYSTEM}:/{readable(path)}"

    @abstractmethod
    async def list_folder(self, folder: Entry) -> Listing:
        """What is directly in the folder, staged names included. ItemError for a folder that cannot be listed
        (`not-found`, `permission-denied`)."""

    def lister(self) -> ListFolder:
        """How one walk lists folders, each once; for systems where one answer can tell about several."""
        return self.list_folder

    @abstractmethod
    async def look(self, path: PathParts) -> Entry | None:
        """What is at the path; None if nothing is, even when there is a file where a folder would have to be. `()` is
        the root, a folder."""

    @abstractmethod
    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:
        """Make one folder in its parent; None if the name is taken. ItemError `not-found` when the parent is gone."""

    @abstractmethod
    def read(self, entry: Entry, offset: int, length: int | None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The entry's bytes as they come. ItemError `source-changed` when what is there is not the entry's version."""

    async def unchanged(self, entry: Entry) -> bool:
        """Whether the entry is still there in its version: asked after reading, where a system does not promise that
        the bytes of one reading are of one version."""
        found = await self.look_at(entry)
        return found is not None and same_version(found, entry)

    async def look_at(self, entry: Entry) -> Entry | None:
        """The entry as it is now, found by its ref: at its path, for systems whose refs are paths (`path_entry`)."""
        return await self.look(path_of_ref(entry.ref))

    READINGS_ARE_OF_ONE_VERSION: ClassVar[bool] = False
    """Whether one `read` gives one version's bytes whatever happens meanwhile; `unchanged` is not asked then."""

    @abstractmethod
    def upload(self, file: Incoming) -> Upload:
        """A file to come, in a path that was checked; nothing is sent before its first part. The upload's first `write`
        refuses a missing parent (`self.folders.parent_of(file.path)`)."""

    @abstractmethod
    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        """Who the connection acts as, and what it can see and do. Raises what it cannot even begin with."""

    @property
    def system(self) -> str:
        return self.SYSTEM

    @property
    def display_name(self) -> str:
        return self._display_name

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await surely(self.disconnect())
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await surely(self.disconnect())

    async def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        found = await self._root_of_walk(root)
        walk = TreeWalk(found, self.lister(), self._page_entries)
        async with aclosing(walk.pages(resume_from)) as pages:
            async for page in pages:
                yield page

    async def inside(self, path: PathParts) -> tuple[Entry, ...]:
        return tuple(visible(await self.list_folder(await self._root_of_walk(path))))

    @asynccontextmanager
    async def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        async def ended() -> None:
            if not self.READINGS_ARE_OF_ONE_VERSION and not await self.unchanged(entry):
                raise source_changed(readable(entry.path))

        expected = expected_bytes(entry, offset, length)
        if expected == 0:
            if not await self.unchanged(entry):
                raise source_changed(readable(entry.path))
            yield measured(_nothing(), 0, ended)
            return
        async with self.read(entry, offset, length) as chunks:
            yield measured(chunks, expected, ended)

    async def stat(self, path: PathParts) -> Entry | None:
        self.check(path)
        return await self.look(path)

    async def make_folder(self, path: PathParts) -> Ref:
        self.check(path)
        return await self.folders.make(path)

    async def put(
        self,
        path: PathParts,
        chunks: AsyncIterator[bytes],
        *,
        size_bytes: int | None,
        modified_at: datetime | None,
        precondition: Precondition,
        staging_key: str,
        before_publish: Callable[[], Awaitable[None]],
    ) -> Stored:
        check_key(staging_key)
        self.check(path)
        if not path:
            raise ItemError("not-a-file", f"{self.shown(path)}: the root of the connection cannot be replaced.")
        upload = self.upload(incoming(path, size_bytes, modified_at, precondition, staging_key))
        try:
            await _receive(upload, chunks, size_bytes)
            await before_publish()
            return await to_the_end(upload.publish())
        except BaseException:
            await surely(upload.discard())
            raise

    async def test(self) -> ConnectionReport:
        try:
            who, findings = await self.examine()
        except SiteHaulError as error:
            finding = Finding("problem", error.code, error.message, error.fix)
            return ConnectionReport(usable=False, who=None, findings=(finding,))
        usable = not any(finding.level == "problem" for finding in findings)
        return ConnectionReport(usable=usable, who=who, findings=findings)

    def check(self, path: PathParts) -> None:
        """Refuse a path that the system cannot keep. ItemError, see `connectors.shared.paths`."""
        check_path(path, self._capabilities.names, slash_is_legal=self.SLASH_IS_LEGAL)

    async def _root_of_walk(self, root: PathParts) -> Entry:
        self.check(root)
        found = await self.look(root)
        if found is None or found.kind is not EntryKind.FOLDER:
            raise ConfigurationError(
                "folder-missing",
                f"There is no folder {self.shown(root)}.",
                fix="Correct the path of the job or make the folder.",
            )
        return found


def destination_changed(shown: str, what: str) -> PreconditionFailed:
    """The destination is not as the plan saw it; `what` completes "…: ", for example "something is there now"."""
    return PreconditionFailed(
        "destination-changed",
        f"{shown} has changed since the plan was made: {what}.",
        fix="Run again; the next plan decides anew.",
    )


def check_expected(shown: str, found: Entry | None, expected: Entry | None) -> None:
    """Raise PreconditionFailed `destination-changed` unless what is there is what the plan saw: nothing, or the file in
    the same version and size."""
    if expected is None:
        if found is not None:
            raise destination_changed(shown, "something is there now")
    elif found is None:
        raise destination_changed(shown, "the file to replace is gone")
    elif not (expected.is_file and found.is_file):
        raise destination_changed(shown, "what is there cannot be replaced by a file")
    elif not same_version(found, expected):
        raise destination_changed(shown, "the file to replace was changed")


def same_version(found: Entry, expected: Entry) -> bool:
    """Whether it still is the same file with the same content, as far as the system can tell."""
    versions = (found.ref.version_id, expected.ref.version_id)
    if found.ref.id != expected.ref.id or found.size_bytes != expected.size_bytes:
        return False
    return None in versions or versions[0] == versions[1]


async def _nothing() -> AsyncIterator[bytes]:
    empty: tuple[bytes, ...] = ()
    for chunk in empty:
        yield chunk


async def _receive(upload: Upload, chunks: AsyncIterator[bytes], size_bytes: int | None) -> None:
    """Everything into the upload; while one part is on its way the next is gathered."""
    running: asyncio.Task[None] | None = None
    try:
        async with aclosing(parts(chunks, upload.part_bytes, size_bytes)) as incoming:
            async for part in incoming:
                if running is not None:
                    await running
                if part.is_last:
                    running = None
                    await upload.write(part)
                else:
                    running = asyncio.create_task(upload.write(part))
    except BaseException:
        if running is not None:
            running.cancel()
            await surely(_ended(running))
        raise
    await upload.finish()


async def _ended(running: asyncio.Task[None]) -> None:
    await asyncio.wait([running])
    if not running.cancelled():
        running.exception()
