"""Box's event streams: https://developer.box.com/reference/get-events/ and https://developer.box.com/guides/events/.

Events can come twice and out of order; a page here begins with one that was delivered before.
"""

import re

from simulator.clouds.box import checks, shapes
from simulator.clouds.box.errors import bad_request
from simulator.clouds.box.state import Box
from simulator.clouds.box.world import Event
from simulator.web import Answer, Call

_LIMIT_DEFAULT, _LIMIT_MAX = 100, 500
_TREE = frozenset({
    "ITEM_CREATE", "ITEM_UPLOAD", "ITEM_MOVE", "ITEM_RENAME", "ITEM_COPY", "ITEM_TRASH", "ITEM_UNDELETE_VIA_TRASH",
})  # fmt: skip
_ADMIN = {
    "ITEM_CREATE": "UPLOAD", "ITEM_UPLOAD": "UPLOAD", "ITEM_MOVE": "MOVE", "ITEM_RENAME": "RENAME", "ITEM_COPY": "COPY",
    "ITEM_TRASH": "DELETE", "ITEM_UNDELETE_VIA_TRASH": "UNDELETE", "LOCK_CREATE": "LOCK", "LOCK_DESTROY": "UNLOCK",
}  # fmt: skip


async def events(box: Box, call: Call, _: re.Match[str]) -> Answer:
    """GET /events."""
    stream = call.first("stream_type") or "all"
    if stream not in ("all", "changes", "sync", "admin_logs", "admin_logs_streaming"):
        raise bad_request("stream_type", f"Invalid value '{stream}'")
    limit = checks.limit(box, call, _LIMIT_DEFAULT, _LIMIT_MAX)
    admin = stream.startswith("admin")
    end = box.world.events[-1].position + 1 if box.world.events else 1
    position = _position(call, end)
    chosen = _wanted(box, call, stream)
    following = [happened for happened in chosen if happened.position >= position]
    page = following[:limit]
    after = page[-1].position + 1 if len(following) > limit else end
    if page and box.switches.event_duplicates:
        page = [*[happened for happened in chosen if happened.position < position][-1:], *page]
    entries = [shapes.event(happened, _ADMIN[happened.type] if admin else happened.type) for happened in page]
    return Answer.json({
        "chunk_size": len(entries), "next_stream_position": str(after) if admin else after, "entries": entries,
    })  # fmt: skip


def _position(call: Call, end: int) -> int:
    text = call.first("stream_position") or "0"
    if text == "now":
        return end
    if not text.isdecimal():
        raise bad_request("stream_position", f"Invalid value '{text}'")
    return int(text)


def _wanted(box: Box, call: Call, stream: str) -> list[Event]:
    chosen = [happened for happened in box.world.events if stream not in ("changes", "sync") or happened.type in _TREE]
    if not stream.startswith("admin"):
        return chosen
    kinds = set((call.first("event_type") or "").split(",")) - {""}
    after, before = call.first("created_after"), call.first("created_before")
    since = 0.0 if after is None else shapes.parsed_time(after, "created_after")
    until = float("inf") if before is None else shapes.parsed_time(before, "created_before")
    return [
        happened for happened in chosen
        if happened.type in _ADMIN and since <= happened.at <= until and (not kinds or _ADMIN[happened.type] in kinds)
    ]  # fmt: skip
