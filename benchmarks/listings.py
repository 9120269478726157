"""Listing large projects, and running again when nothing changed: calls, entries per second, memory."""

import json
import shutil
import sys
from pathlib import Path

from benchmarks.measure import measured
from benchmarks.table import Table
from benchmarks.transfers import phase_seconds
from benchmarks.workplace import workplace


def analysis(folder: Path, *, documents: int) -> Table:
    """List a project of so many documents with `sitehaul analyze`."""
    with workplace(folder, "--files", str(documents), "--file-bytes", "1000") as place:
        place.connect()
        project = place.simulator.project["id"]
        place.simulator.control("DELETE", "/log")
        words = ("analyze", "listing", "--source", f"office:{project}", "--destination", "archive:listing", "--json")
        whole = measured(place.command(*words), place.environment())
        summary = json.loads(whole.stdout)
        run = Path(summary["folder"])
        header = json.loads((run / "source" / "inventory" / "_header.json").read_text("utf-8"))
        alone = measured(
            [sys.executable, "-m", "benchmarks.list_alone", str(place.simulator.folder), str(folder / "alone")]
        )
        facts = json.loads(alone.stdout)
    table = Table(f"Analysis of {header['entries']:,} documents")
    table.row("API calls", f"{header['calls']:,}")
    table.row("whole command", f"{whole.seconds:.1f} s, peak {whole.peak_bytes / 2**20:,.0f} MiB (Prefect included)")
    table.row("listing outside waiting for Procore", f"{facts['entries'] / facts['own_seconds']:,.0f} entries/s")
    table.row("connector and inventory alone, peak memory", f"{alone.peak_bytes / 2**20:,.0f} MiB")
    shutil.rmtree(folder)
    return table


def nothing_changed(folder: Path, *, files: int = 10_000) -> Table:
    """Copy 10,000 files, then run again; and Prefect's share of the first run."""
    with workplace(folder, "--files", str(files), "--file-bytes", "20000", "--latency-ms", "30") as place:
        place.connect()
        project = place.simulator.project["id"]
        words = ("run", "again", "--source", f"office:{project}", "--destination", "archive:again", "--json")
        first = measured(place.command(*words), place.environment())
        second = measured(place.command(*words), place.environment())
    one, two = json.loads(first.stdout), json.loads(second.stdout)
    phases = json.loads((Path(one["folder"]) / "run.json").read_text("utf-8"))["phases"]
    table = Table(f"{files:,} files, 30 ms latency, run twice")
    table.row("first run", f"{first.seconds:.1f} s, {one['calls']:,} calls")
    table.row("its transfer", f"{files / phase_seconds(phases, 'transfer'):,.0f} files/s")
    table.row("calls per 1,000 files beyond the analysis", f"{(one['calls'] - two['calls']) * 1000 / files:.2f}")
    table.row("second run, nothing changed", f"{second.seconds:.1f} s, {two['calls']:,} calls")
    return table
