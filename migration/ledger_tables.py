"""The ledger's tables (SQLAlchemy Core), the rows they hold and the questions asked of them."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from migration.actions import Outcome, OutcomeWord
from migration.entries import PathParts
from migration.stored_text import readable, to_stored

FORMAT_VERSION = 3
_TERMINAL_WORDS = tuple(word.value for word in OutcomeWord if word.terminal)
_TERMINAL = ", ".join(f"'{word}'" for word in _TERMINAL_WORDS)
_TIME = pa.timestamp("us", tz="UTC")

_FIELDS: list["pa.Field[Any]"] = [
    pa.field("action_id", pa.string(), nullable=False),
    pa.field("attempt", pa.int32(), nullable=False),
    pa.field("word", pa.string(), nullable=False),
    pa.field("reason", pa.string()),
    pa.field("message", pa.string()),
    pa.field("bytes_copied", pa.int64(), nullable=False),
    pa.field("sha256", pa.string()),
    pa.field("settled_sha256", pa.string()),
    pa.field("destination_id", pa.string()),
    pa.field("destination_version_id", pa.string()),
    pa.field("destination_name", pa.string()),
    pa.field("destination_modified_at", _TIME),
    pa.field("verification", pa.string()),
    pa.field("trashed", pa.string()),
    pa.field("replaced_version_id", pa.string()),
    pa.field("started_at", _TIME, nullable=False),
    pa.field("finished_at", _TIME, nullable=False),
]
OUTCOMES_SCHEMA = pa.schema(_FIELDS)
"""The columns of outcomes.parquet: one row per action that was tried, its latest outcome."""


class _UtcTime(sa.TypeDecorator[datetime]):
    """Aware UTC times, stored without their zone where the database knows none."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC).replace(tzinfo=None) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return value.replace(tzinfo=UTC) if value is not None else None


ADDED_IN = {2: ("settled_sha256", "destination_version_id"), 3: ("trashed", "replaced_version_id")}
"""Columns of `outcomes` by the format version that brought them; all are text."""

METADATA = sa.MetaData()
FORMAT = sa.Table("ledger_format", METADATA, sa.Column("version", sa.Integer, nullable=False))
OUTCOMES = sa.Table(
    "outcomes",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("action_id", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("word", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("bytes_copied", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text),
    sa.Column("destination_id", sa.Text),
    sa.Column("destination_name", sa.Text),
    sa.Column("destination_modified_at", _UtcTime),
    sa.Column("verification", sa.Text),
    sa.Column("settled_sha256", sa.Text),
    sa.Column("destination_version_id", sa.Text),
    sa.Column("trashed", sa.Text),
    sa.Column("replaced_version_id", sa.Text),
    sa.Column("started_at", _UtcTime, nullable=False),
    sa.Column("finished_at", _UtcTime, nullable=False),
    sa.Index("outcomes_by_action", "run_id", "action_id"),
    sa.Index(
        "one_terminal_outcome",
        "run_id",
        "action_id",
        unique=True,
        sqlite_where=sa.text(f"word IN ({_TERMINAL})"),
        postgresql_where=sa.text(f"word IN ({_TERMINAL})"),
    ),
)
_TRIED_AGAIN = "word = 'retrying' OR attempt > 1"
TRIED_AGAIN = sa.Index(
    "tried_again",
    OUTCOMES.c.action_id,
    sqlite_where=sa.text(_TRIED_AGAIN),
    postgresql_where=sa.text(_TRIED_AGAIN),
)
"""Finds what failed for a passing reason in any run, and what came of it; few rows of a ledger are in it."""
STAGED = sa.Table(
    "staged",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("action_id", sa.Text, nullable=False),
    sa.Column("destination_path", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("at", _UtcTime, nullable=False),
    sa.Index("staged_by_action", "run_id", "action_id"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Every byte of a file is at the destination under its staged name, about to be published as `destination_path`.

    Durable before the file becomes visible, so that a crash in between is recognised: what then lies at the path with
    this size and hash is ours.
    """

    action_id: str
    destination_path: PathParts
    """From the connection's root."""
    size_bytes: int
    sha256: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Tried:
    """An action that failed in earlier runs and has not succeeded since: its number of attempts, and the last one."""

    attempts: int
    reason: str | None
    finished_at: datetime


def tried_queries(run_id: str, action_ids: Collection[str]) -> Iterator[sa.Select[Any]]:
    """What is asked to learn how the other runs fared with these actions, older attempts first."""
    columns = (OUTCOMES.c.action_id, OUTCOMES.c.word, OUTCOMES.c.attempt, OUTCOMES.c.reason, OUTCOMES.c.finished_at)
    for part in _parts(action_ids):
        query = sa.select(*columns).where(OUTCOMES.c.action_id.in_(part or []), sa.text(f"({_TRIED_AGAIN})"))
        yield query.where(OUTCOMES.c.run_id != run_id).order_by(OUTCOMES.c.id)


def written_query(run_id: str, action_ids: Collection[str]) -> sa.Select[Any]:
    """What is asked to learn what these actions (not more than 900) have left at their places in the run."""
    columns = ("action_id", "destination_id", "destination_version_id", "destination_name", "destination_modified_at")
    return sa.select(*(OUTCOMES.c[name] for name in columns), OUTCOMES.c.bytes_copied).where(
        OUTCOMES.c.run_id == run_id,
        OUTCOMES.c.action_id.in_(list(action_ids)),
        OUTCOMES.c.word.in_(("succeeded", "revised")),
        OUTCOMES.c.destination_id.is_not(None),
    )


def latest_outcomes(run_id: str) -> sa.Select[Any]:
    """The latest outcome of every tried action of the run, with the columns of OUTCOMES_SCHEMA."""
    newest = sa.select(sa.func.max(OUTCOMES.c.id)).where(OUTCOMES.c.run_id == run_id)
    columns = [OUTCOMES.c[name] for name in OUTCOMES_SCHEMA.names]
    return sa.select(*columns).where(OUTCOMES.c.id.in_(newest.group_by(OUTCOMES.c.action_id)))


def attempts_query(run_id: str, action_id: str) -> sa.Select[Any]:
    """What is asked to learn every try of an action in a run, oldest first."""
    columns = [OUTCOMES.c[name] for name in OUTCOMES_SCHEMA.names]
    return (
        sa.select(*columns)
        .where(OUTCOMES.c.run_id == run_id, OUTCOMES.c.action_id == action_id)
        .order_by(OUTCOMES.c.id)
    )


def achieved_query(run_id: str) -> sa.Select[Any]:
    """What is asked to learn how many files have a final outcome, and their bytes. A folder that was made is the only
    thing done without a hash."""
    made_folder = sa.and_(OUTCOMES.c.word.in_(("succeeded", "revised")), OUTCOMES.c.sha256.is_(None))
    return sa.select(
        sa.func.count().label("files"), sa.func.coalesce(sa.func.sum(OUTCOMES.c.bytes_copied), 0).label("bytes")
    ).where(OUTCOMES.c.run_id == run_id, OUTCOMES.c.word.in_(_TERMINAL_WORDS), sa.not_(made_folder))


def latest_queries(run_id: str, action_ids: Collection[str] | None) -> Iterator[sa.Select[Any]]:
    """What is asked to learn action_id, word, attempt, reason and bytes_copied of the latest outcomes."""
    for part in _parts(action_ids):
        newest = sa.select(sa.func.max(OUTCOMES.c.id)).where(OUTCOMES.c.run_id == run_id)
        if part is not None:
            newest = newest.where(OUTCOMES.c.action_id.in_(part))
        columns = (OUTCOMES.c.action_id, OUTCOMES.c.word, OUTCOMES.c.attempt, OUTCOMES.c.reason)
        yield sa.select(*columns, OUTCOMES.c.bytes_copied).where(
            OUTCOMES.c.id.in_(newest.group_by(OUTCOMES.c.action_id))
        )


def _parts(action_ids: Collection[str] | None) -> Iterator[list[str] | None]:
    """The named ids in portions that fit into one statement; one None when all are meant."""
    if action_ids is None:
        yield None
        return
    named = list(action_ids)
    for start in range(0, len(named), 500):
        yield named[start : start + 500]


def staged_queries(run_id: str, action_ids: Collection[str] | None) -> Iterator[sa.Select[Any]]:
    """What is asked to learn the staged events, older ones first."""
    for part in _parts(action_ids):
        query = sa.select(STAGED).where(STAGED.c.run_id == run_id).order_by(STAGED.c.id)
        yield query if part is None else query.where(STAGED.c.action_id.in_(part))


def staged_of(row: Any) -> Staged:
    """The event of a row of STAGED."""
    return Staged(
        action_id=row.action_id,
        destination_path=tuple(json.loads(row.destination_path)),
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        at=row.at,
    )


def staged_row(run_id: str, staged: Staged) -> dict[str, Any]:
    """The row of an event."""
    return {
        "run_id": run_id,
        "action_id": staged.action_id,
        "destination_path": json.dumps(staged.destination_path),
        "size_bytes": staged.size_bytes,
        "sha256": staged.sha256,
        "at": staged.at,
    }


def outcome_row(run_id: str, outcome: Outcome) -> dict[str, Any]:
    """The row of an outcome."""
    return {
        "run_id": run_id,
        "action_id": outcome.action_id,
        "attempt": outcome.attempt,
        "word": outcome.word.value,
        "reason": outcome.reason,
        "message": readable(outcome.message) if outcome.message else None,
        "bytes_copied": outcome.bytes_copied,
        "sha256": outcome.sha256,
        "settled_sha256": outcome.settled_sha256,
        "destination_id": to_stored(outcome.destination.id) if outcome.destination else None,
        "destination_version_id": _stored_version(outcome),
        "destination_name": to_stored(outcome.destination_name) if outcome.destination_name else None,
        "destination_modified_at": outcome.destination_modified_at,
        "verification": outcome.verification.value if outcome.verification else None,
        "trashed": outcome.trashed,
        "replaced_version_id": to_stored(outcome.replaced_version_id) if outcome.replaced_version_id else None,
        "started_at": outcome.started_at,
        "finished_at": outcome.finished_at,
    }


def _stored_version(outcome: Outcome) -> str | None:
    version_id = outcome.destination.version_id if outcome.destination else None
    return None if version_id is None else to_stored(version_id)
