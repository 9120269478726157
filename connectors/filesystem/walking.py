"""Listing a tree page by page, in one fixed order, and finding what dead processes left in it.

The order is that of path parts compared one by one: a folder, then what is in it, then its next sibling. So a path is
all that is needed to continue: everything up to it has been listed.
"""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from stat import S_ISLNK

from connectors.filesystem.failures import readable
from connectors.filesystem.listing import entry_of, folder_ref, path_from, walked_from
from connectors.filesystem.root import LIST, Root, open_inside
from connectors.shared.paths import is_staged
from connectors.shared.trash import TRASH_FOLDER
from migration.contract import WalkPage
from migration.entries import Entry, EntryKind, ListingProblem, PathParts, Ref
from migration.errors import ConfigurationError, ContractViolation, RetryableError

PAGE_ENTRIES = 5_000
OPEN_FOLDERS_MAX = 32
"""Deeper folders are opened again when the walk comes back to them, so that depth costs no descriptors."""
_PASSED_OVER = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""What makes one folder a problem of the listing; anything else ends the walk, which can be continued later."""


@dataclass(slots=True)
class _Level:
    """One folder on the way to where the walk is."""

    path: PathParts
    """From the walked root."""
    ref: Ref
    names: list[str]
    """Still to come, the next one last."""
    fd: int | None
    identity: tuple[int, int]


@dataclass(slots=True)
class _Page:
    entries: list[Entry] = field(default_factory=list)
    problems: list[ListingProblem] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.entries) + len(self.problems)


class Walker:
    """One walk. Used by one thread at a time; `close` when it is no longer needed."""

    def __init__(self, root: Root, start: PathParts, resume_from: str | None, page_entries: int) -> None:
        self._root = root
        self._start = start
        self._extra: Mapping[str, str] = walked_from(start)
        self._resume_from = resume_from
        self._page_entries = page_entries
        self._levels: list[_Level] = []
        self._begun = False

    def page(self) -> WalkPage:
        """The next page. Raises ConfigurationError when the walked folder is missing, RetryableError when the device
        fails; a folder that alone cannot be listed is a problem on the page."""
        page = _Page()
        if not self._begun:
            self._begin(page)
        last: PathParts | None = None
        while self._levels and len(page) < self._page_entries:
            level = self._levels[-1]
            name = level.names.pop()
            last = (*level.path, name)
            self._take(level, name, page)
            self._leave_finished()
        return WalkPage(tuple(page.entries), tuple(page.problems), self._cursor(last))

    def close(self) -> None:
        """Close the folders that are still open."""
        while self._levels:
            self._leave()

    def _cursor(self, last: PathParts | None) -> str | None:
        if not self._levels:
            return None
        return json.dumps({"after": json.dumps(last or ()), "inside": self._levels[-1].path == last})

    def _begin(self, page: _Page) -> None:
        self._begun = True
        with self._root.translate.errors("list", self._start):
            try:
                with self._root.folder(self._start) as fd:
                    self._enter(open_inside(".", fd, LIST), ())
            except (FileNotFoundError, NotADirectoryError) as error:
                raise _missing(self._root, self._start) from error
        if self._resume_from is not None:
            self._skip_to(*_position(self._resume_from), page)
        self._leave_finished()

    def _skip_to(self, after: PathParts, inside: bool, page: _Page) -> None:
        """Put the walk where it was when it had just listed `after` and, if so, had gone into it."""
        for depth, name in enumerate(after, start=1):
            level = self._levels[-1]
            is_there = name in level.names
            level.names = [later for later in level.names if later > name]
            if not is_there or (depth == len(after) and not inside) or not self._open(level, name, page):
                return

    def _take(self, level: _Level, name: str, page: _Page) -> None:
        path = (*level.path, name)
        fd = self._fd(level, page)
        if fd is None:
            return
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            self._pass_over(path, error, page, hides_entries=not isinstance(error, FileNotFoundError))
            return
        entry = entry_of((*self._start, *path), path, status, parent=level.ref, extra=self._extra)
        if entry is None:
            page.problems.append(_not_an_entry(path, status))
            return
        page.entries.append(entry)
        if entry.kind is EntryKind.FOLDER:
            self._open(level, name, page)

    def _open(self, level: _Level, name: str, page: _Page) -> bool:
        """Go into a folder, if it can be listed."""
        fd = self._fd(level, page)
        if fd is None:
            return False
        path = (*level.path, name)
        try:
            self._enter(open_inside(name, fd, LIST), path)
        except OSError as error:
            self._pass_over(path, error, page)
            return False
        return True

    def _enter(self, fd: int, path: PathParts) -> None:
        """Take over the open folder and its sorted names."""
        try:
            whole_path = (*self._start, *path)
            names = _names(fd, whole_path)[::-1]
            status = os.fstat(fd)
        except BaseException:
            os.close(fd)
            raise
        ref = folder_ref((*self._start, *path))
        self._levels.append(_Level(path, ref, names, fd, (status.st_dev, status.st_ino)))
        if len(self._levels) > OPEN_FOLDERS_MAX:
            _close(self._levels[-1 - OPEN_FOLDERS_MAX])

    def _leave_finished(self) -> None:
        while self._levels and not self._levels[-1].names:
            self._leave()

    def _leave(self) -> None:
        _close(self._levels.pop())

    def _fd(self, level: _Level, page: _Page) -> int | None:
        """The folder's descriptor; None if it meanwhile is another folder, which then is a problem."""
        if level.fd is not None:
            return level.fd
        try:
            with self._root.folder((*self._start, *level.path)) as way:
                fd = open_inside(".", way, LIST)
        except OSError as error:
            self._pass_over(level.path, error, page)
        else:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) == level.identity:
                level.fd = fd
                return fd
            os.close(fd)
            page.problems.append(
                ListingProblem(level.path, "changed-while-listing", "Another folder took its place during the walk.")
            )
        level.names.clear()
        return None

    def _pass_over(self, path: PathParts, error: OSError, page: _Page, *, hides_entries: bool = True) -> None:
        meaning = self._root.translate.meaning(error, "list", (*self._start, *path))
        if error.errno not in _PASSED_OVER:
            raise meaning from error
        page.problems.append(ListingProblem(path, meaning.code, meaning.message, hides_entries))


def inside(root: Root, path: PathParts) -> tuple[Entry, ...]:
    """What is directly in a folder, by name; links and what is neither file nor folder are left out. Raises
    ConfigurationError for a folder that is missing, and what a failing device means."""
    entries: list[Entry] = []
    with root.translate.errors("list", path):
        try:
            with root.listed_folder(path) as fd:
                for name in _names(fd, path):
                    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    entry = entry_of((*path, name), (*path, name), status, parent=folder_ref(path), extra={})
                    entries += [entry] if entry is not None else []
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _missing(root, path) from error
    return tuple(entries)


def sweep(root: Root, start: PathParts, in_use: frozenset[str]) -> int:
    """Remove every staged file below `start` whose name is not in use; how many. Folders that cannot be opened are
    passed over. Raises what a failing or read-only device means."""
    removed = 0
    folders = [start]
    while folders:
        path = folders.pop()
        try:
            with root.listed_folder(path) as fd:
                removed += _sweep_folder(root, path, fd, in_use, folders)
        except OSError as error:
            meaning = root.translate.meaning(error, "list", path)
            if isinstance(meaning, RetryableError) or (path == start and not isinstance(error, FileNotFoundError)):
                raise meaning from error
    return removed


def _sweep_folder(root: Root, path: PathParts, fd: int, in_use: frozenset[str], folders: list[PathParts]) -> int:
    removed = 0
    with os.scandir(fd) as found:
        for item in found:
            if item.is_dir(follow_symlinks=False):
                if not is_staged(item.name):
                    folders.append((*path, item.name))
            elif is_staged(item.name) and item.name not in in_use:
                with root.translate.errors("remove", (*path, item.name)):
                    os.unlink(item.name, dir_fd=fd)
                removed += 1
    return removed


def _names(fd: int, path: PathParts) -> list[str]:
    return sorted(name for name in os.listdir(fd) if not _is_hidden((*path, name)))


def _missing(root: Root, path: PathParts) -> ConfigurationError:
    return ConfigurationError(
        "folder-missing",
        f"There is no folder {root.translate.text(path)}.",
        fix="Correct the path of the job or make the folder.",
    )


def _is_hidden(path: PathParts) -> bool:
    return is_staged(path[-1]) or path == (TRASH_FOLDER,)


def _position(cursor: str) -> tuple[PathParts, bool]:
    try:
        position = json.loads(cursor)
        return path_from(position["after"]), bool(position["inside"])
    except (ValueError, TypeError, KeyError) as error:
        raise ContractViolation("not-a-cursor", f"{cursor!r} is no cursor of this connector") from error


def _not_an_entry(path: PathParts, status: os.stat_result) -> ListingProblem:
    shown = readable("/".join(path))
    if S_ISLNK(status.st_mode):
        return ListingProblem(
            path, "symlink", f"{shown} is a symbolic link; links are neither followed nor copied.", False
        )
    return ListingProblem(path, "special-file", f"{shown} is no file or folder (a pipe, socket or device).", False)


def _close(level: _Level) -> None:
    fd, level.fd = level.fd, None
    if fd is not None:
        os.close(fd)
