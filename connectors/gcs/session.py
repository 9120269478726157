"""An upload in parts to Google Cloud Storage: a resumable session.

https://cloud.google.com/storage/docs/performing-resumable-uploads

The last part publishes, so it is kept until then; its request carries the MD5 of the whole, by which the service
refuses what arrived otherwise. Where a session stands is what the service says (`Range`): bytes it has already are
sent twice without harm. The session's address is the proof of who writes, so requests to it are not signed. A session
that nobody finishes ends after a week by itself and shows nowhere: a killed process leaves no more than that.
"""

import asyncio
import base64
import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from connectors.shared.calls import Reply
from connectors.shared.objects import Condition, Published
from connectors.shared.receiving import Part
from connectors.shared.settings import is_loopback
from migration.errors import FatalError, RetryableError

if TYPE_CHECKING:
    from connectors.gcs.service import GcsService

ROUNDS_MAX = 5
"""How often in a row the service may take nothing of what it is sent, or lose its answer to the last part."""
_UNDER_WAY = 308
_UNKNOWN = frozenset({404, 410})
_CANCELLED = frozenset({499, *_UNKNOWN})
"""499 is the answer to a cancellation that succeeded."""
_RANGE = re.compile(r"bytes=0-(\d{1,15})")


class GcsSession:
    """See `connectors.shared.objects.Session`."""

    def __init__(self, service: "GcsService", key: str, url: str) -> None:
        """`url` is the session's address as the service gave it. FatalError `not-gcs` for one that is none."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise FatalError(
                "not-gcs",
                "The service named no safe address for an upload.",
                fix="Check the address of the connection, and whether a proxy stands in between.",
            )
        self._service = service
        self._key = key
        self._url = url
        self._held_bytes = 0
        """How much the service has."""
        self._last = Part(0, b"", is_last=True)
        self._digest = hashlib.md5(usedforsecurity=False)

    async def write(self, part: Part) -> None:
        await asyncio.to_thread(self._digest.update, part.data)
        if part.is_last:
            self._last = part
            return
        for _ in range(ROUNDS_MAX):
            self._held_bytes = self._holds(await self._send(part))
            if self._held_bytes == part.offset + len(part.data):
                return
        raise self._stalled()

    async def finish(self) -> None:
        """Nothing is under way any more when `write` returns."""

    async def complete(self, condition: Condition) -> Published:  # noqa: ARG002
        """As promised; the condition is the one the session was begun with."""
        md5 = base64.b64encode(self._digest.digest()).decode()
        for _ in range(ROUNDS_MAX):
            try:
                reply = await self._send(self._last, md5)
            except RetryableError as error:
                if error.code != "answer-lost":
                    raise
                reply = await self._status(error)
            if reply.status != _UNDER_WAY:
                return await self._service.published(self._key, reply, md5)
            self._held_bytes = self._holds(reply)
        raise self._stalled()

    async def settle(self) -> None:
        """Nothing is left of a session whose object is there."""

    async def abort(self) -> None:
        await self._service.calls.call(
            f"abort the upload of {self._service.shown(self._key)}",
            "DELETE",
            self._url,
            signed=False,
            accept=_CANCELLED,
        )

    async def _send(self, part: Part, md5: str | None = None) -> Reply:
        """Send what the service has not of a part; with the MD5 of the whole it is the last one."""
        first, end = self._held_bytes, part.offset + len(part.data)
        if not part.offset <= first <= end:
            raise self._stalled()
        total = "*" if md5 is None else str(end)
        span = f"{first}-{end - 1}" if first < end else "*"
        reply = await self._service.calls.call(
            f"write {self._service.shown(self._key)}",
            "PUT",
            self._url,
            headers={"Content-Range": f"bytes {span}/{total}"} | ({} if md5 is None else {"X-Goog-Hash": f"md5={md5}"}),
            content=part.data[first - part.offset :],
            signed=False,
            again=md5 is None,
            accept=frozenset({_UNDER_WAY, *_UNKNOWN}),
        )
        if reply.status in _UNKNOWN:
            raise RetryableError(
                "upload-gone", f"The upload of {self._service.shown(self._key)} is not known any more."
            )
        return reply

    async def _status(self, lost: RetryableError) -> Reply:
        """Where the session stands. Raises that the answer was lost when the service does not tell."""
        size_bytes = self._last.offset + len(self._last.data)
        try:
            reply = await self._service.calls.call(
                f"ask for the upload of {self._service.shown(self._key)}",
                "PUT",
                self._url,
                headers={"Content-Range": f"bytes */{size_bytes}"},
                signed=False,
                accept=frozenset({_UNDER_WAY, *_UNKNOWN}),
            )
        except RetryableError as error:
            raise lost from error
        if reply.status in _UNKNOWN:
            raise lost
        return reply

    def _holds(self, reply: Reply) -> int:
        """How much the service has, by its answer: no `Range` means nothing."""
        if reply.status != _UNDER_WAY:
            raise self._stalled()
        found = _RANGE.fullmatch(reply.headers.get("range", ""))
        return int(found[1]) + 1 if found else 0

    def _stalled(self) -> RetryableError:
        return RetryableError(
            "upload-stalled",
            f"The upload of {self._service.shown(self._key)} does not go on: the service has {self._held_bytes} bytes.",
        )
