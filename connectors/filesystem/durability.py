"""Making what was written survive a power loss: a few files one by one, many by their file system."""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress

from connectors.filesystem import kernel
from connectors.filesystem.root import LIST, Root
from migration.entries import PathParts

FEW = 3
"""So many files are made durable one by one; from more on, everything written to their file system at once, which costs
about as much as three (measured on ext4)."""


def flush(root: Root, files: Sequence[PathParts], folders: Sequence[PathParts]) -> None:
    """Make published files and made folders durable. Files that are gone are left out.

    FatalError `not-durable` or `disk-full`.
    """
    if len(files) + len(folders) > FEW and _flush_file_systems(root, {path[:-1] for path in (*files, *folders)}):
        return
    parents = {path[:-1] for path in files}
    for path in files:
        with root.translate.durability(path), suppress(FileNotFoundError, NotADirectoryError):
            _sync_file(root, path)
    parents.update(path[:depth] for path in folders for depth in range(len(path)))
    for parent in parents:
        with (
            root.translate.durability(parent),
            suppress(FileNotFoundError, NotADirectoryError),
            root.listed_folder(parent) as fd,
        ):
            _sync_listed(fd)


def sync_folder(folder_fd: int) -> None:
    """Make the names in a folder durable."""
    fd = os.open(".", LIST, dir_fd=folder_fd)
    try:
        _sync_listed(fd)
    finally:
        os.close(fd)


def _flush_file_systems(root: Root, parents: set[PathParts]) -> bool:
    """Whether the system can do that."""
    done: set[int] = set()
    for parent in parents:
        with (
            root.translate.durability(parent),
            suppress(FileNotFoundError, NotADirectoryError),
            root.listed_folder(parent) as fd,
        ):
            device = os.fstat(fd).st_dev
            if device not in done and not kernel.sync_file_system(fd):
                return False
            done.add(device)
    return True


def _sync_file(root: Root, path: PathParts) -> None:
    with root.folder(path[:-1]) as folder_fd:
        fd = os.open(path[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_listed(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        # Shares that store names at once have nothing to do and some say so by refusing.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
