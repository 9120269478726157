"""Google Cloud Storage: the stand-in of `simulator.clouds.gcs`, with the shape of the other servers here.

The emulators that packages bring ignore preconditions, credentials and pages, and one says that a byte has arrived when
none has.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from simulator.clouds import gcs
from simulator.clouds.gcs import GcsCloud
from tests.servers.plain import MODIFIED, PathParts


@dataclass(frozen=True, slots=True)
class Bucket:
    """What a bucket holds below a prefix, seen past the API. Paths are the parts of names between slashes."""

    cloud: GcsCloud
    name: str
    prefix: str = ""
    """Empty, or ends with a slash."""

    def below(self, *names: str) -> "Bucket":
        """What is below these names; nothing is made."""
        return Bucket(self.cloud, self.name, self.prefix + "".join(f"{name}/" for name in names))

    def key(self, path: PathParts) -> str:
        """The name of a path's object."""
        return self.prefix + "/".join(path)

    def content(self, path: PathParts) -> bytes | None:
        """The bytes of the object; None if there is none."""
        return self.cloud.stored(self.name, self.key(path))

    def facts(self, path: PathParts) -> dict[str, Any] | None:
        """The object as the API describes it: metadata, generation, md5Hash, size …; None if there is none."""
        return self.cloud.facts(self.name, self.key(path))

    def plant(
        self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED,
        *, metadata: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Put an object there. The time is kept as gsutil's `goog-reserved-file-mtime` (whole seconds), unless other
        metadata is given: Google dates an object itself."""
        kept = {"goog-reserved-file-mtime": str(int(modified_at.timestamp()))} if metadata is None else metadata
        self.cloud.put(self.name, self.key(path), content, metadata=kept)

    def plant_folder(self, path: PathParts) -> None:
        """Put the empty object there that stands for a folder."""
        self.cloud.put(self.name, f"{self.key(path)}/", b"")

    def remove(self, path: PathParts) -> None:
        """Delete the live object. Raises KeyError if there is none."""
        self.cloud.delete(self.name, self.key(path))

    def everything(self) -> set[PathParts]:
        """Every object that does not stand for a folder, staged ones included."""
        return {tuple(name.split("/")) for name in self._names() if not name.endswith("/")}

    def folders(self) -> set[PathParts]:
        """Every empty object that stands for a folder."""
        return {tuple(name.rstrip("/").split("/")) for name in self._names() if name.endswith("/")}

    def unfinished(self) -> list[PathParts]:
        """The paths that open upload sessions are for."""
        names = self.cloud.unfinished_names(self.name)
        return [tuple(name.removeprefix(self.prefix).split("/")) for name in names if name.startswith(self.prefix)]

    def _names(self) -> list[str]:
        names = self.cloud.names(self.name)
        return [
            name.removeprefix(self.prefix) for name in names if name.startswith(self.prefix) and name != self.prefix
        ]


@dataclass(frozen=True, slots=True)
class Gcs:
    """A running Google Cloud Storage."""

    url: str
    """Stands for https://storage.googleapis.com: /storage/v1, /upload/storage/v1, /download/storage/v1."""
    bucket: str
    versioned_bucket: str
    key_file: Path
    """Of a service account that may do all with objects (and not ask for the bucket itself)."""
    readonly_key_file: Path
    """Of one that may list and read."""
    creator_key_file: Path
    """Of one that may only make objects, and not replace any."""
    stranger_key_file: Path
    """Of one that may do nothing here."""
    files: Bucket
    """What `bucket` holds."""
    versioned: Bucket
    """What `versioned_bucket` holds."""
    cloud: GcsCloud
    """Faults, switches, log: see `simulator.clouds.base.Cloud`."""


@contextlib.contextmanager
def running(folder: Path, **switches: Any) -> Iterator[Gcs]:
    """The stand-in until the block ends; `switches` are those of `simulator.clouds.gcs.switches`."""
    folder.mkdir(parents=True, exist_ok=True)
    with gcs.running(**switches) as cloud:
        users = (gcs.KEEPER, gcs.READER, gcs.CREATOR, gcs.STRANGER)
        keeper, reader, creator, stranger = (_key_file(folder, cloud, user) for user in users)
        yield Gcs(
            cloud.url, gcs.BUCKET, gcs.VERSIONED, keeper, reader, creator, stranger,
            Bucket(cloud, gcs.BUCKET), Bucket(cloud, gcs.VERSIONED), cloud,
        )  # fmt: skip


def _key_file(folder: Path, cloud: GcsCloud, user: str) -> Path:
    file = folder / f"{user.partition('@')[0]}.json"
    file.write_text(json.dumps(cloud.key_file(user)))
    return file
