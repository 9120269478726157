"""Three calls of the operating system that Python does not offer, each with what is done where they are missing."""

import ctypes
import errno
import os
from functools import cache

_RENAME_NOREPLACE = 1
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})
_NO_HARD_LINKS = _UNSUPPORTED | {errno.EPERM, errno.EMLINK}


def rename_if_free(old: str, new: str, folder_fd: int, new_folder_fd: int | None = None) -> None:
    """Rename within one folder, or into another one; FileExistsError when anything is at `new`, which stays untouched.

    One step where the file system can do that (renameat2 on local disks and SMB), else a hard link and an unlink (NFS).
    Where there are no hard links either (some FUSE mounts), looking and renaming are two steps; `is_exclusive` says so.
    """
    for way in (rename_no_replace, link_and_unlink):
        if way(old, new, folder_fd, new_folder_fd):
            return
    look_and_rename(old, new, folder_fd, new_folder_fd)


def is_exclusive(old: str, new: str, folder_fd: int) -> bool:
    """Rename as `rename_if_free` does; whether this file system refuses a taken name by itself."""
    if rename_no_replace(old, new, folder_fd) or link_and_unlink(old, new, folder_fd):
        return True
    look_and_rename(old, new, folder_fd)
    return False


def sync_file_system(fd: int) -> bool:
    """Make everything written to the file system of `fd` durable; False where the system cannot do that at once."""
    call = getattr(_libc(), "syncfs", None)
    if call is None:
        return False
    if call(ctypes.c_int(fd)) != 0:
        raise _last_error()
    return True


def reserve(fd: int, size_bytes: int) -> None:
    """Give the file its size and its place on the disk now, so that a full disk is found before the first byte.

    Where that is not possible nothing happens: the C library would write zeros instead, twice the work. OSError
    ENOSPC, EDQUOT or EFBIG when the file does not fit.
    """
    call = getattr(_libc(), "fallocate", None)
    if call is None or size_bytes == 0:
        return
    if call(ctypes.c_int(fd), ctypes.c_int(0), ctypes.c_int64(0), ctypes.c_int64(size_bytes)) != 0:
        error = _last_error()
        if error.errno not in _UNSUPPORTED:
            raise error


def rename_no_replace(old: str, new: str, folder_fd: int, new_folder_fd: int | None = None) -> bool:
    """Rename in one step; False where that is not supported, FileExistsError when `new` is taken."""
    call = getattr(_libc(), "renameat2", None)
    if call is None:
        return False
    there = ctypes.c_int(folder_fd if new_folder_fd is None else new_folder_fd)
    if call(ctypes.c_int(folder_fd), os.fsencode(old), there, os.fsencode(new), ctypes.c_uint(_RENAME_NOREPLACE)) == 0:
        return True
    error = _last_error()
    if error.errno in _UNSUPPORTED:
        return False
    raise error


def link_and_unlink(old: str, new: str, folder_fd: int, new_folder_fd: int | None = None) -> bool:
    """Rename by a second name; False where there are no hard links, FileExistsError when `new` is taken."""
    there = folder_fd if new_folder_fd is None else new_folder_fd
    try:
        os.link(old, new, src_dir_fd=folder_fd, dst_dir_fd=there, follow_symlinks=False)
    except FileExistsError:
        # A server whose answer was lost is asked again and then finds our own link.
        if not _same_file(old, folder_fd, new, there):
            raise
    except OSError as error:
        if error.errno in _NO_HARD_LINKS:
            return False
        raise
    os.unlink(old, dir_fd=folder_fd)
    return True


def link(old: str, new: str, folder_fd: int, new_folder_fd: int) -> bool:
    """Give a file a second name in another folder; False where files cannot have two, or the folder is on another
    disk. FileExistsError when `new` is taken."""
    try:
        os.link(old, new, src_dir_fd=folder_fd, dst_dir_fd=new_folder_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_HARD_LINKS | {errno.EXDEV}:
            return False
        raise
    return True


def look_and_rename(old: str, new: str, folder_fd: int, new_folder_fd: int | None = None) -> None:
    """Rename after a look; FileExistsError when `new` was taken then."""
    there = folder_fd if new_folder_fd is None else new_folder_fd
    try:
        os.stat(new, dir_fd=there, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=folder_fd, dst_dir_fd=there)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


def _same_file(one: str, folder_fd: int, other: str, other_folder_fd: int) -> bool:
    first = os.stat(one, dir_fd=folder_fd, follow_symlinks=False)
    second = os.stat(other, dir_fd=other_folder_fd, follow_symlinks=False)
    return os.path.samestat(first, second)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
