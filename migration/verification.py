"""Verification: lists the destination again and hashes its files again, independently of what transfer believed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pyarrow as pa

from migration.actions import VerificationLevel
from migration.clock import Clock
from migration.contract import Destination
from migration.inventory import Inventory
from migration.jobs import Job
from migration.plans import Plan
from migration.progress import ProgressListener
from migration.state import RunPaths

VERIFICATION_SCHEMA = pa.schema(
    [
        pa.field("action_id", pa.string(), nullable=False),
        pa.field("source_id", pa.string()),
        pa.field("source_path", pa.list_(pa.string()), nullable=False),
        pa.field("destination_path", pa.list_(pa.string()), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("sha256_expected", pa.string()),
        pa.field("sha256_found", pa.string()),
        pa.field("level", pa.string()),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
    ]
)
"""The columns of verification.parquet: one row per file in scope, in plan order."""

Scope = Literal["this_run", "everything"]


class Verdict(StrEnum):
    """What verification found about one file."""

    MATCHES = "matches"
    DIFFERS = "differs"
    MISSING = "missing"
    NOT_CHECKED = "not_checked"
    """It is there, but nothing is known to compare it with, or it could not be read; the detail says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One file that is not as it should be."""

    destination_path: tuple[str, ...]
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
    """The first 100."""

    @property
    def clean(self) -> bool:
        """Whether nothing differs and nothing is missing."""
        return not self.counts.get(Verdict.DIFFERS) and not self.counts.get(Verdict.MISSING)


async def verify(
    run: RunPaths,
    job: Job,
    plan: Plan,
    inventory: Inventory,
    destination: Destination,
    *,
    scope: Scope,
    clock: Clock,
    progress: ProgressListener,
) -> Verification:
    """Check the files of a run against the destination as it is now, and write verification.parquet.

    Needs outcomes.parquet (Ledger.export). `this_run` checks what this run copied; `everything` also what it skipped
    because it was there already (against the baseline's hash, or by size alone). Raises what the destination raises for
    a missing root or dead system; a file that cannot be read is a row, not an exception.
    """
    raise NotImplementedError
