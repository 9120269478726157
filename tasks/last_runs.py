"""Which run of a job is meant."""

from migration.errors import ConfigurationError
from migration.runs import RunRecord
from migration.state import JobState, RunPaths


def last_record(state: JobState) -> tuple[RunPaths, RunRecord] | None:
    """The newest run that has a record, None if there is none."""
    for paths in reversed(state.runs()):
        if paths.run_record.is_file():
            return paths, RunRecord.load(paths)
    return None


def last_planned_run(state: JobState) -> RunPaths:
    """The newest run that has a plan. ConfigurationError `never-run` if there is none."""
    for paths in reversed(state.runs()):
        if paths.plan_summary.is_file() and paths.run_record.is_file():
            return paths
    raise ConfigurationError(
        "never-run", f"The job {state.job_name!r} has no run with a plan.", fix=f"sitehaul run {state.job_name}"
    )


def named_run(state: JobState, run_id: str) -> RunPaths:
    """ConfigurationError `run-not-found` for one that is not there or was never planned."""
    for paths in state.runs():
        if paths.run_id == run_id and paths.plan_summary.is_file() and paths.run_record.is_file():
            return paths
    raise ConfigurationError(
        "run-not-found", f"The job has no run {run_id!r} with a plan.", fix="See the folders in its `runs`."
    )
