"""Proof by killing: random SIGKILLs of the run, the Prefect server, the simulator or all, each followed by a resume.

    make prove-kills N=200 SEED=1

A round copies the sample project into an empty folder under a new job; then people edit the project, and the same job
brings the copy up to date. The run is started, something is killed at a moment drawn from all phases, and the run is
started again, until it ends by itself. After every kill and at every end the destination and the ledger are compared
with the simulator's ground truth (benchmarks/judge.py, which uses nothing of SiteHaul's code):

* every file under a final name is complete and right, and where the plan put it; no plan puts two files on one name,
* nothing the ledger calls arrived is missing or different, and no action has two final outcomes,
* a file that is there is not downloaded again, a finished analysis costs no second listing, only GETs reach Procore,
* no start is locked out, none hangs, and none fails for another reason than what was killed under it,
* at the end every file is there once with content, time and folder; no staged name is left; the account adds up,
* the hourly limit counts what its leases hold, however often the server died, and no fewer calls than Procore saw.

The first violation ends the proof with exit code 1 and says where the evidence is kept.
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.judge import JobFiles, Truth, Violation, judge_budget, judge_end, judge_moment, sha256_of
from benchmarks.moments import Watched, draw
from benchmarks.workplace import Workplace, kill_group, workplace

DONE = 0
_KILLED, _STOPPED, _PENDING = -signal.SIGKILL, 5, 10
EXCUSED = {"run": (_KILLED,), "machine": (_KILLED,), "server": (_STOPPED, _PENDING), "simulator": (_STOPPED, _PENDING)}
"""How a start may end, besides done, when this was killed under it: by the signal, stopped by an error, or with files
pending."""
VICTIMS = ("run",) * 6 + ("server",) * 2 + ("simulator",) * 2 + ("machine",)
END_SECONDS_MAX = 120.0
CALLS_AFTER_ANALYSIS_MAX = 3
"""What a start may ask of Procore's API when its run's analysis is finished and everything is where it was."""
SIMULATOR = ("--max-file-bytes", "400000", "--latency-ms", "10", "--switch", "per_page_max=40",
             "--switch", "hourly_calls=100000", "--switch", "spike_calls=1000",
             "--switch", "bytes_per_second=20000000")  # fmt: skip
"""Small pages, so that an analysis has many moments; an allowance that 200 killed runs do not use up; streams so slow
that a large file is read over several connections."""
LARGE_BYTES = 48_000_000
ADDED = "Added later"


@dataclass
class Tally:
    """What has been done so far."""

    kills: collections.Counter[str] = field(default_factory=collections.Counter)
    phases: collections.Counter[str] = field(default_factory=collections.Counter)
    ends: collections.Counter[int] = field(default_factory=collections.Counter)
    rounds: int = 0
    starts: int = 0
    calls_seen: int = 0
    longest_seconds: float = 0.0
    """The longest that a run went on after the server or the simulator was killed under it."""

    @property
    def killed(self) -> int:
        return self.kills.total()

    def __str__(self) -> str:
        kills = ", ".join(f"{victim} {count}" for victim, count in sorted(self.kills.items()))
        phases = ", ".join(f"{phase} {count}" for phase, count in sorted(self.phases.items()))
        return f"{self.killed} kills ({kills}; in {phases}) in {self.starts} starts"


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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended, too
    started = time.monotonic()
    try:
        tally = prove(folder, kills=arguments.kills, seed=arguments.seed, files=arguments.files)
    except Violation as violation:
        print(f"VIOLATION: {violation}\nThe evidence is in {folder}")
        return 1
    print(
        f"{tally} and {tally.rounds} finished rounds, {time.monotonic() - started:.0f} s, the longest after a kill "
        f"{tally.longest_seconds:.0f} s: nothing lost, nothing twice, nothing falsely done (seed {arguments.seed})"
    )
    if arguments.folder is None:
        shutil.rmtree(folder)
    return 0


def prove(folder: Path, *, kills: int, seed: int, files: int, victims: Sequence[str] | None = None) -> Tally:
    """Kill until `kills` kills are made and the round they belong to is finished. Raises Violation.

    `victims` are killed in turn; by default each is drawn.
    """
    tally = Tally()
    with workplace(folder, "--seed", str(seed), "--files", str(files), *SIMULATOR) as place:
        place.connect("--hourly-calls", "100000", "--spike-calls", "1000")
        proof = _Proof(place, random.Random(seed), tally, kills, victims)
        while tally.killed < kills:
            proof.round()
    return tally


class _Proof:
    """The rounds of one proof."""

    def __init__(
        self, place: Workplace, chance: random.Random, tally: Tally, kills: int, victims: Sequence[str] | None
    ) -> None:
        self._place = place
        self._chance = chance
        self._tally = tally
        self._kills = kills
        self._victims = victims
        self._began = time.monotonic()
        self._truth = self._true_now()

    def round(self) -> None:
        """Copy the project once and bring the copy up to date once, killed along the way."""
        number = self._tally.rounds
        name = f"round{number:04d}"
        job = JobFiles(self._place.home / "state" / name, self._place.destination / name)
        self._until_done(job)
        self._edit(number)
        self._until_done(job)
        shutil.rmtree(job.destination)
        self._place.simulator.edit(op="delete", project_id=self._place.simulator.project["id"], path=[ADDED])
        self._truth = self._true_now()
        self._tally.rounds += 1

    def _until_done(self, job: JobFiles) -> None:
        while True:
            start = _Start(self._place, job, self._truth)
            code = self._one_start(job, start, self._next_victim())
            judge_moment(job, self._truth)
            self._tally.calls_seen += start.judge_traffic()
            if code == DONE:
                judge_end(job, self._truth, start.said())
                if time.monotonic() - self._began < 3300:
                    judge_budget(self._place.home / "server", self._tally.calls_seen)
                print(f"{job.name}: done; {self._tally}", flush=True)
                return

    def _next_victim(self) -> str | None:
        if self._tally.killed >= self._kills:
            return None
        return self._victims[self._tally.killed % len(self._victims)] if self._victims else self._chance.choice(VICTIMS)

    def _one_start(self, job: JobFiles, start: "_Start", victim: str | None) -> int:
        """Start once, kill the victim, wait for the end; the exit code. Raises Violation for one nothing explains."""
        self._tally.starts += 1
        moment = draw(self._chance, victim or "", job.latest_record(), start.rows_left())
        process = start.spawn()
        watched = Watched(job, process)
        excused: tuple[int, ...] = ()
        killed_at = None
        phase = ""
        if victim and watched.comes(moment):
            phase = watched.phase()
            if kill_victim(self._place, victim, process):
                killed_at = time.monotonic()
                excused = EXCUSED[victim]
                self._tally.kills[victim] += 1
                self._tally.phases[phase] += 1
        code = self._end_of(process, start, f"after its {victim} was killed in {phase}" if killed_at else "not killed")
        seconds = time.monotonic() - killed_at if killed_at else 0.0
        self._tally.longest_seconds = max(self._tally.longest_seconds, seconds)
        self._tally.ends[code] += 1
        told = f"{victim} killed in {phase}, {seconds:.1f} s later" if killed_at else "not killed,"
        print(f"  {self._tally.killed:4d} {job.name}: {told} ended with {code}", flush=True)
        if code not in (DONE, *excused):
            raise Violation(f"{job.name}: a start ended with {code}, and nothing explains it; see {start.log}")
        return code

    def _end_of(self, process: "subprocess.Popen[bytes]", start: "_Start", how: str) -> int:
        try:
            return process.wait(timeout=END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise Violation(f"a run, {how}, did not end in {END_SECONDS_MAX:.0f} s; see {start.log}") from None

    def _edit(self, number: int) -> None:
        """People work on the project: every fourth file gets a new version, and some files are added, one is large."""
        project_id = self._place.simulator.project["id"]
        files = sorted(self._truth.files)
        for file_id in self._chance.sample(files, len(files) // 4):
            self._place.simulator.edit(
                op="add_version", project_id=project_id, id=int(file_id), body=f"edit-{number}-{file_id}",
                size_bytes=self._chance.randint(0, 300_000),
            )  # fmt: skip
        for added, size_bytes in enumerate([LARGE_BYTES, 0, 1, 4_096, 300_000]):
            path = [ADDED, f"round {number}", f"file {added}.pdf"]
            self._place.simulator.edit(
                op="add_file", project_id=project_id, path=path, body=f"added-{number}-{added}", size_bytes=size_bytes
            )
        self._truth = self._true_now()

    def _true_now(self) -> Truth:
        return Truth.of(self._place.simulator.truth(self._place.simulator.project["id"]))


class _Start:
    """One start of a job's run: what was there before it, and what it asked of Procore."""

    def __init__(self, place: Workplace, job: JobFiles, truth: Truth) -> None:
        self._place = place
        self._job = job
        self._truth = truth
        self._record = job.latest_record()
        self._there = self._versions_there()
        self.log = place.folder / f"{job.name}.log"
        self._output = place.folder / "output.json"
        place.simulator.control("DELETE", "/log")

    def spawn(self) -> "subprocess.Popen[bytes]":
        """The `sitehaul run` of the job."""
        project_id = self._place.simulator.project["id"]
        ends = ("--source", f"office:{project_id}", "--destination", f"archive:{self._job.name}")
        return self._place.spawn(self._output, self.log, "run", self._job.name, *ends, "--json")

    def said(self) -> dict[str, Any]:
        """Its --json document."""
        document: dict[str, Any] = json.loads(self._output.read_text("utf-8"))
        return document

    def rows_left(self) -> int:
        """About how many outcomes are still to come."""
        return max(0, len(self._truth.files) + len(self._truth.folders) - len(self._there))

    def judge_traffic(self) -> int:
        """Only what was needed was asked of Procore; how many API calls its log holds (a killed one forgot its own)."""
        log = [json.loads(line) for line in self._place.simulator.control("GET", "/log").splitlines() if line.strip()]
        calls = [entry for entry in log if entry["host"] == "api"]
        if changing := [entry for entry in calls if entry["method"] != "GET"]:
            raise Violation(f"{self._job.name}: the source was asked for {changing[0]}")
        fetched = {entry["path"].split("/")[6] for entry in log if entry["host"] == "storage"}
        if twice := fetched & self._there:
            raise Violation(
                f"{self._job.name}: {len(twice)} files that were there were downloaded again: {list(twice)[:3]}"
            )
        if self._analyzed_before() and len(calls) > CALLS_AFTER_ANALYSIS_MAX:
            raise Violation(f"{self._job.name}: {len(calls)} calls after a finished analysis: {calls[-1]}")
        return len(calls)

    def _analyzed_before(self) -> bool:
        """Whether this start continued a run whose analysis was finished already."""
        now = self._job.latest_record()
        if self._record is None or now is None or now["run_id"] != self._record["run_id"]:
            return False
        return "finished_at" in self._record["phases"].get("analyze", {})

    def _versions_there(self) -> set[str]:
        """Ids of current versions whose content already lies at its path, by the plans so far."""
        files = self._job.files()
        there = set()
        for run in self._job.runs():
            for row in run.plan:
                full = files.get(tuple(row["destination_path"])) if row["entry_kind"] == "file" else None
                current = self._truth.files.get(row["source_id"])
                if full is None or current is None or str(current["version_id"]) != row["source_version_id"]:
                    continue
                if full.stat().st_size == current["size_bytes"] and sha256_of(full) == current["sha256"]:
                    there.add(row["source_version_id"])
        return there


def kill_victim(place: Workplace, victim: str, process: "subprocess.Popen[bytes]") -> bool:
    """SIGKILL the run, the Prefect server, the simulator, or all of them; a killed simulator is started again at once.

    False if there was nothing to kill.
    """
    found = True
    if victim in ("run", "machine"):
        kill_group(process)
    if victim in ("server", "machine"):
        found = kill_server(place.home) or victim == "machine"
    if victim in ("simulator", "machine"):
        place.simulator.kill()
        place.simulator.start()
    return found


def kill_server(home: Path) -> bool:
    """SIGKILL the local Prefect server of this home, if one lives."""
    try:
        pid = int(json.loads((home / "server" / "server.alive").read_text("utf-8"))["pid"])
        command_line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, KeyError):
        return False
    if b"prefect" not in command_line:
        return False
    os.kill(pid, signal.SIGKILL)
    return True


if __name__ == "__main__":
    sys.exit(main())
