"""Who made the source's files and is in no map: `unmapped-accounts.csv` beside a run's report."""

import csv
import os
from typing import Any

from migration.jobs import Job
from migration.rules import SecurityMap
from migration.security_maps import SecurityMaps
from migration.state import RunPaths
from migration.stored_text import from_stored, readable
from reports.run_files import opened_run, rows
from reports.tables import csv_cell

UNMAPPED = "unmapped-accounts.csv"


def are_wanted(job: Job) -> bool:
    """Whether the job is about people at all."""
    return job.rules.preserve_owners or job.rules.account_map != SecurityMap()


def write_unmapped(run: RunPaths, maps: SecurityMaps) -> int:
    """Write the authors whom the map of people does not name, most files first, with what they are called instead
    (empty = nothing); how many there are. Replaces an older file when complete."""
    with opened_run(run) as database:
        authors = {from_stored(row["author"]): row["files"] for row in rows(database, _AUTHORS)}
    path = run.folder / UNMAPPED
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    unmapped = sorted(maps.unmapped(authors).items(), key=lambda one: (-one[1], one[0]))
    with open(staged, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "files", "destination"])
        for name, files in unmapped:
            instead = maps.accounts.mapped(name)
            writer.writerow([csv_cell(readable(name)), files, csv_cell(readable(instead)) if instead else ""])
    os.replace(staged, path)
    return len(unmapped)


def read_unmapped(run: RunPaths) -> list[dict[str, Any]] | None:
    """What `write_unmapped` wrote for the run (source, files, destination), None if it wrote nothing."""
    try:
        with open(run.folder / UNMAPPED, encoding="utf-8-sig", newline="") as file:
            return [{**row, "files": int(row["files"])} for row in csv.DictReader(file)]
    except FileNotFoundError:
        return None


_AUTHORS = """
    SELECT created_by AS author, count(*) AS files FROM source
    WHERE kind = 'file' AND NOT deleted AND created_by IS NOT NULL GROUP BY ALL
"""
