"""What people decided about flagged files (decisions.parquet of a job): leave one out for good, or try it again.

A decision is about one version of one source file: when the file changes, it no longer holds. Ids are in their stored
form (migration/stored_text.py), as in inventories and plans.
"""

import fcntl
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from migration.errors import PlanError
from migration.inventory_format import PATH, TIME

IGNORED_BY_PERSON = "ignored-by-person"
"""The reason with which a plan skips a file that a person left out."""
FORMAT_VERSION = 1

_FIELDS: list["pa.Field[Any]"] = [
    pa.field("source_id", pa.string(), nullable=False),
    pa.field("source_version_id", pa.string()),
    pa.field("size_bytes", pa.int64()),
    pa.field("modified_at", TIME),
    pa.field("source_path", PATH, nullable=False),
    pa.field("decision", pa.string(), nullable=False),
    pa.field("reason", pa.string()),
    pa.field("by", pa.string(), nullable=False),
    pa.field("at", TIME, nullable=False),
    pa.field("note", pa.string()),
]
DECISIONS_SCHEMA = pa.schema(_FIELDS, metadata={b"format_version": str(FORMAT_VERSION).encode()})
"""The columns of decisions.parquet: the latest decision about each version of a file."""
_Key = tuple[str, str | None]


class Word(StrEnum):
    """What was decided."""

    IGNORE = "ignore"
    """The next plans skip the file, until it changes or is to be tried again."""
    RETRY = "retry"
    """The next run tries it again, with as many attempts as a new file has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One person's word on one version of one file."""

    source_id: str
    source_version_id: str | None
    size_bytes: int | None
    modified_at: datetime | None
    source_path: tuple[str, ...]
    """As stored, where it was when this was decided; for people."""
    decision: Word
    reason: str | None
    """Why the file was flagged."""
    by: str
    at: datetime
    note: str | None = None


class Decisions:
    """The decisions of one job, by file and version. False when there are none: then nothing need be asked."""

    def __init__(self, by_key: Mapping[_Key, Decision] | None = None) -> None:
        self._by_key = dict(by_key or {})

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def of(self, source_id: str, version_id: str | None) -> Decision | None:
        """The latest decision about this version, if there is one."""
        return self._by_key.get((source_id, version_id))

    def ignored(
        self, source_id: str, version_id: str | None, size_bytes: int | None, modified: int | None
    ) -> str | None:
        """Who left the file out, when and why, for the plan's detail; None if it takes part.

        `modified` is in microseconds since 1970. Where a system tells no versions apart, size and time say whether the
        file is still the same.
        """
        decision = self._by_key.get((source_id, version_id))
        if decision is None or decision.decision is not Word.IGNORE:
            return None
        decided_on = (decision.size_bytes, _microseconds(decision.modified_at))
        if version_id is None and decided_on != (size_bytes, modified):
            return None
        note = f": {decision.note}" if decision.note else ""
        return f"by {decision.by} on {decision.at:%Y-%m-%d %H:%M} UTC{note}"

    def retried_at(self, source_id: str, version_id: str | None) -> datetime | None:
        """When a person last said that this version is to be tried again: attempts before do not count."""
        decision = self._by_key.get((source_id, version_id))
        return decision.at if decision is not None and decision.decision is Word.RETRY else None

    @classmethod
    def load(cls, path: Path) -> "Decisions":
        """Those in the file; none where there is no file. Raises PlanError `decisions-damaged`."""
        if not path.is_file():
            return cls()
        try:
            rows = pq.read_table(path, schema=DECISIONS_SCHEMA).to_pylist()
        except (pa.ArrowInvalid, OSError) as error:
            raise PlanError(
                "decisions-damaged",
                f"What was decided about flagged files, {path}, cannot be read ({error}).",
                fix="Move it away; files that were left out are then flagged again.",
            ) from error
        found = (
            Decision(**{**row, "source_path": tuple(row["source_path"]), "decision": Word(row["decision"])})
            for row in rows
        )
        return cls({(one.source_id, one.source_version_id): one for one in found})


def decide(path: Path, new: Iterable[Decision]) -> int:
    """Put decisions into the file, each in the place of an older one about the same version; how many were put.

    Durable on return. Several processes may do so at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(path.with_name(f".{path.name}.lock"), "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        by_key = Decisions.load(path)._by_key
        count = 0
        for one in new:
            by_key[one.source_id, one.source_version_id] = one
            count += 1
        if count:
            _write(path, list(by_key.values()))
        return count


def _write(path: Path, decisions: list[Decision]) -> None:
    rows = [{name: getattr(one, name) for name in DECISIONS_SCHEMA.names} for one in decisions]
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(staged, "wb") as file:
            pq.write_table(pa.Table.from_pylist(rows, DECISIONS_SCHEMA), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
    finally:
        with suppress(FileNotFoundError):
            staged.unlink()


def _microseconds(time: datetime | None) -> int | None:
    if time is None:
        return None
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
