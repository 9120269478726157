"""Planning a million source entries against a million destination entries: seconds and memory."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import measured
from benchmarks.table import Table
from migration.clock import SystemClock
from migration.contract import WalkPage
from migration.entries import Entry, EntryKind, Ref
from migration.inventory import Inventory, InventoryWriter

ENTRIES = 1_000_000
FILES_PER_FOLDER = 50
CHANGED_EVERY = 50
_BASE = datetime(2026, 1, 1, tzinfo=UTC)


def million(folder: Path) -> Table:
    """The plan of a run in which every fiftieth file is new at the source."""
    write_inventory(folder / "source", "procore", changed=True)
    write_inventory(folder / "destination", "filesystem", changed=False)
    table = Table(f"Plans of {ENTRIES:,} entries against as many")
    for transfer_type in ("copy", "sync"):
        planned = measured([sys.executable, "-m", "benchmarks.plan_alone", str(folder), transfer_type])
        facts = json.loads(planned.stdout)
        table.row(f"{transfer_type}: planning", f"{facts['seconds']:.1f} s")
        table.row("peak memory of the process", f"{planned.peak_bytes / 2**20:,.0f} MiB")
        table.row("files to copy / skipped", f"{facts['copies']:,} / {facts['skipped']:,}")
    return table


def write_inventory(folder: Path, system: str, *, changed: bool) -> Inventory:
    """A synthetic listing; with `changed`, every CHANGED_EVERY-th file is newer than in one without."""
    writer = InventoryWriter.open(folder, run_id="bench", system=system, root=(), clock=SystemClock())
    page: list[Entry] = []
    for entry in _entries(system, changed=changed):
        page.append(entry)
        if len(page) == 5000:
            writer.write_page(WalkPage(tuple(page), (), cursor="more"))
            page = []
    writer.write_page(WalkPage(tuple(page), (), cursor=None))
    return writer.finish()


def _entries(system: str, *, changed: bool) -> Iterator[Entry]:
    folders = ENTRIES // (FILES_PER_FOLDER + 1)
    for folder in range(folders):
        name = f"Folder {folder:06d}"
        parent = Ref(system, f"d{folder}")
        yield Entry(ref=parent, parent=None, name=name, path=(name,), kind=EntryKind.FOLDER)
        for file in range(FILES_PER_FOLDER):
            number = folder * FILES_PER_FOLDER + file
            newer = changed and number % CHANGED_EVERY == 0
            file_name = f"A-{number:07d} Level {file} plan.pdf"
            yield Entry(
                ref=Ref(system, f"f{number}", "2" if newer else "1"),
                parent=parent,
                name=file_name,
                path=(name, file_name),
                kind=EntryKind.FILE,
                size_bytes=20_000 + number % 1000 + (1 if newer else 0),
                modified_at=_BASE + timedelta(seconds=number, days=100 if newer else 0),
            )
