"""Files on their way into Box (https://developer.box.com/guides/uploads/).

A file below 20 MB is one request, which publishes it; it waits in memory, and from 8 MiB on in a temporary file, until
then. A larger one goes up in parts. One whose length nobody knows is gathered in a temporary file first, as a session
has to be told the size.

Box checks the SHA-1 of what arrived (`Content-MD5`, `Digest`) and tells the one of what it stored.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from connectors.box.errors import CONDITION_FAILED, NameTaken
from connectors.box.sessions import Session
from connectors.box.shapes import entry_of, id_of, text_of
from connectors.shared.bodies import Spooled
from connectors.shared.calls import Reply, retry_after_seconds, throttled
from connectors.shared.completion import to_the_end
from connectors.shared.receiving import Part
from connectors.shared.tree import Incoming, check_expected, destination_changed
from migration.contract import Stored
from migration.entries import Entry
from migration.errors import ItemError, RetryableError

if TYPE_CHECKING:
    from connectors.box.connector import BoxConnector

PART_BYTES = 1024 * 1024
SESSION_BYTES_MIN = 20_000_000
"""Sessions take no smaller files (https://developer.box.com/guides/uploads/chunked/)."""
ATTEMPTS = 5


class BoxUpload:
    """One file on its way in."""

    part_bytes = PART_BYTES

    def __init__(self, connector: "BoxConnector", file: Incoming) -> None:
        self._connector = connector
        self._file = file
        self._what = f"write {connector.shown(file.path)}"
        self._parent_id: str | None = None
        self._only: bytes | None = None
        self._spooled: Spooled | None = None
        self._session: Session | None = None
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._size_bytes = 0

    async def write(self, part: Part) -> None:
        if self._parent_id is None:
            await self._begin(part)
        self._size_bytes += len(part.data)
        if self._session is not None:
            await self._session.write(part.data)
            return
        self._sha1.update(part.data)
        if self._spooled is not None:
            await self._spooled.give(part)
        else:
            self._only = part.data

    async def _begin(self, part: Part) -> None:
        file, connector = self._file, self._connector
        if file.expected is not None and not file.expected.is_file:
            raise destination_changed(connector.shown(file.path), "what is there cannot be replaced by a file")
        self._parent_id = id_of(await connector.folders.parent_of(file.path))
        if part.is_last:
            return
        if file.size_bytes is not None and file.size_bytes >= connector.session_bytes_min:
            await to_the_end(self._open_session(file.size_bytes))
        else:
            self._spooled = Spooled()

    async def finish(self) -> None:
        if self._spooled is not None and self._size_bytes >= self._connector.session_bytes_min:
            await to_the_end(self._open_session(self._size_bytes))
            assert self._session is not None
            async for chunk in self._spooled.chunks():
                await self._session.write(chunk)
        if self._session is not None:
            await self._session.finish()

    async def publish(self) -> Stored:
        name, etag = await self._replaced()
        try:
            return await self._published(name, etag)
        except NameTaken as taken:
            raise destination_changed(self._shown, "something is there now") from taken
        except ItemError as error:
            if error.code == CONDITION_FAILED:
                raise destination_changed(self._shown, "the file to replace was changed") from error
            if error.code == "not-found":
                raise self._gone() from error
            raise
        except RetryableError as error:
            if error.code not in ("answer-lost", "overloaded", "upload-expired"):
                raise
            found = await self._found_after_all(error)
            return self._stored(found)

    async def discard(self) -> None:
        if self._spooled is not None:
            self._spooled.close()
        if self._session is not None:
            await self._session.abort()

    @property
    def _shown(self) -> str:
        return self._connector.shown(self._file.path)

    async def _open_session(self, size_bytes: int) -> None:
        """Once begun it is not cut short, or nobody could abort the session."""
        file = self._file
        assert self._parent_id is not None
        asked: dict[str, Any] = {"file_size": size_bytes}
        if file.expected is None:
            asked |= {"folder_id": self._parent_id, "file_name": file.path[-1]}
        expected_id = None if file.expected is None else id_of(file.expected.ref)
        try:
            self._session = await Session.opened(self._connector, self._what, asked, expected_id)
        except NameTaken as taken:
            raise destination_changed(self._shown, "something is there now") from taken
        except ItemError as error:
            if error.code != "not-found":
                raise
            raise self._gone() from error

    def _gone(self) -> ItemError:
        """What Box means by not-found when it is given a file to replace, or a folder to write into."""
        if self._file.expected is not None:
            return destination_changed(self._shown, "the file to replace is gone")
        self._connector.folders.forget(self._file.path[:-1])
        return ItemError("parent-missing", f"{self._shown}: its folder does not exist any more.")

    async def _replaced(self) -> tuple[str, str | None]:
        """The name to upload under, and the etag of the file that is replaced: it still has the content that the plan
        saw, and Box is asked to check that nothing happens to it from here on."""
        expected = self._file.expected
        if expected is None:
            return self._file.path[-1], None
        found, etag = await self._connector.look_at_with_etag(expected)
        check_expected(self._shown, found, expected)
        assert found is not None
        return found.name, etag

    async def _published(self, name: str, etag: str | None) -> Stored:
        attributes: dict[str, Any] = {}
        if self._file.modified_at is not None:
            attributes["content_modified_at"] = text_of(self._file.modified_at)
        if self._session is not None:
            values = await self._session.committed(attributes, etag)
        else:
            attributes["name"] = name
            values = await self._sent(attributes, etag)
        return self._stored(entry_of(values, self._file.path, None))

    async def _sent(self, attributes: dict[str, Any], etag: str | None) -> dict[str, Any]:
        expected = self._file.expected
        if expected is None:
            attributes["parent"] = {"id": self._parent_id}
        place = "files/content" if expected is None else f"files/{id_of(expected.ref)}/content"
        boundary = f"sitehaul{uuid4().hex}"
        before, after = _around(boundary, attributes)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(before) + self._size_bytes + len(after)),
            "Content-MD5": self._sha1.hexdigest(),  # Box's name for a header that holds a SHA-1
            **({} if etag is None else {"If-Match": etag}),
        }
        address = f"{self._connector.upload_base}/{place}"
        # After a 503 Box may have stored the file all the same, or may do so yet: it is not simply asked again.
        accept = frozenset({503})
        if self._spooled is None:
            body = before + (self._only or b"") + after
            reply = await self._connector.calls.call(
                self._what, "POST", address, headers=headers, content=body, again=False, accept=accept
            )
        else:
            spooled = self._spooled

            async def body_of_file() -> AsyncIterator[bytes]:
                yield before
                async for chunk in spooled.chunks():
                    yield chunk
                yield after

            reply = await self._streamed(address, body_of_file, headers)
        if reply.status == 503:
            raise throttled(
                self._connector.display_name, 503, retry_after_seconds(reply.headers, self._connector.now())
            )
        values: dict[str, Any] = reply.json()["entries"][0]
        return values

    async def _streamed(self, address: str, body: Callable[[], AsyncIterator[bytes]], headers: dict[str, str]) -> Reply:
        """As `Calls.call` for a body that is not in memory: sent again after an answer that says nothing was done."""
        connector = self._connector
        for attempt in range(1, ATTEMPTS + 1):
            proof = await connector.signing.headers()
            try:
                reply = await connector.calls.send(
                    self._what, "POST", address, body(), headers=headers, accept=frozenset({401, 503})
                )
            except RetryableError as error:
                if error.code not in ("rate-limited", "unreachable") or attempt == ATTEMPTS:
                    raise
                await connector.pause_seconds(error.retry_after_seconds or float(attempt))
                continue
            if reply.status != 401:
                return reply
            await connector.signing.refused(proof)
        raise RetryableError("sign-in-refused", f"Could not {self._what}: Box refuses every sign-in.")

    async def _found_after_all(self, lost: RetryableError) -> Entry:
        """What the lost answer would have said. RetryableError `publish-unknown` if that cannot be known."""
        expected = self._file.expected
        unknown = RetryableError(
            "publish-unknown", lost.message, fix=lost.fix, retry_after_seconds=lost.retry_after_seconds
        )
        looking: Awaitable[Entry | None] = (
            self._connector.look(self._file.path) if expected is None else self._connector.look_at(expected)
        )
        try:
            found = await looking
        except RetryableError as error:
            raise unknown from error
        is_ours = (
            found is not None
            and found.is_file
            and found.checksums.get("sha1") == self._hash
            and (expected is None or found.ref.version_id != expected.ref.version_id)
        )
        if found is None or not is_ours:
            raise unknown
        return found

    @property
    def _hash(self) -> str:
        return self._sha1.hexdigest() if self._session is None else self._session.sha1

    def _stored(self, found: Entry) -> Stored:
        if found.checksums.get("sha1") != self._hash or found.size_bytes != self._size_bytes:
            raise ItemError(
                "stored-content-differs",
                f"What Box stored as {self._shown} is not what was sent.",
                fix="Delete it, and run again.",
            )
        self._session = None
        if self._spooled is not None:
            self._spooled.close()
        return Stored(found.ref, found.name, self._size_bytes, found.modified_at, confirmed_by="sha1")


def _around(boundary: str, attributes: dict[str, Any]) -> tuple[bytes, bytes]:
    """What comes before and after the content in the body; the attributes have to come first."""
    start = f"--{boundary}\r\nContent-Disposition: form-data; name="
    before = (
        f'{start}"attributes"\r\nContent-Type: application/json\r\n\r\n{orjson.dumps(attributes).decode()}\r\n'
        f'{start}"file"; filename="content"\r\nContent-Type: application/octet-stream\r\n\r\n'
    )
    return before.encode(), f"\r\n--{boundary}--\r\n".encode()
