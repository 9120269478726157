"""What S3's answers tell.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

import base64
import binascii
import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.shared.objects import Found, FoundPage
from migration.errors import RetryableError

META = "x-amz-meta-"
_MD5_OF_ONE_PUT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, as the listing of versions tells of it."""

    key: str
    id: str
    etag: str
    size_bytes: int
    changed_at: datetime | None


def xml_of(content: bytes, *names: str) -> Any:
    """The root of an answer, which has one of these names. RetryableError `not-xml`."""
    try:
        root = fromstring(content)
    except (ParseError, DefusedXmlException, ValueError):
        root = None
    if root is None or root.tag.rpartition("}")[2] not in names:
        raise RetryableError(
            "not-xml",
            "The service answered with something that is not what S3 answers.",
            fix="Check the address of the connection, and whether a proxy or a sign-in page stands in between.",
        )
    return root


def text(element: Any, name: str) -> str | None:
    """The text of the child, whatever its namespace; None without one."""
    found = element.find(f"{{*}}{name}")
    return None if found is None else found.text or ""


def all_of(element: Any, name: str) -> list[Any]:
    """The children of this name."""
    found: list[Any] = element.findall(f"{{*}}{name}")
    return found


def page_of(content: bytes, *, by_token: bool) -> tuple[FoundPage, str | None]:
    """A page of ListObjectsV2 and the token of the next one. The page continues after its last key, or `by_token`
    where prefixes are listed."""
    root = xml_of(content, "ListBucketResult")
    escaped = text(root, "EncodingType") == "url"
    objects = [
        Found(
            key=_key(text(one, "Key"), escaped),
            size_bytes=int(text(one, "Size") or 0),
            version_id=bare(text(one, "ETag") or ""),
            changed_at=_moment(text(one, "LastModified")),
        )
        for one in all_of(root, "Contents")
    ]
    prefixes = [_key(text(one, "Prefix"), escaped) for one in all_of(root, "CommonPrefixes")]
    token = text(root, "NextContinuationToken") if text(root, "IsTruncated") == "true" else None
    following = None if token is None else token if by_token else objects[-1].key if objects else None
    return FoundPage(objects, prefixes, following), token


def found_of(key: str, headers: Mapping[str, str]) -> Found:
    """What HeadObject told."""
    metadata = {name[len(META) :]: value for name, value in headers.items() if name.startswith(META)}
    return Found(
        key=key,
        size_bytes=int(headers.get("content-length", 0)),
        version_id=bare(headers.get("etag", "")),
        changed_at=_http_date(headers.get("last-modified")),
        metadata=metadata,
        checksums=_checksums(headers),
    )


def uploads_of(content: bytes) -> tuple[list[tuple[str, str]], tuple[str, str] | None]:
    """Keys and ids of uploads in parts, and where the next page begins."""
    root = xml_of(content, "ListMultipartUploadsResult")
    escaped = text(root, "EncodingType") == "url"
    # SeaweedFS gives these keys a slash in front that they do not have.
    uploads = [(_key(text(one, "Key"), escaped), text(one, "UploadId") or "") for one in all_of(root, "Upload")]
    if text(root, "IsTruncated") != "true":
        return uploads, None
    return uploads, (text(root, "NextKeyMarker") or "", text(root, "NextUploadIdMarker") or "")


def versions_of(content: bytes) -> tuple[list[Version], tuple[str, str] | None]:
    """The versions of a listing, newest first for each key, and where the next page begins."""
    root = xml_of(content, "ListVersionsResult")
    escaped = text(root, "EncodingType") == "url"
    versions = [
        Version(
            _key(text(one, "Key"), escaped),
            text(one, "VersionId") or "",
            bare(text(one, "ETag") or ""),
            int(text(one, "Size") or 0),
            _moment(text(one, "LastModified")),
        )
        for one in all_of(root, "Version")
    ]
    if text(root, "IsTruncated") != "true":
        return versions, None
    return versions, (text(root, "NextKeyMarker") or "", text(root, "NextVersionIdMarker") or "")


def bare(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip().removeprefix("W/").strip('"')


def is_md5(etag: str) -> bool:
    """Whether an ETag has the form of the content's MD5. Those of objects of several parts and of some encryptions
    have another form or another value."""
    return _MD5_OF_ONE_PUT.fullmatch(etag) is not None


def sha256_header(headers: Mapping[str, str]) -> str | None:
    """The SHA-256 of the whole content that the service computed, in hexadecimal."""
    told = headers.get("x-amz-checksum-sha256")
    if told is None or headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT" or "-" in told:
        return None
    try:
        digest = base64.b64decode(told, validate=True)
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == 32 else None


def _checksums(headers: Mapping[str, str]) -> dict[str, str]:
    sha256 = sha256_header(headers)
    return {} if sha256 is None else {"sha256": sha256}


def _key(told: str | None, escaped: bool) -> str:
    return unquote_plus(told or "") if escaped else told or ""


def _moment(told: str | None) -> datetime | None:
    try:
        return None if not told else datetime.fromisoformat(told.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        return None


def _http_date(told: str | None) -> datetime | None:
    try:
        return None if told is None else email.utils.parsedate_to_datetime(told).astimezone(UTC)
    except ValueError:
        return None
