"""Egnyte's files and folders as entries
(https://developers.egnyte.com/docs/read/File_System_Management_API_Documentation).

What tells versions apart is Egnyte's checksum of the content, as a file keeps it when it is moved. It is the SHA-512 of
the bytes, except for files that came in chunks, which get a text of Egnyte's own with dashes in it.
"""

import email.utils
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from connectors.shared.paths import path_ref
from migration.entries import Entry, EntryKind, PathParts, Ref

SYSTEM = "egnyte"
HISTORIC = "entry"
"""In `Entry.extra`: the id of the version that is to be read, whichever is the current one."""
_VERSION_LENGTH = 40


def address_of(path: PathParts) -> str:
    """The path, each name escaped for itself as the vendor asks."""
    return "/".join(quote(name, safe="") for name in path)


def version_of(checksum: str | None) -> str | None:
    """What tells the version with this checksum from others."""
    return checksum[-_VERSION_LENGTH:] if checksum else None


def entry_of(values: Mapping[str, Any], path: PathParts, *, name: str | None = None) -> Entry:
    """The entry of a file or folder that Egnyte described, at this path from the connection's root."""
    parent = path_ref(SYSTEM, path[:-1]) if path else None
    name = name if name is not None else str(values["name"])
    if values["is_folder"]:
        return Entry(ref=path_ref(SYSTEM, path), parent=parent, name=name, path=path, kind=EntryKind.FOLDER)
    return _file(values, path_ref(SYSTEM, path, version_of(values.get("checksum"))), parent, name, path, {})


def historic_of(file: Entry, values: Mapping[str, Any]) -> Entry:
    """An earlier version of the file."""
    ref = Ref(file.ref.system, file.ref.id, version_of(values.get("checksum")))
    return _file(values, ref, file.parent, file.name, file.path, {HISTORIC: str(values["entry_id"])})


def _file(
    values: Mapping[str, Any], ref: Ref, parent: Ref | None, name: str, path: PathParts, extra: Mapping[str, str]
) -> Entry:
    checksum = str(values.get("checksum") or "").lower()
    uploaded = values.get("uploaded")
    return Entry(
        ref=ref,
        parent=parent,
        name=name,
        path=path,
        kind=EntryKind.FILE,
        size_bytes=values.get("size"),
        created_at=None if uploaded is None else datetime.fromtimestamp(uploaded / 1000, UTC),
        modified_at=time_of(values.get("last_modified")),
        created_by=values.get("uploaded_by"),
        version_count=values.get("num_versions"),
        checksums={"sha512": checksum} if checksum and "-" not in checksum else {},
        locked=values.get("locked"),
        extra=extra,
    )


def time_of(text: str | None) -> datetime | None:
    """A time as Egnyte writes it, to the second; None if there is none."""
    return email.utils.parsedate_to_datetime(text).astimezone(UTC) if text else None


def text_of(time: datetime) -> str:
    """A time as Egnyte reads it."""
    return email.utils.format_datetime(time.astimezone(UTC).replace(microsecond=0), usegmt=True)
