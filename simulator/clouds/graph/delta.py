"""Changes of a drive: https://learn.microsoft.com/en-us/graph/api/driveitem-delta."""

import base64
import random
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson

from simulator.clouds.base import Answer, Call, Entry
from simulator.clouds.graph import shapes
from simulator.clouds.graph.addresses import ItemAddress
from simulator.clouds.graph.errors import error_answer, invalid
from simulator.clouds.graph.reading import collection, page_size, queried
from simulator.clouds.graph.state import Drive, GraphState

_TWICE_EVERY = 7
_ENUMERATIONS_MAX = 1000


@dataclass(frozen=True, slots=True)
class _Token:
    generation: int
    drive_id: str
    number: int
    """The journal up to here is known, or will be once the enumeration is read to its end."""
    enumeration: str = ""
    place: int = 0
    select: str = ""

    def text(self) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(asdict(self))).decode().rstrip("=")


def delta(state: GraphState, call: Call, address: ItemAddress, argument: str | None) -> Answer:
    """GET …/root/delta, with the token as query parameter or function argument."""
    query = queried(call, frozenset({"token", "select", "expand", "top"}))
    drive = address.drive
    if address.entry() is not drive.tree.root:
        raise invalid("Delta is only supported on the root of a drive.")
    if "expand" in query:
        raise invalid("The $expand query option is not supported by delta.")
    shapes.selection(query.get("select"))
    text = argument or query.get("token")
    generation, select = state.switches.delta_generation, query.get("select", "")
    if text is None:
        return _page(state, drive, _begun(state, drive, generation, select, None), query)
    if text == "latest":
        token = _Token(generation, drive.id, len(drive.tree.journal), select=select)
        return collection([], **{"@odata.deltaLink": _link(state, drive, token)})
    known = _parsed(text)
    if known is None:
        since = _moment(text)
        if since is None:
            raise invalid("The delta token is not valid.")
        number = sum(1 for change in drive.tree.journal if change.at < since)
        return _page(state, drive, _begun(state, drive, generation, select, number, call), query)
    lost = known.enumeration and known.enumeration not in state.enumerations
    if known.generation != generation or known.drive_id != drive.id or lost:
        return _gone(state, drive)
    if not known.enumeration:
        known = _begun(state, drive, generation, known.select, known.number, call)
    return _page(state, drive, known, query)


def _gone(state: GraphState, drive: Drive) -> Answer:
    location = f"{state.api}/drives/{drive.id}/root/delta"
    code = state.switches.delta_resync
    return error_answer(410, code, "Resync required.", None, ((b"location", location.encode()),))


def _begun(
    state: GraphState, drive: Drive, generation: int, select: str, since: int | None, call: Call | None = None
) -> _Token:
    """A token at the beginning of the list of what to show: everything, or what changed since a journal number."""
    tree, chance = drive.tree, random.Random(len(drive.tree.journal))
    if since is None:
        ids = [tree.root.id, *(entry.id for entry in tree.below(tree.root))]
    else:
        ids = list({change.entry.id: None for change in tree.journal[since:]})
        if ids and (call is None or "deltaexcludeparent" not in call.headers):
            ids = list({**dict.fromkeys(_above(drive, ids)), **dict.fromkeys(ids)})
    chance.shuffle(ids)
    if since is None and state.switches.delta_duplicates:
        ids += ids[::_TWICE_EVERY]
    enumeration = secrets.token_hex(8)
    while len(state.enumerations) >= _ENUMERATIONS_MAX:
        del state.enumerations[next(iter(state.enumerations))]
    state.enumerations[enumeration] = ids
    return _Token(generation, drive.id, len(tree.journal), enumeration, 0, select)


def _above(drive: Drive, ids: list[str]) -> list[str]:
    """The folders that changed items are in, up to the root."""
    found: dict[str, None] = {}
    for entry_id in ids:
        entry: Entry | None = drive.tree.entries.get(entry_id)
        while entry is not None and entry.parent_id is not None and entry.parent_id not in found:
            found[entry.parent_id] = None
            entry = drive.tree.entries.get(entry.parent_id)
    return list(found)


def _page(state: GraphState, drive: Drive, token: _Token, query: dict[str, str]) -> Answer:
    ids, size = state.enumerations[token.enumeration], page_size(state, query)
    wanted = shapes.selection(token.select)
    values = [_shown(state, drive, entry_id, wanted) for entry_id in ids[token.place : token.place + size]]
    if token.place + size >= len(ids):
        done = _Token(token.generation, drive.id, token.number, select=token.select)
        return collection(values, **{"@odata.deltaLink": _link(state, drive, done)})
    following = _Token(token.generation, drive.id, token.number, token.enumeration, token.place + size, token.select)
    top = f"&$top={query['top']}" if "top" in query else ""
    return collection(values, **{"@odata.nextLink": _link(state, drive, following) + top})


def _shown(state: GraphState, drive: Drive, entry_id: str, wanted: frozenset[str] | None) -> dict[str, Any]:
    entry = drive.tree.visible(entry_id)
    if entry is None:
        gone = drive.tree.entries.get(entry_id) or _last_seen(drive, entry_id)
        return shapes.deleted_item(drive, gone)
    values = shapes.item(state, drive, entry)
    values.pop("cTag", None)
    for name in ("path", "name"):
        values["parentReference"].pop(name, None)
    return shapes.selected(values, wanted)


def _last_seen(drive: Drive, entry_id: str) -> Entry:
    return next(change.entry for change in reversed(drive.tree.journal) if change.entry.id == entry_id)


def _link(state: GraphState, drive: Drive, token: _Token) -> str:
    return f"{state.api}/drives/{drive.id}/root/delta?token={quote(token.text())}"


def _parsed(text: str) -> _Token | None:
    try:
        return _Token(**orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
    except (ValueError, TypeError):
        return None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
