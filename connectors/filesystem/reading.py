"""Reading one file: in chunks with a check that it stays the version that was listed, or as a whole for its hash."""

import hashlib
import os
import threading
from stat import S_ISREG

from connectors.filesystem.listing import entry_of, folder_ref, full_path_of, moment, version, walked_from
from connectors.filesystem.root import Root, look
from migration.entries import Entry, PathParts
from migration.errors import ContractViolation, ItemError, RetryableError

CHUNK_BYTES = 2 * 1024 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""O_NONBLOCK: a pipe in a file's place is refused instead of waited for."""


class Reader:
    """The bytes of one entry from `offset`. Used by one thread at a time; `close` when it is no longer needed."""

    def __init__(self, root: Root, entry: Entry, offset: int, length: int | None) -> None:
        self._root = root
        self._entry = entry
        self._path = full_path_of(entry)
        self._position = offset
        self._length = length
        self._end = offset
        self._fd: int | None = None

    @property
    def has_more(self) -> bool:
        """Whether `chunk` will give more."""
        return self._position < self._end

    def begin(self) -> bytes:
        """Open the file; the first chunk, b"" when there is nothing to read. ItemError `source-changed` when it is not
        the version that was listed."""
        with self._root.translate.errors("read", self._path):
            try:
                self._fd = open_file(self._root, self._path)
            except FileNotFoundError as error:
                raise self._changed("it is no longer there") from error
            status = os.fstat(self._fd)
            self._check(status)
            size_bytes = status.st_size
            self._end = size_bytes if self._length is None else min(self._position + self._length, size_bytes)
            if self._end - self._position > CHUNK_BYTES:
                _expect_sequential(self._fd)
        return self.chunk()

    def chunk(self) -> bytes:
        """The next chunk; b"" after the last one. Closes the file when everything was read and is still the same."""
        fd = self._fd
        if fd is None:
            if self.has_more:
                raise ContractViolation("read-after-close", f"{self._path} is read after it was let go of")
            return b""
        with self._root.translate.errors("read", self._path):
            wanted = min(CHUNK_BYTES, self._end - self._position)
            data = os.pread(fd, wanted, self._position) if wanted > 0 else b""
            self._position += len(data)
            if self._position >= self._end or not data:
                self._check(os.fstat(fd))
                self.close()
        if not data and self._position < self._end:
            missing = self._end - self._position
            raise RetryableError(
                "short-body", f"{self._root.translate.text(self._path)} ended {missing} bytes before its size"
            )
        return data

    def close(self) -> None:
        """Close the file if it is open."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _check(self, status: os.stat_result) -> None:
        if not S_ISREG(status.st_mode):
            raise self._changed("it is no file any more")
        if not is_version(self._entry, status):
            raise self._changed("its content has changed since it was listed")

    def _changed(self, what: str) -> ItemError:
        return self._root.translate.refusal(
            self._path, "source-changed", what, "Run again; the next analysis sees it as it is then."
        )


def is_version(entry: Entry, status: os.stat_result) -> bool:
    """Whether a file still is what the entry says, as far as the entry says anything."""
    if entry.ref.version_id is not None:
        return version(status) == entry.ref.version_id
    at = moment(status.st_mtime_ns)
    return entry.size_bytes in (None, status.st_size) and entry.modified_at in (None, at)


def sha256_of(root: Root, path: PathParts, stop: threading.Event) -> str:
    """SHA-256 of the file's bytes as the system gives them now (it may take them from its cache).

    ItemError `not-found` or `not-a-file`. `stop` ends the reading early; the hash then is worthless.
    """
    with root.translate.errors("read", path):
        fd = open_file(root, path)
        try:
            if not S_ISREG(os.fstat(fd).st_mode):
                raise root.translate.refusal(path, "not-a-file", "it is no file")
            return _digest_of(fd, stop)
        finally:
            os.close(fd)


def stat_entry(root: Root, path: PathParts) -> Entry | None:
    """The entry at `path`; None if nothing is there. ItemError `not-a-file` for a link, pipe, socket or device."""
    if not path:
        with root.folder(path) as fd:
            return entry_of(path, path, os.fstat(fd), parent=None, extra=walked_from(()))
    root.check(path)
    with root.translate.errors("look at", path):
        try:
            with root.folder(path[:-1]) as fd:
                status = look(path[-1], fd)
        except (FileNotFoundError, NotADirectoryError):
            return None
    if status is None:
        return None
    entry = entry_of(path, path, status, parent=folder_ref(path[:-1]), extra=walked_from(()))
    if entry is None:
        raise root.translate.refusal(path, "not-a-file", "it is neither a file nor a folder")
    return entry


def open_file(root: Root, path: PathParts) -> int:
    """Descriptor of whatever is at `path` but a link, for the caller to close. Raises OSError as the system says."""
    if not path:
        raise root.translate.refusal(path, "not-a-file", "it is a folder")
    root.check(path)
    with root.folder(path[:-1]) as fd:
        return os.open(path[-1], _READ, dir_fd=fd)


def _digest_of(fd: int, stop: threading.Event) -> str:
    _expect_sequential(fd)
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    while not stop.is_set():
        count = os.readv(fd, [buffer])
        if not count:
            break
        digest.update(view[:count])
    return digest.hexdigest()


def _expect_sequential(fd: int) -> None:
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
