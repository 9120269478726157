"""A process that uses a person's connection: `python -m tests.connectors.procore_process SETTINGS STORE CALLS`."""

import asyncio
import json
import sys
from pathlib import Path

from connectors.procore.connector import ProcoreConnector
from connectors.procore.settings import ProcoreSettings
from connectors.shared.services import Services
from connectors.tokens import FileTokenStore


async def use(settings: ProcoreSettings, store: Path, calls: int) -> None:
    connector = ProcoreConnector(settings, Services(tokens=FileTokenStore(store)))
    async with connector:
        for _ in range(calls):
            report = await connector.test()
            if not report.usable:
                sys.exit(str(report.findings))


if __name__ == "__main__":
    values = json.loads(Path(sys.argv[1]).read_text())
    asyncio.run(use(ProcoreSettings(**values), Path(sys.argv[2]), int(sys.argv[3])))
