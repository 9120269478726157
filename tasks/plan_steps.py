"""The steps around a plan that is to be carried out as it was shown: look for drift, or carry it out in thought."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from migration.actions import Action, Outcome, OutcomeWord
from migration.analysis import analyze, analyze_destination
from migration.binding import changes_anything
from migration.drift import CHANGING, Drift, drift_since
from migration.errors import PlanError
from migration.ledger import Ledger
from migration.plans import Plan
from migration.progress import Phase, Progress
from migration.state import RunPaths, write_json_atomically
from tasks.session import Session
from tasks.steps import planned, step

SHOWN = 20
"""How many differences are told one by one."""
_RECORDED_AT_ONCE = 1000


async def refuse_drift(*, accepted: bool) -> None:
    """List both sides again and compare them with what the plan was made from; drift.json says what was found.

    Raises PlanError `plan-drifted` when something that the plan touches has changed, unless that is accepted. A plan
    that is being carried out already, or that changes nothing, is not looked at.
    """
    session = Session.current()
    if Phase.TRANSFER in session.run.record.phases:
        session.hub.say("The plan is being carried out already; every action looks at what it changes.")
        return
    if not changes_anything(planned(session).summary):
        return
    drift = await look_for_drift()
    for difference in drift.first[:SHOWN]:
        session.hub.say(f"Changed since planning: {difference.sentence}")
    if drift.total > SHOWN:
        session.hub.say(f"… and {drift.total - SHOWN:,} more, see {drift_file(session.paths)}")
    if drift and not accepted:
        first = drift.first[0].sentence
        raise PlanError(
            "plan-drifted",
            f"Since the plan was made, {drift.total:,} of the entries that it touches changed, e.g. {first}.",
            fix=f"Plan again (sitehaul plan {session.job.name}), or carry it out with --accept-drift: "
            "what is not as planned is then flagged, not overwritten.",
        )


@step("Look for changes since planning")
async def look_for_drift() -> Drift:
    """List both sides of the job anew and compare."""
    session = Session.current()
    session.hub.begin(Phase.PLAN)
    folder = session.paths.folder / "drift"
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def told(progress: Progress) -> None:
        session.hub.told(replace(progress, phase=Phase.PLAN))

    run_id, clock = session.run.run_id, session.clock
    source = await session.until_stopped(
        analyze(
            session.readable.connector,
            session.job.source.parts,
            folder / "source" / "inventory",
            run_id=run_id,
            clock=clock,
            progress=told,
        )
    )
    destination = await session.until_stopped(
        analyze_destination(
            session.listable,
            session.job.destination.parts,
            folder / "destination" / "inventory",
            run_id=run_id,
            clock=clock,
            progress=told,
        )
    )
    drift = await asyncio.to_thread(drift_since, session.paths, source=source, destination=destination)
    write_json_atomically(
        drift_file(session.paths),
        {
            "plan_id": planned(session).summary.plan_id,
            "looked_at": clock.now().isoformat(),
            "counts": {change.value: count for change, count in sorted(drift.counts.items())},
            "differences": [difference.to_json() for difference in drift.first],
        },
    )
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return drift


def drift_file(run: RunPaths) -> Path:
    """What the last look for drift found (JSON)."""
    return run.folder / "drift.json"


@step("Carry out the plan in thought")
async def simulate_plan() -> None:
    """Give every action the outcome it would have if nothing went wrong. Nothing is read or written at either end."""
    session = Session.current()
    plan = planned(session)
    session.run.reached(Phase.TRANSFER, session.clock.now())
    session.hub.begin(Phase.TRANSFER, files_total=plan.summary.files_to_copy, bytes_total=plan.summary.bytes_to_copy)
    async with Ledger.open(session.state.ledger) as ledger:
        done = set(await ledger.latest(session.run.run_id))
        actions = _undone(plan, done)
        while batch := await asyncio.to_thread(lambda: list(islice(actions, _RECORDED_AT_ONCE))):
            session.raise_if_stopped()
            await ledger.record(session.run.run_id, [_imagined(action, session) for action in batch])
    session.run.finished_phase(Phase.TRANSFER, session.clock.now())


def _undone(plan: Plan, done: set[str]) -> Iterator[Action]:
    return (action for action in plan.actions(CHANGING) if action.action_id not in done)


def _imagined(action: Action, session: Session) -> Outcome:
    now = session.clock.now()
    return Outcome(
        action_id=action.action_id,
        attempt=1,
        started_at=now,
        finished_at=now,
        word=OutcomeWord.REVISED if action.renamed else OutcomeWord.SUCCEEDED,
        reason=action.reason,
        message="simulated, not done",
    )
