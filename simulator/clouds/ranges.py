"""Byte ranges of downloads (RFC 9110, section 14): one range, from the start or from the end."""

import re

from simulator.clouds.base import Content
from simulator.web import Answer, Header

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def ranged(content: Content, wanted: str | None, headers: list[Header]) -> Answer:
    """The whole content, or the one range that is wanted; 416 for one that does not exist."""
    size = content.size
    found = None if wanted is None else _RANGE.fullmatch(wanted)
    if found is None or found.groups() == ("", ""):
        return Answer(200, content.pieces(0, size), headers, size)
    first, end = _bounds(found[1], found[2], size)
    if first >= end:
        return Answer(416, b"", [*headers, (b"content-range", f"bytes */{size}".encode())])
    about = (b"content-range", f"bytes {first}-{end - 1}/{size}".encode())
    return Answer(206, content.pieces(first, end), [*headers, about], end - first)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1 if last else size)
