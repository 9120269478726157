"""Running a command and measuring it: wall time, processor time and peak memory of it and its children."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

SAMPLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one command took. Memory is the largest sum of resident sizes seen over the process and its children."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    stdout: str


def measured(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end. Raises RuntimeError with its output when it fails."""
    before = os.times()
    began = time.perf_counter()
    process = subprocess.Popen(
        list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment and dict(environment)
    )
    peak = _Peak(process.pid)
    peak.start()
    stdout, stderr = process.communicate()
    seconds = time.perf_counter() - began
    peak.join()
    after = os.times()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{stdout}\n{stderr}")
    cpu = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return Measured(seconds=seconds, cpu_seconds=cpu, peak_bytes=peak.bytes, stdout=stdout)


class _Peak(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self.bytes = 0

    def run(self) -> None:
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self.bytes = max(self.bytes, sum(member.memory_info().rss for member in family))
            except psutil.NoSuchProcess:
                continue
            time.sleep(SAMPLE_SECONDS)


def machine() -> str:
    """One line on what this was measured on."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, load before the start {os.getloadavg()[0]:.1f}"
