"""`sitehaul undo`."""

import json
from typing import Annotated

import typer
from rich.text import Text

from flows.cli.exits import ExitCode
from flows.cli.job_options import JobName, Json
from flows.cli.main import app, common_of

SHOWN_MAX = 20


@app.command()
def undo(
    context: typer.Context,
    name: JobName,
    run_id: Annotated[str | None, typer.Option("--run", help="Another run than the last one.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be undone.")] = False,
    json_output: Json = False,
) -> int:
    """Bring back what a job's last run deleted, replaced or renamed, on both sides."""
    from flows.cli.standing import known_job
    from flows.cli.started import run_flow, tell_failure

    common = common_of(context)
    job = known_job(common.state_folder, name)
    with tell_failure(json_output, job.name):
        ending = run_flow(common, "undo", job, run_id=run_id, dry_run=dry_run)
    undone = ending.undone
    if undone is None:
        return ExitCode.PENDING
    if json_output:
        print(json.dumps(undone.to_json(), ensure_ascii=False))
        return ExitCode.FLAGGED if undone.counts["left"] else ExitCode.DONE
    for one in undone.left[:SHOWN_MAX]:
        reason = f" ({one['reason']})" if one["reason"] else ""
        common.console.print(
            Text(f"{one['side']}: {one['path']}: {one['how'].replace('_', ' ')}{reason}"), soft_wrap=True
        )
    return ExitCode.FLAGGED if undone.counts["left"] else ExitCode.DONE
