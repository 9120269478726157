"""`sitehaul children`: what children a company-wide or mapping job has, where each goes, and how each stands."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.cli.job_options import Destination, JobFile, JobName, JobOptions, Json, Set, Source
from flows.cli.main import Common, app, common_of

if TYPE_CHECKING:
    from migration.child_rows import ChildRow
    from migration.jobs import Job
    from migration.mapping import Arrangement, Child


@app.command()
def children(
    context: typer.Context,
    name: JobName,
    source: Source = None,
    destination: Destination = None,
    file: JobFile = None,
    change: Set = None,
    look: Annotated[
        bool, typer.Option("--look", help="Ask the source now, also before the first run; changes nothing.")
    ] = False,
    json_output: Json = False,
) -> None:
    """List the children of a job over many projects or folders: where each goes, and how it stands."""
    from migration.child_rows import load_children
    from migration.child_rules import JobKind
    from migration.errors import ConfigurationError
    from migration.mapping import Arrangement
    from migration.state import JobState

    common = common_of(context)
    job = JobOptions(name, source, destination, file, tuple(change or ())).resolve(common.state_folder)
    if job.kind is JobKind.TRANSFER:
        raise ConfigurationError(
            "no-children",
            f"The job '{name}' has no children.",
            fix="Only the kinds company and folder_mapping have.",
        )
    state = JobState.of(common.state_folder, name)
    arrangement = _looked(common, job) if look else Arrangement(tuple(load_children(state)), ())
    rows = _rows(state)
    found = [_described(job, child, rows.get(child.id)) for child in arrangement.children]
    if json_output:
        print(json.dumps({"job": name, "children": found, "told": arrangement.told}, ensure_ascii=False))
        return
    _show(common, found, arrangement.told)


def _looked(common: Common, job: "Job") -> "Arrangement":
    from flows.cli.ready import ready_server

    ready_server(common)
    return asyncio.run(_look(job))


async def _look(job: "Job") -> "Arrangement":
    from migration.clock import SystemClock
    from tasks.children import look_for_children
    from tasks.connections import load_connection, opened_with_budget

    source = await asyncio.to_thread(load_connection, job.source.connection)
    destination = await asyncio.to_thread(load_connection, job.destination.connection)
    async with (
        opened_with_budget(job.source.connection, source, reserve_percent=job.kept_percent) as reading,
        opened_with_budget(job.destination.connection, destination, reserve_percent=job.kept_percent) as writing,
    ):
        names = writing.connector.capabilities.names
        return await look_for_children(job, reading.connector, names, SystemClock().now())


def _rows(state: Any) -> dict[str, "ChildRow"]:
    """How the children stood in the last run, by id."""
    from migration.child_rows import load_roll, roll_file

    for run in reversed(state.runs()):
        if roll_file(run).is_file():
            return {row.id: row for row in load_roll(roll_file(run)).rows}
    return {}


def _described(job: "Job", child: "Child", row: "ChildRow | None") -> dict[str, Any]:
    folder = "/".join((*job.destination.parts, *child.destination))
    return {
        "job": f"{job.name}/{child.slug}",
        "id": child.id,
        "name": child.name,
        "number": child.number,
        "source": f"{job.source.connection}:{'/'.join(child.source)}",
        "destination": f"{job.destination.connection}:{folder}",
        "state": "paused" if child.paused else row.state if row else "new",
        "paused": child.paused,
        "source_files": row.source_files if row else None,
        "counts": row.files if row else {},
        "calls": row.calls if row else 0,
        "message": row.sentence if row else "",
    }


def _show(common: Common, found: list[dict[str, Any]], told: tuple[str, ...]) -> None:
    if not found:
        common.console.print("No children are known yet; see them with --look, or run the job.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("child", "name", "state", "files", "destination", ""):
        table.add_column(title, overflow="fold")
    for one in found:
        files = "" if one["source_files"] is None else f"{one['source_files']:,}"
        cells = (one["job"], one["name"], one["state"], files, one["destination"], one["message"])
        table.add_row(*[Text(cell) for cell in cells])
    common.console.print(table)
    for sentence in told:
        common.console.print(Text(sentence), soft_wrap=True)
