"""`sitehaul job rename`, `remove` and `reset`: what a job has behind it is moved, removed or forgotten."""

import asyncio
import shutil
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from flows.cli.job_files import job, state_of
from flows.cli.job_options import JobName
from flows.cli.main import Common, common_of
from migration.errors import ConfigurationError

if TYPE_CHECKING:
    from migration.state import JobState

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@job.command()
def rename(
    context: typer.Context, name: JobName, new_name: Annotated[str, typer.Argument(help="The job's new name.")]
) -> None:
    """Give a job another name, with all its runs and reports. An unfinished run is planned anew."""
    from migration.clock import SystemClock
    from migration.job_problems import job_from_values
    from migration.runs import job_lock
    from migration.state import JobState

    common = common_of(context)
    state = state_of(common, name)
    renamed = job_from_values(state.load_job().model_dump(mode="json") | {"name": new_name}, what=f"The job '{name}'")
    new = JobState.of(common.state_folder, new_name)
    _refuse_parents(state, "renamed")
    with job_lock(state, SystemClock().now()):
        if new.folder.exists():
            raise ConfigurationError("job-exists", f"There is a job '{new_name}' already.")
        new.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        state.folder.rename(new.folder)
        new.save_job(renamed, SystemClock().now())
    common.console.print(Text(f"{name} is called {new_name} now."), soft_wrap=True)


@job.command()
def remove(context: typer.Context, name: JobName, yes: Yes = False) -> None:
    """Remove a job with its runs, reports and baseline. What it copied stays; what it deleted cannot be undone then."""
    from migration.clock import SystemClock
    from migration.runs import job_lock

    common = common_of(context)
    state = state_of(common, name)
    _refuse_parents(state, "removed")
    runs = len(state.runs())
    question = f"Remove the job {name} with its {runs} runs, their reports, and what `sitehaul undo` needs?"
    _ask(question, yes=yes)
    with job_lock(state, SystemClock().now()):
        shutil.rmtree(state.folder)
    common.console.print(Text(f"The job {name} is gone. What it copied is where it was."), soft_wrap=True)


@job.command()
def reset(
    context: typer.Context,
    name: JobName,
    soft: Annotated[
        bool, typer.Option("--soft", help="Do not continue an unfinished run; look at everything.")
    ] = False,
    hard: Annotated[
        bool, typer.Option("--hard", help="Set the baseline aside, too: files are recognised by size and time.")
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Take the accounts of past runs again, and write their reports.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Let the next run look at everything again, or take past accounts again. Nothing is touched at either end."""
    from migration.clock import SystemClock
    from migration.resets import Reset, forget
    from migration.runs import job_lock

    common = common_of(context)
    kinds = [kind for kind, wanted in zip(Reset, (soft, hard, stats), strict=True) if wanted]
    if len(kinds) != 1:
        raise typer.BadParameter("say one of --soft, --hard and --stats")
    state = state_of(common, name)
    if kinds[0] is Reset.HARD:
        _ask(f"Forget what {name} knows about both sides? Moves and deletions since the last run stay unseen.", yes=yes)
    now = SystemClock().now()
    with job_lock(state, now):
        if kinds[0] is Reset.STATS:
            _accounts_again(common, state)
            return
        done = forget(state, kinds[0], now)
    for sentence in done or ["There was nothing to forget."]:
        common.console.print(Text(sentence), soft_wrap=True)


def _accounts_again(common: Common, state: "JobState") -> None:
    from migration.resets import account_again, accountable_runs
    from reports.run_report import write_report

    one = state.load_job()
    for run in accountable_runs(state):
        account = asyncio.run(account_again(state, run))
        write_report(run, job=one)
        words = "adds up" if account.adds_up else f"does not add up: {account.unexplained[0]}"
        common.console.print(Text(f"{run.run_id}: {account.total.source_files:,} files, {words}"), soft_wrap=True)


def _refuse_parents(state: "JobState", what: str) -> None:
    children = sorted(path.parent.name for path in state.folder.glob("*/job.json"))
    if children:
        raise ConfigurationError(
            "job-has-children", f"The job '{state.job_name}' has {len(children)} children and is not {what}."
        )


def _ask(question: str, *, yes: bool) -> None:
    if not yes:
        typer.confirm(question, abort=True, err=True)
