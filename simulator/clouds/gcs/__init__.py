"""A stand-in of Google Cloud Storage on loopback, see `simulator.clouds.gcs.service`."""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from simulator.clouds.base import Cloud, Path, served
from simulator.clouds.gcs.service import Gcs
from simulator.clouds.gcs.switches import GcsSwitches
from simulator.clouds.gcs.tokens import CREATOR, KEEPER, READER, STRANGER
from simulator.clouds.gcs.world import BUCKET, VERSIONED

__all__ = ["BUCKET", "CREATOR", "KEEPER", "READER", "STRANGER", "VERSIONED", "GcsCloud", "running"]


class GcsCloud(Cloud):
    """A Google Cloud Storage that is being served. What names no bucket is about BUCKET; `/` parts names of objects."""

    service: Gcs

    @classmethod
    def of(cls, cloud: Cloud) -> "GcsCloud":
        """The same cloud, with what only this one has."""
        return cls(cloud.service, cloud._loop)

    def key_file(self, service_account: str = KEEPER) -> dict[str, str]:
        """The key file of a service account."""
        return self.do(lambda: self.service.token_host.key_file(service_account))

    def put(
        self, bucket: str, name: str, content: bytes, *, metadata: Mapping[str, str] | None = None,
        updated_at: datetime | None = None, **fields: str,
    ) -> str:  # fmt: skip
        """Put an object there, as another person would; its generation. `fields` are those of the description."""
        values: dict[str, Any] = {**fields, **({} if metadata is None else {"metadata": dict(metadata)})}
        return self.do(lambda: self.service.put(bucket, name, content, values, updated_at))

    def stored(self, bucket: str, name: str) -> bytes | None:
        """The bytes of the live object; None if there is none."""
        return self.do(lambda: self.service.stored(bucket, name))

    def facts(self, bucket: str, name: str) -> dict[str, Any] | None:
        """The live object as the API describes it; None if there is none."""
        return self.do(lambda: self.service.facts(bucket, name))

    def names(self, bucket: str) -> list[str]:
        """The names of all live objects, in order."""
        return self.do(lambda: list(self.service.world.bucket(bucket).names))

    def generations(self, bucket: str, name: str) -> list[int]:
        """Every generation that is kept, oldest first."""
        return self.do(lambda: self.service.generations(bucket, name))

    def delete(self, bucket: str, name: str) -> None:
        """Delete the live object, as another person would. Raises KeyError if there is none."""
        self.do(lambda: self.service.delete(bucket, name))

    def unfinished_names(self, bucket: str) -> list[str]:
        """The names of the objects that open upload sessions are for."""
        return self.do(lambda: self.service.uploads.names(bucket))

    def everything(self) -> set[Path]:
        """Every object of BUCKET that does not stand for a folder."""
        return {tuple(name.split("/")) for name in self.names(BUCKET) if not name.endswith("/")}


@contextlib.contextmanager
def running(**switches: Any) -> Iterator[GcsCloud]:
    """Serve a Google Cloud Storage until the block ends. Raises ValueError naming an unknown switch."""
    chosen = GcsSwitches().changed(switches)
    with served(lambda url: Gcs(url, chosen)) as cloud:
        yield GcsCloud.of(cloud)
