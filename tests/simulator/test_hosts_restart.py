import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator import server
from simulator.__main__ import main
from simulator.clock import SimulatedClock
from simulator.limits import RateLimits
from simulator.server import AlreadyRunning, running
from simulator.settings import Settings

Starter = Any


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Starts `python -m simulator` on one folder; what still runs at the end is ended."""
    processes: list[subprocess.Popen[bytes]] = []

    def started(*options: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
        command = [sys.executable, "-m", "simulator", "--folder", str(tmp_path / "world"), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1].decode()
        return process, json.loads(line)

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def token_of(facts: dict[str, Any]) -> dict[str, str]:
    pair = {"client_id": facts["client_id"], "client_secret": facts["client_secret"]}
    answer = httpx.post(f"{facts['login_url']}/oauth/token", data={"grant_type": "client_credentials", **pair})
    token = answer.json()["access_token"]
    return {"Authorization": f"Bearer {token}", "Procore-Company-Id": str(facts["company_id"])}


def test_a_killed_simulator_goes_on_where_it_was(start: Starter, tmp_path: Path) -> None:
    options = ("--files", "20", "--projects", "1", "--switch", "spike_calls=1000", "--switch", "hourly_calls=50")
    process, facts = start(*options)
    assert json.loads((tmp_path / "world" / "simulator.json").read_text()) == facts
    httpx.post(f"{facts['control_url']}/clock", json={"advance_seconds": 86400})
    headers, me = token_of(facts), f"{facts['api_url']}/rest/v1.0/me"
    for _ in range(9):
        httpx.get(me, headers=headers)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again, facts_again = start(*options)
    assert {**facts_again, "pid": 0} == {**facts, "pid": 0}
    answer = httpx.get(me, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["x-rate-limit-remaining"] == "40"
    again.send_signal(signal.SIGTERM)
    assert again.wait(10) == 0


def test_unsaid_options_are_those_of_the_world_and_other_ones_are_refused(start: Starter, tmp_path: Path) -> None:
    process, facts = start("--files", "20", "--projects", "2", "--seed", "3")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    _, facts_again = start("--latency-ms", "1")
    assert facts_again["projects"] == facts["projects"]
    with pytest.raises(AlreadyRunning, match="already running"), running(tmp_path / "world", files=20):
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--switch", "hourly=3"], "there is no switch 'hourly'"),
        (["--switch", "hourly_calls"], "not of the form name=value"),
        (["--switch", "hourly_calls=many"], "invalid literal"),
        (["--files", "0"], "at least one"),
        (["--faults", "/nonexistent.json"], "No such file"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(SystemExit) as ended:
        main(["--folder", str(tmp_path), *options])
    for number, handler in zip((signal.SIGTERM, signal.SIGINT), handlers, strict=True):
        signal.signal(number, handler)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_in_one_process_the_same_folder_continues_too(tmp_path: Path) -> None:
    with running(tmp_path, files=5, projects=1) as served:
        facts, truth = served.facts, served.truth()
        served.edit({"op": "add_file", "project_id": served.project["id"], "path": ["kept.txt"]})
    with running(tmp_path, files=5, projects=1) as served:
        assert served.facts == facts
        assert served.facts["pid"] == os.getpid()
        assert len(served.truth()) == len(truth) + 1
        assert served.log() == []


def moments(limits: RateLimits, clock: SimulatedClock, settings: Settings, calls: int) -> list[bool]:
    return [limits.count("client", settings)[0] for _ in range(calls)]


def test_windows_slide_and_forget_nothing(tmp_path: Path) -> None:
    clock = SimulatedClock()
    settings = Settings(hourly_calls=10, spike_calls=4)
    limits = RateLimits(clock, tmp_path / "calls.sqlite")
    assert moments(limits, clock, settings, 5) == [True] * 4 + [False]
    clock.advance(10.5)
    assert moments(limits, clock, settings, 5) == [True] * 4 + [False]
    limits.close()
    limits = RateLimits(clock, tmp_path / "calls.sqlite")
    clock.advance(10.5)
    assert moments(limits, clock, settings, 4) == [True, True, False, False]
    allowed, window = limits.count("client", settings)
    assert (allowed, window.limit, window.remaining) == (False, 10, 0)
    assert limits.count("another", settings)[0]
    clock.advance(window.reset_at - clock.now())
    assert moments(limits, clock, settings, 5) == [True] * 4 + [False]
    limits.close()


def test_fixed_windows_begin_anew(tmp_path: Path) -> None:
    clock = SimulatedClock()
    settings = Settings(hourly_calls=3, fixed_windows=True)
    limits = RateLimits(clock)
    clock.advance(3600 - clock.now() % 3600 + 1)
    assert moments(limits, clock, settings, 4) == [True] * 3 + [False]
    window = limits.count("client", settings)[1]
    assert window.reset_at % 3600 == 0
    clock.advance(window.reset_at - clock.now() + 0.1)
    assert moments(limits, clock, settings, 4) == [True] * 3 + [False]


def test_a_port_is_never_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    first = server.bound_anywhere()
    port = first.getsockname()[1]
    choices = iter([port, port + 1, port + 2, port + 3])
    monkeypatch.setattr(server.random, "choice", lambda _: next(choices))
    second = server.bound_anywhere()
    with first, second:
        assert second.getsockname()[1] != port
