"""The one folder a connection may touch, and the only way to anything below it.

Every name is checked and every folder on the way is opened relative to the one before it without following links, so
nothing outside the root is ever reached, whatever names a source invents and whoever swaps folders for links meanwhile.
As a side effect a path may be longer than the system's PATH_MAX.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISLNK

from connectors.filesystem.failures import Translator
from connectors.shared.paths import is_staged
from migration.entries import PathParts
from migration.errors import ConfigurationError, FatalError, RetryableError

_TRAVERSE = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
"""O_PATH needs no right to list the folders on the way, only to pass through."""
LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Root:
    """The connection's folder. May be used by several threads; opened when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.translate = Translator(folder)
        self._fd: int | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the folder; it would be opened again when needed."""
        with self._lock:
            fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def check(self, path: PathParts) -> None:
        """Refuse names that mean another place or cannot be one file's name: ItemError `name-escapes`,
        `name-reserved`, `name-refused`."""
        for name in path:
            refusal = _refusal(name)
            if refusal is not None:
                code, what = refusal
                shown = ascii(name)
                raise self.translate.refusal((), code, f"the name {shown} {what}, so it was not touched")

    @contextmanager
    def folder(self, path: PathParts) -> Iterator[int]:
        """A descriptor of the folder for as long as the context lasts; for naming things relative to it only."""
        fd = self.open_folder(path)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def kept(self, fd: int) -> Iterator[None]:
        """Close the descriptor when the context ends."""
        try:
            yield
        finally:
            os.close(fd)

    @contextmanager
    def listed_folder(self, path: PathParts) -> Iterator[int]:
        """The same, for listing the folder or making it durable."""
        with self.folder(path) as fd:
            readable = os.open(".", LIST, dir_fd=fd)
        try:
            yield readable
        finally:
            os.close(readable)

    def open_folder(self, path: PathParts) -> int:
        """Descriptor of the folder, for the caller to close.

        Raises FileNotFoundError, NotADirectoryError or OSError ELOOP (a link is in the way) as they are, because what
        they mean depends on the caller; ConfigurationError `folder-missing` when the root itself cannot be opened.
        """
        self.check(path)
        fd = os.dup(self._root_fd())
        for name in path:
            try:
                inner = open_inside(name, fd)
            finally:
                os.close(fd)
            fd = inner
        return fd

    def _root_fd(self) -> int:
        with self._lock:
            if self._fd is None:
                self._fd = self._open_root()
            return self._fd

    def _open_root(self) -> int:
        try:
            return os.open(self.path, _TRAVERSE)
        except OSError as error:
            meaning = self.translate.meaning(error, "open", ())
            if isinstance(meaning, RetryableError | FatalError):
                raise meaning from error
            fix = "Make the folder or mount the share, or correct `folder` of the connection."
            raise ConfigurationError("folder-missing", meaning.message, fix=fix) from error


def open_inside(name: str, folder_fd: int, flags: int = _TRAVERSE) -> int:
    """Open a folder inside another. Raises OSError ELOOP for a link whatever the system would say, else as it says."""
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder_fd)
    except NotADirectoryError:
        if is_link(name, folder_fd):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from None
        raise


def look(name: str, folder_fd: int) -> os.stat_result | None:
    """What is there under a name, links not followed; None when nothing is."""
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_link(name: str, folder_fd: int) -> bool:
    """Whether a symbolic link is there."""
    status = look(name, folder_fd)
    return status is not None and S_ISLNK(status.st_mode)


def _refusal(name: str) -> tuple[str, str] | None:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        return "name-escapes", "cannot be the name of one file or folder"
    if is_staged(name):
        return "name-reserved", "is kept for files being written"
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return "name-refused", "holds characters that no file system can store"
    return None
