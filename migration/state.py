"""Where a job's state lives on disk (DESIGN section 8): `<state>/<job>/runs/<run>/…`."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from migration.errors import ConfigurationError
from migration.job_problems import job_from_values
from migration.jobs import Job

CHILDREN = "children"
"""The folder, in a job's state, of the states of its children."""


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
    def versions(self) -> Path:
        """What the transfer learnt of earlier versions (JSON lines)."""
        return self.folder / "versions.jsonl"

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
    def undo(self) -> Path:
        """What was undone of the run (JSON)."""
        return self.folder / "undo.json"

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
        """The state of the job with this name; nothing is created. A child (PARENT/CHILD) lies below its parent."""
        parent, _, child = job_name.partition("/")
        return cls(state_folder / parent / CHILDREN / child if child else state_folder / parent)

    @property
    def job_name(self) -> str:
        """The job's name, as its folder tells."""
        above = self.folder.parent
        return f"{above.parent.name}/{self.folder.name}" if above.name == CHILDREN else self.folder.name

    @property
    def children_file(self) -> Path:
        """The children of a company-wide or mapping job (JSON)."""
        return self.folder / "children.json"

    def children(self) -> list["JobState"]:
        """The states of its children that have been run, by name."""
        return [JobState(path.parent) for path in sorted((self.folder / CHILDREN).glob("*/job.json"))]

    @property
    def job_file(self) -> Path:
        return self.folder / "job.json"

    @property
    def baseline(self) -> Path:
        """Both sides as they were after the last run (Parquet)."""
        return self.folder / "baseline.parquet"

    @property
    def manifest(self) -> Path:
        """What the last sidecar held (Parquet)."""
        return self.folder / "manifest.parquet"

    @property
    def sidecar(self) -> Path:
        """What was last put at the destination of it (JSON)."""
        return self.folder / "sidecar.json"

    @property
    def lock(self) -> Path:
        """Locked (flock) by the process that runs this job; the system unlocks it when that process dies."""
        return self.folder / "run.lock"

    @property
    def ledger(self) -> Path:
        """The embedded ledger (SQLite) of this job."""
        return self.folder / "ledger.sqlite"

    @property
    def executions(self) -> Path:
        """The counters of the stop policy (JSON)."""
        return self.folder / "executions.json"

    @property
    def decisions(self) -> Path:
        """What people decided about flagged files (Parquet)."""
        return self.folder / "decisions.parquet"

    @property
    def versions(self) -> Path:
        """The job as it was after each change: 0001.json, 0002.json and so on."""
        return self.folder / "jobs"

    def save_job(self, job: Job, now: datetime) -> int:
        """Record the job as it is to be used, and as a version if it differs from the last one.

        Returns the number of the version. The folder is readable by its owner only.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        values = job.model_dump(mode="json")
        numbers = self.version_numbers()
        number = numbers[-1] if numbers else 0
        if not numbers or _version_values(self._version(number)) != values:
            number += 1
            written = {"format_version": 1, "version": number, "recorded_at": now.isoformat(), "job": values}
            write_json_atomically(self._version(number), written)
        write_json_atomically(self.job_file, values)
        return number

    def load_job(self) -> Job:
        """The job as last recorded. Raises FileNotFoundError when there is none, ConfigurationError `job-invalid` for
        one that this SiteHaul does not understand.
        """
        return job_from_values(json.loads(self.job_file.read_text("utf-8")), what=f"The job in {self.job_file}")

    def version_numbers(self) -> list[int]:
        """The numbers of the recorded versions, oldest first."""
        return sorted(int(path.stem) for path in self.versions.glob("*.json") if path.stem.isdecimal())

    def load_version(self, number: int) -> tuple[Job, datetime]:
        """A recorded version and since when it was used.

        Raises ConfigurationError `job-version-not-found`, or `job-invalid` for one that is not understood any more.
        """
        path = self._version(number)
        try:
            written = json.loads(path.read_text("utf-8"))
            values, recorded_at = written["job"], datetime.fromisoformat(written["recorded_at"])
        except FileNotFoundError:
            known = ", ".join(map(str, self.version_numbers()))
            raise ConfigurationError(
                "job-version-not-found",
                f"The job '{self.folder.name}' has no version {number}.",
                fix=f"There are: {known}." if known else None,
            ) from None
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError("job-invalid", f"The version {path} of the job is damaged ({error}).") from None
        return job_from_values(values, what=f"The version {path} of the job"), recorded_at

    def _version(self, number: int) -> Path:
        return self.versions / f"{number:04}.json"

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


def _version_values(path: Path) -> Any:
    """The job that a version holds; None for a damaged one, which counts as another."""
    try:
        return json.loads(path.read_text("utf-8"))["job"]
    except (OSError, KeyError, TypeError, ValueError):
        return None
