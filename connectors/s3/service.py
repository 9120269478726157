"""One bucket, call by call: see `connectors.shared.objects.ObjectService`."""

import asyncio
import base64
import hashlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar
from urllib.parse import urlsplit

from connectors.s3.answers import (
    META,
    Version,
    bare,
    found_of,
    is_md5,
    page_of,
    sha256_header,
    text,
    uploads_of,
    versions_of,
    xml_of,
)
from connectors.s3.errors import meaning_of
from connectors.s3.requests import condition_headers, escaped_key, query_of
from connectors.s3.settings import S3Settings
from connectors.s3.signing import EMPTY_SHA256, CredentialSource, Signature
from connectors.s3.upload import S3Session
from connectors.shared.calls import Calls, Refusal, Reply
from connectors.shared.giving import source_changed
from connectors.shared.objects import (
    ABSENT,
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
    seconds_text,
)
from connectors.shared.objects_upload import OFF_THE_LOOP_BYTES, sha256_of
from connectors.shared.sending import MIB, part_bytes
from connectors.shared.transport import Http
from migration.clock import Clock
from migration.errors import ItemError, RetryableError, SiteHaulError

PARTS_MAX = 10_000
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""
COPY_BYTES_MAX = 5 * 1024 * MIB
"""What CopyObject copies at most; more is copied in parts."""
CONFLICTS_SAT_OUT = 4
VERSION_SEPARATOR = ";"
"""Between the ETag and the id of an earlier version, in a version id of ours."""
_GONE = frozenset({404})
_log = logging.getLogger(__name__)


class S3Service:
    """Calls about one bucket."""

    CONTINUES_AFTER_KEYS: ClassVar[bool] = True
    LISTS_METADATA: ClassVar[bool] = False

    def __init__(self, settings: S3Settings, http: Http, clock: Clock, staged_prefix: str) -> None:
        """`staged_prefix` begins the keys of the objects that mark uploads under way."""
        self._settings = settings
        self._clock = clock
        self._staged_prefix = staged_prefix
        self._base_url = settings.base_url
        self._bucket_in_host = not urlsplit(self._base_url).path
        self._conditional = settings.conditional_writes
        self._conditions_tried = not settings.conditional_writes
        self._credentials = CredentialSource(settings)
        self._signature = Signature(settings.region)
        self.calls = Calls(http, system=settings.display_name, signer=_SignedAlready(), clock=clock, meaning=meaning_of)

    @property
    def conditional(self) -> bool:
        return self._conditional

    @property
    def checksums(self) -> bool:
        """Whether SHA-256 checksums are sent along."""
        return self._settings.checksums

    async def access_key_id(self) -> str:
        """Whose key it is."""
        return (await self._credentials.current()).access_key_id

    def shown(self, key: str) -> str:
        return f"s3://{self._settings.bucket}/{key}"

    def part_bytes(self, size_bytes: int | None) -> int:
        return part_bytes(size_bytes, PARTS_MAX)

    async def call(
        self,
        what: str,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        content_sha256: str | None = None,
        again: bool = True,
        accept: frozenset[int] = frozenset(),
    ) -> Reply:
        """One call, signed. Raises what `connectors.s3.errors` says, and RetryableError."""
        url = self._url(key, query)
        digest = content_sha256 or (await sha256_of(content) if content else EMPTY_SHA256)
        signed = await self._signed(method, url, headers or {}, digest)
        return await self.calls.call(
            what, method, url, headers=signed, content=content, signed=False, again=again, accept=accept
        )

    async def page(self, prefix: str, position: str | None, *, delimiter: str = "", limit: int = 1000) -> FoundPage:
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(limit), "encoding-type": "url"}
        query |= {"delimiter": delimiter} if delimiter else {}
        if position is not None:
            query["continuation-token" if delimiter else "start-after"] = position
        while True:
            reply = await self.call(f"list {self.shown(prefix)}", "GET", query=query)
            page, token = page_of(reply.content, by_token=bool(delimiter))
            if token is None or page.objects or page.prefixes:
                return page
            query = {**query, "continuation-token": token}  # a page of nothing, for example of deleted versions

    async def head(self, key: str, version_id: str | None = None) -> Found | None:
        query = {"versionId": version_id} if version_id is not None else None
        headers = {"x-amz-checksum-mode": "ENABLED"} if self.checksums else {}
        reply = await self.call(f"look at {self.shown(key)}", "HEAD", key, query=query, headers=headers, accept=_GONE)
        return None if reply.status == 404 else found_of(key, reply.headers)

    @asynccontextmanager
    async def get(
        self, key: str, version_id: str | None, offset: int, length: int | None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        etag, _, version = (version_id or "").partition(VERSION_SEPARATOR)
        headers = {"If-Match": f'"{etag}"'} if etag else {}
        if offset > 0 or length is not None:
            headers["Range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        url = self._url(key, {"versionId": version} if version else None)
        signed = await self._signed("GET", url, headers, EMPTY_SHA256)
        what = f"read {self.shown(key)}"
        async with self.calls.stream(
            what, "GET", url, headers=signed, signed=False, accept=frozenset({404, 412, 416})
        ) as response:
            if response.status_code in (412, 416):
                raise source_changed(self.shown(key))
            if response.status_code == 404:
                error = meaning_of(Refusal(what, 404, response.headers, await response.aread()))
                raise source_changed(self.shown(key)) if error.code == "not-found" else error
            if "Range" in headers and response.status_code != 206:
                raise RetryableError("no-ranges", f"{self.shown(key)}: the service did not give the part asked for.")
            yield self.calls.chunks_of(response)

    async def put(self, key: str, content: bytes, facts: Facts, condition: Condition) -> Published:
        digest = facts.sha256 or await sha256_of(content)
        headers = self.headers_of(facts) | condition_headers(condition)
        if self.checksums:
            headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(digest)).decode()
        reply = await self.publishing(
            f"write {self.shown(key)}", "PUT", key, headers=headers, content=content, content_sha256=digest
        )
        etag = bare(reply.headers.get("etag", ""))
        told = sha256_header(reply.headers)
        if told is not None and told != digest:
            raise stored_differs(self.shown(key))
        if condition == ABSENT and not self._conditions_tried:
            await self._try_conditions(key, headers, content, digest)
        confirmed = told is None and is_md5(etag) and await _md5(content) == etag
        return Published(version_id=etag, sha256=told, confirmed_by="md5" if confirmed else None)

    async def _try_conditions(self, key: str, headers: Mapping[str, str], content: bytes, digest: str) -> None:
        """Write the file that was just written once more, if nothing is there: a service that does it ignores
        conditions, and from then on is looked at right before. Done for one file of a connection."""
        self._conditions_tried = True
        try:
            await self.call(
                f"write {self.shown(key)}", "PUT", key, headers=headers, content=content, content_sha256=digest,
                again=False,
            )  # fmt: skip
        except ConditionFailed:
            return
        except SiteHaulError:
            self._conditions_tried = False
            return
        self._conditional = False
        _log.warning(
            "%s ignores conditions: files are looked at right before they are replaced. Let nobody else write into "
            "the destination during a run.", self._settings.display_name,
        )  # fmt: skip

    async def put_folder(self, key: str) -> None:
        headers = {"Content-Type": "application/x-directory", **self.stored_how()}
        await self.call(f"make the folder {self.shown(key)}", "PUT", key, headers=headers)

    async def begin(self, key: str, facts: Facts, size_bytes: int | None) -> Session:
        return await S3Session.begun(self, key, self._staged_prefix + facts.staging_key, facts, size_bytes)

    async def publishing(
        self,
        what: str,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str],
        content: bytes,
        content_sha256: str | None = None,
    ) -> Reply:
        """A call that makes something visible: sent again only when it certainly was not carried out."""
        for attempt in range(CONFLICTS_SAT_OUT):
            try:
                return await self.call(
                    what, method, key, query=query, headers=headers, content=content, content_sha256=content_sha256,
                    again=False,
                )  # fmt: skip
            except ConditionFailed:
                raise
            except RetryableError as error:
                if error.code != "locked" or attempt == CONFLICTS_SAT_OUT - 1:
                    raise
                await self._clock.sleep(0.05 * 2**attempt)
            except ItemError as error:
                if error.code == "not-found" and "If-Match" in headers:
                    raise ConditionFailed(key) from error
                raise
        raise AssertionError("the loop returns or raises")

    async def copy(self, found: Found, to_key: str) -> None:
        if found.size_bytes > COPY_BYTES_MAX:
            await self._copy_in_parts(found, to_key)
            return
        headers = self._copying(found) | self.stored_how() | {"x-amz-metadata-directive": "COPY"}
        what = f"copy {self.shown(found.key)} to {self.shown(to_key)}"
        reply = await self.call(what, "PUT", to_key, headers=headers)
        if text(xml_of(reply.content, "CopyObjectResult", "Error"), "ETag") is None:
            raise meaning_of(Refusal(what, 200, reply.headers, reply.content))

    async def _copy_in_parts(self, found: Found, to_key: str) -> None:
        told = await self.head(found.key)
        metadata = {} if told is None or told.metadata is None else dict(told.metadata)
        headers = {f"{META}{name}": value for name, value in metadata.items()} | self.stored_how()
        upload_id = await self.create_upload(to_key, headers)
        try:
            parts: list[tuple[int, str]] = []
            step = COPY_BYTES_MAX // 5
            for number, first in enumerate(range(0, found.size_bytes, step), start=1):
                last = min(first + step, found.size_bytes) - 1
                reply = await self.call(
                    f"copy {self.shown(found.key)}", "PUT", to_key,
                    query={"partNumber": str(number), "uploadId": upload_id},
                    headers=self._copying(found) | {"x-amz-copy-source-range": f"bytes={first}-{last}"},
                )  # fmt: skip
                parts.append((number, text(xml_of(reply.content, "CopyPartResult"), "ETag") or ""))
            listed = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
            body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
            reply = await self.call(
                f"copy {self.shown(found.key)}", "POST", to_key, query={"uploadId": upload_id}, content=body
            )
            if text(xml_of(reply.content, "CompleteMultipartUploadResult", "Error"), "ETag") is None:
                raise meaning_of(Refusal("copy", 200, reply.headers, reply.content))
        except BaseException:
            await self.abort_upload(to_key, upload_id)
            raise

    def _copying(self, found: Found) -> dict[str, str]:
        source = escaped_key(f"/{self._settings.bucket}/{found.key}")
        return {"x-amz-copy-source": source, "x-amz-copy-source-if-match": f'"{found.version_id}"'}

    async def delete(self, key: str, version_id: str | None) -> None:
        headers = {"If-Match": f'"{version_id}"'} if version_id is not None and self.conditional else {}
        await self.call(f"remove {self.shown(key)}", "DELETE", key, headers=headers, accept=_GONE)

    async def create_upload(self, key: str, headers: Mapping[str, str]) -> str:
        """Begin an upload in parts; its id. RetryableError `answer-lost` when it may have begun."""
        reply = await self.call(
            f"write {self.shown(key)}", "POST", key, query={"uploads": ""}, headers=headers, again=False
        )
        return text(xml_of(reply.content, "InitiateMultipartUploadResult"), "UploadId") or ""

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """End an upload in parts; one that is gone is no error."""
        await self.call(
            f"abort the upload of {self.shown(key)}", "DELETE", key, query={"uploadId": upload_id}, accept=_GONE
        )

    async def uploads_of(self, key: str) -> list[str]:
        """The ids of the uploads in parts under way for exactly this key."""
        ids: list[str] = []
        marker: tuple[str, str] | None = ("", "")
        while marker is not None:
            query = {"uploads": "", "prefix": key, "encoding-type": "url"}
            query |= {"key-marker": marker[0], "upload-id-marker": marker[1]} if marker[0] else {}
            reply = await self.call(f"list the uploads to {self.shown(key)}", "GET", query=query)
            uploads, marker = uploads_of(reply.content)
            ids += [upload_id for found, upload_id in uploads if found.lstrip("/") == key.lstrip("/")]
        return ids

    async def versions_of(self, key: str) -> list[Version]:
        """The versions of the object, newest first."""
        versions: list[Version] = []
        marker: tuple[str, str] | None = ("", "")
        while marker is not None:
            query = {"versions": "", "prefix": key, "encoding-type": "url"}
            query |= {"key-marker": marker[0], "version-id-marker": marker[1]} if marker[0] else {}
            reply = await self.call(f"list the versions of {self.shown(key)}", "GET", query=query)
            found, marker = versions_of(reply.content)
            versions += [version for version in found if version.key == key]
            if any(version.key > key for version in found):
                break
        return versions

    def headers_of(self, facts: Facts) -> dict[str, str]:
        """What is to be kept with an object, and how it is to be stored."""
        headers = {f"{META}{MTIME}": seconds_text(facts.modified_at), f"{META}{STAGED_AS}": facts.staging_key}
        if facts.sha256 is not None:
            headers[f"{META}{SHA256}"] = facts.sha256
        return {"Content-Type": "application/octet-stream", **headers, **self.stored_how()}

    def stored_how(self) -> dict[str, str]:
        """Storage class and encryption."""
        wanted = {
            "x-amz-storage-class": self._settings.storage_class,
            "x-amz-server-side-encryption": self._settings.server_side_encryption,
            "x-amz-server-side-encryption-aws-kms-key-id": self._settings.kms_key_id,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def _url(self, key: str, query: Mapping[str, str] | None) -> str:
        slash = "/" if key or self._bucket_in_host else ""
        return f"{self._base_url}{slash}{escaped_key(key)}" + (f"?{query_of(query)}" if query else "")

    async def _signed(self, method: str, url: str, headers: Mapping[str, str], digest: str) -> dict[str, str]:
        credentials = await self._credentials.current()
        return self._signature.signed(credentials, self._clock.now(), method, url, headers, digest)


class _SignedAlready:
    async def headers(self) -> Mapping[str, str]:
        return {}

    async def refused(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002
        return False


def stored_differs(shown: str) -> RetryableError:
    """The service holds something else than was sent."""
    return RetryableError(
        "stored-content-differs",
        f"{shown}: the service computed another SHA-256 of what it stored than that of what was sent.",
        fix="Run again; if it stays, check for a proxy that changes content.",
    )


async def _md5(content: bytes) -> str:
    def digest() -> str:
        return hashlib.md5(content, usedforsecurity=False).hexdigest()

    return await asyncio.to_thread(digest) if len(content) > OFF_THE_LOOP_BYTES else digest()
