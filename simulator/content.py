"""One stored version as an HTTP answer: whole, in part, or only if it is (not) the one the client has."""

import functools
import hashlib
import mimetypes
import re
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote

from simulator.state import State, Version
from simulator.web import Answer, Call, Header

_AT_ONCE_BYTES = 1024 * 1024
_PACED_PIECE_BYTES = 128 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def content(state: State, call: Call, version: Version) -> Answer:
    """The answer to a GET or HEAD of a version; Range, If-Match, If-None-Match and If-Range as in RFC 9110."""
    etag = etag_of(version, changed=call.fault == "etag-changed")
    headers: list[Header] = [(b"etag", etag.encode()), (b"last-modified", _http_date(version.created_at))]
    required, known = call.headers.get("if-match"), call.headers.get("if-none-match")
    if required is not None and required != "*" and etag not in required:
        return xml_error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
    if known is not None and (known == "*" or etag in known):
        return Answer(304, b"", headers)
    headers += [(b"content-type", _content_type(version.filename)), (b"content-disposition", _disposition(version))]
    if not state.settings.ranges:
        return _part(state, call, version, 200, (0, version.size_bytes), headers)
    headers.append((b"accept-ranges", b"bytes"))
    asked = call.headers.get("range") if call.headers.get("if-range", etag) == etag else None
    span = span_of(asked, version.size_bytes)
    if span is None:
        return _part(state, call, version, 200, (0, version.size_bytes), headers)
    start, end = span
    if start >= version.size_bytes:
        refused = xml_error(416, "InvalidRange", "The requested range is not satisfiable")
        refused.headers.append((b"content-range", f"bytes */{version.size_bytes}".encode()))
        return refused
    headers.append((b"content-range", f"bytes {start}-{end - 1}/{version.size_bytes}".encode()))
    return _part(state, call, version, 206, span, headers)


def etag_of(version: Version, *, changed: bool = False) -> str:
    """The entity tag, quotes included; `changed` gives that of some other content."""
    text = f"{version.body_key}|{version.size_bytes}|{changed}"
    return f'"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"'


def xml_error(status: int, code: str, message: str) -> Answer:
    """An error as object stores write it."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer.text(text, status, "application/xml")


def _part(
    state: State, call: Call, version: Version, status: int, span: tuple[int, int], headers: list[Header]
) -> Answer:
    start, length = span[0], span[1] - span[0]
    key, size_bytes = version.body_key, version.size_bytes
    if call.method == "HEAD":
        return Answer(status, b"", headers, length)
    if state.settings.bytes_per_second:
        pieces = state.bodies.pieces(key, size_bytes, start, length, _PACED_PIECE_BYTES)
        return Answer(status, pieces, headers, length, state.settings.bytes_per_second)
    if length <= _AT_ONCE_BYTES:
        return Answer(status, state.bodies.read(key, size_bytes, start, length), headers, length)
    return Answer(status, state.bodies.pieces(key, size_bytes, start, length), headers, length)


def span_of(text: str | None, size_bytes: int) -> tuple[int, int] | None:
    """The range a Range header asks for as [start, end); None for none, or for a form that may be ignored."""
    match = _RANGE.fullmatch(text or "")
    if match is None or match[1] == match[2] == "":
        return None
    if not match[1]:
        last = int(match[2])
        return (max(0, size_bytes - last), size_bytes) if last else (size_bytes, size_bytes)
    start, end = int(match[1]), int(match[2]) + 1 if match[2] else size_bytes
    return None if end <= start and match[2] else (start, min(end, size_bytes))


@functools.lru_cache(maxsize=4096)
def _http_date(text: str) -> bytes:
    return format_datetime(datetime.fromisoformat(text), usegmt=True).encode()


@functools.lru_cache(maxsize=4096)
def _content_type(filename: str) -> bytes:
    return (mimetypes.guess_type(filename)[0] or "application/octet-stream").encode()


@functools.lru_cache(maxsize=4096)
def _quoted(filename: str) -> bytes:
    return f"attachment; filename*=UTF-8''{quote(filename.encode('utf-8', 'replace'), safe='')}".encode()


def _disposition(version: Version) -> bytes:
    return _quoted(version.filename)
