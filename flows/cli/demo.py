"""`sitehaul demo`: the whole job on a simulated Procore project, in one folder that can be thrown away.

The Prefect server and the simulated Procore go on running afterwards, so that the links printed at the end work and the
next demo starts at once; `sitehaul down --folder FOLDER` ends both.
"""

import json
import random
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from flows.cli.main import Common, app, common_of
from flows.cli.servers import demo_home

if TYPE_CHECKING:
    from flows.cli.simulated import SimulatedProcore
    from flows.endings import Ending
    from migration.jobs import Job

JOB = "demo"
SEED = 7
FILES = 1500
FILE_BYTES_MAX = 150_000
LATENCY_MS = 15
HOURLY_CALLS = 3600
FAULTS: list[dict[str, Any]] = [
    {"host": "api", "fault": "503", "probability": 0.1, "seed": 1},
    {"host": "storage", "fault": "500", "probability": 0.05, "seed": 2},
    {"host": "blob", "fault": "reset-mid-body", "probability": 0.05, "seed": 3},
    {"host": "blob", "fault": "truncated", "probability": 0.05, "seed": 4},
    {"host": "blob", "fault": "html-200", "probability": 0.05, "seed": 5},
]
"""With --simulate-faults every fifth download goes wrong in one way or another."""


@app.command()
def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="Everything the demo makes goes here.")] = Path("sitehaul-demo"),
    files: Annotated[int, typer.Option(min=1, help="Files in the simulated project, when it is made.")] = FILES,
    simulate_edits: Annotated[
        bool,
        typer.Option("--simulate-edits", help="First let people change the project: see that only that is copied."),
    ] = False,
    simulate_faults: Annotated[
        bool, typer.Option("--simulate-faults", help="Let every fifth download fail in one way or another.")
    ] = False,
    simulate_budget: Annotated[
        int | None,
        typer.Option(min=1, help="Let Procore grant only so many calls per hour: see the run stop in good order."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what an earlier demo copied, and copy again.")] = False,
) -> int:
    """Analyze, plan, copy, verify and report a simulated Procore project. Interrupt it and run it again as you like."""
    from flows.cli.ready import ready_server
    from flows.cli.simulated import SimulatedProcore
    from flows.cli.started import run_flow

    place = folder.expanduser().absolute()
    common = replace(common_of(context), home=demo_home(place))
    place.mkdir(parents=True, exist_ok=True)
    if fresh:
        _forget(place, common)
    say = common.console.print
    say("A simulated Procore project is analyzed, copied and verified. Ctrl-C stops; the same command continues.")
    server = ready_server(common)
    with common.console.status("Starting the simulated Procore …"):
        procore = SimulatedProcore(place / "procore")
        facts = procore.start(*_options(files, is_made=procore.has_world))
        _simulate(procore, facts, calls=simulate_budget, faults=simulate_faults, edits=simulate_edits)
    job = _job(place, facts, hourly_calls=simulate_budget or HOURLY_CALLS)
    say(
        Text(f"“{facts['projects'][0]['name']}” → {place / 'copied'}"),
        soft_wrap=True,
    )
    ending = run_flow(common, "migrate", job)
    say(_summary(ending, place, server.ui_url), soft_wrap=True)
    return _exit_code(ending)


def _exit_code(ending: "Ending") -> int:
    """As of a run; but that a file needs a person, or that a budget is used up, is what the demo is there to show."""
    from flows.cli.started import exit_code
    from flows.endings import EndState
    from migration.errors import BudgetExhausted

    shown = ending.state is EndState.FLAGGED or isinstance(ending.stopped, BudgetExhausted)
    return 0 if shown else exit_code(ending)


def _options(files: int, *, is_made: bool) -> list[str]:
    """How the simulated Procore is made and behaves; a world that is made already stays as it is."""
    values: dict[str, int] = {"--latency-ms": LATENCY_MS}
    if not is_made:
        values |= {"--seed": SEED, "--files": files, "--max-file-bytes": FILE_BYTES_MAX}
    return [word for name, value in values.items() for word in (name, str(value))]


def _simulate(
    procore: "SimulatedProcore", facts: dict[str, Any], *, calls: int | None, faults: bool, edits: bool
) -> None:
    procore.control(facts, "PUT", "/settings", {"hourly_calls": calls or HOURLY_CALLS})
    procore.control(facts, "PUT", "/faults", FAULTS if faults else [])
    if edits:
        for edit in _edits(procore, facts):
            procore.control(facts, "POST", "/edit", edit)


def _edits(procore: "SimulatedProcore", facts: dict[str, Any]) -> list[dict[str, Any]]:
    """People upload three files, revise three and rename one."""
    project = facts["projects"][0]["id"]
    lines = procore.control(facts, "GET", f"/truth?project_id={project}&hashes=false").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    files = [row for row in rows if row["kind"] == "file" and row["current"] and not (row["deleted"] or row["private"])]
    *revised, renamed = random.sample(files, 4)
    today = datetime.now(UTC).strftime("%Y-%m-%d %H%M%S")
    new: list[dict[str, Any]]
    new = [{"op": "add_file", "path": ["Daily Reports", f"{today} {number}.pdf"]} for number in (1, 2, 3)]
    new += [{"op": "add_version", "id": row["id"], "size_bytes": 30_000} for row in revised]
    new.append({"op": "rename", "id": renamed["id"], "name": f"Renamed {renamed['path'][-1]}"})
    return [{**edit, "project_id": project} for edit in new]


def _job(place: Path, facts: dict[str, Any], *, hourly_calls: int) -> "Job":
    """The connections saved, and the job between them."""
    from connectors.filesystem.settings import FilesystemSettings
    from connectors.procore.settings import ProcoreSettings
    from flows.cli.connect import simulator_values
    from migration.jobs import Job, Location
    from tasks.connections import save_connection

    (place / "copied").mkdir(exist_ok=True)
    values = simulator_values(facts) | {"hourly_calls": hourly_calls}
    save_connection("procore", ProcoreSettings(**values))
    save_connection("copied", FilesystemSettings(folder=place / "copied"))
    project = facts["projects"][0]["name"]
    return Job(
        name=JOB,
        source=Location(connection="procore", path=project),
        destination=Location(connection="copied", path=project),
    )


def _forget(place: Path, common: Common) -> None:
    import shutil

    shutil.rmtree(place / "copied", ignore_errors=True)
    shutil.rmtree(common.state_folder / JOB, ignore_errors=True)


def _summary(ending: "Ending", place: Path, ui_url: str) -> Text:
    """Where everything is, and what to try next."""
    command = _this_command()
    text = Text("\n")
    if ending.reconciliation is not None:
        text.append(_account_line(ending) + "\n\n")
    places = [("Copied files", str(place / "copied")), ("Prefect UI", ui_url)]
    if ending.run is not None and ending.run.report.is_file():
        places.insert(1, ("Report", str(ending.run.report)))
        places.insert(2, ("Inventory", str(ending.run.source_inventory) + "  (pandas.read_parquet)"))
    for title, where in places:
        text.append(f"{title:<13}", style="bold").append(where + "\n")
    text.append("\nTry next\n", style="bold")
    same = f"{command} demo --folder {place}"
    for words, what in (
        (same, "again: everything is there, nothing is copied"),
        (f"{same} --simulate-edits", "people change the project; only that is copied"),
        (f"{same} --fresh --simulate-faults", "every fifth download fails, and all arrive"),
        (f"{same} --fresh --simulate-budget 2", "the hour's calls run out; the run stops and later continues"),
        (f"{command} --home {place / 'home'} up", "the flows as deployments in the UI, with forms and a schedule"),
        (f"{command} down --folder {place}", "end the Prefect server and the simulated Procore"),
    ):
        text.append(f"  {words}\n", style="cyan").append(f"      {what}\n", style="dim")
    text.rstrip()
    return text


def _account_line(ending: "Ending") -> str:
    account = ending.reconciliation
    if account is None:
        return ""
    parts = " + ".join(f"{count:,} {word}" for word, count in account.total.files.items() if count)
    verified = (account.verification or {}).get("matches")
    proved = f" {verified:,} copies were hashed again and match." if verified else ""
    return f"{account.total.source_files:,} files at the source = {parts or '0'}.{proved} {ending.calls:,} API calls."


def _this_command() -> str:
    """How this program was called, so that the shown commands can be pasted."""
    name = Path(sys.argv[0])
    return "python -m flows.cli" if name.name == "__main__.py" else str(name if name.parent != Path() else name.name)
