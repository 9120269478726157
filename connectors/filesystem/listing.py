"""From what the system says about a file to an entry.

Identity: an entry's id is a digest of its path from the connection's root, and a file's version id is its modification
time and size. Inode numbers would say more about renames, but they change when a program saves by writing a new file
and renaming it (Office and CAD programs do), are made up anew at every mount by some shares, and are shared by hard
links. So `stable_ids` is not promised: a renamed file is another entry; a rewritten one is another version of the same.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from stat import S_ISDIR, S_ISREG
from types import MappingProxyType

from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ContractViolation

SYSTEM = "filesystem"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WALKED_FROM = "walked_from"


def folder_ref(path: PathParts) -> Ref:
    """The identity of the folder at `path` from the connection's root."""
    return Ref(SYSTEM, _digest(path))


def file_ref(path: PathParts, status: os.stat_result) -> Ref:
    """The identity of the file at `path` in its present version."""
    return Ref(SYSTEM, _digest(path), version(status))


def version(status: os.stat_result) -> str:
    """Equal for equal modification time (in nanoseconds) and size, opaque otherwise."""
    return f"{status.st_mtime_ns:x}.{status.st_size:x}"


def entry_of(
    full_path: PathParts, path: PathParts, status: os.stat_result, *, parent: Ref | None, extra: Mapping[str, str]
) -> Entry | None:
    """The entry of a file or folder; None for what is neither. `full_path` starts at the connection's root."""
    if S_ISREG(status.st_mode):
        return Entry(
            ref=file_ref(full_path, status),
            parent=parent,
            name=path[-1],
            path=path,
            kind=EntryKind.FILE,
            size_bytes=status.st_size,
            modified_at=moment(status.st_mtime_ns),
            extra=extra,
        )
    if S_ISDIR(status.st_mode):
        return Entry(
            ref=folder_ref(full_path),
            parent=parent,
            name=path[-1] if path else "",
            path=path,
            kind=EntryKind.FOLDER,
            modified_at=moment(status.st_mtime_ns),
            extra=extra,
        )
    return None


def walked_from(root: PathParts) -> Mapping[str, str]:
    """What an entry remembers of the walk it came from, so that it can be opened later."""
    return MappingProxyType({_WALKED_FROM: json.dumps(root)} if root else {})


def full_path_of(entry: Entry) -> PathParts:
    """The entry's path from the connection's root."""
    remembered = entry.extra.get(_WALKED_FROM)
    return (*path_from(remembered), *entry.path) if remembered else entry.path


def path_from(text: str) -> PathParts:
    """A path that was written as JSON. Raises ContractViolation for anything else."""
    try:
        parts = json.loads(text)
    except ValueError as error:
        raise ContractViolation("not-a-path", f"{text!r} does not describe a path") from error
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ContractViolation("not-a-path", f"{text!r} does not describe a path")
    return tuple(parts)


def moment(nanoseconds: int) -> datetime | None:
    """The time, cut to microseconds; None for one that no calendar holds."""
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return None


def nanoseconds(at: datetime) -> int:
    """The reverse of `moment`, exactly."""
    return (at - _EPOCH) // _MICROSECOND * 1000


def _digest(path: PathParts) -> str:
    return hashlib.blake2b(os.fsencode("/".join(path)), digest_size=16).hexdigest()
