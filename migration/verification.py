"""Verification: lists the destination again and hashes files again, independently of what transfer believed."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from migration.actions import Side, VerificationLevel
from migration.analysis import analyze_destination
from migration.clock import Clock
from migration.contract import ContentHash, Destination, Source
from migration.entries import Entry, PathParts
from migration.errors import ItemError, RetryableError, SiteHaulError
from migration.inventory import Inventory
from migration.inventory_format import stored_path
from migration.jobs import Job
from migration.judgement import VERIFICATION_SCHEMA, Expected, Judgement, Verdict, judge
from migration.plans import Plan
from migration.progress import Phase, Progress, ProgressListener
from migration.reading import hash_of
from migration.state import RunPaths
from migration.stored_text import readable
from migration.verification_rows import expected_files

__all__ = ["VERIFICATION_SCHEMA", "Difference", "Scope", "Verdict", "Verification", "verify"]

HASHED_AT_ONCE = 4
DIFFERENCES_MAX = 100

Scope = Literal["this_run", "everything"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One file that is not as it should be."""

    side: Side
    path: PathParts
    """From the job's root on that side."""
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What one verification found. The rows are in `path` (VERIFICATION_SCHEMA)."""

    path: Path
    scope: Scope
    files: int
    counts: Mapping[Verdict, int]
    levels: Mapping[VerificationLevel, int]
    """How the matching files were proved."""
    bytes_hashed: int
    seconds: float
    listing_complete: bool
    """Whether the destination could be listed as a whole."""
    differences: tuple[Difference, ...]
    """The first 100 files that differ, are missing or could not be checked."""

    @property
    def clean(self) -> bool:
        """Whether every file in scope matches, or is what the destination makes of such files."""
        return self.files == self.counts.get(Verdict.MATCHES, 0) + self.counts.get(Verdict.REWRITTEN, 0)


async def verify(
    run: RunPaths,
    job: Job,
    plan: Plan,
    destination: Destination,
    *,
    source: Source | None = None,
    scope: Scope,
    clock: Clock,
    progress: ProgressListener,
) -> Verification:
    """Check the files of a run against both sides as they are now, and write verification.parquet.

    Needs outcomes.parquet (Ledger.export). `this_run` checks what this run copied or renamed, and what it is about to
    delete at the source because it was moved; `everything` also what it skipped because it was there already (against
    the baseline's hash, or by size where no hash is known). Without `source` what was changed there is left out. Raises
    what a dead system raises; a file that cannot be read is a row, not an exception.
    """
    began = clock.monotonic()
    listing = await _listed(run, job, destination, clock, progress)
    tally = _Tally(progress, listing.header.entries)
    with ThreadPoolExecutor(HASHED_AT_ONCE, thread_name_prefix="verify") as pool, _Rows(run.verification) as rows:
        checkers = {Side.DESTINATION: _Checker(destination, job.destination.parts, pool, listing.header.complete)}
        if isinstance(source, Destination):
            checkers[Side.SOURCE] = _Checker(source, job.source.parts, pool, listed_completely=False)
        for found in expected_files(run, job, plan, listing, everything=scope == "everything"):
            batch = [expected for expected in found if expected.side in checkers]
            judgements = await _judge_all(checkers, batch, tally)
            rows.write(batch, judgements)
            tally.add_all(batch, judgements)
    return Verification(
        path=run.verification,
        scope=scope,
        files=sum(tally.counts.values()),
        counts=tally.counts,
        levels=tally.levels,
        bytes_hashed=tally.bytes_hashed,
        seconds=clock.monotonic() - began,
        listing_complete=listing.header.complete,
        differences=tuple(tally.differences),
    )


class _Checker:
    """Finds, hashes and judges files of one side."""

    def __init__(self, destination: Destination, root: PathParts, pool: Executor, listed_completely: bool) -> None:
        self._destination = destination
        self._root = root
        self._pool = pool
        self._listed_completely = listed_completely
        precision = destination.capabilities.time_precision_seconds
        self._precision_seconds = max(precision or 0.0, 0.000_002)

    async def judge(self, expected: Expected) -> Judgement:
        """The judgement on one file."""
        path = (*self._root, *expected.path)
        try:
            found = expected.listed
            if found is None and not self._listed_completely:
                found = await self._destination.stat(path)
            if found is None:
                return Judgement(verdict=Verdict.MISSING, detail=f"It is not at the {expected.side.value}.")
            if not found.is_file:
                return Judgement(verdict=Verdict.DIFFERS, detail="A folder is there under its name.")
            may_be_rewritten = self._destination.capabilities.rewrites(expected.path[-1])
            if may_be_rewritten:
                # It may have been rewritten since it was listed; what counts is what it is now.
                found = await self._destination.stat(path) or found
            sha256 = await self._hash(path, found) if self._is_worth_hashing(expected, found) else None
            judgement = judge(
                expected,
                found,
                sha256,
                time_precision_seconds=self._precision_seconds,
                may_be_rewritten=may_be_rewritten,
            )
            return replace(judgement, bytes_hashed=(found.size_bytes or 0) if sha256 else 0)
        except (ItemError, RetryableError) as error:
            return _not_checked(error)

    def _is_worth_hashing(self, expected: Expected, found: Entry) -> bool:
        if expected.sha256 is None:
            return expected.hash_anyway
        return found.size_bytes in (expected.size_bytes, None)

    async def _hash(self, path: PathParts, found: Entry) -> str:
        if isinstance(self._destination, ContentHash):
            return await self._destination.sha256(path)
        return (await hash_of(self._destination, found, self._pool))[0]


async def _judge_all(checkers: Mapping[Side, _Checker], batch: list[Expected], tally: "_Tally") -> list[Judgement]:
    """The judgements in the order of the batch, several made at a time."""
    judgements: list[Judgement | None] = [None] * len(batch)
    upcoming = iter(enumerate(batch))

    async def work() -> None:
        for index, expected in upcoming:
            judgements[index] = await checkers[expected.side].judge(expected)
            tally.moved(judgements[index])

    async with asyncio.TaskGroup() as tasks:
        for _ in range(HASHED_AT_ONCE):
            tasks.create_task(work())
    return [judgement for judgement in judgements if judgement is not None]


def _not_checked(error: SiteHaulError) -> Judgement:
    if error.code == "not-found":
        return Judgement(verdict=Verdict.MISSING, detail="It went while it was being verified.")
    return Judgement(verdict=Verdict.NOT_CHECKED, detail=f"{error.message} ({error.code})")


class _Tally:
    """Adds up the judgements and tells whoever watches."""

    def __init__(self, progress: ProgressListener, entries: int) -> None:
        self._progress = progress
        self._entries = entries
        self._files_done = 0
        self.counts: dict[Verdict, int] = {}
        self.levels: dict[VerificationLevel, int] = {}
        self.bytes_hashed = 0
        self.differences: list[Difference] = []

    def moved(self, judgement: Judgement | None) -> None:
        self._files_done += 1
        self.bytes_hashed += judgement.bytes_hashed if judgement else 0
        self._progress(
            Progress(Phase.VERIFY, entries=self._entries, files_done=self._files_done, bytes_done=self.bytes_hashed)
        )

    def add_all(self, batch: list[Expected], judgements: list[Judgement]) -> None:
        for expected, judgement in zip(batch, judgements, strict=True):
            self.counts[judgement.verdict] = self.counts.get(judgement.verdict, 0) + 1
            if judgement.verdict is Verdict.MATCHES and judgement.level is not None:
                self.levels[judgement.level] = self.levels.get(judgement.level, 0) + 1
            elif judgement.verdict is not Verdict.REWRITTEN and len(self.differences) < DIFFERENCES_MAX:
                self.differences.append(
                    Difference(
                        side=expected.side,
                        path=expected.path,
                        verdict=judgement.verdict,
                        detail=judgement.detail or "",
                    )
                )


class _Rows:
    """Writes verification.parquet; it appears only when complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._writer = pq.ParquetWriter(self._staged, VERIFICATION_SCHEMA, compression="zstd")

    def __enter__(self) -> "_Rows":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._writer.close()
        if kind is None:
            os.replace(self._staged, self._path)
        else:
            self._staged.unlink()

    def write(self, batch: list[Expected], judgements: list[Judgement]) -> None:
        rows = [_row(expected, judgement) for expected, judgement in zip(batch, judgements, strict=True)]
        self._writer.write_table(pa.Table.from_pylist(rows, VERIFICATION_SCHEMA))


def _row(expected: Expected, judgement: Judgement) -> dict[str, Any]:
    return {
        "action_id": expected.action_id,
        "source_id": expected.source_id,
        "source_path": expected.source_path,
        "destination_path": stored_path(expected.destination_path),
        "size_bytes": expected.size_bytes,
        "sha256_expected": expected.sha256,
        "sha256_found": judgement.sha256_found,
        "level": judgement.level.value if judgement.level else None,
        "verdict": judgement.verdict.value,
        "detail": readable(judgement.detail) if judgement.detail else None,
        "side": expected.side.value,
    }


async def _listed(
    run: RunPaths, job: Job, destination: Destination, clock: Clock, progress: ProgressListener
) -> Inventory:
    """A listing of the destination made now; one of an earlier verification is discarded."""
    shutil.rmtree(run.verified_inventory, ignore_errors=True)
    return await analyze_destination(
        destination,
        job.destination.parts,
        run.verified_inventory,
        run_id=run.run_id,
        clock=clock,
        progress=lambda told: progress(replace(told, phase=Phase.VERIFY)),
    )
