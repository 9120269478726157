"""One container, call by call: see `connectors.shared.objects.ObjectService`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar
from urllib.parse import quote

from connectors.azure.answers import FOLDER_MARK, META, found_of, page_of
from connectors.azure.errors import meaning_of
from connectors.azure.requests import condition_headers, md5_of, published_of
from connectors.azure.settings import AzureSettings
from connectors.azure.signing import VERSION, http_date, shared_key, signature_query, signer
from connectors.azure.upload import BlockSession
from connectors.shared.calls import Calls, Refusal, Reply
from connectors.shared.giving import source_changed
from connectors.shared.objects import (
    MTIME,
    SHA256,
    STAGED_AS,
    Condition,
    ConditionFailed,
    Facts,
    Found,
    FoundPage,
    Published,
    Session,
    moment_text,
)
from connectors.shared.sending import part_bytes
from connectors.shared.services import Services
from connectors.shared.transport import Http
from migration.errors import ItemError, RetryableError

BLOCKS_MAX = 50_000
"""https://learn.microsoft.com/azure/storage/blobs/scalability-targets"""
COPY_POLL_SECONDS = 0.5
_GONE = frozenset({404})


class AzureService:
    """Calls about one container."""

    CONTINUES_AFTER_KEYS: ClassVar[bool] = False
    LISTS_METADATA: ClassVar[bool] = True
    conditional = True

    def __init__(self, settings: AzureSettings, http: Http, services: Services) -> None:
        self._settings = settings
        self._clock = services.clock
        self._base_url = settings.base_url
        self._key = shared_key(settings)
        self._signature = signature_query(settings)
        self.calls = Calls(
            http,
            system=settings.display_name,
            signer=signer(settings, http, services),
            clock=services.clock,
            meaning=meaning_of,
        )

    def shown(self, key: str) -> str:
        return f"{self._settings.account}/{self._settings.container}/{key}"

    def part_bytes(self, size_bytes: int | None) -> int:
        return part_bytes(size_bytes, BLOCKS_MAX)

    async def call(
        self,
        what: str,
        method: str,
        key: str | None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        again: bool = True,
        accept: frozenset[int] = frozenset(),
    ) -> Reply:
        """One call about a blob, or about the container (`key` None). Raises what `connectors.azure.errors` says, and
        RetryableError."""
        url, whole = self._prepared(method, key, query or {}, headers or {}, len(content))
        if method == "PUT" and not content:
            whole["content-length"] = "0"
        return await self.calls.call(what, method, url, headers=whole, content=content, again=again, accept=accept)

    async def page(self, prefix: str, position: str | None, *, delimiter: str = "", limit: int = 5000) -> FoundPage:
        query = {"restype": "container", "comp": "list", "include": "metadata", "maxresults": str(limit)}
        query |= {"prefix": prefix} if prefix else {}
        query |= {"marker": position} if position is not None else {}
        query |= {"delimiter": delimiter} if delimiter else {}
        while True:
            reply = await self.call(f"list {self.shown(prefix)}", "GET", None, query=query)
            page = page_of(reply.content)
            if page.following is None or page.objects or page.prefixes:
                return page
            query = {**query, "marker": page.following}

    async def head(self, key: str, version_id: str | None = None) -> Found | None:  # noqa: ARG002
        reply = await self.call(f"look at {self.shown(key)}", "HEAD", key, accept=_GONE)
        if reply.status == 404 and reply.headers.get("x-ms-error-code") == "ContainerNotFound":
            raise meaning_of(Refusal(f"look at {self.shown(key)}", 404, reply.headers, b""))
        return None if reply.status == 404 else found_of(key, reply.headers)

    @asynccontextmanager
    async def get(
        self, key: str, version_id: str | None, offset: int, length: int | None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        headers = {"if-match": f'"{version_id}"'} if version_id else {}
        if offset > 0 or length is not None:
            headers["x-ms-range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        url, whole = self._prepared("GET", key, {}, headers, 0)
        what = f"read {self.shown(key)}"
        async with self.calls.stream(what, "GET", url, headers=whole, accept=frozenset({404, 412, 416})) as response:
            if response.status_code in (412, 416):
                raise source_changed(self.shown(key))
            if response.status_code == 404:
                error = meaning_of(Refusal(what, 404, response.headers, await response.aread()))
                raise source_changed(self.shown(key)) if error.code == "not-found" else error
            if "x-ms-range" in headers and response.status_code != 206:
                raise RetryableError("no-ranges", f"{self.shown(key)}: the service did not give the part asked for.")
            yield self.calls.chunks_of(response)

    async def put(self, key: str, content: bytes, facts: Facts, condition: Condition) -> Published:
        digest = await md5_of(content)
        headers = {
            "x-ms-blob-type": "BlockBlob",
            "content-md5": digest,
            **self.kept(facts),
            **condition_headers(condition),
        }
        reply = await self.publishing(f"write {self.shown(key)}", key, headers=headers, content=content)
        confirmed = reply.headers.get("content-md5") == digest
        return published_of(reply, "md5" if confirmed else None)

    async def put_folder(self, key: str) -> None:
        headers = {"x-ms-blob-type": "BlockBlob", f"{META}{FOLDER_MARK}": "true", "if-none-match": "*"}
        name = key.removesuffix("/")
        try:
            await self.call(f"make the folder {self.shown(name)}", "PUT", name, headers=headers)
        except ConditionFailed:
            return  # it was made, or something else is there: whoever asked looks

    async def begin(self, key: str, facts: Facts, size_bytes: int | None) -> Session:
        return BlockSession(self, key, facts, size_bytes)

    async def publishing(
        self, what: str, key: str, *, query: Mapping[str, str] | None = None, headers: Mapping[str, str], content: bytes
    ) -> Reply:
        """A call that makes something visible: sent again only when it certainly was not carried out."""
        try:
            return await self.call(what, "PUT", key, query=query, headers=headers, content=content, again=False)
        except ConditionFailed:
            raise
        except ItemError as error:
            if error.code == "not-found" and "if-match" in headers:
                raise ConditionFailed(key) from error
            raise

    async def copy(self, found: Found, to_key: str) -> None:
        """https://learn.microsoft.com/rest/api/storageservices/copy-blob: in the background where it takes long, so it
        is waited for."""
        headers = {
            "x-ms-copy-source": self._url(found.key, {}),
            "x-ms-source-if-match": f'"{found.version_id}"',
        }
        what = f"copy {self.shown(found.key)} to {self.shown(to_key)}"
        reply = await self.call(what, "PUT", to_key, headers=headers)
        status = reply.headers.get("x-ms-copy-status", "success")
        while status == "pending":
            await self._clock.sleep(COPY_POLL_SECONDS)
            looked = await self.call(what, "HEAD", to_key)
            status = looked.headers.get("x-ms-copy-status", "success")
        if status != "success":
            raise RetryableError("copy-failed", f"Could not {what}: the service says {status}.", fix="Run again.")

    async def delete(self, key: str, version_id: str | None) -> None:
        headers = {"if-match": f'"{version_id}"'} if version_id is not None else {}
        await self.call(f"remove {self.shown(key)}", "DELETE", key, headers=headers, accept=_GONE)

    def kept(self, facts: Facts) -> dict[str, str]:
        """What is to be kept with a blob, and how it is to be stored."""
        headers = {
            "x-ms-blob-content-type": "application/octet-stream",
            f"{META}{MTIME}": moment_text(facts.modified_at),
            f"{META}{STAGED_AS}": facts.staging_key,
        }
        if facts.sha256 is not None:
            headers[f"{META}{SHA256}"] = facts.sha256
        if self._settings.access_tier is not None:
            headers["x-ms-access-tier"] = self._settings.access_tier
        return headers

    def _prepared(
        self, method: str, key: str | None, query: Mapping[str, str], headers: Mapping[str, str], content_bytes: int
    ) -> tuple[str, dict[str, str]]:
        whole = {**headers, "x-ms-version": VERSION, "x-ms-date": http_date(self._clock.now())}
        if content_bytes:
            whole["content-type"] = "application/octet-stream"
        url = self._url(key, query)
        if self._key is not None:
            whole["authorization"] = self._key.authorization(method, url, query, whole, content_bytes)
        return url, whole

    def _url(self, key: str | None, query: Mapping[str, str]) -> str:
        path = self._base_url if key is None else f"{self._base_url}/{quote(key, safe='/-._~')}"
        asked = "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in query.items())
        whole = "&".join(part for part in (asked, self._signature) if part)
        return f"{path}?{whole}" if whole else path
