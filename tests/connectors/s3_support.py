"""A connector before SeaweedFS, with a proxy in between that can be told to answer instead."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from connectors.s3.connector import S3Connector, connector_of
from connectors.s3.settings import S3Settings
from connectors.shared.services import Services
from tests.servers.http_faults import HttpProxy, running
from tests.servers.s3 import S3, Bucket


@dataclass(frozen=True, slots=True)
class Setting:
    server: S3
    proxy: HttpProxy
    files: Bucket

    def connector(self, *, page_entries: int | None = None, **changes: Any) -> S3Connector:
        values = {
            "endpoint_url": self.proxy.url,
            "bucket": self.files.name,
            "prefix": self.files.prefix.strip("/"),
            "access_key_id": self.server.access_key,
            "secret_access_key": self.server.secret_key,
        }
        return connector_of(S3Settings(**{**values, **changes}), Services(), page_entries=page_entries)

    def answer(self, status: int, code: str, *, route: str = "", count: int = 1_000, method: str | None = None) -> None:
        """Let the service refuse in S3's words."""
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>As told by the test</Message></Error>"
        rule = {"fault": "answer", "status": status, "body": body, "route": route, "count": count}
        self.proxy.faults([rule | ({"method": method} if method else {})])


@contextmanager
def setting(server: S3, *, versioned: bool = False) -> Iterator[Setting]:
    bucket = server.versioned if versioned else server.files
    with running(server.url) as proxy:
        yield Setting(server, proxy, bucket.below(uuid4().hex[:12]))
