"""Files and folders as Microsoft Graph shows them (https://learn.microsoft.com/en-us/graph/api/resources/driveitem).

A file's version is its `cTag`, which changes with its content only; `eTag`, which conditions compare, changes with its
name and times, too. Times are those of `fileSystemInfo`: the other ones say when something was done to the library.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from migration.entries import Entry, EntryKind, ListingProblem, PathParts, Ref

SYSTEM = "sharepoint"
QUICKXOR = "quickxor"
SELECTED = "id,name,size,eTag,cTag,file,folder,package,malware,remoteItem,fileSystemInfo,parentReference,createdBy"
_NO_CHECKSUMS: Mapping[str, str] = MappingProxyType({})
DOWNLOAD_URL = "@microsoft.graph.downloadUrl"


def entry_of(shown: Mapping[str, Any], path: PathParts) -> Entry:
    """The entry at this path."""
    times = shown.get("fileSystemInfo") or {}
    is_folder = "folder" in shown
    parent = (shown.get("parentReference") or {}).get("id")
    return Entry(
        ref=Ref(SYSTEM, str(shown["id"]), None if is_folder else shown.get("cTag")),
        parent=None if parent is None else Ref(SYSTEM, str(parent)),
        name=path[-1] if path else "",
        path=path,
        kind=EntryKind.FOLDER if is_folder else EntryKind.FILE,
        size_bytes=None if is_folder else shown.get("size"),
        created_at=moment(times.get("createdDateTime")),
        modified_at=moment(times.get("lastModifiedDateTime")),
        created_by=((shown.get("createdBy") or {}).get("user") or {}).get("displayName"),
        checksums=_checksums(quickxor_of(shown)),
    )


def problem_of(shown: Mapping[str, Any], path: PathParts) -> ListingProblem | None:
    """Why something in a folder is no entry; None if it is one."""
    if "malware" in shown:
        message = "Microsoft found malware in it and does not hand it out."
        return ListingProblem(path, "malware", message, hides_entries=False)
    if "package" in shown:
        kind = (shown["package"] or {}).get("type") or "unknown kind"
        message = f"It is a package ({kind}), such as a OneNote notebook, and no file that could be copied."
        return ListingProblem(path, "package", message, hides_entries=False)
    if "remoteItem" in shown:
        message = "It is a shortcut to something in another library; connect that library to copy it."
        return ListingProblem(path, "shortcut", message, hides_entries=False)
    if "file" not in shown and "folder" not in shown:
        return ListingProblem(path, "unknown-kind", "It is neither a file nor a folder.", hides_entries=False)
    return None


def quickxor_of(shown: Mapping[str, Any]) -> str | None:
    """The checksum of a file's content; None if none is shown, as for a while after an upload."""
    hashes = (shown.get("file") or {}).get("hashes") or {}
    return hashes.get("quickXorHash")


def _checksums(quickxor: str | None) -> Mapping[str, str]:
    return _NO_CHECKSUMS if quickxor is None else {QUICKXOR: base64.b64decode(quickxor).hex()}


def place_of(shown: Mapping[str, Any], folder_names: PathParts) -> PathParts | None:
    """Where it is, from the connection's root; None when that is not told or not below it."""
    _, colon, path = str((shown.get("parentReference") or {}).get("path") or "").partition("root:")
    if not colon:
        return None
    names = (*(unquote(name) for name in path.split("/") if name), str(shown["name"]))
    ours = len(folder_names)
    folded = tuple(name.lower() for name in names[:ours])
    return names[ours:] if folded == tuple(name.lower() for name in folder_names) else None


def moment(text: Any) -> datetime | None:
    """A time as it is shown; None for anything else."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return None


def times(modified_at: datetime) -> dict[str, Any]:
    """A file's own time as it is set; SharePoint keeps whole seconds."""
    text = modified_at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
    return {"fileSystemInfo": {"lastModifiedDateTime": f"{text}Z"}}
