"""`sitehaul job …`: jobs as files. List, show, change, compare and import them; their schema and fields."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from flows.cli.job_options import JobName, Json
from flows.cli.main import Common, app, common_of
from migration.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migration.job_changes import JobChange
    from migration.jobs import Job
    from migration.state import JobState

job = typer.Typer(no_args_is_help=True, help="Show, change, compare and import jobs.")
app.add_typer(job, name="job")

Version = Annotated[int | None, typer.Option("--version", help="As it was at this version (see `job list`).")]


@job.command("list")
def list_jobs(context: typer.Context, json_output: Json = False) -> None:
    """Show the jobs: what each does, how often it was changed, how its last run stands."""
    from rich.table import Table

    from flows.cli.standing import job_standings, known_job
    from migration.state import JobState

    common = common_of(context)
    rows = []
    for standing in job_standings(common.state_folder):
        one = known_job(common.state_folder, standing.job)
        versions = JobState.of(common.state_folder, standing.job).version_numbers()
        rows.append({
            "job": standing.job, "kind": one.kind.value, "transfer_type": one.transfer_type.value,
            "source": _end(one.source.connection, one.source.path),
            "destination": _end(one.destination.connection, one.destination.path),
            "version": versions[-1] if versions else None, "state": standing.state,
        })  # fmt: skip
    if json_output:
        print(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        common.console.print("No jobs yet; see `sitehaul run --help` and `sitehaul job import --help`.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in rows[0]:
        table.add_column(title.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*[Text("" if cell is None else str(cell)) for cell in row.values()])
    common.console.print(table)


@job.command()
def show(
    context: typer.Context,
    name: JobName,
    json_output: Annotated[bool, typer.Option("--json", help="As JSON, with every field.")] = False,
    _yaml: Annotated[bool, typer.Option("--yaml", help="As YAML (this is the default).")] = False,
    everything: Annotated[bool, typer.Option("--all", help="With the fields that have their defaults.")] = False,
    version: Version = None,
) -> None:
    """Print a job as a job file: what it says beyond the defaults, or with --all every field."""
    from migration.job_files import job_as_yaml

    state = state_of(common_of(context), name)
    shown = state.load_job() if version is None else state.load_version(version)[0]
    if json_output:
        print(json.dumps(shown.model_dump(mode="json"), ensure_ascii=False))
    else:
        print(job_as_yaml(shown, everything=everything), end="")


@job.command("set")
def set_fields(
    context: typer.Context,
    name: JobName,
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="FIELD=VALUE...", help="e.g. rules.deletes.count_max=5 or rules.filter.exclude+=*.tmp or schedule="
        ),
    ],
    json_output: Json = False,
) -> None:
    """Change fields of a job for all its later runs, and say what that leads to."""
    from migration.job_problems import job_from_values
    from migration.job_set import set_field

    common = common_of(context)
    before = state_of(common, name).load_job()
    values = before.model_dump(mode="json")
    for change in changes:
        set_field(values, change, option="")
    _take(common, name, before, job_from_values(values, what=f"The job '{name}'"), json_output=json_output)


@job.command()
def edit(context: typer.Context, name: JobName) -> None:
    """Change a job in your editor ($VISUAL, $EDITOR); it is taken when it is valid."""
    from migration.job_files import job_as_yaml, load_job_file

    common = common_of(context)
    state = state_of(common, name)
    before = state.load_job()
    text = job_as_yaml(before, comment=f"The job {name}. All fields: sitehaul job fields, or docs/jobs.md.")
    path = state.folder / "edited.yaml"
    path.write_text(text, "utf-8")
    _edited(path)
    try:
        after = load_job_file(path, name=name)
    except ConfigurationError as error:
        fix = f"Nothing was changed. Mend it, then: sitehaul job import {path}"
        raise ConfigurationError(error.code, error.message, fix=fix) from None
    _take(common, name, before, after, json_output=False)
    path.unlink()


@job.command("import")
def import_job(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A job file (YAML or JSON), or the body of a DryvIQ `POST v1/jobs`.")],
    name: Annotated[str | None, typer.Option(help="Another name than the file says.")] = None,
    source_connection: Annotated[
        str | None, typer.Option(help="DryvIQ: the saved connection that its source's number stands for.")
    ] = None,
    destination_connection: Annotated[str | None, typer.Option(help="DryvIQ: the same for its destination.")] = None,
    out: Annotated[Path | None, typer.Option(help="DryvIQ: the job file to write (default NAME.yaml here).")] = None,
    json_output: Json = False,
) -> None:
    """Take a job file as a job; or make a job file of a DryvIQ job and report every field of it.

    A job that exists is changed, and what that leads to is said. Of a DryvIQ job a YAML file is written for you to look
    at; nothing else is changed.
    """
    from migration.dryviq import is_dryviq
    from migration.job_files import read_job_file
    from migration.job_problems import job_from_values

    common = common_of(context)
    read = read_job_file(file)
    if is_dryviq(read.values) and not read.problems:
        from flows.cli.dryviq_import import import_dryviq

        import_dryviq(
            common, read.values, name=name, source_connection=source_connection,
            destination_connection=destination_connection, out=out, json_output=json_output,
        )  # fmt: skip
        return
    if name is not None:
        read.values["name"] = name
    after = job_from_values(read.values, read=read, what=str(file))
    before = _known(common, after.name)
    _take(common, after.name, before, after, json_output=json_output)


@job.command()
def diff(
    context: typer.Context,
    name: JobName,
    file: Annotated[Path | None, typer.Argument(help="Compare the job with this file.")] = None,
    version: Annotated[int | None, typer.Option("--version", help="Compare this earlier version with the job.")] = None,
    json_output: Json = False,
) -> None:
    """Say what changed in a job since its last run (or a version), or what a file would change, and what follows."""
    from migration.job_files import load_job_file
    from migration.runs import changes_between

    common = common_of(context)
    state = state_of(common, name)
    now = state.load_job()
    if file is not None:
        before, after, words = now, load_job_file(file, name=name), f"{file} would change"
    else:
        number = version if version is not None else _version_of_last_run(state)
        since = "the last run" if version is None else f"version {version}"
        before, after, words = state.load_version(number)[0], now, f"changed since {since}"
    _tell(common, name, changes_between(before, after), words=words, json_output=json_output)


@job.command()
def schema() -> None:
    """Print the JSON Schema of job files, for editors and other programs."""
    from migration.job_documents import schema_text

    print(schema_text(), end="")


@job.command()
def fields(
    into: Annotated[Path | None, typer.Option(help="Renew the fields in this document instead of printing.")] = None,
) -> None:
    """Print every field of a job with what it takes and its default, as Markdown."""
    from migration.job_documents import fields_text, with_fields

    if into is None:
        print(fields_text(), end="")
    else:
        into.write_text(with_fields(into.read_text("utf-8")), "utf-8")


def _edited(path: Path) -> None:
    """Let the operator's editor work on the file. ConfigurationError `no-editor` if it cannot, or fails."""
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    try:
        ended: int | str = subprocess.run([*words, str(path)], check=False).returncode  # noqa: S603 - the operator's own choice
    except OSError as error:
        ended = error.strerror or str(error)
    if ended != 0:
        raise ConfigurationError(
            "no-editor",
            f"The editor '{words[0]}' ended with: {ended}. Nothing was changed.",
            fix="Name one in $EDITOR.",
        )


def state_of(common: Common, name: str) -> "JobState":
    """The state of a job that exists under this very name. ConfigurationError `job-not-found`."""
    from flows.cli.standing import known_job
    from migration.state import JobState

    if known_job(common.state_folder, name).name != name:
        raise ConfigurationError("job-not-found", f"There is no job '{name}'.")
    return JobState.of(common.state_folder, name)


def _known(common: Common, name: str) -> "Job | None":
    from migration.state import JobState

    state = JobState.of(common.state_folder, name)
    return state.load_job() if state.job_file.is_file() else None


def _take(common: Common, name: str, before: "Job | None", after: "Job", *, json_output: bool) -> None:
    """Record the changed job and tell the changes. The name stays: state and reports are found by it."""
    from migration.clock import SystemClock
    from migration.runs import changes_between
    from migration.state import JobState

    if after.name != name:
        raise ConfigurationError(
            "job-name-changed", f"The job '{name}' is called '{after.name}' now.", fix="Use `sitehaul job rename`."
        )
    number = JobState.of(common.state_folder, name).save_job(after, SystemClock().now())
    changes = changes_between(before, after) if before is not None else ()
    if before is None and not json_output:
        common.console.print(Text(f"{name} is a job now. Next: sitehaul plan {name}"), soft_wrap=True)
        return
    _tell(common, name, changes, words=f"changed; it is version {number}", json_output=json_output)


def _tell(common: Common, name: str, changes: "Sequence[JobChange]", *, words: str, json_output: bool) -> None:
    if json_output:
        listed = [
            {"field": one.field, "before": one.before, "after": one.after, "effect": one.effect} for one in changes
        ]
        print(json.dumps({"job": name, "changes": listed}, ensure_ascii=False))
        return
    if not changes:
        common.console.print(Text(f"{name}: nothing {words.split(';')[0]}."), soft_wrap=True)
        return
    common.console.print(Text(f"{name}: {words}"), soft_wrap=True)
    for change in changes:
        line = Text.assemble(f"  {change}", (f"  ({change.effect})", "dim"))
        common.console.print(line, soft_wrap=True)


def _version_of_last_run(state: "JobState") -> int:
    from migration.runs import RunRecord

    for run in reversed(state.runs()):
        if run.run_record.is_file():
            number = RunRecord.load(run).job_version
            if number is not None:
                return number
    raise ConfigurationError(
        "run-not-found", f"The job '{state.job_name}' has not been run yet.", fix="Name a version: --version 1"
    )


def _end(connection: str, path: str) -> Any:
    return f"{connection}:{path}"
