"""`sitehaul schedule`: when a job is started by itself; `sitehaul job resume`: it goes on after its stop policy."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from flows.cli.job_files import job as job_group
from flows.cli.job_options import JobName, JobOptions, Json
from flows.cli.main import app, common_of

if TYPE_CHECKING:
    from migration.jobs import Job
    from migration.state import JobState
    from tasks.job_schedules import Scheduled


@app.command()
def schedule(
    context: typer.Context,
    name: JobName,
    days: Annotated[str | None, typer.Option(help="everyday, weekdays, weekends, or days by name with commas.")] = None,
    window: Annotated[str | None, typer.Option(help="Hours in which it may run: HH:MM-HH:MM, or none.")] = None,
    at: Annotated[str | None, typer.Option(help="When it is started, instead of a window: HH:MM, or none.")] = None,
    every: Annotated[str | None, typer.Option(help="How often it is started: 15m, 1h, 1d, or none.")] = None,
    times: Annotated[str | None, typer.Option(help="At most so many starts per window or day, or none.")] = None,
    longest: Annotated[str | None, typer.Option(help="The longest one run may take: 2h, or none.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Of all these times, e.g. Europe/Berlin.")] = None,
    start_date: Annotated[str | None, typer.Option("--from", help="The first day, YYYY-MM-DD, or none.")] = None,
    end_date: Annotated[str | None, typer.Option("--to", help="The last day, YYYY-MM-DD, or none.")] = None,
    paused: Annotated[
        bool | None, typer.Option("--paused/--start", help="Whether the first run waits for a person.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Only people start the job from now on.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Only say how it is; change nothing.")] = False,
    json_output: Json = False,
) -> None:
    """Let a job be started by itself: makes or updates the deployment `migrate/NAME` on the Prefect server.

    What the options do not say stays as the job has it (its fields `schedule.*`).
    """
    from flows.cli.ready import ready_server
    from migration.state import JobState
    from tasks.job_schedules import put_schedule, remove_schedule, schedule_of

    common = common_of(context)
    job = JobOptions(name).resolve(common.state_folder)
    state = JobState.of(common.state_folder, name)
    if not show:
        fields = {
            "days": days, "run_at": at, "repeat_interval": every, "repeat_count": times, "max_execution": longest,
            "time_zone": time_zone, "start_date": start_date, "end_date": end_date,
        }  # fmt: skip
        given = {field: text for field, text in fields.items() if text is not None}
        job = _changed(job, given, window=window, paused=paused, manual=remove)
    ready_server(common)
    if show:
        found = schedule_of(name)
    elif remove:
        state.save_job(job, datetime.now(UTC))
        remove_schedule(name)
        found = None
    else:
        state.save_job(job, datetime.now(UTC))
        found = put_schedule(job)
    if json_output:
        print(json.dumps(_document(job, state, found), ensure_ascii=False))
        return
    for line in _lines(job, state, found):
        common.console.print(Text(line), soft_wrap=True)


@job_group.command()
def resume(context: typer.Context, name: JobName) -> None:
    """Let a job go on: counting for its stop policy begins anew, and a paused schedule begins."""
    from flows.cli.standing import known_job
    from migration.executions import load_counters, save_counters
    from migration.state import JobState

    common = common_of(context)
    job = known_job(common.state_folder, name)
    path = JobState.of(common.state_folder, name).executions
    today = datetime.now(job.schedule.zone).date()
    save_counters(path, load_counters(path).resumed(today))
    common.console.print(Text(f"{name} goes on with its next run."))


def _changed(job: "Job", given: dict[str, str], *, window: str | None, paused: bool | None, manual: bool) -> "Job":
    """The job with another schedule. ConfigurationError `job-invalid`."""
    from migration.errors import ConfigurationError
    from migration.job_problems import job_from_values

    values: dict[str, Any] = job.model_dump(mode="json")
    fields: dict[str, Any] = values["schedule"]
    fields |= {field: None if text == "none" else text for field, text in given.items()}
    if window is not None:
        start, separator, end = window.partition("-")
        if window != "none" and not separator:
            raise ConfigurationError("schedule-window", f"--window {window} is not HH:MM-HH:MM.")
        none = window == "none"
        fields |= {"start_window": None if none else start.strip(), "end_window": None if none else end.strip()}
        fields |= {} if none or "run_at" in given else {"run_at": None}
    elif fields["run_at"] is not None and "run_at" in given:
        fields |= {"start_window": None, "end_window": None}
    if paused is not None:
        fields["status"] = "paused" if paused else "start"
    fields["mode"] = "manual" if manual else "auto"
    return job_from_values(values)


def _lines(job: "Job", state: "JobState", found: "Scheduled | None") -> list[str]:
    from migration.executions import load_counters
    from migration.stop_policy import progress
    from migration.windows import described

    lines = [f"{job.name} may run {described(job.schedule)}."]
    if found is None or not found.starts:
        lines.append("Only people start it.")
    else:
        lines.append(f"Prefect starts it as {found.deployment}: {'; '.join(found.starts)}.")
        if found.next_at:
            lines.append(f"Next: {', '.join(f'{one:%Y-%m-%d %H:%M}' for one in found.next_at)} UTC.")
    counters = load_counters(state.executions)
    if job.schedule.status.value == "paused" and not counters.begun_by_person:
        lines.append(f"It is paused: `sitehaul run {job.name}` or `sitehaul job resume {job.name}` begins.")
    done = progress(job.stop_policy, counters)
    return [*lines, f"Stop policy: {done}."] if done else lines


def _document(job: "Job", state: "JobState", found: "Scheduled | None") -> dict[str, Any]:
    from migration.executions import load_counters

    return {
        "job": job.name,
        "schedule": job.schedule.model_dump(mode="json"),
        "deployment": found.deployment if found else None,
        "starts": list(found.starts) if found else [],
        "next_at": [one.isoformat() for one in found.next_at] if found else [],
        "stop_policy": job.stop_policy.model_dump(mode="json"),
        "counters": load_counters(state.executions).to_json(),
    }
