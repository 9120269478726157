"""Where a job's state lives on disk (DESIGN section 8): `<state>/<job>/runs/<run>/…`."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from migration.jobs import Job


def write_json_atomically(path: Path, value: Any) -> None:
    """Replace `path` by the JSON of `value`, durable before the old content is gone. Missing parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(staged, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, sort_keys=True, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, path)


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The files of one run. Nothing is created by looking."""

    folder: Path

    @property
    def run_id(self) -> str:
        return self.folder.name

    @property
    def source_inventory(self) -> Path:
        return self.folder / "source" / "inventory"

    @property
    def destination_inventory(self) -> Path:
        return self.folder / "destination" / "inventory"

    @property
    def verified_inventory(self) -> Path:
        """The destination as verification found it."""
        return self.folder / "verified" / "inventory"

    @property
    def plan(self) -> Path:
        return self.folder / "plan.parquet"

    @property
    def plan_summary(self) -> Path:
        return self.folder / "plan.json"

    @property
    def outcomes(self) -> Path:
        """The ledger's latest outcome of each action of this run, exported for reports (Parquet)."""
        return self.folder / "outcomes.parquet"

    @property
    def verification(self) -> Path:
        """What verification found about each file (Parquet)."""
        return self.folder / "verification.parquet"

    @property
    def reconciliation(self) -> Path:
        return self.folder / "reconciliation.json"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def run_record(self) -> Path:
        """Phases reached and when (JSON)."""
        return self.folder / "run.json"


@dataclass(frozen=True, slots=True)
class JobState:
    """The folder of one job under the state folder."""

    folder: Path

    @classmethod
    def of(cls, state_folder: Path, job_name: str) -> "JobState":
        """The state of the job with this name; nothing is created."""
        return cls(state_folder / job_name)

    @property
    def job_file(self) -> Path:
        return self.folder / "job.json"

    @property
    def baseline(self) -> Path:
        """Both sides as they were after the last run (Parquet)."""
        return self.folder / "baseline.parquet"

    @property
    def lock(self) -> Path:
        """Locked (flock) by the process that runs this job; the system unlocks it when that process dies."""
        return self.folder / "run.lock"

    @property
    def ledger(self) -> Path:
        """The embedded ledger (SQLite) of this job."""
        return self.folder / "ledger.sqlite"

    def save_job(self, job: Job) -> None:
        """Record the job as this run uses it. The folder is readable by its owner only."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_json_atomically(self.job_file, job.model_dump(mode="json"))

    def load_job(self) -> Job:
        """The job as last recorded. Raises FileNotFoundError when the job was never run."""
        return Job.model_validate_json(self.job_file.read_text("utf-8"))

    def runs(self) -> list[RunPaths]:
        """All runs, oldest first (run ids sort by their start)."""
        folder = self.folder / "runs"
        if not folder.is_dir():
            return []
        return [RunPaths(path) for path in sorted(folder.iterdir()) if path.is_dir()]

    def new_run(self, now: datetime) -> RunPaths:
        """Make the folder of a new run, named by its start in UTC with microseconds."""
        paths = RunPaths(self.folder / "runs" / now.strftime("%Y%m%dT%H%M%S.%fZ"))
        paths.folder.mkdir(parents=True, mode=0o700)
        return paths
