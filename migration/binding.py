"""Whether a plan that somebody names may still be carried out, word for word."""

from datetime import datetime

from migration.drift import CHANGING
from migration.errors import PlanError
from migration.jobs import Job
from migration.plan_format import PlanSummary
from migration.plans import Plan
from migration.runs import RunRecord, RunState, job_digest, why_not_resumed
from migration.state import JobState, RunPaths

ID_CHARACTERS_MIN = 4
"""So many characters of a plan's id name it."""


def changes_anything(summary: PlanSummary) -> bool:
    """Whether carrying out the plan changes anything on either side."""
    return any(summary.counts.get(kind.value, 0) for kind in CHANGING)


def needs_approval(job: Job, plan: Plan) -> bool:
    """Whether a person has to approve the plan before it is carried out."""
    if not job.require_approval or not changes_anything(plan.summary):
        return False
    approval = RunRecord.load(plan.run).approval
    return approval is None or approval.plan_id != plan.summary.plan_id or not approval.approved


def bound_plan(state: JobState, job: Job, plan_id: str, now: datetime) -> Plan:
    """The job's latest unfinished plan, if `plan_id` (its beginning is enough) names it and it may be carried out.

    Raises PlanError: `plan-not-found`, `plan-not-latest`, `plan-finished`, `plan-of-another-job`, `plan-rejected`,
    `plan-not-usable` (too old, or its ledger is gone), `plan-changed`. Changes nothing.
    """
    last = _named_and_latest(state, job, plan_id)
    record = RunRecord.load(last)
    if record.state is RunState.FINISHED:
        raise _refused("plan-finished", plan_id, f"was carried out by run {last.run_id}, which is finished", job)
    if record.job_digest != job_digest(job):
        raise _refused("plan-of-another-job", plan_id, "was made before the job was changed", job)
    plan = Plan.load(last)
    plan.check_job(job)
    approval = record.approval
    if approval is not None and approval.plan_id == plan.summary.plan_id and not approval.approved:
        raise _refused("plan-rejected", plan_id, f"was rejected by {approval.who}", job)
    why_not = why_not_resumed(state, job, now)
    if why_not is not None:
        raise _refused("plan-not-usable", plan_id, f"cannot be carried out: {why_not}", job)
    return plan


def _named_and_latest(state: JobState, job: Job, plan_id: str) -> RunPaths:
    runs = [run for run in state.runs() if run.run_record.is_file()]
    named = [run for run in runs if _id_of(run).startswith(plan_id)] if len(plan_id) >= ID_CHARACTERS_MIN else []
    if not named:
        known = _id_of(runs[-1]) if runs else ""
        told = f"The latest one is {known[:12]}. " if known else ""
        raise PlanError(
            "plan-not-found", f"The job '{job.name}' has no plan {plan_id}.", fix=f"{told}See: sitehaul plan {job.name}"
        )
    if named[-1] != runs[-1]:
        raise _refused("plan-not-latest", plan_id, f"is not the latest: run {runs[-1].run_id} was begun after it", job)
    return named[-1]


def _id_of(run: RunPaths) -> str:
    return Plan.load(run).summary.plan_id if run.plan_summary.is_file() else ""


def _refused(code: str, plan_id: str, why: str, job: Job) -> PlanError:
    return PlanError(
        code, f"The plan {plan_id} of the job '{job.name}' {why}.", fix=f"Plan again: sitehaul plan {job.name}"
    )
