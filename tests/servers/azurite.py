"""Azurite: Microsoft's stand-in of Azure Blob Storage (npm package azurite, put into .cache by .ci/install-servers).

What it does unlike Azure: names of metadata come back as they were first written, one call takes about 6 ms.
"""

import base64
import contextlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient, ContainerSasPermissions, generate_container_sas

from tests.servers.plain import MODIFIED, PathParts, open_folder
from tests.servers.programs import program, started

ACCOUNT, CONTAINER = "sitehaul", "files"
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Container:
    """What a container holds below a prefix, seen by Microsoft's own client. Paths are the names between slashes."""

    client: ContainerClient
    prefix: str = ""
    """Empty, or ends with a slash."""

    def below(self, *names: str) -> "Container":
        """What is below these names; nothing is made."""
        return Container(self.client, self.prefix + "".join(f"{name}/" for name in names))

    def key(self, path: PathParts) -> str:
        """The name of a blob."""
        return self.prefix + "/".join(path)

    def content(self, path: PathParts) -> bytes | None:
        """The bytes of the blob; None if there is none."""
        try:
            return bytes(self.client.download_blob(self.key(path)).readall())
        except ResourceNotFoundError:
            return None

    def facts(self, path: PathParts) -> dict[str, Any]:
        """The blob's properties: metadata, size, etag, last_modified, content_settings …"""
        return dict(self.client.get_blob_client(self.key(path)).get_blob_properties())

    def plant(
        self, path: PathParts, content: bytes, modified_at: datetime = MODIFIED,
        *, metadata: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Put a blob there. The time is kept as rclone does, in the metadata `mtime`, unless other metadata is given:
        Azure dates a blob itself."""
        kept = {"mtime": modified_at.isoformat()} if metadata is None else dict(metadata)
        self.client.upload_blob(self.key(path), content, overwrite=True, metadata=kept)

    def plant_folder(self, path: PathParts) -> None:
        """Put the empty blob there that stands for a folder: its metadata says `hdi_isfolder`."""
        self.client.upload_blob(self.key(path), b"", overwrite=True, metadata={"hdi_isfolder": "true"})

    def remove(self, path: PathParts) -> None:
        """Remove the blob."""
        self.client.delete_blob(self.key(path))

    def everything(self) -> set[PathParts]:
        """Every blob that is not a folder's, staged ones included."""
        return {path for path, is_folder in self._blobs() if not is_folder}

    def folders(self) -> set[PathParts]:
        """Every blob that stands for a folder."""
        return {path for path, is_folder in self._blobs() if is_folder}

    def unfinished(self) -> list[PathParts]:
        """The paths that have uncommitted blocks, with or without a blob."""
        names = {str(blob.name) for blob in self.client.list_blobs(self.prefix, include=["uncommittedblobs"])}
        return sorted(self._path(name) for name in names if self._uncommitted(name))

    def _uncommitted(self, name: str) -> bool:
        return bool(self.client.get_blob_client(name).get_block_list("uncommitted")[1])

    def _blobs(self) -> list[tuple[PathParts, bool]]:
        found = self.client.list_blobs(self.prefix, include=["metadata"])
        return [(self._path(str(blob.name)), "hdi_isfolder" in (blob.metadata or {})) for blob in found]

    def _path(self, name: str) -> PathParts:
        return tuple(name.removeprefix(self.prefix).split("/"))


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running Azurite."""

    url: str
    """Of the storage account: `http://127.0.0.1:PORT/ACCOUNT`."""
    account: str
    key: str = field(repr=False)
    wrong_key: str = field(repr=False)
    """Well formed, of nobody."""
    sas: str = field(repr=False)
    """A token (without `?`) for the container that may do all."""
    readonly_sas: str = field(repr=False)
    """A token for the container that may list and read."""
    expired_sas: str = field(repr=False)
    container: str
    files: Container
    """What `container` holds."""
    pid: int
    log: Path

    @property
    def connection_string(self) -> str:
        """What Microsoft's clients are given."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.key};BlobEndpoint={self.url};"
        )

    def new_container(self, name: str) -> Container:
        """An empty container."""
        return Container(BlobServiceClient(self.url, _named(self.account, self.key)).create_container(name))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Azurite]:
    """Azurite until the block ends. Raises ServerMissing where it is not installed, NotStarted."""
    azurite = _installed()
    key, wrong = (base64.b64encode(secrets.token_bytes(64)).decode() for _ in range(2))

    def ready(ports: Sequence[int]) -> bool:
        with contextlib.suppress(AzureError):
            with contextlib.suppress(ResourceExistsError):
                _service(ports[0], key).create_container(CONTAINER)
            return True
        return False

    with ExitStack() as stack:
        work = stack.enter_context(open_folder())
        server = stack.enter_context(
            started("azurite", lambda ports: [azurite, *_words(ports[0], work)], folder=folder, ready=ready,
                    environment={"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"})
        )  # fmt: skip
        files = Container(_service(server.ports[0], key).get_container_client(CONTAINER))
        yield Azurite(
            _url(server.ports[0]), ACCOUNT, key, wrong, _sas(key, "racwdl"), _sas(key, "rl"),
            _sas(key, "racwdl", hours=-1), CONTAINER, files, server.pid, server.log,
        )  # fmt: skip


def _installed() -> str:
    program("node", "nodejs brings it: .ci/install-servers")
    for found in sorted(_ROOT.glob(".cache/azurite-*/node_modules/.bin/azurite-blob")):
        return str(found)
    return program("azurite-blob", "the npm package azurite brings it: .ci/install-servers")


def _words(port: int, work: Path) -> list[str]:
    words = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(work)]
    return [*words, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/{ACCOUNT}"


def _named(account: str, key: str) -> dict[str, str]:
    return {"account_name": account, "account_key": key}


def _service(port: int, key: str) -> BlobServiceClient:
    return BlobServiceClient(_url(port), _named(ACCOUNT, key), retry_total=0)


def _sas(key: str, may: str, hours: int = 12) -> str:
    return generate_container_sas(
        ACCOUNT, CONTAINER, key, permission=ContainerSasPermissions.from_string(may),
        start=datetime.now(UTC) - timedelta(days=1), expiry=datetime.now(UTC) + timedelta(hours=hours),
    )  # fmt: skip
