"""A plan for people who have to say yes or no to it: one self-contained HTML file, a CSV of every action, a page."""

import html
import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from migration.actions import ActionKind
from migration.errors import ConfigurationError
from migration.plans import Plan
from reports import words
from reports.plan_view import SIGNS, PlanView
from reports.run_files import opened_run
from reports.tables import write_table


def write_plan(plan: Plan, view: PlanView, out: Path) -> list[Path]:
    """Write the plan as `out` says: a file ending in .html or .csv, or else a folder that gets both; what was written.

    Files that are there already are replaced when the new ones are complete. ConfigurationError `plan-out` when the
    place cannot be written.
    """
    try:
        files = [out] if out.suffix.lower() in (".html", ".csv") else [out / "plan.html", out / "plan.csv"]
        files[0].parent.mkdir(parents=True, exist_ok=True)
        for file in files:
            if file.suffix.lower() == ".html":
                _write_html(view, file)
            else:
                with opened_run(plan.run) as database:
                    write_table(database, "plan.csv", file)
    except OSError as error:
        raise ConfigurationError("plan-out", f"The plan cannot be written to {out}: {error.strerror}.") from error
    return files


def _write_html(view: PlanView, path: Path) -> None:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": words.number, "size": words.size, "moment": words.moment}
    page = environment.get_template("plan.html").render(
        view=view,
        plan=view.summary,
        signs=SIGNS,
        skipped=view.left_out(ActionKind.SKIP),
        flagged=view.left_out(ActionKind.FLAG),
        danger=_danger(view),
    )
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    staged.write_text(page, "utf-8")
    os.replace(staged, path)


def _danger(view: PlanView) -> tuple[str, str, str]:
    """The first thing a reader sees: style, headline, sentence."""
    counts = {sign: sum(side.counts.get(sign, 0) for side in view.sides) for sign in SIGNS}
    deleted, replaced = counts["-"], counts["~"]
    if not view.changes:
        return "good", "Nothing to do", "Both sides are as the job wants them; carrying out this plan changes nothing."
    if deleted:
        return (
            "bad",
            f"{words.number(deleted)} {'deletion' if deleted == 1 else 'deletions'}",
            f"{words.number(view.changes)} changes in all. What is deleted goes to the trash of its system.",
        )
    if replaced:
        return (
            "attention",
            f"{words.number(replaced)} {'file is' if replaced == 1 else 'files are'} replaced",
            f"{words.number(view.changes)} changes in all. Nothing is deleted.",
        )
    return "good", f"{words.number(view.changes)} changes", "Nothing that is there now is replaced or deleted."


def plan_page(view: PlanView) -> str:
    """A page of Markdown for Prefect's form. Names come from outside and are escaped."""
    summary = view.summary
    _, headline, sentence = _danger(view)
    lines = [f"**{headline}.** {sentence}", "", "| side | changes |", "|---|---|"]
    lines += [f"| {side.side.value} `{_code(side.place)}` | {side.sentence} |" for side in view.sides if side.counts]
    left_out = [(ActionKind.SKIP, "skipped"), (ActionKind.FLAG, "need a person")]
    lines += [
        f"| | {count:,} {word}: {html.escape(reason)} |"
        for kind, word in left_out
        for reason, count in view.left_out(kind)
    ]
    lines += ["", f"About {summary.forecast.calls:,} API calls, {view.time_sentence}."]
    lines += [f"- ⚠ {html.escape(warning)}" for warning in summary.warnings]
    if view.dangerous:
        is_harmless = view.dangerous[0].sign == "+"
        lines += ["", "The largest files:" if is_harmless else "The most dangerous actions:", ""]
        lines += [
            f"- `{action.sign}` {action.side}: `{_code(action.what)}` {words.size(action.size_bytes)}"
            + (f" ({html.escape(action.why)})" if action.why else "")
            for action in view.dangerous[: 3 if is_harmless else 10]
        ]
    lines += ["", f"Plan `{summary.plan_id}`, made {words.moment(summary.made_at)}."]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """Safe between backticks, inside a table."""
    return text.replace("`", "'").replace("\n", " ").replace("|", "¦")
