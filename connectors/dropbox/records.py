"""What Dropbox says about files and folders, as entries; and its content hash.

A file's identity is its id, which stays when it is moved or gets new content; its version is its `rev`
(https://www.dropbox.com/developers/documentation/http/documentation#files-get_metadata).
"""

import hashlib
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from migration.entries import Entry, EntryKind, ListingProblem, PathParts, Ref
from migration.errors import RetryableError

SYSTEM = "dropbox"
HASH = "dropbox-content-hash"
BLOCK_BYTES = 4 * 1024 * 1024
REVISION = "revision"
"""In `Entry.extra`: this is an earlier version, which is read by its rev."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def entry_of(record: dict[str, Any], path: PathParts, parent: Ref | None, *, revision: bool = False) -> Entry:
    """The entry of a file or folder at this path. RetryableError `not-dropbox` for a record that is none."""
    try:
        is_folder = record.get(".tag", "file") == "folder"
        version = None if is_folder else str(record["rev"])
        return Entry(
            ref=Ref(SYSTEM, str(record["id"]), version),
            parent=parent,
            name=str(record["name"]),
            path=path,
            kind=EntryKind.FOLDER if is_folder else EntryKind.FILE,
            size_bytes=None if is_folder else int(record["size"]),
            modified_at=None if is_folder else moment(record["client_modified"]),
            checksums={HASH: str(record["content_hash"])} if "content_hash" in record else {},
            locked=None if is_folder else _is_locked(record),
            extra={REVISION: str(version)} if revision else {},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RetryableError("not-dropbox", "Dropbox described a file in a way that is not its own.") from error


def problem_of(record: dict[str, Any], path: PathParts) -> ListingProblem | None:
    """What keeps a listed file from being copied; None if nothing does."""
    if record.get("symlink_info"):
        return ListingProblem(
            path, "symbolic-link", f"'{path[-1]}' is a symbolic link; what it leads to is not in Dropbox.", False
        )
    if record.get("is_downloadable") is False:
        export_as = (record.get("export_info") or {}).get("export_as") or "another format"
        return ListingProblem(
            path,
            "native-document",
            f"'{path[-1]}' is a document of an online editor and no file; export it in Dropbox as {export_as}.",
            False,
        )
    return None


def shown_path(record: dict[str, Any]) -> PathParts:
    """Where the file or folder is, from the root that Dropbox's paths begin at."""
    return tuple(str(record.get("path_display") or record.get("path_lower") or "").split("/")[1:])


def folded(path: PathParts) -> PathParts:
    """The same for all paths that are one to Dropbox: names differ by more than case and normal form."""
    return tuple(unicodedata.normalize("NFC", name).lower() for name in path)


def moment(text: str) -> datetime:
    """A time of Dropbox's: whole seconds. ValueError for anything else."""
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def written_moment(at: datetime) -> str:
    """The inverse; a fraction of a second is dropped, as Dropbox refuses one."""
    return at.astimezone(UTC).strftime(_TIME)


def hash_of(blocks: Iterable[bytes]) -> str:
    """Dropbox's hash of a content, given the SHA-256 digests of its blocks of 4 MiB
    (https://www.dropbox.com/developers/reference/content-hash)."""
    return hashlib.sha256(b"".join(blocks)).hexdigest()


def _is_locked(record: dict[str, Any]) -> bool:
    lock = record.get("file_lock_info")
    return isinstance(lock, dict) and not lock.get("is_lockholder", False)
