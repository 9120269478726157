"""The steps of a run as Prefect tasks. What they do is the engine's; here are their names, batches and limits.

A step takes no part of the run as a parameter (Prefect keeps parameters) and finds it by `Session.current()`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from migration.actions import ActionKind, OutcomeWord, Side
from migration.analysis import analyze, analyze_destination
from migration.baseline import write_baseline
from migration.decisions import Decisions
from migration.errors import ContractViolation, StoppedResumable
from migration.inventory import Inventory
from migration.ledger import Ledger
from migration.plans import Plan, write_plan
from migration.progress import Phase
from migration.reconciliation import Reconciliation, reconcile, write_reconciliation
from migration.security_maps import read_maps
from migration.sides import check_fit, ends_of
from migration.transfer import Transfer, Work, load_batches
from migration.verification import Scope, Verification, verify
from migration.version_manifest import known_versions
from tasks.session import Session, home_folder

P = ParamSpec("P")
T = TypeVar("T")

BATCHES_AT_ONCE = 2
"""A second batch fills the slots that the end of the first leaves empty; both share the run's limits."""
BATCHES_MAX = 1000
"""Prefect keeps every task run; beyond this many, batches grow instead."""
PASSES = 2
"""Files that failed for a passing reason are tried once more when all others are done."""


def step(
    name: str, run_name: str | None = None, *, even_if_stopped: bool = False
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Make a function a Prefect task. A stop is not a failed task, but one that is completed and named Stopped; the
    caller gets StoppedResumable as if there were no task."""

    def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @task(name=name, task_run_name=run_name or name, cache_policy=NO_CACHE, persist_result=False)
        @wraps(function)
        async def carried(*arguments: P.args, **named: P.kwargs) -> Any:
            try:
                return await function(*arguments, **named)
            except StoppedResumable as stop:
                session = Session.current()
                session.stopped = session.stopped or stop
                return Completed(name="Stopped", message=stop.reason)

        @wraps(function)
        async def called(*arguments: P.args, **named: P.kwargs) -> T:
            session = Session.current()
            if not even_if_stopped:
                session.raise_if_stopped()
            result: T = await carried(*arguments, **named)
            if not even_if_stopped:
                session.raise_if_stopped()
            return result

        return called

    return decorate


@step("Analyze the source")
async def analyze_source() -> Inventory:
    """List the source into the run's inventory, continuing an unfinished one; a finished one costs nothing."""
    session = Session.current()
    read_maps(session.job.rules, home_folder())  # a map that cannot be used is told before anything is done
    session.run.reached(Phase.ANALYZE, session.clock.now())
    session.hub.begin(Phase.ANALYZE)
    session.inventory = await session.until_stopped(
        analyze(
            session.readable.connector,
            session.job.source.parts,
            session.paths.source_inventory,
            run_id=session.run.run_id,
            clock=session.clock,
            progress=session.hub.told,
        )
    )
    session.run.finished_phase(Phase.ANALYZE, session.clock.now())
    return session.inventory


@step("List the destination")
async def list_destination() -> Inventory:
    """List what is at the destination now; a destination that is not there yet is an empty inventory."""
    session = Session.current()
    session.run.reached(Phase.PLAN, session.clock.now())
    session.hub.begin(Phase.PLAN)
    session.listed_destination = await session.until_stopped(
        analyze_destination(
            session.listable,
            session.job.destination.parts,
            session.paths.destination_inventory,
            run_id=session.run.run_id,
            clock=session.clock,
            progress=lambda told: session.hub.told(replace(told, phase=Phase.PLAN)),
        )
    )
    return session.listed_destination


async def make_plan() -> Plan:
    """The run's plan: the one it already has, else a new one from what is at the destination now."""
    session = Session.current()
    if session.run.record.finished(Phase.PLAN):
        session.plan = Plan.load(session.paths)
        session.plan.check_job(session.job)
        return session.plan
    await list_destination()
    return await decide_plan()


@step("Plan")
async def decide_plan() -> Plan:
    """Decide every step from the two inventories and what the last run left."""
    session = Session.current()
    source = session.inventory or Inventory.load(session.paths.source_inventory)
    versions = await session.until_stopped(
        known_versions(session.readable.connector, session.job, session.abilities[Side.DESTINATION])
    )
    session.plan = await asyncio.to_thread(
        write_plan,
        session.paths,
        session.job,
        source=source,
        destination=session.listed_destination or Inventory.load(session.paths.destination_inventory),
        baseline=session.state.baseline,
        source_capabilities=session.abilities[Side.SOURCE],
        destination_capabilities=session.abilities[Side.DESTINATION],
        hourly_calls=session.hourly_calls,
        now=session.clock.now(),
        decisions=Decisions.load(session.state.decisions),
        accounts=read_maps(session.job.rules, home_folder()).accounts,
        versions_at_source=versions,
    )
    session.run.finished_phase(Phase.PLAN, session.clock.now())
    session.audit.tell_plan(session.plan)
    return session.plan


@step("Verify")
async def verify_destination(scope: Scope = "this_run") -> Verification:
    """List the destination again and hash what was copied, whatever the transfer believed."""
    session = Session.current()
    plan = planned(session)
    session.run.reached(Phase.VERIFY, session.clock.now())
    session.hub.begin(Phase.VERIFY, files_total=plan.summary.files_to_copy if scope == "this_run" else None)
    async with Ledger.open(session.state.ledger) as ledger:
        await ledger.export(session.run.run_id, session.paths.outcomes)
    session.verification = await session.until_stopped(
        verify(
            session.paths,
            session.job,
            plan,
            session.writable,
            source=session.source.connector if session.source else None,
            scope=scope,
            clock=session.clock,
            progress=session.hub.told,
        )
    )
    session.run.finished_phase(Phase.VERIFY, session.clock.now())
    return session.verification


@step("Take the account", even_if_stopped=True)
async def take_account() -> Reconciliation:
    """Export the outcomes, keep the baseline for the next run, and reconcile source and outcomes file by file."""
    session = Session.current()
    async with Ledger.open(session.state.ledger) as ledger:
        await ledger.export(session.run.run_id, session.paths.outcomes)

    def account() -> Reconciliation:
        write_baseline(session.state, session.paths, session.job)
        reconciliation = reconcile(session.paths)
        write_reconciliation(session.paths, reconciliation)
        return reconciliation

    session.account = await asyncio.to_thread(account)
    return session.account


async def transfer_planned() -> None:
    """Carry out the plan on both sides: renames, folders, then files. What an earlier process of this run did is not
    done again."""
    session = Session.current()
    if session.run.record.finished(Phase.TRANSFER):
        return
    session.raise_if_stopped()
    summary = planned(session).summary
    check_fit(summary.changes, ends_of(session.job, session.readable.connector, session.writable))
    session.run.reached(Phase.TRANSFER, session.clock.now())
    async with Ledger.open(session.state.ledger) as ledger:
        before = await ledger.achieved(session.run.run_id) if session.run.resumed else (0, 0)
        session.hub.begin(
            Phase.TRANSFER,
            files_total=summary.files_to_copy,
            bytes_total=summary.bytes_to_copy,
            files_before=before[0],
            bytes_before=before[1],
        )
        async with Transfer(
            session.readable.connector,
            session.writable,
            ledger,
            session.run,
            session.job,
            clock=session.clock,
            progress=session.hub.told,
            decisions=Decisions.load(session.state.decisions),
            heard=session.audit.heard,
        ) as transfer:
            session.transfer = transfer
            try:
                renames = summary.counts.get(ActionKind.RENAME, 0)
                if renames:
                    await rename_entries(renames)
                if summary.folders_to_make:
                    await make_folders(summary.folders_to_make)
                await copy_files()
            finally:
                session.transfer = None
        counts = await ledger.counts(session.run.run_id)
    if not counts.get(OutcomeWord.RETRYING):
        session.run.finished_phase(Phase.TRANSFER, session.clock.now())


@step("Rename and move", "Rename or move {entries:,} files and folders")
async def rename_entries(entries: int) -> None:
    """Rename and move what was renamed or moved on the other side, in the plan's order."""
    session = Session.current()
    del entries  # only names the task run
    await transferring(session).rename(list(planned(session).actions([ActionKind.RENAME])))


@step("Make folders", "Make {folders:,} folders")
async def make_folders(folders: int) -> None:
    """Make the planned folders, parents first."""
    session = Session.current()
    del folders  # only names the task run
    await transferring(session).make_folders(list(planned(session).actions([ActionKind.MAKE_FOLDER])))


@step("Copy files", "Copy files {first:,}-{last:,} of {total:,}")
async def copy_batch(first: int, last: int, total: int) -> dict[str, int]:
    """Copy one batch; how many files got which outcome word now."""
    session = Session.current()
    del last, total  # only name the task run
    works = _BATCHES.pop((session.paths.folder, first))
    try:
        result = await transferring(session).run_batch(works)
    finally:
        session.audit.tell_batch(works)
    return {word.value: count for word, count in result.counts.items()}


_BATCHES: dict[tuple[Path, int], Sequence[Work]] = {}
"""The work of the batches whose tasks are being carried out, by run and first file: too much for a parameter."""


async def copy_files() -> None:
    """Copy every planned file that has no final outcome yet, in batches, two at a time."""
    session = Session.current()
    for attempt in range(PASSES):
        feed = _Feed(session, only_pending=session.run.resumed or attempt > 0)
        try:
            await _all_of([_carry(feed) for _ in range(BATCHES_AT_ONCE)])
        finally:
            await feed.close()
        if not feed.left_to_retry:
            return


async def _carry(feed: "_Feed") -> None:
    while batch := await feed.next():
        first, works = batch
        _BATCHES[feed.run_folder, first] = works
        try:
            counts = await copy_batch(first, first + len(works) - 1, feed.total)
        finally:
            _BATCHES.pop((feed.run_folder, first), None)
        feed.left_to_retry += counts.get(OutcomeWord.RETRYING.value, 0)


class _Feed:
    """Hands out the batches of a plan one after the other; reading the next one does not hold up the event loop."""

    def __init__(self, session: Session, *, only_pending: bool) -> None:
        plan = planned(session)
        inventory = session.inventory or Inventory.load(session.paths.source_inventory)
        self.run_folder = session.paths.folder
        self.total = plan.summary.files_to_copy
        self.left_to_retry = 0
        self._transfer = transferring(session)
        self._only_pending = only_pending
        size = max(session.job.performance.batch_files, math.ceil(self.total / BATCHES_MAX))
        self._batches: Iterator[list[Work]] = iter(
            load_batches(plan, inventory, size, first_batch_files=math.ceil(size / BATCHES_AT_ONCE))
        )
        self._lock = asyncio.Lock()
        self._handed_out = 0

    async def next(self) -> tuple[int, Sequence[Work]] | None:
        """The number of its first file (from 1) and the work of the next batch; None when there is no more."""
        async with self._lock:
            while (works := await asyncio.to_thread(next, self._batches, None)) is not None:
                first = self._handed_out + 1
                self._handed_out += len(works)
                todo = await self._transfer.pending(works) if self._only_pending else works
                if todo:
                    return first, todo
            return None

    async def close(self) -> None:
        """Let go of the files it reads from."""
        async with self._lock:
            close = getattr(self._batches, "close", None)
            if close is not None:
                await asyncio.to_thread(close)


async def _all_of(works: Sequence[Awaitable[None]]) -> None:
    """Await all of them to their ends, then raise the worst that happened: an error comes before a mere stop."""
    ends = await asyncio.gather(*works, return_exceptions=True)
    errors = [end for end in ends if end is not None]
    for error in sorted(errors, key=lambda end: isinstance(end, StoppedResumable)):
        raise error


def planned(session: Session) -> Plan:
    """The plan of this run, loaded and checked when that has not happened yet."""
    if session.plan is None:
        session.plan = Plan.load(session.paths)
    return session.plan


def transferring(session: Session) -> Transfer:
    """The transfer that is under way."""
    if session.transfer is None:
        raise ContractViolation("no-transfer", "A step of the transfer was used outside of it")
    return session.transfer
