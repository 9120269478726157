"""The end of a run: the account is taken, the report written, and the run is finished if nothing is pending."""

import asyncio

from migration.errors import ConfigurationError, SiteHaulError, StoppedResumable
from migration.progress import Phase
from tasks.session import Session
from tasks.sidecar import keep_sidecar, maps_of
from tasks.steps import step, take_account


@step("Write the report", even_if_stopped=True)
async def report() -> None:
    """Write the run's report and the files beside it."""
    from reports.run_report import write_report

    session = Session.current()
    await asyncio.to_thread(write_report, session.paths, job=session.job)


async def tell_of_people(session: Session) -> None:
    """Write who made files and is in no map, if the job is about people at all."""
    from reports.people import are_wanted, write_unmapped

    if not are_wanted(session.job):
        return
    try:
        unmapped = await asyncio.to_thread(lambda: write_unmapped(session.paths, maps_of(session)))
    except ConfigurationError as error:
        session.hub.say(f"Who is in no map could not be found out: {error.message}")
        return
    if unmapped:
        session.hub.say(f"{unmapped} people are in no map: see unmapped-accounts.csv beside the report.")


async def account_and_report(session: Session) -> None:
    """Reconcile and report; the run is finished when every action has its final outcome, else it stops here.

    What ends before the report is written (a kill, a full disk) leaves an unfinished run, so the next one writes it.
    """
    session.run.reached(Phase.REPORT, session.clock.now())
    session.hub.begin(Phase.REPORT)
    account = await take_account()
    await keep_sidecar(session)
    await tell_of_people(session)
    session.run.finished_phase(Phase.REPORT, session.clock.now())
    await report()
    if account.left:
        session.run.stopped("some files failed for a passing reason", session.clock.now())
    else:
        session.run.finished(session.clock.now())


async def account_for_what_was_done(session: Session, end: StoppedResumable | SiteHaulError) -> None:
    """Account and report for a run that ended early, whose own end is raised whatever happens here."""
    try:
        await take_account()
        if isinstance(end, StoppedResumable):
            session.run.stopped(end.reason, session.clock.now(), end.resume_at)
        else:
            session.run.failed(end.code, end.message, session.clock.now())
        await report()
    except (SiteHaulError, OSError) as error:
        session.hub.say(f"The account of what was done could not be written: {error}")
