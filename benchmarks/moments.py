"""When to kill: moments relative to what a run has already done, seen from outside (run.json, rows of the ledger).

Most of a short run's time is Python importing Prefect. A moment drawn evenly over that time would mostly hit imports;
so the phase is drawn first, and then the moment within it.
"""

import contextlib
import random
import sqlite3
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.judge import JobFiles

PHASES = ("analyze", "plan", "transfer", "verify", "report")
WEIGHTS = {"start": 1, "analyze": 6, "plan": 3, "transfer": 7, "verify": 2, "report": 2}
SECONDS = {"start": 3.0, "analyze": 0.6, "plan": 0.2, "verify": 0.4, "report": 0.6}
"""About how long the phases of a run of 500 files last; a moment that comes too late falls into the next phase."""
ASKING = ("analyze", "transfer")
"""The phases in which Procore is asked for something."""
POLL_SECONDS = 0.004


@dataclass(frozen=True)
class Moment:
    """`seconds` after the phase was reached or, in a transfer, after `rows` more outcomes are in the ledger."""

    phase: str
    rows: int
    seconds: float


def draw(chance: random.Random, victim: str, record: dict[str, Any] | None, rows_left: int) -> Moment:
    """A moment in a phase that the job's next start still has before it and in which it needs the victim.

    `record` is the run.json that the next start finds.
    """
    done = set()
    if record is not None and record["state"] != "finished":
        done = {phase for phase, times in record["phases"].items() if "finished_at" in times}
    before = [phase for phase in WEIGHTS if phase not in done]
    if victim == "simulator":
        before = [phase for phase in before if phase in ASKING] or before
    phase = chance.choices(before, [WEIGHTS[phase] for phase in before])[0]
    if phase == "transfer":
        return Moment(phase, chance.randint(0, max(1, rows_left // 2)), chance.uniform(0.0, 0.03))
    return Moment(phase, 0, chance.uniform(0.0, SECONDS[phase]))


class Watched:
    """A started command, watched until a moment has come."""

    def __init__(self, job: JobFiles, process: "subprocess.Popen[bytes]") -> None:
        self._job = job
        self._process = process

    def comes(self, moment: Moment) -> bool:
        """Wait for the moment; False when the process ended before it. A phase that is over sooner than its moment
        would have come ends the wait, too."""
        rows_at_first: int | None = None
        while self._process.poll() is None and moment.phase != "start":
            phase = self.phase()
            if phase == moment.phase:
                rows = self._rows() if moment.rows else 0
                rows_at_first = rows if rows_at_first is None else rows_at_first
                if rows - rows_at_first >= moment.rows:
                    break
            elif rows_at_first is not None:
                break
            time.sleep(POLL_SECONDS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(moment.seconds)
        return self._process.poll() is None

    def phase(self) -> str:
        """Where this process is: "start" until it has begun its work on a run, else the phase reached last."""
        record = self._job.latest_record()
        if record is None or record["starts"][-1]["pid"] != self._process.pid:
            return "start"
        reached = [phase for phase in PHASES if phase in record["phases"]]
        if not reached:
            return "start"
        unfinished = [phase for phase in reached if "finished_at" not in record["phases"][phase]]
        return unfinished[0] if unfinished else reached[-1]

    def _rows(self) -> int:
        return sum(ledger_rows(self._job.state).values())


def ledger_rows(state: Path) -> Counter[str]:
    """How many outcomes the ledger holds, by run; read while others may write."""
    rows: Counter[str] = Counter()
    with contextlib.suppress(sqlite3.Error):
        database = sqlite3.connect(f"file:{state / 'ledger.sqlite'}?mode=ro", uri=True)
        try:
            rows.update(dict(database.execute("SELECT run_id, COUNT(*) FROM outcomes GROUP BY run_id").fetchall()))
        finally:
            database.close()
    return rows
