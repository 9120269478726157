"""Plans: the whole ordered decision of a run, immutable once written, and refused when its inputs no longer match."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migration.actions import Action, ActionKind
from migration.baseline import usable_baseline
from migration.capabilities import Capabilities
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import PlanError
from migration.forecast import forecast
from migration.inventory import Inventory
from migration.inventory_format import moment, read_path, values
from migration.jobs import Job
from migration.plan_format import PLAN_SCHEMA, PlanSummary, summary_from_json, summary_to_json
from migration.plan_writer import PlanWriter
from migration.planning import Inputs, decide
from migration.runs import job_digest
from migration.state import RunPaths, write_json_atomically
from migration.stored_text import from_stored

__all__ = ["PLAN_SCHEMA", "Plan", "PlanSummary", "write_plan"]


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


def write_plan(
    run: RunPaths,
    job: Job,
    *,
    source: Inventory,
    destination: Inventory,
    baseline: Path | None,
    source_capabilities: Capabilities,
    destination_capabilities: Capabilities,
    hourly_calls: int | None,
    now: datetime,
) -> Plan:
    """Decide what the run will do and write plan.parquet and plan.json: the same inputs give the same bytes.

    `baseline` is the job's baseline file; one that is not there or was made for other places is not used. Both files
    appear complete or not at all, plan.json last. Raises PlanError for inventories or a baseline that cannot be planned
    from, ConfigurationError for a filter that means nothing.
    """
    used_baseline = baseline if baseline is not None and usable_baseline(baseline, job) else None
    inputs = Inputs(
        job=job,
        source=source,
        destination=destination,
        baseline=used_baseline,
        capabilities=destination_capabilities,
    )
    with PlanWriter(run.plan) as writer:
        for rows in decide(run, inputs):
            writer.add(rows)
    warnings = _warnings(
        inputs, writer, other_baseline=used_baseline is None and baseline is not None and baseline.is_file()
    )
    summary = _summary(run, inputs, writer, source_capabilities, hourly_calls, now, warnings)
    write_json_atomically(run.plan_summary, summary_to_json(summary))
    return Plan(run, summary)


def to_actions(rows: pa.RecordBatch | pa.Table, destination_system: str) -> Iterator[Action]:
    """The actions of rows that have the columns of PLAN_SCHEMA, in their order."""
    columns = [values(rows.column(name)) for name in PLAN_SCHEMA.names]
    for row in zip(*columns, strict=True):
        yield _action(destination_system, *row)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _action(
    destination_system: str,
    seq: int,
    identity: str,
    kind: str,
    entry_kind: str,
    source_system: str,
    source_id: str,
    source_version_id: str | None,
    source_path: list[str],
    destination_path: list[str],
    size_bytes: int | None,
    modified_at: int | None,
    reason: str | None,
    detail: str | None,
    renamed: bool,
    *expected: Any,
) -> Action:
    path = read_path(destination_path)
    return Action(
        seq=seq,
        action_id=identity,
        kind=ActionKind(kind),
        entry_kind=EntryKind(entry_kind),
        source=Ref(source_system, from_stored(source_id), _text(source_version_id)),
        source_path=read_path(source_path),
        destination_path=path,
        size_bytes=size_bytes,
        modified_at=None if modified_at is None else moment(modified_at),
        reason=reason,
        detail=_text(detail),
        renamed=renamed,
        expected=None if expected[0] is None else _expected(destination_system, path, *expected),
    )


def _expected(
    system: str,
    path: PathParts,
    entry_id: str,
    version_id: str | None,
    kind: str,
    size_bytes: int | None,
    modified_at: int | None,
) -> Entry:
    return Entry(
        ref=Ref(system, from_stored(entry_id), _text(version_id)),
        parent=None,
        name=path[-1],
        path=path,
        kind=EntryKind(kind),
        size_bytes=size_bytes,
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


def _summary(
    run: RunPaths,
    inputs: Inputs,
    writer: PlanWriter,
    source_capabilities: Capabilities,
    hourly_calls: int | None,
    now: datetime,
    warnings: tuple[str, ...],
) -> PlanSummary:
    files, folders = Counter[ActionKind](), Counter[ActionKind]()
    reasons: dict[str, Counter[str]] = {}
    for (kind, entry_kind, reason), count in writer.counts.items():
        (files if entry_kind is EntryKind.FILE else folders)[kind] += count
        if reason is not None:
            reasons.setdefault(kind.value, Counter())[reason] += count
    digests: dict[str, Any] = {
        "job_digest": job_digest(inputs.job),
        "source_digest": inputs.source.digest(),
        "destination_digest": inputs.destination.digest(),
        "baseline_digest": file_digest(inputs.baseline) if inputs.baseline else None,
        "plan_digest": file_digest(run.plan),
    }
    to_copy, to_make = files[ActionKind.COPY], folders[ActionKind.MAKE_FOLDER]
    return PlanSummary(
        plan_id=hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:32],
        run_id=run.run_id,
        job=inputs.job.name,
        **digests,
        made_at=now,
        source_system=inputs.source.header.system,
        source_root=inputs.source.header.root,
        destination_system=inputs.destination.header.system,
        destination_root=inputs.destination.header.root,
        counts={kind.value: files[kind] + folders[kind] for kind in ActionKind if files[kind] + folders[kind]},
        reasons={kind: dict(counter) for kind, counter in reasons.items()},
        files=files.total(),
        folders=folders.total(),
        folders_to_make=to_make,
        files_to_copy=to_copy,
        bytes_to_copy=writer.bytes_to_copy,
        files_skipped=files[ActionKind.SKIP],
        files_flagged=files[ActionKind.FLAG],
        renamed=writer.renamed,
        forecast=forecast(
            files=to_copy,
            folders=to_make,
            size_bytes=writer.bytes_to_copy,
            destination_entries=inputs.destination.header.entries + to_copy + to_make,
            source=source_capabilities,
            destination=inputs.capabilities,
            hourly_calls=hourly_calls,
        ),
        warnings=warnings,
    )


def _warnings(inputs: Inputs, writer: PlanWriter, *, other_baseline: bool) -> tuple[str, ...]:
    hidden, hidden_there = inputs.source.header.hiding_problems, inputs.destination.header.hiding_problems
    flagged = sum(count for (kind, _, _), count in writer.counts.items() if kind is ActionKind.FLAG)
    unknown = writer.files_of_unknown_size
    times_lost = inputs.job.rules.timestamps and not inputs.capabilities.keeps_times
    sentences = (
        (hidden, f"{hidden} part(s) of the source could not be listed; what is in them is not in this plan."),
        (hidden_there, f"{hidden_there} part(s) of the destination could not be listed; nothing there is overwritten."),
        (flagged, f"{flagged} file(s) and folder(s) need a person; they are not copied."),
        (unknown, f"{unknown} file(s) have no known size; the bytes will be more than forecast."),
        (times_lost, "The destination does not keep modification times."),
        (other_baseline, "The baseline was made for other places and is not used; files are known by size and time."),
    )
    return tuple(sentence for applies, sentence in sentences if applies)
