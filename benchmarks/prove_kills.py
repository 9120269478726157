"""Proof by killing: random SIGKILLs of the run, the Prefect server or the simulator, each followed by a resume.

    make prove-kills N=200 SEED=1

A round copies the sample project into an empty folder under a new job. The run is started, killed at a random moment
and started again, until it ends by itself. After every kill and at every end the destination is compared with the
simulator's ground truth by reading the files themselves (nothing of SiteHaul's code is used to judge):

* every file under a final name is complete and right (its SHA-256 is one the project holds),
* nothing the ledger calls succeeded is missing or different,
* no file is there twice, and at the end none is missing and no staged name is left.

The first violation ends the proof with exit code 1 and says where the evidence is kept.
"""

import argparse
import collections
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.workplace import Workplace, kill_group, workplace

ENDS_BY_ITSELF = (0, 11)
"""Exit codes of a finished run: done, or done with files that need a person."""
RETRY_LATER = (5, 10)
"""Stopped by an error that a dead server or simulator explains, or with files pending: run again."""
VICTIMS = ("run", "run", "run", "server", "simulator")


@dataclass
class Tally:
    """What has been done so far."""

    kills: collections.Counter[str]
    rounds: int = 0
    starts: int = 0


class Violation(Exception):
    """A guarantee was broken."""


def main() -> int:
    """Run the proof as the command line says; 0 = no violation in all kills."""
    parser = argparse.ArgumentParser(description="Kill runs at random moments and prove that nothing is lost.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the evidence goes (default: a new temporary one)"
    )
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="sitehaul-kills-"))
    started = time.monotonic()
    try:
        tally = prove(folder, kills=arguments.kills, seed=arguments.seed, files=arguments.files)
    except Violation as violation:
        print(f"VIOLATION: {violation}\nThe evidence is in {folder}")
        return 1
    print(
        f"{sum(tally.kills.values())} kills ({dict(tally.kills)}) in {tally.rounds} finished rounds "
        f"and {tally.starts} starts, "
        f"{time.monotonic() - started:.0f} s: nothing lost, nothing twice, nothing falsely done (seed {arguments.seed})"
    )
    shutil.rmtree(folder)
    return 0


def prove(folder: Path, *, kills: int, seed: int, files: int) -> Tally:
    """Kill until `kills` kills are made and the round they belong to is finished. Raises Violation."""
    chance = random.Random(seed)
    tally = Tally(collections.Counter())
    options = ("--seed", str(seed), "--files", str(files), "--max-file-bytes", "400000", "--latency-ms", "10")
    with workplace(folder, *options) as place:
        place.connect()
        truth = current_files(place)
        duration_seconds = 20.0
        while sum(tally.kills.values()) < kills:
            duration_seconds = one_round(place, truth, tally, chance, kills, duration_seconds)
    return tally


def one_round(
    place: Workplace,
    truth: list[dict[str, Any]],
    tally: Tally,
    chance: random.Random,
    kills: int,
    expected_seconds: float,
) -> float:
    """Copy the project once, killed along the way; returns how long the last start needed to end by itself."""
    job = f"round{tally.rounds:04d}"
    destination = place.destination / job
    words = (
        "run", job, "--source", f"office:{place.simulator.project['id']}", "--destination", f"archive:{job}", "--json"
    )  # fmt: skip
    log = place.folder / f"{job}.log"
    attempts_without_kill = 0
    while True:
        tally.starts += 1
        began = time.monotonic()
        process = place.spawn(log, *words)
        victim = chance.choice(VICTIMS) if sum(tally.kills.values()) < kills else None
        moment = chance.uniform(0.0, expected_seconds * 1.1) if victim else 600.0
        try:
            code = process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            if victim is None:
                kill_group(process)
                raise Violation(f"{job}: a run without a kill did not end within 600 s; see {log}") from None
            kill_victim(place, victim, process)
            tally.kills[victim] += 1
            code = process.wait(timeout=300)
        check_so_far(place, job, destination, truth)
        if code in ENDS_BY_ITSELF:
            check_finished(place, job, destination, truth)
            tally.rounds += 1
            print(f"{job}: finished, {sum(tally.kills.values())} kills so far", flush=True)
            shutil.rmtree(destination)
            return time.monotonic() - began
        attempts_without_kill = attempts_without_kill + 1 if victim is None else 0
        if attempts_without_kill > 5 or (code not in RETRY_LATER and code != -signal.SIGKILL):
            raise Violation(f"{job}: the run ended with {code}; see {log}")


def kill_victim(place: Workplace, victim: str, process: subprocess.Popen[bytes]) -> None:
    """SIGKILL the run, the Prefect server or the simulator; a killed simulator is started again at once."""
    if victim == "run":
        kill_group(process)
    elif victim == "simulator":
        place.simulator.kill()
        place.simulator.start()
    else:
        server = json.loads((place.home / "server" / "server.json").read_text("utf-8"))
        os.kill(int(server["pid"]), signal.SIGKILL)


def current_files(place: Workplace) -> list[dict[str, Any]]:
    """The ground truth: current versions of files that are not deleted and not private."""
    rows = place.simulator.truth(place.simulator.project["id"])
    return [
        row for row in rows if row["kind"] == "file" and row["current"] and not row["deleted"] and not row["private"]
    ]


def check_so_far(place: Workplace, job: str, destination: Path, truth: list[dict[str, Any]]) -> None:
    """What must hold at any moment, also right after a kill."""
    right = {row["sha256"] for row in truth}
    for path in final_files(destination):
        if sha256_of(path) not in right:
            raise Violation(f"{job}: {path} is under its final name but is not what any source file holds")
    for path_text, sha256 in succeeded_in_ledger(place, job):
        path = destination / path_text
        if not path.is_file() or sha256_of(path) != sha256:
            raise Violation(f"{job}: the ledger calls {path_text!r} succeeded, but the file says otherwise")


def check_finished(place: Workplace, job: str, destination: Path, truth: list[dict[str, Any]]) -> None:
    """What must hold when a run ended by itself."""
    expected = collections.Counter(row["sha256"] for row in truth)
    found = collections.Counter(sha256_of(path) for path in final_files(destination))
    if missing := expected - found:
        raise Violation(f"{job}: {missing.total()} files are missing at the end")
    if extra := found - expected:
        raise Violation(f"{job}: {extra.total()} files are there twice or are not the source's")
    if left := [path for path in all_files(destination) if is_staged(path)]:
        raise Violation(f"{job}: staged names were left behind: {left[:3]}")
    _ = place


def succeeded_in_ledger(place: Workplace, job: str) -> list[tuple[str, str]]:
    """(path below the destination root, sha256) of each copy the ledger calls done, read with SQLite's own library."""
    ledger = place.home / "state" / job / "ledger.sqlite"
    plans = sorted((place.home / "state" / job / "runs").glob("*/plan.parquet")) if ledger.is_file() else []
    if not plans:
        return []
    import pyarrow.parquet

    plan = pyarrow.parquet.read_table(plans[-1], columns=["action_id", "destination_path"]).to_pylist()
    paths = {row["action_id"]: os.path.join(*row["destination_path"]) for row in plan if row["destination_path"]}
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as database:
        rows = database.execute(
            "SELECT action_id, sha256 FROM outcomes WHERE word IN ('succeeded', 'revised') AND sha256 IS NOT NULL"
        ).fetchall()
    return [(paths[action_id], sha256) for action_id, sha256 in rows if action_id in paths]


def all_files(folder: Path) -> list[Path]:
    """Every file below a folder; none if it does not exist."""
    return [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]


def final_files(folder: Path) -> list[Path]:
    """Every file below a folder that a user would take for a copied one."""
    return [path for path in all_files(folder) if not is_staged(path)]


def is_staged(path: Path) -> bool:
    """Whether this is a staged name of the filesystem connector."""
    return path.name.startswith(".sitehaul-") and path.name.endswith(".part")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
