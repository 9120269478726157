"""The report of a run of a job with children: one self-contained HTML file and children.csv. Reads files only."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from migration.child_rows import NOT_VISIBLE, PAUSED, ChildRow, Roll, load_roll, roll_file
from migration.jobs import Job
from migration.reconciliation import WORDS, Reconciliation, load_reconciliation
from migration.runs import RunRecord
from migration.state import CHILDREN, RunPaths
from reports import words
from reports.run_report import Verdict
from reports.tables import csv_cell

COLUMNS = (
    "child", "id", "number", "name", "state", "source_files", *WORDS, "bytes_copied", "calls", "turns", "destination",
    "resume_at", "message", "report",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Line:
    """One child as the report shows it. `report` is the address of its own report from the parent's, if it has one."""

    row: ChildRow
    report: str | None


def write_children_report(run: RunPaths, *, job: Job) -> Path:
    """Write report.html and children.csv into the folder of the parent's run; the path of the HTML file.

    Works from whatever the run has; older files are replaced when the new ones are complete. Raises FatalError
    `children-unreadable` when the run's own file is damaged.
    """
    roll = load_roll(roll_file(run))
    account = load_reconciliation(run) if run.reconciliation.is_file() else None
    lines = [_Line(row, _report_of(run, row)) for row in roll.rows]
    _write_csv(run.folder / "children.csv", lines)
    environment = Environment(
        loader=PackageLoader("reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": words.number, "size": words.size, "moment": words.moment}
    page = environment.get_template("children.html").render(
        job=job,
        record=RunRecord.load(run),
        roll=roll,
        lines=lines,
        account=account,
        verdict=verdict_of(roll, account),
        hidden=[line for line in lines if line.row.state == NOT_VISIBLE],
        paused=[line for line in lines if line.row.state == PAUSED],
        counts={word: sum(row.files.get(word, 0) for row in roll.rows) for word in WORDS},
        calls=sum(row.calls for row in roll.rows),
        bytes_copied=sum(row.bytes_copied for row in roll.rows),
    )
    staged = run.report.with_name(f".{run.report.name}.{os.getpid()}.tmp")
    staged.write_text(page, "utf-8")
    os.replace(staged, run.report)
    return run.report


def verdict_of(roll: Roll, account: Reconciliation | None) -> Verdict:
    """What the report says first."""
    taking_part = [row for row in roll.rows if row.state != PAUSED]
    failed = sum(row.state == "failed" for row in taking_part)
    left = sum(not row.settled for row in taking_part) - failed
    hidden = sum(row.state == NOT_VISIBLE for row in taking_part)
    facts = [f"{len(taking_part) - left - failed - hidden} of {len(taking_part)} children are done"]
    facts += [f"{failed} failed"] if failed else []
    facts += [f"{left} go on in the next run"] if left else []
    facts += [f"{hidden} cannot be seen by this connection"] if hidden else []
    sentence = ", ".join(facts) + "."
    if account is not None and not account.adds_up:
        return Verdict(style="bad", headline="The numbers do not add up", sentence=" ".join(account.unexplained))
    if failed:
        return Verdict(style="bad", headline="Some children failed", sentence=sentence)
    if left:
        return Verdict(style="attention", headline="Adds up, not finished", sentence=sentence)
    if hidden or (account is not None and account.total.files["flagged"]):
        return Verdict(style="attention", headline="Adds up, a person is needed", sentence=sentence)
    return Verdict(style="good", headline="Everything adds up", sentence=sentence)


def _report_of(run: RunPaths, row: ChildRow) -> str | None:
    """Relative, so that the whole state folder can be moved."""
    if row.run_id is None:
        return None
    below = Path(CHILDREN) / row.slug / "runs" / row.run_id / "report.html"
    return f"../../{below.as_posix()}" if (run.folder.parent.parent / below).is_file() else None


def _write_csv(path: Path, lines: list[_Line]) -> None:
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(staged, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for line in lines:
            writer.writerow([csv_cell(value) for value in _cells(line)])
    os.replace(staged, path)


def _cells(line: _Line) -> list[Any]:
    row = line.row
    return [
        row.slug, row.id, row.number, row.name, row.state, row.source_files, *(row.files.get(word) for word in WORDS),
        row.bytes_copied, row.calls, row.turns, "/".join(row.destination), row.resume_at, row.sentence, line.report,
    ]  # fmt: skip
