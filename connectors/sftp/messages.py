"""The messages of SFTP version 3 and of OpenSSH's extensions, as far as they are needed.

Version 3 is what every server speaks, OpenSSH nothing else:
https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02. The extensions are described in
https://github.com/openssh/openssh-portable/blob/master/PROTOCOL, section 4.
"""

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

VERSION = 3
READ, WRITE, CREATE, EXCLUSIVE = 0x01, 0x02, 0x08, 0x20
"""How a file is opened (section 6.3)."""

_INIT, _VERSION = 1, 2
_OPEN, _CLOSE, _READ, _WRITE = 3, 4, 5, 6
_LSTAT, _FSTAT, _SETSTAT = 7, 8, 9
_OPENDIR, _READDIR, _REMOVE, _MKDIR = 11, 12, 13, 14
_STAT, _RENAME, _EXTENDED = 17, 18, 200
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS, _REPLY = 101, 102, 103, 104, 105, 201
_HAS_SIZE, _HAS_OWNER, _HAS_PERMISSIONS, _HAS_TIMES, _HAS_MORE = 0x1, 0x2, 0x4, 0x8, 0x80000000
_SECONDS_MAX = 2**32 - 1


class Status(IntEnum):
    """What a server answers (section 7). From 9 on they are of later versions, which some servers use all the same:
    https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-13, section 9.1."""

    OK = 0
    END = 1
    NOTHING_THERE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    UNSUPPORTED = 8
    NO_SUCH_PATH = 10
    EXISTS = 11
    WRITE_PROTECTED = 12
    NO_SPACE = 14
    QUOTA_EXCEEDED = 15
    LOCKED = 17
    NOT_A_FOLDER = 19
    INVALID_NAME = 20


class NotSftp(Exception):
    """What came is not what the protocol allows."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request without its length and number."""

    kind: int
    head: bytes
    data: bytes | memoryview = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer without its length and number."""

    kind: int
    data: memoryview

    @classmethod
    def of(cls, status: int) -> "Answer":
        """An answer that carries nothing."""
        return cls(_STATUS, memoryview(struct.pack(">I", status)))

    @property
    def status(self) -> int:
        """The status; that of an answer that carries something is OK."""
        return _u32(self.data) if self.kind == _STATUS else Status.OK

    @property
    def text(self) -> str:
        """What the server says about it."""
        if self.kind != _STATUS or len(self.data) < 8:
            return ""
        return bytes(_string(self.data, 4)[0]).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Found:
    """What a server says about a file or folder. None = it did not say."""

    size_bytes: int | None
    permissions: int | None
    modified_seconds: int | None

    @property
    def is_folder(self) -> bool:
        return self.permissions is not None and stat.S_ISDIR(self.permissions)

    @property
    def is_file(self) -> bool:
        """Also where the server does not say what it is: what cannot be read then says so itself."""
        return self.permissions is None or not stat.S_IFMT(self.permissions) or stat.S_ISREG(self.permissions)

    @property
    def is_link(self) -> bool:
        return self.permissions is not None and stat.S_ISLNK(self.permissions)

    @property
    def modified_at(self) -> datetime | None:
        return None if self.modified_seconds is None else datetime.fromtimestamp(self.modified_seconds, UTC)

    @property
    def version(self) -> str | None:
        """Tells versions of a file apart, as finely as seconds can."""
        if self.modified_seconds is None or self.size_bytes is None:
            return None
        return f"{self.modified_seconds * 10**9:x}.{self.size_bytes:x}"


@dataclass(frozen=True, slots=True)
class Space:
    """How much room a file system has for the user."""

    free_bytes: int
    free_files: int | None
    """None where it has no fixed number of them."""


def init() -> bytes:
    """The first message, with its length."""
    return struct.pack(">IBI", 5, _INIT, VERSION)


def packed(number: int, request: Request) -> list[bytes | memoryview]:
    """The request as it is sent, in pieces."""
    length = 5 + len(request.head) + len(request.data)
    start = struct.pack(">IBI", length, request.kind, number) + request.head
    return [start, request.data] if request.data else [start]


def greeting(kind: int, data: memoryview) -> frozenset[tuple[bytes, bytes]]:
    """The extensions in the answer to `init`. NotSftp for anything else."""
    if kind != _VERSION or len(data) < 4:
        raise NotSftp("the first answer is not that of an SFTP server")
    extensions, at = [], 4
    while at < len(data):
        name, at = _string(data, at)
        value, at = _string(data, at)
        extensions.append((bytes(name), bytes(value)))
    return frozenset(extensions)


def open_file(path: bytes, flags: int) -> Request:
    """Open a file as the flags say."""
    return Request(_OPEN, _text(path) + struct.pack(">II", flags, 0))


def close(handle: bytes) -> Request:
    """Close what was opened."""
    return Request(_CLOSE, _text(handle))


def read(handle: bytes, offset: int, length: int) -> Request:
    """Some bytes of an open file."""
    return Request(_READ, _text(handle) + struct.pack(">QI", offset, length))


def write(handle: bytes, offset: int, data: bytes | memoryview) -> Request:
    """Put bytes at their place in an open file."""
    return Request(_WRITE, _text(handle) + struct.pack(">QI", offset, len(data)), data)


def look(path: bytes) -> Request:
    """About what is there, be it a link."""
    return Request(_LSTAT, _text(path))


def look_through(path: bytes) -> Request:
    """About what is there, or what the link there leads to."""
    return Request(_STAT, _text(path))


def look_open(handle: bytes) -> Request:
    """About what is open."""
    return Request(_FSTAT, _text(handle))


def set_time(path: bytes, seconds: int) -> Request:
    """Set when it was modified and last read."""
    return Request(_SETSTAT, _text(path) + struct.pack(">III", _HAS_TIMES, seconds, seconds))


def open_folder(path: bytes) -> Request:
    """Open a folder to list it."""
    return Request(_OPENDIR, _text(path))


def list_some(handle: bytes) -> Request:
    """The next names in an open folder."""
    return Request(_READDIR, _text(handle))


def remove(path: bytes) -> Request:
    """Remove a file."""
    return Request(_REMOVE, _text(path))


def make_folder(path: bytes) -> Request:
    """Make a folder."""
    return Request(_MKDIR, _text(path) + struct.pack(">I", 0))


def rename(path: bytes, to: bytes) -> Request:
    """Section 6.5: an error if something is there."""
    return Request(_RENAME, _text(path) + _text(to))


def replace(path: bytes, to: bytes) -> Request:
    """posix-rename@openssh.com: in place of whatever file is there."""
    return Request(_EXTENDED, _text(b"posix-rename@openssh.com") + _text(path) + _text(to))


def link(path: bytes, second: bytes) -> Request:
    """hardlink@openssh.com: an error if something is there."""
    return Request(_EXTENDED, _text(b"hardlink@openssh.com") + _text(path) + _text(second))


def ask_space(path: bytes) -> Request:
    """statvfs@openssh.com: how much room there is."""
    return Request(_EXTENDED, _text(b"statvfs@openssh.com") + _text(path))


def ask_limits() -> Request:
    """limits@openssh.com: how much one request may carry."""
    return Request(_EXTENDED, _text(b"limits@openssh.com"))


def is_handle(answer: Answer) -> bool:
    """Whether something was opened."""
    return answer.kind == _HANDLE


def handle(answer: Answer) -> bytes:
    """What a file or folder that was opened is called."""
    return bytes(_string(_of(answer, _HANDLE), 0)[0])


def content(answer: Answer) -> bytes:
    """The bytes that were read."""
    return bytes(_string(_of(answer, _DATA), 0)[0])


def found(answer: Answer) -> Found:
    """What was looked at."""
    return _attributes(_of(answer, _ATTRS), 0)[0]


def names(answer: Answer) -> Iterator[tuple[bytes, Found]]:
    """Each name in a folder with what is there."""
    data, at = _of(answer, _NAME), 4
    for _ in range(_u32(data)):
        name, at = _string(data, at)
        line, at = _string(data, at)
        one, at = _attributes(data, at)
        yield bytes(name), one if one.permissions is not None else _by_line(one, bytes(line[:1]))


def space(answer: Answer) -> Space:
    """The room that was asked for."""
    data = _of(answer, _REPLY)
    if len(data) < 88:
        raise NotSftp("an answer is too short")
    _, fragment_bytes, _, _, available, files, _, files_available = struct.unpack_from(">8Q", data)
    return Space(fragment_bytes * available, files_available if files else None)


def limits(answer: Answer) -> tuple[int, int]:
    """How many bytes one request may read and write; 0 = it does not say."""
    data = _of(answer, _REPLY)
    if len(data) < 24:
        raise NotSftp("an answer is too short")
    _, reading, writing = struct.unpack_from(">3Q", data)
    return reading, writing


def seconds(at: datetime) -> int:
    """A time as the protocol can express it, from 1970 to 2106."""
    return min(max(int(at.timestamp()), 0), _SECONDS_MAX)


def _by_line(one: Found, first: bytes) -> Found:
    """What is there by the first letter of the line `ls -l` would print, where the server says nothing else."""
    kinds = {b"d": stat.S_IFDIR, b"l": stat.S_IFLNK, b"-": stat.S_IFREG}
    return Found(one.size_bytes, kinds.get(first), one.modified_seconds)


def _attributes(data: memoryview, at: int) -> tuple[Found, int]:
    flags, at = _u32(data, at), at + 4
    size_bytes = permissions = modified = None
    if flags & _HAS_SIZE:
        size_bytes, at = _u32(data, at) << 32 | _u32(data, at + 4), at + 8
    if flags & _HAS_OWNER:
        at += 8
    if flags & _HAS_PERMISSIONS:
        permissions, at = _u32(data, at), at + 4
    if flags & _HAS_TIMES:
        modified, at = _u32(data, at + 4), at + 8
    if flags & _HAS_MORE:
        count, at = _u32(data, at), at + 4
        for _ in range(2 * count):
            _, at = _string(data, at)
    return Found(size_bytes, permissions, modified), at


def _of(answer: Answer, kind: int) -> memoryview:
    if answer.kind != kind:
        raise NotSftp(f"an answer is of the kind {answer.kind} instead of {kind}")
    return answer.data


def _text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _u32(data: memoryview, at: int = 0) -> int:
    if at + 4 > len(data):
        raise NotSftp("an answer is too short")
    return int.from_bytes(data[at : at + 4], "big")


def _string(data: memoryview, at: int) -> tuple[memoryview, int]:
    end = at + 4 + _u32(data, at)
    if end > len(data):
        raise NotSftp("an answer is too short")
    return data[at + 4 : end], end
