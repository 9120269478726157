"""Reconciliation: source = succeeded + revised + skipped + flagged + retrying + pending, exactly, file by file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from migration.state import RunPaths

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Files and bytes of one part of the source, by outcome word (OutcomeWord values, all six always there)."""

    source_files: int
    source_bytes: int
    """Files of unknown size count as 0 bytes."""
    files: Mapping[str, int]
    bytes: Mapping[str, int]

    @property
    def adds_up(self) -> bool:
        """Whether every source file has exactly one word."""
        return self.source_files == sum(self.files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The account of a run; reconciliation.json holds exactly these fields (+ `format_version`, `adds_up`)."""

    run_id: str
    total: Tally
    folders: Mapping[str, Tally]
    """By first part of the source path; "" = files directly in the root."""
    reasons: Mapping[str, Mapping[str, int]]
    """Files by outcome word and reason code ("" = none)."""
    made_folders: Mapping[str, int]
    """Folders to make, by outcome word."""
    source_complete: bool
    """Whether the source could be listed as a whole."""
    not_visible: tuple[tuple[str, str, str], ...]
    """(path joined with " / ", code, message) of the parts of the source that could not be listed."""
    unexplained: tuple[str, ...]
    """What does not add up, one sentence each; empty = it adds up."""
    verification: Mapping[str, int] | None
    """Files by verdict; None = not verified."""

    @property
    def adds_up(self) -> bool:
        """Whether every file of the source has exactly one word, and every outcome belongs to the plan."""
        return not self.unexplained

    def to_json(self) -> dict[str, Any]:
        """What reconciliation.json holds."""
        raise NotImplementedError


def reconcile(run: RunPaths) -> Reconciliation:
    """The account of a run from its files: source inventory, plan, outcomes.parquet and (if there) verification.parquet.

    Reads, decides nothing anew, writes nothing. A plan without outcomes.parquet is all pending.
    """
    raise NotImplementedError


def write_reconciliation(run: RunPaths, reconciliation: Reconciliation) -> None:
    """Write reconciliation.json, replacing an older one when complete."""
    raise NotImplementedError


def load_reconciliation(run: RunPaths) -> Reconciliation:
    """Read it back. Raises FileNotFoundError when there is none."""
    raise NotImplementedError
