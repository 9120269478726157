"""How Microsoft Graph shows things: https://learn.microsoft.com/en-us/graph/api/resources/driveitem."""

import functools
import hashlib
import mimetypes
import re
from datetime import datetime
from typing import Any
from urllib.parse import quote

from simulator.clouds.base import Entry, Version
from simulator.clouds.graph.errors import invalid
from simulator.clouds.graph.oauth import USER_DISPLAY, USER_ID, USER_NAME
from simulator.clouds.graph.quickxor import QuickXor, quickxor_text
from simulator.clouds.graph.state import HOST, Drive, GraphState, Site

ITEM_PROPERTIES = frozenset({
    "@microsoft.graph.downloadUrl", "audio", "bundle", "cTag", "children", "content", "content.downloadUrl",
    "createdBy", "createdByUser", "createdDateTime", "deleted", "description", "eTag", "file", "fileSystemInfo",
    "folder", "id", "image", "lastModifiedBy", "lastModifiedByUser", "lastModifiedDateTime", "listItem", "location",
    "malware", "name", "package", "parentReference", "pendingOperations", "permissions", "photo", "publication",
    "remoteItem", "retentionLabel", "root", "searchResult", "shared", "sharepointIds", "size", "specialFolder",
    "subscriptions", "thumbnails", "versions", "video", "webDavUrl", "webUrl", "workbook",
})  # fmt: skip
_TOTAL_BYTES = 27_487_790_694_400
_WHO = {"user": {"id": USER_ID, "displayName": USER_DISPLAY, "email": USER_NAME}}


def time_text(moment: datetime) -> str:
    """A time as SharePoint keeps it: whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def etag(entry: Entry) -> str:
    """The tag of everything an item is."""
    return f'"{{{_guid(entry)}}},{entry.number}"'


def ctag(entry: Entry) -> str:
    """The tag of a file's content."""
    return f'"c:{{{_guid(entry)}}},{entry.content_number + entry.extra.get("rewrites", 0)}"'


def item(state: GraphState, drive: Drive, entry: Entry) -> dict[str, Any]:
    """A driveItem that is there."""
    touched = entry.extra.get("touched") or (entry.created_at if entry.is_folder else entry.current.created_at)
    created = time_text(entry.created_at)
    values: dict[str, Any] = {
        "@odata.etag": etag(entry), "createdBy": _WHO, "createdDateTime": created, "eTag": etag(entry), "id": entry.id,
        "lastModifiedBy": _WHO, "lastModifiedDateTime": time_text(touched), "name": entry.name,
        "webUrl": _web_url(drive, entry), "size": size_of(drive, entry),
        "fileSystemInfo": {
            "createdDateTime": entry.extra.get("client_created") or created,
            "lastModifiedDateTime": time_text(entry.modified_at),
        },
    }  # fmt: skip
    if entry is drive.tree.root:
        values["root"] = {}
        values["parentReference"] = {"driveId": drive.id, "driveType": drive.kind}
    else:
        values["parentReference"] = parent_reference(drive, entry)
    if "package" in entry.extra:
        values["package"] = {"type": entry.extra["package"]}
    elif entry.is_folder:
        values["folder"] = {"childCount": len(drive.tree.children(entry))}
    else:
        _file_values(state, drive, entry, values)
    return values


def _file_values(state: GraphState, drive: Drive, entry: Entry, values: dict[str, Any]) -> None:
    values["cTag"] = ctag(entry)
    values["@microsoft.graph.downloadUrl"] = state.download_url(drive, entry)
    values["file"] = {"mimeType": mime_type(entry.name)}
    switches = state.switches
    if not (switches.hashes_missing and re.search(switches.hashes_missing, entry.name)):
        content = entry.current.content
        hashes = {"quickXorHash": quickxor_text(content.digest_by("quickxor", QuickXor))}
        if switches.sha256_hash:
            hashes["sha256Hash"] = content.sha256.upper()
        values["file"]["hashes"] = hashes
    if state.is_malware(entry):
        values["malware"] = {"description": "Virus:DOS/EICAR_Test_File"}


def parent_reference(drive: Drive, entry: Entry, *, path: bool = True) -> dict[str, Any]:
    """Where an item is."""
    parent = drive.tree.entries.get(entry.parent_id or "")
    values: dict[str, Any] = {"driveId": drive.id, "driveType": drive.kind, "id": entry.parent_id}
    if drive.site is not None:
        values["siteId"] = drive.site.id
    if path and parent is not None:
        above = drive.tree.path(parent)
        values["name"] = parent.name if above else drive.name
        values["path"] = f"/drives/{drive.id}/root:" + "".join(f"/{quote(name, safe='')}" for name in above)
    return values


def size_of(drive: Drive, entry: Entry) -> int:
    """The bytes of a file, or of all files below a folder."""
    if not entry.is_folder:
        return entry.current.content.size_bytes
    return sum(one.current.content.size_bytes for one in drive.tree.below(entry) if not one.is_folder)


def deleted_item(drive: Drive, entry: Entry) -> dict[str, Any]:
    """An item that is gone, in delta: without name and cTag in OneDrive for work or school and SharePoint."""
    kind = "folder" if entry.is_folder else "file"
    return {
        "id": entry.id, "deleted": {"state": "deleted"}, "parentReference": parent_reference(drive, entry, path=False),
        kind: {}, "size": 0,
    }  # fmt: skip


def version_values(entry: Entry, version: Version) -> dict[str, Any]:
    """A driveItemVersion."""
    return {
        "id": version_label(entry, version), "lastModifiedBy": _WHO,
        "lastModifiedDateTime": time_text(version.created_at), "size": version.content.size_bytes,
    }  # fmt: skip


def version_label(entry: Entry, version: Version) -> str:
    """The number of a version as the recycle of versions shows it."""
    newer = len(entry.versions) - 1 - entry.versions.index(version)
    return f"{entry.content_number - newer}.0"


def drive_values(state: GraphState, drive: Drive) -> dict[str, Any]:
    """A drive."""
    total, tree = state.switches.quota_bytes or _TOTAL_BYTES, drive.tree
    deleted = sum(one.current.content.size_bytes for one in tree.trashed() if not one.is_folder)
    remaining = max(0, total - tree.used_bytes)
    values: dict[str, Any] = {
        "id": drive.id, "name": drive.name, "driveType": drive.kind, "webUrl": drive.web_url,
        "createdDateTime": drive.created_at, "lastModifiedDateTime": drive.created_at, "createdBy": _WHO, "owner": _WHO,
        "quota": {
            "total": total, "used": tree.used_bytes, "remaining": remaining, "deleted": deleted,
            "state": "exceeded" if remaining == 0 else "critical" if remaining < total // 100 else "normal",
        },
    }  # fmt: skip
    if drive.site is not None:
        values["owner"] = {"group": {"displayName": f"{drive.site.name} Owners"}}
    return values


def site_values(site: Site, created_at: str) -> dict[str, Any]:
    """A site."""
    return {
        "id": site.id, "name": site.path.rpartition("/")[2], "displayName": site.name, "webUrl": site.web_url,
        "createdDateTime": created_at, "lastModifiedDateTime": created_at, "siteCollection": {"hostname": HOST},
        "root": {},
    }  # fmt: skip


def selected(values: dict[str, Any], names: frozenset[str] | None) -> dict[str, Any]:
    """Only what `$select` asks for."""
    if names is None:
        return values
    kept = {name: value for name, value in values.items() if name in names or name == "@odata.etag"}
    if "content.downloadUrl" in names and "@microsoft.graph.downloadUrl" in values:
        kept["@microsoft.graph.downloadUrl"] = values["@microsoft.graph.downloadUrl"]
    return kept


@functools.lru_cache(maxsize=256)
def selection(text: str | None, kind: str = "driveItem") -> frozenset[str] | None:
    """The names in a `$select`; None for none. Raises Refused, 400, for a property that items do not have."""
    if not text:
        return None
    names = frozenset(name.strip() for name in text.split(","))
    lowered = {name.lower(): name for name in ITEM_PROPERTIES}
    missing = sorted(name for name in names if kind == "driveItem" and name.lower() not in lowered)
    if missing:
        raise invalid(f"Could not find a property named '{missing[0]}' on type 'microsoft.graph.{kind}'.")
    return frozenset(lowered.get(name.lower(), name) for name in names)


@functools.lru_cache(maxsize=4096)
def mime_type(name: str) -> str:
    """The type a name suggests."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _web_url(drive: Drive, entry: Entry) -> str:
    return quote("/".join((drive.web_url, *drive.tree.path(entry))), safe=":/")


def _guid(entry: Entry) -> str:
    known = entry.extra.get("guid")
    if known is None:
        text = hashlib.blake2b(entry.id.encode(), digest_size=16).hexdigest().upper()
        known = entry.extra["guid"] = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return str(known)
