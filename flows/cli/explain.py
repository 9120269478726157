"""`sitehaul explain`: the story of one file or folder, from the files of a job's runs."""

import asyncio
import json
from typing import Annotated

import typer
from rich.text import Text

from flows.cli.exits import ExitCode
from flows.cli.job_options import JobName, Json
from flows.cli.main import app, common_of


@app.command()
def explain(
    context: typer.Context,
    name: JobName,
    entry: Annotated[
        str, typer.Argument(metavar="PATH_OR_ID", help="A path at the source or the destination, or an id.")
    ],
    json_output: Json = False,
) -> int:
    """Say where a file came from, what was decided and tried, and where it is now or why not. Asks no system."""
    from flows.cli.standing import known_job
    from migration.explanation import explain as explained
    from migration.state import JobState
    from reports.explained import to_json, told

    common = common_of(context)
    job = known_job(common.state_folder, name)
    state = JobState.of(common.state_folder, name)
    roots = (job.source.parts, job.destination.parts)
    explanation = asyncio.run(explained(state, entry, roots=roots))
    if json_output:
        print(json.dumps(to_json(explanation), ensure_ascii=False))
    else:
        for line in told(explanation):
            common.console.print(Text(line), soft_wrap=True)
    return ExitCode.DONE if explanation.found else ExitCode.CONFIGURATION
