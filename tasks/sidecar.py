"""The step that keeps the sidecar: what the destination itself cannot keep of a job's files, beside them."""

import asyncio

from migration.errors import SiteHaulError, StoppedResumable
from migration.security_maps import SecurityMaps, read_maps
from migration.sidecar import is_wanted, write_sidecar
from migration.sidecar_writing import Placed, put_sidecar
from migration.state import write_json_atomically
from tasks.session import Session, home_folder
from tasks.steps import step


def maps_of(session: Session) -> SecurityMaps:
    """The job's maps of people and groups; relative paths start at SiteHaul's home. Raises as `read_maps`."""
    return read_maps(session.job.rules, home_folder())


async def keep_sidecar(session: Session) -> None:
    """Put the sidecar at the destination, if the job wants one and something was carried out."""
    if is_wanted(session.job) and not session.simulated and session.destination is not None:
        await write_and_put()


@step("Write the sidecar", even_if_stopped=True)
async def write_and_put() -> None:
    """Write the sidecar's files and put those at the destination that changed. What prevents it is said and noted in
    the run's folder; the next run tries again."""
    session = Session.current()
    try:
        placed = await _put(session)
    except (SiteHaulError, StoppedResumable) as end:
        placed = Placed((), (), end.reason if isinstance(end, StoppedResumable) else end.message)
    write_json_atomically(
        session.paths.folder / "sidecar.json",
        {"folder": list(placed.folder), "written": list(placed.written), "problem": placed.problem},
    )
    if placed.problem is not None:
        session.hub.say(f"The sidecar could not be put at the destination: {placed.problem}")


async def _put(session: Session) -> Placed:
    sidecar = await asyncio.to_thread(
        lambda: write_sidecar(session.state, session.paths, session.job, maps_of(session))
    )
    return await session.until_stopped(
        put_sidecar(
            sidecar,
            session.writable,
            session.job.destination.parts,
            session.job.name,
            noted=session.state.sidecar,
            clock=session.clock,
        )
    )
