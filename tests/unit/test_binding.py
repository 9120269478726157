"""A named plan is carried out only while it is the job's latest, young enough and made for the job as it is."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from migration.approval import Approval, Decision
from migration.binding import bound_plan, changes_anything, needs_approval
from migration.errors import PlanError
from migration.jobs import Job
from migration.plans import Plan, write_plan
from migration.progress import Phase
from migration.runs import Run, begin
from tests.unit.planning_support import NOW, PROCORE, SHARE, Desk, entries


def made(desk: Desk, *lines: str, now: datetime = NOW) -> tuple[Run, Plan]:
    """A run of the desk's job that was planned and stopped then."""
    run = begin(desk.state, desk.job, now, plan_anew=True)
    source = desk.inventory(run.paths.source_inventory, "procore", entries("procore", lines))
    there = desk.inventory(run.paths.destination_inventory, "filesystem", [])
    plan = write_plan(
        run.paths,
        desk.job,
        source=source,
        destination=there,
        baseline=None,
        source_capabilities=PROCORE,
        destination_capabilities=SHARE,
        hourly_calls=None,
        now=now,
    )
    run.reached(Phase.PLAN, now)
    run.finished_phase(Phase.PLAN, now)
    run.stopped("it was only planned", now)
    return run, plan


def refused(desk: Desk, plan_id: str, *, job: Job | None = None, now: datetime = NOW) -> str:
    with pytest.raises(PlanError) as told:
        bound_plan(desk.state, job or desk.job, plan_id, now)
    assert told.value.fix is not None and "sitehaul plan job" in told.value.fix
    return told.value.code


def test_the_latest_plan_is_known_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    run, plan = made(desk, "a.txt")
    assert bound_plan(desk.state, desk.job, plan.summary.plan_id, NOW).run == run.paths
    assert bound_plan(desk.state, desk.job, plan.summary.plan_id[:6], NOW).run == run.paths
    assert refused(desk, plan.summary.plan_id[:3]) == "plan-not-found", "that is too little to be meant"
    assert refused(desk, "f" * 32) == "plan-not-found"


def test_what_makes_a_plan_void(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    run, plan = made(desk, "a.txt")
    plan_id = plan.summary.plan_id
    changed = desk.job.model_copy(update={"rules": desk.job.rules.model_copy(update={"timestamps": False})})
    assert refused(desk, plan_id, job=changed) == "plan-of-another-job"
    assert refused(desk, plan_id, now=NOW + timedelta(hours=73)) == "plan-not-usable"
    run.decided(Approval(plan_id=plan_id, decision=Decision.REJECT, who="Bob", way="Prefect", at=NOW))
    assert refused(desk, plan_id) == "plan-rejected"
    run.finished(NOW)
    assert refused(desk, plan_id) == "plan-finished"
    made(desk, "a.txt", "b.txt", now=NOW + timedelta(hours=1))
    assert refused(desk, plan_id) == "plan-not-latest"


def test_who_has_to_approve_what(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    asking = desk.job.model_copy(update={"require_approval": True})
    run, plan = made(desk, "a.txt")
    assert needs_approval(asking, plan)
    assert not needs_approval(desk.job, plan)
    for decision, plan_id, needed in (
        (Decision.REJECT, plan.summary.plan_id, True),
        (Decision.APPROVE, "another plan's", True),
        (Decision.APPROVE, plan.summary.plan_id, False),
    ):
        run.decided(Approval(plan_id=plan_id, decision=decision, who="Ann", way="Prefect", at=NOW))
        assert needs_approval(asking, plan) is needed
    _, idle = made(desk, "only.txt = 1 !deleted", now=NOW + timedelta(hours=1))
    assert not changes_anything(idle.summary)
    assert not needs_approval(asking, idle)
