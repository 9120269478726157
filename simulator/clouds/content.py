"""Bytes of one version: in memory up to 8 MiB, above in an unnamed temporary file that ends with the object."""

import hashlib
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator
from typing import Protocol

from simulator.content import span_of
from simulator.web import Answer, Call, Header

IN_MEMORY_BYTES = 8 * 1024 * 1024
_AT_ONCE_BYTES = 1024 * 1024


class Digest(Protocol):
    """A running checksum, as those of hashlib."""

    def update(self, data: bytes, /) -> object: ...
    def digest(self) -> bytes: ...


class Content:
    """Bytes that never change. Made by `Spool.finish` or `Content.of`."""

    __slots__ = ("__weakref__", "_closing", "_data", "_digests", "_fd", "size_bytes")

    def __init__(self, data: bytes | None, fd: int | None, size_bytes: int, digests: dict[str, bytes]) -> None:
        self._data = data
        self._fd = fd
        self.size_bytes = size_bytes
        self._digests = digests
        self._closing = None if fd is None else weakref.finalize(self, os.close, fd)

    @classmethod
    def of(cls, data: bytes) -> "Content":
        """These bytes, whatever their size."""
        spool = Spool()
        spool.write(data)
        return spool.finish()

    @property
    def size(self) -> int:
        """The length in bytes."""
        return self.size_bytes

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """The bytes from `start`, `length` at most, to the end by default."""
        end = self.size_bytes if length is None else min(self.size_bytes, start + length)
        if self._data is not None:
            return self._data if (start, end) == (0, self.size_bytes) else self._data[start:end]
        assert self._fd is not None
        return _read_all(self._fd, start, max(0, end - start))

    def pieces(self, start: int = 0, length: int | None = None, piece_bytes: int = _AT_ONCE_BYTES) -> Iterator[bytes]:
        """The same bytes in pieces."""
        end = self.size_bytes if length is None else min(self.size_bytes, start + length)
        for at in range(start, end, piece_bytes):
            yield self.read(at, min(piece_bytes, end - at))

    def digest(self, name: str) -> str:
        """A checksum of hashlib by its name, in lower-case hexadecimal; computed once."""
        return self.digest_by(name, lambda: hashlib.new(name, usedforsecurity=False)).hex()

    def digest_by(self, name: str, begin: Callable[[], Digest]) -> bytes:
        """The checksum known under this name, computed once with `begin()`."""
        known = self._digests.get(name)
        if known is None:
            running = begin()
            for piece in self.pieces():
                running.update(piece)
            known = self._digests[name] = running.digest()
        return known

    @property
    def md5(self) -> str:
        return self.digest("md5")

    @property
    def sha1(self) -> str:
        return self.digest("sha1")

    @property
    def sha256(self) -> str:
        return self.digest("sha256")

    def close(self) -> None:
        """Let the temporary file go; the content must not be read any more. Happens by itself, too."""
        if self._closing is not None:
            self._closing()


class Spool:
    """Collects a body of any size. `digests` are computed while it arrives, as long as it arrives in order."""

    def __init__(self, digests: dict[str, Callable[[], Digest]] | None = None) -> None:
        self._memory = bytearray()
        self._fd: int | None = None
        self._running = {name: begin() for name, begin in (digests or {}).items()}
        self.length = 0

    def write(self, data: bytes) -> None:
        """Append."""
        for running in self._running.values():
            running.update(data)
        self._put(self.length, data)

    def write_at(self, offset: int, data: bytes) -> None:
        """Put bytes anywhere; a gap before them holds zeros until it is written, and checksums are computed later."""
        self._running = {}
        self._put(offset, data)

    def finish(self) -> Content:
        """What was written. The spool must not be used any more."""
        digests = {name: running.digest() for name, running in self._running.items()}
        if self._fd is None:
            return Content(bytes(self._memory), None, self.length, digests)
        fd, self._fd = self._fd, None
        return Content(None, fd, self.length, digests)

    def copied(self) -> Content:
        """What was written so far, as content of its own; the spool goes on."""
        if self._fd is None:
            return Content(bytes(self._memory), None, self.length, {})
        other = Spool()
        for at in range(0, self.length, _AT_ONCE_BYTES):
            other.write(os.pread(self._fd, _AT_ONCE_BYTES, at))
        return other.finish()

    def close(self) -> None:
        """Drop what was written."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self._memory = bytearray()

    def __del__(self) -> None:
        self.close()

    def _put(self, offset: int, data: bytes) -> None:
        self.length = max(self.length, offset + len(data))
        if self._fd is None and self.length > IN_MEMORY_BYTES:
            self._move_out()
        if self._fd is not None:
            _write_all(self._fd, offset, data)
            return
        if offset > len(self._memory):
            self._memory.extend(bytes(offset - len(self._memory)))
        self._memory[offset : offset + len(data)] = data

    def _move_out(self) -> None:
        with tempfile.TemporaryFile() as file:
            self._fd = os.dup(file.fileno())
        _write_all(self._fd, 0, bytes(self._memory))
        self._memory = bytearray()


def _read_all(fd: int, start: int, length: int) -> bytes:
    """What one read gives at most is less than 2 GiB."""
    data = os.pread(fd, length, start)
    while len(data) < length and (more := os.pread(fd, length - len(data), start + len(data))):
        data += more
    return data


def _write_all(fd: int, offset: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def download(call: Call, content: Content, headers: list[Header], etag: str | None = None) -> Answer:
    """The bytes as 200, 206 or 416, by the Range and If-Range headers of the call (RFC 9110)."""
    size = content.size_bytes
    unchanged = etag is None or call.headers.get("if-range", etag) == etag
    span = span_of(call.headers.get("range"), size) if unchanged else None
    headers = [*headers, (b"accept-ranges", b"bytes")]
    if span is None:
        return _part(call, content, 200, (0, size), headers)
    if span[0] >= size:
        return Answer(416, b"", [*headers, (b"content-range", f"bytes */{size}".encode())])
    headers.append((b"content-range", f"bytes {span[0]}-{span[1] - 1}/{size}".encode()))
    return _part(call, content, 206, span, headers)


def _part(call: Call, content: Content, status: int, span: tuple[int, int], headers: list[Header]) -> Answer:
    start, length = span[0], span[1] - span[0]
    if call.method == "HEAD":
        return Answer(status, b"", headers, length)
    if length <= _AT_ONCE_BYTES:
        return Answer(status, content.read(start, length), headers, length)
    return Answer(status, content.pieces(start, length), headers, length)
