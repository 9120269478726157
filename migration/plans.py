"""Plans: the whole ordered decision of a run, immutable once written, and refused when its inputs no longer match."""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migration.actions import Action, ActionKind
from migration.entries import Entry, EntryKind, Ref
from migration.errors import PlanError
from migration.inventory import Inventory
from migration.inventory_format import moment, read_path, values
from migration.jobs import Job
from migration.plan_format import PLAN_SCHEMA, PlanSummary, summary_from_json
from migration.runs import job_digest
from migration.state import RunPaths
from migration.stored_text import from_stored

__all__ = ["PLAN_SCHEMA", "Plan", "PlanSummary"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan on disk. Reading never loads more than one row group at a time."""

    run: RunPaths
    summary: PlanSummary

    @classmethod
    def load(cls, run: RunPaths) -> "Plan":
        """Open the plan of a run.

        Raises PlanError `plan-missing`, or `plan-changed` when plan.parquet or an inventory it was made from is not
        what it was.
        """
        summary = _read_summary(run)
        if file_digest(run.plan) != summary.plan_digest:
            raise _changed(run, "plan.parquet is not what was planned")
        for folder, digest in (
            (run.source_inventory, summary.source_digest),
            (run.destination_inventory, summary.destination_digest),
        ):
            if Inventory.load(folder).digest() != digest:
                raise _changed(run, f"the inventory in {folder} is not the one it was made from")
        return cls(run, summary)

    def check_job(self, job: Job) -> None:
        """Raise PlanError `plan-of-another-job` if the plan was made for other rules or places than the job's."""
        if job_digest(job) != self.summary.job_digest:
            raise PlanError(
                "plan-of-another-job",
                f"The plan of run {self.run.run_id} was made before the job {job.name!r} was changed.",
                fix="Plan again.",
            )

    @property
    def count(self) -> int:
        """How many actions there are."""
        return sum(self.summary.counts.values())

    def batches(self, kinds: Collection[ActionKind] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of these kinds (all of them if None) with the columns of PLAN_SCHEMA, in seq order."""
        wanted = None if kinds is None else pa.array(sorted(kind.value for kind in kinds), pa.string())
        with pq.ParquetFile(self.run.plan) as file:
            for batch in file.iter_batches(batch_size=10_000):
                rows = batch if wanted is None else batch.filter(pc.is_in(batch.column("kind"), value_set=wanted))
                if rows.num_rows:
                    yield rows

    def actions(self, kinds: Collection[ActionKind] | None = None) -> Iterator[Action]:
        """The actions of these kinds (all of them if None) in seq order."""
        for batch in self.batches(kinds):
            yield from to_actions(batch, self.summary.destination_system)


def to_actions(rows: pa.RecordBatch | pa.Table, destination_system: str) -> Iterator[Action]:
    """The actions of rows that have the columns of PLAN_SCHEMA, in their order."""
    columns = [values(rows.column(name)) for name in PLAN_SCHEMA.names]
    for row in zip(*columns, strict=True):
        yield _action(dict(zip(PLAN_SCHEMA.names, row, strict=True)), destination_system)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _action(row: dict[str, Any], destination_system: str) -> Action:
    return Action(
        seq=row["seq"],
        action_id=row["action_id"],
        kind=ActionKind(row["kind"]),
        entry_kind=EntryKind(row["entry_kind"]),
        source=Ref(row["source_system"], from_stored(row["source_id"]), _text(row["source_version_id"])),
        source_path=read_path(row["source_path"]),
        destination_path=read_path(row["destination_path"]),
        size_bytes=row["size_bytes"],
        modified_at=None if row["modified_at"] is None else moment(row["modified_at"]),
        reason=row["reason"],
        detail=_text(row["detail"]),
        renamed=row["renamed"],
        expected=None if row["expected_id"] is None else _expected(row, destination_system),
    )


def _expected(row: dict[str, Any], destination_system: str) -> Entry:
    path = read_path(row["destination_path"])
    modified_at = row["expected_modified_at"]
    return Entry(
        ref=Ref(destination_system, from_stored(row["expected_id"])),
        parent=None,
        name=path[-1],
        path=path,
        kind=EntryKind(row["expected_kind"]),
        size_bytes=row["expected_size_bytes"],
        modified_at=None if modified_at is None else moment(modified_at),
    )


def _text(stored: str | None) -> str | None:
    return None if stored is None else from_stored(stored)


def _read_summary(run: RunPaths) -> PlanSummary:
    try:
        return summary_from_json(json.loads(run.plan_summary.read_text("utf-8")))
    except FileNotFoundError:
        raise PlanError("plan-missing", f"Run {run.run_id} has no plan.", fix="Plan first.") from None
    except (ValueError, TypeError, KeyError) as error:
        raise _changed(run, f"plan.json cannot be read ({error})") from error


def _changed(run: RunPaths, what: str) -> PlanError:
    return PlanError(
        "plan-changed", f"The plan of run {run.run_id} cannot be carried out: {what}.", fix="Start a new run."
    )
