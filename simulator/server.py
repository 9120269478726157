"""Runs a simulated Procore in a thread of this process, on ports of its own on 127.0.0.1."""

import asyncio
import contextlib
import fcntl
import json
import os
import random
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import uvicorn
import uvloop

from simulator import edits, truth
from simulator.app import Application
from simulator.project_writer import WorldOptions
from simulator.settings import Settings
from simulator.state import HOSTS, State
from simulator.transport import Protocol
from simulator.world import make_world, project_facts

FACTS_FILE = "simulator.json"
REDIRECT_URI = "http://localhost:53682/callback"
_PORTS = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections, so that a restarted simulator finds its own free."""
_BACKLOG = 2048
_BIND_SECONDS = 10.0
_START_SECONDS = 30.0
T = TypeVar("T")


class AlreadyRunning(ValueError):
    """Another process serves this folder."""


@dataclass(slots=True)
class Running:
    """A simulated Procore that is being served. Its methods may be called from any thread."""

    facts: dict[str, Any]
    state: State
    _loop: asyncio.AbstractEventLoop

    @property
    def project(self) -> dict[str, Any]:
        """The sample project, as in the facts."""
        first: dict[str, Any] = self.facts["projects"][0]
        return first

    def truth(self, project_id: int | None = None, *, hashes: bool = True) -> list[dict[str, Any]]:
        """What a project (the sample by default) really holds, see `simulator.truth`."""
        asked = self.project["id"] if project_id is None else project_id

        async def listed() -> list[dict[str, Any]]:
            return list(await truth.rows(self.state, asked, hashes=hashes))

        return self._wait(listed())

    def log(self) -> list[dict[str, Any]]:
        """Every request since the start or the last `clear_log`."""
        return self._do(lambda: list(self.state.log.lines()))

    def clear_log(self) -> None:
        """Begin a new log."""
        self._do(self.state.log.clear)

    def settings(self, **switches: Any) -> None:
        """Change switches. Raises ValueError naming an unknown one."""
        self._do(lambda: self.state.change_settings(switches))

    def faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the fault script; an empty one ends all faults. Raises ValueError for a rule that makes no sense."""
        self._do(lambda: self.state.faults.load([dict(rule) for rule in rules]))

    def advance(self, seconds: float) -> None:
        """Move the simulator's time."""
        self._do(lambda: self.state.advance(seconds))

    def edit(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Change the world, see `simulator.edits`."""
        return self._do(lambda: edits.edit(self.state, dict(values)))

    def _do(self, what: Callable[[], T]) -> T:
        async def done() -> T:
            return what()

        return self._wait(done())

    def _wait(self, what: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await what

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    seed: int = 7,
    files: int = 200,
    max_file_bytes: int = 2_000_000,
    projects: int = 4,
    file_bytes: int = 0,
    further_files: int = 25,
    settings: Mapping[str, Any] | None = None,
    faults: Sequence[Mapping[str, Any]] = (),
) -> Iterator[Running]:
    """Serve a world, made in the folder if it is not there yet, until the block ends.

    The same folder continues the same world on the same ports. Raises ValueError for options, switches or faults that
    make no sense or do not fit the folder's world, AlreadyRunning if another process serves it.
    """
    options = WorldOptions(
        seed=seed, files=files, max_file_bytes=max_file_bytes, projects=projects, file_bytes=file_bytes,
        further_files=further_files,
    )  # fmt: skip
    switches = Settings().changed(dict(settings or {}))
    with sole_use(folder):
        make_world(folder, options, time.time())
        with serving(folder, switches, [dict(rule) for rule in faults]) as served:
            yield served


@contextlib.contextmanager
def serving(folder: Path, settings: Settings, faults: list[dict[str, Any]]) -> Iterator[Running]:
    """Serve the world that is in the folder until the block ends; its facts are then in simulator.json."""
    sockets = _sockets(folder)
    ports = {host: bound.getsockname()[1] for host, bound in sockets.items()}
    state = State.opened(folder, {host: f"http://127.0.0.1:{port}" for host, port in ports.items()}, settings)
    try:
        state.faults.load(faults)
        application = Application(state, {port: host for host, port in ports.items()})
        with serving_application(application, list(sockets.values())) as loop:
            facts = _facts(state)
            _write_facts(folder, facts)
            yield Running(facts, state, loop)
    finally:
        for bound in sockets.values():
            bound.close()
        state.close()


@contextlib.contextmanager
def serving_application(
    application: Any, sockets: list[socket.socket], **values: Any
) -> Iterator[asyncio.AbstractEventLoop]:
    """Serve an ASGI application on listening sockets in a thread of its own until the block ends; its loop is given.

    `values` are further values of uvicorn's own (a certificate). Raises RuntimeError if the server does not start.
    """
    config = uvicorn.Config(
        application,
        http=Protocol, ws="none", lifespan="off", log_config=None, log_level="error", access_log=False,
        date_header=False, server_header=False, timeout_keep_alive=75, timeout_graceful_shutdown=1, **values,
    )  # fmt: skip
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=sockets)

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, name="simulator", daemon=True)
    thread.start()
    end = time.monotonic() + _START_SECONDS
    while not server.started and thread.is_alive() and time.monotonic() < end:
        time.sleep(0.005)
    if not server.started:
        raise RuntimeError("the simulator's server did not start")
    try:
        yield loops[0]
    finally:
        server.should_exit = True
        thread.join()


def _facts(state: State) -> dict[str, Any]:
    service, user = state.store.meta("service_client"), state.store.meta("user_client")
    return {
        **{f"{host}_url": state.urls[host] for host in HOSTS},
        "company_id": state.company_id, "client_id": service[0], "client_secret": service[1],
        "user_client_id": user[0], "user_client_secret": user[1], "redirect_uri": REDIRECT_URI,
        "projects": project_facts(state.store), "seed": state.store.meta("seed"), "pid": os.getpid(),
    }  # fmt: skip


def _write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    arriving = folder / f"{FACTS_FILE}.arriving"
    arriving.write_text(json.dumps(facts, ensure_ascii=False, indent=1), "utf-8")
    arriving.replace(folder / FACTS_FILE)


@contextlib.contextmanager
def sole_use(folder: Path) -> Iterator[IO[str]]:
    """Keep other processes off the folder. Raises AlreadyRunning if one is there."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"a simulator is already running on {folder}") from None
        yield lock


def _sockets(folder: Path) -> dict[str, socket.socket]:
    """A listening socket for each host, on the folder's ports if it has any."""
    try:
        known = json.loads((folder / FACTS_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    sockets: dict[str, socket.socket] = {}
    for host in HOSTS:
        port = int(str(known.get(f"{host}_url", "")).rpartition(":")[2] or 0)
        sockets[host] = _bound(port) if port else bound_anywhere()
    return sockets


def _bound(port: int) -> socket.socket:
    """Bound to this port; a process that is just ending may still hold it for a moment."""
    end = time.monotonic() + _BIND_SECONDS
    while True:
        try:
            return _bind(port)
        except OSError as error:
            if time.monotonic() > end:
                raise ValueError(f"port {port} of this simulator's folder is taken by another program") from error
            time.sleep(0.05)


def bound_anywhere() -> socket.socket:
    """A listening socket on a free port of 127.0.0.1."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            return _bind(random.choice(_PORTS))
    return _bind(0)


def _bind(port: int) -> socket.socket:
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        bound.listen(_BACKLOG)  # at once: until somebody listens, a port can be bound twice
    except OSError:
        bound.close()
        raise
    return bound
