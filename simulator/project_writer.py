"""Writes the folders, files and versions of one project of a world."""

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simulator.catalogue import OFFICE, Kind, Path, wanted_files
from simulator.clock import time_text
from simulator.odd_files import DELETED_FILES, EMPTY_FOLDERS, HUGE, ODD_FILES, PRIVATE_FILES, PRIVATE_FOLDER, Odd
from simulator.store import DOCUMENT_COLUMNS, VERSION_COLUMNS, Store

DAYS = 1000
"""How long the projects have been running when the world is made."""
DAY_SECONDS = 86400.0
_BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """What a world is made of. `max_file_bytes` 0 = no cap; `file_bytes` > 0: plain files of exactly that size only.
    `files` are those of the sample project, `further_files` those of each other one, if that is fewer."""

    seed: int = 7
    files: int = 1000
    max_file_bytes: int = 50_000_000
    projects: int = 4
    file_bytes: int = 0
    further_files: int = 25


@dataclass(slots=True, kw_only=True)
class Shared:
    """What the projects of one world have in common. `now` and `start`: the projects' time, Unix seconds."""

    store: Store
    options: WorldOptions
    now: float
    start: float
    ids: Iterator[int]
    version_ids: Iterator[int]
    authors: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be written: where, how large (None = by its kind), and what is special."""

    folder: Path
    name: str
    kind: Kind
    when: float | None
    size_bytes: int | None = None
    body: str | None = None
    versions: int = 0
    """How many; 0 = as its kind has it."""
    locked: bool = False
    private: bool = False
    deleted: bool = False


class ProjectWriter:
    """Writes one project's documents and versions, in batches."""

    def __init__(
        self, world: Shared, project_id: int, name: str, system_ids: tuple[int, int, int], *, sample: bool
    ) -> None:
        self._store = world.store
        self._options = world.options
        self._ids, self._version_ids = world.ids, world.version_ids
        self._authors = world.authors
        self._now, self._start = world.now, world.start
        self._project_id = project_id
        self._sample = sample
        self._chance = random.Random(f"project-{self._options.seed}-{project_id}")
        self._documents: list[tuple[Any, ...]] = []
        self._versions: list[tuple[Any, ...]] = []
        self._last_content: tuple[str, int] | None = None
        root_id, bin_id, schedules_id = system_ids
        self._folders: dict[Path, int] = {(): root_id}
        self._bin: dict[Path, int] = {(): bin_id}
        self._folder_row(root_id, None, name)
        self._folder_row(bin_id, root_id, "Recycle Bin", read_only=1, recycle_bin=1)
        self._folder_row(schedules_id, root_id, "Schedules", read_only=1)

    def write(self, count: int) -> None:
        """Write everything; `count` files are live and visible."""
        if not self._options.file_bytes:
            self._folder(PRIVATE_FOLDER, private=True)
            for path in EMPTY_FOLDERS:
                self._folder(path)
        for file in self._files(count):
            self._file(file)
            if len(self._documents) >= _BATCH_ROWS:
                self._flush()
        self._flush()

    def _files(self, count: int) -> Iterator[_File]:
        plain = bool(self._options.file_bytes)
        odd: list[Odd] = [] if plain else ODD_FILES[: count // 2 if self._sample else count // 5]
        cap = self._options.max_file_bytes
        if not plain and self._sample and (not cap or cap >= (HUGE.size_bytes or 0)):
            odd = [HUGE, *odd][: max(1, count)]
        seed = f"{self._options.seed}-{self._project_id}"
        for wanted in wanted_files(seed, count - len(odd), DAYS, self._start):
            yield _File(wanted.folder, wanted.name, wanted.kind, wanted.when)
        yield from _special(odd)
        if not plain:
            yield from _special(PRIVATE_FILES, private=True)
            yield from _special(DELETED_FILES, deleted=True)

    def _file(self, file: _File) -> None:
        file_id = next(self._ids)
        created = self._created(file)
        in_private_folder = file.folder[: len(PRIVATE_FOLDER)] == PRIVATE_FOLDER
        version_id, last = self._file_versions(file, file_id, created)
        updated = last if self._chance.random() < 0.3 else created
        holder, until = (self._authors[0], time_text(self._now + 365 * DAY_SECONDS)) if file.locked else (None, None)
        parent_id = self._folder(file.folder, deleted=file.deleted)
        created_text = time_text(created)
        self._documents.append((
            file_id, self._project_id, "file", parent_id, file.name, file.name.casefold(),
            int(file.private and not in_private_folder), 0, 0, 0, int(file.deleted), created_text, self._author(),
            created_text if updated == created else time_text(updated), holder, until, None, version_id,
        ))  # fmt: skip

    def _file_versions(self, file: _File, file_id: int, created: float) -> tuple[int, float]:
        """Write the versions; the newest one's id and time."""
        count = file.versions or self._version_count(file.kind)
        at, version_id = created, 0
        for number in range(1, count + 1):
            version_id = next(self._version_ids)
            body_key, size_bytes = self._content(file, file_id, number, is_last=number == count)
            self._versions.append((
                version_id, file_id, number, size_bytes, time_text(at), self._author(),
                None if number == 1 or number % 2 else f"Revision {number}", body_key, file.name,
            ))  # fmt: skip
            if number < count:
                at += (self._now - 3600 - at) * self._chance.random() * 0.6
        return version_id, at

    def _version_count(self, kind: Kind) -> int:
        if self._options.file_bytes:
            return 1
        count = 1
        while count < 9 and self._chance.random() < kind.revised:
            count += 1
        return count

    def _content(self, file: _File, file_id: int, number: int, *, is_last: bool) -> tuple[str, int]:
        """Key and size of a version's body; now and then that of the file before, as copies are."""
        if self._options.file_bytes:
            return f"{file_id}.{number}", self._options.file_bytes
        if file.body is not None:
            return file.body, self._capped(file.size_bytes or 0)
        if file.size_bytes is not None:
            return f"{file_id}.{number}", self._capped(file.size_bytes)
        if is_last and self._last_content is not None and self._chance.random() < 0.01:
            return self._last_content
        size_bytes = int(file.kind.median_bytes * math.exp(file.kind.spread * self._chance.gauss(0, 1)))
        self._last_content = (f"{file_id}.{number}", self._capped(max(1, size_bytes)))
        return self._last_content

    def _capped(self, size_bytes: int) -> int:
        cap = self._options.max_file_bytes
        if not cap or size_bytes <= cap:
            return size_bytes
        return cap - self._chance.randrange(cap // 4 + 1)

    def _created(self, file: _File) -> float:
        length: float = self._now - 7200 - self._start
        if file.when is None:
            return self._start + length * math.sqrt(self._chance.random())
        if file.when < 0:
            return 1_230_768_000 + self._chance.random() * 150_000_000  # 2009 to 2013
        return min(self._start + length * file.when + self._chance.randrange(8 * 3600), self._now - 7200)

    def _author(self) -> int:
        return self._authors[int(len(self._authors) * self._chance.random() ** 2)]

    def _folder(self, path: Path, *, private: bool = False, deleted: bool = False) -> int:
        known = self._bin if deleted else self._folders
        folder_id = known.get(path)
        if folder_id is None:
            parent_id = self._folder(path[:-1], deleted=deleted)
            folder_id = known[path] = next(self._ids)
            self._folder_row(
                folder_id, parent_id, path[-1], private=int(private), deleted=int(deleted),
                tracked=int(self._chance.random() < 0.02),
            )  # fmt: skip
        return folder_id

    def _folder_row(self, folder_id: int, parent_id: int | None, name: str, **flags: int) -> None:
        moment = time_text(self._start + (folder_id * 7919 % 600) * DAY_SECONDS / 2)
        row: dict[str, Any] = {
            "id": folder_id, "project_id": self._project_id, "kind": "folder", "parent_id": parent_id, "name": name,
            "folded": name.casefold(), "private": 0, "tracked": 0, "read_only": 0, "recycle_bin": 0, "deleted": 0,
            "created_at": moment, "created_by": self._authors[0], "updated_at": moment, **flags,
        }  # fmt: skip
        self._documents.append(tuple(row.get(column) for column in DOCUMENT_COLUMNS))

    def _flush(self) -> None:
        self._store.insert_many("documents", DOCUMENT_COLUMNS, self._documents)
        self._store.insert_many("versions", VERSION_COLUMNS, self._versions)
        self._documents.clear()
        self._versions.clear()


def _special(files: Iterable[Odd], *, private: bool = False, deleted: bool = False) -> Iterator[_File]:
    for odd in files:
        yield _File(
            odd.folder, odd.name, OFFICE, None, odd.size_bytes, odd.body, odd.versions, odd.locked, private, deleted
        )
