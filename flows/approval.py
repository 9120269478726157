"""Asking a person whether a plan may be carried out: the flow run pauses, and its page in Prefect shows a form."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import apause_flow_run
from prefect.input import RunInput
from pydantic import Field

from migration.approval import Approval, Decision
from migration.binding import needs_approval
from migration.clock import SystemClock
from migration.errors import StoppedResumable
from migration.jobs import Job
from migration.plans import Plan
from migration.runs import Run, job_lock
from migration.state import JobState
from tasks.session import Session
from tasks.steps import planned

PAUSES: ContextVar[bool] = ContextVar("pauses", default=True)
"""Whether a flow run may pause for an answer. The command line asks by itself."""
LOOK_SECONDS = 3
"""How often the paused run looks whether it was answered."""


class PlanApproval(RunInput):
    """The form on the page of the paused flow run."""

    decision: Decision = Field(
        title="Decision", description="approve = carry out exactly this plan; reject = stop, nothing is changed."
    )
    who: str = Field(title="Your name", description="Kept with the run.", min_length=1, max_length=200)
    note: str = Field(default="", title="Note", description="Kept with the run.", max_length=2000)


class WaitsForApproval(StoppedResumable):
    """The plan is made and changes something, and nobody has approved it yet."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(f"the plan {plan.summary.plan_id[:12]} waits for approval")
        self.plan = plan


async def stop_unless_approved(session: Session) -> None:
    """Raise WaitsForApproval if the job wants its plans approved and this one is not."""
    plan = planned(session)
    if needs_approval(session.job, plan):
        raise WaitsForApproval(plan)


async def asked(job: Job, state: JobState, plan: Plan) -> Approval | None:
    """Pause the flow run until a person has answered; the answer is recorded. None when nobody did in the plan's
    lifetime, or another flow run is asking about this plan already."""
    from reports.plan_report import plan_page
    from reports.plan_view import view_of

    made_at, now = plan.summary.made_at, SystemClock().now()
    seconds = (made_at + timedelta(hours=job.plan_ttl_hours) - now).total_seconds()
    with _asking(state) as alone:
        if not alone or seconds < 1:
            return None
        form = PlanApproval.with_initial_data(description=plan_page(view_of(plan, job)))
        try:
            answer = await apause_flow_run(wait_for_input=form, timeout=int(seconds), poll_interval=LOOK_SECONDS)
        except FlowPauseTimeout:
            return None
    approval = Approval(
        plan_id=plan.summary.plan_id,
        decision=answer.decision,
        who=answer.who,
        way="Prefect",
        at=SystemClock().now(),
        note=answer.note,
    )
    if not approval.approved:
        record_rejection(state, plan, approval)
    return approval


def record_rejection(state: JobState, plan: Plan, approval: Approval) -> None:
    """The run of a rejected plan ends here; the next run plans anew. Raises JobRunning while the job is being run."""
    with job_lock(state, approval.at):
        run = Run(plan.run, resumed=True, why="", after_crash=False)
        run.decided(approval)
        run.stopped(approval.sentence, approval.at)


@contextmanager
def _asking(state: JobState) -> Iterator[bool]:
    """Whether this process is the only one that asks about the job; others would only ask the same again."""
    with open(os.fspath(state.folder / "approval.lock"), "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
