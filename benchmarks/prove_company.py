"""Proof over a whole company: 40 projects and 50,000 files in one job, a small budget, and SIGKILLs in between.

    make prove-company FILES=50000 N=6 SEED=1

Downloads do not count as calls here, as at Procore; small pages make listing the scarce thing. Each simulated hour the
job is started until it stops because the hour's calls are used up; some starts are killed at a random moment first.
Then the simulated Procore's window moves on and the leases of the calls end. Checked along the way and at the end:

* no hour has more calls than the limit less what is kept for others, and none is refused (429),
* in every hour the projects that wanted more calls than they got got nearly the same number,
* every start says how far each project is, and its account adds up,
* at the end every file of every visible project is there, once, with its content, in its project's folder, and the
  projects whose documents are off are named.
"""

import argparse
import collections
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.judge import Violation
from benchmarks.workplace import Workplace, kill_group, workplace

JOB = "company"
RESERVE_PERCENT = 20
END_SECONDS_MAX = 1800.0
FILE_BYTES = 300
PAGE = 25


@dataclass
class Hour:
    """What one simulated hour came to."""

    calls: int = 0
    hungry: list[int] = field(default_factory=list)
    """Calls since the beginning of each project that wants more."""
    starts: int = 0
    kills: int = 0
    seconds: float = 0.0

    @property
    def deviation(self) -> int:
        """How much more the best served project got than the worst served one, of those that wanted more."""
        return max(self.hungry) - min(self.hungry) if self.hungry else 0


def main() -> int:
    """Run the proof as the command line says; 0 = no violation."""
    parser = argparse.ArgumentParser(description="One job over a whole company, a small budget, kills in between.")
    parser.add_argument("--projects", type=int, default=40)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--hourly-calls", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="sitehaul-company-"))
    each = arguments.files // arguments.projects
    # Two more: one that the service account is not permitted to, one whose documents are off.
    world = ("--seed", str(arguments.seed), "--files", str(each), "--further-files", str(each), "--projects",
             str(arguments.projects + 2), "--file-bytes", str(FILE_BYTES), "--switch", f"per_page_max={PAGE}",
             "--switch", f"hourly_calls={arguments.hourly_calls}", "--switch", "spike_calls=100000")  # fmt: skip
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended, too
    try:
        with workplace(folder, *world) as place:
            place.connect("--hourly-calls", str(arguments.hourly_calls), "--spike-calls", "100000")
            proof = _Proof(place, arguments.hourly_calls, arguments.kills, arguments.at_once, arguments.seed)
            hours = proof.run()
            arrived = proof.judge_files(each)
    except Violation as violation:
        print(f"VIOLATION: {violation}\nThe evidence is in {folder}")
        return 1
    kills, starts = sum(hour.kills for hour in hours), sum(hour.starts for hour in hours)
    print(
        f"{arguments.projects} projects, {arrived:,} files, {len(hours)} simulated hours of {proof.allowed} calls, "
        f"{kills} kills in {starts} starts, {time.monotonic() - began:.0f} s: complete, within the budget, no 429; the "
        "largest difference between projects that waited for calls was "
        f"{max(hour.deviation for hour in hours)} calls"
    )
    if arguments.folder is None:
        shutil.rmtree(folder)
    return 0


class _Proof:
    def __init__(self, place: Workplace, hourly_calls: int, kills: int, at_once: int, seed: int) -> None:
        self._place = place
        self.allowed = hourly_calls * (100 - RESERVE_PERCENT) // 100
        self._kills = kills
        self._chance = random.Random(seed)
        self._words = (
            "run", JOB, "--source", "office:", "--destination", "archive:Northwind", "--set", "kind=company", "--set",
            "children.template={company}/{project_number} {project_name}", "--set", f"children.at_once={at_once}",
            "--set", f"reserve_percent={RESERVE_PERCENT}", "--json",
        )  # fmt: skip
        self._used: collections.Counter[str] = collections.Counter()
        """Calls for each project since the beginning, by Procore's own log."""
        self._place.simulator.control("DELETE", "/log")  # what connecting asked

    def run(self) -> list[Hour]:
        hours: list[Hour] = []
        while True:
            hour = Hour()
            hours.append(hour)
            began = time.monotonic()
            ending = self._hour(hour)
            hour.seconds = time.monotonic() - began
            self._judge_hour(hour, len(hours), ending)
            if ending["code"] == 0:
                return hours
            self._an_hour_later()

    def _hour(self, hour: Hour) -> dict[str, Any]:
        while True:
            hour.starts += 1
            log = self._place.folder / "run.log"
            output = self._place.folder / "run.json"
            process = self._place.spawn(output, log, *self._words)
            if self._kills and self._chance.random() < 0.6:
                try:
                    process.wait(timeout=self._chance.uniform(4.0, 40.0))
                except subprocess.TimeoutExpired:
                    kill_group(process)
                    self._kills -= 1
                    hour.kills += 1
                    print(f"  killed; {self._standing()}", flush=True)
                    continue
            try:
                code = process.wait(timeout=END_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                raise Violation(f"a start did not end in {END_SECONDS_MAX:.0f} s; see {log}") from None
            if code not in (0, 10):
                raise Violation(f"a start ended with {code}; see {log}")
            ending: dict[str, Any] = json.loads(output.read_text("utf-8").splitlines()[-1])
            if ending["adds_up"] is not True:
                raise Violation(f"the account does not add up: {ending['message']}")
            return ending | {"code": code}

    def _judge_hour(self, hour: Hour, number: int, ending: dict[str, Any]) -> None:
        log = [json.loads(line) for line in self._place.simulator.control("GET", "/log").splitlines() if line.strip()]
        calls = [entry for entry in log if entry["host"] == "api"]
        self._place.simulator.control("DELETE", "/log")
        if any(entry["status"] == 429 for entry in log):
            raise Violation(f"hour {number}: Procore refused calls")
        hour.calls = len(calls)
        if hour.calls > self.allowed:
            raise Violation(f"hour {number}: {hour.calls} calls, {self.allowed} allowed")
        rows = self._rows()
        for entry in calls:
            found = re.search(
                r"projects/(\d+)|(?:project_id|filters%5Bid%5D)=(\d+)", f"{entry['path']}?{entry['query']}"
            )
            if found:
                self._used[found[1] or found[2]] += 1
        hour.hungry = [self._used[row["id"]] for row in rows if not row["settled"]]
        told = collections.Counter(row["state"] for row in rows)
        print(
            f"hour {number}: {hour.calls} calls of {self.allowed} in {hour.starts} starts ({hour.kills} killed), "
            f"{hour.seconds:.0f} s; {dict(told)}; unfinished projects have had "
            f"{min(hour.hungry, default=0)} to {max(hour.hungry, default=0)} calls; {ending['message']}",
            flush=True,
        )

    def _rows(self) -> list[dict[str, Any]]:
        runs = sorted((self._place.home / "state" / JOB / "runs").iterdir())
        rows: list[dict[str, Any]] = json.loads((runs[-1] / "children.json").read_text("utf-8"))["children"]
        return rows

    def _standing(self) -> str:
        try:
            return str(dict(collections.Counter(row["state"] for row in self._rows())))
        except (OSError, ValueError, IndexError):
            return "before the children were listed"

    def _an_hour_later(self) -> None:
        """Procore's window and that of our own limits move by an hour."""
        self._place.simulator.control("POST", "/clock", {"advance_seconds": 3601})
        self._place.run("down")
        server = self._place.home / "server"
        shutil.rmtree(server / "concurrency_leases", ignore_errors=True)
        with sqlite3.connect(server / "prefect.db") as database:
            database.execute("UPDATE concurrency_limit_v2 SET active_slots = 0")

    def judge_files(self, each: int) -> int:
        """Every file of every visible project, by the simulator's truth. Raises Violation."""
        rows = {row["id"]: row for row in self._rows()}
        arrived = 0
        for project in self._place.simulator.facts["projects"]:
            row = rows.get(str(project["id"]))
            if not project["permitted"]:
                if row is not None:
                    raise Violation(f"{project['name']} is no project of this account")
                continue
            if not project["documents_on"]:
                if row is None or row["code"] != "documents-off":
                    raise Violation(f"{project['name']} is not named although its documents are off")
                continue
            if row is None:
                raise Violation(f"{project['name']} is missing")
            folder = self._place.destination.joinpath("Northwind", *row["destination"])
            truth = collections.Counter(
                one["sha256"]
                for one in self._place.simulator.truth(project["id"])
                if one["kind"] == "file" and one["current"] and not (one["deleted"] or one["private"])
            )
            found = collections.Counter(
                hashlib.sha256(Path(parent, name).read_bytes()).hexdigest()
                for parent, _, names in os.walk(folder)
                for name in names
            )
            if found != truth or found.total() != each:
                raise Violation(f"{project['name']}: {found.total()} files in {folder}, {truth.total()} at the source")
            arrived += found.total()
        return arrived


if __name__ == "__main__":
    sys.exit(main())
