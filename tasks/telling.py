"""What Prefect's UI is told of a run: log lines, a progress artifact while it runs, and what came of it at the end.

Artifacts have one key per job, so that their page is the job's history. A server that is away for a moment costs the UI
a line, never the run.
"""

import asyncio
import contextlib
import html
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec
from uuid import UUID

import httpx
from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

from migration.errors import SiteHaulError
from migration.progress import Phase
from migration.reconciliation import Reconciliation
from tasks.budget import PrefectCallBudget
from tasks.progress import Standing, size_text, standing_line
from tasks.server import restart_own_server
from tasks.session import Session
from tasks.shares import Share

P = ParamSpec("P")

BEAT_SECONDS = 5.0
TELL_SECONDS_MAX = 20.0
FOLDERS_MAX = 200
_SHARES = {
    Phase.ANALYZE: (0, 10),
    Phase.PLAN: (10, 15),
    Phase.TRANSFER: (15, 85),
    Phase.VERIFY: (85, 95),
    Phase.REMOVE: (95, 97),
    Phase.REPORT: (97, 100),
    Phase.UNDO: (0, 100),
}
"""From which to which percentage of the whole each phase goes."""

_log = logging.getLogger("sitehaul.telling")


@asynccontextmanager
async def told_to_prefect(session: Session) -> AsyncIterator[None]:
    """While inside, the run's progress goes to Prefect every few seconds."""
    teller = _Beat(session)
    beat = asyncio.create_task(teller.go_on(), name="progress")
    try:
        yield
    finally:
        beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beat
    await _told(teller.is_done)


async def publish_ending(session: Session, state: str, sentence: str) -> None:
    """Leave what came of the run as artifacts: a page of text, and the account by top folder."""
    await _told(_publish, session, state, sentence)


async def publish_table(job_name: str, what: str, rows: list[dict[str, object]], description: str) -> None:
    """Leave a table as an artifact of the run that goes on."""

    async def publish() -> None:
        await acreate_table_artifact(key=artifact_key(job_name, what), table=rows, description=description)

    await _told(publish)


async def _publish(session: Session, state: str, sentence: str) -> None:
    await acreate_markdown_artifact(
        key=artifact_key(session.job.name), markdown=ending_page(session, state, sentence), description=sentence
    )
    if session.account is not None:
        await acreate_table_artifact(
            key=artifact_key(session.job.name, "folders"),
            table=folder_rows(session.account),
            description=f"Files of {session.job.source.path or 'the source'} by top folder and outcome",
        )


class _Beat:
    """Tells the present standing again and again."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._artifact: UUID | None = None
        self._told: str | None = None
        self._waits_until: str | None = None

    async def go_on(self) -> None:
        while True:
            standing = self._session.hub.standing
            if standing is not None:
                await _told(self._tell, standing)
            await _told(self._ask_budget)
            await asyncio.sleep(BEAT_SECONDS)

    async def is_done(self) -> None:
        """The phases are through."""
        if self._artifact is not None:
            await aupdate_progress_artifact(self._artifact, 100.0)

    async def _ask_budget(self) -> None:
        """How many calls are left, and whether the run waits for some; only budgets that are kept here know."""
        budget = self._session.source.budget if self._session.source else None
        if not isinstance(budget, PrefectCallBudget | Share):
            return
        self._session.hub.calls_left = await budget.left()
        until = f"{budget.waiting_until:%H:%M} UTC" if budget.waiting_until is not None else None
        if until is not None and until != self._waits_until:
            self._session.hub.say(f"Waiting for API calls, until about {until}.")
        self._waits_until = until

    async def _tell(self, standing: Standing) -> None:
        line = standing_line(standing)
        if line == self._told:
            return
        self._told = line
        get_run_logger().info(line)
        percent = percent_done(standing)
        if self._artifact is None:
            self._artifact = await acreate_progress_artifact(
                percent, key=artifact_key(self._session.job.name, "progress"), description=line
            )
        else:
            await aupdate_progress_artifact(self._artifact, percent, description=line)


async def _told(tell: Callable[P, Awaitable[None]], *arguments: P.args, **named: P.kwargs) -> None:
    """Tell; our own server, should it have died, is brought back before.

    A server that cannot be told does not end the work: that is left to those who cannot go on without it. Prefect's
    client tries for a minute, which is more than a line is worth.
    """
    try:
        await asyncio.to_thread(restart_own_server)
        async with asyncio.timeout(TELL_SECONDS_MAX):
            await tell(*arguments, **named)
    except (httpx.HTTPError, PrefectException, OSError, SiteHaulError) as error:
        _log.warning("Prefect could not be told: %s", error)


def artifact_key(job_name: str, what: str | None = None) -> str:
    """The key of a job's artifact: Prefect allows lower-case letters, digits and dashes."""
    plain = re.sub(r"[^a-z0-9]+", "-", job_name.lower()).strip("-") or "job"
    return f"{plain}-{what}" if what else plain


def percent_done(standing: Standing) -> float:
    """How much of the whole run is done, roughly: phases have fixed shares."""
    start, end = _SHARES[standing.progress.phase]
    progress = standing.progress
    if progress.bytes_total:
        share = progress.bytes_done / progress.bytes_total
    elif progress.files_total:
        share = progress.files_done / progress.files_total
    else:
        share = 0.0
    return round(start + (end - start) * min(1.0, share), 1)


def folder_rows(account: Reconciliation) -> list[dict[str, object]]:
    """The account by top folder, largest first; beyond FOLDERS_MAX see the report."""
    tallies = sorted(account.folders.items(), key=lambda item: -item[1].source_files)[:FOLDERS_MAX]
    return [
        {"folder": top or "(top level)", "source files": tally.source_files, **tally.files, "bytes": tally.source_bytes}
        for top, tally in tallies
    ]


def ending_page(session: Session, state: str, sentence: str) -> str:
    """The page of text. Names come from outside and are escaped."""
    job = session.job
    source = f"{job.source.connection}:{job.source.path}"
    destination = f"{job.destination.connection}:{job.destination.path}"
    lines = [
        f"# {html.escape(job.name)}: {state}",
        "",
        html.escape(sentence),
        "",
        f"`{_code(source)}` → `{_code(destination)}`",
    ]
    account = session.account
    if account is not None:
        lines += ["", "| outcome | files | size |", "|---|---:|---:|"]
        lines += [
            f"| {word} | {count:,} | {size_text(account.total.bytes[word])} |"
            for word, count in account.total.files.items()
        ]
        lines.append(
            f"| **source** | **{account.total.source_files:,}** | **{size_text(account.total.source_bytes)}** |"
        )
        lines += ["", "The account adds up." if account.adds_up else "**The account does not add up.**"]
        if account.verification is not None:
            verdicts = ", ".join(f"{count:,} {word.replace('_', ' ')}" for word, count in account.verification.items())
            lines.append(f"Verification: {verdicts or 'nothing was copied'}.")
    lines += ["", f"Run `{session.run.run_id}`, {session.hub.calls():,} API calls by this process."]
    if session.paths.report.is_file():
        lines.append(f"The report: `{_code(str(session.paths.report))}`")
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """Safe between backticks."""
    return text.replace("`", "'").replace("\n", " ")
