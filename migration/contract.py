"""The contract every connector fulfils. tests/contract/ proves it for each of them.

Paths handed to a connector start at the connection's root; paths in walked entries start at the walked root.
A connector is an async context manager: entering opens connections, leaving closes them. It raises only the errors of
migration/errors.py (translated once, at its edge) and asyncio.CancelledError.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self, runtime_checkable

from migration.capabilities import Capabilities
from migration.entries import Entry, ListingProblem, PathParts, Ref


@dataclass(frozen=True, slots=True)
class WalkPage:
    """Some entries of a walk. `cursor` continues the walk right after this page; None = this was the last page.

    `restarted` True means the listing changed under the walk and begins again: the caller discards every page so far.
    """

    entries: tuple[Entry, ...]
    problems: tuple[ListingProblem, ...]
    cursor: str | None
    calls: int = 0
    expected_total: int | None = None
    """How many entries the whole walk will give, when the system says so."""
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class Precondition:
    """What the plan saw at the destination path; None = nothing there. Publishing refuses anything else."""

    expected: Entry | None = None
    keep_replaced: bool = False
    """Whether what is replaced is to be kept: systems that keep versions do so anyway, others with a trash
    (`Operation.DELETE_TO_TRASH`) move it there when the new file becomes visible."""
    trash_key: str | None = None
    """What it is called there, as in `Trash.delete_to_trash`."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the destination now holds. `name` is the name as the system kept it; `stored_sha256` is given only when the
    system's stored bytes were hashed by it or by the connector, not when only the sent bytes were. `confirmed_by` names
    the system's own checksum of what it stored, another than SHA-256, that equals that of the bytes sent.

    Where a system rewrites content (`Capabilities.rewritten_suffixes`) size, version and `stored_sha256` are those of
    what it made of it.
    """

    ref: Ref
    name: str
    size_bytes: int
    modified_at: datetime | None
    stored_sha256: str | None = None
    confirmed_by: str | None = None
    trashed: str | None = None
    """What `Trash.restore` needs to bring back what was replaced; None when nothing went to a trash."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of a connection test. `level` is info, warning or problem."""

    level: str
    code: str
    message: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What a connection can see and do, in words a person can act on."""

    usable: bool
    who: str | None
    findings: tuple[Finding, ...]
    roots: tuple[str, ...] = ()
    """What can be named as the first part of a job's path (Procore: projects); empty when there is no choice."""


class Source(Protocol):
    """Access to one system through one connection, for reading."""

    @property
    def system(self) -> str:
        """Stable lower-case name of the system, the `system` of every Ref it makes."""
        ...

    @property
    def display_name(self) -> str:
        """What people call the system."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """Constant for the life of the connector."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        """List everything below `root`, folders before what is in them, in an order that is the same for an unchanged
        system. The root itself is not an entry. A missing root raises ConfigurationError (never an empty walk); a part
        that cannot be listed is a ListingProblem, not an exception."""
        ...

    def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The entry's bytes from `offset`, `length` of them or to the end; each chunk is non-empty, at most 4 MiB.

        A body shorter or longer than the entry says is a RetryableError (code `short-body`, `long-body`) raised by the
        iterator, never an end. A source whose version is no longer the entry's raises ItemError `source-changed`.
        """
        ...

    async def test(self) -> ConnectionReport:
        """Try what can be tried without changing anything; never raises for what a report can say."""
        ...


@runtime_checkable
class Destination(Source, Protocol):
    """The same, for writing as well. Which connectors are one is found by `isinstance`."""

    async def stat(self, path: PathParts) -> Entry | None:
        """The entry at `path` now; None if nothing is there. `entry.path` is `path`."""
        ...

    async def make_folder(self, path: PathParts) -> Ref:
        """Make the folder and its parents; one that is already there is returned. A file in the way is an ItemError
        `not-a-folder`."""
        ...

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
        """Write a file under a staged name or upload session, then publish it as `path` if the precondition holds.

        `before_publish` is awaited once, after every byte is at the destination (or, for a small file that one request
        sends and publishes, in memory) and before anything becomes visible; if it raises, nothing is published.
        `staging_key` (file-name safe, ≤ 64 characters) names the staged state, so that a retry after a crash replaces
        the leftover. On any failure or cancellation nothing is visible and nothing staged stays behind; but
        RetryableError `publish-unknown` says that the answer to the publishing step was lost and the file may be
        there, whole: the caller looks. `size_bytes` None = unknown. Fewer or more bytes than `size_bytes` raise
        RetryableError.
        The parent folder must exist: ItemError `parent-missing` otherwise.
        """
        ...


@runtime_checkable
class Flushable(Protocol):
    """A destination whose published files become durable only when asked. Called before outcomes are recorded."""

    async def flush(self, paths: tuple[PathParts, ...]) -> None:
        """Return when the content and names of these published files would survive a power loss."""
        ...


WriteAt = Callable[[int, bytes], Awaitable[None]]
"""Write these bytes at this offset; may be called for several places at once."""


@runtime_checkable
class RangeWritable(Protocol):
    """A destination that takes one file's bytes in any order, several pieces at once (`Operation.RANGE_WRITES`)."""

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
        """As `Destination.put`, but the bytes come from `fill`, which is awaited once with `write_at`.

        `write_at(offset, chunk)` returns when the bytes are at the destination; a chunk that reaches beyond
        `size_bytes` is a RetryableError `long-body`. When `fill` returns, `size_bytes` bytes must have been written:
        RetryableError `short-body` otherwise. That no two pieces overlap is the caller's duty. `before_publish` comes
        after that, then the publishing.
        """
        ...


@runtime_checkable
class ContentHash(Protocol):
    """A system that hashes what it stores itself, without handing out the bytes (`Operation.CONTENT_HASH`)."""

    async def sha256(self, path: PathParts) -> str:
        """The SHA-256 of the file's stored bytes, read now, lower-case hexadecimal. ItemError `not-found` or
        `not-a-file` when there is no file at `path`."""
        ...


@runtime_checkable
class Movable(Protocol):
    """A system that moves and renames files and folders without their bytes passing through (`Operation.MOVE`)."""

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """Move the entry, a folder with all that is in it, to this path from the connection's root; its ref there.

        PreconditionFailed `destination-changed` when something is there, ItemError `parent-missing` when the folder
        around it is not, ItemError `source-changed` when the entry is no longer there in its version; nothing is moved
        then.
        """
        ...


@runtime_checkable
class Trash(Protocol):
    """A system where what was deleted can be brought back (`Operation.DELETE_TO_TRASH`)."""

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:
        """Delete the entry, a folder with all that is in it; what `restore` needs to bring it back. ItemError
        `source-changed` when it is no longer there in its version; nothing is deleted then. `key` (file-name safe,
        at most 64 characters, never used before for anything else) lets `find_deleted` find it."""
        ...

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:
        """What `delete_to_trash` returned for the entry that was at `path` (or a replacing `put` with that
        `trash_key`) when the answer was lost; None when nothing of the kind is in the trash. Systems with a trash of
        their own find things there by the entry's ref and need not look before `restore` does."""
        ...

    async def restore(self, token: str) -> PathParts:
        """Bring back what was deleted; the path where it is again. PreconditionFailed `destination-changed` when
        something else is there now, ItemError `not-restorable` when it cannot be had any more."""
        ...


@runtime_checkable
class Versioned(Protocol):
    """A system that keeps earlier versions of a file (`Operation.VERSIONS`)."""

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        """Every version of the file, oldest first, the current one last; each can be opened. ItemError `not-found`."""
        ...


@runtime_checkable
class StagedSweep(Protocol):
    """A destination where a process that died may leave staged state of its own."""

    async def sweep_staged(self, root: PathParts) -> int:
        """Remove every staged file or upload session of SiteHaul below `root`, published files untouched; how many.
        To be called while nobody writes there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChild:
    """A project or folder as the source lists it now. None = the system does not say."""

    id: str
    name: str
    path: PathParts
    """How a job names it, from the connection's root; by its id where the system takes that."""
    number: str | None = None
    display_name: str | None = None
    stage: str | None = None
    is_active: bool | None = None
    changed_at: datetime | None = None
    created_at: datetime | None = None
    company: str | None = None
    company_id: str | None = None

    @property
    def names(self) -> tuple[str | None, ...]:
        """What patterns are compared with."""
        return (self.name, self.number, self.display_name)


@runtime_checkable
class Company(Protocol):
    """A system whose root holds projects, each a tree of its own. What jobs of the kind company need."""

    async def projects(self) -> tuple[FoundChild, ...]:
        """Every project that this connection sees, in the system's order. What it may do there is not asked."""
        ...


@runtime_checkable
class Browsable(Protocol):
    """A system that can list one folder without what is below it. What jobs of the kind folder_mapping need."""

    async def inside(self, path: PathParts) -> tuple[Entry, ...]:
        """What is directly in the folder at this path from the connection's root, by name, as a walk would list it;
        the entries' paths start at the connection's root. ConfigurationError for a folder that is not there."""
        ...
