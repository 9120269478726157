"""One bucket, call by call: see `connectors.shared.objects.ObjectService`."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar
from urllib.parse import quote, urlencode
from uuid import uuid4

import orjson

from connectors.gcs.answers import ASKED, LIST_ASKED, RESERVED_MTIME, found_of, generation_of, page_after, page_of
from connectors.gcs.errors import meaning_of
from connectors.gcs.session import GcsSession
from connectors.gcs.settings import GcsSettings
from connectors.shared.calls import Calls, Refusal, Reply, Signer
from connectors.shared.completion import surely
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
    moment_text,
)
from connectors.shared.objects_upload import OFF_THE_LOOP_BYTES
from connectors.shared.transport import Http
from connectors.shared.tree import destination_changed
from migration.clock import Clock
from migration.errors import RetryableError

PART_BYTES = 8 * 1024 * 1024
"""A multiple of 256 KiB: https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload"""
COPIES_MAX = 4
_GONE = frozenset({404})
_NOT_TOLD = frozenset({400, 403, 404, 405, 501})
_WRITTEN = "generation,md5Hash,size"


class GcsService:
    """Calls about one bucket."""

    CONTINUES_AFTER_KEYS: ClassVar[bool] = True
    LISTS_METADATA: ClassVar[bool] = True

    def __init__(self, settings: GcsSettings, http: Http, clock: Clock, signer: Signer) -> None:
        self._settings = settings
        bucket = quote(settings.bucket, safe="")
        self._bucket_url = f"{settings.api_url}/storage/v1/b/{bucket}"
        self._upload_url = f"{settings.api_url}/upload/storage/v1/b/{bucket}/o"
        self.calls = Calls(http, system=settings.display_name, signer=signer, clock=clock, meaning=meaning_of)

    @property
    def conditional(self) -> bool:
        return True

    def shown(self, key: str) -> str:
        return f"gs://{self._settings.bucket}/{key}"

    def part_bytes(self, size_bytes: int | None) -> int:  # noqa: ARG002
        return PART_BYTES

    async def page(self, prefix: str, position: str | None, *, delimiter: str = "", limit: int = 1000) -> FoundPage:
        """As promised. A position is a key (`startOffset`), or a page token where prefixes are listed."""
        query = {"prefix": prefix, "maxResults": str(limit), "fields": LIST_ASKED}
        query |= {"delimiter": delimiter} if delimiter else {}
        if position is not None:
            query["pageToken" if delimiter else "startOffset"] = position
        while True:
            reply = await self.calls.call(f"list {self.shown(prefix)}", "GET", self._listing(query))
            objects, prefixes, token = page_of(reply.json())
            if objects and objects[0].key == position:
                del objects[0]
            if token is None or objects or prefixes:
                return page_after(objects, prefixes, token, by_token=bool(delimiter))
            query = {**query, "pageToken": token}

    async def head(self, key: str, version_id: str | None = None) -> Found | None:
        query = {"fields": ASKED, **({"generation": version_id} if version_id is not None else {})}
        what = f"look at {self.shown(key)}"
        reply = await self.calls.call(what, "GET", self._object(key, query), accept=_GONE)
        return None if self._is_gone(what, reply) else found_of(reply.json())

    @asynccontextmanager
    async def get(
        self, key: str, version_id: str | None, offset: int, length: int | None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """As promised. What is stored compressed is given as it is stored, which is what its size is of.

        https://cloud.google.com/storage/docs/transcoding
        """
        headers = {"Accept-Encoding": "gzip"}
        if offset > 0 or length is not None:
            headers["Range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        query = {"alt": "media", **({"generation": version_id} if version_id else {})}
        what = f"read {self.shown(key)}"
        async with self.calls.stream(
            what, "GET", self._object(key, query), headers=headers, accept=frozenset({404, 416})
        ) as response:
            if response.status_code == 404:
                error = meaning_of(Refusal(what, 404, response.headers, await response.aread()))
                raise source_changed(self.shown(key)) if error.code == "not-found" else error
            if response.status_code == 416:
                raise source_changed(self.shown(key))
            if "Range" in headers and response.status_code != 206:
                raise RetryableError("no-ranges", f"{self.shown(key)}: the service did not give the part asked for.")
            yield self.calls.chunks_of(response)

    async def put(self, key: str, content: bytes, facts: Facts, condition: Condition) -> Published:
        """As promised. Content that is not what its MD5 says is not stored."""
        md5 = await _md5(content)
        fields = self._fields(key, facts) | {"md5Hash": md5}
        reply = await self._inserted(f"write {self.shown(key)}", fields, content, condition, again=False)
        return await self.published(key, reply, md5)

    async def _inserted(
        self, what: str, fields: Mapping[str, Any], content: bytes, condition: Condition, *, again: bool
    ) -> Reply:
        boundary = uuid4().hex
        return await self.calls.call(
            what,
            "POST",
            self.uploading("multipart", condition, fields=_WRITTEN),
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            content=_related(boundary, fields, content),
            again=again,
        )

    async def published(self, key: str, reply: Reply, md5: str) -> Published:
        """What was published, given the answer. RetryableError `stored-content-differs`, after it was removed, and
        `answer-lost` when the answer does not tell."""
        answer = Refusal("", reply.status, reply.headers, reply.content).json()
        generation = generation_of(answer)
        told = answer.get("md5Hash")
        if told is not None and told != md5:
            with suppress(ConditionFailed):  # somebody has replaced it already
                await surely(self.delete(key, generation))
            raise RetryableError(
                "stored-content-differs",
                f"{self.shown(key)}: the service computed another MD5 of what it stored than that of what was sent, so "
                "it was removed.",
                fix="Run again; if it stays, check for a proxy that changes content.",
            )
        return Published(version_id=generation, confirmed_by=None if told is None else "md5")

    async def put_folder(self, key: str) -> None:
        fields = {"name": key, "contentType": "application/x-directory"}
        try:
            await self._inserted(f"make the folder {self.shown(key)}", fields, b"", ABSENT, again=True)
        except ConditionFailed:
            return  # it is there

    async def begin(self, key: str, facts: Facts, size_bytes: int | None, condition: Condition = ABSENT) -> GcsSession:
        """Begin an upload in parts. Its condition is checked now and when it is complete. ConditionFailed."""
        length = {} if size_bytes is None else {"X-Upload-Content-Length": str(size_bytes)}
        reply = await self.calls.call(
            f"begin the upload of {self.shown(key)}",
            "POST",
            self.uploading("resumable", condition, fields=_WRITTEN),
            headers={"Content-Type": "application/json; charset=UTF-8", **length},
            content=orjson.dumps(self._fields(key, facts)),
        )
        return GcsSession(self, key, reply.headers.get("location", ""))

    async def copy(self, found: Found, to_key: str) -> str:
        """As promised; nothing is copied over something."""
        for _ in range(COPIES_MAX):
            try:
                return await self._rewritten(found, to_key)
            except ConditionFailed as error:
                now = await self.head(found.key)
                if now is None or now.version_id != found.version_id:
                    raise
                raise destination_changed(self.shown(to_key), "something is there now") from error
            except RetryableError as error:
                if error.code != "answer-lost":
                    raise
                there = await self.head(to_key)
                if there is not None and _is_copy(there, found):
                    return there.version_id
        raise RetryableError(
            "copy-unfinished", f"{self.shown(found.key)} could not be copied: the answers of the service are lost."
        )

    async def _rewritten(self, found: Found, to_key: str) -> str:
        """https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite: called again until it is done."""
        conditions = {"ifSourceGenerationMatch": found.version_id, "ifGenerationMatch": "0"}
        url = (
            f"{self._object(found.key)}/rewriteTo/b/{quote(self._settings.bucket, safe='')}/o/{quote(to_key, safe='')}"
        )
        token: str | None = None
        while True:
            query = {**conditions, **({"rewriteToken": token} if token else {})}
            what = f"copy {self.shown(found.key)} to {self.shown(to_key)}"
            reply = await self.calls.call(what, "POST", f"{url}{self._query(query)}", again=False)
            values = reply.json()
            if values.get("done"):
                return generation_of(values.get("resource"))
            token = str(values.get("rewriteToken"))

    async def delete(self, key: str, version_id: str | None) -> None:
        """As promised. In a bucket that keeps versions it becomes an earlier one."""
        query = {"ifGenerationMatch": version_id} if version_id is not None else {}
        what = f"remove {self.shown(key)}"
        try:
            reply = await self.calls.call(what, "DELETE", self._object(key, query), accept=_GONE)
        except ConditionFailed:
            if await self.head(key) is not None:
                raise
            return
        self._is_gone(what, reply)

    async def versions_of(self, key: str) -> list[Found]:
        """Every version of the object, oldest first."""
        versions: list[Found] = []
        query = {"prefix": key, "startOffset": key, "versions": "true", "fields": LIST_ASKED}
        while True:
            reply = await self.calls.call(f"list the versions of {self.shown(key)}", "GET", self._listing(query))
            objects, _, token = page_of(reply.json())
            versions += [found for found in objects if found.key == key]
            if token is None or any(found.key != key for found in objects):
                return sorted(versions, key=lambda found: int(found.version_id))
            query = {**query, "pageToken": token}

    async def about_bucket(self) -> Mapping[str, Any] | None:
        """What the bucket is set to; None where it may not be asked."""
        fields = "versioning,retentionPolicy,hierarchicalNamespace"
        url = f"{self._bucket_url}{self._query({'fields': fields})}"
        reply = await self.calls.call("ask how the bucket is set up", "GET", url, accept=_NOT_TOLD)
        values = None if reply.status in _NOT_TOLD else reply.json()
        return values if isinstance(values, dict) else None

    async def missing(self, permissions: Sequence[str]) -> tuple[str, ...]:
        """Which of these permissions the connection has not; none where Google does not tell.

        https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions
        """
        url = f"{self._bucket_url}/iam/testPermissions{self._query({'permissions': permissions})}"
        reply = await self.calls.call("ask for the permissions in the bucket", "GET", url, accept=_NOT_TOLD)
        values = None if reply.status in _NOT_TOLD else reply.json()
        if not isinstance(values, dict):
            return ()
        return tuple(name for name in permissions if name not in (values.get("permissions") or ()))

    def uploading(self, kind: str, condition: Condition, **more: str) -> str:
        """The address of an upload.

        https://cloud.google.com/storage/docs/request-preconditions: generation 0 stands for nothing.
        """
        query = {"uploadType": kind, **more}
        if not condition.always:
            query["ifGenerationMatch"] = condition.version_id or "0"
        return f"{self._upload_url}{self._query(query)}"

    def _fields(self, key: str, facts: Facts) -> dict[str, Any]:
        """What is kept with an object; when it was modified as rclone and as Google's own tools do."""
        metadata = {
            MTIME: moment_text(facts.modified_at),
            RESERVED_MTIME: str(int(facts.modified_at.timestamp() // 1)),
            STAGED_AS: facts.staging_key,
        }
        if facts.sha256 is not None:
            metadata[SHA256] = facts.sha256
        stored = {} if self._settings.storage_class is None else {"storageClass": self._settings.storage_class}
        return {"name": key, "contentType": "application/octet-stream", "metadata": metadata, **stored}

    def _object(self, key: str, query: Mapping[str, str] | None = None) -> str:
        return f"{self._bucket_url}/o/{quote(key, safe='')}" + ("" if query is None else self._query(query))

    def _listing(self, query: Mapping[str, str]) -> str:
        return f"{self._bucket_url}/o{self._query(query)}"

    def _query(self, values: Mapping[str, str | Sequence[str]]) -> str:
        payer = {} if self._settings.billing_project is None else {"userProject": self._settings.billing_project}
        query = urlencode({**values, **payer}, doseq=True, quote_via=quote, safe="")
        return f"?{query}" if query else ""

    def _is_gone(self, what: str, reply: Reply) -> bool:
        """Whether the object is not there. Raises what it means that the bucket is not there."""
        if reply.status != 404:
            return False
        error = meaning_of(Refusal(what, 404, reply.headers, reply.content))
        if error.code != "not-found":
            raise error
        return True


def _related(boundary: str, fields: Mapping[str, Any], content: bytes) -> bytes:
    """https://cloud.google.com/storage/docs/uploading-objects: the description and the content in one body."""
    return b"".join((
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
        orjson.dumps(fields),
        f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(),
        content,
        f"\r\n--{boundary}--\r\n".encode(),
    ))  # fmt: skip


def _is_copy(there: Found, found: Found) -> bool:
    return (there.size_bytes, there.checksums, there.metadata) == (found.size_bytes, found.checksums, found.metadata)


async def _md5(content: bytes) -> str:
    """As the API writes it."""

    def digest() -> str:
        return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()

    return await asyncio.to_thread(digest) if len(content) > OFF_THE_LOOP_BYTES else digest()
