"""The ledger: the durable record of what came of every action, append-only, keyed by run and action (decision 2).

One SQLite database per job (WAL, synchronous=FULL), written by one thread that commits whatever is waiting as one
transaction: a caller alone is durable at once, hundreds at the same time share one commit. Latest outcomes are exported
to Parquet for reports. The tables are SQLAlchemy Core, so that another database can stand in for SQLite.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from migration.actions import Outcome, OutcomeWord
from migration.errors import ContractViolation, FatalError, SiteHaulError
from migration.ledger_tables import (
    ADDED_IN,
    FORMAT,
    FORMAT_VERSION,
    METADATA,
    OUTCOMES,
    OUTCOMES_SCHEMA,
    STAGED,
    TRIED_AGAIN,
    Staged,
    Tried,
    achieved_query,
    attempts_query,
    latest_outcomes,
    latest_queries,
    outcome_row,
    staged_of,
    staged_queries,
    staged_row,
    tried_queries,
    written_query,
)
from migration.stored_text import from_stored

__all__ = ["OUTCOMES_SCHEMA", "Latest", "Ledger", "Staged"]

GROUP_MAX = 500
"""How many waiting writes one transaction takes."""
EXPORT_ROWS = 20_000
SPACE_MIN_BYTES = 1024 * 1024
"""With less free, an I/O error of the ledger is taken for a full disk."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest outcome of one action in one run, as far as deciding what to do next needs it."""

    word: OutcomeWord
    attempt: int
    reason: str | None
    bytes_copied: int


@dataclass(frozen=True, slots=True)
class Written:
    """What an action has left at its place."""

    id: str
    version_id: str | None
    name: str | None
    size_bytes: int
    modified_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Write:
    table: sa.Table
    rows: list[dict[str, Any]]
    done: "asyncio.Future[None]"


class Ledger:
    """The open ledger of one job. An async context manager; leaving it waits for what was handed over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: sa.Engine | None = None
        self._writer: threading.Thread | None = None
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()

    @classmethod
    def open(cls, path: Path) -> Self:
        """The ledger in this file, made when it is entered if it is not there.

        Entering raises FatalError `ledger-unreadable` for a file that is no (longer a) ledger and `ledger-too-new` for
        one of a later version.
        """
        return cls(path)

    async def __aenter__(self) -> Self:
        self._engine = await asyncio.to_thread(_prepared_engine, self._path)
        self._writer = threading.Thread(target=self._write_groups, name="ledger-writer", daemon=True)
        self._writer.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        writer, engine = self._writer, self._engine
        self._writer = self._engine = None
        if writer is not None and engine is not None:
            self._waiting.put(None)
            await asyncio.to_thread(writer.join)
            await asyncio.to_thread(engine.dispose)

    async def record_staged(self, run_id: str, staged: Staged) -> None:
        """Durable on return. Raises FatalError when the ledger cannot be written."""
        await self._write(STAGED, [staged_row(run_id, staged)])

    async def record(self, run_id: str, outcomes: Sequence[Outcome]) -> None:
        """Durable on return, all or none of them.

        Raises ContractViolation `second-terminal-outcome` when an action already has its final outcome in this run, and
        FatalError when the ledger cannot be written.
        """
        if outcomes:
            await self._write(OUTCOMES, [outcome_row(run_id, outcome) for outcome in outcomes])

    async def latest(self, run_id: str, action_ids: Collection[str] | None = None) -> dict[str, Latest]:
        """The latest outcome of each tried action of the run; of those named only, if some are named."""
        rows: list[Any] = []
        for query in latest_queries(run_id, action_ids):
            rows += await self._read(query)
        return {row.action_id: Latest(OutcomeWord(row.word), row.attempt, row.reason, row.bytes_copied) for row in rows}

    async def staged(self, run_id: str, action_ids: Collection[str] | None = None) -> dict[str, Staged]:
        """The latest staged event of each action of the run; of those named only, if some are named."""
        staged: dict[str, Staged] = {}
        for query in staged_queries(run_id, action_ids):
            staged |= {row.action_id: staged_of(row) for row in await self._read(query)}
        return staged

    async def tried(self, run_id: str, action_ids: Collection[str]) -> dict[str, Tried]:
        """Which of these actions failed in other runs and did not succeed since."""
        tried: dict[str, Tried] = {}
        for query in tried_queries(run_id, action_ids):
            for row in await self._read(query):
                if row.word in (OutcomeWord.RETRYING, OutcomeWord.FLAGGED):
                    tried[row.action_id] = Tried(row.attempt, row.reason, row.finished_at)
                else:
                    tried.pop(row.action_id, None)
        return tried

    async def written(self, run_id: str, action_ids: Collection[str]) -> dict[str, Written]:
        """What those of the named actions (not more than 900) that were carried out in the run have left."""
        return {
            row.action_id: Written(
                from_stored(row.destination_id),
                _unstored(row.destination_version_id),
                _unstored(row.destination_name),
                row.bytes_copied,
                row.destination_modified_at,
            )
            for row in await self._read(written_query(run_id, action_ids))
        }

    async def attempts(self, run_id: str, action_id: str) -> Sequence[Any]:
        """Every recorded try of an action in a run, oldest first, with the columns of OUTCOMES_SCHEMA."""
        return await self._read(attempts_query(run_id, action_id))

    async def counts(self, run_id: str) -> dict[OutcomeWord, int]:
        """How many actions of the run have which latest outcome."""
        latest = latest_outcomes(run_id).subquery()
        rows = await self._read(sa.select(latest.c.word, sa.func.count().label("actions")).group_by(latest.c.word))
        return {OutcomeWord(row.word): row.actions for row in rows}

    async def achieved(self, run_id: str) -> tuple[int, int]:
        """Files with a final outcome in the run, and the bytes copied for them."""
        row = (await self._read(achieved_query(run_id)))[0]
        return row.files, row.bytes

    async def export(self, run_id: str, path: Path) -> int:
        """Write the latest outcomes of the run as Parquet (OUTCOMES_SCHEMA, ordered by action id), replacing `path`
        when complete; how many there are."""
        return await asyncio.to_thread(self._export, run_id, path)

    def _export(self, run_id: str, path: Path) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        exported = 0
        with self._told(), pq.ParquetWriter(staged, OUTCOMES_SCHEMA, compression="zstd") as writer:
            for rows in self._chunks(latest_outcomes(run_id).order_by(OUTCOMES.c.action_id)):
                writer.write_table(pa.Table.from_pylist(rows, OUTCOMES_SCHEMA))
                exported += len(rows)
        with open(staged, "rb") as file:
            os.fsync(file.fileno())
        os.replace(staged, path)
        return exported

    def _chunks(self, query: sa.Select[Any]) -> Iterator[list[dict[str, Any]]]:
        with self._entered().connect().execution_options(yield_per=EXPORT_ROWS) as connection:
            for part in connection.execute(query).mappings().partitions():
                yield [dict(row) for row in part]

    async def _read(self, query: sa.Select[Any]) -> Sequence[Any]:
        def read() -> Sequence[Any]:
            with self._told(), self._entered().connect() as connection:
                return connection.execute(query).all()

        return await asyncio.to_thread(read)

    def _entered(self) -> sa.Engine:
        if self._engine is None:
            raise ContractViolation("ledger-not-open", "The ledger is used outside its `async with` block")
        return self._engine

    def _told(self) -> "_Told":
        return _Told(self._path)

    async def _write(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        self._entered()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put(_Write(table, rows, done))
        await done

    def _write_groups(self) -> None:
        engine = self._entered()
        more = True
        while more:
            group, more = self._next_group()
            if group:
                _wake(group, self._commit(engine, group))

    def _next_group(self) -> tuple[list[_Write], bool]:
        """What is waiting (at least one write), and whether more may come."""
        group: list[_Write] = []
        while len(group) < GROUP_MAX:
            try:
                write = self._waiting.get(block=not group)
            except queue.Empty:
                break
            if write is None:
                return group, False
            group.append(write)
        return group, True

    def _commit(self, engine: sa.Engine, group: list[_Write]) -> list[SiteHaulError | None]:
        """Commit the group; what each write is to be told. One that is refused does not take the others with it."""
        try:
            with self._told(), engine.begin() as connection:
                for table in (STAGED, OUTCOMES):
                    if rows := [row for write in group if write.table is table for row in write.rows]:
                        connection.execute(sa.insert(table), rows)
        except ContractViolation as error:
            if len(group) == 1:
                return [error]
            return [told for write in group for told in self._commit(engine, [write])]
        except SiteHaulError as error:
            return [error] * len(group)
        except Exception as error:  # noqa: BLE001 - a bug; told to every caller, who would wait for ever otherwise
            return [ContractViolation("ledger-bug", f"An outcome cannot be recorded: {error}")] * len(group)
        return [None] * len(group)


def _unstored(text: str | None) -> str | None:
    return None if text is None else from_stored(text)


class _Told:
    """Tells the database's errors as ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IntegrityError):
            code = "second-terminal-outcome" if "UNIQUE" in str(error.orig) else "incomplete-outcome"
            raise ContractViolation(code, f"An outcome is refused by the ledger: {error.orig}") from error
        if isinstance(error, DBAPIError):
            raise _fatal(self._path, str(error.orig)) from error


def _fatal(path: Path, what: str) -> FatalError:
    if "full" in what or ("I/O error" in what and _has_no_space(path.parent)):
        return FatalError("disk-full", f"The ledger {path} cannot grow: {what}.", fix="Free some space and run again.")
    if "locked" in what or "readonly" in what or "unable to open" in what:
        return FatalError(
            "ledger-not-writable",
            f"The ledger {path} cannot be opened or written: {what}.",
            fix="Make the file and its folder writable, close other programs that hold it, and run again.",
        )
    if "I/O error" in what:
        return FatalError(
            "disk-error", f"The disk with the ledger {path} failed: {what}.", fix="Check the disk and run again."
        )
    return FatalError(
        "ledger-unreadable",
        f"The ledger {path} is damaged or is not a ledger: {what}.",
        fix="Move it (with its -wal and -shm files) out of the job's folder; the next run plans anew and recognises "
        "what is already at the destination.",
    )


def _has_no_space(folder: Path) -> bool:
    """SQLite calls some of its failures on a full disk an I/O error."""
    space = os.statvfs(folder)
    return space.f_bavail * space.f_frsize < SPACE_MIN_BYTES or (space.f_files > 0 and space.f_favail == 0)


def _prepared_engine(path: Path) -> sa.Engine:
    """An engine on the file with our tables in it, every connection of it set up for durability."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.is_file() and not _may_be_sqlite(path):
        raise _fatal(path, "file is not a database")
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
    sa.event.listen(engine, "connect", _set_up)
    with _Told(path), engine.begin() as connection:
        METADATA.create_all(connection)
        TRIED_AGAIN.create(connection, checkfirst=True)
        version = connection.execute(sa.select(sa.func.max(FORMAT.c.version))).scalar()
        if version is None:
            connection.execute(sa.insert(FORMAT), {"version": FORMAT_VERSION})
        elif version < FORMAT_VERSION:
            _bring_up(connection, version)
        elif version > FORMAT_VERSION:
            raise FatalError(
                "ledger-too-new",
                f"The ledger {path} was written by a later version of SiteHaul (format {version}).",
                fix="Use that version, or a new state folder.",
            )
    return engine


def _bring_up(connection: sa.Connection, version: int) -> None:
    """Give an older ledger what it lacks; its rows stay."""
    for added_in, columns in ADDED_IN.items():
        if added_in > version:
            for column in columns:
                connection.execute(sa.text(f"ALTER TABLE outcomes ADD COLUMN {column} TEXT"))
    connection.execute(sa.update(FORMAT).values(version=FORMAT_VERSION))


def _may_be_sqlite(path: Path) -> bool:
    """Whether the file is new or begins as SQLite's do; SQLite itself would write over a very short foreign file."""
    with open(path, "rb") as file:
        return file.read(16) in (b"", b"SQLite format 3\x00")


def _set_up(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4000"):
        connection.execute(f"PRAGMA {pragma}")


def _wake(group: list[_Write], told: list[SiteHaulError | None]) -> None:
    """Tell every waiting caller, with one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[None], SiteHaulError | None]]] = {}
    for write, error in zip(group, told, strict=True):
        by_loop.setdefault(write.done.get_loop(), []).append((write.done, error))
    for loop, answers in by_loop.items():
        _call(loop, partial(_settle, answers))


def _call(loop: asyncio.AbstractEventLoop, settle: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        if not loop.is_closed():
            raise  # a closed loop has nobody left to tell; the rows are written


def _settle(answers: list[tuple["asyncio.Future[None]", SiteHaulError | None]]) -> None:
    for done, error in answers:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
