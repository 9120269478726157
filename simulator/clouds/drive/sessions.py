"""Resumable uploads, see https://developers.google.com/workspace/drive/api/guides/manage-uploads#resumable .

Pieces are multiples of 256 KiB but for the last. Of a piece that is not, Google's servers keep the whole multiples and
refuse what has not even one. A session lives for a week; its address is enough to use it.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.clouds.base import Answer, Call, Content, Spool, chunks
from simulator.clouds.drive.refusals import Refusal, bad_request, bad_token

if TYPE_CHECKING:
    from simulator.clouds.drive.calls import Asked
    from simulator.clouds.drive.service import Drive

PIECE_BYTES = 256 * 1024
Commit = Callable[["Drive", "Asked", dict[str, Any], Content, str], Answer]
"""Makes the file, or its new content, of the fields, the content and its kind. Raises Refusal."""
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(slots=True)
class Session:
    """An upload that was begun."""

    asked: "Asked"
    fields: dict[str, Any]
    mime_type: str
    total_bytes: int | None
    """As far as it is known yet."""
    expires_at: float
    spool: Spool
    content: Content | None = None
    done: Answer | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    first: int | None
    """None: no bytes, the client only asks."""
    last: int
    total: int | None


class Sessions:
    """The sessions of one Drive."""

    def __init__(self, drive: "Drive", commit: Commit) -> None:
        self._drive = drive
        self._commit = commit
        self._sessions: dict[str, Session] = {}

    def open(self) -> int:
        """How many are neither complete nor cancelled nor too old."""
        now = self._drive.clock.now()
        return sum(1 for one in self._sessions.values() if one.done is None and one.expires_at > now)

    def begin(self, asked: "Asked", fields: dict[str, Any]) -> Answer:
        """Begin a session whose metadata are checked."""
        call, drive = asked.call, self._drive
        length = call.headers.get("x-upload-content-length")
        if length is not None and not length.isdecimal():
            raise bad_request("Invalid X-Upload-Content-Length header.")
        upload_id = secrets.token_urlsafe(48)
        self._sessions[upload_id] = Session(
            asked, fields, call.headers.get("x-upload-content-type", ""), None if length is None else int(length),
            drive.clock.now() + drive.switches.session_lifetime_seconds, Spool(),
        )  # fmt: skip
        address = f"{drive.url}{call.path}?uploadType=resumable&upload_id={upload_id}"
        headers = [(b"location", address.encode()), (b"x-guploader-uploadid", upload_id.encode())]
        return Answer(200, b"", headers)

    async def answer(self, call: Call) -> Answer:
        """A call to a session's address. Raises Refusal."""
        session = self._sessions.get(call.first("upload_id") or "")
        if session is None or session.expires_at <= self._drive.clock.now():
            raise Refusal(404, "notFound", "Upload session not found.")
        if "authorization" in call.headers and self._drive.tokens.grant(call.bearer, "access") is None:
            raise bad_token()
        if call.method == "DELETE":
            del self._sessions[call.first("upload_id") or ""]
            return Answer(499, b"")
        if call.method not in ("PUT", "POST"):
            raise Refusal(405, "httpMethodNotAllowed", "The requested HTTP method is not allowed.")
        return await self._put(session, call)

    async def _put(self, session: Session, call: Call) -> Answer:
        span = _span(call)
        if session.done is not None:
            return session.done
        if span is not None:
            _agree(session, span)
        if span is None or span.first is not None:
            await _take(session, call, span)
        if span is not None and session.total_bytes is None:
            session.total_bytes = span.total
        if session.total_bytes is not None and session.spool.length == session.total_bytes:
            return await self._finish(session)
        length = session.spool.length
        return Answer(308, b"", [(b"range", f"bytes=0-{length - 1}".encode())] if length else [])

    async def _finish(self, session: Session) -> Answer:
        """Make the file; if that is refused, the bytes stay and the client may ask again."""
        session.content = session.content or session.spool.finish()
        session.done = self._commit(self._drive, session.asked, session.fields, session.content, session.mime_type)
        return session.done


def _span(call: Call) -> _Span | None:
    text = call.headers.get("content-range")
    if text is None:
        return None
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise bad_request("Failed to parse Content-Range header.")
    total = None if found[3] == "*" else int(found[3])
    if found[1] is None:
        return _Span(None, -1, total)
    first, last = int(found[1]), int(found[2])
    if last < first or (total is not None and last >= total):
        raise bad_request("Invalid Content-Range header.")
    return _Span(first, last, total)


def _agree(session: Session, span: _Span) -> None:
    """Raise Refusal if the piece does not fit to what is known."""
    if span.total is not None:
        if session.total_bytes not in (None, span.total):
            raise bad_request("The total size is not the one given before.")
        if span.total < session.spool.length:
            raise bad_request("The total size is less than what has been received.")
    if span.first is not None and span.first > session.spool.length:
        raise bad_request(f"Invalid request. The upload is at {session.spool.length}, not at {span.first}.")


async def _take(session: Session, call: Call, span: _Span | None) -> None:
    """Keep the bytes of a piece as they come, in whole multiples unless it is the last. Raises Refusal, Gone."""
    spool = session.spool
    if span is None and spool.length:
        raise bad_request("Content-Range header is missing.")
    first = 0 if span is None else span.first or 0
    skipped, waiting, count = spool.length - first, bytearray(), 0
    async for data in chunks(call):
        said = data if span is None else data[: max(0, span.last - first + 1 - count)]
        count += len(data)
        waiting += said[skipped:]
        skipped = max(0, skipped - len(data))
        whole = len(waiting) - len(waiting) % PIECE_BYTES
        if whole:
            spool.write(bytes(waiting[:whole]))
            del waiting[:whole]
    if span is not None and count != span.last - first + 1:
        raise bad_request("The length of the body does not agree with the Content-Range header.")
    last = span is None or (span.total is not None and span.last + 1 == span.total)
    if span is None:
        _whole(session, spool.length + len(waiting))
    if last:
        spool.write(bytes(waiting))
    elif count < PIECE_BYTES:
        raise bad_request(
            f"Invalid request.  The number of bytes uploaded is required to be equal or greater than {PIECE_BYTES}, "
            f"except for the final request (it's recommended to be the exact multiple of {PIECE_BYTES}).  The received "
            f"request contained {count} bytes, which does not meet this requirement."
        )


def _whole(session: Session, count: int) -> None:
    if session.total_bytes not in (None, count):
        raise bad_request("The length of the body does not agree with X-Upload-Content-Length.")
    session.total_bytes = count
