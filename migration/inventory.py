"""Inventories: the complete listing of one system below one root, written as it arrives and readable by anybody.

An inventory is a folder of Parquet files `part-NNNNN.parquet` (columns: migration/inventory_format.py), problem files
`_problems-NNNNN.parquet` where a page had any, and `_header.json`, which names the files that count, their digests and
the cursor that continues the walk. Names that begin with `_` are skipped by whoever reads the folder as a data set
(pandas, Spark). A file that the header does not name was left by a crash and is ignored.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from migration.clock import Clock
from migration.contract import WalkPage
from migration.entries import Entry, ListingProblem, PathParts
from migration.errors import PlanError
from migration.inventory_format import SCHEMA, to_entries, to_problem_table, to_problems, to_table
from migration.state import write_json_atomically
from migration.stored_text import from_stored, to_stored

__all__ = ["SCHEMA", "Inventory", "InventoryHeader", "InventoryWriter", "PartFile"]

FORMAT_VERSION = 1
GATHERED_ENTRIES = 20_000
"""Pages that cost no call are gathered up to this many entries before they are written."""


@dataclass(frozen=True, slots=True)
class PartFile:
    """One Parquet file of an inventory; `digest` is the SHA-256 of its bytes."""

    name: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryHeader:
    """What an inventory says of itself."""

    format_version: int = FORMAT_VERSION
    run_id: str
    system: str
    root: PathParts
    started_at: datetime
    finished_at: datetime | None = None
    complete: bool = False
    """Finished, and no problem hides entries."""
    entries: int = 0
    files: int = 0
    folders: int = 0
    bytes: int = 0
    """Of all files whose size is known."""
    problems: int = 0
    hiding_problems: int = 0
    """Problems that hide entries: what is below them is not in this inventory."""
    calls: int = 0
    """Calls the walk cost, pages that were discarded included."""
    expected_total: int | None = None
    """How many entries the system said the walk would give."""
    restarts: int = 0
    """How often the listing changed under the walk and began again."""
    root_missing: bool = False
    """Whether the root was not there (a destination that the run will make); such an inventory is empty."""
    listed: bool = False
    """Whether the walk gave its last page."""
    cursor: str | None = None
    parts: tuple[PartFile, ...] = ()
    problem_parts: tuple[PartFile, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the inventory was closed and will not change any more."""
        return self.finished_at is not None


@dataclass(frozen=True, slots=True)
class Inventory:
    """A finished inventory on disk. Reading never loads more than one part file at a time."""

    folder: Path
    header: InventoryHeader

    @classmethod
    def load(cls, folder: Path) -> "Inventory":
        """Open a finished inventory.

        Raises PlanError `analysis-missing` (nothing there), `analysis-unfinished`, or `analysis-damaged` (a part file
        is gone or the header cannot be read).
        """
        header = _read_header(folder)
        if header is None:
            raise PlanError("analysis-missing", f"There is no inventory in {folder}.", fix="Run the analysis first.")
        if not header.finished:
            raise PlanError(
                "analysis-unfinished",
                f"The analysis of {header.system} in {folder} stopped before its end.",
                fix="Run the same command again; it continues where it stopped.",
            )
        for part in (*header.parts, *header.problem_parts):
            if not (folder / part.name).is_file():
                raise _damaged(folder, f"the file {part.name} is gone")
        return cls(folder, header)

    def parts(self) -> list[Path]:
        """The Parquet files that hold the entries, in the walk's order."""
        return [self.folder / part.name for part in self.header.parts]

    def entries(self) -> Iterator[Entry]:
        """Every entry in the walk's order: folders before what is in them."""
        for path in self.parts():
            yield from to_entries(pq.read_table(path, schema=SCHEMA))

    def problems(self) -> Iterator[ListingProblem]:
        """What could not be listed, in the walk's order."""
        for part in self.header.problem_parts:
            yield from to_problems(pq.read_table(self.folder / part.name))

    def digest(self) -> str:
        """SHA-256 over system, root and the digests of all files: equal for equal content, whenever it was listed."""
        return _content_digest(self.header)

    def check(self) -> None:
        """Read every file and compare its digest. Raises PlanError `analysis-damaged` naming the first that differs."""
        for part in (*self.header.parts, *self.header.problem_parts):
            if _file_digest(self.folder / part.name) != part.digest:
                raise _damaged(self.folder, f"the file {part.name} is not what the analysis wrote")


class InventoryWriter:
    """Writes an inventory page by page; a writer opened on the same folder after a crash goes on with it.

    A page that cost calls is durable when `write_page` returns; pages without calls are gathered (GATHERED_ENTRIES)
    and may have to be listed again after a crash.
    """

    def __init__(self, folder: Path, header: InventoryHeader, clock: Clock) -> None:
        self._folder = folder
        self._header = header
        self._clock = clock
        self._gathered = _Gathered()

    @classmethod
    def open(cls, folder: Path, *, run_id: str, system: str, root: PathParts, clock: Clock) -> "InventoryWriter":
        """Begin an inventory, or continue the unfinished or finished one of the same system and root in `folder`.

        Raises PlanError `analysis-of-another-root` if the folder holds the inventory of something else.
        """
        header = _read_header(folder)
        if header is None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            header = InventoryHeader(run_id=run_id, system=system, root=root, started_at=clock.now())
        elif (header.system, header.root) != (system, root):
            raise PlanError(
                "analysis-of-another-root",
                f"{folder} holds the inventory of {header.system} {'/'.join(header.root)}.",
                fix="Start a new run.",
            )
        return cls(folder, header, clock)

    @property
    def cursor(self) -> str | None:
        """Where the walk continues; None = at its beginning (or not at all, see `listed`)."""
        return self._header.cursor

    @property
    def listed(self) -> bool:
        """Whether the walk already gave its last page."""
        return self._header.listed

    @property
    def header(self) -> InventoryHeader:
        """As last written, without the gathered pages."""
        return self._header

    def write_page(self, page: WalkPage) -> None:
        """Take one page of the walk, in order. A `restarted` page discards everything before it."""
        if page.restarted:
            self._discard()
        self._gathered.add(page)
        if page.cursor is None or page.calls > 0 or len(self._gathered.entries) >= GATHERED_ENTRIES:
            self._write_gathered(cursor=page.cursor)

    def finish(self, *, root_missing: bool = False) -> Inventory:
        """Close the inventory after the last page; closing a closed one changes nothing."""
        if not self._header.finished:
            self._write_gathered(cursor=None)
            self._save(
                replace(
                    self._header,
                    listed=True,
                    finished_at=self._clock.now(),
                    complete=self._header.hiding_problems == 0,
                    root_missing=root_missing,
                )
            )
        return Inventory.load(self._folder)

    def _write_gathered(self, *, cursor: str | None) -> None:
        gathered, self._gathered = self._gathered, _Gathered()
        header = gathered.added_to(self._header)
        if gathered.entries:
            part = self._write_part(f"part-{len(header.parts):05d}.parquet", to_table(gathered.entries))
            header = replace(header, parts=(*header.parts, part))
        if gathered.problems:
            name = f"_problems-{len(header.problem_parts):05d}.parquet"
            part = self._write_part(name, to_problem_table(gathered.problems))
            header = replace(header, problem_parts=(*header.problem_parts, part))
        self._save(replace(header, cursor=cursor, listed=cursor is None))

    def _write_part(self, name: str, table: pa.Table) -> PartFile:
        path = self._folder / name
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", compression_level=1)
        content = sink.getvalue()
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return PartFile(name, table.num_rows, hashlib.sha256(content).hexdigest())

    def _discard(self) -> None:
        self._gathered = _Gathered()
        old = self._header
        self._save(
            InventoryHeader(
                run_id=old.run_id,
                system=old.system,
                root=old.root,
                started_at=old.started_at,
                calls=old.calls,
                restarts=old.restarts + 1,
            )
        )
        for part in (*old.parts, *old.problem_parts):
            (self._folder / part.name).unlink(missing_ok=True)

    def _save(self, header: InventoryHeader) -> None:
        _sync_folder(self._folder)
        write_json_atomically(self._folder / _HEADER, _header_to_json(header))
        _sync_folder(self._folder)
        self._header = header


@dataclass
class _Gathered:
    """Pages that are not written yet."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[ListingProblem] = field(default_factory=list)
    calls: int = 0
    expected_total: int | None = None

    def add(self, page: WalkPage) -> None:
        self.entries.extend(page.entries)
        self.problems.extend(page.problems)
        self.calls += page.calls
        self.expected_total = page.expected_total if page.expected_total is not None else self.expected_total

    def added_to(self, header: InventoryHeader) -> InventoryHeader:
        files = [entry.size_bytes or 0 for entry in self.entries if entry.is_file]
        return replace(
            header,
            entries=header.entries + len(self.entries),
            files=header.files + len(files),
            folders=header.folders + len(self.entries) - len(files),
            bytes=header.bytes + sum(files),
            problems=header.problems + len(self.problems),
            hiding_problems=header.hiding_problems + sum(problem.hides_entries for problem in self.problems),
            calls=header.calls + self.calls,
            expected_total=self.expected_total if self.expected_total is not None else header.expected_total,
        )


_HEADER = "_header.json"


def entries_so_far(folder: Path) -> int:
    """How many entries an inventory holds, whether or not it is finished; 0 if there is none.

    Raises PlanError `analysis-damaged` when its header cannot be read.
    """
    header = _read_header(folder)
    return 0 if header is None else header.entries


def _read_header(folder: Path) -> InventoryHeader | None:
    try:
        text = (folder / _HEADER).read_text("utf-8")
    except FileNotFoundError:
        return None
    try:
        return _header_from_json(json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(folder, f"its header cannot be read ({error})") from error


def _header_to_json(header: InventoryHeader) -> dict[str, Any]:
    plain = asdict(header)
    plain["started_at"] = header.started_at.isoformat()
    plain["finished_at"] = header.finished_at.isoformat() if header.finished_at else None
    plain["root"] = [to_stored(part) for part in header.root]
    plain["cursor"] = None if header.cursor is None else to_stored(header.cursor)
    return plain


def _header_from_json(plain: dict[str, Any]) -> InventoryHeader:
    if plain["format_version"] > FORMAT_VERSION:
        raise ValueError(f"format version {plain['format_version']} is newer than this SiteHaul")
    finished_at = plain["finished_at"]
    return InventoryHeader(
        **{
            **plain,
            "root": tuple(from_stored(part) for part in plain["root"]),
            "cursor": None if plain["cursor"] is None else from_stored(plain["cursor"]),
            "started_at": datetime.fromisoformat(plain["started_at"]),
            "finished_at": datetime.fromisoformat(finished_at) if finished_at else None,
            "parts": tuple(PartFile(**part) for part in plain["parts"]),
            "problem_parts": tuple(PartFile(**part) for part in plain["problem_parts"]),
        }
    )


def _content_digest(header: InventoryHeader) -> str:
    facts = [header.format_version, header.system, list(header.root), header.root_missing]
    parts = [part.digest for part in (*header.parts, *header.problem_parts)]
    return hashlib.sha256(json.dumps([facts, parts]).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(folder: Path, what: str) -> PlanError:
    return PlanError("analysis-damaged", f"The inventory in {folder} is damaged: {what}.", fix="Start a new run.")
