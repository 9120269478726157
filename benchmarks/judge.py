"""The judge of the proof by killing: compares what a job left with the simulator's ground truth.

Independent of the product on purpose: the truth comes over HTTP, files are read and hashed here, the ledger is read
with SQLite's own library from a copy (so that opening it here never repairs it), plans as plain Parquet rows. Nothing
of SiteHaul's code is used to judge.
"""

import collections
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet

ARRIVED = ("succeeded", "revised")
TERMINAL = (*ARRIVED, "skipped", "flagged")
RelativePath = tuple[str, ...]


class Violation(Exception):
    """A guarantee was broken."""


@dataclass(frozen=True)
class Truth:
    """What the simulated project holds: files and folders a client may see, by id, and every version's hash."""

    files: dict[str, dict[str, Any]]
    """The current version of each file that is neither deleted nor private."""
    folders: dict[str, dict[str, Any]]
    versions: dict[tuple[str, str], str]
    """SHA-256 by file id and version id, older versions included."""

    @classmethod
    def of(cls, rows: list[dict[str, Any]]) -> "Truth":
        """From the rows of the control host."""
        files, folders, versions = {}, {}, {}
        for row in rows:
            seen = row["current"] and not row["deleted"] and not row["private"]
            if row["kind"] == "file":
                versions[str(row["id"]), str(row["version_id"])] = row["sha256"]
                if seen:
                    files[str(row["id"])] = row
            elif seen:
                folders[str(row["id"])] = row
        return cls(files, folders, versions)


@dataclass(frozen=True)
class RunLeft:
    """One run of a job as it lies on disk."""

    record: dict[str, Any]
    plan: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]

    @property
    def name(self) -> str:
        return str(self.record["run_id"])

    @property
    def finished(self) -> bool:
        return bool(self.record["state"] == "finished")


@dataclass
class JobFiles:
    """Where a job keeps its state and its copies, and how to read them without the product."""

    state: Path
    destination: Path
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.state.name

    def run_folders(self) -> list[Path]:
        """Folders of runs that have a record, oldest first; one without was killed while it was being made."""
        return sorted(path.parent for path in (self.state / "runs").glob("*/run.json"))

    def latest_record(self) -> dict[str, Any] | None:
        """run.json of the newest run, None if there is none yet."""
        for folder in reversed(self.run_folders()):
            record: dict[str, Any] = json.loads((folder / "run.json").read_text("utf-8"))
            return record
        return None

    def runs(self) -> list[RunLeft]:
        """Everything the runs left, oldest first."""
        by_run: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
        for row in self._outcomes():
            by_run[row["run_id"]].append(row)
        left = []
        for folder in self.run_folders():
            record = json.loads((folder / "run.json").read_text("utf-8"))
            has_plan = (folder / "plan.parquet").is_file() and (folder / "plan.json").is_file()
            plan = pyarrow.parquet.read_table(folder / "plan.parquet").to_pylist() if has_plan else []
            left.append(RunLeft(record, plan, by_run.pop(folder.name, [])))
        if by_run:
            raise Violation(f"{self.name}: the ledger has outcomes of runs that have no record: {sorted(by_run)}")
        return left

    def _outcomes(self) -> list[dict[str, Any]]:
        if not (self.state / "ledger.sqlite").is_file():
            return []
        with tempfile.TemporaryDirectory() as folder:
            for part in ("ledger.sqlite", "ledger.sqlite-wal"):
                if (self.state / part).is_file():
                    shutil.copy(self.state / part, folder)
            database = sqlite3.connect(Path(folder) / "ledger.sqlite")
            try:
                database.row_factory = sqlite3.Row
                if database.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                    raise Violation(f"{self.name}: the ledger is damaged")
                if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'outcomes'").fetchone():
                    return []
                return [dict(row) for row in database.execute("SELECT * FROM outcomes ORDER BY id")]
            finally:
                database.close()

    def files(self) -> dict[RelativePath, Path]:
        """Every file below the destination that a user would take for a copied one, by its path there."""
        return {path: full for path, full in self._all_files() if not _is_staged(path[-1])}

    def staged_names(self) -> list[RelativePath]:
        """Files under staged names."""
        return [path for path, _ in self._all_files() if _is_staged(path[-1])]

    def folders(self) -> set[RelativePath]:
        """Every folder below the destination."""
        return {
            tuple(Path(parent, name).relative_to(self.destination).parts)
            for parent, names, _ in os.walk(self.destination)
            for name in names
        }

    def _all_files(self) -> Iterator[tuple[RelativePath, Path]]:
        for parent, _, names in os.walk(self.destination):
            for name in names:
                full = Path(parent, name)
                yield tuple(full.relative_to(self.destination).parts), full


def _is_staged(name: str) -> bool:
    return name.startswith(".sitehaul-") and name.endswith(".part")


def judge_moment(job: JobFiles, truth: Truth) -> None:
    """What must hold at any moment at which no process works on the job, also right after a kill. Raises Violation."""
    runs = job.runs()
    allowed: dict[RelativePath, set[str]] = collections.defaultdict(set)
    for run in runs:
        _judge_plan(job, run, truth)
        for row in run.plan:
            if row["entry_kind"] == "file" and row["kind"] in ("copy", "skip"):
                version = (row["source_id"], row["source_version_id"])
                allowed[tuple(row["destination_path"])].add(truth.versions[version])
    found = {path: sha256_of(full) for path, full in job.files().items()}
    for path, sha256 in found.items():
        if path not in allowed:
            raise Violation(f"{job.name}: {path} is at the destination, but no plan put it there")
        if sha256 not in allowed[path]:
            raise Violation(f"{job.name}: {path} is under its final name, but not what the source file holds")
    _judge_arrivals(job, runs, truth, found)


def _judge_arrivals(job: JobFiles, runs: list[RunLeft], truth: Truth, found: dict[RelativePath, str]) -> None:
    """What the ledger calls arrived is there. A later run may have replaced it without having recorded that yet."""
    arrived: dict[RelativePath, set[str]] = {}
    for run in runs:
        arrived |= {path: {sha256} for path, sha256 in _judge_ledger(job, run, truth).items()}
    for row in runs[-1].plan if runs else []:
        path = tuple(row["destination_path"])
        if row["entry_kind"] == "file" and row["kind"] == "copy" and path in arrived:
            arrived[path].add(truth.versions[row["source_id"], row["source_version_id"]])
    for path, hashes in arrived.items():
        if found.get(path) not in hashes:
            raise Violation(f"{job.name}: the ledger says that {path} arrived, but it is not there or not the same")


def _judge_plan(job: JobFiles, run: RunLeft, truth: Truth) -> None:
    """No two files on one path, nothing outside of the destination, each source file once, names as the source's."""
    taken: set[RelativePath] = set()
    sources: set[str] = set()
    for row in run.plan:
        path = tuple(row["destination_path"])
        if path in taken or row["source_id"] in sources:
            raise Violation(f"{job.name}: the plan of {run.name} has {path} or its source twice")
        taken.add(path)
        sources.add(row["source_id"])
        if any(part in ("", ".", "..") or "/" in part or len(part.encode()) > 255 for part in path):
            raise Violation(f"{job.name}: the plan of {run.name} has the impossible path {path}")
        known = (truth.files if row["entry_kind"] == "file" else truth.folders).get(row["source_id"])
        if known is None or known["path"] != row["source_path"]:
            raise Violation(f"{job.name}: the plan of {run.name} has {row['source_path']}, which the project has not")
        if row["entry_kind"] == "file" and (row["source_id"], row["source_version_id"]) not in truth.versions:
            raise Violation(f"{job.name}: the plan of {run.name} has a version of {path} that never was")
        if row["renamed"] != (list(path) != row["source_path"]):
            raise Violation(f"{job.name}: the plan of {run.name} says otherwise of the renamed {row['source_path']}")


def _judge_ledger(job: JobFiles, run: RunLeft, truth: Truth) -> dict[RelativePath, str]:
    """At most one final outcome per action, its words as they must be; what arrived, by path, with its hash."""
    rows = {row["action_id"]: row for row in run.plan}
    arrived: dict[RelativePath, str] = {}
    final: set[str] = set()
    for outcome in run.outcomes:
        row = rows.get(outcome["action_id"])
        if row is None:
            raise Violation(f"{job.name}: the ledger has an outcome of an action that the plan of {run.name} has not")
        path = tuple(row["destination_path"])
        if outcome["word"] not in TERMINAL:
            continue
        if outcome["action_id"] in final:
            raise Violation(f"{job.name}: {path} has two final outcomes in {run.name}")
        final.add(outcome["action_id"])
        due = "revised" if list(path) != row["source_path"] else "succeeded"
        if outcome["word"] != due:
            said = f"{outcome['word']} ({outcome['reason']}: {outcome['message']})"
            raise Violation(f"{job.name}: {path} is called {said} where {due} is due")
        if row["entry_kind"] == "file":
            if outcome["sha256"] != truth.versions[row["source_id"], row["source_version_id"]]:
                raise Violation(f"{job.name}: the ledger has another hash for {path} than the source file")
            arrived[path] = outcome["sha256"]
        elif not job.destination.joinpath(*path).is_dir():
            raise Violation(f"{job.name}: the folder {path} is called made, but is not there")
    return arrived


def judge_end(job: JobFiles, truth: Truth, said: dict[str, Any]) -> None:
    """What must hold when a run ended by itself and called itself done; `said` is its --json document."""
    judge_moment(job, truth)
    runs = job.runs()
    if unfinished := [run.name for run in runs if not run.finished]:
        raise Violation(f"{job.name}: runs were given up instead of continued: {unfinished}")
    for run in runs:
        done = {outcome["action_id"] for outcome in run.outcomes if outcome["word"] in TERMINAL}
        due = {row["action_id"] for row in run.plan if row["kind"] in ("copy", "make_folder")}
        if done != due:
            raise Violation(f"{job.name}: {len(due ^ done)} actions of {run.name} lack or have a wrong final outcome")
    _judge_destination(job, runs[-1], truth)
    counts = said["counts"]
    if said["state"] != "done" or not said["adds_up"] or sum(counts.values()) != len(truth.files):
        raise Violation(f"{job.name}: it says {counts} of {len(truth.files)} files and calls itself {said['state']}")
    if without := [run.name for run in runs if not (job.state / "runs" / run.name / "report.html").is_file()]:
        raise Violation(f"{job.name}: there is no report of {without}")


def _judge_destination(job: JobFiles, last: RunLeft, truth: Truth) -> None:
    """The destination is the project: every file once, complete, with its time, under the name the plan gave it."""
    files, folders = job.files(), job.folders()
    due = {tuple(row["destination_path"]): row["source_id"] for row in last.plan if row["entry_kind"] == "file"}
    if set(due.values()) != set(truth.files):
        raise Violation(f"{job.name}: {len(set(truth.files) - set(due.values()))} files of the project are not planned")
    if files.keys() != due.keys():
        raise Violation(
            f"{job.name}: at the end {len(due.keys() - files.keys())} files are missing and "
            f"{len(files.keys() - due.keys())} are there that should not be"
        )
    for path, full in files.items():
        row = truth.files[due[path]]
        stat = full.stat()
        if stat.st_size != row["size_bytes"] or sha256_of(full) != row["sha256"]:
            raise Violation(f"{job.name}: at the end {path} does not hold the current version")
        if stat.st_mtime != datetime.fromisoformat(row["modified_at"]).astimezone(UTC).timestamp():
            raise Violation(f"{job.name}: {path} has another modification time than at the source")
    planned = {tuple(row["destination_path"]): row["source_id"] for row in last.plan if row["entry_kind"] == "folder"}
    if planned.keys() != folders or set(planned.values()) != set(truth.folders):
        raise Violation(f"{job.name}: the folders are not those of the project")
    if left := job.staged_names():
        raise Violation(f"{job.name}: staged names were left behind: {left[:3]}")


def judge_budget(server_folder: Path, calls_made: int) -> None:
    """The hourly limit's slots are what its leases hold, and no fewer than the calls Procore saw in this hour."""
    slots: collections.Counter[str] = collections.Counter()
    for path in (server_folder / "concurrency_leases").glob("*.json"):
        if path.name != "expirations.json":
            lease = json.loads(path.read_text("utf-8"))
            slots.update(dict.fromkeys(lease["resource_ids"], lease["metadata"]["slots"]))
    database = sqlite3.connect(f"file:{server_folder / 'prefect.db'}?mode=ro", uri=True, timeout=10)
    try:
        [(limit_id, taken)] = database.execute(
            "SELECT id, active_slots FROM concurrency_limit_v2 WHERE name LIKE 'procore-%-hourly'"
        ).fetchall()
    finally:
        database.close()
    if slots[limit_id] != taken:
        raise Violation(f"the hourly limit counts {taken} slots, its leases hold {slots[limit_id]}")
    if taken < calls_made:
        raise Violation(f"Procore saw {calls_made} calls within the hour, the limit counts only {taken}")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
