"""Plans the two inventories in a folder: `plan_alone FOLDER TYPE`. Prints one JSON line."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from migration.capabilities import Capabilities, Operation
from migration.inventory import Inventory
from migration.jobs import Job, Location
from migration.plans import write_plan
from migration.rules import ConflictResolution, Rules, TransferType
from migration.state import RunPaths


def plan(folder: Path, transfer_type: TransferType) -> dict[str, float]:
    """Make the plan; what it took."""
    source, destination = Inventory.load(folder / "source"), Inventory.load(folder / "destination")
    run = RunPaths(folder / f"run-{transfer_type}")
    run.folder.mkdir()
    job = Job(
        name="bench",
        source=Location(connection="source"),
        destination=Location(connection="destination"),
        transfer_type=transfer_type,
        rules=Rules(conflict_resolution=ConflictResolution.SOURCE),
    )
    began = time.perf_counter()
    planned = write_plan(
        run,
        job,
        source=source,
        destination=destination,
        baseline=None,
        source_capabilities=Capabilities(operations=frozenset({Operation.MOVE})),
        destination_capabilities=Capabilities(
            time_precision_seconds=1e-6, keeps_times=True, operations=frozenset({Operation.MOVE})
        ),
        hourly_calls=3600,
        now=datetime.now(UTC),
    )
    return {
        "seconds": time.perf_counter() - began,
        "source": source.header.entries,
        "destination": destination.header.entries,
        "copies": planned.summary.files_to_copy,
        "skipped": planned.summary.files_skipped,
    }


if __name__ == "__main__":
    print(json.dumps(plan(Path(sys.argv[1]), TransferType(sys.argv[2]))))
