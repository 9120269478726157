"""What changes objects: metadata, checksums given with them, composing, copying in steps."""

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.clouds.base import Content
from simulator.clouds.gcs.conditions import check
from simulator.clouds.gcs.refusals import invalid, no_object
from simulator.clouds.gcs.world import WRITABLE, Bucket, Object, crc32c

COMPONENTS_MAX = 32
"""https://cloud.google.com/storage/docs/composite-objects"""


def changed(known: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields after a patch: null takes one away, metadata are merged key by key. Raises Refused."""
    fields = dict(known)
    for name, value in values.items():
        if name not in WRITABLE:
            raise invalid(f"Invalid argument: {name}")
        if name == "metadata" and value is not None:
            both = {**fields.get("metadata", {}), **value}
            value = {key: text for key, text in both.items() if text is not None}
        if name == "customTime":
            _later(fields.get("customTime"), value)
        if value in (None, {}):
            fields.pop(name, None)
        else:
            fields[name] = value
    return fields


def _later(known: str | None, value: Any) -> None:
    """Raises Refused: a customTime can be moved forwards only, and not be taken away."""
    try:
        later = known is None or datetime.fromisoformat(value) >= datetime.fromisoformat(known)
    except (TypeError, ValueError):
        later = False
    if not later:
        raise invalid("customTime cannot be removed or set to an earlier time.", "customTime")


def checked_sums(fields: Mapping[str, Any], content: Content) -> None:
    """Raises Refused if the checksums given with an upload are not those of what arrived."""
    given = {"md5Hash": fields.get("md5Hash"), "crc32c": fields.get("crc32c")}
    if given["md5Hash"] is not None and given["md5Hash"] != base64.b64encode(bytes.fromhex(content.md5)).decode():
        raise invalid(f'Provided MD5 hash "{given["md5Hash"]}" doesn\'t match calculated MD5 hash.')
    if given["crc32c"] is not None:
        real = base64.b64encode(content.digest_by("crc32c", crc32c)).decode()
        if given["crc32c"] != real:
            raise invalid(f'Provided CRC32C "{given["crc32c"]}" doesn\'t match calculated CRC32C "{real}".')


def components(bucket: Bucket, value: Mapping[str, Any]) -> list[Object]:
    """The objects that are to be composed. Raises Refused."""
    asked = value.get("sourceObjects") or []
    if not 1 <= len(asked) <= COMPONENTS_MAX:
        raise invalid(f"The number of source components provided ({len(asked)}) must be within 1 and {COMPONENTS_MAX}.")
    found = []
    for one in asked:
        generation = one.get("generation")
        there = bucket.find(one.get("name", ""), None if generation is None else int(generation))
        if there is None:
            raise no_object(bucket.name, one.get("name", ""))
        wanted = (one.get("objectPreconditions") or {}).get("ifGenerationMatch")
        check({} if wanted is None else {"ifGenerationMatch": [str(wanted)]}, there)
        found.append(there)
    return found


def rewritten(steps: dict[str, int], token: str | None, size_bytes: int, most: int) -> tuple[int, str | None]:
    """How much is copied after this call, and the token of the next; None = all. Raises Refused."""
    if token is not None and token not in steps:
        raise invalid("Invalid rewrite token.", "rewriteToken")
    done = min(size_bytes, (steps.pop(token) if token else 0) + most)
    if done == size_bytes:
        return done, None
    following = secrets.token_urlsafe(40)
    steps[following] = done
    return done, following
