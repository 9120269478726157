import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from migration.clock import SystemClock
from migration.errors import ConfigurationError, FatalError
from tasks.leases import read_leases, repair_slots
from tasks.limits import Answer, Limits
from tasks.prefect_settings import configured_api_url
from tasks.server import ensure_server, server_status, stop_server

NewHome = Callable[[], Path]
Unconfigured = Callable[[], AbstractContextManager[None]]

ENSURE = "import sys, pathlib; from tasks.server import ensure_server; print(ensure_server(pathlib.Path(sys.argv[1])))"


def ensuring(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", ENSURE, str(home)], stdout=subprocess.PIPE, text=True)


def kill_server(home: Path) -> int:
    pid = server_status(home).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


async def take(name: str, slots: int, seconds: float = 3600.0) -> Answer:
    async with Limits.opened(SystemClock()) as limits:
        await limits.ensure(name, 10)
        return (await limits.take_leased([name], slots, seconds)).answer


async def taken(name: str) -> int:
    async with Limits.opened(SystemClock()) as limits:
        state = await limits.read(name)
        assert state is not None
        return state.taken


def test_one_server_is_started_however_many_ask_and_not_on_another_programs_port(new_home: NewHome) -> None:
    home = new_home()
    assert not server_status(home).running
    assert not stop_server(home)

    with socket.create_server(("127.0.0.1", 0)) as other:
        taken_port = other.getsockname()[1]
        (home / "server").mkdir(parents=True)
        (home / "server" / "server.json").write_text(json.dumps({"port": taken_port}))
        asking = [ensuring(home) for _ in range(3)]
        answers = {process.communicate()[0] for process in asking}

    assert len(answers) == 1, answers
    status = server_status(home)
    assert status.running
    assert status.api_url
    assert str(taken_port) not in status.api_url
    assert status.api_url in answers.pop()
    assert stop_server(home)
    assert not server_status(home).running


@pytest.mark.slow
def test_a_killed_server_comes_back_where_it_was_with_its_leases(used_home: Path) -> None:
    home = used_home
    first = ensure_server(home)
    assert asyncio.run(take("procore-kept-hourly", 4)) is Answer.GRANTED

    dead = kill_server(home)
    second = ensure_server(home)

    assert second == first
    assert server_status(home).pid != dead
    assert asyncio.run(taken("procore-kept-hourly")) == 4
    assert [lease.slots for lease in read_leases(home / "server")] == [4]


@pytest.fixture(scope="module")
def dead_server(
    tmp_path_factory: pytest.TempPathFactory, unconfigured: Unconfigured, fill_home: Callable[[Path], None]
) -> Iterator[Path]:
    """What is left of a killed server that had leased 4 slots each of two limits."""
    home = tmp_path_factory.mktemp("dead") / "home"
    fill_home(home)
    with unconfigured():
        ensure_server(home)
        asyncio.run(take("procore-torn-hourly", 4))
        asyncio.run(take("somebody-elses", 4))
        kill_server(home)
        yield home / "server"
        stop_server(home)


def slots_in(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "prefect.db") as database:
        return dict(database.execute("SELECT name, active_slots FROM concurrency_limit_v2"))


@pytest.mark.xdist_group("dead server")
def test_slots_that_a_kill_left_without_a_lease_return_and_leases_without_an_end_get_one(
    dead_server: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(dead_server, tmp_path / "server")
    with sqlite3.connect(folder / "prefect.db") as database:
        database.execute("UPDATE concurrency_limit_v2 SET active_slots = 9")
    ends = folder / "concurrency_leases" / "expirations.json"
    known = set(json.loads(ends.read_text()))
    ends.write_text("{}")

    repair_slots(folder)

    assert slots_in(folder) == {"procore-torn-hourly": 4, "somebody-elses": 9}
    assert set(json.loads(ends.read_text())) == known
    assert len(known) == 2


@pytest.mark.xdist_group("dead server")
def test_an_unreadable_lease_frees_nothing(dead_server: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(dead_server, tmp_path / "server")
    for lease in (folder / "concurrency_leases").glob("*-*.json"):
        lease.write_text("")
    repair_slots(folder)
    assert slots_in(folder) == {"procore-torn-hourly": 4, "somebody-elses": 4}


def test_a_database_of_another_shape_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "prefect.db").write_bytes(b"this is no database " * 100)
    repair_slots(tmp_path)
    assert (tmp_path / "prefect.db").read_bytes() == b"this is no database " * 100


def test_a_stale_record_is_nobody(new_home: NewHome) -> None:
    home = new_home()
    (home / "server").mkdir(parents=True)
    (home / "server" / "server.alive").write_text(json.dumps({"pid": os.getpid(), "port": 1}))
    assert not server_status(home).running
    assert not stop_server(home)


def test_a_server_that_does_not_come_up_is_told_with_its_last_words(new_home: NewHome) -> None:
    home = new_home()
    (home / "server").mkdir(parents=True)
    (home / "server" / "prefect.db").write_bytes(b"this is no database " * 1000)
    with pytest.raises(FatalError, match="file is not a database") as told:
        ensure_server(home)
    assert told.value.code == "server-did-not-start"
    assert "server.log" in str(told.value.fix)


def test_a_home_that_cannot_be_written_is_told(new_home: NewHome) -> None:
    home = new_home()
    home.write_text("a file in the way")
    with pytest.raises(ConfigurationError, match=re.escape(str(home))) as told:
        ensure_server(home)
    assert told.value.code == "home-not-writable"


def test_a_full_disk_is_told(tmp_path: Path, new_home: NewHome) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        with pytest.raises(FatalError, match="is full") as told:
            ensure_server(disk / "home")
        assert told.value.code == "disk-full"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_configured_server_that_is_dead_is_told_and_never_replaced(
    new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ConfigurationError, match=re.escape("127.0.0.1:9")) as told:
        ensure_server(home)
    assert told.value.code == "server-unreachable"
    assert not home.exists()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"PREFECT_API_URL": "http://one/api/"}, "http://one/api"),
        ({"PREFECT_API_URL": "http://one/api", "SITEHAUL_OWN_SERVER": "http://one/api"}, None),
        ({"PREFECT_API_URL": "http://one/api", "SITEHAUL_OWN_SERVER": "http://two/api"}, "http://one/api"),
        ({"PREFECT_PROFILE": "named"}, "http://profile/api"),
        ({"PREFECT_PROFILE": "empty"}, None),
        ({"PREFECT_PROFILE": "missing"}, None),
    ],
)
def test_which_server_is_configured(tmp_path: Path, environment: dict[str, str], expected: str | None) -> None:
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(
        'active = "empty"\n[profiles.empty]\n[profiles.named]\nPREFECT_API_URL = "http://profile/api"\n'
    )
    assert configured_api_url({"PREFECT_PROFILES_PATH": str(profiles), **environment}) == expected
