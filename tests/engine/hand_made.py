"""Plans made by hand between two local folders, carried out as a run does it: renames, folders, copies, verification,
deletions."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors.filesystem.connector import FilesystemConnector
from connectors.filesystem.settings import FilesystemSettings
from connectors.shared.services import Services
from migration.actions import Action, ActionKind, Side
from migration.analysis import analyze, analyze_destination
from migration.clock import SystemClock
from migration.contract import Source
from migration.copying import AtPoint
from migration.deletions import load_deletions
from migration.entries import Entry, EntryKind, PathParts
from migration.forecast import Forecast
from migration.inventory import Inventory
from migration.inventory_format import stored_path
from migration.jobs import Job
from migration.ledger import Ledger
from migration.plan_format import PlanSummary, summary_to_json
from migration.plan_writer import PlanColumns, PlanWriter
from migration.plans import Plan, file_digest
from migration.progress import Phase, unwatched
from migration.removing import Removal
from migration.runs import Run, begin, job_digest
from migration.sameness import Renamed
from migration.sides import check_fit, ends_of
from migration.state import JobState, write_json_atomically
from migration.transfer import Transfer, load_batches
from migration.undo import Undo, Undone, record_undone, undo_id
from migration.undoing import load_undoings
from migration.verification import Verification, verify


def at_no_point(point: str, action_id: str) -> None:
    del point, action_id


@dataclass
class Row:
    """One decision. Paths are written with slashes; `source` and `there` name what is listed on either side."""

    kind: ActionKind
    path: str
    """At both sides, if `source_path` does not say otherwise."""
    source: str | None = None
    there: str | None = None
    side: Side = Side.DESTINATION
    source_path: str | None = None
    from_path: str | None = None
    reason: str | None = None
    folder: bool = False
    accounts: bool = True


@dataclass
class Pair:
    """Two folders, the state of a job between them, and what is known of its last run."""

    folder: Path
    transfer_type: str = "sync"
    clock: SystemClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        for side in Side:
            self.root(side).mkdir(exist_ok=True)

    @property
    def job(self) -> Job:
        ends = {side.value: {"connection": side.value, "path": ""} for side in Side}
        return Job.model_validate({"name": "pair", "transfer_type": self.transfer_type, **ends})

    @property
    def state(self) -> JobState:
        return JobState.of(self.folder / "state", "pair")

    def root(self, side: Side) -> Path:
        return self.folder / side.value

    def connector(self, side: Side) -> FilesystemConnector:
        return FilesystemConnector(FilesystemSettings(folder=self.root(side)), Services())

    def plant(self, side: Side, path: str, content: bytes, at: int = 1_700_000_000) -> None:
        file = self.root(side) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (at, at))

    def found(self, side: Side, *, trash: bool = False) -> dict[str, bytes]:
        """Every file, with those in the trash folder or without."""
        files = sorted(path for path in self.root(side).rglob("*") if path.is_file())
        names = {path.relative_to(self.root(side)).as_posix(): path.read_bytes() for path in files}
        return {name: content for name, content in names.items() if trash or not name.startswith(".sitehaul-trash/")}

    def folders(self, side: Side) -> set[str]:
        found = {path.relative_to(self.root(side)).as_posix() for path in self.root(side).rglob("*") if path.is_dir()}
        return {name for name in found if not name.startswith(".sitehaul-trash")}

    async def run(
        self,
        rows: Sequence[Row],
        *,
        at: AtPoint = at_no_point,
        source: Source | None = None,
        destination: Source | None = None,
    ) -> Verification:
        """Begin or continue the run of these decisions, to its end."""
        run = begin(self.state, self.job, self.clock.now())
        async with (
            source or self.connector(Side.SOURCE) as one,
            destination or self.connector(Side.DESTINATION) as other,
        ):
            plan = await self._plan(run, rows, one, other)
            check_fit(plan.summary.changes, ends_of(self.job, one, other))
            run.reached(Phase.TRANSFER, self.clock.now())
            async with Ledger.open(self.state.ledger) as ledger:
                await self._transfer(run, plan, one, other, ledger, at)
                await ledger.export(run.run_id, run.paths.outcomes)
                verification = await verify(
                    run.paths, self.job, plan, other,
                    source=one, scope="this_run", clock=self.clock, progress=unwatched,
                )  # fmt: skip
                await self._remove(run, plan, one, other, ledger, at, verification)
                await ledger.export(run.run_id, run.paths.outcomes)
        run.finished(self.clock.now())
        return verification

    async def _plan(self, run: Run, rows: Sequence[Row], source: Source, destination: Source) -> Plan:
        if run.record.finished(Phase.PLAN):
            return Plan.load(run.paths)
        here = await analyze(
            source, (), run.paths.source_inventory, run_id=run.run_id, clock=self.clock, progress=unwatched
        )
        there = await analyze_destination(
            destination, (), run.paths.destination_inventory, run_id=run.run_id, clock=self.clock, progress=unwatched
        )
        plan = write_by_hand(run, self.job, rows, here, there)
        run.finished_phase(Phase.PLAN, self.clock.now())
        return plan

    async def _transfer(
        self, run: Run, plan: Plan, source: Source, destination: Source, ledger: Ledger, at: AtPoint
    ) -> None:
        async with Transfer(
            source, destination, ledger, run, self.job, clock=self.clock, progress=unwatched, at=at
        ) as transfer:
            await transfer.rename(list(plan.actions([ActionKind.RENAME])))
            await transfer.make_folders(list(plan.actions([ActionKind.MAKE_FOLDER])))
            for works in load_batches(plan, Inventory.load(run.paths.source_inventory), 500):
                await transfer.run_batch(works)

    async def _remove(
        self,
        run: Run,
        plan: Plan,
        source: Source,
        destination: Source,
        ledger: Ledger,
        at: AtPoint,
        verification: Verification,
    ) -> None:
        async with Removal(
            source, destination, ledger, run, self.job,
            renamed=Renamed.by(plan.actions([ActionKind.RENAME])), clock=self.clock, progress=unwatched, at=at,
        ) as removal:  # fmt: skip
            if not verification.clean:
                await removal.withhold(plan.actions([ActionKind.DELETE]), "verification-differs", "It differs.")
                return
            for deletions in load_deletions(plan):
                await removal.remove_files(deletions)
            await removal.remove_folders(
                [one for one in plan.actions([ActionKind.DELETE]) if one.entry_kind is EntryKind.FOLDER]
            )

    async def undo(
        self, *, at: AtPoint = at_no_point, source: Source | None = None, destination: Source | None = None
    ) -> Undone:
        """Undo the last run."""
        plan = Plan.load(self.state.runs()[-1])
        async with (
            source or self.connector(Side.SOURCE) as one,
            destination or self.connector(Side.DESTINATION) as other,
            Ledger.open(self.state.ledger) as ledger,
            Undo(one, other, ledger, plan, self.job, clock=self.clock, progress=unwatched, at=at) as undo,
        ):
            for undoings in load_undoings(plan):
                await undo.carry_out(undoings)
            undone = await undo.told()
            latest = await ledger.latest(undo_id(plan.run.run_id))
            record_undone(self.state, plan, undone, [one for one, known in latest.items() if known.word.terminal])
        return undone

    async def words(self) -> dict[str, str]:
        """Outcome word and reason of each action, by kind and path on the changed side."""
        paths = self.state.runs()[-1]
        async with Ledger.open(self.state.ledger) as ledger:
            latest = await ledger.latest(paths.run_id)
        return {
            f"{action.kind.value} {'/'.join(action.path)}": _word(action, latest)
            for action in Plan.load(paths).actions()
            if action.kind not in (ActionKind.SKIP, ActionKind.FLAG)
        }


def write_by_hand(run: Run, job: Job, rows: Sequence[Row], source: Inventory, destination: Inventory) -> Plan:
    """plan.parquet and plan.json of these decisions, in their order."""
    here = {entry.path: entry for entry in source.entries()}
    there = {entry.path: entry for entry in destination.entries()}
    columns = [_columns(row, here, there, source.header.system) for row in rows]
    with PlanWriter(run.paths.plan) as writer:
        writer.add(PlanColumns._make(zip(*columns, strict=True)))
    changes: dict[str, dict[str, int]] = {side.value: {} for side in Side}
    for row in rows:
        if row.kind not in (ActionKind.SKIP, ActionKind.FLAG):
            of_side = changes[row.side.value]
            of_side[row.kind.value] = of_side.get(row.kind.value, 0) + 1
    counts = {kind.value: sum(row.kind is kind for row in rows) for kind in ActionKind}
    summary = PlanSummary(
        plan_id="0" * 32,
        run_id=run.run_id,
        job=job.name,
        job_digest=job_digest(job),
        source_digest=source.digest(),
        destination_digest=destination.digest(),
        baseline_digest=None,
        plan_digest=file_digest(run.paths.plan),
        made_at=SystemClock().now(),
        source_system=source.header.system,
        source_root=(),
        destination_system=destination.header.system,
        destination_root=(),
        counts={kind: count for kind, count in counts.items() if count},
        reasons={},
        files=len(here),
        folders=0,
        changes=changes,
        folders_to_make=counts["make_folder"],
        files_to_copy=counts["copy"],
        bytes_to_copy=0,
        files_skipped=0,
        files_flagged=0,
        renamed=0,
        forecast=Forecast(calls=0, bytes=0, hours=None),
        warnings=(),
    )
    write_json_atomically(run.paths.plan_summary, summary_to_json(summary))
    return Plan.load(run.paths)


def _columns(row: Row, here: dict[PathParts, Entry], there: dict[PathParts, Entry], system: str) -> list[Any]:
    source = here[_parts(row.source)] if row.source else None
    other = there[_parts(row.there)] if row.there else None
    source_path = stored_path(_parts(row.source_path or row.path))
    values = {
        "action_id": hashlib.sha256(f"{row.kind}{row.side}{row.path}{row.from_path}".encode()).hexdigest()[:32],
        "kind": row.kind,
        "entry_kind": EntryKind.FOLDER if row.folder else EntryKind.FILE,
        "source_system": system,
        "source_id": source.ref.id if source else None,
        "source_version_id": source.ref.version_id if source else None,
        "source_path": source_path,
        "destination_path": stored_path(_parts(row.path)),
        "size_bytes": source.size_bytes if source else None,
        "modified_at": _microseconds(source),
        "reason": row.reason,
        "detail": None,
        "renamed": False,
        "expected_id": other.ref.id if other else None,
        "expected_version_id": other.ref.version_id if other else None,
        "expected_kind": other.kind if other else None,
        "expected_size_bytes": other.size_bytes if other else None,
        "expected_modified_at": _microseconds(other),
        "side": row.side,
        "accounts": row.accounts,
        "from_path": stored_path(_parts(row.from_path)) if row.from_path else None,
        "source_listed_path": stored_path(source.path) if source and stored_path(source.path) != source_path else None,
        "version_number": None,
    }
    return [values[name] for name in PlanColumns._fields]


def _parts(path: str | None) -> PathParts:
    return tuple((path or "").split("/"))


def _microseconds(entry: Entry | None) -> int | None:
    if entry is None or entry.modified_at is None:
        return None
    return round(entry.modified_at.timestamp() * 1_000_000)


def _word(action: Action, latest: dict[str, Any]) -> str:
    known = latest.get(action.action_id)
    return "pending" if known is None else " ".join(filter(None, (known.word.value, known.reason)))
