"""What verification says about one file: the columns of verification.parquet, the verdicts and how one is reached."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import pyarrow as pa

from migration.actions import Side, VerificationLevel
from migration.entries import Entry, PathParts

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
        pa.field("side", pa.string()),
    ]
)
"""The columns of verification.parquet: one row per file in scope, in plan order. `side` says where it was looked for:
at the destination, or at the source for what a run wrote or renamed there."""


class Verdict(StrEnum):
    """What verification found about one file."""

    MATCHES = "matches"
    DIFFERS = "differs"
    MISSING = "missing"
    REWRITTEN = "rewritten"
    """The destination made other bytes of what it was given, as it does with files of its kind; the time is still the
    one that was set, so nobody else has changed it."""
    NOT_CHECKED = "not_checked"
    """It may be there, but it could not be read; the detail says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One file that should be there."""

    action_id: str
    source_id: str | None
    source_path: list[str]
    """As stored (migration/stored_text.py)."""
    destination_path: PathParts
    """From the job's destination root, with the name the destination kept."""
    path: PathParts
    """Where it should be, from the job's root on its side, with the name that side kept."""
    size_bytes: int | None
    sha256: str | None
    """None: no hash is known, as for a file that was there before the first run."""
    modified_at: datetime | None
    listed: Entry | None
    """What the new listing has at the path; None = nothing."""
    side: Side = Side.DESTINATION
    hash_anyway: bool = False
    """Whether its content is to be hashed although no hash is known: the source's file may be deleted then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on one file."""

    verdict: Verdict
    level: VerificationLevel | None = None
    detail: str | None = None
    sha256_found: str | None = None
    bytes_hashed: int = 0


def judge(
    expected: Expected,
    found: Entry,
    sha256: str | None,
    *,
    time_precision_seconds: float,
    may_be_rewritten: bool = False,
) -> Judgement:
    """Compare a file with what it should be. Pure. `sha256` None = it was not hashed.

    Content comes first: a file with the right content at another time differs, and the detail says so.
    """
    judgement = _compared(expected, found, sha256, time_precision_seconds)
    same_time = None not in (expected.modified_at, found.modified_at) and not _is_another_time(
        expected.modified_at, found.modified_at, time_precision_seconds
    )
    if judgement.verdict is not Verdict.DIFFERS or not may_be_rewritten or not same_time:
        return judgement
    detail = "The destination rewrote it when it took it in; the bytes sent are recorded."
    return Judgement(verdict=Verdict.REWRITTEN, detail=detail, sha256_found=sha256)


def _compared(expected: Expected, found: Entry, sha256: str | None, time_precision_seconds: float) -> Judgement:
    if expected.size_bytes is not None and found.size_bytes != expected.size_bytes:
        detail = f"It has {found.size_bytes} bytes instead of {expected.size_bytes}."
        return Judgement(verdict=Verdict.DIFFERS, detail=detail, sha256_found=sha256)
    if sha256 is not None and expected.sha256 is not None and sha256 != expected.sha256:
        detail = "It has the right size but another content."
        return Judgement(verdict=Verdict.DIFFERS, detail=detail, sha256_found=sha256)
    level = VerificationLevel.STORED_HASH if sha256 and expected.sha256 else VerificationLevel.SIZE
    if _is_another_time(expected.modified_at, found.modified_at, time_precision_seconds):
        detail = f"Its content matches, but it was modified at {found.modified_at} instead of {expected.modified_at}."
        return Judgement(verdict=Verdict.DIFFERS, level=level, detail=detail, sha256_found=sha256)
    return Judgement(verdict=Verdict.MATCHES, level=level, sha256_found=sha256)


def _is_another_time(expected: datetime | None, found: datetime | None, precision_seconds: float) -> bool:
    if expected is None or found is None:
        return False
    return abs(found - expected) > timedelta(seconds=precision_seconds)
