"""Request bodies in several parts (RFC 2046), parsed in memory with the order of the parts kept."""

import re
from dataclasses import dataclass

_NAME = re.compile(rb'[;\s]name="([^"]*)"', re.I)
_FILENAME = re.compile(rb'[;\s]filename="((?:[^"\\]|\\.)*)"', re.I)
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.I)


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `filename` is None for a plain field."""

    name: str
    filename: str | None
    content: memoryview


def boundary_of(content_type: str) -> bytes | None:
    """What separates the parts; None if the type is not a multipart one."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or found is None:
        return None
    return found.group(1).encode("latin-1")


def parts(body: bytes, boundary: bytes) -> list[Part] | None:
    """The parts in their order; None if the body is not one, or was cut off."""
    mark = b"--" + boundary
    if not body.startswith(mark):
        return None
    view, found, place = memoryview(body), [], len(mark)
    while body[place : place + 2] != b"--":
        head = body.find(b"\r\n\r\n", place)
        end = body.find(b"\r\n" + mark, head + 2)
        if head < 0 or end < 0:
            return None
        name, filename = _NAME.search(body, place, head), _FILENAME.search(body, place, head)
        found.append(
            Part(
                "" if name is None else name.group(1).decode("utf-8", "replace"),
                None if filename is None else filename.group(1).decode("utf-8", "replace"),
                view[head + 4 : max(end, head + 4)],
            )
        )
        place = end + 2 + len(mark)
    return found
