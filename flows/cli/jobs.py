"""`sitehaul analyze`, `plan`, `run`, `verify`, `status` and `report`."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.cli.job_options import Destination, JobFile, JobName, JobOptions, Set, Source
from flows.cli.main import Common, app, common_of

if TYPE_CHECKING:
    from flows.endings import Ending
    from migration.jobs import Job
    from migration.plan_format import PlanSummary

Anew = Annotated[bool, typer.Option("--anew", help="Do not continue an unfinished run; analyze and plan again.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts.")]


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
def plan(
    context: typer.Context,
    name: JobName,
    source: Source = None,
    destination: Destination = None,
    file: JobFile = None,
    change: Set = None,
    anew: Anew = False,
    json_output: Json = False,
) -> int:
    """Decide what a run would do and what it costs. Changes nothing; the next run does exactly this."""
    common = common_of(context)
    job = JobOptions(name, source, destination, file, tuple(change or ())).resolve(common.state_folder)
    return _run(common, "plan", job, json_output, plan_anew=anew)


@app.command()
def run(
    context: typer.Context,
    name: JobName,
    source: Source = None,
    destination: Destination = None,
    file: JobFile = None,
    change: Set = None,
    anew: Anew = False,
    json_output: Json = False,
) -> int:
    """Analyze, plan, transfer, verify and report; an unfinished run is continued."""
    common = common_of(context)
    job = JobOptions(name, source, destination, file, tuple(change or ())).resolve(common.state_folder)
    return _run(common, "migrate", job, json_output, plan_anew=anew)


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
    from reports.run_report import write_report

    common = common_of(context)
    job = _known_job(common, name)
    print(write_report(run_of(common.state_folder, name, run_id), job=job))


def _run(common: Common, flow: str, job: "Job", json_output: bool, **parameters: Any) -> int:
    from flows.cli.started import exit_code, run_flow, tell_failure

    with tell_failure(json_output, job.name):
        ending = run_flow(common, flow, job, **parameters)
    summary = _plan_of(ending) if flow == "plan" else None
    if summary is not None:
        _show_plan(common, summary)
    if json_output:
        from migration.plan_format import summary_to_json

        document = ending.to_json() | ({"plan": summary_to_json(summary)} if summary else {})
        print(json.dumps(document, ensure_ascii=False))
    elif ending.run is not None and ending.run.report.is_file():
        common.console.print(Text(f"Report: {ending.run.report}"), soft_wrap=True)
    return exit_code(ending)


def _known_job(common: Common, name: str) -> "Job":
    from flows.cli.standing import known_job

    return known_job(common.state_folder, name)


def _plan_of(ending: "Ending") -> "PlanSummary | None":
    from migration.plans import Plan

    return Plan.load(ending.run).summary if ending.run is not None else None


def _show_plan(common: Common, summary: "PlanSummary") -> None:
    """The plan's reasons and warnings; its totals are in the flow's own sentence."""
    words = {"copy": "copy", "skip": "skip", "flag": "needs a person", "make_folder": "make folder"}
    for kind, reasons in sorted(summary.reasons.items()):
        for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
            common.console.print(Text(f"  {words.get(kind, kind)}: {count:,} {reason.replace('-', ' ')}"))
    if summary.renamed:
        common.console.print(f"  {summary.renamed:,} files get another name or path at the destination")
    if summary.forecast.hours:
        common.console.print(f"  about {summary.forecast.hours:g} hours, because of the hourly API calls")
    for warning in summary.warnings:
        common.console.print(Text(f"  ! {warning}", style="yellow"), soft_wrap=True)
