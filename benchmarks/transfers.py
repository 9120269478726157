"""Copying from the simulated Procore into a local folder, beside rclone on the same bodies from the same machine.

rclone reads the simulator's peer host, a plain file server of the same bodies with the same latency, through its `http`
backend. Both sides get the bytes with one answer per file (the simulator's switch `direct_bytes`), so that neither pays
for a redirect the other does not have; what Procore's redirect costs is measured on its own.
"""

import json
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured, measured
from benchmarks.table import Table
from benchmarks.workplace import Workplace, workplace

RCLONE = str(Path(sys.executable).parent / "rclone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What one `sitehaul run` took: the whole command, and its transfer and verify phases by its own record."""

    whole: Measured
    summary: dict[str, Any]
    transfer_seconds: float
    verify_seconds: float


def small_files(folder: Path, *, latency_ms: float, redirects: bool = False, files: int = 2000) -> Table:
    """2,000 files of 20 KB."""
    options = simulator_options(files=files, file_bytes=20_000, latency_ms=latency_ms, direct=not redirects)
    with workplace(folder, *options) as place:
        place.connect()
        ours = run_job(place, "small")
        theirs = rclone_copy(place, folder / "rclone")
        more_checkers = rclone_copy(place, folder / "rclone-checkers", "--checkers", "32")
    table = Table(
        f"{files:,} files of 20 KB, {latency_ms:g} ms latency{', with redirects' if redirects else ''}, 32 in flight"
    )
    ours_rate, their_rate = files / ours.transfer_seconds, files / theirs.seconds
    table.row(
        "SiteHaul, transfer (SHA-256, durable outcomes)", f"{ours_rate:,.0f} files/s", ratio=ours_rate / their_rate
    )
    table.row("rclone copy --transfers 32", f"{their_rate:,.0f} files/s", ratio=1.0)
    table.row("rclone copy --transfers 32 --checkers 32", f"{files / more_checkers.seconds:,.0f} files/s")
    table.row("SiteHaul, whole command", f"{ours.whole.seconds:.1f} s, peak {ours.whole.peak_bytes / 2**20:,.0f} MiB")
    table.row("rclone, whole command", f"{theirs.seconds:.1f} s, peak {theirs.peak_bytes / 2**20:,.0f} MiB")
    return table


def large_files(folder: Path, *, latency_ms: float, files: int = 5, file_bytes: int = 200_000_000) -> Table:
    """5 files of 200 MB, with the evidence that both sides can give: a SHA-256 of what is stored."""
    with workplace(
        folder, *simulator_options(files=files, file_bytes=file_bytes, latency_ms=latency_ms, direct=True)
    ) as place:
        place.connect()
        ours = run_job(place, "large")
        copied = folder / "rclone"
        theirs = rclone_copy(place, copied)
        hashed = measured([RCLONE, "hashsum", "sha256", str(copied), "--config", "", "--checkers", "2"])
    total = files * file_bytes / 1e6
    our_rate, twice_rate = total / ours.transfer_seconds, total / (ours.transfer_seconds + ours.verify_seconds)
    their_rate = total / (theirs.seconds + hashed.seconds)
    table = Table(f"{files} files of {file_bytes / 1e6:,.0f} MB, {latency_ms:g} ms latency")
    table.row("SiteHaul, transfer (SHA-256 while it is read)", f"{our_rate:,.0f} MB/s", ratio=our_rate / their_rate)
    table.row("rclone copy, then rclone hashsum sha256", f"{their_rate:,.0f} MB/s", ratio=1.0)
    table.row(
        "SiteHaul, transfer, then verify (hashed again)", f"{twice_rate:,.0f} MB/s", ratio=twice_rate / their_rate
    )
    table.row("rclone copy alone (nothing hashed)", f"{total / theirs.seconds:,.0f} MB/s")
    table.row("SiteHaul, peak memory of the whole command", f"{ours.whole.peak_bytes / 2**20:,.0f} MiB")
    return table


def ranges(folder: Path, *, file_bytes: int = 200_000_000, bytes_per_second: int = 20_000_000) -> Table:
    """One file from a source that gives each connection 20 MB/s: one stream against parallel ranges."""
    options = simulator_options(files=1, file_bytes=file_bytes, latency_ms=30, direct=True)
    with workplace(folder, *options, "--switch", f"bytes_per_second={bytes_per_second}") as place:
        place.connect()
        one = run_job(place, "one-stream", "--set", "performance.range_connections=1")
        many = run_job(place, "ranges", "--set", "performance.range_connections=8")
    table = Table("One file of 200 MB, the source gives each connection 20 MB/s")
    table.row("one stream", f"{one.transfer_seconds:.1f} s", ratio=1.0)
    table.row("8 connections", f"{many.transfer_seconds:.1f} s", ratio=one.transfer_seconds / many.transfer_seconds)
    return table


def one_huge_file(folder: Path, *, file_bytes: int = 5 * 2**30) -> Table:
    """A 5 GiB file: what it takes in memory."""
    with workplace(folder, *simulator_options(files=1, file_bytes=file_bytes, latency_ms=0, direct=False)) as place:
        place.connect()
        ours = run_job(place, "huge")
    table = Table("One file of 5 GiB")
    table.row("transfer", f"{file_bytes / 1e6 / ours.transfer_seconds:,.0f} MB/s")
    table.row("peak memory of the whole command", f"{ours.whole.peak_bytes / 2**20:,.0f} MiB")
    return table


def run_job(place: Workplace, job: str, *options: str) -> Ours:
    """Copy the sample project into a folder of the job's name."""
    words = (
        "run",
        job,
        "--source",
        f"office:{place.simulator.project['id']}",
        "--destination",
        f"archive:{job}",
        "--json",
    )
    whole = measured(place.command(*words, *options), place.environment())
    summary = json.loads(whole.stdout)
    phases = json.loads((Path(summary["folder"]) / "run.json").read_text("utf-8"))["phases"]
    return Ours(
        whole=whole,
        summary=summary,
        transfer_seconds=phase_seconds(phases, "transfer"),
        verify_seconds=phase_seconds(phases, "verify"),
    )


def phase_seconds(phases: dict[str, Any], phase: str) -> float:
    """How long a phase of run.json took."""
    times = phases[phase]
    return (datetime.fromisoformat(times["finished_at"]) - datetime.fromisoformat(times["reached_at"])).total_seconds()


def rclone_copy(place: Workplace, destination: Path, *options: str) -> Measured:
    """Copy the same bodies with rclone; its listing is part of the time, as it is of its work."""
    url = f"{place.simulator.facts['peer_url']}/{place.simulator.project['id']}/"
    return measured([
        RCLONE, "copy", ":http:", str(destination), "--http-url", url, "--config", "", "--transfers", "32",
        "--retries", "1", *options,
    ])  # fmt: skip


def simulator_options(*, files: int, file_bytes: int, latency_ms: float, direct: bool) -> list[str]:
    """The simulator's command line for a project of such files."""
    words = ["--files", str(files), "--file-bytes", str(file_bytes), "--latency-ms", str(latency_ms)]
    return [*words, "--switch", f"direct_bytes={str(direct).lower()}"]
