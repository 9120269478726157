"""Analysis: walking a system into an inventory, continuing where an earlier attempt stopped."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from migration.clock import Clock
from migration.contract import Source, WalkPage
from migration.entries import Entry, PathParts
from migration.errors import FatalError
from migration.inventory import Inventory, InventoryHeader, InventoryWriter
from migration.naming import SIDECAR_FOLDER
from migration.progress import Phase, Progress, ProgressListener

RESTARTS_MAX = 10
"""How often a listing may change under the walk before it is given up."""


class Listable(Source, Protocol):
    """What can be listed and looked at, such as a destination."""

    async def stat(self, path: PathParts) -> Entry | None:
        """The entry at `path` now; None if nothing is there."""
        ...


async def analyze(
    source: Source, root: PathParts, folder: Path, *, run_id: str, clock: Clock, progress: ProgressListener
) -> Inventory:
    """The inventory of everything below `root`, SiteHaul's own `.sitehaul` folders left out, in `folder`.

    A finished inventory is returned as it is, an unfinished one is continued: what is in it is not listed again.
    Whatever stops the walk (BudgetExhausted, an error, cancellation) leaves a folder that can be continued. Raises what
    the source raises, and FatalError `listing-keeps-changing`.
    """
    writer = await asyncio.to_thread(
        InventoryWriter.open, folder, run_id=run_id, system=source.system, root=root, clock=clock
    )
    if not writer.header.finished and not writer.listed:
        await _walk(source, root, writer, progress)
    return await asyncio.to_thread(writer.finish)


async def analyze_destination(
    destination: Listable, root: PathParts, folder: Path, *, run_id: str, clock: Clock, progress: ProgressListener
) -> Inventory:
    """As `analyze`; a root that is not there (the run will make it) gives an empty inventory that says so."""
    if root and await destination.stat(root) is None:
        writer = await asyncio.to_thread(
            InventoryWriter.open, folder, run_id=run_id, system=destination.system, root=root, clock=clock
        )
        if writer.header.entries == 0:
            return await asyncio.to_thread(writer.finish, root_missing=True)
    return await analyze(destination, root, folder, run_id=run_id, clock=clock, progress=progress)


async def _walk(source: Source, root: PathParts, writer: InventoryWriter, progress: ProgressListener) -> None:
    """Writing happens in a thread, so that the loop keeps serving connections meanwhile."""
    totals = _Totals(writer.header)
    pages = source.walk(root, writer.cursor)
    try:
        async for page in pages:
            if page.restarted and writer.header.restarts >= RESTARTS_MAX:
                raise FatalError(
                    "listing-keeps-changing",
                    f"The listing of {source.display_name} changed {RESTARTS_MAX} times while it was read.",
                    fix="Run again when fewer people are working in it.",
                )
            content = _without_own(page)
            await asyncio.to_thread(writer.write_page, content)
            totals.add(content)
            progress(totals.progress())
    finally:
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()


def _without_own(page: WalkPage) -> WalkPage:
    """The page without SiteHaul's own folders and what is in them."""
    entries = page.entries
    if not any(SIDECAR_FOLDER in entry.path for entry in entries):
        return page
    return replace(page, entries=tuple(entry for entry in entries if SIDECAR_FOLDER not in entry.path))


class _Totals:
    """What was listed so far, earlier attempts included."""

    def __init__(self, header: InventoryHeader) -> None:
        self._entries, self._files, self._bytes = header.entries, header.files, header.bytes
        self._calls, self._expected = header.calls, header.expected_total

    def add(self, page: WalkPage) -> None:
        if page.restarted:
            self._entries = self._files = self._bytes = 0
        sizes = [entry.size_bytes or 0 for entry in page.entries if entry.is_file]
        self._entries += len(page.entries)
        self._files += len(sizes)
        self._bytes += sum(sizes)
        self._calls += page.calls
        self._expected = page.expected_total if page.expected_total is not None else self._expected

    def progress(self) -> Progress:
        expected = "" if self._expected is None else f" of {self._expected:,}"
        return Progress(
            phase=Phase.ANALYZE,
            entries=self._entries,
            files_done=self._files,
            bytes_done=self._bytes,
            calls=self._calls,
            message=f"{self._entries:,}{expected} entries listed",
        )
