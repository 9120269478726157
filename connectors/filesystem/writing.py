"""Writing one file: under a staged name, then visible in one step, and only if the destination is as expected."""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from stat import S_ISREG

from connectors.filesystem import kernel
from connectors.filesystem.durability import sync_folder
from connectors.filesystem.folders import make_folder
from connectors.filesystem.listing import file_ref, moment, nanoseconds
from connectors.filesystem.reading import is_version
from connectors.filesystem.root import Root, look
from connectors.shared.paths import staged_name
from connectors.shared.trash import new_place, token_of
from migration.contract import Precondition, Stored
from migration.entries import Entry, PathParts
from migration.errors import FatalError, ItemError, PreconditionFailed, RetryableError

RESERVE_BYTES = 1024 * 1024
"""Smaller files are not worth a call that reserves their place."""
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BUFFERS_MAX = 512
"""How many buffers one call may write; every system allows at least this."""


class StagedFile:
    """One file being written. Its methods block and belong into a thread, one at a time but for `write_at`.

    `discard` must be called in the end, whatever happened; after `publish` has returned it does nothing.
    """

    def __init__(self, root: Root, path: PathParts, staging_key: str, *, durable: bool) -> None:
        """`durable`: content and name survive a power loss once published."""
        root.check(path)
        if not path:
            raise root.translate.refusal(path, "not-a-file", "the folder of the connection cannot be replaced")
        self.name = staged_name(staging_key)
        self._root = root
        self._path = path
        self._durable = durable
        self._folder_fd: int | None = None
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None

    @property
    def is_open(self) -> bool:
        """Whether `discard` has something to do."""
        return self._folder_fd is not None

    def write_whole(self, buffers: Sequence[bytes], modified_at: datetime | None) -> None:
        """Create, write and finish a small file."""
        self.create(None)
        self.write(buffers)
        self.finish(modified_at)

    def create(self, size_bytes: int | None) -> None:
        """Make the staged file in place of any leftover, and reserve its space if the size is known.

        ItemError `parent-missing`, `not-a-folder`, `symlink-in-the-way`; FatalError `disk-full`.
        """
        with self._root.translate.errors("write", self._path):
            self._folder_fd = self._open_parent()
            self._fd = self._open_new(self._folder_fd)
            status = os.fstat(self._fd)
            self._identity = (status.st_dev, status.st_ino)
            if size_bytes is not None and size_bytes >= RESERVE_BYTES:
                kernel.reserve(self._fd, size_bytes)

    def write(self, buffers: Sequence[bytes]) -> None:
        """Write the buffers after what was written before."""
        assert self._fd is not None
        with self._root.translate.errors("write", self._path):
            for first in range(0, len(buffers), _BUFFERS_MAX):
                _write_all(self._fd, buffers[first : first + _BUFFERS_MAX])

    def write_at(self, offset: int, chunk: bytes) -> None:
        """Write the chunk at its place; several threads may do so at once."""
        assert self._fd is not None
        view = memoryview(chunk)
        with self._root.translate.errors("write", self._path):
            while view:
                written = os.pwrite(self._fd, view, offset)
                view, offset = view[written:], offset + written

    def finish(self, modified_at: datetime | None) -> None:
        """Set the time and hand everything over to the file system; some say only then what they cannot store."""
        fd = self._fd
        assert fd is not None
        with self._root.translate.errors("write", self._path):
            if modified_at is not None:
                at = nanoseconds(modified_at)
                os.utime(fd, ns=(at, at))
            if self._durable:
                with self._root.translate.durability(self._path):
                    os.fsync(fd)
            # Network shares report lost writes when a descriptor is closed, any of them. The file itself stays open
            # until it is published, so that no other file can come to have its inode number meanwhile.
            os.close(os.dup(fd))

    def publish(self, precondition: Precondition) -> Stored:
        """Make the file visible as its path. PreconditionFailed `destination-changed` when the destination is not as
        expected; RetryableError `staged-file-lost` when the staged file or its folder was moved away meanwhile."""
        name, expected = self._path[-1], precondition.expected
        with self._root.translate.errors("publish", self._path), self._root.folder(self._path[:-1]) as fd:
            staged = look(self.name, fd)
            if staged is None or (staged.st_dev, staged.st_ino) != self._identity:
                shown = self._root.translate.text(self._path)
                what = "While it was written, its folder was moved or its staged file was removed"
                raise RetryableError("staged-file-lost", f"{shown}: {what}")
            self._check(look(name, fd), expected)
            trashed = None
            if expected is None:
                self._rename_if_free(name, fd)
            elif precondition.keep_replaced:
                trashed = self._replace_keeping(name, fd, expected, precondition.trash_key)
            else:
                os.replace(self.name, name, src_dir_fd=fd, dst_dir_fd=fd)
            self._identity = None
            if self._durable:
                with self._root.translate.durability(self._path):
                    sync_folder(fd)
        self.discard()
        return Stored(file_ref(self._path, staged), name, staged.st_size, moment(staged.st_mtime_ns), trashed=trashed)

    def discard(self) -> None:
        """Remove the staged file, if it still is ours, and let go of everything."""
        fd, self._fd = self._fd, None
        folder_fd, self._folder_fd = self._folder_fd, None
        identity, self._identity = self._identity, None
        if fd is not None:
            # Closing reports writes that failed; the file is being given up anyway.
            with suppress(OSError):
                os.close(fd)
        if folder_fd is None:
            return
        try:
            if identity is not None:
                # The device may just have failed; what then stays is a staged name, which the next try replaces.
                with suppress(OSError):
                    _unlink_if(self.name, identity, folder_fd)
        finally:
            os.close(folder_fd)

    def _open_parent(self) -> int:
        try:
            return self._root.open_folder(self._path[:-1])
        except FileNotFoundError as error:
            raise self._root.translate.refusal(self._path, "parent-missing", "its folder does not exist") from error

    def _open_new(self, folder_fd: int) -> int:
        try:
            return self._open_exclusively(folder_fd)
        except FileNotFoundError as error:
            raise self._root.translate.refusal(self._path, "parent-missing", "its folder was removed") from error
        except PermissionError as error:
            raise self._denied(error) from error

    def _open_exclusively(self, folder_fd: int) -> int:
        try:
            return os.open(self.name, _NEW_FILE, 0o666, dir_fd=folder_fd)
        except FileExistsError:
            os.unlink(self.name, dir_fd=folder_fd)
            return os.open(self.name, _NEW_FILE, 0o666, dir_fd=folder_fd)

    def _denied(self, error: OSError) -> Exception:
        """No right to write in the connection's own folder concerns every file, elsewhere only this one."""
        meaning = self._root.translate.meaning(error, "write", self._path)
        with self._root.folder(()) as root_fd:
            effective = os.access in os.supports_effective_ids
            anywhere = os.access(".", os.W_OK | os.X_OK, dir_fd=root_fd, effective_ids=effective)
        if anywhere or not isinstance(meaning, ItemError):
            return meaning
        return FatalError(meaning.code, meaning.message, fix=meaning.fix)

    def _rename_if_free(self, name: str, folder_fd: int) -> None:
        try:
            kernel.rename_if_free(self.name, name, folder_fd)
        except FileExistsError as error:
            raise self._unexpected("something has appeared there") from error

    def _replace_keeping(self, name: str, folder_fd: int, expected: Entry, key: str | None) -> str:
        """Replace the file and keep it in the trash folder; what `restore` needs. It gets a second name there before
        the new one takes its place; where a file cannot have two, there is nothing at the path for an instant."""
        place = new_place(self._path, key)
        make_folder(self._root, place[:-1], durable=self._durable)
        with self._root.folder(place[:-1]) as trash_fd:
            if kernel.link(name, place[-1], folder_fd, trash_fd):
                self._replace_linked(name, folder_fd, expected, place[-1], trash_fd)
            else:
                kernel.rename_if_free(name, place[-1], folder_fd, trash_fd)
                self._rename_or_put_back(name, folder_fd, place[-1], trash_fd)
            if self._durable:
                with self._root.translate.durability(place):
                    sync_folder(trash_fd)
        return token_of(self._path, place)

    def _replace_linked(self, name: str, folder_fd: int, expected: Entry, kept: str, trash_fd: int) -> None:
        try:
            self._check(look(kept, trash_fd), expected)
            os.replace(self.name, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except BaseException:
            os.unlink(kept, dir_fd=trash_fd)
            raise

    def _rename_or_put_back(self, name: str, folder_fd: int, kept: str, trash_fd: int) -> None:
        try:
            self._rename_if_free(name, folder_fd)
        except OSError:
            kernel.rename_if_free(kept, name, trash_fd, folder_fd)
            raise

    def _check(self, found: os.stat_result | None, expected: Entry | None) -> None:
        if expected is None:
            if found is not None:
                raise self._unexpected("something is there now")
        elif found is None:
            raise self._unexpected("the file to replace is gone")
        elif not expected.is_file or not S_ISREG(found.st_mode):
            raise self._unexpected("what is there cannot be replaced by a file")
        elif not is_version(expected, found):
            raise self._unexpected("the file to replace was changed")

    def _unexpected(self, what: str) -> PreconditionFailed:
        return PreconditionFailed(
            "destination-changed",
            f"{self._root.translate.text(self._path)} has changed since the plan was made: {what}.",
            fix="Run again; the next plan decides anew.",
        )


def _write_all(fd: int, buffers: Sequence[bytes]) -> None:
    rest: list[bytes | memoryview] = [buffer for buffer in buffers if buffer]
    while rest:
        written = os.writev(fd, rest)
        if not written:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if written:
            rest[0] = memoryview(rest[0])[written:]


def _unlink_if(name: str, identity: tuple[int, int], folder_fd: int) -> None:
    status = look(name, folder_fd)
    if status is not None and (status.st_dev, status.st_ino) == identity:
        os.unlink(name, dir_fd=folder_fd)
