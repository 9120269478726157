"""Buckets and their objects.

What an object is called in the API and how names, metadata and generations behave:
https://cloud.google.com/storage/docs/json_api/v1/objects and https://cloud.google.com/storage/docs/objects
"""

import base64
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import google_crc32c

from simulator.clouds.base import Content
from simulator.clouds.content import Digest

BUCKET, VERSIONED = "site-archive-files", "site-archive-versions"
NAME_BYTES_MAX = 1024
METADATA_BYTES_MAX = 8192
WRITABLE = frozenset((
    "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "customTime",
    "metadata", "storageClass", "eventBasedHold", "temporaryHold",
))  # fmt: skip


@dataclass(slots=True)
class Object:
    """One generation of an object."""

    bucket: str
    name: str
    generation: int
    content: Content
    fields: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    metageneration: int = 1
    components: int | None = None
    """Of how many objects it was composed; such an object has no MD5."""
    deleted_at: datetime | None = None
    """When it ceased to be the live one."""

    @property
    def crc32c(self) -> str:
        """As the API writes it."""
        return base64.b64encode(self.content.digest_by("crc32c", crc32c)).decode()

    @property
    def md5(self) -> str | None:
        """As the API writes it."""
        return None if self.components else base64.b64encode(bytes.fromhex(self.content.md5)).decode()

    @property
    def etag(self) -> str:
        """Changes with the generation and with the metageneration."""
        return base64.b64encode(f"{self.generation}/{self.metageneration}".encode()).decode()


@dataclass(slots=True)
class Bucket:
    """A bucket: what is live, in the order of names, and what was."""

    name: str
    versioned: bool
    names: list[str] = field(default_factory=list)
    """Of the live objects, in the order of their UTF-8 bytes, which is that of their code points."""
    live: dict[str, Object] = field(default_factory=dict)
    old: dict[str, list[Object]] = field(default_factory=dict)
    """What is not live any more of each name, oldest first. Only a versioned bucket keeps it."""

    def put(self, new: Object) -> None:
        """Make it the live one."""
        if new.name in self.live:
            self._retire(self.live[new.name], new.created_at)
        else:
            insort(self.names, new.name)
        self.live[new.name] = new

    def delete(self, gone: Object, now: datetime, *, for_good: bool) -> None:
        """Delete a generation: the live one of a versioned bucket is kept as an old one unless it is `for_good`."""
        if self.live.get(gone.name) is not gone:
            self.old[gone.name].remove(gone)
            return
        del self.live[gone.name]
        del self.names[bisect_left(self.names, gone.name)]
        if not for_good:
            self._retire(gone, now)

    def find(self, name: str, generation: int | None) -> Object | None:
        """A generation; the live one if None is given."""
        live = self.live.get(name)
        if generation is None:
            return live
        kept = [*self.old.get(name, ()), *([] if live is None else [live])]
        return next((one for one in kept if one.generation == generation), None)

    def _retire(self, old: Object, now: datetime) -> None:
        if self.versioned:
            old.deleted_at = now
            self.old.setdefault(old.name, []).append(old)


@dataclass(slots=True)
class World:
    """Every bucket."""

    buckets: dict[str, Bucket] = field(
        default_factory=lambda: {BUCKET: Bucket(BUCKET, False), VERSIONED: Bucket(VERSIONED, True)}
    )
    _generation: int = 0

    def bucket(self, name: str) -> Bucket:
        """Raises KeyError for none of this name."""
        return self.buckets[name]

    def next_generation(self, now: datetime) -> int:
        """Greater than every one before: microseconds since 1970, as Google's look."""
        self._generation = max(self._generation + 1, int(now.timestamp() * 1e6))
        return self._generation

    def used_bytes(self) -> int:
        """Of what is live."""
        return sum(one.content.size_bytes for bucket in self.buckets.values() for one in bucket.live.values())


def name_problem(name: str) -> str | None:
    """Why an object may not be called so; None if it may."""
    if not name:
        return "Required"
    if len(name.encode("utf-8", "surrogatepass")) > NAME_BYTES_MAX:
        return "The specified object name is not valid: it is longer than 1024 bytes."
    if name in (".", "..") or name.startswith(".well-known/acme-challenge/"):
        return "The specified object name is not valid."
    if "\r" in name or "\n" in name or any("\ud800" <= one <= "\udfff" for one in name):
        return "Disallowed unicode characters present in object name."
    return None


def metadata_problem(metadata: Mapping[str, Any]) -> str | None:
    """Why an object may not have these metadata; None if it may."""
    if not all(isinstance(value, str) for value in metadata.values()):
        return "Invalid value for: metadata"
    size = sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())
    return None if size <= METADATA_BYTES_MAX else "The metadata of an object may have 8192 bytes at most."


def described(one: Object, url: str, *, full: bool = False) -> dict[str, Any]:
    """The object as the API describes it."""
    path = f"/b/{one.bucket}/o/{quote(one.name, safe='')}"
    md5 = one.md5
    value: dict[str, Any] = {
        "kind": "storage#object",
        "id": f"{one.bucket}/{one.name}/{one.generation}",
        "selfLink": f"{url}/storage/v1{path}",
        "mediaLink": f"{url}/download/storage/v1{path}?generation={one.generation}&alt=media",
        "name": one.name,
        "bucket": one.bucket,
        "generation": str(one.generation),
        "metageneration": str(one.metageneration),
        "storageClass": "STANDARD",
        "size": str(one.content.size_bytes),
        "crc32c": one.crc32c,
        "etag": one.etag,
        "timeCreated": _text(one.created_at),
        "updated": _text(one.updated_at),
        "timeStorageClassUpdated": _text(one.created_at),
        "timeFinalized": _text(one.created_at),
        **one.fields,
    }
    if md5 is not None:
        value["md5Hash"] = md5
    if one.components:
        value["componentCount"] = one.components
    if one.deleted_at is not None:
        value["timeDeleted"] = _text(one.deleted_at)
    if full:
        value["owner"] = {"entity": "project-owners-105"}
    return value


def _text(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def crc32c() -> Digest:
    """Begin such a checksum."""
    running: Digest = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    return running
