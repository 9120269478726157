"""Egnyte's trash: https://developers.egnyte.com/docs/read/Trash_API."""

import re
from typing import Any

from simulator.clouds.egnyte import checks, shapes
from simulator.clouds.egnyte.errors import wrong_input
from simulator.clouds.egnyte.state import Egnyte
from simulator.clouds.egnyte.world import FIRST_NAME, LAST_NAME, TRASH_SECONDS, USER_ID, USER_NAME, Trashed
from simulator.web import Answer, Call

_COUNT_DEFAULT, _IDS_MAX = 50, 10
_SORTS = {
    "delete_date": lambda gone: gone.deleted_at, "date_deleted": lambda gone: gone.deleted_at,
    "name": lambda gone: gone.entry.name, "deleted_by": lambda _: USER_NAME,
    "purge_date": lambda gone: gone.deleted_at,
}  # fmt: skip


def _shape(gone: Trashed) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "id": gone.id, "type": gone.kind, "path": gone.path, "name": gone.entry.name,
        "deleted_by": f"{FIRST_NAME} {LAST_NAME}", "delete_date": shapes.iso(gone.deleted_at),
        "purge_date": shapes.iso(gone.deleted_at + TRASH_SECONDS),
    }  # fmt: skip
    if gone.kind != "folder":
        version = gone.version or gone.entry.current
        shape["size"] = version.content.size
        shape["last_modified"] = shapes.iso(version.modified_at)
        shape["owner"] = {
            "id": USER_ID, "username": USER_NAME, "firstName": FIRST_NAME, "lastName": LAST_NAME, "typeName": "admin",
        }  # fmt: skip
    return shape


async def listing(egnyte: Egnyte, call: Call, path: re.Match[str]) -> Answer:
    """GET /pubapi/v1/fs/trash and /pubapi/v2/fs/trash."""
    by, direction = call.first("sort_by") or "delete_date", call.first("sort_direction") or "desc"
    if by not in _SORTS or direction not in ("asc", "desc"):
        raise wrong_input("sort_by", "is not a field or a direction to sort by")
    offset, count = checks.number(call, "offset", 0), checks.number(call, "count", _COUNT_DEFAULT)
    everything = sorted(egnyte.world.trash.values(), key=_SORTS[by], reverse=direction == "desc")
    page = everything[offset : offset + count]
    shape: dict[str, Any] = {"count": len(page), "offset": offset, "items": [_shape(gone) for gone in page]}
    if path["version"] == "v2":
        shape["has_more"] = offset + count < len(everything)
    else:
        shape["total_count"] = len(everything)
    return Answer.json(shape)


async def total(egnyte: Egnyte, _: Call, __: re.Match[str]) -> Answer:
    """GET /pubapi/v2/fs/trash/totalcount."""
    return Answer.json({"totalCount": len(egnyte.world.trash)})


async def action(egnyte: Egnyte, call: Call, _: re.Match[str]) -> Answer:
    """POST /pubapi/v1/fs/trash: RESTORE or PURGE up to ten items; 207 tells which of them failed."""
    body = await checks.json_body(call, ("action", "ids"))
    checks.writable(egnyte)
    ids = body.get("ids")
    if body.get("action") not in ("RESTORE", "PURGE") or not isinstance(ids, list) or not 1 <= len(ids) <= _IDS_MAX:
        raise wrong_input("ids", f"RESTORE or PURGE take 1 to {_IDS_MAX} ids")
    outcomes = [_act(egnyte, str(wanted), purge=body["action"] == "PURGE") for wanted in ids]
    if all(code == "200" for _, code, _ in outcomes):
        return Answer(200)
    resources = [{"id": wanted, "code": code, "descriptions": text} for wanted, code, text in outcomes]
    return Answer.json({"resources": resources}, 207)


def _act(egnyte: Egnyte, wanted: str, *, purge: bool) -> tuple[str, str, str]:
    gone = egnyte.world.trash.get(wanted)
    if gone is None:
        return wanted, "404", "Item does not exist"
    if purge:
        egnyte.world.purge(gone)
    elif not egnyte.world.restore(gone):
        return wanted, "409", "Item cannot be restored to its location"
    return wanted, "200", ""
