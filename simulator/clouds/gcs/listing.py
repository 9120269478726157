"""Listing objects, see https://cloud.google.com/storage/docs/json_api/v1/objects/list ."""

import base64
import binascii
import json
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from simulator.clouds.base import Call
from simulator.clouds.gcs.conditions import number
from simulator.clouds.gcs.refusals import invalid
from simulator.clouds.gcs.switches import GcsSwitches
from simulator.clouds.gcs.world import Bucket, Object, described

PARAMETERS = frozenset((
    "delimiter", "endOffset", "includeTrailingDelimiter", "maxResults", "pageToken", "prefix", "projection",
    "startOffset", "userProject", "versions",
))  # fmt: skip
_LAST = "\U0010ffff"
_START = ("", -2)
_PREFIX = -1
Position = tuple[str, int]
"""Where a page ended: a name with its generation, or a prefix with -1."""


def page(bucket: Bucket, call: Call, switches: GcsSwitches, url: str) -> dict[str, Any]:
    """One page: objects and prefixes share its length, both in the order of names. Raises Refused."""
    asked = number(call.query, "maxResults")
    if asked == 0:
        raise invalid("Invalid value '0'. Values must be within the range: [1, 1000]", "maxResults")
    most = min(asked or 1000, switches.page_entries_max)
    if switches.short_pages and most > 1:
        most -= 1
    found: dict[str, Any] = {"kind": "storage#objects"}
    count, last, full = 0, _after(call.first("pageToken")), call.first("projection") == "full"
    for position, one in _entries(bucket, call, last):
        if position <= last:
            continue
        if count == most:
            found["nextPageToken"] = base64.urlsafe_b64encode(json.dumps(last).encode()).decode()
            break
        if one is None:
            found.setdefault("prefixes", []).append(position[0])
        else:
            found.setdefault("items", []).append(described(one, url, full=full))
        count, last = count + 1, position
    return found


def _entries(bucket: Bucket, call: Call, after: Position) -> Iterator[tuple[Position, Object | None]]:
    """Objects, and prefixes as None, from about where the page before ended."""
    prefix, end, versions = call.first("prefix", "") or "", call.first("endOffset"), bool(call.flag("versions"))
    names = sorted({*bucket.names, *bucket.old}) if versions else bucket.names
    at = bisect_left(names, max(prefix, call.first("startOffset", "") or "", after[0]))
    while at < len(names):
        name = names[at]
        if not name.startswith(prefix) or (end and name >= end):
            return
        common = _common(name, prefix, call.first("delimiter"))
        if common is not None:
            yield (common, _PREFIX), None
        if common is None or (name == common and call.flag("includeTrailingDelimiter")):
            for one in _generations(bucket, name, versions):
                yield (name, one.generation), one
        at = at + 1 if common is None else bisect_left(names, common + _LAST, at + 1)


def _common(name: str, prefix: str, delimiter: str | None) -> str | None:
    """What of a name up to the delimiter stands for it and others; None if the name stands for itself."""
    cut = name.find(delimiter, len(prefix)) if delimiter else -1
    return name[: cut + len(delimiter)] if delimiter and cut >= 0 else None


def _generations(bucket: Bucket, name: str, versions: bool) -> list[Object]:
    live = [bucket.live[name]] if name in bucket.live else []
    return [*bucket.old.get(name, ()), *live] if versions else live


def _after(token: str | None) -> Position:
    if not token:
        return _START
    try:
        name, rank = json.loads(base64.urlsafe_b64decode(token))
        return str(name), int(rank)
    except (binascii.Error, ValueError, TypeError):
        raise invalid("Invalid page token", "pageToken") from None
