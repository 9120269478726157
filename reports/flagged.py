"""The files of a job that need a person: what its last run left flagged, with what is known of each."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from migration.runs import RunRecord
from migration.state import JobState, RunPaths
from migration.stored_text import from_stored, readable
from reports.run_files import opened_run
from reports.tables import csv_cell

COLUMNS = (
    "job", "source_path", "destination_path", "reason", "message", "attempts", "size_bytes", "modified_at",
    "flagged_at", "source_id", "source_version_id", "decision", "note",
)  # fmt: skip
"""Of the CSV. `decision` and `note` are for people to fill in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlaggedFile:
    """One file that needs a person. Ids and `stored_path` are as stored, the other texts for people's eyes."""

    job: str
    source_path: str
    destination_path: str
    reason: str
    message: str | None
    attempts: int | None
    """How often it was tried; None when the plan flagged it."""
    size_bytes: int | None
    modified_at: datetime | None
    flagged_at: datetime
    source_id: str
    source_version_id: str | None
    stored_path: tuple[str, ...]


def flagged_files(state: JobState) -> Iterator[FlaggedFile]:
    """What the newest run of the job that was accounted for left flagged, in its order; nothing without one."""
    run = _accounted(state)
    if run is None:
        return
    planned_at = RunRecord.load(run).started_at
    with opened_run(run) as database:
        cursor = database.execute(_FLAGGED)
        while found := cursor.fetchmany(10_000):
            for path, destination, reason, message, attempts, size, modified, at, source_id, version in found:
                yield FlaggedFile(
                    job=state.job_name,
                    source_path=_shown(path),
                    destination_path=_shown(destination),
                    reason=reason or "",
                    message=readable(message) if message else None,
                    attempts=attempts,
                    size_bytes=size,
                    modified_at=modified,
                    flagged_at=at or planned_at,
                    source_id=source_id,
                    source_version_id=version,
                    stored_path=tuple(path),
                )


def write_flagged(path: Path, files: Iterable[FlaggedFile]) -> int:
    """Write them as CSV (as reports/tables.py does), replacing `path` when complete; how many there are."""
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    count = 0
    with open(staged, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for one in files:
            values = [getattr(one, name, "") for name in COLUMNS]
            writer.writerow([csv_cell("" if value is None else value) for value in values])
            count += 1
    os.replace(staged, path)
    return count


def read_chosen(path: Path, decision: str) -> dict[tuple[str, str, str | None], str | None]:
    """The rows of such a CSV that are meant by `decision`, by (job, source id, version id), with their notes.

    A row whose own `decision` says something else is not meant. Raises ValueError for a CSV without the columns.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        lacking = {"job", "source_id", "source_version_id"} - set(reader.fieldnames or ())
        if lacking:
            raise ValueError(f"the columns {', '.join(sorted(lacking))} are not there")
        return {
            (_plain(row["job"]), _plain(row["source_id"]), _plain(row["source_version_id"]) or None): (
                _plain(row.get("note") or "") or None
            )
            for row in reader
            if (row.get("decision") or decision).strip().lower() == decision
        }


def _plain(cell: str) -> str:
    """The value of a cell without the apostrophe that keeps spreadsheets from computing it."""
    return cell[1:] if cell.startswith("'") and csv_cell(cell[1:]) == cell else cell


def _accounted(state: JobState) -> RunPaths | None:
    runs = [run for run in state.runs() if run.plan.is_file() and run.run_record.is_file()]
    accounted = [run for run in runs if run.outcomes.is_file()] or runs
    return accounted[-1] if accounted else None


def _shown(path: Sequence[str]) -> str:
    return "/".join(readable(from_stored(name)).replace("/", "∕") for name in path)


_FLAGGED = """
    SELECT j.source_path, j.destination_path, j.reason, j.message, j.attempts, j.size_bytes, j.modified_at,
           j.finished_at, p.source_id, p.source_version_id
    FROM judged AS j JOIN plan AS p USING (action_id)
    WHERE j.word = 'flagged' AND p.source_id IS NOT NULL ORDER BY j.seq
"""
