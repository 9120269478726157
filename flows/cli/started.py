"""A flow is started in this process: its server first, then the flow under somebody's eyes, then the exit code."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.text import Text

from flows.cli.exits import ExitCode
from flows.cli.lean import give_memory_back, leave_pandas_out
from flows.cli.main import Common
from flows.cli.ready import ready_server
from flows.endings import Ending, EndState
from migration.child_rules import JobKind
from migration.errors import ConfigurationError, FatalError, SiteHaulError
from migration.jobs import Job
from tasks.session import watched

_CODES = {
    EndState.DONE: ExitCode.DONE,
    EndState.FLAGGED: ExitCode.FLAGGED,
    EndState.PENDING: ExitCode.PENDING,
    EndState.WRONG: ExitCode.DOES_NOT_ADD_UP,
}
_STYLES = {
    EndState.DONE: "bold green",
    EndState.FLAGGED: "bold yellow",
    EndState.PENDING: "bold yellow",
    EndState.WRONG: "bold red",
    EndState.FAILED: "bold red",
}

FlowName = str
_FLOWS = ("analyze", "migrate", "plan", "verify")


def run_flow(common: Common, name: FlowName, job: Job, **parameters: Any) -> Ending:
    """Run a flow to its end and say how it ended.

    Raises what stopped it when that was an error, so that it is told and becomes the exit code as any other.
    """
    if job.kind is not JobKind.TRANSFER:
        name, parameters = "company", _for_children(name, parameters)
    give_memory_back()
    leave_pandas_out()
    ready_server(common)
    ending = _carried_out(common, _flow(name), job, parameters)
    if ending.error is not None:
        raise ending.error
    common.console.print(Text(ending.sentence, style=_STYLES[ending.state]), soft_wrap=True)
    return ending


def _for_children(name: FlowName, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with which the flow `company` does with every child what the flow of this name does with one."""
    if name not in _FLOWS:
        raise ConfigurationError(
            "not-for-many", f"'{name}' works on one job, not on one with children.", fix="Name a child: PARENT/CHILD."
        )
    kept = ("plan_anew", "simulate", "force")
    return {"what": name} | {key: value for key, value in parameters.items() if key in kept}


def exit_code(ending: Ending) -> ExitCode:
    """The exit code of a flow that ended without an error."""
    return _CODES[ending.state]


def _flow(name: FlowName) -> Callable[..., Awaitable[Any]]:
    import importlib

    flow: Callable[..., Awaitable[Any]] = getattr(importlib.import_module(f"flows.{name}"), name)
    return flow


def _carried_out(common: Common, flow: Callable[..., Awaitable[Any]], job: Job, parameters: dict[str, Any]) -> Ending:
    from flows.cli.watching import on_console
    from flows.running import LISTENER

    endings: list[Ending] = []
    with on_console(common.console) as watcher, watched(watcher):
        token = LISTENER.set(endings.append)
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(_to_its_end(flow, job, parameters))
        except Exception as error:
            if not _means_that_prefect_is_gone(error):
                raise
            common.leaving.at_once = True
            if not endings:
                raise FatalError(
                    "prefect-server-gone",
                    f"The Prefect server stopped answering ({type(error).__name__}).",
                    fix="Run the same command again; the local server is started again and the run continues.",
                ) from error
            incomplete = "The Prefect server stopped answering; its record of this run is incomplete."
            common.console.print(Text(incomplete, style="yellow"), soft_wrap=True)
        finally:
            LISTENER.reset(token)
    if not endings:
        raise FatalError("flow-not-run", "Prefect ended the flow before it began.", fix="See the flow run in its UI.")
    return endings[-1]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's event loop: a third less processor time for a small file. Python's own where uvloop does not exist."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _means_that_prefect_is_gone(error: Exception) -> bool:
    import httpx
    from prefect.exceptions import PrefectException

    from tasks.asking import nobody_answered

    return nobody_answered(error) or isinstance(error, (httpx.HTTPError, PrefectException, OSError))


async def _to_its_end(flow: Callable[..., Awaitable[Any]], job: Job, parameters: dict[str, Any]) -> None:
    from tasks.keeping import server_kept_running

    async with server_kept_running():
        await flow(job, **parameters, return_state=True)


@contextmanager
def tell_failure(
    json_output: bool, job: str, also: Callable[[SiteHaulError], dict[str, Any]] | None = None
) -> Iterator[None]:
    """With --json an error is a document on standard output, too, before it is told to people and ends the process.

    `also` gives what else the document holds."""
    try:
        yield
    except SiteHaulError as error:
        if json_output:
            document = {"job": job, "state": EndState.FAILED.value, "code": error.code, "message": error.message}
            more = also(error) if also else {}
            print(json.dumps(document | {"fix": error.fix} | more, ensure_ascii=False))
        raise
