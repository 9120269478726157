"""Copying from the simulated Procore into real servers, beside rclone into the same server, and listing what is there.

As in benchmarks/transfers.py rclone reads the simulator's peer host through its `http` backend: the same bodies, the
same latency, one answer per file. Each side writes into a folder (a prefix) of its own. What rclone needs for its own
listing is part of its time; SiteHaul's figure is its transfer phase by its own record, with SHA-256 of every file and
durable outcomes, and its whole command is given besides.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import Measured, measured
from benchmarks.store_kinds import STORES
from benchmarks.stores import NAME, RCLONE, Store
from benchmarks.table import Table
from benchmarks.transfers import Ours, run_job, simulator_options
from benchmarks.workplace import Workplace, workplace

KINDS = {"smb": "smb", "sftp": "sftp", "webdav": "webdav-apache", "s3": "s3", "azure": "azure", "gcs": "gcs"}
"""What is measured, and on which server. WsgiDAV and rclone's WebDAV would be measured instead of their clients."""
LATENCY_MS = 30
_MIB = 2**20


def small_files(folder: Path, kind: str, *, files: int = 2000) -> Table:
    """2,000 files of 20 KB."""
    with STORES[kind](folder / "server") as store, _place(folder, store, files, 20_000) as place:
        ours = run_job(place, "small")
        theirs = _rclone_copy(place, store, "rclone")
        checkers = _rclone_copy(place, store, "rclone-checkers", "--checkers", "32")
    table = Table(f"Procore to {kind}: {files:,} files of 20 KB, {LATENCY_MS} ms latency of Procore, load {_load()}")
    our_rate, their_rate = files / ours.transfer_seconds, files / theirs.seconds
    table.row("SiteHaul, transfer (SHA-256, durable outcomes)", f"{our_rate:,.0f} files/s", ratio=our_rate / their_rate)
    table.row("rclone copy --transfers 32", f"{their_rate:,.0f} files/s", ratio=1.0)
    table.row("rclone copy --transfers 32 --checkers 32", f"{files / checkers.seconds:,.0f} files/s")
    _whole(table, ours, theirs)
    return table


def large_files(folder: Path, kind: str, *, files: int = 5, file_bytes: int = 200_000_000) -> Table:
    """5 files of 200 MB."""
    with STORES[kind](folder / "server") as store, _place(folder, store, files, file_bytes) as place:
        ours = run_job(place, "large")
        theirs = _rclone_copy(place, store, "rclone")
    total = files * file_bytes / 1e6
    our_rate, their_rate = total / ours.transfer_seconds, total / theirs.seconds
    table = Table(f"Procore to {kind}: {files} files of {file_bytes / 1e6:,.0f} MB, {LATENCY_MS} ms, load {_load()}")
    table.row("SiteHaul, transfer (SHA-256, durable outcomes)", f"{our_rate:,.0f} MB/s", ratio=our_rate / their_rate)
    table.row("rclone copy --transfers 32 (nothing hashed)", f"{their_rate:,.0f} MB/s", ratio=1.0)
    _whole(table, ours, theirs)
    return table


def huge_file(folder: Path, kind: str, *, file_bytes: int = 5 * 2**30) -> Table:
    """One file of 5 GiB: what it takes in memory."""
    with STORES[kind](folder / "server") as store, _place(folder, store, 1, file_bytes) as place:
        ours = run_job(place, "huge")
    table = Table(f"Procore to {kind}: one file of {file_bytes / 2**30:g} GiB, load {_load()}")
    table.row("transfer", f"{file_bytes / 1e6 / ours.transfer_seconds:,.0f} MB/s")
    table.row("peak memory of the whole command", f"{ours.whole.peak_bytes / _MIB:,.0f} MiB")
    return table


def listing(folder: Path, kind: str, *, entries: int = 10_000) -> Table:
    """List 10,000 files in 100 folders with their times, as an analysis does and as rclone does."""
    local = folder / "local"
    for number in range(entries):
        file = local / f"folder {number % 100:02d}" / f"file {number:05d}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    with STORES[kind](folder / "server") as store:
        _rclone(store, "copy", str(local), f"{NAME}:{store.rclone_root}listed", "--transfers", "32")
        place = f"{NAME}:{store.rclone_root}listed"
        with_times = _rclone(store, "lsjson", "-R", "--files-only", "--no-mimetype", place)
        names = _rclone(store, "lsf", "-R", "--files-only", place)
        settings = folder / "settings.json"
        settings.write_text(json.dumps(store.settings))
        ours = measured([sys.executable, "-m", "benchmarks.alone", "walk", str(settings), str(folder / "walked")])
    facts = json.loads(ours.stdout)
    table = Table(f"Listing {facts['entries']:,} entries of {kind} in 100 folders, load {_load()}")
    ratio = (entries / facts["seconds"]) / (entries / with_times.seconds)
    table.row("SiteHaul, inventory (Parquet) with times", f"{entries / facts['seconds']:,.0f} files/s", ratio=ratio)
    table.row("rclone lsjson -R (with times), whole command", f"{entries / with_times.seconds:,.0f} files/s", ratio=1.0)
    table.row("rclone lsf -R (names only), whole command", f"{entries / names.seconds:,.0f} files/s")
    return table


def measurements() -> dict[str, Callable[[Path], Table]]:
    """Every measurement by name: `to-smb-small`, `to-smb-large`, `to-smb-list`, `to-smb-huge` …"""
    tables: dict[str, Callable[..., Table]] = {
        "small": small_files,
        "large": large_files,
        "list": listing,
        "huge": huge_file,
    }
    return {
        f"to-{name}-{what}": partial(table, kind=kind) for name, kind in KINDS.items() for what, table in tables.items()
    }


@contextlib.contextmanager
def _place(folder: Path, store: Store, files: int, file_bytes: int) -> Iterator[Workplace]:
    options = simulator_options(files=files, file_bytes=file_bytes, latency_ms=LATENCY_MS, direct=True)
    with workplace(folder / "place", *options) as place:
        place.run("connect", "procore", "office", "--simulator", str(place.simulator.folder))
        place.run("connect", store.kind, "archive", *store.options.words)
        yield place


def _whole(table: Table, ours: Ours, theirs: Measured) -> None:
    for who, whole in (("SiteHaul", ours.whole), ("rclone", theirs)):
        took = f"{whole.seconds:.1f} s, {whole.cpu_seconds:.1f} s of processor, peak {whole.peak_bytes / _MIB:,.0f} MiB"
        table.row(f"{who}, whole command", took)


def _rclone_copy(place: Workplace, store: Store, folder: str, *options: str) -> Measured:
    url = f"{place.simulator.facts['peer_url']}/{place.simulator.project['id']}/"
    where = f"{NAME}:{store.rclone_root}{folder}"
    return _rclone(store, "copy", ":http:", where, "--http-url", url, "--transfers", "32", *options)


def _rclone(store: Store, *words: str) -> Measured:
    # Without its option rclone makes at most a hundred WebDAV calls a second.
    unhurried = {"RCLONE_WEBDAV_PACER_MIN_SLEEP": "0"}
    return measured([RCLONE, "--config", "", "--retries", "1", *words], {**os.environ, **store.rclone, **unhurried})


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"
