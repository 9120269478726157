"""Sending content (https://developers.google.com/workspace/drive/api/guides/manage-uploads): in one request together
with the metadata, or in pieces through a resumable session.

A session takes pieces one after another, of multiples of 256 KiB but for the last. What it has is what its answers say,
not what was sent. Its address needs no sign-in. A session that is not completed is visible to nobody, is given up with
DELETE, and ends by itself after a week.
"""

import json
import mimetypes
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from connectors.google_drive.api import Api, answer_of
from connectors.google_drive.records import FIELDS, NATIVE, Record
from connectors.shared.calls import Reply
from migration.errors import ItemError, RetryableError

PIECE_BYTES = 256 * 1024
ATTEMPTS = 5
_OPEN = 308
_UNKNOWN = "application/octet-stream"
_RANGE = re.compile(r"bytes=0-(\d+)")


class Sending:
    """Where one file's content goes: into a new file, or into one that is there."""

    def __init__(self, api: Api, upload_url: str, what: str, name: str, *, replaced: str | None) -> None:
        self._api = api
        self._what = what
        self._type = _type_of(name)
        self._replaced = replaced
        path = "files" if replaced is None else f"files/{quote(replaced, safe='')}"
        self._url = f"{upload_url}/{path}"
        self._method = "POST" if replaced is None else "PATCH"
        self._session: str | None = None

    async def whole(self, metadata: Mapping[str, Any], content: bytes) -> Record:
        """Send a small file in one request. A new file is there once even if this is done twice; for one that is
        replaced a lost answer is a RetryableError `answer-lost`."""
        boundary = f"sitehaul-{secrets.token_hex(16)}"
        body = b"".join((
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
            json.dumps(metadata).encode(),
            f"\r\n--{boundary}\r\nContent-Type: {self._type}\r\n\r\n".encode(),
            content,
            f"\r\n--{boundary}--\r\n".encode(),
        ))  # fmt: skip
        is_new = self._replaced is None
        reply = await self._api.calls.call(
            self._what,
            self._method,
            self._address("multipart"),
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            content=body,
            again=is_new,
            accept=frozenset({409}) if is_new else frozenset(),
        )
        return await self._api.made(self._what, reply, str(metadata.get("id", self._replaced)))

    async def begin(self, metadata: Mapping[str, Any]) -> None:
        """Open a session."""
        reply = await self._api.calls.call(
            self._what,
            self._method,
            self._address("resumable"),
            headers={"Content-Type": "application/json; charset=UTF-8", "X-Upload-Content-Type": self._type},
            content=json.dumps(metadata).encode(),
        )
        self._session = reply.headers["location"]

    @property
    def has_begun(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    async def send(self, offset: int, data: bytes) -> None:
        """Send a piece, a multiple of 256 KiB. RetryableError `upload-lost` when the session is gone."""
        if await self._all_of(offset, data, None) is not None:
            raise RetryableError("upload-lost", f"Could not {self._what}: Google took a piece for the whole file.")

    async def complete(self, offset: int, data: bytes) -> Record:
        """Send the last piece; the file then is what the session holds. RetryableError `publish-unknown` when Google
        does not say whether it is."""
        try:
            record = await self._all_of(offset, data, offset + len(data))
        except RetryableError as error:
            if error.code == "upload-lost":
                raise
            raise RetryableError("publish-unknown", error.message, fix=error.fix) from error
        if record is None:
            raise RetryableError("upload-lost", f"Could not {self._what}: Google waits for more than there is.")
        return record

    async def give_up(self) -> None:
        """Let Google forget the session."""
        session, self._session = self._session, None
        if session is not None:
            gone = frozenset({404, 410, 499})
            await self._api.calls.call(self._what, "DELETE", session, signed=False, accept=gone)

    async def _all_of(self, offset: int, data: bytes, total: int | None) -> Record | None:
        """Send until Google has all of it; the file's record once it is complete."""
        sent = 0
        for attempt in range(1, ATTEMPTS + 1):
            try:
                reply = await self._put(offset + sent, data[sent:], total)
            except RetryableError:
                if attempt == ATTEMPTS:
                    raise
                reply = await self._asked(total)
            if reply.status != _OPEN:
                return answer_of(reply)
            arrived = _received(reply) - offset
            if not sent <= arrived <= len(data):
                raise RetryableError("upload-lost", f"Could not {self._what}: Google has other bytes than were sent.")
            sent = arrived
            if sent == len(data) and total is None:
                return None
        raise RetryableError("upload-stuck", f"Could not {self._what}: Google took only a part, again and again.")

    async def _put(self, offset: int, data: bytes, total: int | None) -> Reply:
        whole = "*" if total is None else str(total)
        span = f"bytes {offset}-{offset + len(data) - 1}/{whole}" if data else f"bytes */{whole}"
        return await self._in_session(span, data, again=False)

    async def _asked(self, total: int | None) -> Reply:
        return await self._in_session(f"bytes */{'*' if total is None else total}", b"", again=True)

    async def _in_session(self, span: str, data: bytes, *, again: bool) -> Reply:
        if self._session is None:
            raise RetryableError("upload-lost", f"Could not {self._what}: there is no upload session.")
        headers = {"Content-Range": span, "Content-Length": str(len(data))}
        try:
            return await self._api.calls.call(
                self._what, "PUT", self._session, headers=headers, content=data, signed=False, again=again,
                accept=frozenset({_OPEN}),
            )  # fmt: skip
        except ItemError as error:
            if error.code == "not-found":
                raise RetryableError("upload-lost", f"Could not {self._what}: the upload session is gone.") from error
            raise

    def _address(self, kind: str) -> str:
        parameters = {"uploadType": kind, "supportsAllDrives": "true", "fields": FIELDS}
        return f"{self._url}?{urlencode(parameters)}"


def _received(reply: Reply) -> int:
    found = _RANGE.fullmatch(reply.headers.get("range", ""))
    return int(found[1]) + 1 if found else 0


def _type_of(name: str) -> str:
    """What kind of content a name promises, so that people can look at it in the browser."""
    kind = mimetypes.guess_type(name)[0] or _UNKNOWN
    return _UNKNOWN if kind.startswith(NATIVE) else kind
