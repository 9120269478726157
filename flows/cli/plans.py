"""`sitehaul plan` and `apply`: a plan is shown, and carried out exactly as it was shown or not at all."""

import getpass
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from flows.cli.job_options import Anew, Destination, JobFile, JobName, JobOptions, Json, Set, Source
from flows.cli.main import Common, app, common_of
from migration.actions import ActionKind
from migration.errors import PlanError, SiteHaulError

if TYPE_CHECKING:
    from flows.endings import Ending
    from migration.jobs import Job
    from migration.plans import Plan
    from reports.plan_view import PlanView, ShownAction

SHOWN = 10
"""How many actions of each list are shown; files given with --out hold more."""
_STYLES = {"+": "green", "~": "yellow", ">": "cyan", "-": "bold red"}

Out = Annotated[
    Path | None,
    typer.Option(help="Also write the plan: a file ending in .html or .csv, or a folder that gets both."),
]


@app.command()
def plan(
    context: typer.Context,
    name: JobName,
    source: Source = None,
    destination: Destination = None,
    file: JobFile = None,
    change: Set = None,
    out: Out = None,
    anew: Anew = False,
    json_output: Json = False,
) -> int:
    """Decide what a run would do and what it costs, and show it. Changes nothing; the next run does exactly this."""
    from flows.cli.started import exit_code, run_flow, tell_failure
    from migration.plans import Plan
    from reports.plan_report import write_plan
    from reports.plan_view import view_of

    common = common_of(context)
    job = JobOptions(name, source, destination, file, tuple(change or ())).resolve(common.state_folder)
    with tell_failure(json_output, job.name):
        ending = run_flow(common, "plan", job, plan_anew=anew)
        has_plan = ending.run is not None and ending.run.plan_summary.is_file()
        planned = Plan.load(ending.run) if ending.run is not None and has_plan else None
        view = view_of(planned, job) if planned else None
        written = write_plan(planned, view, out) if planned and view and out else []
    if view is None:
        return tell_ending(common, ending, json_output)
    show_plan(common.console, view)
    for path in written:
        common.console.print(Text(f"Written: {path}"), soft_wrap=True)
    if json_output:
        print(json.dumps(ending.to_json() | {"plan": _document(view)}, ensure_ascii=False))
    return exit_code(ending)


@app.command()
def apply(
    context: typer.Context,
    name: JobName,
    plan_id: Annotated[str, typer.Argument(help="The plan's id, or the beginning of it.")],
    accept_drift: Annotated[
        bool,
        typer.Option("--accept-drift", help="Even if something changed since; what is not as planned is flagged."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Outside of the job's window, or although its stop policy was reached.")
    ] = False,
    note: Annotated[str, typer.Option(help="Kept with the run.")] = "",
    json_output: Json = False,
) -> int:
    """Carry out exactly this plan; refused if it is not the latest, is too old, or something it touches changed."""
    from flows.cli.standing import known_job

    common = common_of(context)
    job = known_job(common.state_folder, name)
    return _applied(common, job, plan_id, json_output, accept_drift=accept_drift, force=force, note=note)


def run_and_ask(common: Common, job: "Job", approve: str | None, json_output: bool, **parameters: Any) -> int:
    """Run a job whose plans need approval: show the plan, ask, and carry it out if the answer is yes."""
    from flows.cli.ready import ready_server
    from flows.cli.started import run_flow, tell_failure

    with tell_failure(json_output, job.name):
        ready_server(common)
    from flows.approval import PAUSES, WaitsForApproval
    from reports.plan_view import view_of

    token = PAUSES.set(False)
    try:
        with tell_failure(json_output, job.name):
            ending = run_flow(common, "migrate", job, **parameters)
    finally:
        PAUSES.reset(token)
    if not isinstance(ending.stopped, WaitsForApproval):
        return tell_ending(common, ending, json_output)
    waiting = ending.stopped.plan
    view = view_of(waiting, job)
    show_plan(common.console, view)
    with tell_failure(json_output, job.name):
        if not _approved(waiting, approve, may_ask=not json_output and sys.stdin.isatty()):
            common.console.print(
                Text(f"Not approved; nothing was changed. Later: {view.apply_command}"), soft_wrap=True
            )
            return tell_ending(common, ending, json_output, plan=_document(view))
    return _applied(common, job, waiting.summary.plan_id, json_output, force=parameters.get("force", False))


def _approved(waiting: "Plan", approve: str | None, *, may_ask: bool) -> bool:
    if approve:
        if waiting.summary.plan_id.startswith(approve):
            return True
        raise PlanError(
            "plan-not-latest",
            f"The plan {approve} is not the one that would be carried out now: that is {waiting.summary.plan_id[:12]}.",
            fix="Look at it: sitehaul plan " + waiting.summary.job,
        )
    return may_ask and typer.confirm("Carry out exactly this?", default=False, err=True)


def _applied(common: Common, job: "Job", plan_id: str, json_output: bool, **how: Any) -> int:
    from flows.cli.started import run_flow, tell_failure

    def drift(error: SiteHaulError) -> dict[str, Any]:
        return {"drift": _drift_found(job)} if error.code == "plan-drifted" else {}

    with tell_failure(json_output, job.name, also=drift):
        ending = run_flow(common, "apply", job, plan_id=plan_id, approved_by=_user(), **how)
    return tell_ending(common, ending, json_output)


def _drift_found(job: "Job") -> Any:
    from tasks.last_runs import last_planned_run
    from tasks.plan_steps import drift_file
    from tasks.session import job_state

    return json.loads(drift_file(last_planned_run(job_state(job.name))).read_text("utf-8"))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown user"


def tell_ending(common: Common, ending: "Ending", json_output: bool, **more: Any) -> int:
    """Print the end of a flow for scripts, or where its report is for people; the exit code."""
    from flows.cli.started import exit_code

    if json_output:
        print(json.dumps(ending.to_json() | more, ensure_ascii=False))
    elif ending.run is not None and ending.run.report.is_file():
        common.console.print(Text(f"Report: {ending.run.report}"), soft_wrap=True)
    return exit_code(ending)


def _document(view: "PlanView") -> dict[str, Any]:
    from migration.plan_format import summary_to_json

    return summary_to_json(view.summary) | view.to_json()


def show_plan(console: Console, view: "PlanView") -> None:
    """The plan at a glance."""
    summary = view.summary

    def line(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    line(f"Plan {summary.plan_id[:12]} of the job {view.job.name} ({view.job.transfer_type.value})", "bold")
    for side in view.sides:
        line(f"  {side.side.value:<11}  {side.place}  {side.sentence}")
    for kind, word in ((ActionKind.SKIP, "skipped"), (ActionKind.FLAG, "needs a person")):
        for reason, count in view.left_out(kind):
            line(f"  {word}: {count:,} {reason}")
    if summary.renamed:
        line(f"  {summary.renamed:,} files get another name or path at the destination")
    line(f"  about {summary.forecast.calls:,} API calls, {view.time_sentence}")
    for warning in summary.warnings:
        line(f"  ! {warning}", "yellow")
    if 0 < view.changes <= SHOWN:
        _show_actions(console, "All of it", view.first)
    elif view.changes:
        _show_actions(console, "First", view.first)
        _show_actions(console, "Most dangerous, then largest", view.dangerous)
    if view.changes:
        line(f"To carry out exactly this: {view.apply_command}")


def _show_actions(console: Console, title: str, actions: "Sequence[ShownAction]") -> None:
    from reports.words import size

    console.print(Text(f"{title}:"))
    for action in actions[:SHOWN]:
        text = Text("  ")
        text.append(f"{action.sign} ", style=_STYLES.get(action.sign, ""))
        text.append(action.what if action.side == "destination" else f"[source] {action.what}")
        if action.size_bytes is not None:
            text.append(f"  {size(action.size_bytes)}", style="dim")
        if action.why:
            text.append(f"  {action.why}", style="dim")
        console.print(text, soft_wrap=True)
