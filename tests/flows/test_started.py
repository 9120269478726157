from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from flows.cli.exits import ExitCode, exit_code_of
from flows.cli.main import Common, Leaving
from flows.cli.started import _carried_out
from migration.errors import FatalError
from migration.jobs import Job, Location

JOB = Job(name="any", source=Location(connection="a"), destination=Location(connection="b"))


def raised_from(cause: Exception) -> Exception:
    error = RuntimeError("Failed to reach API at http://127.0.0.1:1/api/")
    error.__cause__ = cause
    return error


def through(tmp_path: Path, error: Exception) -> Common:
    """A flow that Prefect ends with this error before it has begun."""
    common = Common(home=tmp_path, debug=False, console=Console(quiet=True), leaving=Leaving())

    async def flow(job: Job, **_named: Any) -> None:
        raise error

    _carried_out(common, flow, JOB, {})
    return common


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("no"), httpx.ReadTimeout("late"), raised_from(httpx.ConnectError("no"))]
)
def test_a_server_that_died_before_the_flow_began_is_said_and_is_no_bug(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(FatalError) as told:
        through(tmp_path, error)
    assert told.value.code == "prefect-server-gone"
    assert exit_code_of(told.value) is ExitCode.STOPPED_BY_ERROR


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), raised_from(ValueError("a mistake"))])
def test_a_mistake_stays_one(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(RuntimeError) as told:
        through(tmp_path, error)
    assert told.value is error
