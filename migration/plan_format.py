"""A plan on disk: `plan.parquet` (one row per action, in the order of work) and `plan.json` (its summary).

A row is about a pair: the source's entry (`source_*`, `size_bytes`, `modified_at`; `source_id` null = only the
destination has it) and what the plan saw at its place at the destination (`expected_*`; `expected_id` null = nothing).
`side` says which of the two the action changes. Paths are as they will be when the plan's renames are done;
`source_listed_path` is the source's path in its inventory where that is another one. Names, paths and ids that are not
Unicode text are stored as migration/stored_text.py says.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from migration.entries import PathParts
from migration.forecast import Forecast
from migration.inventory_format import PATH, TIME
from migration.stored_text import from_stored, to_stored

FORMAT_VERSION = 2

_FIELDS: list["pa.Field[Any]"] = [
    pa.field("seq", pa.int64(), nullable=False),
    pa.field("action_id", pa.string(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("entry_kind", pa.string(), nullable=False),
    pa.field("source_system", pa.string(), nullable=False),
    pa.field("source_id", pa.string()),
    pa.field("source_version_id", pa.string()),
    pa.field("source_path", PATH, nullable=False),
    pa.field("destination_path", PATH, nullable=False),
    pa.field("size_bytes", pa.int64()),
    pa.field("modified_at", TIME),
    pa.field("reason", pa.string()),
    pa.field("detail", pa.string()),
    pa.field("renamed", pa.bool_(), nullable=False),
    pa.field("expected_id", pa.string()),
    pa.field("expected_version_id", pa.string()),
    pa.field("expected_kind", pa.string()),
    pa.field("expected_size_bytes", pa.int64()),
    pa.field("expected_modified_at", TIME),
    pa.field("side", pa.string(), nullable=False),
    pa.field("accounts", pa.bool_(), nullable=False),
    pa.field("from_path", PATH),
    pa.field("source_listed_path", PATH),
    pa.field("version_number", pa.int64()),
]
PLAN_SCHEMA = pa.schema(_FIELDS)
"""The columns of plan.parquet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """The totals of a plan and the digests of what it was made from."""

    format_version: int = FORMAT_VERSION
    plan_id: str
    """32 hexadecimal characters over the actions and every input."""
    run_id: str
    job: str
    job_digest: str
    source_digest: str
    destination_digest: str
    baseline_digest: str | None
    plan_digest: str
    """SHA-256 of plan.parquet."""
    made_at: datetime
    source_system: str
    source_root: PathParts
    destination_system: str
    destination_root: PathParts
    counts: Mapping[str, int]
    """Actions by kind, files and folders together."""
    reasons: Mapping[str, Mapping[str, int]]
    """Actions by kind and reason, where there is a reason."""
    files: int
    """Files of the source: each of them has exactly one action that accounts for it."""
    folders: int
    """Folders of the source: each of them has exactly one action that accounts for it."""
    changes: Mapping[str, Mapping[str, int]]
    """Actions that change something, by side and kind."""
    folders_to_make: int
    files_to_copy: int
    bytes_to_copy: int
    """Of the files to copy whose size is known."""
    files_skipped: int
    files_flagged: int
    renamed: int
    """Files to copy whose destination path is not made of the source's names."""
    forecast: Forecast
    warnings: tuple[str, ...]
    """Sentences for the operator."""


def summary_to_json(summary: PlanSummary) -> dict[str, Any]:
    """What plan.json holds."""
    plain = asdict(summary)
    plain["made_at"] = summary.made_at.isoformat()
    for name in ("source_root", "destination_root"):
        plain[name] = [to_stored(part) for part in plain[name]]
    return plain


def summary_from_json(plain: Mapping[str, Any]) -> PlanSummary:
    """The inverse of `summary_to_json`. Raises KeyError, TypeError or ValueError for anything else."""
    if plain["format_version"] > FORMAT_VERSION:
        raise ValueError(f"format version {plain['format_version']} is newer than this SiteHaul")
    return PlanSummary(
        **{
            "changes": {},
            **plain,
            "made_at": datetime.fromisoformat(plain["made_at"]),
            "source_root": tuple(from_stored(part) for part in plain["source_root"]),
            "destination_root": tuple(from_stored(part) for part in plain["destination_root"]),
            "forecast": Forecast(**plain["forecast"]),
            "warnings": tuple(plain["warnings"]),
        }
    )
