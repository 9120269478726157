"""Uploads in parts (https://developer.box.com/guides/uploads/chunked/).

Box says how long the parts have to be. A part that is there cannot be sent again, so when it is refused as a second one
the parts that are there are looked at. A session that has become a file is gone (404).
"""

import asyncio
import base64
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from connectors.box.errors import code_of_refusal
from connectors.shared.calls import retry_after_seconds, throttled
from connectors.shared.sending import InFlight
from migration.errors import ItemError, RetryableError

if TYPE_CHECKING:
    from connectors.box.connector import BoxConnector

COMMIT_TRIES = 120
COMMIT_SECONDS = 2.0
_PARTS_PER_PAGE = 1_000


class Session:
    """One file that goes up in parts, several at once."""

    def __init__(self, connector: "BoxConnector", what: str, values: dict[str, Any], size_bytes: int) -> None:
        self._connector = connector
        self._what = what
        self._address = f"{connector.upload_base}/files/upload_sessions/{values['id']}"
        self._part_bytes = int(values["part_size"])
        self._size_bytes = size_bytes
        self._gathered: list[bytes] = []
        self._gathered_bytes = self._offset = 0
        self._sending = InFlight()
        self._parts: list[dict[str, Any]] = []
        self._hash = hashlib.sha1(usedforsecurity=False)

    @classmethod
    async def opened(
        cls, connector: "BoxConnector", what: str, asked: dict[str, Any], file_id: str | None
    ) -> "Session":
        """A new session, for a new version if there is a file. Raises NameTaken; ItemError `not-found`."""
        place = "files/upload_sessions" if file_id is None else f"files/{file_id}/upload_sessions"
        reply = await connector.calls.call(
            what,
            "POST",
            f"{connector.upload_base}/{place}",
            headers={"Content-Type": "application/json"},
            content=orjson.dumps(asked),
        )
        return cls(connector, what, reply.json(), int(asked["file_size"]))

    @property
    def sha1(self) -> str:
        """Of everything written."""
        return self._hash.hexdigest()

    async def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        while self._gathered_bytes >= self._part_bytes:
            whole = b"".join(self._gathered)
            self._gathered = [whole[self._part_bytes :]]
            self._gathered_bytes = len(self._gathered[0])
            await self._start(whole[: self._part_bytes])

    async def finish(self) -> None:
        """Return when every byte is there."""
        if self._gathered_bytes:
            data, self._gathered, self._gathered_bytes = b"".join(self._gathered), [], 0
            await self._start(data)
        await self._sending.finish()

    async def committed(self, attributes: dict[str, Any], etag: str | None) -> dict[str, Any]:
        """Make the file; what Box says of it. Raises NameTaken, ItemError `condition-failed`; RetryableError
        `answer-lost`, `overloaded` or `upload-expired` when it may have been made."""
        parts = sorted(self._parts, key=lambda part: int(part["offset"]))
        headers = {
            "Content-Type": "application/json",
            "Digest": f"sha={_base64(self._hash.digest())}",
            **({} if etag is None else {"If-Match": etag}),
        }
        content = orjson.dumps({"parts": parts, **({"attributes": attributes} if attributes else {})})
        for _ in range(COMMIT_TRIES):
            reply = await self._connector.calls.call(
                self._what,
                "POST",
                f"{self._address}/commit",
                headers=headers,
                content=content,
                again=False,
                accept=frozenset({404, 503}),
            )
            if reply.status == 404:  # an earlier commit had been carried out, or the session has ended
                raise RetryableError("upload-expired", f"Could not {self._what}: the upload session has ended.")
            if reply.status == 503:
                seconds = retry_after_seconds(reply.headers, self._connector.now())
                raise throttled(self._connector.display_name, 503, seconds)
            if reply.status != 202:
                values: dict[str, Any] = reply.json()["entries"][0]
                return values
            await self._connector.pause(reply, COMMIT_SECONDS)
        raise RetryableError("upload-expired", f"Could not {self._what}: Box has not put the parts together in time.")

    async def abort(self) -> None:
        """Give the session up; where that fails it expires by itself."""
        await self._sending.stop()
        with suppress(RetryableError, ItemError):  # Box is gone or refuses: the session has no name, and ends by itself
            await self._connector.calls.call(
                f"give up the upload to {self._what}", "DELETE", self._address, accept=frozenset({404, 410})
            )

    async def _start(self, data: bytes) -> None:
        offset, self._offset = self._offset, self._offset + len(data)
        digest = await asyncio.to_thread(self._hashed, data)
        await self._sending.start(len(data), self._send, offset, data, digest)

    def _hashed(self, data: bytes) -> bytes:
        self._hash.update(data)
        return hashlib.sha1(data, usedforsecurity=False).digest()

    async def _send(self, offset: int, data: bytes, digest: bytes) -> None:
        last = offset + len(data) - 1
        reply = await self._connector.calls.call(
            self._what,
            "PUT",
            self._address,
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Range": f"bytes {offset}-{last}/{self._size_bytes}",
                "Digest": f"sha={_base64(digest)}",
            },
            content=data,
            accept=frozenset({409}),
        )
        values = reply.json()
        if reply.status == 409:
            self._parts.append(await self._part_at(offset, digest.hex(), code_of_refusal(values)))
        else:
            self._parts.append(values["part"])

    async def _part_at(self, offset: int, sha1: str, reason: str) -> dict[str, Any]:
        """The part that is there already, because the answer to its first sending was lost."""
        position, total = 0, 1
        while position < total:
            reply = await self._connector.calls.call(
                self._what, "GET", f"{self._address}/parts?limit={_PARTS_PER_PAGE}&offset={position}"
            )
            page = reply.json()
            total = int(page.get("total_count") or 0)
            for part in page["entries"]:
                if int(part["offset"]) == offset and str(part["sha1"]).lower() == sha1:
                    found: dict[str, Any] = part
                    return found
            position += len(page["entries"]) or total
        raise RetryableError("part-refused", f"Could not {self._what}: Box refused a part ({reason or 'conflict'}).")


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
