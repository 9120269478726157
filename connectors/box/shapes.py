"""Box's files and folders as entries (https://developer.box.com/reference/resources/file--full/).

Ids of files and of folders are counted separately and may be equal, so a ref's id holds the kind. A ref's version is
the id of the file's version, which stays the same when the file is renamed or moved; its etag does not.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from migration.entries import Entry, EntryKind, PathParts, Ref

SYSTEM = "box"
FIELDS = "type,id,name,etag,size,sha1,file_version,content_created_at,content_modified_at,created_by,lock"
FIELDS_WITH_PATH = f"{FIELDS},path_collection,parent"
HISTORIC = "version"
"""In `Entry.extra`: the id of the version that is to be read, whichever is the current one."""


def ref_of(kind: EntryKind, box_id: str, version_id: str | None = None) -> Ref:
    """The ref of a file or folder."""
    return Ref(SYSTEM, f"{kind}:{box_id}", version_id)


def id_of(ref: Ref) -> str:
    """Box's own id."""
    return ref.id.partition(":")[2]


def kind_of(ref: Ref) -> EntryKind:
    """Whether it is a file or a folder."""
    return EntryKind(ref.id.partition(":")[0])


def address_of(ref: Ref) -> str:
    """The path of the file or folder below the API's address."""
    return f"{kind_of(ref)}s/{id_of(ref)}"


def entry_of(values: Mapping[str, Any], path: PathParts, parent: Ref | None) -> Entry:
    """The entry of a file or folder that Box described."""
    name = str(values["name"])
    if values["type"] == "folder":
        ref = ref_of(EntryKind.FOLDER, str(values["id"]))
        return Entry(ref=ref, parent=parent, name=name, path=path, kind=EntryKind.FOLDER)
    version = values.get("file_version") or {}
    sha1 = values.get("sha1") or version.get("sha1")
    person = values.get("created_by") or {}
    return Entry(
        ref=ref_of(EntryKind.FILE, str(values["id"]), version.get("id")),
        parent=parent,
        name=name,
        path=path,
        kind=EntryKind.FILE,
        size_bytes=values.get("size"),
        created_at=time_of(values.get("content_created_at")),
        modified_at=time_of(values.get("content_modified_at")),
        created_by=person.get("login") or person.get("name") or None,
        checksums={"sha1": str(sha1).lower()} if sha1 else {},
        locked=bool(values["lock"]) if "lock" in values else None,
    )


def version_of(file: Entry, values: Mapping[str, Any]) -> Entry:
    """An earlier version of the file (https://developer.box.com/reference/resources/file-version/)."""
    version_id = str(values["id"])
    person = values.get("modified_by") or {}
    return Entry(
        ref=Ref(file.ref.system, file.ref.id, version_id),
        parent=file.parent,
        name=str(values.get("name") or file.name),
        path=file.path,
        kind=EntryKind.FILE,
        size_bytes=values.get("size"),
        modified_at=time_of(values.get("modified_at") or values.get("created_at")),
        created_by=person.get("login") or person.get("name") or None,
        checksums={"sha1": str(values["sha1"]).lower()} if values.get("sha1") else {},
        extra={HISTORIC: version_id},
    )


def time_of(text: str | None) -> datetime | None:
    """A time as Box writes it, to the second."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def text_of(time: datetime) -> str:
    """A time as Box reads it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def path_below(root_id: str, values: Mapping[str, Any]) -> PathParts:
    """Where an item described with FIELDS_WITH_PATH is, from the folder with this id; () when it is not below it."""
    above = (values.get("path_collection") or {}).get("entries") or []
    ids = [str(folder["id"]) for folder in above]
    if root_id not in ids:
        return ()
    names = [str(folder["name"]) for folder in above[ids.index(root_id) + 1 :]]
    return (*names, str(values["name"]))
