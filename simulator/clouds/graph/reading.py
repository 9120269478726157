"""What is only looked at: sites, drives, items, children, versions, content."""

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from simulator.clouds.base import Answer, Call, Entry, Version, download, json_answer
from simulator.clouds.graph import shapes
from simulator.clouds.graph.addresses import ItemAddress, SiteAddress
from simulator.clouds.graph.errors import denied, invalid, not_found
from simulator.clouds.graph.oauth import USER_DISPLAY, USER_ID, USER_NAME
from simulator.clouds.graph.state import Drive, GraphState

_ORDERS: dict[str, Callable[[Drive, Entry], Any]] = {
    "name": lambda _, entry: entry.name.casefold(),
    "size": shapes.size_of,
    "lastmodifieddatetime": lambda _, entry: entry.modified_at,
}
_EXPANSIONS = frozenset({"children", "thumbnails"})


def queried(call: Call, known: frozenset[str]) -> dict[str, str]:
    """The query parameters, system ones in lower case without their dollar. Raises Refused, 400, for an unknown one."""
    values: dict[str, str] = {}
    for name, given in call.query.items():
        plain = name if name.startswith("@") else name.removeprefix("$").lower()
        if plain not in known or len(given) != 1:
            raise invalid(f"The query parameter '{name}' is not supported.")
        values[plain] = given[0]
    return values


def collection(values: list[dict[str, Any]], **more: Any) -> Answer:
    """A collection."""
    return json_answer({"value": values, **more})


def drives(state: GraphState, call: Call, found: list[Drive]) -> Answer:
    """GET …/drives."""
    wanted = shapes.selection(queried(call, frozenset({"select", "top", "expand"})).get("select"), "drive")
    return collection([shapes.selected(shapes.drive_values(state, drive), wanted) for drive in found])


def drive(state: GraphState, call: Call, one: Drive) -> Answer:
    """GET a drive."""
    wanted = shapes.selection(queried(call, frozenset({"select"})).get("select"), "drive")
    return json_answer(shapes.selected(shapes.drive_values(state, one), wanted))


def site(state: GraphState, call: Call, address: SiteAddress) -> Answer:
    """GET a site, its libraries or its sub-sites."""
    if address.action == "drives":
        return drives(state, call, address.site.drives)
    query = queried(call, frozenset({"select", "expand"}))
    if address.action == "sites":
        return collection([])
    values = shapes.site_values(address.site, address.site.drives[0].created_at)
    return json_answer(shapes.selected(values, shapes.selection(query.get("select"), "site")))


def sites(state: GraphState, call: Call) -> Answer:
    """GET /sites?search=…: https://learn.microsoft.com/en-us/graph/api/site-search."""
    query = queried(call, frozenset({"search", "select", "top"}))
    text = query.get("search", "").lower()
    found = [one for one in state.sites if text == "*" or (text and text in one.name.lower())]
    wanted = shapes.selection(query.get("select"), "site")
    return collection([
        shapes.selected(shapes.site_values(one, one.drives[0].created_at), wanted) for one in found
    ])  # fmt: skip


def person() -> Answer:
    """GET /me."""
    return json_answer({
        "id": USER_ID, "displayName": USER_DISPLAY, "userPrincipalName": USER_NAME, "mail": USER_NAME
    })  # fmt: skip


def item(state: GraphState, call: Call, address: ItemAddress) -> Answer:
    """GET an item."""
    query = queried(call, frozenset({"select", "expand", "includedeleteditems"}))
    entry = address.entry()
    if _is_known(call, entry):
        return Answer(304)
    wanted = shapes.selection(query.get("select"))
    values = shapes.selected(shapes.item(state, address.drive, entry), wanted)
    expansions = _expansions(query.get("expand"))
    if "children" in expansions and entry.is_folder:
        below = address.drive.tree.children(entry)[: state.switches.page_entries_max]
        values["children"] = [shapes.item(state, address.drive, one) for one in below]
    if "thumbnails" in expansions:
        values["thumbnails"] = []
    return json_answer(values)


def children(state: GraphState, call: Call, address: ItemAddress) -> Answer:
    """GET …/children."""
    query = queried(call, frozenset({"select", "expand", "top", "skiptoken", "orderby"}))
    entry, tree = address.entry(), address.drive.tree
    if not entry.is_folder:
        return collection([])
    wanted, expansions = shapes.selection(query.get("select")), _expansions(query.get("expand"))
    size = page_size(state, query)
    name, _, direction = query.get("orderby", "name").strip().partition(" ")
    order = _ORDERS.get(name.lower())
    if order is None or direction.lower() not in ("", "asc", "desc"):
        raise invalid("The $orderby expression is not supported.")
    every = sorted(tree.children(entry), key=lambda one: order(address.drive, one), reverse=direction.lower() == "desc")
    start = _start(query.get("skiptoken"), entry, every)
    page = every[start : start + size]
    values = [shapes.selected(shapes.item(state, address.drive, one), wanted) for one in page]
    if "thumbnails" in expansions:
        values = [{**one, "thumbnails": []} for one in values]
    if start + size >= len(every):
        return collection(values)
    token = base64.urlsafe_b64encode(orjson.dumps([entry.id, page[-1].id, start + size])).decode()
    kept = {f"${key}": value for key, value in query.items() if key != "skiptoken"}
    more = urlencode({**kept, "$skiptoken": token}, safe="$,", quote_via=quote)
    link = f"{state.api}/drives/{address.drive.id}/items/{entry.id}/children?{more}"
    return collection(values, **{"@odata.nextLink": link})


def page_size(state: GraphState, query: dict[str, str]) -> int:
    """How many entries a page has. Raises Refused, 400, for a `$top` that is no number above zero."""
    text = query.get("top")
    if text is None:
        return state.switches.page_entries_max
    if not text.isdecimal() or int(text) < 1:
        raise invalid("Invalid value for the query option $top.")
    return min(int(text), state.switches.page_entries_max)


def _start(token: str | None, folder: Entry, every: list[Entry]) -> int:
    """Where a page begins: after the entry that the one before ended with, wherever that is now."""
    if token is None:
        return 0
    try:
        folder_id, last_id, place = orjson.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error):
        raise invalid("The $skiptoken is not valid.") from None
    if folder_id != folder.id:
        raise invalid("The $skiptoken is not valid.")
    places = [number for number, one in enumerate(every) if one.id == last_id]
    return places[0] + 1 if places else int(place)


def versions(_: GraphState, call: Call, address: ItemAddress) -> Answer:
    """GET …/versions, newest first."""
    query = queried(call, frozenset({"select", "expand", "top"}))
    entry = _file(address)
    wanted = shapes.selection(query.get("select"), "driveItemVersion")
    newest_first = entry.versions[::-1]
    return collection([shapes.selected(shapes.version_values(entry, one), wanted) for one in newest_first])


def version(state: GraphState, call: Call, address: ItemAddress, label: str, *, content: bool) -> Answer:
    """GET …/versions/{id} or its /content."""
    queried(call, frozenset({"select"}))
    entry = _file(address)
    found = labelled(entry, label)
    if not content:
        return json_answer(shapes.version_values(entry, found))
    if found is entry.current and not state.switches.current_version_content:
        raise invalid("You cannot get the content of the current version.")
    return _redirect(state.download_url(address.drive, entry, found.id))


def labelled(entry: Entry, label: str) -> Version:
    """A file's version of this number. Raises Refused, 404, if there is none."""
    found = [one for one in entry.versions if shapes.version_label(entry, one) == label]
    if not found:
        raise not_found()
    return found[0]


def content(state: GraphState, call: Call, address: ItemAddress) -> Answer:
    """GET …/content: a redirection to an address that needs no token."""
    queried(call, frozenset())
    entry = _file(address)
    if _is_known(call, entry):
        return Answer(304)
    if state.is_malware(entry):
        raise denied("Malware was detected in the requested resource.")
    return _redirect(state.download_url(address.drive, entry))


def downloaded(state: GraphState, call: Call) -> Answer:
    """GET of a pre-authenticated address."""
    opened = state.opened_url(call.path.removeprefix("/download/"), call.first("tempauth") or "")
    if opened is None:
        return Answer.text("401 UNAUTHORIZED", 401)
    where, entry_id, version_id = opened
    entry = where.tree.visible(entry_id)
    if entry is None:
        return Answer.text("404 FILE NOT FOUND", 404)
    if state.is_malware(entry):
        return Answer.text("403 FORBIDDEN", 403)
    found = [one for one in entry.versions if one.id == version_id] if version_id else [entry.current]
    if not found:
        return Answer.text("404 FILE NOT FOUND", 404)
    tag = shapes.etag(entry)
    headers = [
        (b"content-type", shapes.mime_type(entry.name).encode()), (b"etag", tag.encode()),
        (b"content-disposition", f"attachment;filename*=UTF-8''{quote(entry.name, safe='')}".encode()),
    ]  # fmt: skip
    return download(call, found[0].content, headers, tag)


def _file(address: ItemAddress) -> Entry:
    entry = address.entry()
    if entry.is_folder:
        raise invalid("The specified item does not have content.", "notAFile")
    return entry


def _is_known(call: Call, entry: Entry) -> bool:
    given = call.headers.get("if-none-match")
    return given is not None and matches(given, entry)


def matches(given: str, entry: Entry) -> bool:
    """Whether a condition's value is `*` or one of an item's eTag and cTag, with or without quotes."""
    own = {shapes.etag(entry).strip('"'), shapes.ctag(entry).strip('"')}
    return given.strip() == "*" or any(one.strip().removeprefix("W/").strip('"') in own for one in _tags(given))


def _tags(given: str) -> list[str]:
    return given.split('", "') if '", "' in given else [given]


def _redirect(url: str) -> Answer:
    return Answer(302, b"", [(b"location", url.encode()), (b"cache-control", b"no-store")])


def _expansions(text: str | None) -> frozenset[str]:
    names = frozenset(name.strip().partition("(")[0] for name in text.split(",")) if text else frozenset()
    unknown = sorted(names - _EXPANSIONS)
    if unknown:
        raise invalid(f"The $expand of '{unknown[0]}' is not supported.")
    return names
