"""The Prefect server a command works with: the configured one, or a real local one in the background.

Nothing here imports Prefect before the variables that Prefect reads at import are set.
"""

import errno
import json
import logging
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from migration.errors import ConfigurationError, FatalError
from migration.state import write_json_atomically
from tasks.background import BackgroundProcess
from tasks.deployments import WorkerStatus, deploy_all, start_worker, stop_worker, worker_status
from tasks.leases import repair_slots
from tasks.prefect_settings import OWN_SERVER_VARIABLE, configured_api_url, server_variables, use_configured, use_own

__all__ = [
    "HOME_VARIABLE",
    "Server",
    "ServerStatus",
    "WorkerStatus",
    "deploy_all",
    "ensure_server",
    "own_server_died",
    "restart_own_server",
    "server_status",
    "start_worker",
    "stop_server",
    "stop_worker",
    "worker_status",
]

HOME_VARIABLE = "SITEHAUL_HOME"
"""Names the folder where servers and state live."""
_HOST = "127.0.0.1"
_START_SECONDS_MAX = 180.0
_HUNG_SECONDS_MAX = 60.0
_HEALTH_SECONDS_MAX = 5.0
_FREE_BYTES_MIN = 64 * 1024 * 1024
_PORT_TRIES = 3

_log = logging.getLogger("sitehaul.server")


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server that answered. `started_here` True means SiteHaul's own local one, under `home`."""

    api_url: str
    ui_url: str
    started_here: bool
    home: Path


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What `sitehaul status` says of the server. `pid` and `log` are those of SiteHaul's own one."""

    running: bool
    api_url: str | None
    ui_url: str | None
    pid: int | None
    own: bool
    log: Path


def ensure_server(home: Path) -> Server:
    """Return a Prefect server that answers, and set this process's environment so that Prefect uses it.

    The one named by PREFECT_API_URL or Prefect's active profile is used when there is one; ConfigurationError
    `server-unreachable` when it does not answer. Otherwise SiteHaul's own server under `home` is reused or started on
    the port and database it had before; several processes at once start only one. ConfigurationError
    `home-not-writable`, FatalError `disk-full` or `server-did-not-start` (with the last lines of its log).
    """
    configured = configured_api_url(os.environ)
    if configured is not None:
        return _configured_server(configured, home)
    with _told_disk_errors(home):
        port = _OwnServer(home).ensure()
    api_url = _api_url(port)
    use_own(api_url, _prefect_home(home))
    return Server(api_url=api_url, ui_url=_ui_url(api_url), started_here=True, home=home)


def server_status(home: Path) -> ServerStatus:
    """What is running now; starts nothing."""
    process = _process(home)
    configured = configured_api_url(os.environ)
    if configured is not None:
        running = _answer(configured) is not None
        return ServerStatus(running, configured, _ui_url(configured), pid=None, own=False, log=process.log)
    record = process.record()
    if record is None:
        return ServerStatus(False, api_url=None, ui_url=None, pid=None, own=True, log=process.log)
    api_url = _api_url(record["port"])
    return ServerStatus(_healthy(api_url), api_url, _ui_url(api_url), record["pid"], own=True, log=process.log)


def stop_server(home: Path) -> bool:
    """Stop SiteHaul's own server; True if one was running. A configured server is left alone."""
    process = _process(home)
    if not process.running():
        return False
    with process.locked():
        return process.stop()


def own_server_died() -> bool:
    """Whether this process uses SiteHaul's own server and it does not run (any more). Asks nobody, so costs nothing."""
    api_url = os.environ.get(OWN_SERVER_VARIABLE)
    if not api_url or os.environ.get("PREFECT_API_URL") != api_url:
        return False
    return not BackgroundProcess(Path(os.environ["PREFECT_HOME"]), "server").running()


def restart_own_server() -> None:
    """Bring back SiteHaul's own server if this process uses it and it died; a configured server is left alone.

    Raises what `ensure_server` raises, and FatalError `server-moved` when it had to take another port: Prefect in this
    process keeps to the old one.
    """
    api_url = os.environ.get(OWN_SERVER_VARIABLE)
    if not api_url or os.environ.get("PREFECT_API_URL") != api_url:
        return
    home = Path(os.environ["PREFECT_HOME"]).parent
    if ensure_server(home).api_url != api_url:
        raise FatalError(
            "server-moved",
            "The local Prefect server died, and another program has taken its port.",
            fix="Run the same command again; what is done is recorded.",
        )


class _OwnServer:
    """SiteHaul's own server under one home. `server.json` remembers the port for the next start."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = _prefect_home(home)
        self._process = _process(home)

    def ensure(self) -> int:
        """The port it answers on, after starting it if need be."""
        port = self._port_if_healthy()
        if port is not None:
            return port
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._process.locked():
            port = self._port_if_healthy() or self._port_once_healthy()
            return port if port is not None else self._start()

    def _port_if_healthy(self) -> int | None:
        record = self._process.record()
        return record["port"] if record is not None and _healthy(_api_url(record["port"])) else None

    def _port_once_healthy(self) -> int | None:
        """The port of a server that is still starting (its starter was killed), None if it is dead or had to be ended
        because it does not answer."""
        record = self._process.record()
        if record is None:
            return None
        if self._answers_within(record["port"], _HUNG_SECONDS_MAX):
            return int(record["port"])
        _log.warning("the local Prefect server did not answer for %.0f seconds; starting it again", _HUNG_SECONDS_MAX)
        self._process.stop()
        return None

    def _start(self) -> int:
        free = shutil.disk_usage(self._folder).free
        if free < _FREE_BYTES_MIN:
            raise _disk_full(self._home, f"only {free // 2**20} MB are free")
        (self._folder / "ui").mkdir(exist_ok=True)
        for _ in range(_PORT_TRIES):
            port = self._free_port()
            write_json_atomically(self._folder / "server.json", {"port": port})
            repair_slots(self._folder)
            self._process.start(
                "prefect",
                ["server", "start", "--host", _HOST, "--port", str(port)],
                environment=server_variables(os.environ, self._folder, port),
                record={"port": port},
            )
            if self._answers_within(port, _START_SECONDS_MAX):
                return port
            words = self._process.last_words()
            if "already in use" not in words:
                break
        self._process.stop()
        raise self._did_not_start(words)

    def _answers_within(self, port: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.running():
            if _healthy(_api_url(port)):
                return True
            time.sleep(0.1)
        return False

    def _free_port(self) -> int:
        """The remembered port if nobody else listens there, else a new one."""
        try:
            remembered = int(json.loads((self._folder / "server.json").read_text("utf-8"))["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return _bound_port(0)
        try:
            return _bound_port(remembered)
        except OSError:
            return _bound_port(0)

    def _did_not_start(self, words: str) -> FatalError:
        lowered = words.lower()
        if "no space left" in lowered or "disk is full" in lowered or "disk quota" in lowered:
            return _disk_full(self._home, "the local Prefect server could not write")
        return FatalError(
            "server-did-not-start",
            f"The local Prefect server did not start; its last words were:\n{words or '(none)'}\n",
            fix=f"The whole log is {self._process.log}. Run the same command again when the cause is gone.",
        )


def _configured_server(api_url: str, home: Path) -> Server:
    status = _answer(api_url)
    if status is None or status >= 500:
        said = "does not answer" if status is None else f"answers with error {status}"
        raise ConfigurationError(
            "server-unreachable",
            f"The Prefect server at {api_url}, which PREFECT_API_URL or the Prefect profile names, {said}.",
            fix="Start it or correct its address; or unset PREFECT_API_URL and let SiteHaul run a server of its own.",
        )
    use_configured()
    return Server(api_url=api_url, ui_url=_ui_url(api_url), started_here=False, home=home)


@contextmanager
def _told_disk_errors(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(home, "nothing can be written") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST):
            raise ConfigurationError(
                "home-not-writable",
                f"SiteHaul cannot write into its home folder {home} ({error.strerror}).",
                fix="Make it writable, or name another folder with --home or SITEHAUL_HOME.",
            ) from error
        raise


def _disk_full(home: Path, detail: str) -> FatalError:
    return FatalError(
        "disk-full",
        f"The disk that holds SiteHaul's home folder {home} is full: {detail}.",
        fix="Free some space there, or name a home on another disk with --home; then run the same command again.",
    )


def _process(home: Path) -> BackgroundProcess:
    return BackgroundProcess(_prefect_home(home), "server")


def _prefect_home(home: Path) -> Path:
    return home / "server"


def _api_url(port: int) -> str:
    return f"http://{_HOST}:{port}/api"


def _ui_url(api_url: str) -> str:
    return api_url.removesuffix("/").removesuffix("/api")


def _healthy(api_url: str) -> bool:
    return _answer(api_url) == 200


def _answer(api_url: str) -> int | None:
    """The status of the server's health page; None if nobody answers in time."""
    request = urllib.request.Request(f"{api_url}/health")  # noqa: S310 - the operator's own server
    try:
        with urllib.request.urlopen(request, timeout=_HEALTH_SECONDS_MAX) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None


def _bound_port(port: int) -> int:
    """The port if it can be listened on (0: any free one). Raises OSError when somebody else listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((_HOST, port))
        bound: int = probe.getsockname()[1]
        return bound
