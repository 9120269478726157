"""A source that misbehaves by script, a clock that does not wait, and a transfer to try them with."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from connectors.filesystem.connector import FilesystemConnector
from connectors.filesystem.settings import FilesystemSettings
from connectors.shared.services import Services
from migration.actions import Action, ActionKind, action_id
from migration.batches import Work
from migration.capabilities import Capabilities, Operation
from migration.clock import SystemClock
from migration.contract import ConnectionReport, Destination, Source, WalkPage
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import RetryableError
from migration.jobs import Job
from migration.ledger import Ledger
from migration.progress import Progress
from migration.runs import Run, begin
from migration.state import JobState
from migration.transfer import Transfer

MODIFIED = datetime(2024, 5, 17, 8, 30, 1, 250_000, tzinfo=UTC)
CHUNK = 64 * 1024


class QuickClock(SystemClock):
    """The system's clock, but waiting takes no time and is written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class WaitingClock(QuickClock):
    """Waits for real, so that what is in flight when a run ends gets its grace."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds)


@dataclass
class Body:
    """One way to answer `open`: so many bytes of the content, then this error (None: simply the end)."""

    serve: int | None = None
    """None = all that was asked for."""
    error: BaseException | None = None
    extra: bytes = b""
    """Sent beyond the end."""
    gate: asyncio.Event | None = None
    """Waited for after each chunk."""
    begun: asyncio.Event | None = None
    """Set when the first chunk was taken."""


@dataclass
class ScriptedSource:
    """A full Source over contents in memory. `script` holds, per path, how its next opens answer; then all is well."""

    contents: dict[str, bytes]
    ranges: bool = True
    script: dict[str, list[Body]] = field(default_factory=dict)
    opened: list[tuple[str, int, int | None]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    system: str = "scripted"
    display_name: str = "Scripted"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(operations=frozenset({Operation.RANGE_READS} if self.ranges else ()), stable_ids=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    async def walk(self, root: PathParts, resume_from: str | None = None) -> AsyncIterator[WalkPage]:
        assert (root, resume_from) == ((), None)
        folders = {path[:depth] for path in map(parts, self.contents) for depth in range(1, len(path))}
        entries = [folder_entry(path) for path in sorted(folders)]
        entries += [self.entry(name) for name in sorted(self.contents)]
        yield WalkPage(tuple(entries), (), None)

    @asynccontextmanager
    async def open(
        self, entry: Entry, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        name = "/".join(entry.path)
        self.opened.append((name, offset, length))
        assert self.ranges or not offset
        answers = self.script.get(name)
        body = answers.pop(0) if answers else Body()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            yield self._chunks(self.contents[name], offset, length, body)
        finally:
            self.in_flight -= 1

    async def _chunks(self, content: bytes, offset: int, length: int | None, body: Body) -> AsyncIterator[bytes]:
        end = len(content) if length is None else offset + length
        served = content[offset:end] if body.serve is None else content[offset:end][: body.serve]
        for start in range(0, len(served), CHUNK):
            yield served[start : start + CHUNK]
            if body.begun is not None:
                body.begun.set()
            if body.gate is not None:
                await body.gate.wait()
        if body.extra:
            yield body.extra
        await asyncio.sleep(0)
        if body.error is not None:
            raise body.error

    async def test(self) -> ConnectionReport:
        return ConnectionReport(usable=True, who=None, findings=())

    def entry(self, name: str, **changes: Any) -> Entry:
        fields: dict[str, Any] = {
            "ref": Ref(self.system, name, "1"),
            "parent": folder_ref(parts(name)[:-1]),
            "name": parts(name)[-1],
            "path": parts(name),
            "kind": EntryKind.FILE,
            "size_bytes": len(self.contents[name]),
            "modified_at": MODIFIED,
        }
        return Entry(**{**fields, **changes})

    def work(self, name: str, destination: str | None = None, **changes: Any) -> Work:
        entry = self.entry(name, **{key: changes.pop(key) for key in ("size_bytes", "checksums") if key in changes})
        target = parts(destination or name)
        action = Action(
            seq=0,
            action_id=action_id(entry.ref, entry.path, target),
            kind=ActionKind.COPY,
            source=entry.ref,
            source_path=entry.path,
            destination_path=target,
            size_bytes=entry.size_bytes,
            modified_at=entry.modified_at,
            **changes,
        )
        return Work(action, entry)


def parts(name: str) -> PathParts:
    return tuple(name.split("/"))


def folder_ref(path: PathParts) -> Ref | None:
    return Ref("scripted", f"{'/'.join(path)}/") if path else None


def folder_entry(path: PathParts) -> Entry:
    ref = folder_ref(path)
    assert ref is not None
    return Entry(ref=ref, parent=folder_ref(path[:-1]), name=path[-1], path=path, kind=EntryKind.FOLDER)


def cut(after: int, code: str = "connection-lost", **more: Any) -> Body:
    return Body(after, RetryableError(code, "The connection was lost.", **more))


def pattern(size: int, seed: int = 0) -> bytes:
    """`size` bytes in which no piece is like another."""
    block = b"".join(hashlib.sha256(f"{seed}:{number}".encode()).digest() for number in range(2048))
    return b"".join(bytes([number % 251]) + block[1:] for number in range(size // len(block) + 1))[:size]


def a_job(**changes: Any) -> Job:
    plain: dict[str, Any] = {
        "name": "towers",
        "source": {"connection": "office", "path": ""},
        "destination": {"connection": "archive", "path": "copied"},
    }
    return Job.model_validate({**plain, **changes})


@dataclass
class Bench:
    """A job's state, a destination folder and what a test wants to know of a transfer."""

    folder: Path
    source: Source
    job: Job = field(default_factory=a_job)
    clock: QuickClock = field(default_factory=QuickClock)
    told: list[Progress] = field(default_factory=list)
    points: list[tuple[str, str]] = field(default_factory=list)

    def at(self, point: str, action: str) -> None:
        self.points.append((point, action))

    @property
    def state(self) -> JobState:
        return JobState.of(self.folder / "state", self.job.name)

    @property
    def root(self) -> Path:
        return self.folder / "destination" / "copied"

    def connector(self) -> FilesystemConnector:
        (self.folder / "destination").mkdir(exist_ok=True)
        return FilesystemConnector(FilesystemSettings(folder=self.folder / "destination"), Services())

    @asynccontextmanager
    async def transfer(self, destination: Destination | None = None) -> AsyncIterator[tuple[Transfer, Ledger, Run]]:
        run = begin(self.state, self.job, self.clock.now())
        async with (
            self.connector() if destination is None else destination as opened,
            Ledger.open(self.state.ledger) as ledger,
            Transfer(
                self.source,
                opened,
                ledger,
                run,
                self.job,
                clock=self.clock,
                progress=self.told.append,
                at=self.at,
            ) as transfer,
        ):
            yield transfer, ledger, run

    def found(self) -> dict[str, bytes]:
        """Every file below the job's destination root, staged ones too."""
        files = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in files}

    async def words(self, works: Iterable[Work]) -> dict[str, str]:
        """The latest outcome word and reason of each, by source path."""
        run = self.state.runs()[-1]
        async with Ledger.open(self.state.ledger) as ledger:
            latest = await ledger.latest(run.run_id)
        words = {}
        for work in works:
            known = latest.get(work.action.action_id)
            words["/".join(work.action.source_path)] = (
                "pending" if known is None else " ".join(filter(None, (known.word.value, known.reason)))
            )
        return words
