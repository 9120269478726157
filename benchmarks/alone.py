"""Parts of the product on their own, in a process of their own, without Prefect; each prints one JSON line.

    python -m benchmarks.alone list SIMULATOR FOLDER    list the simulated project with the connector and the inventory
    python -m benchmarks.alone copy SIMULATOR FOLDER    list, plan and copy it into FOLDER/copied with the engine
    python -m benchmarks.alone copy SIMULATOR FOLDER SETTINGS    … into "copied" of the connection in a JSON file
    python -m benchmarks.alone walk SETTINGS FOLDER     list the folder "listed" of the connection in a JSON file

`own_seconds` is processor time of this process: what is left when all waiting is taken away.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from connectors.filesystem.settings import FilesystemSettings
from connectors.procore.settings import ProcoreSettings
from connectors.registry import make_connector, require_destination, settings_of
from connectors.shared.services import Services
from migration.actions import ActionKind
from migration.analysis import analyze, analyze_destination
from migration.clock import SystemClock
from migration.contract import Destination, Source
from migration.inventory import Inventory
from migration.jobs import Job
from migration.ledger import Ledger
from migration.plans import Plan, write_plan
from migration.progress import unwatched
from migration.runs import Run, begin
from migration.state import JobState
from migration.transfer import Transfer, load_batches

BATCHES_AT_ONCE = 2
_CLOCK = SystemClock()


def source_of(simulator: Path) -> tuple[Source, str]:
    """A connector to a running simulator, and its first project's id."""
    facts = json.loads((simulator / "simulator.json").read_text("utf-8"))
    settings = ProcoreSettings(
        environment="custom",
        login_url=facts["login_url"],
        api_url=facts["api_url"],
        token_hosts=(facts["storage_url"].split("://", 1)[1],),
        company_id=facts["company_id"],
        client_id=facts["client_id"],
        client_secret=SecretStr(facts["client_secret"]),
    )
    source = make_connector(settings, Services())
    return source, str(facts["projects"][0]["id"])


async def list_project(simulator: Path, folder: Path) -> dict[str, float]:
    """List the first project; what it took."""
    opened, project = source_of(simulator)
    return await _listed(opened, project, folder)


async def walk(settings: Path, folder: Path) -> dict[str, float]:
    """List a folder of any connection; what it took."""
    text = await asyncio.to_thread(settings.read_bytes)
    return await _listed(make_connector(settings_of(text), Services()), "listed", folder)


async def _listed(opened: Source, root: str, folder: Path) -> dict[str, float]:
    async with opened as source:
        began, own = time.perf_counter(), time.process_time()
        inventory = await analyze(source, (root,), folder, run_id="alone", clock=_CLOCK, progress=unwatched)
        own_seconds = time.process_time() - own
        seconds = time.perf_counter() - began
    header = inventory.header
    return {"entries": header.entries, "calls": header.calls, "seconds": seconds, "own_seconds": own_seconds}


async def copy_project(simulator: Path, folder: Path, settings: Path | None = None) -> dict[str, float]:
    """Copy the first project into a local folder or another connection; what the transfer took."""
    opened, project = source_of(simulator)
    text = None if settings is None else await asyncio.to_thread(settings.read_bytes)
    archive = make_connector(FilesystemSettings(folder=folder) if text is None else settings_of(text), Services())
    job = Job.model_validate({
        "name": "alone",
        "source": {"connection": "office", "path": project},
        "destination": {"connection": "archive", "path": "copied"},
    })  # fmt: skip
    state = JobState.of(folder / ".state", job.name)
    run = begin(state, job, _CLOCK.now())
    async with opened as source, archive:
        destination = require_destination(archive, "archive")
        inventory, plan = await _planned(source, destination, run, job)
        began, own = time.perf_counter(), time.process_time()
        async with Ledger.open(state.ledger) as ledger:
            await _transferred(source, destination, ledger, run, job, plan, inventory)
        seconds, own_seconds = time.perf_counter() - began, time.process_time() - own
        return {"files": plan.summary.files_to_copy, "seconds": seconds, "own_seconds": own_seconds}


async def _planned(source: Source, destination: Destination, run: Run, job: Job) -> tuple[Inventory, Plan]:
    inventory = await analyze(
        source, job.source.parts, run.paths.source_inventory, run_id=run.run_id, clock=_CLOCK, progress=unwatched
    )
    there = await analyze_destination(
        destination,
        job.destination.parts,
        run.paths.destination_inventory,
        run_id=run.run_id,
        clock=_CLOCK,
        progress=unwatched,
    )
    plan = write_plan(
        run.paths,
        job,
        source=inventory,
        destination=there,
        baseline=None,
        source_capabilities=source.capabilities,
        destination_capabilities=destination.capabilities,
        hourly_calls=None,
        now=_CLOCK.now(),
    )
    return inventory, plan


async def _transferred(
    source: Source, destination: Destination, ledger: Ledger, run: Run, job: Job, plan: Plan, inventory: Inventory
) -> None:
    async with Transfer(source, destination, ledger, run, job, clock=_CLOCK, progress=unwatched) as transfer:
        await transfer.make_folders(list(plan.actions([ActionKind.MAKE_FOLDER])))
        batch_files = job.performance.batch_files
        batches = load_batches(plan, inventory, batch_files, first_batch_files=batch_files // BATCHES_AT_ONCE)

        async def carry() -> None:
            while works := next(batches, None):
                await transfer.run_batch(works)

        await asyncio.gather(*(carry() for _ in range(BATCHES_AT_ONCE)))


def main() -> None:
    """Do what the command line says."""
    what, simulator, folder, *more = sys.argv[1], *map(Path, sys.argv[2:])
    folder.mkdir(parents=True, exist_ok=True)
    measure: Callable[..., Coroutine[Any, Any, dict[str, float]]] = {
        "list": list_project,
        "copy": copy_project,
        "walk": walk,
    }[what]
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        print(json.dumps(runner.run(measure(simulator, folder, *more))))


if __name__ == "__main__":
    main()
