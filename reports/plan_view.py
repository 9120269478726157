"""What a plan says, put together for people: counts per side, reasons, the first and the most dangerous actions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from migration.actions import ActionKind, Side
from migration.jobs import Job, Location
from migration.plan_format import PLAN_SCHEMA, PlanSummary
from migration.plans import Plan
from migration.run_queries import connect, define
from migration.stored_text import from_stored, readable
from reports import words

LISTED = 20
"""How many actions are named in each list."""
COPY, REPLACE, VERSION, RENAME, DELETE, FOLDER = "+", "~", "v", ">", "-", "/"
SIGNS: Mapping[str, str] = {
    COPY: "copy",
    REPLACE: "replace",
    VERSION: "earlier version",
    RENAME: "rename",
    DELETE: "delete",
    FOLDER: "make folder",
}
"""What each sign stands for, in the order in which they are shown."""
CHANGED_BY_OTHERS = (
    "changed-at-destination",
    "changed-on-both-sides",
    "destination-has-another-file",
    "deleted-at-source-changed-at-destination",
)
"""Reasons of replacements that overwrite what somebody else wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideCounts:
    """What the plan changes on one side."""

    side: Side
    place: str
    counts: Mapping[str, int]
    """By sign; signs that do not occur are not in it."""
    bytes_written: int

    @property
    def sentence(self) -> str:
        """E.g. `+ 120 copy, ~ 3 replace, - 1 delete (2.4 GB)`."""
        parts = [f"{sign} {self.counts[sign]:,} {SIGNS[sign]}" for sign in SIGNS if sign in self.counts]
        return ", ".join(parts) + f" ({words.size(self.bytes_written)})" if parts else "nothing is changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAction:
    """One action as people see it. Paths are readable, not reversible."""

    sign: str
    side: str
    path: str
    """On the side that is changed; of a folder it ends with `/`."""
    from_path: str | None
    """Of a rename: where the entry is before."""
    size_bytes: int | None
    reason: str | None
    detail: str | None

    @property
    def why(self) -> str:
        """The reason in words."""
        return ": ".join(part for part in (words.reason(self.reason), words.detail(self.detail)) if part)

    @property
    def what(self) -> str:
        """The path, of a rename both."""
        return f"{self.from_path} → {self.path}" if self.from_path else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A whole plan at a glance."""

    summary: PlanSummary
    job: Job
    sides: tuple[SideCounts, ...]
    first: tuple[ShownAction, ...]
    """In the order of work, but folders to make last, which say little."""
    dangerous: tuple[ShownAction, ...]
    """Deletions, replacements of what somebody else wrote, renames, other replacements, then the largest copies."""

    @property
    def changes(self) -> int:
        """How many actions change something."""
        return sum(sum(side.counts.values()) for side in self.sides)

    @property
    def time_sentence(self) -> str:
        """How long it takes, as far as the hourly calls decide that."""
        hours = self.summary.forecast.hours
        if hours is None:
            return "no hourly limit of calls"
        return "no waiting for the hourly limit" if hours == 0 else f"about {hours:g} h because of the hourly limit"

    @property
    def apply_command(self) -> str:
        """What carries out this plan and no other."""
        return f"sitehaul apply {self.job.name} {self.summary.plan_id[:12]}"

    def left_out(self, kind: ActionKind) -> list[tuple[str, int]]:
        """What is skipped or flagged: reason in words and how many, most frequent first."""
        reasons = self.summary.reasons.get(kind.value, {})
        return [(words.reason(code), count) for code, count in sorted(reasons.items(), key=lambda one: -one[1])]

    def to_json(self) -> dict[str, Any]:
        """For scripts, beside the plan's summary."""
        return {
            "sides": {
                side.side.value: {
                    "place": side.place,
                    "bytes_written": side.bytes_written,
                    **{SIGNS[sign].replace(" ", "_"): count for sign, count in side.counts.items()},
                }
                for side in self.sides
            },
            "first": [_to_json(action) for action in self.first],
            "dangerous": [_to_json(action) for action in self.dangerous],
            "apply": self.apply_command,
        }


def view_of(plan: Plan, job: Job) -> PlanView:
    """Read the plan once and put the view together."""
    with connect(plan.run) as database:
        database.create_function("readable", _readable, [duckdb.sqltype("VARCHAR")], duckdb.sqltype("VARCHAR"))
        define(database, "plan", [plan.run.plan], PLAN_SCHEMA)
        database.execute(f"CREATE TABLE changes AS {CHANGES} WHERE sign IS NOT NULL")
        counted = database.execute(
            "SELECT side, sign, count(*), coalesce(sum(size_bytes), 0)::BIGINT FROM changes GROUP BY ALL"
        ).fetchall()
        first = _shown(database, f"SELECT * FROM changes ORDER BY sign = '{FOLDER}', seq LIMIT ?")
        dangerous = _shown(database, _DANGEROUS)
    places = {Side.SOURCE: place_of(job.source), Side.DESTINATION: place_of(job.destination)}
    sides = [
        SideCounts(
            side=side,
            place=places[side],
            counts={sign: count for where, sign, count, _ in counted if where == side.value},
            bytes_written=sum(
                size for where, sign, _, size in counted if where == side.value and sign in (COPY, REPLACE, VERSION)
            ),
        )
        for side in Side
    ]
    return PlanView(summary=plan.summary, job=job, sides=tuple(sides), first=first, dangerous=dangerous)


def place_of(location: Location) -> str:
    """A location as the command line writes it."""
    return f"{location.connection}:{location.path}"


def _shown(database: duckdb.DuckDBPyConnection, query: str) -> tuple[ShownAction, ...]:
    answer = database.execute(
        f"SELECT sign, side, {_SHOWN_PATH}, {_SHOWN_FROM}, size_bytes, reason, readable(detail) FROM ({query})",
        [LISTED],
    )
    return tuple(
        ShownAction(sign=sign, side=side, path=path, from_path=from_path, size_bytes=size, reason=reason, detail=detail)
        for sign, side, path, from_path, size, reason, detail in answer.fetchall()
    )


def _to_json(action: ShownAction) -> dict[str, Any]:
    return {
        "action": SIGNS[action.sign].replace(" ", "_"),
        "side": action.side,
        "path": action.path,
        "from_path": action.from_path,
        "size_bytes": action.size_bytes,
        "reason": action.reason,
        "detail": action.detail,
    }


def _readable(text: str) -> str:
    return readable(from_stored(text))


def _joined(column: str) -> str:
    return f"readable(array_to_string([replace(name, '/', '∕') for name in {column}], '/'))"


_SHOWN_PATH = f"{_joined('changed_path')} || CASE entry_kind WHEN 'folder' THEN '/' ELSE '' END"
_SHOWN_FROM = f"CASE WHEN kind = 'rename' THEN {_joined('from_path')} END"
_IS_SOURCE = "side = 'source'"
_PATH = f"CASE WHEN {_IS_SOURCE} THEN source_path ELSE destination_path END"
CHANGES = f"""
    SELECT * FROM (
        SELECT seq, kind, side, entry_kind, reason, detail, from_path, {_PATH} AS changed_path,
               CASE WHEN {_IS_SOURCE} AND kind = 'copy' THEN expected_size_bytes
                    WHEN kind = 'delete' THEN CASE WHEN {_IS_SOURCE} THEN size_bytes ELSE expected_size_bytes END
                    ELSE size_bytes END AS size_bytes,
               CASE kind
                    WHEN 'copy' THEN CASE WHEN CASE WHEN {_IS_SOURCE} THEN source_id ELSE expected_id END IS NULL
                                          THEN '{COPY}' ELSE '{REPLACE}' END
                    WHEN 'add_version' THEN '{VERSION}' WHEN 'rename' THEN '{RENAME}' WHEN 'delete' THEN '{DELETE}'
                    WHEN 'make_folder' THEN '{FOLDER}' END AS sign
        FROM plan
    )
"""
"""The actions of a plan with their sign (null for what is skipped and flagged), the path they change and its size."""
_DANGEROUS = f"""
    SELECT * FROM (
        SELECT *, CASE WHEN sign = '{DELETE}' THEN 0
                       WHEN sign = '{REPLACE}' AND reason IN ({", ".join(f"'{code}'" for code in CHANGED_BY_OTHERS)})
                       THEN 1 WHEN sign = '{RENAME}' THEN 2 WHEN sign = '{REPLACE}' THEN 3 ELSE 4 END AS danger
        FROM changes WHERE sign <> '{FOLDER}'
    ) ORDER BY danger, size_bytes DESC NULLS LAST, seq LIMIT ?
"""
