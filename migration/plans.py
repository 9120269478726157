"""Plans: the whole ordered decision of a run, immutable once written, and refused when its inputs no longer match."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migration.actions import Action, ActionKind, Side
from migration.baseline import roots_of, usable_baseline
from migration.capabilities import Capabilities
from migration.decisions import Decisions
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import PlanError
from migration.forecast import forecast
from migration.inventory import Inventory
from migration.inventory_format import moment, read_path, values
from migration.jobs import Job
from migration.plan_format import PLAN_SCHEMA, PlanSummary, summary_from_json, summary_to_json
from migration.plan_writer import PlanWriter
from migration.planning import Inputs, Noted, decide
from migration.runs import job_digest
from migration.security_maps import WhoIsWho
from migration.state import RunPaths, write_json_atomically
from migration.stored_text import from_stored
from migration.version_manifest import KnownVersions

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
    decisions: Decisions | None = None,
    accounts: WhoIsWho | None = None,
    versions_at_source: KnownVersions | None = None,
) -> Plan:
    """Decide what the run will do and write plan.parquet and plan.json: the same inputs give the same bytes.

    `baseline` is the job's baseline file; one that is not there or was made for other places is not used. `decisions`
    are people's about flagged files; `accounts` flags files of people whom the job's map does not name;
    `versions_at_source` is what sidecars say of files that are versions. Both files appear complete or not at all,
    plan.json last. Raises PlanError for inventories or a baseline that cannot be planned
    from, ConfigurationError for a filter that means nothing.
    """
    used_baseline = baseline if baseline is not None and usable_baseline(baseline, job) else None
    inputs = Inputs(
        job=job,
        source=source,
        destination=destination,
        baseline=used_baseline,
        roots_before=roots_of(used_baseline) if used_baseline else (None, None),
        source_capabilities=source_capabilities,
        capabilities=destination_capabilities,
        decisions=decisions or Decisions(),
        accounts=accounts,
        versions_at_source=versions_at_source or {},
        now=now,
    )
    noted = Noted()
    with PlanWriter(run.plan) as writer:
        for rows in decide(run, inputs, noted):
            writer.add(rows)
    other_baseline = used_baseline is None and baseline is not None and baseline.is_file()
    warnings = (*_warnings(inputs, writer, noted, other_baseline=other_baseline), *_brakes(noted))
    summary = _summary(run, inputs, writer, noted, hourly_calls, warnings)
    write_json_atomically(run.plan_summary, summary_to_json(summary))
    return Plan(run, summary)


def to_actions(rows: pa.RecordBatch | pa.Table, destination_system: str) -> Iterator[Action]:
    """The actions of rows that have the columns of PLAN_SCHEMA, in their order."""
    columns = [values(rows.column(name)) for name in PLAN_SCHEMA.names]
    for row in zip(*columns, strict=True):
        yield _action(destination_system, _PlanRow._make(row))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _PlanRow(NamedTuple):
    """One row of PLAN_SCHEMA, as read."""

    seq: int
    action_id: str
    kind: str
    entry_kind: str
    source_system: str
    source_id: str | None
    source_version_id: str | None
    source_path: list[str]
    destination_path: list[str]
    size_bytes: int | None
    modified_at: int | None
    reason: str | None
    detail: str | None
    renamed: bool
    expected_id: str | None
    expected_version_id: str | None
    expected_kind: str | None
    expected_size_bytes: int | None
    expected_modified_at: int | None
    side: str
    accounts: bool
    from_path: list[str]
    source_listed_path: list[str]
    version_number: int | None


def _action(destination_system: str, row: _PlanRow) -> Action:
    side, kind = Side(row.side), EntryKind(row.entry_kind)
    source = None if row.source_id is None else _ref(row.source_system, row.source_id, row.source_version_id)
    source_path, destination_path = read_path(row.source_path), read_path(row.destination_path)
    there = _there(destination_system, destination_path, row)
    here = None if source is None else _seen(source, source_path, kind, row.size_bytes, row.modified_at)
    reads_there = side is Side.SOURCE and there is not None
    return Action(
        seq=row.seq,
        action_id=row.action_id,
        kind=ActionKind(row.kind),
        entry_kind=kind,
        source=source,
        source_path=source_path,
        destination_path=destination_path,
        side=side,
        from_path=read_path(row.from_path) or None,
        accounts=row.accounts,
        version_number=row.version_number,
        size_bytes=row.expected_size_bytes if reads_there else row.size_bytes,
        modified_at=_moment(row.expected_modified_at if reads_there else row.modified_at),
        reason=row.reason,
        detail=_text(row.detail),
        renamed=row.renamed,
        expected=here if side is Side.SOURCE else there,
    )


def _there(system: str, path: PathParts, row: _PlanRow) -> Entry | None:
    if row.expected_id is None or row.expected_kind is None:
        return None
    ref = _ref(system, row.expected_id, row.expected_version_id)
    return _seen(ref, path, EntryKind(row.expected_kind), row.expected_size_bytes, row.expected_modified_at)


def _seen(ref: Ref, path: PathParts, kind: EntryKind, size_bytes: int | None, modified: int | None) -> Entry:
    return Entry(
        ref=ref,
        parent=None,
        name=path[-1],
        path=path,
        kind=kind,
        size_bytes=size_bytes,
        modified_at=_moment(modified),
    )


def _ref(system: str, stored_id: str, stored_version_id: str | None) -> Ref:
    return Ref(system, from_stored(stored_id), _text(stored_version_id))


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else moment(microseconds)


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
    noted: Noted,
    hourly_calls: int | None,
    warnings: tuple[str, ...],
) -> PlanSummary:
    files, folders, accounted = Counter[ActionKind](), Counter[ActionKind](), Counter[EntryKind]()
    reasons: dict[str, Counter[str]] = {}
    changes = {side.value: Counter[str]() for side in Side}
    for (kind, entry_kind, reason, side, accounts), count in writer.counts.items():
        (files if entry_kind is EntryKind.FILE else folders)[kind] += count
        accounted[entry_kind] += count if accounts else 0
        if kind not in (ActionKind.SKIP, ActionKind.FLAG):
            changes[side.value][kind.value] += count
        if reason is not None:
            reasons.setdefault(kind.value, Counter())[reason] += count
    digests: dict[str, Any] = {
        "job_digest": job_digest(inputs.job),
        "source_digest": inputs.source.digest(),
        "destination_digest": inputs.destination.digest(),
        "baseline_digest": file_digest(inputs.baseline) if inputs.baseline else None,
        "plan_digest": file_digest(run.plan),
    }
    to_copy = files[ActionKind.COPY] + files[ActionKind.ADD_VERSION]
    to_make = folders[ActionKind.MAKE_FOLDER]
    return PlanSummary(
        plan_id=hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:32],
        run_id=run.run_id,
        job=inputs.job.name,
        **digests,
        made_at=inputs.now,
        source_system=inputs.source.header.system,
        source_root=inputs.source.header.root,
        destination_system=inputs.destination.header.system,
        destination_root=inputs.destination.header.root,
        counts={kind.value: files[kind] + folders[kind] for kind in ActionKind if files[kind] + folders[kind]},
        reasons={kind: dict(counter) for kind, counter in reasons.items()},
        changes={side: dict(counter) for side, counter in changes.items()},
        files=accounted[EntryKind.FILE],
        folders=accounted[EntryKind.FOLDER],
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
            version_listings=noted.version_listings,
            source=inputs.source_capabilities,
            destination=inputs.capabilities,
            hourly_calls=hourly_calls,
        ),
        warnings=warnings,
    )


def _warnings(inputs: Inputs, writer: PlanWriter, noted: Noted, *, other_baseline: bool) -> tuple[str, ...]:
    hidden, hidden_there = inputs.source.header.hiding_problems, inputs.destination.header.hiding_problems
    flagged = sum(count for (kind, *_), count in writer.counts.items() if kind is ActionKind.FLAG)
    unknown = writer.files_of_unknown_size
    times_lost = inputs.job.rules.timestamps and not inputs.capabilities.keeps_times
    sentences = (
        (hidden, f"{hidden} part(s) of the source could not be listed; what is in them is not in this plan."),
        (hidden_there, f"{hidden_there} part(s) of the destination could not be listed; nothing there is overwritten."),
        (flagged, f"{flagged} file(s) and folder(s) need a person; they are not copied."),
        (unknown, f"{unknown} file(s) have no known size; the bytes will be more than forecast."),
        (
            noted.versions_unknown,
            f"Of {noted.versions_unknown} file(s) the source's listing does not tell how many versions they have; only "
            "the current one is copied.",
        ),
        (times_lost, "The destination does not keep modification times."),
        (other_baseline, "The baseline was made for other places and is not used; files are known by size and time."),
    )
    return tuple(sentence for applies, sentence in sentences if applies)


def _brakes(noted: Noted) -> tuple[str, ...]:
    """Sentences about deletions that do not happen, or not yet."""
    sentences = [f"Deletions at the {side.value} are refused: {why}." for side, why in sorted(noted.refusals.items())]
    if noted.deletions > noted.deletions_max:
        sentences.append(
            f"{noted.deletions} deletions are more than the {noted.deletions_max} that rules.deletes allows; nothing "
            "is deleted, and each is flagged."
        )
    if noted.missing_once:
        sentences.append(
            f"{noted.missing_once} file(s) and folder(s) are missing for the first time; they are deleted if the next "
            "run misses them, too."
        )
    return tuple(sentences)
