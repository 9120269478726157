"""A process that outlives the command that started it: found again, never started twice, never confused with another.

The process holds a lock (flock on `<name>.alive`) that the system frees when it dies, however it dies; a stale process
id can therefore never be mistaken for it. The locked file holds its id and what else was recorded about it.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LAUNCH = Path(__file__).with_name("launch.py")
_POLL_SECONDS = 0.05
_LOG_BYTES_MAX = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BackgroundProcess:
    """A background process by its folder and name; nothing is touched by making this object."""

    folder: Path
    name: str

    @property
    def log(self) -> Path:
        """What the process printed; the previous log is kept beside it when this one has grown large."""
        return self.folder / f"{self.name}.log"

    @property
    def _alive(self) -> Path:
        return self.folder / f"{self.name}.alive"

    def running(self) -> bool:
        """Whether the process lives now."""
        try:
            file = os.open(self._alive, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def record(self) -> dict[str, Any] | None:
        """What was recorded at its start, with `pid`; None if it does not run."""
        for _ in range(60):  # a process of this moment records itself within milliseconds
            if not self.running():
                return None
            with contextlib.suppress(ValueError, OSError):
                record: dict[str, Any] = json.loads(self._alive.read_text("utf-8"))
                return record
            time.sleep(_POLL_SECONDS)
        return None

    def start(
        self, module: str, arguments: list[str], *, environment: Mapping[str, str], record: Mapping[str, Any]
    ) -> None:
        """Start `python -m module arguments` in a session of its own, its output appended to the log.

        The caller holds `locked()` and knows that it does not run. Raises OSError when folder or log cannot be written.
        """
        self._rotate_log()
        lock = os.open(self._alive, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.ftruncate(lock, 0)
            with open(self.log, "ab") as output:
                subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                    [sys.executable, "-P", str(_LAUNCH), str(lock), json.dumps(dict(record)), module, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.folder,
                    env=dict(environment),
                    start_new_session=True,
                    pass_fds=(lock,),
                )
        finally:
            os.close(lock)  # the child's copy keeps the lock

    def stop(self, *, patience_seconds: float = 20.0) -> bool:
        """Ask it to end (SIGTERM), make it end (SIGKILL) when that takes longer; True if it was running."""
        record = self.record()
        if record is None:
            return False
        for number, seconds in ((signal.SIGTERM, patience_seconds), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(record["pid"]), number)
            if self._ended_within(seconds):
                break
        return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time may start or stop it; waits. Raises OSError when the folder cannot be written."""
        file = os.open(self.folder / f"{self.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def last_words(self, lines: int = 12) -> str:
        """The end of the log, for an error message; empty if there is none."""
        try:
            text = self.log.read_bytes()[-16_384:].decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])

    def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _rotate_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > _LOG_BYTES_MAX:
                os.replace(self.log, self.log.with_suffix(".log.1"))
