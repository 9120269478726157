"""Reconciliation: source = succeeded + revised + skipped + flagged + retrying + pending, exactly, file by file.

The account is taken from what a run left on disk and believes none of it: every source file of the inventory is
looked up in the plan, every action of the plan in the exported outcomes, and whatever has no partner or more than one
is named.
"""

import glob
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from migration.actions import OutcomeWord
from migration.errors import PlanError
from migration.inventory import SCHEMA, Inventory
from migration.ledger import OUTCOMES_SCHEMA
from migration.plan_format import PLAN_SCHEMA
from migration.run_queries import connect, define
from migration.state import RunPaths, write_json_atomically
from migration.stored_text import readable

FORMAT_VERSION = 1
WORDS = tuple(word.value for word in OutcomeWord)


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
    """By first part of the source path, as stored (migration/stored_text.py); "" = files directly in the root."""
    reasons: Mapping[str, Mapping[str, int]]
    """Files by outcome word and reason code ("" = none)."""
    made_folders: Mapping[str, int]
    """Folders of the source by outcome word (all six always there)."""
    source_complete: bool
    """Whether the source could be listed as a whole."""
    not_visible: tuple[tuple[str, str, str], ...]
    """(path joined with " / ", code, message) of the parts of the source that could not be listed."""
    unexplained: tuple[str, ...]
    """What does not add up, one sentence each; empty = it adds up."""
    verification: Mapping[str, int] | None
    """Files by verdict; None = not verified."""
    changes: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    """What the plan changes, by side, kind of action and outcome word: files and folders together, also what only the
    destination has."""

    @property
    def left(self) -> int:
        """Actions that have no final outcome yet."""
        words = [words for kinds in self.changes.values() for words in kinds.values()]
        return sum(of.get(word, 0) for of in words for word in (OutcomeWord.PENDING.value, OutcomeWord.RETRYING.value))

    @property
    def adds_up(self) -> bool:
        """Whether every file of the source has exactly one word, and every outcome belongs to the plan."""
        return not self.unexplained

    def to_json(self) -> dict[str, Any]:
        """What reconciliation.json holds."""
        return {"format_version": FORMAT_VERSION, "adds_up": self.adds_up, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Counted:
    """So many source files of one top folder have one word for one reason. `word` None = no action, or several."""

    top_folder: str
    word: str | None
    reason: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Things that have no partner, or more than one; `example` names one of them."""

    what: str
    count: int
    example: str


def account(
    run_id: str,
    counted: Iterable[Counted],
    mismatches: Iterable[Mismatch],
    *,
    folder_words: Mapping[str, int],
    source_complete: bool,
    not_visible: Iterable[tuple[str, str, str]],
    verification: Mapping[str, int] | None,
    changes: Iterable[tuple[str, str, str, int]] = (),
) -> Reconciliation:
    """The account from counts; `changes` are side, kind, outcome word and how many. Pure; what does not add up is a
    sentence in `unexplained`, never an exception."""
    rows = list(counted)
    by_top: dict[str, list[Counted]] = {}
    for row in rows:
        by_top.setdefault(row.top_folder, []).append(row)
    total = _tally(rows)
    unexplained = [_sentence(mismatch) for mismatch in mismatches if mismatch.count]
    if not total.adds_up:
        unexplained.append(
            f"The source has {total.source_files} files, but {sum(total.files.values())} are accounted for."
        )
    return Reconciliation(
        run_id=run_id,
        total=total,
        folders={top: _tally(of_top) for top, of_top in sorted(by_top.items())},
        reasons=_reasons(rows),
        made_folders={word: folder_words.get(word, 0) for word in WORDS},
        source_complete=source_complete,
        not_visible=tuple(not_visible),
        unexplained=tuple(unexplained),
        verification=verification,
        changes=_changes(changes),
    )


def reconcile(run: RunPaths) -> Reconciliation:
    """The account of a run from its files: source inventory, plan, outcomes.parquet and (if there)
    verification.parquet.

    Reads, decides nothing anew, writes nothing. A plan without outcomes.parquet is all pending. Raises PlanError
    `plan-missing` when there is no plan, and what Inventory.load raises.
    """
    if not run.plan.is_file():
        raise PlanError("plan-missing", f"Run {run.run_id} has no plan.", fix="Plan first.")
    inventory = Inventory.load(run.source_inventory)
    with connect(run) as database:
        _define(database, run, inventory)
        return account(
            run.run_id,
            [Counted(*row) for row in database.execute(_COUNTED).fetchall()],
            [Mismatch(what, *_one(database, query)) for what, query in _MISMATCHES.items()],
            folder_words=dict(database.execute(_FOLDER_WORDS).fetchall()),
            source_complete=inventory.header.complete,
            not_visible=[
                (" / ".join(map(readable, problem.path)), problem.code, readable(problem.message))
                for problem in inventory.problems()
            ],
            verification=_verification(database, run.verification),
            changes=database.execute(_CHANGES).fetchall(),
        )


def write_reconciliation(run: RunPaths, reconciliation: Reconciliation) -> None:
    """Write reconciliation.json, replacing an older one when complete."""
    write_json_atomically(run.reconciliation, reconciliation.to_json())


def load_reconciliation(run: RunPaths) -> Reconciliation:
    """Read it back. Raises FileNotFoundError when there is none."""
    plain = json.loads(run.reconciliation.read_text("utf-8"))
    del plain["format_version"], plain["adds_up"]
    return Reconciliation(
        **{
            **plain,
            "total": Tally(**plain["total"]),
            "folders": {top: Tally(**tally) for top, tally in plain["folders"].items()},
            "not_visible": tuple((path, code, message) for path, code, message in plain["not_visible"]),
            "unexplained": tuple(plain["unexplained"]),
        }
    )


def _tally(rows: Iterable[Counted]) -> Tally:
    files, size = dict.fromkeys(WORDS, 0), dict.fromkeys(WORDS, 0)
    source_files = source_bytes = 0
    for row in rows:
        source_files += row.files
        source_bytes += row.bytes
        if row.word in files:
            files[row.word] += row.files
            size[row.word] += row.bytes
    return Tally(source_files=source_files, source_bytes=source_bytes, files=files, bytes=size)


def _reasons(rows: Iterable[Counted]) -> dict[str, dict[str, int]]:
    reasons: dict[str, dict[str, int]] = {}
    for row in rows:
        of_word = reasons.setdefault(row.word or "none", {})
        of_word[row.reason] = of_word.get(row.reason, 0) + row.files
    return reasons


def _changes(rows: Iterable[tuple[str, str, str, int]]) -> dict[str, dict[str, dict[str, int]]]:
    changes: dict[str, dict[str, dict[str, int]]] = {}
    for side, kind, word, count in rows:
        changes.setdefault(side, {}).setdefault(kind, {})[word] = count
    return changes


def _sentence(mismatch: Mismatch) -> str:
    return f"{mismatch.what}: {mismatch.count}, for instance {mismatch.example}."


def _one(database: duckdb.DuckDBPyConnection, query: str) -> tuple[int, str]:
    row = database.execute(query).fetchone()
    return (row[0], str(row[1])) if row else (0, "")


def _verification(database: duckdb.DuckDBPyConnection, path: Path) -> dict[str, int] | None:
    if not path.is_file():
        return None
    database.read_parquet(glob.escape(str(path))).create_view("verified")
    return dict(database.execute("SELECT verdict, count(*) FROM verified GROUP BY ALL ORDER BY ALL").fetchall())


def _define(database: duckdb.DuckDBPyConnection, run: RunPaths, inventory: Inventory) -> None:
    """The tables the queries read: source files, plan rows, outcomes, and the plan's files with what came of them."""
    define(database, "inventory_rows", inventory.parts(), SCHEMA)
    define(database, "plan_rows", [run.plan], PLAN_SCHEMA)
    define(database, "outcomes", [run.outcomes], OUTCOMES_SCHEMA)
    for query in (_SOURCE, _PLAN, _JUDGED):
        database.execute(query)


_SOURCE = """
    CREATE TEMP TABLE source AS
    SELECT kind, path, size_bytes, concat_ws(chr(31), system, id, coalesce(version_id, '')) AS ref FROM inventory_rows
"""
_PLAN = """
    CREATE TEMP TABLE plan AS
    SELECT action_id, kind, entry_kind, reason, coalesce(source_listed_path, source_path) AS path,
           coalesce(side, 'destination') AS side, coalesce(accounts, true) AS accounts,
           concat_ws(chr(31), source_system, source_id, coalesce(source_version_id, '')) AS ref
    FROM plan_rows
"""
_JUDGED = """
    CREATE TEMP TABLE judged AS
    SELECT p.ref, p.path, p.entry_kind, count(*) AS actions, min(
             CASE p.kind WHEN 'skip' THEN 'skipped' WHEN 'flag' THEN 'flagged' ELSE coalesce(o.word, 'pending') END
           ) AS word, coalesce(min(coalesce(o.reason, p.reason)), '') AS reason
    FROM plan AS p LEFT JOIN outcomes AS o USING (action_id)
    WHERE p.accounts
    GROUP BY p.ref, p.path, p.entry_kind
"""
_COUNTED = """
    SELECT CASE WHEN len(s.path) > 1 THEN s.path[1] ELSE '' END AS top,
           CASE WHEN j.actions = 1 THEN j.word END AS word, coalesce(j.reason, '') AS reason,
           count(*), coalesce(sum(s.size_bytes), 0)::BIGINT
    FROM source AS s LEFT JOIN judged AS j ON s.ref = j.ref AND s.path = j.path AND s.kind = j.entry_kind
    WHERE s.kind = 'file'
    GROUP BY ALL ORDER BY ALL
"""
_CHANGES = """
    SELECT p.side, p.kind, coalesce(o.word, 'pending') AS word, count(*)
    FROM plan AS p LEFT JOIN outcomes AS o USING (action_id)
    WHERE p.kind NOT IN ('skip', 'flag')
    GROUP BY ALL ORDER BY ALL
"""
_FOLDER_WORDS = "SELECT word, count(*) FROM judged WHERE entry_kind = 'folder' GROUP BY word"
_MISMATCHES = {
    "Source files without an action": """
        SELECT count(*), min(array_to_string(s.path, '/')) FROM source AS s
        ANTI JOIN (FROM plan WHERE accounts) AS p ON s.ref = p.ref AND s.path = p.path AND s.kind = p.entry_kind
        WHERE s.kind = 'file'""",
    "Source files listed twice": """
        SELECT count(*), min(name) FROM (
            SELECT array_to_string(path, '/') AS name FROM source WHERE kind = 'file'
            GROUP BY ref, path HAVING count(*) > 1
        )""",
    "Source files with several actions or outcomes": """
        SELECT count(*), min(array_to_string(path, '/')) FROM judged WHERE actions > 1 AND entry_kind = 'file'""",
    "Actions for files the source does not have": """
        SELECT count(*), min(array_to_string(p.path, '/')) FROM plan AS p
        ANTI JOIN source AS s ON s.ref = p.ref AND s.path = p.path AND s.kind = p.entry_kind
        WHERE p.entry_kind = 'file' AND p.accounts""",
    "Outcomes of actions the plan does not have": """
        SELECT count(*), min(o.action_id) FROM outcomes AS o ANTI JOIN plan AS p USING (action_id)""",
    "Outcomes of actions the plan skips or flags": """
        SELECT count(*), min(o.action_id) FROM outcomes AS o JOIN plan AS p USING (action_id)
        WHERE p.kind IN ('skip', 'flag')""",
}
