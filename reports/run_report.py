"""The report of one run: one self-contained HTML file with CSV files beside it. Reads the run's files only."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, PackageLoader, StrictUndefined

from migration.actions import OutcomeWord
from migration.errors import PlanError
from migration.executions import load_counters
from migration.inventory import Inventory
from migration.jobs import Job, Location
from migration.plan_format import PlanSummary
from migration.plans import Plan
from migration.reconciliation import Reconciliation, load_reconciliation
from migration.runs import RunRecord
from migration.state import JobState, RunPaths
from migration.stop_policy import progress
from reports import words
from reports.analysis import Analysis, analysis_of
from reports.charts import Bar, Part, columns, horizontal_bars, stacked_bar
from reports.people import read_unmapped
from reports.run_files import PATHS, opened_run, rows
from reports.tables import write_tables

LISTED = 50
"""Rows shown of a list whose whole is in a CSV file."""
_ANALYSIS_TABLES = ("inventory-folders.csv",)
_RUN_TABLES = ("files.csv", "flagged.csv", "skipped.csv", "pending.csv", "renamed.csv", "differences.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The first thing a reader sees. `style` is good, attention or bad."""

    style: str
    headline: str
    sentence: str


def write_report(run: RunPaths, *, job: Job) -> Path:
    """Write report.html and its CSV files into the run's folder; the path of the HTML file.

    Works from whatever the run has: after the analysis alone it shows the inventory. Older files of the same names are
    replaced when the new ones are complete. Raises PlanError when the run's own files are damaged.
    """
    with opened_run(run) as database:
        planned = run.plan.is_file()
        plan = Plan.load(run).summary if planned else None
        tables = write_tables(database, run.folder, (*_ANALYSIS_TABLES, *(_RUN_TABLES if planned else ())))
        page = _page(database, run, job, plan, tables)
    staged = run.report.with_name(f".{run.report.name}.{os.getpid()}.tmp")
    staged.write_text(page, "utf-8")
    os.replace(staged, run.report)
    return run.report


def _page(
    database: duckdb.DuckDBPyConnection, run: RunPaths, job: Job, plan: PlanSummary | None, tables: dict[str, int]
) -> str:
    reconciliation = load_reconciliation(run) if run.reconciliation.is_file() else None
    record = RunRecord.load(run)
    analysis = analysis_of(database)
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": words.number, "size": words.size, "moment": words.moment, "reason": words.reason, "span": words.span,
    }  # fmt: skip
    return environment.get_template("report.html").render(
        job=job,
        record=record,
        source=_place(job.source),
        destination=_place(job.destination),
        verdict=verdict_of(reconciliation, plan),
        plan=plan,
        reconciliation=reconciliation,
        parts=_parts(reconciliation),
        top_folders=_top_folders(reconciliation),
        analysis=analysis,
        charts=_charts(analysis),
        tables=tables,
        unmapped=read_unmapped(run),
        sidecar=_sidecar(run),
        listed=LISTED,
        seconds=_phase_seconds(record),
        stop_policy=progress(job.stop_policy, load_counters(JobState(run.folder.parent.parent).executions)),
        calls=_listing_calls(run),
        people=rows(database, _FOR_PEOPLE, LISTED),
        renamed=rows(database, _RENAMED, LISTED),
        differences=rows(database, _DIFFERENCES, LISTED),
        levels=rows(database, _LEVELS),
        duplicates=rows(database, _DUPLICATES)[0],
        bytes_copied=rows(database, "SELECT coalesce(sum(bytes_copied), 0)::BIGINT AS bytes FROM outcomes")[0]["bytes"],
    )


def _sidecar(run: RunPaths) -> dict[str, Any] | None:
    """What became of the sidecar: its folder, what was written, what prevented it."""
    try:
        told = json.loads((run.folder / "sidecar.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    return {**told, "folder": "/".join(told["folder"])}


def verdict_of(reconciliation: Reconciliation | None, plan: PlanSummary | None) -> Verdict:
    """What the report says first: whether it adds up, whether a person is needed, what is left."""
    if reconciliation is None:
        what = (
            "The plan is made; nothing has been copied yet."
            if plan
            else "The source is analyzed; nothing is planned yet."
        )
        return Verdict(style="attention", headline="Not transferred yet", sentence=what)
    if not reconciliation.adds_up:
        return Verdict(style="bad", headline="The numbers do not add up", sentence=" ".join(reconciliation.unexplained))
    wrong = {
        name: count for name, count in (reconciliation.verification or {}).items() if name in ("differs", "missing")
    }
    if any(wrong.values()):
        return Verdict(
            style="bad",
            headline="Verification found differences",
            sentence=f"{words.number(sum(wrong.values()))} files at the destination are not what was copied.",
        )
    return _adding_up(reconciliation)


def _adding_up(reconciliation: Reconciliation) -> Verdict:
    source_files, files = reconciliation.total.source_files, reconciliation.total.files
    flagged = files[OutcomeWord.FLAGGED]
    left = files[OutcomeWord.PENDING] + files[OutcomeWord.RETRYING]
    facts = [f"{words.number(source_files - left - flagged)} of {words.number(source_files)} files are done"]
    facts += [f"{words.number(left)} are left for the next run"] if left else []
    facts += [f"{words.number(flagged)} need a person"] if flagged else []
    if left:
        style, headline = "attention", "Adds up, not finished"
    elif flagged:
        style, headline = "attention", "Adds up, a person is needed"
    elif not reconciliation.source_complete:
        style, headline = "attention", "Adds up, but part of the source is not visible"
        facts.append("what could not be seen is listed below")
    else:
        style, headline = "good", "Everything adds up"
        facts.append("and every one is accounted for")
    return Verdict(style=style, headline=headline, sentence=", ".join(facts) + ".")


def _place(location: Location) -> str:
    return f"{location.connection}:{location.path}"


def _parts(reconciliation: Reconciliation | None) -> list[Part]:
    if reconciliation is None:
        return []
    return [Part(word.value, reconciliation.total.files[word], word.value) for word in OutcomeWord]


def _top_folders(reconciliation: Reconciliation | None) -> list[dict[str, Any]]:
    if reconciliation is None:
        return []
    return [
        {"name": words.stored(name) or "(in the root)", "tally": tally}
        for name, tally in reconciliation.folders.items()
    ][: 10 * LISTED]


def _charts(analysis: Analysis) -> dict[str, Any]:
    def bars(found: list[Bar]) -> Any:
        return horizontal_bars(found)

    return {
        "types_by_size": bars(analysis.types_by_size),
        "types_by_count": bars(analysis.types_by_count),
        "folders_by_size": bars(analysis.folders_by_size),
        "authors": bars(analysis.authors),
        "problem_names": bars(analysis.problem_names),
        "sizes": columns(analysis.sizes),
        "ages": columns(analysis.ages),
        "depths": columns(analysis.depths),
        "versions": columns(analysis.versions),
        "stacked": stacked_bar,
    }


def _phase_seconds(record: RunRecord) -> dict[str, float | None]:
    return {
        phase.value: (ended - reached).total_seconds() if ended else None
        for phase, (reached, ended) in record.phases.items()
    }


def _listing_calls(run: RunPaths) -> int | None:
    try:
        return Inventory.load(run.source_inventory).header.calls
    except PlanError:
        return None


_FOR_PEOPLE = f"""
    SELECT {PATHS}, word, reason, readable(message) AS message, size_bytes FROM judged
    WHERE word IN ('flagged', 'retrying') ORDER BY word, seq LIMIT ?
"""
_RENAMED = f"SELECT {PATHS}, readable(message) AS message FROM judged WHERE renamed ORDER BY seq LIMIT ?"
_DIFFERENCES = f"""
    SELECT {PATHS}, verdict, readable(detail) AS detail FROM verification
    WHERE verdict IN ('differs', 'missing') ORDER BY verdict LIMIT ?
"""
_LEVELS = """
    SELECT verdict, coalesce(level, '') AS level, count(*) AS files, coalesce(sum(size_bytes), 0)::BIGINT AS bytes
    FROM verification GROUP BY ALL ORDER BY verdict, level
"""
_DUPLICATES = """
    SELECT coalesce(sum(files - 1), 0)::BIGINT AS files, coalesce(sum((files - 1) * size_bytes), 0)::BIGINT AS bytes
    FROM (SELECT sha256, any_value(size_bytes) AS size_bytes, count(*) AS files FROM judged
          WHERE sha256 IS NOT NULL AND size_bytes > 0 GROUP BY sha256 HAVING count(*) > 1)
"""
