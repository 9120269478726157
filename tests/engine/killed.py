"""A transfer in a process of its own that kills itself at a named point, for test_kills.py."""

import asyncio
import json
import os
import signal
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from migration import ranges
from migration.batches import Work
from migration.entries import Entry, EntryKind, Ref
from tests.engine.support import Bench, ScriptedSource, a_job, pattern

CONTENTS = {f"{number:02d}.pdf": pattern(1000 + number * 7919, number) for number in range(12)} | {
    "empty.txt": b"",
    "large.zip": pattern(40_000_000, 99),
    "replaced.pdf": pattern(300_000, 98),
}


@dataclass
class KilledBench(Bench):
    point: str | None = None
    occurrence: int = 1
    seen: dict[str, int] = field(default_factory=dict)

    def at(self, point: str, action: str) -> None:
        self.seen[point] = self.seen.get(point, 0) + 1
        if point == self.point and self.seen[point] == self.occurrence:
            os.kill(os.getpid(), signal.SIGKILL)


def bench(folder: Path, point: str | None = None, occurrence: int = 1) -> tuple[KilledBench, ScriptedSource]:
    source = ScriptedSource(CONTENTS)
    job = a_job(performance={"parallel_writes": 4, "range_connections": 3})
    return KilledBench(folder, source, job, point=point, occurrence=occurrence), source


async def works(of: Bench, source: ScriptedSource, folder: Path) -> list[Work]:
    """The plan: made before the first start, with an older file in the way of one."""
    remembered = folder / "expected.json"
    if not remembered.is_file():
        of.root.mkdir(parents=True, exist_ok=True)
        (of.root / "replaced.pdf").write_bytes(b"older")
        async with of.connector() as connector:
            found = await connector.stat(("copied", "replaced.pdf"))
        assert found is not None
        remembered.write_text(json.dumps([found.ref.id, found.modified_at.isoformat() if found.modified_at else ""]))
    return [source.work(name, expected=_expected(remembered) if name == "replaced.pdf" else None) for name in CONTENTS]


def _expected(remembered: Path) -> Entry:
    ref_id, modified_at = json.loads(remembered.read_text())
    return Entry(
        ref=Ref("filesystem", ref_id),
        parent=None,
        name="replaced.pdf",
        path=("replaced.pdf",),
        kind=EntryKind.FILE,
        size_bytes=5,
        modified_at=datetime.fromisoformat(modified_at),
    )


def run(folder: Path, point: str | None, occurrence: int) -> None:
    """Run the transfer; what was opened at the source goes into opened.json if it survives."""
    ranges.FAST_BYTES_PER_SECOND = 10**18  # so that the large file is read over several connections
    of, source = bench(folder, point, occurrence)

    async def transfer() -> None:
        async with of.transfer() as (opened, _, current):
            await opened.run_batch(await works(of, source, folder))
            current.finished(of.clock.now())

    asyncio.run(transfer())
    (folder / "opened.json").write_text(json.dumps(sorted({name for name, _, _ in source.opened})))
