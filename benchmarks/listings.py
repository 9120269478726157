"""Listing large projects, and running again when nothing changed: calls, entries per second, memory."""

import json
import sys
from pathlib import Path

from benchmarks.measure import Measured, measured
from benchmarks.table import Table
from benchmarks.transfers import phase_seconds
from benchmarks.workplace import Workplace, workplace


def analysis(folder: Path, *, documents: int) -> Table:
    """List a project of so many documents: calls, speed and memory of connector and inventory."""
    with workplace(folder, "--files", str(documents), "--file-bytes", "1000") as place:
        listed = alone("list", place, folder / "alone")
    facts = json.loads(listed.stdout)
    table = Table(f"Analysis of {facts['entries']:,} documents")
    table.row("API calls", f"{facts['calls']:,}")
    table.row("outside waiting for Procore", f"{facts['entries'] / facts['own_seconds']:,.0f} entries/s")
    table.row("in all, the simulator's own work included", f"{facts['seconds']:.1f} s")
    table.row("peak memory", f"{listed.peak_bytes / 2**20:,.0f} MiB")
    return table


def alone(what: str, place: Workplace, folder: Path) -> Measured:
    """A part of the product without Prefect, see benchmarks/alone.py."""
    return measured([sys.executable, "-m", "benchmarks.alone", what, str(place.simulator.folder), str(folder)])


def nothing_changed(folder: Path, *, files: int = 10_000) -> Table:
    """Copy 10,000 files, then run again; and Prefect's share of the first run."""
    with workplace(folder, "--files", str(files), "--file-bytes", "20000", "--latency-ms", "30") as place:
        place.connect()
        project = place.simulator.project["id"]
        words = ("run", "again", "--source", f"office:{project}", "--destination", "archive:again", "--json")
        first = measured(place.command(*words), place.environment())
        second = measured(place.command(*words), place.environment())
        engine = json.loads(alone("copy", place, folder / "alone").stdout)
    one, two = json.loads(first.stdout), json.loads(second.stdout)
    phases = json.loads((Path(one["folder"]) / "run.json").read_text("utf-8"))["phases"]
    table = Table(f"{files:,} files, 30 ms latency, run twice")
    table.row("first run", f"{first.seconds:.1f} s, {one['calls']:,} calls")
    table.row("its transfer", f"{files / phase_seconds(phases, 'transfer'):,.0f} files/s")
    table.row("the same transfer by the engine alone", f"{files / engine['seconds']:,.0f} files/s")
    transfer_seconds = phase_seconds(phases, "transfer")
    share = (transfer_seconds - engine["seconds"]) / first.seconds
    table.row("Prefect's share of the first run (difference of the two)", f"{share:.1%}")
    table.row("calls per 1,000 files beyond the analysis", f"{(one['calls'] - two['calls']) * 1000 / files:.2f}")
    table.row("second run, nothing changed", f"{second.seconds:.1f} s, {two['calls']:,} calls")
    return table
