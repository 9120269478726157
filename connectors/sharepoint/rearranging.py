"""Moving, deleting and bringing back, and earlier versions.

Microsoft Graph can delete into the recycle bin but, for organisations, not bring back from there
(https://learn.microsoft.com/en-us/graph/api/driveitem-restore is for private OneDrives). So what is deleted is moved
into SiteHaul's own trash folder at the connection's root.
"""

from typing import TYPE_CHECKING, Any

from connectors.shared.giving import source_changed
from connectors.shared.trash import deleted, new_place, not_restorable, token_of
from connectors.shared.tree import check_expected, destination_changed, same_version
from connectors.sharepoint.errors import CONFLICT
from connectors.sharepoint.reading import VERSION
from connectors.sharepoint.shapes import SYSTEM, entry_of, moment, place_of
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ItemError, PreconditionFailed

if TYPE_CHECKING:
    from connectors.sharepoint.connector import SharePointConnector

_CHANGED = 412


async def move(connector: "SharePointConnector", entry: Entry, to: PathParts) -> Ref:
    """As `Movable.move` (https://learn.microsoft.com/en-us/graph/api/driveitem-move)."""
    parent = await connector.folders.parent_of(to)
    shown = await _same(connector, entry)
    return await _moved(connector, shown, parent, to)


async def delete_to_trash(connector: "SharePointConnector", entry: Entry, key: str | None) -> str:
    """As `Trash.delete_to_trash`."""
    shown = await _same(connector, entry)
    place = place_of(shown, connector.folder_names)
    if place is None:
        raise ItemError("not-found", f"{connector.named(entry)} is no longer below the connection's folder.")
    hidden = new_place(place, key)
    parent = await connector.folders.make(hidden[:-1])
    await _moved(connector, shown, parent, hidden)
    return token_of(place, hidden)


async def find_deleted(connector: "SharePointConnector", path: PathParts, key: str) -> str | None:
    """As `Trash.find_deleted`."""
    hidden = new_place(path, key)
    return None if await connector.shown_at(hidden) is None else token_of(path, hidden)


async def restore(connector: "SharePointConnector", token: str) -> PathParts:
    """As `Trash.restore`."""
    path, hidden = deleted(token)
    shown = await connector.shown_at(hidden)
    if shown is None:
        raise not_restorable(connector.shown(path))
    parent = await connector.folders.make(path[:-1])
    check_expected(connector.shown(path), await connector.look(path), None)
    await _moved(connector, shown, parent, path)
    return path


async def versions(connector: "SharePointConnector", entry: Entry) -> tuple[Entry, ...]:
    """As `Versioned.versions` (https://learn.microsoft.com/en-us/graph/api/driveitem-list-versions). When an earlier
    version was modified is not kept, only when it was stored."""
    shown = await connector.shown_by_id(entry.ref.id)
    if shown is None or "file" not in shown:
        raise ItemError("not-found", f"{connector.named(entry)} is not there.")
    found: list[dict[str, Any]] = []
    path = f"{await connector.address(entry.ref.id)}/versions"
    async for page in connector.graph.pages(f"list the versions of {connector.named(entry)}", path):
        found += page
    return (*(_earlier(entry, one) for one in reversed(found[1:])), entry_of(shown, entry.path))


def _earlier(entry: Entry, version: dict[str, Any]) -> Entry:
    number = str(version["id"])
    return Entry(
        ref=Ref(SYSTEM, entry.ref.id, f"version {number}"),
        parent=entry.parent,
        name=entry.name,
        path=entry.path,
        kind=EntryKind.FILE,
        size_bytes=version.get("size"),
        modified_at=moment(version.get("lastModifiedDateTime")),
        created_by=((version.get("lastModifiedBy") or {}).get("user") or {}).get("displayName"),
        extra={VERSION: number},
    )


async def _moved(connector: "SharePointConnector", shown: dict[str, Any], parent: Ref, to: PathParts) -> Ref:
    values = {"name": to[-1], "parentReference": {"id": parent.id}}
    # A folder's eTag changes with what is in it, which is no reason not to move it.
    condition = {} if "folder" in shown else {"If-Match": shown["eTag"]}
    what = f"move {shown['name']} to {connector.shown(to)}"
    address = await connector.address(shown["id"])
    accept = frozenset({404, _CHANGED})
    try:
        reply = await connector.graph.call(what, "PATCH", address, values=values, headers=condition, accept=accept)
    except PreconditionFailed as error:
        if error.code == CONFLICT:
            raise destination_changed(connector.shown(to), "something is there now") from error
        raise
    if reply.status in accept:
        raise source_changed(str(shown["name"]))
    place = place_of(shown, connector.folder_names)
    connector.folders.forget(place or ())
    return entry_of(reply.json(), to).ref


async def _same(connector: "SharePointConnector", entry: Entry) -> dict[str, Any]:
    shown = await connector.shown_by_id(entry.ref.id)
    if shown is None or (entry.is_file and not same_version(entry_of(shown, entry.path), entry)):
        raise source_changed(connector.named(entry))
    return shown
