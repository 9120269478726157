"""`sitehaul analyze`, `run`, `verify`, `status` and `report`."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.cli.job_options import Anew, Destination, JobFile, JobName, JobOptions, Json, Set, Source
from flows.cli.main import Common, app, common_of

if TYPE_CHECKING:
    from migration.jobs import Job


@app.command()
def analyze(
    context: typer.Context,
    name: JobName,
    source: Source = None,
    destination: Destination = None,
    file: JobFile = None,
    change: Set = None,
    anew: Anew = False,
    json_output: Json = False,
) -> int:
    """List a job's source into an inventory (Parquet) and report on it. Changes nothing."""
    common = common_of(context)
    options = JobOptions(name, source, destination, file, tuple(change or ()), needs_destination=False)
    return _run(common, "analyze", options.resolve(common.state_folder), json_output, plan_anew=anew)


@app.command()
def run(
    context: typer.Context,
    name: JobName,
    source: Source = None,
    destination: Destination = None,
    file: JobFile = None,
    change: Set = None,
    anew: Anew = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Do everything but the writes; real runs know nothing of it.")
    ] = False,
    approve: Annotated[
        str | None,
        typer.Option(help="The id of a plan, where the job's plans need approval: carry it out without asking."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run outside of the job's window, or although its stop policy was reached.")
    ] = False,
    json_output: Json = False,
) -> int:
    """Analyze, plan, transfer, verify and report; an unfinished run is continued. A job with children does so with each
    of them."""
    from migration.child_rules import JobKind

    common = common_of(context)
    job = JobOptions(name, source, destination, file, tuple(change or ())).resolve(common.state_folder)
    if job.require_approval and job.kind is JobKind.TRANSFER and not (simulate or job.simulation_mode):
        from flows.cli.plans import run_and_ask

        return run_and_ask(common, job, approve, json_output, plan_anew=anew, force=force)
    return _run(common, "migrate", job, json_output, plan_anew=anew, simulate=simulate, force=force)


@app.command()
def verify(
    context: typer.Context,
    name: JobName,
    only_this_run: Annotated[
        bool, typer.Option("--only-this-run", help="Only what the last run copied, not what was there before.")
    ] = False,
    json_output: Json = False,
) -> int:
    """List and hash the destination of a job's last run again, independently. Changes nothing."""
    common = common_of(context)
    job = _known_job(common, name)
    return _run(common, "verify", job, json_output, everything=not only_this_run)


@app.command()
def status(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only this job.")] = None,
    json_output: Json = False,
) -> None:
    """Say how the jobs stand: their last runs, and what is pending."""
    from flows.cli.standing import job_standings
    from tasks.server import server_status, worker_status

    common = common_of(context)
    jobs = job_standings(common.state_folder, name)
    server, worker = server_status(common.home), worker_status(common.home)
    if json_output:
        print(json.dumps({
            "home": str(common.home),
            "server": {"running": server.running, "api_url": server.api_url, "ui_url": server.ui_url},
            "worker": {"running": worker.running},
            "jobs": [job.to_json() for job in jobs],
        }, ensure_ascii=False))  # fmt: skip
        return
    common.console.print(Text(f"Prefect server: {server.ui_url if server.running else 'not running'}"), soft_wrap=True)
    common.console.print(f"Worker: {'running' if worker.running else 'not running'}")
    if not jobs:
        common.console.print("No jobs yet; see `sitehaul run --help`.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("job", "state", "run", "files", "done", "pending", "need a person", ""):
        table.add_column(title, overflow="fold")
    for job in jobs:
        table.add_row(*[Text(cell) for cell in job.cells()])
    common.console.print(table)


@app.command()
def report(
    context: typer.Context,
    name: JobName,
    run_id: Annotated[str | None, typer.Option("--run", help="Another run than the last one.")] = None,
) -> None:
    """Write the report of a job's last run again, and print where it is."""
    from flows.cli.standing import run_of
    from migration.child_rules import JobKind
    from reports.children_report import write_children_report
    from reports.run_report import write_report

    common = common_of(context)
    job = _known_job(common, name)
    write = write_report if job.kind is JobKind.TRANSFER else write_children_report
    print(write(run_of(common.state_folder, name, run_id), job=job))


def _run(common: Common, flow: str, job: "Job", json_output: bool, **parameters: Any) -> int:
    from flows.cli.plans import tell_ending
    from flows.cli.started import run_flow, tell_failure

    with tell_failure(json_output, job.name):
        ending = run_flow(common, flow, job, **parameters)
    return tell_ending(common, ending, json_output)


def _known_job(common: Common, name: str) -> "Job":
    from flows.cli.standing import known_job

    return known_job(common.state_folder, name)
