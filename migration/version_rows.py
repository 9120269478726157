"""The rows of a plan that are about earlier versions, put in before the row of the file they belong to.

What is decided about the file itself is decided without them. A row of an earlier version names the file as it is
listed and the number of the version; its size and time are not known before the versions of the file are read, which
the transfer does. Text stays as stored; times are microseconds since 1970.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from migration.actions import ActionKind, Side, action_id_of
from migration.capabilities import Capabilities
from migration.entries import EntryKind, PathParts
from migration.inventory_format import PATH, read_path, stored_path
from migration.jobs import Job
from migration.naming import Namer, Place
from migration.plan_writer import PlanColumns
from migration.rules import TransferType
from migration.stored_text import from_stored, to_stored
from migration.version_manifest import KnownVersions
from migration.version_queries import (
    COPIED,
    HEADS,
    HELD,
    HERE,
    LEFT_AT,
    LIKELY,
    NUMBERS,
    THERE,
    UNKNOWN,
    VERSION_FILES,
)
from migration.versions import (
    BEYOND_LIMIT,
    EARLIER,
    EARLIER_AS_FILE,
    FOLDED,
    FOLDED_BEFORE,
    Family,
    Form,
    Sibling,
    VersionPolicy,
    current_name,
    earlier_numbers,
    families,
    free_version_name,
    limited,
    version_policy,
)

VERSION = "version"
"""The kind of entry, in a baseline, of an earlier version that was made a file of its own."""
_AT_DESTINATION = ("unchanged", "already-there", "moved-with-folder")
_NEWER = "newer-at-source"
_SOURCE_ID, _SOURCE_PATH = (PlanColumns._fields.index(name) for name in ("source_id", "source_path"))

StoredPath = tuple[str, ...]


class _There(NamedTuple):
    """An entry of the destination, as PlanColumns' `expected_*`."""

    id: str
    version_id: str | None
    kind: EntryKind
    size_bytes: int | None
    modified: int | None


@dataclass(slots=True)
class _Known:
    """What the inventories and the baseline say of versions; only of what has any."""

    numbers: dict[str, int] = field(default_factory=dict)
    """Of the current versions, by source id."""
    copied: dict[str, int] = field(default_factory=dict)
    """Of those that the last run left at the destination, by source id."""
    held: dict[tuple[str, int], StoredPath] = field(default_factory=dict)
    """Where versions are that were made files, by source id and number; () = the source did not have it any more."""
    held_keys: dict[StoredPath, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Keys of their names, by the destination's folder."""
    there: dict[StoredPath, dict[str, _There]] = field(default_factory=lambda: defaultdict(dict))
    """What is called like a version at the destination, by folder and key of its name."""
    here: dict[StoredPath, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Keys of source files that are called like versions, by the source's folder."""
    families: dict[StoredPath, Family] = field(default_factory=dict)
    """By source path of the current file."""
    facts: dict[str, tuple[str | None, int | None]] = field(default_factory=dict)
    """Version and size of their earlier files, by id."""
    left_at: dict[StoredPath, int | None] = field(default_factory=dict)
    """The time of the current files when they were last copied, by source path."""


@dataclass(frozen=True, slots=True)
class _AnyOf(Container[str]):
    """What is in any of several sets, but for one thing."""

    sets: Sequence[Container[str]]
    but: str | None

    def __contains__(self, key: object) -> bool:
        return key != self.but and any(key in one for one in self.sets)


class VersionRows:
    """Adds rows to those of one plan."""

    def __init__(
        self,
        job: Job,
        source: Capabilities,
        destination: Capabilities,
        system: str,
        manifest: KnownVersions | None = None,
    ) -> None:
        """`system` is the source's; `manifest` is what sidecars there say of files that are earlier versions."""
        self._manifest = manifest or {}
        self._policy = version_policy(job.rules.versioning, source, destination)
        if job.transfer_type is TransferType.TAXONOMY:
            self._policy = VersionPolicy(Form.NONE)
        self._folds = self._policy.folds and job.transfer_type is not TransferType.MOVE
        self._namer = Namer(destination.names)
        self._root = job.destination.parts
        self._system = system
        self._known = _Known()
        self._used: dict[StoredPath, set[str]] = defaultdict(set)
        self._stays: set[tuple[str, StoredPath]] = set()
        """Id and path of source files of which a version is copied."""
        self.listings = 0
        """Files whose versions will be read."""
        self.unknown = 0
        """Files of which the listing does not say how many versions they have."""

    @property
    def applies(self) -> bool:
        """Whether the plan has rows about earlier versions at all."""
        return self._policy.form is not Form.NONE or self._folds

    def look(self, database: duckdb.DuckDBPyConnection) -> None:
        """Learn what `source_rows`, `destination_rows` and `baseline_rows` say, and make two tables: `folded_files`
        (id, name: source files that become versions of others) and `version_files` (id: destination files that are
        earlier versions). What is in them is nobody else's to decide about."""
        database.execute("CREATE TABLE folded_files (id VARCHAR, name VARCHAR)")
        database.execute(VERSION_FILES)
        if self._policy.form is not Form.NONE:
            self._known.numbers = dict(database.execute(NUMBERS).fetchall())
            self.unknown = _one(database, UNKNOWN)
        if self._policy.form is Form.NATIVE:
            self._known.copied = dict(database.execute(COPIED).fetchall())
        elif self._policy.form is Form.FILES:
            self._look_for_files(database)
        elif self._folds:
            self._look_for_families(database)

    def _look_for_files(self, database: duckdb.DuckDBPyConnection) -> None:
        key = self._namer.key
        for source_id, number, path, is_there in database.execute(HELD).fetchall():
            self._known.held[source_id, number] = tuple(path) if is_there else ()
            if is_there:
                self._known.held_keys[tuple(path[:-1])].add(key(from_stored(path[-1])))
        for path, *facts in database.execute(THERE).fetchall():
            entry_id, version_id, kind, size_bytes, modified = facts
            there = _There(entry_id, version_id, EntryKind(kind), size_bytes, modified)
            self._known.there[tuple(path[:-1])][key(from_stored(path[-1]))] = there
        for path in database.execute(HERE).fetchall():
            self._known.here[tuple(path[0][:-1])].add(key(from_stored(path[0][-1])))

    def _look_for_families(self, database: duckdb.DuckDBPyConnection) -> None:
        likely: dict[StoredPath, dict[str, Sibling]] = defaultdict(dict)
        heads: set[StoredPath] = set()
        certain: dict[StoredPath, dict[str, tuple[str, int]]] = defaultdict(dict)
        for path, source_id, modified, version_id, size_bytes in database.execute(LIKELY).fetchall():
            folder, name = tuple(path[:-1]), from_stored(path[-1])
            likely[folder][name] = Sibling(source_id, name, modified)
            self._known.facts[source_id] = (version_id, size_bytes)
            known = self._manifest.get(read_path(path))
            current = current_name(name)
            if known is not None and known.size_bytes == size_bytes:
                current = known.current
                certain[folder][name] = (known.current, known.number)
            if current is not None:
                heads.add((*folder, to_stored(current)))
        database.register("version_heads", pa.table({"path": pa.array(sorted(heads), PATH)}))
        for path, source_id, modified in database.execute(HEADS).fetchall():
            name = from_stored(path[-1])
            likely[tuple(path[:-1])][name] = Sibling(source_id, name, modified)
        self._known.left_at = {tuple(path): at for path, at in database.execute(LEFT_AT).fetchall()}
        folded: list[Sibling] = []
        for folder, files in likely.items():
            for family in families(files.values(), certain.get(folder)):
                self._known.families[(*folder, to_stored(family.current.name))] = family
                folded += [file for _, file in family.earlier]
        ids, names = [file.id for file in folded], [to_stored(file.name) for file in folded]
        table = pa.table({"id": pa.array(ids, pa.string()), "name": pa.array(names, pa.string())})
        database.register("folded_now", table)
        database.execute("INSERT INTO folded_files SELECT id, name FROM folded_now")

    def names_in(self, folder: PathParts) -> set[str]:
        """Keys of names in a destination folder that versions have, so that no other file gets them."""
        return self._known.held_keys.get(stored_path(folder), set()) if self._known.held_keys else set()

    def added(self, plan: Iterable[PlanColumns]) -> Iterator[PlanColumns]:
        """The plan's rows with those of earlier versions among them."""
        if not self.applies:
            yield from plan
            return
        concerned = self._is_head if self._folds else self._has_earlier
        rows_of = self._folded_rows if self._folds else self._earlier_rows
        for columns in plan:
            if any(map(concerned, columns.source_id, columns.source_path)):
                yield self._with_rows(columns, concerned, rows_of)
            else:
                yield columns

    def _with_rows(
        self,
        columns: PlanColumns,
        concerned: Callable[[str | None, PathParts], bool],
        rows_of: Callable[[dict[str, Any]], list[dict[str, Any]]],
    ) -> PlanColumns:
        rows: list[tuple[Any, ...]] = []
        for values in zip(*columns, strict=True):
            entry = values[_SOURCE_ID], values[_SOURCE_PATH]
            if not concerned(*entry):
                rows.append(values)
                continue
            row = dict(zip(PlanColumns._fields, values, strict=True))
            more = rows_of(row) if row["accounts"] and row["entry_kind"] is EntryKind.FILE else []
            if any(one["kind"] is ActionKind.ADD_VERSION for one in more):
                self._stays.add(entry)
            # What is moved is deleted at the source once its versions are known to be at the destination: next time.
            leaves = row["kind"] is ActionKind.DELETE and row["side"] is Side.SOURCE
            if not (leaves and entry in self._stays):
                rows += [*(tuple(one.values()) for one in more), values]
        return PlanColumns._make(zip(*rows, strict=True))

    def _has_earlier(self, source_id: str | None, _path: PathParts) -> bool:
        return source_id in self._known.numbers

    def _is_head(self, _source_id: str | None, path: PathParts) -> bool:
        return tuple(path) in self._known.families

    def _earlier_rows(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows of a file's earlier versions, oldest first."""
        current = self._known.numbers.get(row["source_id"])
        is_copied = row["kind"] is ActionKind.COPY and row["side"] is Side.DESTINATION
        is_there = row["kind"] is ActionKind.SKIP and row["reason"] in _AT_DESTINATION
        if current is None or not (is_copied or is_there):
            return []
        if self._policy.form is Form.NATIVE:
            rows = self._native(row, current) if is_copied else []
        else:
            rows = self._as_files(row, current)
        self.listings += bool(rows)
        return rows

    def _native(self, row: dict[str, Any], current: int) -> list[dict[str, Any]]:
        """Where something is replaced, only what is newer than what was copied may come on top of it."""
        copied = None if row["expected_id"] is None else self._known.copied.get(row["source_id"], current)
        numbers = earlier_numbers(self._policy, current, copied=copied)
        return [self._row(row, number, ActionKind.ADD_VERSION, EARLIER) for number in numbers]

    def _as_files(self, row: dict[str, Any], current: int) -> list[dict[str, Any]]:
        folder = tuple(row["destination_path"][:-1])
        wanted = earlier_numbers(self._policy, current)
        missing = [number for number in wanted if not self._is_settled(row["source_id"], number, folder)]
        if not missing:
            return []
        name, key = from_stored(row["destination_path"][-1]), self._namer.key
        place = Place(self._namer.path_length((*self._root, *map(from_stored, folder))))
        taken, found = self._taken(row, folder), self._known.there.get(folder, {})
        rows = []
        for number in missing:
            held = self._known.held.get((row["source_id"], number))
            used = _AnyOf(taken, key(from_stored(held[-1])) if held else None)
            new = free_version_name(name, number, row["source_id"], namer=self._namer, place=place, used=used)
            if new is None:
                rows.append(self._row(row, number, ActionKind.FLAG, "name-too-long"))
                continue
            self._used[folder].add(new.key)
            path = (*row["destination_path"][:-1], to_stored(new.name))
            rows.append(self._row(row, number, ActionKind.ADD_VERSION, EARLIER_AS_FILE, path, found.get(new.key)))
        return rows

    def _is_settled(self, source_id: str, number: int, folder: StoredPath) -> bool:
        """Whether nothing is to be done about a version: it is where it was put, or was moved with its folder."""
        path = self._known.held.get((source_id, number))
        if path is None:
            return False
        return not path or any(
            self._namer.key(from_stored(path[-1])) in self._known.there.get(place, {}) for place in (path[:-1], folder)
        )

    def _taken(self, row: dict[str, Any], folder: StoredPath) -> list[Container[str]]:
        """Keys that no version may get in a folder: of other versions, of source files, of folders. Another file that
        is there is left to the transfer to compare: it may be this very version."""
        there = self._known.there.get(folder, {})
        return [
            self._used[folder],
            self._known.held_keys.get(folder, ()),
            self._known.here.get(tuple(row["source_path"][:-1]), ()),
            {key for key, one in there.items() if one.kind is EntryKind.FOLDER},
        ]

    def _row(
        self,
        row: dict[str, Any],
        number: int,
        kind: ActionKind,
        reason: str,
        path: StoredPath | None = None,
        there: _There | None = None,
    ) -> dict[str, Any]:
        """A row of an earlier version, made from the file's. `path` is where it goes if not to the file's own."""
        whole = tuple(map(from_stored, path or row["destination_path"]))
        changes: dict[str, Any] = {
            "action_id": action_id_of(self._system, from_stored(row["source_id"]), f"version {number}", whole),
            "kind": kind,
            "size_bytes": None,
            "modified_at": None,
            "reason": reason,
            "detail": None,
            "accounts": False,
            "version_number": number,
        }
        if path is not None:
            changes |= {"destination_path": path, "renamed": True, **_expected(there)}
        return row | changes

    def _folded_rows(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows of the files that are earlier versions of this one."""
        family = self._known.families.pop(tuple(row["source_path"]), None)
        if family is None:
            return []
        taken, left = limited(family, self._policy)
        rows = [self._folded(row, number, file, ActionKind.SKIP, BEYOND_LIMIT) for number, file in left]
        for number, file in taken:
            kind, reason = self._fate(row, file)
            rows.append(self._folded(row, number, file, kind, reason))
        return rows

    def _fate(self, row: dict[str, Any], file: Sibling) -> tuple[ActionKind, str]:
        """What becomes of an earlier file, by what becomes of the current one."""
        kind, reason = row["kind"], row["reason"]
        if kind is ActionKind.COPY and row["side"] is Side.DESTINATION:
            left_at = self._known.left_at.get(tuple(row["source_path"]))
            was_there = reason == _NEWER and None not in (left_at, file.modified) and file.modified <= left_at  # type: ignore[operator]
            return (ActionKind.SKIP, FOLDED_BEFORE) if was_there else (ActionKind.ADD_VERSION, FOLDED)
        if kind in (ActionKind.SKIP, ActionKind.FLAG) and reason not in _AT_DESTINATION:
            return kind, reason
        return ActionKind.SKIP, FOLDED_BEFORE

    def _folded(self, row: dict[str, Any], number: int, file: Sibling, kind: ActionKind, reason: str) -> dict[str, Any]:
        name = to_stored(file.name)
        version_id, size_bytes = self._known.facts[file.id]
        whole = tuple(map(from_stored, row["destination_path"]))
        listed = row["source_listed_path"]
        return row | {
            "action_id": action_id_of(self._system, from_stored(file.id), version_id, whole),
            "kind": kind,
            "source_id": file.id,
            "source_version_id": version_id,
            "source_path": (*row["source_path"][:-1], name),
            "source_listed_path": None if listed is None else (*listed[:-1], name),
            "from_path": None,
            "size_bytes": size_bytes,
            "modified_at": file.modified,
            "reason": reason,
            "detail": None,
            "renamed": True,
            "version_number": number,
        }


def _expected(there: _There | None) -> dict[str, Any]:
    fields = ("expected_id", "expected_version_id", "expected_kind", "expected_size_bytes", "expected_modified_at")
    return dict(zip(fields, there or (None,) * len(fields), strict=True))


def _one(database: duckdb.DuckDBPyConnection, query: str) -> int:
    found = database.execute(query).fetchone()
    return int(found[0]) if found else 0
