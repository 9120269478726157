"""Egnyte's events: https://developers.egnyte.com/docs/read/Events_API.

The cursor is the number of an event; a listing gives what came after it, 204 if that is nothing, and 404 for a cursor
that is too old.
"""

import re
from typing import Any

from simulator.clouds.egnyte import checks, shapes
from simulator.clouds.egnyte.errors import refused, wrong_input
from simulator.clouds.egnyte.state import Egnyte
from simulator.clouds.egnyte.world import USER_ID, Event
from simulator.web import Answer, Call

_COUNT_DEFAULT, _COUNT_MAX = 50, 100


async def cursor(egnyte: Egnyte, _: Call, __: re.Match[str]) -> Answer:
    """GET /pubapi/v1/events/cursor."""
    kept = _kept(egnyte)
    return Answer.json({
        "timestamp": shapes.iso(kept[-1].at).replace("Z", ".000Z"), "latest_event_id": kept[-1].id,
        "oldest_event_id": kept[0].id,
    })  # fmt: skip


def _kept(egnyte: Egnyte) -> list[Event]:
    return egnyte.world.events[-egnyte.switches.events_kept :]


async def listing(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """GET /pubapi/v1/events and /pubapi/v2/events."""
    if call.first("id") is None:
        raise wrong_input("id", "is required")
    after, count = checks.number(call, "id", 0), checks.number(call, "count", _COUNT_DEFAULT)
    if not 1 <= count <= _COUNT_MAX:
        raise wrong_input("count", f"must be between 1 and {_COUNT_MAX}")
    kept = _kept(egnyte)
    if after < kept[0].id - 1:
        raise refused(404, "Event id is too old")
    following = [event for event in kept if event.id > after and _wanted(event, call)]
    if call.first("reverse") in ("1", "true"):
        following.reverse()
    page = following[:count]
    if not page:
        return Answer(204)
    return Answer.json({
        "count": len(page), "latest_id": max(event.id for event in page), "oldest_id": min(event.id for event in page),
        "events": [_shape(event, path["version"]) for event in page],
    })  # fmt: skip


def _wanted(event: Event, call: Call) -> bool:
    kinds = call.first("type")
    if kinds is not None and "file_system" not in kinds.split("|"):
        return False
    if call.first("suppress") is not None and not event.outside:
        return False
    folder = (call.first("folder") or "").rstrip("/").lower()
    return (
        any(
            event.data.get(key, "").lower().startswith(f"{folder}/") or event.data.get(key, "").lower() == folder
            for key in ("target_path", "source_path")
            if folder
        )
        or not folder
    )


def _shape(event: Event, version: str) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "id": event.id, "timestamp": shapes.iso(event.at).replace("Z", ".000Z"), "actor": USER_ID,
        "type": "file_system", "action": event.action,
        "action_source": "WebUI" if event.outside else "PublicAPI", "data": event.data,
    }  # fmt: skip
    if version == "v2":
        shape["eventTypeSpecificAttributes"] = None
    return shape
