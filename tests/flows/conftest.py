import fcntl
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tasks.server import Server, ensure_server, stop_server, stop_worker

_OURS = ("PREFECT_", "SITEHAUL_", "DO_NOT_TRACK")
_NEW_DATABASE = "new.db"


@contextmanager
def no_configured_server() -> Iterator[None]:
    """As on a machine where nobody has configured Prefect; the environment is as before afterwards."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]
    os.environ["PREFECT_PROFILES_PATH"] = "/nonexistent/profiles.toml"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        if "prefect" in sys.modules:
            from prefect.context import refresh_global_settings_context

            refresh_global_settings_context()


@pytest.fixture(scope="session")
def unconfigured() -> Callable[[], AbstractContextManager[None]]:
    """`no_configured_server`, for fixtures of test modules."""
    return no_configured_server


@pytest.fixture(scope="session")
def _shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for all workers of pytest-xdist; whoever leaves last stops its server."""
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "shared-home"
    home.mkdir(parents=True, exist_ok=True)
    _change_users(home, +1)
    try:
        _keep_new_database(home)
        yield home
    finally:
        _tell_prefect_everything()
        if _change_users(home, -1) == 0:
            stop_worker(home)
            stop_server(home)


@pytest.fixture
def prefect_server(_shared_home: Path) -> Iterator[Server]:
    """A real local Prefect server, shared by the whole session, that this process uses during the test."""
    with no_configured_server():
        yield ensure_server(_shared_home)


@pytest.fixture(scope="session")
def fill_home(_shared_home: Path) -> Callable[[Path], None]:
    """Lets a new home look as if a server had been started in it once before: with a database that has its tables.

    Making them takes longer than all else in the start of a server.
    """

    def fill(home: Path) -> None:
        (home / "server").mkdir(parents=True, mode=0o700)
        shutil.copyfile(_shared_home / _NEW_DATABASE, home / "server" / "prefect.db")

    return fill


@pytest.fixture
def new_home() -> Iterator[Callable[[], Path]]:
    """Makes homes for servers of their own, not there yet; their processes and files are gone afterwards."""
    homes: list[Path] = []

    def make() -> Path:
        homes.append(Path(tempfile.mkdtemp(prefix="sitehaul-test-")) / "home")
        return homes[-1]

    with no_configured_server():
        try:
            yield make
        finally:
            for home in homes:
                stop_worker(home)
                stop_server(home)
                shutil.rmtree(home.parent, ignore_errors=True)


@pytest.fixture
def used_home(new_home: Callable[[], Path], fill_home: Callable[[Path], None]) -> Path:
    """Home of a server of its own that has been started once before."""
    home = new_home()
    fill_home(home)
    return home


def _keep_new_database(home: Path) -> None:
    """Start the server, and keep its database as it is before any test."""
    kept = home / _NEW_DATABASE
    with open(home / "new.lock", "w", encoding="utf-8") as lock, no_configured_server():
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            ensure_server(home)
            used = sqlite3.connect(home / "server" / "prefect.db")
            with closing(used), closing(sqlite3.connect(kept)) as copy:
                used.backup(copy)


def _tell_prefect_everything() -> None:
    """To be called before the server goes: at its exit Prefect tries for minutes to tell a server that is gone."""
    if "prefect.events.worker" in sys.modules:
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        for worker in (EventsWorker, APILogWorker):
            worker.drain_all(timeout=20, at_exit=False)


def _change_users(home: Path, change: int) -> int:
    with open(home / "users", "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        users = int(file.read() or "0") + change
        file.truncate(0)
        file.write(str(users))
        return users
