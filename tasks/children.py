"""The children of a company-wide or mapping job: asking the source for them, and the job of each."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from migration.capabilities import NameRules
from migration.child_rows import load_children, roll_file, save_children
from migration.child_rules import JobKind
from migration.contract import Browsable, Company, FoundChild, Source
from migration.entries import EntryKind
from migration.errors import BudgetExhausted, ConfigurationError
from migration.job_problems import job_from_values
from migration.jobs import Job
from migration.mapping import Arrangement, Child, arranged, left_out
from migration.naming import SIDECAR_FOLDER, Namer
from migration.progress import Phase
from tasks.session import Session, job_state
from tasks.steps import step

BYTES_IN_MEMORY_MIN = 8 * 1024 * 1024
_OWN = {"name", "kind", "source", "destination", "children", "reserve_percent", "schedule", "stop_policy"}
"""Fields of a job that are not the same for its children."""
NOT_VISIBLE = frozenset({
    "documents-off", "documents-refused", "project-not-permitted", "project-not-found", "folder-not-found",
    "folder-missing", "permission-denied",
})  # fmt: skip
"""Codes of errors that say: this child cannot be seen by the connection. They are reported and fail nothing."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What the source says now."""

    found: tuple[FoundChild, ...]
    told: tuple[str, ...]
    """What belongs to no child."""


@step("List the children")
async def arrange_children() -> Arrangement:
    """Ask the source for its projects or first folders, and keep which child is which and where it goes.

    Without a call left a run that goes on takes the children that are known. Raises ConfigurationError for a source
    that has no such thing, or in which nothing is seen; the known children then stay as they are.
    """
    session = Session.current()
    session.run.reached(Phase.ANALYZE, session.clock.now())
    names = session.writable if not session.simulated else session.listable
    try:
        arrangement = await session.until_stopped(
            look_for_children(session.job, session.readable.connector, names.capabilities.names, session.clock.now())
        )
    except BudgetExhausted:
        if not session.run.resumed or not roll_file(session.paths).is_file():
            raise
        known = await asyncio.to_thread(load_children, job_state(session.job.name))
        return Arrangement(tuple(known), ("The hour's calls are used up; the children are those of the last start.",))
    if not session.simulated:
        await asyncio.to_thread(save_children, session.state, arrangement.children)
    session.run.finished_phase(Phase.ANALYZE, session.clock.now())
    return arrangement


async def look_for_children(job: Job, source: Source, destination_names: NameRules, now: datetime) -> Arrangement:
    """The children as they are now, by what the source lists and what earlier runs kept. Changes nothing.

    Raises as `arrange_children`.
    """
    listed = await _listed(job, source)
    known = await asyncio.to_thread(load_children, job_state(job.name))
    namer = Namer(destination_names)
    root_length = namer.path_length(job.destination.parts)
    arrangement = arranged(listed.found, known, job.children, job.kind, namer=namer, root_length=root_length, now=now)
    ignored = left_out(listed.found, job.children)
    told = (*listed.told, f"{ignored:,} are left out by the job's rules.") if ignored else listed.told
    return Arrangement(arrangement.children, (*arrangement.told, *told))


def child_job(parent: Job, child: Child) -> Job:
    """The child's own job. Those that are at work at the same time share what the parent may use.

    ConfigurationError `job-invalid` for a folder that no job can name.
    """
    values = parent.model_dump(mode="json", exclude=_OWN)
    at_once, performance = parent.children.at_once, values["performance"]
    performance["parallel_writes"] = max(1, parent.performance.parallel_writes // at_once)
    performance["bytes_in_memory_max"] = max(BYTES_IN_MEMORY_MIN, parent.performance.bytes_in_memory_max // at_once)
    return job_from_values({
        **values,
        "name": f"{parent.name}/{child.slug}",
        "source": {"connection": parent.source.connection, "path": "/".join(child.source)},
        "destination": {
            "connection": parent.destination.connection,
            "path": "/".join((*parent.destination.parts, *child.destination)),
        },
        "reserve_percent": parent.kept_percent,
    })  # fmt: skip


async def _listed(job: Job, source: Source) -> Listed:
    listed = await (_projects(job, source) if job.kind is JobKind.COMPANY else _folders(job, source))
    if listed.found:
        return listed
    what = "project" if job.kind is JobKind.COMPANY else "folder"
    raise ConfigurationError(
        f"no-{what}s",
        f"The connection '{job.source.connection}' sees no {what} at all.",
        fix="Check its rights (`sitehaul test`). Children that are known stay as they are.",
    )


async def _projects(job: Job, connector: Source) -> Listed:
    if not isinstance(connector, Company):
        raise ConfigurationError(
            "no-company",
            f"The connection '{job.source.connection}' ({connector.display_name}) has no projects.",
            fix="Use the kind folder_mapping, which makes a child for each folder of the source path.",
        )
    return Listed(await connector.projects(), ())


async def _folders(job: Job, connector: Source) -> Listed:
    parts = job.source.parts
    if not isinstance(connector, Browsable):
        raise ConfigurationError(
            "no-first-folders",
            f"The connection '{job.source.connection}' ({connector.display_name}) cannot list a folder alone.",
            fix="Make one job for each folder.",
        )
    entries = [entry for entry in await connector.inside(parts) if entry.name != SIDECAR_FOLDER]
    folders = [entry for entry in entries if entry.kind is EntryKind.FOLDER]
    nameable = [entry for entry in folders if "/" not in entry.name and entry.name not in (".", "..")]
    counts = Counter(entry.name for entry in nameable)
    twins = [entry for entry in nameable if counts[entry.name] > 1]
    told = [f"The folder '{entry.name}' cannot be named in a path: its name holds a '/'." for entry in folders
            if entry not in nameable]  # fmt: skip
    told += [f"{counts[name]} folders are called '{name}'; no path can tell them apart." for name in
             sorted({entry.name for entry in twins})]  # fmt: skip
    if files := len(entries) - len(folders):
        told.append(f"{files:,} files lie directly in the source folder and belong to no child; they are not copied.")
    found = [
        FoundChild(
            id=entry.ref.id,
            name=entry.name,
            path=(*parts, entry.name),
            changed_at=entry.modified_at,
            created_at=entry.created_at,
        )
        for entry in nameable
        if counts[entry.name] == 1
    ]
    return Listed(tuple(found), tuple(told))
