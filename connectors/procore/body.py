"""What part of a content is wanted, whether an answer is that, and its bytes in chunks of a useful size.

Procore gives a size and no checksum, so the size is the one thing every answer is held against: before the body where
the answer states it, and while it is read.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import httpx

from migration.entries import Entry
from migration.errors import ItemError, RetryableError

CHUNK_BYTES = 1024 * 1024
"""Pieces of the network are gathered to at least this."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_PAGES = (".htm", ".html", ".xhtml", ".mht", ".mhtml", ".asp", ".aspx", ".php", ".jsp")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A part of an entry's content; `tag` is what the store called the content when it was opened before."""

    entry: Entry
    offset: int
    length: int | None
    tag: str | None

    @property
    def size_bytes(self) -> int | None:
        """How many bytes that are; None = up to an unknown end."""
        if self.entry.size_bytes is None:
            return self.length
        rest = self.entry.size_bytes - self.offset
        return rest if self.length is None else min(self.length, rest)

    @property
    def is_range(self) -> bool:
        """Whether it is less than everything."""
        return self.offset > 0 or (self.length is not None and self.length != self.entry.size_bytes)

    @property
    def nothing(self) -> bool:
        """Whether a range is empty; the whole of an empty file is asked for all the same."""
        return self.is_range and self.size_bytes is not None and self.size_bytes <= 0

    @property
    def headers(self) -> Mapping[str, str]:
        """The request headers that ask for it."""
        if not self.is_range:
            return {}
        size = self.size_bytes
        last = "" if size is None else str(self.offset + size - 1)
        headers = {"Range": f"bytes={self.offset}-{last}"}
        return headers | {"If-Match": self.tag} if self.tag and not self.tag.startswith("W/") else headers


def check(wanted: Wanted, response: httpx.Response) -> str | None:
    """Whether the answer's head promises what is wanted; the store's tag of the content or None.

    Raises RetryableError for an answer that is something else, ItemError `source-changed` for other content.
    """
    status, headers = response.status_code, response.headers
    if status == 412:
        raise _changed(wanted.entry)
    if status == 416:
        raise _other_size(wanted.entry, _total(headers.get("content-range", "").replace("bytes */", "bytes 0-0/")))
    if status not in (200, 206) or (status == 206 and not wanted.is_range):
        raise RetryableError("unexpected-answer", f"Procore's storage answered HTTP {status} instead of the content.")
    tag: str | None = headers.get("etag")
    if wanted.is_range and wanted.tag is not None and tag is not None and tag != wanted.tag:
        raise _changed(wanted.entry)
    if status == 206:
        _check_range(wanted, headers.get("content-range", ""))
    else:
        _check_whole(wanted.entry, headers)
    return tag


async def pieces(wanted: Wanted, response: httpx.Response) -> AsyncIterator[bytes]:
    """The wanted bytes in non-empty chunks of at most a few MiB.

    Raises RetryableError `short-body`, `long-body` or `connection-lost`; what came before is given out first.
    """
    cut = _Cut(wanted, whole_content=response.status_code == 200)
    gathered: list[bytes] = []
    gathered_bytes = 0
    try:
        async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_raw())) as arriving:
            async for piece in arriving:
                part = cut.part_of(piece)
                if part:
                    gathered.append(part)
                    gathered_bytes += len(part)
                if cut.ended:
                    break
                if gathered_bytes >= CHUNK_BYTES:
                    yield _joined(gathered)
                    gathered, gathered_bytes = [], 0
    except httpx.TransportError as error:
        cut.failure = RetryableError("connection-lost", f"The connection broke while a file was read ({error}).")
    if gathered:
        yield _joined(gathered)
    cut.finish()


class _Cut:
    """Cuts the wanted part out of a body as its pieces arrive, and notices when the body is not what it should be."""

    def __init__(self, wanted: Wanted, *, whole_content: bool) -> None:
        self._skip = wanted.offset if whole_content else 0
        self._size = self._left = wanted.size_bytes
        self._stops_early = whole_content and wanted.length is not None
        self.failure: RetryableError | None = None

    @property
    def ended(self) -> bool:
        """Whether the rest of the body is of no use."""
        return self.failure is not None or (self._stops_early and self._left == 0)

    def part_of(self, piece: bytes) -> bytes:
        """What of the next piece is wanted."""
        if self._skip:
            self._skip, piece = max(0, self._skip - len(piece)), piece[self._skip :]
        if self._left is None:
            return piece
        if len(piece) > self._left and not self._stops_early:
            self.failure = RetryableError(
                "long-body", f"Procore's storage sent more than the {self._size} bytes it should have."
            )
        part = piece[: self._left]
        self._left -= len(part)
        return part

    def finish(self) -> None:
        """The body has ended. Raises what was wrong with it."""
        if self.failure is None and self._left:
            got = (self._size or 0) - self._left
            self.failure = RetryableError(
                "short-body", f"Procore's storage sent {got} of the {self._size} bytes it should have."
            )
        if self.failure is not None:
            raise self.failure


def _check_range(wanted: Wanted, text: str) -> None:
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if found is None or int(found.group(1)) != wanted.offset:
        raise RetryableError("wrong-range", "Procore's storage answered with another part than the one asked for.")
    total = _total(text)
    if total is not None and wanted.entry.size_bytes is not None and total != wanted.entry.size_bytes:
        raise _other_size(wanted.entry, total)
    size = wanted.size_bytes
    if size is not None and int(found.group(2)) - wanted.offset + 1 < size:
        raise RetryableError("short-body", "Procore's storage announced a shorter part than the one asked for.")


def _check_whole(entry: Entry, headers: httpx.Headers) -> None:
    stated = headers.get("content-length", "")
    length = int(stated) if stated.isascii() and stated.isdigit() else None
    if length is not None and length == entry.size_bytes:
        return
    if "text/html" in headers.get("content-type", "") and not entry.name.lower().endswith(_PAGES):
        raise RetryableError(
            "html-answer",
            "Procore's storage answered with a web page instead of the file.",
            fix="If it stays so, check whether a proxy or a sign-in page stands in between.",
        )
    if length is not None and entry.size_bytes is not None:
        raise _other_size(entry, length)


def _total(content_range: str) -> int | None:
    found = _CONTENT_RANGE.fullmatch(content_range.strip())
    return int(found.group(3)) if found and found.group(3) != "*" else None


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _other_size(entry: Entry, size: int | None) -> RetryableError:
    expected = entry.size_bytes or 0
    code = "long-body" if size is not None and size > expected else "short-body"
    return RetryableError(
        code, f"Procore's storage has {_said(size)} of '{entry.name}', which was listed with {expected}."
    )


def _said(size: int | None) -> str:
    return "fewer bytes" if size is None else f"{size} bytes"


def _changed(entry: Entry) -> ItemError:
    return ItemError(
        "source-changed",
        f"The content of '{entry.name}' became another one while it was read.",
        fix="Run again: it is read from its beginning then.",
    )
