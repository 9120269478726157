"""What PROPFIND asks and answers (RFC 4918, section 9.1), and how addresses and paths become each other."""

import email.utils
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as PlainElementTree

from defusedxml import ElementTree

from connectors.shared.paths import path_ref
from migration.entries import Entry, EntryKind, PathParts
from migration.errors import RetryableError

SYSTEM = "webdav"
ASKED = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<d:propfind xmlns:d="DAV:"><d:prop><d:resourcetype/><d:getcontentlength/><d:getlastmodified/><d:getetag/>'
    b"</d:prop></d:propfind>"
)
QUOTA_ASKED = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<d:propfind xmlns:d="DAV:"><d:prop><d:quota-available-bytes/></d:prop></d:propfind>'
)
_D = "{DAV:}"
_PLAIN_XML = re.compile(
    rb"""(<\?xml version=["']1\.\d["']( encoding=["']utf-8["'])?( standalone=["']\w+["'])? ?\?>)?\s*<\w""", re.I
)
_PATH = re.compile(r"/(?!/)[^?#]*")
_HTTP_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Base:
    """The connection's folder as an address."""

    url: str

    def address(self, path: PathParts, *, folder: bool = False) -> str:
        """The address of a path below it."""
        below = "/".join(quote(name, safe="") for name in path)
        whole = f"{self.url}/{below}" if below else self.url
        return f"{whole}/" if folder and not whole.endswith("/") else whole

    def path_of(self, href: str) -> PathParts:
        """The inverse, for an href that may be a whole address or only its path."""
        names, base = _names(href), _names(self.url)
        if names[: len(base)] != base:
            raise _nonsense("it answered about another folder than was asked for")
        return names[len(base) :]


def entries_of(base: Base, body: bytes) -> list[Entry]:
    """Everything a PROPFIND's answer tells, the asked-for folder or file among it."""
    return [_entry(base.path_of(href), properties) for href, properties in _responses(body)]


def free_bytes(body: bytes) -> int | None:
    """The space that is left, where the server says so (RFC 4331); None where it does not."""
    for _, properties in _responses(body):
        text = properties.findtext(f"{_D}quota-available-bytes") or ""
        if text.strip().isdigit():
            return int(text)
    return None


def _responses(body: bytes) -> list[tuple[str, Any]]:
    try:
        root = _parsed(body)
    except (ElementTree.ParseError, ValueError) as error:
        raise _nonsense("its answer is no XML") from error
    if root.tag != f"{_D}multistatus":
        raise _nonsense("its answer is no multistatus")
    found = []
    for response in root.iterfind(f"{_D}response"):
        href = response.findtext(f"{_D}href")
        properties = next(
            (one.find(f"{_D}prop") for one in response.iterfind(f"{_D}propstat") if _is_ok(one)),
            None,
        )
        if href and properties is not None:
            found.append((href.strip(), properties))
    return found


def _parsed(body: bytes) -> Any:
    """The XML; many times faster where nothing is in it that it would have to be kept from."""
    if b"<!" not in body and _PLAIN_XML.match(body):
        return PlainElementTree.fromstring(body)  # noqa: S314 - declares nothing, and is the UTF-8 that it was looked at as
    return ElementTree.fromstring(body)


def _names(address: str) -> PathParts:
    is_path = _PATH.fullmatch(address)
    path = address if is_path else urlsplit(address).path
    return tuple(unquote(part) for part in path.split("/") if part)


def _is_ok(propstat: Any) -> bool:
    return " 200" in (propstat.findtext(f"{_D}status") or " 200")


def _entry(path: PathParts, properties: Any) -> Entry:
    kind = properties.find(f"{_D}resourcetype")
    is_folder = kind is not None and kind.find(f"{_D}collection") is not None
    modified_at = moment(properties.findtext(f"{_D}getlastmodified"))
    size = (properties.findtext(f"{_D}getcontentlength") or "").strip()
    size_bytes = int(size) if size.isdigit() and not is_folder else None
    version = None if is_folder else _version(properties.findtext(f"{_D}getetag"), modified_at, size_bytes)
    return Entry(
        ref=path_ref(SYSTEM, path, version),
        parent=path_ref(SYSTEM, path[:-1]) if path else None,
        name=path[-1] if path else "",
        path=path,
        kind=EntryKind.FOLDER if is_folder else EntryKind.FILE,
        size_bytes=size_bytes,
        modified_at=modified_at,
    )


def _version(etag: str | None, modified_at: datetime | None, size_bytes: int | None) -> str | None:
    if etag and etag.strip():
        return bare(etag)
    return None if modified_at is None else f"{modified_at.timestamp():.0f}.{size_bytes}"


def bare(etag: str) -> str:
    """An ETag without quotes and mark of weakness: servers write it differently in listings and in headers."""
    return etag.strip().removeprefix("W/").strip('"')


def moment(text: str | None) -> datetime | None:
    """An HTTP date; None for anything else."""
    usual = _HTTP_DATE.fullmatch(text or "")
    try:
        if usual is not None:
            day, month, *rest = usual.groups()
            year, hour, minute, second = map(int, rest)
            return datetime(year, _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
        return email.utils.parsedate_to_datetime((text or "").strip()).astimezone(UTC)
    except ValueError:
        return None


def _nonsense(what: str) -> RetryableError:
    return RetryableError(
        "not-webdav",
        f"The server does not speak WebDAV: {what}.",
        fix="Check that the address of the connection leads to a WebDAV folder.",
    )
