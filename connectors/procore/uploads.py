"""Putting bytes into Procore's storage, where they wait unseen for being made a file (API.md section 2.7).

A plain upload is created, then POSTed with the fields Procore gave; a segmented one is created with the hash of every
segment, each is PUT, and Procore is told that all are there. The storage refuses the access token, and what is sent
there is no call. Addresses are good for an hour: those of segments are asked for again, and where that does not help
the upload is created anew. An upload that is never used is deleted by Procore after a week, so nothing is ever left to
be removed.
https://developers.procore.com/documentation/tutorial-uploads
"""

import asyncio
import functools
import mimetypes
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from connectors.procore.api import ApiClient
from connectors.procore.content import Content, Segment
from connectors.procore.errors import ProcoreRefusal, text_of
from connectors.procore.hosts import Address
from connectors.procore.rates import wait_seconds
from connectors.shared.transport import Http
from migration.clock import Clock
from migration.errors import ItemError, RetryableError

PLAIN_BYTES_MAX = 32 * 1024 * 1024
"""Larger files are sent in segments, which costs a third call; below, a fault costs sending less than this again."""
SEGMENTS_AT_ONCE = 4
TRIES = 4
"""How often one transfer is tried."""
WAIT_SECONDS, WAIT_MAX_SECONDS = 0.25, 60.0
"""The first wait between two tries, doubled each time; and the longest that the storage may ask for."""
RENEWALS_MAX = 8
"""How often one upload gets new addresses: each is good for an hour."""
FRESH_SECONDS = 3300.0
"""Addresses older than this are renewed without trying them."""
_EXPIRED = frozenset({403, 404, 410})
_PASSING = ("IncompleteBody", "BadDigest", "Mismatch", "RequestTimeout", "SlowDown", "OperationAborted")
"""What S3 calls faults of the way in its error codes."""
T = TypeVar("T")
Body = Callable[[], AsyncIterator[bytes]]


class _Expired(Exception):
    """The storage does not take the address, or not any more."""


@dataclass(slots=True)
class _Upload:
    """One upload as Procore described it last."""

    uuid: str
    values: Mapping[str, Any]
    asked_at: float
    etags: dict[int, str] = field(default_factory=dict)


class Uploads:
    """Uploads contents. May be used for many at once."""

    def __init__(self, http: Http, api: ApiClient, clock: Clock) -> None:
        self._http = http
        self._api = api
        self._clock = clock

    async def stored(self, project_id: str, name: str, content: Content) -> str:
        """The id of an upload that holds the whole content and is not a file yet.

        One call, two when it is segmented. RetryableError `storage-unavailable`,
        `upload-lost`; ItemError `storage-refused`; ProcoreRefusal when Procore takes no uploads.
        """
        if content.size_bytes <= PLAIN_BYTES_MAX:
            return await self._plain(project_id, name, content)
        return await self._segmented(project_id, name, content)

    async def _plain(self, project_id: str, name: str, content: Content) -> str:
        for _ in range(RENEWALS_MAX):
            upload = await self._created(project_id, name, {"size": content.size_bytes})
            try:
                await self._persistently(functools.partial(self._post, upload, content))
            except _Expired:
                continue
            return upload.uuid
        raise _lost(name)

    async def _segmented(self, project_id: str, name: str, content: Content) -> str:
        segments = content.segments()
        asked = {
            "size": content.size_bytes,
            "segments": [{"size": segment.size_bytes, "sha256": segment.sha256} for segment in segments],
        }
        upload = await self._created(project_id, name, asked)
        just_renewed = False
        for _ in range(RENEWALS_MAX):
            before = len(upload.etags)
            try:
                await self._put_all(upload, segments, content)
            except _Expired:
                in_vain = just_renewed and len(upload.etags) == before
                found = None if in_vain else await self._asked_again(project_id, upload)
                just_renewed = found is not None
                upload = found or await self._created(project_id, name, asked)
                continue
            if await self._completed(project_id, name, upload, len(segments)):
                return upload.uuid
            upload = await self._created(project_id, name, asked)
        raise _lost(name)

    async def _created(self, project_id: str, name: str, asked: Mapping[str, Any]) -> _Upload:
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        body = {"response_filename": name, "response_content_type": kind, **asked}
        asked_at = self._clock.monotonic()
        path = f"/rest/v1.1/projects/{project_id}/uploads"
        answer = await self._api.change("POST", f"an upload for '{name}'", path, {}, body)
        return _Upload(str(answer.value["uuid"]), answer.value, asked_at)

    async def _asked_again(self, project_id: str, upload: _Upload) -> _Upload | None:
        """The upload with addresses as Procore gives them now; None if it is gone."""
        asked_at = self._clock.monotonic()
        try:
            path = f"/rest/v1.1/projects/{project_id}/uploads/{upload.uuid}"
            answer = await self._api.get("an upload", path)
        except ProcoreRefusal:
            return None
        if answer.value.get("status") not in ("ready", "complete"):
            return None
        return _Upload(upload.uuid, answer.value, asked_at, upload.etags)

    async def _completed(self, project_id: str, name: str, upload: _Upload, count: int) -> bool:
        """Tell Procore that every segment is there; False if the upload is of no use any more."""
        body = {"segments": [{"etag": upload.etags[number]} for number in range(count)]}
        path = f"/rest/v1.1/projects/{project_id}/uploads/{upload.uuid}"
        try:
            await self._api.change("PATCH", f"the upload of '{name}'", path, {}, body)
        except ProcoreRefusal as refusal:
            if refusal.status not in (400, 404, 410, 422):
                raise
            # A first asking whose answer was lost may have done it.
            found = await self._asked_again(project_id, upload)
            return found is not None and found.values.get("status") == "complete"
        return True

    async def _put_all(self, upload: _Upload, segments: Sequence[Segment], content: Content) -> None:
        """PUT the segments that are not there yet, several at once. The first error ends the others."""
        waiting = iter([number for number in range(len(segments)) if number not in upload.etags])

        async def work() -> None:
            for number in waiting:
                if self._clock.monotonic() - upload.asked_at > FRESH_SECONDS:
                    raise _Expired
                address = upload.values["segments"][number]
                put = functools.partial(self._put, address, segments[number], content)
                upload.etags[number] = await self._persistently(put)

        tasks = [asyncio.ensure_future(work()) for _ in range(SEGMENTS_AT_ONCE)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _put(self, address: Mapping[str, Any], segment: Segment, content: Content) -> str:
        headers = {**address["headers"], "Content-Type": "application/octet-stream"}
        if not any(name.lower() == "content-length" for name in headers):
            headers["content-length"] = str(segment.size_bytes)
        answer = await self._send(
            "PUT", address["url"], headers, lambda: content.pieces(segment.offset, segment.size_bytes)
        )
        etag = str(answer.get("etag", "")).strip('"')
        if not etag:
            raise RetryableError("storage-unavailable", "Procore's storage did not say what it stored.")
        return etag

    async def _post(self, upload: _Upload, content: Content) -> None:
        boundary = secrets.token_hex(16)
        head, tail = _around(upload.values["fields"], boundary)

        async def body() -> AsyncIterator[bytes]:
            yield head
            async for piece in content.pieces(0, content.size_bytes):
                yield piece
            yield tail

        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + content.size_bytes + len(tail)),
        }
        await self._send("POST", upload.values["url"], headers, body)

    async def _send(self, method: str, url: str, headers: Mapping[str, str], body: Body) -> httpx.Headers:
        """Send a body without the access token; the headers of a good answer."""
        address = Address.parsed(url)
        try:
            response = await self._http.send(method, address.origin.url, address.target, headers, body())
            try:
                text = await response.aread()
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise RetryableError(
                "storage-unavailable", f"{address.origin.host} broke off ({type(error).__name__}: {error})."
            ) from error
        status = response.status_code
        if 200 <= status < 300:
            return response.headers
        said = text_of(text, response.headers.get("content-type", ""))
        if status in _EXPIRED:
            raise _Expired(said)
        if status == 429 or status >= 500 or any(code.encode() in text for code in _PASSING):
            wait = wait_seconds(response.headers, self._clock, 503)
            raise RetryableError(
                "storage-unavailable", f"{address.origin.host} failed (HTTP {status}).", retry_after_seconds=wait
            )
        raise ItemError(
            "storage-refused",
            f"Procore's storage at {address.origin.host} refuses the content: {said or 'no reason given'} "
            f"(HTTP {status}).",
            fix="Try the file in Procore itself; if it goes there, report this message.",
        )

    async def _persistently(self, transfer: Callable[[], Awaitable[T]]) -> T:
        """What a transfer returns, tried again after passing faults."""
        for number in range(TRIES):
            try:
                return await transfer()
            except RetryableError as error:
                asked = error.retry_after_seconds
                if number + 1 == TRIES or (asked or 0.0) > WAIT_MAX_SECONDS:
                    raise
                await self._clock.sleep(WAIT_SECONDS * 2**number if asked is None else asked)
        raise AssertionError("the last try raises")


def _around(fields: Mapping[str, str], boundary: str) -> tuple[bytes, bytes]:
    """What a form holds before and after the file's bytes; the storage wants the file last."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    kind = fields.get("Content-Type", "application/octet-stream")
    disposition = 'Content-Disposition: form-data; name="file"; filename="file"'
    parts.append(f"--{boundary}\r\n{disposition}\r\nContent-Type: {kind}\r\n\r\n")
    return "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()


def _lost(name: str) -> RetryableError:
    return RetryableError(
        "upload-lost",
        f"Procore's storage did not take '{name}' at any of the addresses Procore gave for it.",
        fix="If it stays so, check this machine's clock and whether a proxy changes what is sent.",
    )
