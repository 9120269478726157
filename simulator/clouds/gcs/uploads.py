"""Uploads: at once, with metadata in one body, and resumable.

https://cloud.google.com/storage/docs/uploads-downloads and https://cloud.google.com/storage/docs/resumable-uploads :
a piece is a multiple of 256 KiB but for the last; a session lives for a week, its address is enough to use it; a
cancelled one answers 499; preconditions are judged when the object is made.
"""

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from simulator.clouds.base import Answer, Call, Content, Spool, chunks, json_object, received
from simulator.clouds.drive.bodies import related
from simulator.clouds.drive.refusals import Refusal
from simulator.clouds.gcs.refusals import invalid, refused

if TYPE_CHECKING:
    from simulator.clouds.gcs.service import Gcs

PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+|\*)|\*)/(\d+|\*)")


@dataclass(slots=True)
class Session:
    """A resumable upload that was begun."""

    bucket: str
    name: str
    call: Call
    fields: dict[str, Any]
    user: str
    total_bytes: int | None
    expires_at: float
    spool: Spool
    content: Content | None = None
    done: Answer | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    first: int | None
    """None: no bytes, the client only asks."""
    last: int | None
    """None: as many as come."""
    total: int | None


class Uploads:
    """What is being uploaded."""

    def __init__(self, gcs: "Gcs") -> None:
        self._gcs = gcs
        self._sessions: dict[str, Session] = {}

    def open(self) -> list[Session]:
        """The sessions that are neither complete nor cancelled nor too old."""
        now = self._gcs.clock.now()
        return [one for one in self._sessions.values() if one.done is None and one.expires_at > now]

    def names(self, bucket: str) -> list[str]:
        """The names that open sessions are for."""
        return sorted(one.name for one in self.open() if one.bucket == bucket)

    async def begin(self, bucket: str, call: Call, user: str) -> Answer:
        """Take an upload by its uploadType. Raises Refused, Gone."""
        kind = call.first("uploadType")
        if kind == "media":
            fields = {"contentType": call.headers.get("content-type", "application/octet-stream")}
            return self._gcs.make(call, user, bucket, call.first("name") or "", fields, await _content(call))
        if kind == "multipart":
            return await self._multipart(bucket, call, user)
        if kind == "resumable":
            return await self._resumable(bucket, call, user)
        raise invalid("Upload requests must include an uploadType URL parameter and a URL path beginning with /upload/")

    async def _multipart(self, bucket: str, call: Call, user: str) -> Answer:
        try:
            parts = related(call.headers.get("content-type", ""), await received(call))
        except Refusal as refusal:
            raise invalid(refusal.message) from None
        fields = _parsed(parts.metadata)
        if parts.content_type:
            fields.setdefault("contentType", parts.content_type)
        name = call.first("name") or str(fields.get("name", ""))
        return self._gcs.make(call, user, bucket, name, fields, Content.of(bytes(parts.content)))

    async def _resumable(self, bucket: str, call: Call, user: str) -> Answer:
        fields = await json_object(call)
        if fields is None:
            raise refused(400, "parseError", "Parse Error")
        length = call.headers.get("x-upload-content-length")
        if length is not None and not length.isdecimal():
            raise invalid("Invalid X-Upload-Content-Length header.")
        if "x-upload-content-type" in call.headers:
            fields.setdefault("contentType", call.headers["x-upload-content-type"])
        name = call.first("name") or str(fields.get("name", ""))
        self._gcs.sound(name, fields)
        upload_id, gcs = secrets.token_urlsafe(64), self._gcs
        self._sessions[upload_id] = Session(
            bucket, name, call, fields, user, None if length is None else int(length),
            gcs.clock.now() + gcs.switches.session_lifetime_seconds, Spool(),
        )  # fmt: skip
        address = f"{gcs.url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload_id}"
        return Answer(200, b"", [(b"location", address.encode()), (b"x-guploader-uploadid", upload_id.encode())])

    async def answer(self, call: Call) -> Answer:
        """A call to a session's address. Raises Refused, Gone."""
        upload_id = call.first("upload_id") or ""
        session = self._sessions.get(upload_id)
        if session is None:
            raise refused(404, "notFound", "Not Found")
        if session.expires_at <= self._gcs.clock.now():
            raise refused(410, "gone", "Gone")
        if call.method == "DELETE":
            del self._sessions[upload_id]
            return Answer(499)
        if call.method not in ("PUT", "POST"):
            raise refused(405, "methodNotAllowed", "Method Not Allowed")
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
        length = session.spool.length
        if session.total_bytes is not None and length == session.total_bytes:
            return self._finish(session)
        return _incomplete(call, length)

    def _finish(self, session: Session) -> Answer:
        """Make the object. What is refused stays refused: the session cannot be used for other bytes."""
        session.content = session.content or session.spool.finish()
        session.done = self._gcs.make(
            session.call, session.user, session.bucket, session.name, session.fields, session.content
        )
        return session.done


def _incomplete(call: Call, length: int) -> Answer:
    """308, which means another thing today: Google's Go client asks not to be told so by the status.

    https://pkg.go.dev/google.golang.org/api/internal/gensupport (ResumableUpload)
    """
    headers = [(b"range", f"bytes=0-{length - 1}".encode())] if length else []
    if "x-guploader-no-308" not in call.headers:
        return Answer(308, b"", headers)
    return Answer(200, b"", [*headers, (b"x-http-status-code-override", b"308")])


async def _content(call: Call) -> Content:
    spool = Spool()
    async for data in chunks(call):
        spool.write(data)
    return spool.finish()


def _parsed(body: bytes) -> dict[str, Any]:

    try:
        value = orjson.loads(body) if body.strip() else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise refused(400, "parseError", "Parse Error")
    return value


def _span(call: Call) -> _Span | None:
    text = call.headers.get("content-range")
    if text is None:
        return None
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise invalid("Failed to parse Content-Range header.")
    total = None if found[3] == "*" else int(found[3])
    if found[1] is None:
        return _Span(None, None, total)
    first, last = int(found[1]), None if found[2] == "*" else int(found[2])
    if last is not None and (last < first or (total is not None and last >= total)):
        raise invalid("Invalid Content-Range header.")
    return _Span(first, last, total)


def _agree(session: Session, span: _Span) -> None:
    """Raises Refused if the piece does not fit to what is known."""
    length = session.spool.length
    if span.total is not None:
        if session.total_bytes not in (None, span.total):
            raise invalid("The total size is not the one given before.")
        if span.total < length:
            raise invalid("The total size is less than what has been received.")
    if span.first is not None and span.first > length:
        raise refused(503, "backendError", f"Invalid request. The upload is at {length}, not at {span.first}.")


async def _take(session: Session, call: Call, span: _Span | None) -> None:
    """Keep the bytes of a piece as they come, in whole multiples unless it is the last. Raises Refused, Gone."""
    spool = session.spool
    first = 0 if span is None else span.first or 0
    skipped, waiting, count = spool.length - first, bytearray(), 0
    async for data in chunks(call):
        count += len(data)
        waiting += data[skipped:] if skipped else data
        skipped = max(0, skipped - len(data))
        whole = len(waiting) - len(waiting) % PIECE_BYTES
        if whole:
            spool.write(bytes(waiting[:whole]))
            del waiting[:whole]
    end = first + count
    if span is not None and span.last is not None and end != span.last + 1:
        raise invalid("The length of the body does not agree with the Content-Range header.")
    if span is None or span.last is None or span.total == end:
        spool.write(bytes(waiting))
        if session.total_bytes not in (None, end):
            raise invalid("The length of the body does not agree with X-Upload-Content-Length.")
        session.total_bytes = end
    elif waiting and count < PIECE_BYTES:
        raise invalid(
            f"Invalid request.  The number of bytes uploaded is required to be equal or greater than {PIECE_BYTES}, "
            f"except for the final request. The received request contained {count} bytes."
        )
