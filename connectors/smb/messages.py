"""SMB 2 messages for files and folders, in bytes: what is sent, and what of the answers matters.

Written out with `struct`, because the library's own structures, made field by field, cost more time than the network.
Layouts: [MS-SMB2] section 2.2, https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/, and [MS-FSCC]
section 2.4, https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-fscc/.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

PREVIOUS = b"\xff" * 16
"""In a chain of messages: the file that the chain opened."""

READ_ATTRIBUTES = 0x00000080
WRITE_ATTRIBUTES = 0x00000100
READ_DATA = 0x00000001
WRITE_DATA = 0x00000002
ADD_FILE = 0x00000002
ADD_FOLDER = 0x00000004
DELETE = 0x00010000
SYNCHRONIZE = 0x00100000

OPEN = 1
CREATE = 2
OVERWRITE_IF = 5

IS_FOLDER = 0x00000001
IS_FILE = 0x00000040
DELETE_ON_CLOSE = 0x00001000
OPEN_LINK_ITSELF = 0x00200000
"""FILE_OPEN_REPARSE_POINT: a link is opened, not what it points to."""

FOLDER_ATTRIBUTE = 0x00000010
NORMAL_ATTRIBUTE = 0x00000080
REPARSE_ATTRIBUTE = 0x00000400

_SHARED_WITH_ALL = 0x00000007
_NAME_SURROGATE = 0x20000000
"""In a reparse tag: the entry stands for another one ([MS-FSCC] 2.1.2.1)."""
_SPECIAL_TAGS = frozenset(
    {0x8000000A, 0x80000012, 0x80000014, 0x80000023, 0x80000024, 0x80000025, 0x80000026}
)  # DFS, DFSR, NFS; sockets, pipes and devices of the Linux subsystem
HEADER_BYTES = 64
_1601 = datetime(1601, 1, 1, tzinfo=UTC)
_DIRECTORY_ENTRY = struct.Struct("<IIQQQQQQIIIBB24sHQ")
_CREATED = struct.Struct("<HBBIQQQQQQII16s")
_CLOSED = struct.Struct("<HHIQQQQQQI")


class Number:
    """A number as the library asks a message for it."""

    __slots__ = ("_value",)

    def __init__(self, value: int) -> None:
        self._value = value

    def get_value(self) -> int:
        return self._value

    def __len__(self) -> int:
        return 0


class Message:
    """One message without its header, in the form that smbprotocol's connection sends. `payload_bytes` is the larger
    of what it carries and what it asks for; it decides how many credits the message costs."""

    __slots__ = ("COMMAND", "content", "fixed", "payload_bytes")

    def __init__(self, command: int, fixed: bytes, payload_bytes: int = 0, content: bytes | memoryview = b"") -> None:
        """`content` are bytes of a file, which follow the rest and are copied only into the packet that is sent."""
        self.COMMAND = command
        self.fixed = fixed
        self.content = content
        self.payload_bytes = payload_bytes

    def pack(self) -> bytes:
        return b"".join((self.fixed, self.content)) if self.content else self.fixed

    def __len__(self) -> int:
        return len(self.fixed) + len(self.content)

    def __getitem__(self, field: str) -> Number:
        return Number(self.payload_bytes if field in ("length", "output_buffer_length") else 0)


@dataclass(frozen=True, slots=True)
class Found:
    """What the server says about one file or folder. Times in its unit, 100 ns since 1601."""

    size_bytes: int
    created: int
    written: int
    attributes: int
    tag: int = 0
    """The reparse tag, where it was told."""

    @property
    def is_folder(self) -> bool:
        return bool(self.attributes & FOLDER_ATTRIBUTE)

    @property
    def is_reparse_point(self) -> bool:
        return bool(self.attributes & REPARSE_ATTRIBUTE)

    @property
    def is_link(self) -> bool:
        """Whether it stands for something elsewhere, or is no file at all. Other reparse points (deduplicated, tiered
        or compressed files) are files whose content the server puts together."""
        return self.is_reparse_point and bool(self.tag & _NAME_SURROGATE or self.tag in _SPECIAL_TAGS)


def create(name: str, access: int, disposition: int, options: int, *, shared: bool = True) -> Message:
    """Open or make a file or folder; if `shared`, others may do with it what they like meanwhile."""
    encoded = name.encode("utf-16-le", "surrogatepass")
    fixed = struct.pack(
        "<HBBIQQIIIIIHHII",
        57, 0, 0, 2, 0, 0, access | SYNCHRONIZE,
        NORMAL_ATTRIBUTE if not options & IS_FOLDER else 0,
        _SHARED_WITH_ALL if shared else 0, disposition, options, HEADER_BYTES + 56, len(encoded), 0, 0,
    )  # fmt: skip
    return Message(0x05, fixed + (encoded or b"\0\0"))


def close(handle: bytes) -> Message:
    """Close, and be told what the file is like now."""
    return Message(0x06, struct.pack("<HHI16s", 24, 1, 0, handle))


def write(handle: bytes, offset: int, data: bytes | memoryview) -> Message:
    """Write bytes at their place."""
    fixed = struct.pack("<HHIQ16sIIHHI", 49, HEADER_BYTES + 48, len(data), offset, handle, 0, 0, 0, 0, 0)
    return Message(0x09, fixed, len(data), data)


def read(handle: bytes, offset: int, length: int) -> Message:
    """Read bytes; fewer come only at the end of the file."""
    fixed = struct.pack("<HBBIQ16sIIIHH", 49, 0x50, 0, length, offset, handle, 0, 0, 0, 0, 0)
    return Message(0x08, fixed + b"\0", length)


def list_entries(handle: bytes, output_bytes: int) -> Message:
    """The next entries of a folder, as many as fit."""
    pattern = "*".encode("utf-16-le")
    fixed = struct.pack("<HBBI16sHHI", 33, 37, 0, 0, handle, HEADER_BYTES + 32, len(pattern), output_bytes)
    return Message(0x0E, fixed + pattern, output_bytes)


def set_times(handle: bytes, written: int) -> Message:
    """Set when the content was last written; the server then keeps it whatever is done through this handle."""
    return _set_info(handle, 4, struct.pack("<QQQQII", 0, 0, written, 0, 0, 0))


def set_end(handle: bytes, size_bytes: int) -> Message:
    """Set the length of the file."""
    return _set_info(handle, 20, struct.pack("<Q", size_bytes))


def rename(handle: bytes, name: str, *, replace: bool) -> Message:
    """Give the file or folder another path in the share."""
    encoded = name.encode("utf-16-le", "surrogatepass")
    information = struct.pack("<B7xQI", replace, 0, len(encoded)) + encoded
    return _set_info(handle, 10, information.ljust(24, b"\0"))


def delete(handle: bytes) -> Message:
    """Delete it when it is closed."""
    return _set_info(handle, 13, b"\x01")


def query_tag(handle: bytes) -> Message:
    """Ask what kind of reparse point it is."""
    return _query_info(handle, 1, 35, 8)


def query_space(handle: bytes) -> Message:
    """Ask how much room there is."""
    return _query_info(handle, 2, 7, 32)


def created(answer: bytes) -> tuple[bytes, Found]:
    """The handle and what was opened, of an answer to `create`."""
    values = _CREATED.unpack_from(answer)
    return values[12], Found(size_bytes=values[9], created=values[4], written=values[6], attributes=values[10])


def closed(answer: bytes) -> Found | None:
    """What an answer to `close` says about the file; None where the server did not care to."""
    values = _CLOSED.unpack_from(answer)
    if not values[1] & 1:
        return None
    return Found(size_bytes=values[8], created=values[3], written=values[5], attributes=values[9])


def count_written(answer: bytes) -> int:
    """How many bytes an answer to `write` says were written."""
    return int.from_bytes(answer[4:8], "little")


def content(answer: bytes) -> bytes:
    """The bytes of an answer to `read`."""
    first = answer[2] - HEADER_BYTES
    return answer[first : first + int.from_bytes(answer[4:8], "little")]


def tag(answer: bytes) -> int:
    """The reparse tag of an answer to `query_tag`."""
    return int.from_bytes(_output(answer)[4:8], "little")


def free_bytes(answer: bytes) -> int:
    """How many bytes the user may still write, of an answer to `query_space`."""
    _, available, _, sectors, sector_bytes = struct.unpack_from("<QQQII", _output(answer))
    return int(available * sectors * sector_bytes)


def listed(answer: bytes) -> Iterator[tuple[str, Found]]:
    """The names and what they are, of an answer to `list_entries`, without the folder itself and the one around it."""
    output, at = _output(answer), 0
    while at < len(output):
        (following, _, made, _, written, _, size, _, attributes, length, ea_or_tag, *_) = _DIRECTORY_ENTRY.unpack_from(
            output, at
        )
        first = at + _DIRECTORY_ENTRY.size
        name = output[first : first + length].decode("utf-16-le", "surrogatepass")
        if name not in (".", ".."):
            yield name, Found(size, made, written, attributes, ea_or_tag if attributes & REPARSE_ATTRIBUTE else 0)
        if not following:
            return
        at += following


def moment(ticks: int) -> datetime | None:
    """The server's time; None for one that was never set or that no calendar has."""
    try:
        return _1601 + timedelta(microseconds=ticks // 10) if ticks else None
    except OverflowError:
        return None


def ticks(at: datetime) -> int:
    """A time in the server's unit; at least 1, since 0 means "leave it"."""
    since = at - _1601
    return max(1, ((since.days * 86400 + since.seconds) * 10**6 + since.microseconds) * 10)


def _set_info(handle: bytes, kind: int, information: bytes) -> Message:
    fixed = struct.pack("<HBBIHHI16s", 33, 1, kind, len(information), HEADER_BYTES + 32, 0, 0, handle)
    return Message(0x11, fixed + information)


def _query_info(handle: bytes, about: int, kind: int, output_bytes: int) -> Message:
    return Message(0x10, struct.pack("<HBBIHHIII16s", 41, about, kind, output_bytes, 0, 0, 0, 0, 0, handle) + b"\0")


def _output(answer: bytes) -> bytes:
    first, length = struct.unpack_from("<HI", answer, 2)
    return answer[first - HEADER_BYTES : first - HEADER_BYTES + length]
