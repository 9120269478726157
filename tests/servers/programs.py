"""Starting other people's servers as child processes, and ending them."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PORTS = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections."""
_ATTEMPTS = 4
_LOG_LINES_SHOWN = 40
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin")
"""Where servers are that an ordinary user's PATH does not name."""


class ServerMissing(Exception):
    """A server cannot run on this machine; the message says what is missing and what brings it."""


class NotStarted(RuntimeError):
    """A server did not become ready; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class Started:
    """A server that answers."""

    pid: int
    ports: tuple[int, ...]
    log: Path


def program(name: str, brought_by: str) -> str:
    """The full path of a program. Raises ServerMissing if it is not installed."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_PLACES]))
    if found is None:
        raise ServerMissing(f"{name} is not installed here; {brought_by}")
    return found


def need_root(why: str) -> None:
    """Raises ServerMissing for an ordinary user."""
    if os.geteuid() != 0:
        raise ServerMissing(f"only root can {why}")


def free_ports(count: int) -> tuple[int, ...]:
    """Ports nobody listens on at this moment; another process may still take one, see `started`."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_PORTS)
        if port not in found and _is_free(port):
            found.append(port)
    return tuple(found)


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def started(
    name: str,
    command: Callable[[Sequence[int]], Sequence[str | Path]],
    *,
    folder: Path,
    ready: Callable[[Sequence[int]], bool],
    ports: int = 1,
    seconds: float = 30.0,
    ended_by: signal.Signals = signal.SIGTERM,
    end_seconds: float = 3.0,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Started]:
    """A server that runs until the block ends.

    `command` is told the ports and says what to run, after it has written what the server reads. A server that ends
    before it is `ready` is started again on other ports, since another process may have taken one of them. Its output
    is in `NAME.log` in the folder. It is ended by a signal, and killed if it lives `end_seconds` longer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    for attempt in range(1, _ATTEMPTS + 1):
        chosen = free_ports(ports)
        with log.open("ab") as output:
            process = subprocess.Popen(
                _tied(command(chosen)), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
                env={**os.environ, **(environment or {})}, start_new_session=True,
            )  # fmt: skip
        try:
            if _became_ready(process, lambda: ready(chosen), seconds):  # noqa: B023 - called before the next round
                yield Started(process.pid, chosen, log)
                return
            ended = process.poll()
        finally:
            _end(process, ended_by, end_seconds)
        if ended is None or attempt == _ATTEMPTS:
            how = f"did not answer within {seconds:g} s" if ended is None else f"ended with {ended}"
            raise NotStarted(f"{name} {how}; its log {log} ends with:\n{_tail(log)}")


def _tied(command: Sequence[str | Path]) -> list[str]:
    """The command, killed by the system when this process dies without ending it."""
    words = [str(word) for word in command]
    ties = shutil.which("setpriv")
    if ties is None or threading.current_thread() is not threading.main_thread():
        return words  # the tie is to the starting thread, and only the main one lives as long as the process
    return [ties, "--pdeathsig", "KILL", *words]


def _became_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    wait = 0.005
    while process.poll() is None and time.monotonic() < end:
        if ready():
            return process.poll() is None
        time.sleep(wait)
        wait = min(wait * 1.5, 0.1)
    return False


def _end(process: subprocess.Popen[bytes], ended_by: signal.Signals, seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, ended_by)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):  # what it left behind in its group
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES_SHOWN:])


def run(command: Sequence[str | Path], *, given: str = "", seconds: float = 60.0) -> str:
    """What a command printed. Raises RuntimeError with its output if it fails."""
    done = subprocess.run(
        [str(word) for word in command], input=given, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
