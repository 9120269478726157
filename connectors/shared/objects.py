"""Objects under keys, in systems that know no folders: what S3, Azure Blob Storage and Google Cloud Storage share.

A key is the connection's prefix and the path joined by slashes. A folder is what keys have in common up to a slash; an
empty object whose key ends with a slash (or that the service marks as one) keeps a folder that holds nothing.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, Protocol

from connectors.shared.paths import is_staged
from connectors.shared.receiving import Part
from connectors.shared.trash import TRASH_FOLDER
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ItemError

STAGED_FOLDER = ".sitehaul-staged"
"""At the connection's root: an empty object for each upload in parts that is under way. Not listed by walks."""
MTIME, SHA256, STAGED_AS = "mtime", "sha256", "sitehaulkey"
"""Names of metadata: when the file was modified (rclone's name), the SHA-256 of the bytes sent, the staging key."""
_NOTHING: Mapping[str, str] = MappingProxyType({})
_SECONDS = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object as the service tells of it."""

    key: str
    size_bytes: int
    version_id: str
    """The ETag or what else tells contents apart."""
    changed_at: datetime | None
    """By the service's own clock."""
    metadata: Mapping[str, str] | None = None
    """Names in small letters; None = not told (S3 tells it one object at a time)."""
    is_folder: bool = False
    """Whether the service marks it as a folder, whatever its key ends with."""
    checksums: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Those the service computed or verified itself, of the whole content."""


@dataclass(frozen=True, slots=True)
class FoundPage:
    """Objects in the service's order, and the prefixes that end at the delimiter if one was asked for."""

    objects: Sequence[Found]
    prefixes: Sequence[str] = ()
    following: str | None = None
    """Where the next page begins; None = this was the last one."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to be under the key when an object is published: nothing, or the object in this version."""

    version_id: str | None = None
    always: bool = False
    """Whatever is there."""


ABSENT, ALWAYS = Condition(), Condition(always=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is to be kept with an object besides its content."""

    modified_at: datetime
    staging_key: str
    sha256: str | None = None
    """Of the bytes sent, where it is known before they are sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the service said of an object it took."""

    version_id: str
    changed_at: datetime | None = None
    sha256: str | None = None
    """Computed or verified by the service."""
    confirmed_by: str | None = None
    """Another checksum of the service that equals that of the bytes sent."""


class ConditionFailed(ItemError):
    """Something else is under the key than the condition said; never leaves a connector."""

    def __init__(self, key: str) -> None:
        super().__init__("condition-failed", f"{key} is not as it was expected to be.")


class Session(Protocol):
    """An upload in parts. `write` for each part in order, `finish`, `complete`; `abort` after anything, and again."""

    async def write(self, part: Part) -> None:
        """Take the part; several may be on their way when this returns."""
        ...

    async def finish(self) -> None:
        """Return when every part is there."""
        ...

    async def complete(self, condition: Condition) -> Published:
        """Make the object visible. ConditionFailed; RetryableError `answer-lost` when it may have happened."""
        ...

    async def settle(self) -> None:
        """Remove what only served the upload, now that the object is visible; without raising for what can stay."""
        ...

    async def abort(self) -> None:
        """Remove what is there of the upload."""
        ...


class ObjectService(Protocol):
    """One bucket or container, call by call. Raises the errors of migration/errors.py."""

    CONTINUES_AFTER_KEYS: ClassVar[bool]
    """Whether a page can begin after any key (its position is that key); else positions are only those it gave."""
    LISTS_METADATA: ClassVar[bool]
    """Whether listings tell the metadata."""

    @property
    def conditional(self) -> bool:
        """Whether the service honours conditions."""
        ...

    def shown(self, key: str) -> str:
        """The key as people write it, with the bucket."""
        ...

    def part_bytes(self, size_bytes: int | None) -> int:
        """How long the parts of a file of this size are; what fits into one is sent by one request."""
        ...

    async def page(self, prefix: str, position: str | None, *, delimiter: str = "", limit: int = 1000) -> FoundPage:
        """A page of the objects whose keys begin with the prefix."""
        ...

    async def head(self, key: str, version_id: str | None = None) -> Found | None:
        """The object with its metadata; None if there is none."""
        ...

    def get(
        self, key: str, version_id: str | None, offset: int, length: int | None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The object's bytes. ItemError `source-changed` when it is not there in this version."""
        ...

    async def put(self, key: str, content: bytes, facts: Facts, condition: Condition) -> Published:
        """Write an object by one request. ConditionFailed; RetryableError `answer-lost` when it may have happened."""
        ...

    async def put_folder(self, key: str) -> None:
        """Write the empty object that stands for a folder; doing it twice is the same."""
        ...

    async def begin(self, key: str, facts: Facts, size_bytes: int | None) -> Session:
        """Begin an upload in parts."""
        ...

    async def copy(self, found: Found, to_key: str) -> str | None:
        """Copy an object with its metadata; the copy's version, None if it is not told. ConditionFailed when the object
        is not in this version. PreconditionFailed when something is there and the service has a condition for that;
        it is copied over otherwise."""
        ...

    async def delete(self, key: str, version_id: str | None) -> None:
        """Delete an object; one that is gone is no error. ConditionFailed when it is there in another version."""
        ...


class Keys:
    """How paths from the connection's root and keys belong together."""

    def __init__(self, system: str, prefix: str, *, keeps_times: bool) -> None:
        """`prefix` is empty or ends with a slash. `keeps_times`: files are dated by their metadata, where it has a
        time; else by the service."""
        self.system = system
        self.prefix = prefix
        self._keeps_times = keeps_times

    def key(self, path: PathParts) -> str:
        """The key of a file."""
        return self.prefix + "/".join(path)

    def folder_key(self, path: PathParts) -> str:
        """What the keys of everything in a folder begin with."""
        return f"{self.key(path)}/" if path else self.prefix

    def path(self, key: str) -> PathParts | None:
        """The inverse of both; None for a key that is no path (`a//b`, `../a`, control characters)."""
        rest = key[len(self.prefix) :].removesuffix("/")
        if not rest:
            return ()
        names = tuple(rest.split("/"))
        unusable = any(name in ("", ".", "..") for name in names) or _CONTROLS.search(rest)
        return None if unusable else names

    def ref(self, path: PathParts, version_id: str | None = None, *, folder: bool = False) -> Ref:
        """Identity: the path; a folder's ends with a slash, so that an object of the same name is another one."""
        return Ref(self.system, "/".join(path) + ("/" if folder and path else ""), version_id)

    def path_of(self, ref: Ref) -> PathParts:
        """The inverse of `ref`."""
        return tuple(ref.id.removesuffix("/").split("/")) if ref.id else ()

    def folder(self, path: PathParts) -> Entry:
        """The entry of a folder."""
        return Entry(
            ref=self.ref(path, folder=True),
            parent=self.ref(path[:-1], folder=True) if path else None,
            name=path[-1] if path else "",
            path=path,
            kind=EntryKind.FOLDER,
        )

    def file(self, path: PathParts, found: Found) -> Entry:
        """The entry of an object."""
        return Entry(
            ref=self.ref(path, found.version_id),
            parent=self.ref(path[:-1], folder=True),
            name=path[-1],
            path=path,
            kind=EntryKind.FILE,
            size_bytes=found.size_bytes,
            modified_at=self.modified_at(found),
            checksums=found.checksums,
        )

    def modified_at(self, found: Found) -> datetime | None:
        """When the content was modified, as far as is known."""
        text = (found.metadata or _NOTHING).get(MTIME) if self._keeps_times else None
        kept = None if text is None else time_of(text)
        return kept or found.changed_at


def is_hidden(path: PathParts) -> bool:
    """Whether it is SiteHaul's own and not listed."""
    return bool(path) and (path[0] in (TRASH_FOLDER, STAGED_FOLDER) or is_staged(path[-1]))


def seconds_text(at: datetime) -> str:
    """A time as rclone keeps it in S3: seconds since 1970 with a fraction."""
    microseconds = (at - _EPOCH) // timedelta(microseconds=1)
    sign, microseconds = ("-", -microseconds) if microseconds < 0 else ("", microseconds)
    return f"{sign}{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


def moment_text(at: datetime) -> str:
    """A time as rclone keeps it in Azure and Google Cloud Storage: RFC 3339."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def time_of(text: str) -> datetime | None:
    """A time in either form, to the microsecond; None for what is none."""
    try:
        if found := _SECONDS.fullmatch(text):
            sign, whole, fraction = found.groups()
            microseconds = int(whole) * 1_000_000 + int((fraction or "")[:6].ljust(6, "0"))
            return _EPOCH + timedelta(microseconds=-microseconds if sign else microseconds)
        if found := _MOMENT.fullmatch(text):
            moment, fraction, zone = found.groups()
            at = datetime.fromisoformat(moment + zone.replace("Z", "+00:00")).astimezone(UTC)
            return at + timedelta(microseconds=int((fraction or "")[:6].ljust(6, "0")))
    except (ValueError, OverflowError):
        return None
    return None
