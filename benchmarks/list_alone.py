"""Lists a simulated project with the connector and the inventory alone, without Prefect: `list_alone SIMULATOR FOLDER`.

Prints one JSON line: entries, calls, seconds, and `own_seconds`: processor time of this process, which is what is left
when all waiting for Procore is taken away.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from pydantic import SecretStr

from connectors.registry import make_connector
from connectors.settings import ProcoreSettings
from connectors.tokens import MemoryTokenStore
from migration.analysis import analyze
from migration.budget import UnlimitedBudget
from migration.clock import SystemClock
from migration.progress import unwatched


async def list_project(simulator: Path, folder: Path) -> dict[str, float]:
    """List the first project; what it took."""
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
    clock = SystemClock()
    source = make_connector(settings, budget=UnlimitedBudget(), tokens=MemoryTokenStore(), clock=clock)
    async with source:
        began, own = time.perf_counter(), time.process_time()
        root = (str(facts["projects"][0]["id"]),)
        inventory = await analyze(source, root, folder, run_id="alone", clock=clock, progress=unwatched)
        own_seconds = time.process_time() - own
        seconds = time.perf_counter() - began
    header = inventory.header
    return {"entries": header.entries, "calls": header.calls, "seconds": seconds, "own_seconds": own_seconds}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(list_project(Path(sys.argv[1]), Path(sys.argv[2])))))
