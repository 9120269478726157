"""What the operating system's errors mean for a migration: one table, applied at the connector's edge."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from migration.entries import PathParts
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError


@dataclass(frozen=True, slots=True)
class _Meaning:
    error: type[SiteHaulError]
    code: str
    what: str
    fix: str | None = None


_FULL = _Meaning(FatalError, "disk-full", "the disk is full", "Free some space there and run again.")
_QUOTA = _Meaning(FatalError, "disk-full", "the quota is used up", "Free some space or raise the quota, and run again.")
_READ_ONLY = _Meaning(
    FatalError, "read-only", "the file system is read-only", "Mount it for writing or choose another folder."
)
_DENIED = _Meaning(
    ItemError, "permission-denied", "permission denied", "Give the user that runs SiteHaul access and run again."
)
_TOO_LONG = _Meaning(ItemError, "name-too-long", "the name is longer than this file system allows")
_REFUSED = _Meaning(
    ItemError,
    "name-refused",
    "this file system does not accept the name",
    "Set `names` of the connection to windows or portable.",
)
_TOO_LARGE = _Meaning(ItemError, "file-too-large", "the file is larger than this file system allows")
_VANISHED = _Meaning(ItemError, "not-found", "it is not there")
_IS_FOLDER = _Meaning(ItemError, "not-a-file", "it is a folder")
_NO_FOLDER = _Meaning(ItemError, "not-a-folder", "something that is no folder is in the way")
_LINK = _Meaning(ItemError, "symlink-in-the-way", "a symbolic link is in the way; links are never followed")
_DEVICE = _Meaning(RetryableError, "device-error", "the device or the connection to it failed")
_BUSY = _Meaning(RetryableError, "busy", "it is in use by another program")
_FILES = _Meaning(
    RetryableError,
    "too-many-open-files",
    "too many files are open",
    "Raise the limit (ulimit -n) or lower parallel_writes.",
)
_MEMORY = _Meaning(RetryableError, "out-of-memory", "the system is out of memory")

_MEANINGS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _QUOTA,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ENAMETOOLONG: _TOO_LONG,
    errno.EINVAL: _REFUSED,
    errno.EILSEQ: _REFUSED,
    errno.EFBIG: _TOO_LARGE,
    errno.ENOENT: _VANISHED,
    errno.EISDIR: _IS_FOLDER,
    errno.ENOTDIR: _NO_FOLDER,
    errno.ELOOP: _LINK,
    errno.EIO: _DEVICE,
    errno.ESTALE: _DEVICE,
    errno.ENXIO: _DEVICE,
    errno.ENODEV: _DEVICE,
    errno.ENOTCONN: _DEVICE,
    errno.ECONNABORTED: _DEVICE,
    errno.ECONNRESET: _DEVICE,
    errno.EHOSTDOWN: _DEVICE,
    errno.EHOSTUNREACH: _DEVICE,
    errno.ENETUNREACH: _DEVICE,
    errno.ETIMEDOUT: _DEVICE,
    errno.EAGAIN: _BUSY,
    errno.EBUSY: _BUSY,
    errno.ETXTBSY: _BUSY,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOMEM: _MEMORY,
}


class Translator:
    """Turns OSErrors below one folder into SiteHaul's errors."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def errors(self, doing: str, path: PathParts) -> Iterator[None]:
        """Raise what an OSError raised inside means. `doing` completes the sentence "Could not … <path>"."""
        try:
            yield
        except OSError as error:
            raise self.meaning(error, doing, path) from error

    @contextmanager
    def durability(self, path: PathParts) -> Iterator[None]:
        """The same for making things durable, where a second try proves nothing: the system reports a lost write
        once and forgets it. Everything but a full disk is a FatalError `not-durable`."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self.meaning(error, "write", path) from error
            raise FatalError(
                "not-durable",
                f"The system could not store {self.text(path)} durably: {_reason(error)}.",
                fix="Check the disk or the share, then run again; nothing unproved was recorded as done.",
            ) from error

    def meaning(self, error: OSError, doing: str, path: PathParts) -> SiteHaulError:
        """The error that `error` means for `path`."""
        meaning = _MEANINGS.get(error.errno or 0)
        sentence = f"Could not {doing} {self.text(path)}"
        if meaning is None:
            return ItemError("file-system-error", f"{sentence}: {_reason(error)}.")
        return meaning.error(meaning.code, f"{sentence}: {meaning.what}.", fix=meaning.fix)

    def text(self, path: PathParts) -> str:
        """The full path as people may read it: bytes that are no text are shown in hexadecimal."""
        return readable(str(self._folder.joinpath(*path)))

    def refusal(self, path: PathParts, code: str, what: str, fix: str | None = None) -> ItemError:
        """An ItemError whose message begins with `path`."""
        return ItemError(code, f"{self.text(path)}: {what}.", fix=fix)


def readable(text: str) -> str:
    """Printable text of a name that may hold undecodable bytes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _reason(error: OSError) -> str:
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
