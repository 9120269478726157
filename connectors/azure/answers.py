"""What Azure Blob Storage's answers tell.

https://learn.microsoft.com/rest/api/storageservices/list-blobs
"""

import email.utils
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.shared.objects import Found, FoundPage
from migration.errors import RetryableError

META = "x-ms-meta-"
FOLDER_MARK = "hdi_isfolder"
"""The metadata that makes an empty blob stand for a folder, as Azure's own tools write it."""


def page_of(content: bytes) -> FoundPage:
    """A page of List Blobs. RetryableError `not-xml`."""
    try:
        root = fromstring(content)
    except (ParseError, DefusedXmlException, ValueError):
        root = None
    blobs = None if root is None or root.tag != "EnumerationResults" else root.find("Blobs")
    if root is None or blobs is None:
        raise RetryableError(
            "not-xml",
            "The service answered with something that is not what Azure answers.",
            fix="Check the address of the connection, and whether a proxy or a sign-in page stands in between.",
        )
    return FoundPage(
        [_found(blob) for blob in blobs.findall("Blob")],
        [_name(prefix) for prefix in blobs.findall("BlobPrefix")],
        root.findtext("NextMarker") or None,
    )


def found_of(key: str, headers: Mapping[str, str]) -> Found:
    """What Get Blob Properties told."""
    metadata = {name[len(META) :].lower(): value for name, value in headers.items() if name.startswith(META)}
    return Found(
        key=key,
        size_bytes=int(headers.get("content-length", 0)),
        version_id=bare(headers.get("etag", "")),
        changed_at=http_time(headers.get("last-modified")),
        metadata=metadata,
        is_folder=metadata.get(FOLDER_MARK) == "true",
    )


def _found(blob: Any) -> Found:
    about = blob.find("Properties")
    metadata = {one.tag.lower(): one.text or "" for one in blob.iterfind("Metadata/*")}
    return Found(
        key=_name(blob),
        size_bytes=int(about.findtext("Content-Length") or 0),
        version_id=bare(about.findtext("Etag") or ""),
        changed_at=http_time(about.findtext("Last-Modified")),
        metadata=metadata,
        is_folder=metadata.get(FOLDER_MARK) == "true" or about.findtext("ResourceType") == "directory",
    )


def _name(element: Any) -> str:
    named = element.find("Name")
    text = "" if named is None else named.text or ""
    return unquote(text) if named is not None and named.get("Encoded") == "true" else text


def bare(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip().strip('"')


def http_time(told: str | None) -> datetime | None:
    """A time as headers tell it."""
    try:
        return None if not told else email.utils.parsedate_to_datetime(told).astimezone(UTC)
    except ValueError:
        return None
