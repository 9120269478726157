"""What the JSON API tells of objects (https://cloud.google.com/storage/docs/json_api/v1/objects)."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.shared.objects import MTIME, Found, FoundPage
from migration.errors import RetryableError

RESERVED_MTIME = "goog-reserved-file-mtime"
"""Where gsutil and gcloud keep when a file was modified, in whole seconds:
https://cloud.google.com/storage/docs/gsutil/commands/cp"""
ASKED = "name,size,generation,timeCreated,metadata,md5Hash,crc32c"
LIST_ASKED = f"items({ASKED}),prefixes,nextPageToken"


def found_of(record: Any) -> Found:
    """One object. RetryableError `not-gcs` for anything else."""
    try:
        metadata = {str(name).lower(): str(value) for name, value in (record.get("metadata") or {}).items()}
        if MTIME not in metadata and RESERVED_MTIME in metadata:
            metadata[MTIME] = metadata[RESERVED_MTIME]
        return Found(
            key=str(record["name"]),
            size_bytes=int(record["size"]),
            version_id=str(record["generation"]),
            changed_at=moment(record.get("timeCreated")),
            metadata=metadata,
            checksums=_checksums(record),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _nonsense() from error


def page_of(values: Any) -> tuple[list[Found], list[str], str | None]:
    """Objects and prefixes of a listing, and the token of the next page. RetryableError `not-gcs`."""
    if not isinstance(values, dict):
        raise _nonsense()
    token = values.get("nextPageToken")
    objects = [found_of(record) for record in values.get("items") or ()]
    return objects, [str(prefix) for prefix in values.get("prefixes") or ()], None if token is None else str(token)


def page_after(objects: list[Found], prefixes: list[str], token: str | None, *, by_token: bool) -> FoundPage:
    """The page of a listing that continues after its last key, or `by_token` where prefixes are listed."""
    following = token if by_token or token is None else objects[-1].key
    return FoundPage(objects, prefixes, following)


def generation_of(values: Any) -> str:
    """The generation of an object that was written. RetryableError `answer-lost` when the answer does not say."""
    generation = values.get("generation") if isinstance(values, dict) else None
    if generation is None:
        raise RetryableError("answer-lost", "The service did not say what it stored.")
    return str(generation)


def moment(told: Any) -> datetime | None:
    """A time in RFC 3339; None for anything else."""
    try:
        return datetime.fromisoformat(told).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def _checksums(record: Mapping[str, Any]) -> dict[str, str]:
    told = {"md5": record.get("md5Hash"), "crc32c": record.get("crc32c")}
    try:
        return {name: base64.b64decode(value).hex() for name, value in told.items() if value}
    except (binascii.Error, TypeError):
        return {}


def _nonsense() -> RetryableError:
    return RetryableError(
        "not-gcs",
        "The service answered with something that does not describe objects.",
        fix="Check the address of the connection, and whether a proxy stands in between.",
    )
