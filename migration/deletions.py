"""The deletions of a plan, in batches, each with what verification found out about the file it stands for."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from migration.actions import Action, VerificationLevel
from migration.inventory_format import values
from migration.judgement import VERIFICATION_SCHEMA, Verdict
from migration.plans import PLAN_SCHEMA, Plan, to_actions
from migration.run_queries import connect, define, record_batches

ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Proof:
    """What this run's verification found at the destination for one source file."""

    verdict: Verdict
    sha256: str | None
    """Of the destination's stored bytes; None = they were not hashed."""
    is_the_sources: bool
    """Whether the same hash was computed when the source's bytes were read, so that they need not be read again."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """One entry to delete. `proof` None = verification has no row for it."""

    action: Action
    proof: Proof | None = None


def load_deletions(plan: Plan) -> Iterator[list[Deletion]]:
    """The plan's deletions of files, in plan order, some thousand at a time."""
    with connect(plan.run) as database:
        define(database, "plan", [plan.run.plan], PLAN_SCHEMA)
        define(database, "verified", [plan.run.verification], VERIFICATION_SCHEMA)
        for batch in record_batches(database, _DELETIONS, ROWS_AT_ONCE):
            arrays = [batch.column(field.name).cast(field.type) for field in PLAN_SCHEMA]
            actions = to_actions(pa.Table.from_arrays(arrays, names=PLAN_SCHEMA.names), plan.summary.destination_system)
            proofs = (values(batch.column(name)) for name in ("v_verdict", "v_level", "v_expected", "v_found"))
            yield [Deletion(action, _proof(*proof)) for action, *proof in zip(actions, *proofs, strict=True)]


def _proof(verdict: str | None, level: str | None, expected: str | None, found: str | None) -> Proof | None:
    if verdict is None:
        return None
    known = level == VerificationLevel.STORED_HASH and expected is not None and expected == found
    return Proof(Verdict(verdict), found, known)


_DELETIONS = f"""
    WITH proofs AS (
        SELECT p.destination_path, any_value(v.verdict) AS verdict, any_value(v.level) AS level,
               any_value(v.sha256_expected) AS expected, any_value(v.sha256_found) AS found
        FROM plan AS p JOIN verified AS v USING (action_id)
        WHERE v.side IS DISTINCT FROM 'source' AND p.entry_kind = 'file'
        GROUP BY p.destination_path HAVING count(*) = 1
    )
    SELECT {", ".join(f"d.{name}" for name in PLAN_SCHEMA.names)},
           v.verdict AS v_verdict, v.level AS v_level, v.expected AS v_expected, v.found AS v_found
    FROM plan AS d LEFT JOIN proofs AS v USING (destination_path)
    WHERE d.kind = 'delete' AND d.entry_kind = 'file'
    ORDER BY d.seq
"""  # noqa: S608 - only column names of our own schema are put in
