"""`sitehaul up`, `down`, `budget` and `simulator`: the processes around the runs."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from flows.cli.main import Common, app, common_of
from migration.errors import ConfigurationError


@app.command()
def up(
    context: typer.Context,
    worker: Annotated[bool, typer.Option(help="Start the local worker that runs deployments.")] = True,
) -> None:
    """Start the local Prefect server with the flows as deployments, and a worker that runs them."""
    from flows.cli.ready import ready_server
    from tasks.server import deploy_all, start_worker

    common = common_of(context)
    server = ready_server(common)
    common.console.print(Text(f"Prefect: {server.ui_url}"), soft_wrap=True)
    with common.console.status("Making the deployments …"):
        deployments = deploy_all(common.home)
    common.console.print(Text("Deployments: " + ", ".join(deployments)), soft_wrap=True)
    if worker:
        status = start_worker(common.home)
        common.console.print(Text(f"The worker runs (process {status.pid}, log {status.log})."), soft_wrap=True)
    common.console.print(
        "Run a job from its form under Deployments, or switch a deployment's schedule on. `sitehaul down` ends it all."
    )


@app.command()
def down(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Option(help="The folder of a `sitehaul demo`: end its simulated Procore, too.")
    ] = None,
) -> None:
    """Stop the local worker and the local Prefect server. Nothing is deleted."""
    from flows.cli.simulated import SimulatedProcore
    from tasks.server import stop_server, stop_worker

    common = common_of(context)
    home = demo_home(folder) if folder else common.home
    stopped = []
    if stop_worker(home):
        stopped.append("worker")
    if folder is not None and SimulatedProcore(folder.absolute() / "procore").stop():
        stopped.append("simulated Procore")
    if stop_server(home):
        stopped.append("Prefect server")
    common.console.print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")


def demo_home(folder: Path) -> Path:
    """Where a demo in this folder keeps its server and its state."""
    return folder.absolute() / "home"


@app.command()
def budget(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only this connection.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts.")] = False,
) -> None:
    """Say how many API calls are left, who holds them and when they return."""
    from flows.cli.budgets import budgets_of, show_budget
    from flows.cli.ready import ready_server

    common = common_of(context)
    ready_server(common)
    budgets = budgets_of(name)
    if json_output:
        print(json.dumps([one.to_json() for one in budgets], ensure_ascii=False))
        return
    for one in budgets:
        show_budget(common.console, one)
    if not budgets:
        common.console.print("No connection has an API budget; see `sitehaul connect procore --help`.")


@app.command()
def simulator(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Option(help="Where its world is kept; the same folder continues it. Default: in the home.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Which world; the same seed gives the same one.")] = None,
    files: Annotated[int | None, typer.Option(help="Files in the first project.")] = None,
    max_file_bytes: Annotated[int | None, typer.Option(help="Largest file; 0 = no limit (one beyond 4 GiB).")] = None,
    projects: Annotated[int | None, typer.Option(help="How many projects.")] = None,
    further_files: Annotated[int | None, typer.Option(help="Files in each other project.")] = None,
    latency_ms: Annotated[float | None, typer.Option(help="Added to every answer.")] = None,
    switch: Annotated[list[str] | None, typer.Option(help="name=value of a switch; may be repeated.")] = None,
    faults: Annotated[Path | None, typer.Option(help="A fault script (JSON).")] = None,
) -> None:
    """Be a Procore on loopback until it is stopped with Ctrl-C. Connect to it: sitehaul connect procore NAME
    --simulator FOLDER."""
    common = common_of(context)
    place = (folder or common.home / "simulator").expanduser().absolute()
    place.mkdir(parents=True, exist_ok=True)
    given = {
        "seed": seed,
        "files": files,
        "max-file-bytes": max_file_bytes,
        "projects": projects,
        "further-files": further_files,
        "latency-ms": latency_ms,
        "faults": faults,
    }
    words = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    words += [word for assignment in switch or () for word in ("--switch", assignment)]
    _become_simulator(common, place, words)


def _become_simulator(common: Common, place: Path, words: list[str]) -> None:
    import importlib.util

    if importlib.util.find_spec("starlette") is None or importlib.util.find_spec("simulator") is None:
        raise ConfigurationError(
            "simulator-not-installed",
            "The simulator's own dependencies are not installed.",
            fix="Install SiteHaul with the extra: pip install 'sitehaul[simulator]'",
        )
    common.console.print(Text(f"Connect to it: sitehaul connect procore NAME --simulator {place}"), soft_wrap=True)
    sys.stdout.flush()
    os.execv(  # noqa: S606 - becoming the process is the point
        sys.executable, [sys.executable, "-m", "simulator", "--folder", str(place), *words]
    )
