"""`sitehaul flagged list`, `retry` and `ignore`: what needs a person, over one job or all of them."""

import getpass
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.cli.main import Common, app, common_of
from migration.errors import ConfigurationError

if TYPE_CHECKING:
    from reports.flagged import FlaggedFile

SHOWN = 50
"""Rows of the table people see; the CSV holds all."""

flagged = typer.Typer(no_args_is_help=True, help="Files that need a person: list them, try them again, leave them out.")
app.add_typer(flagged, name="flagged")

Name = Annotated[str | None, typer.Argument(metavar="[JOB]", help="Only this job's; without it those of all jobs.")]
Reason = Annotated[list[str] | None, typer.Option(help="Only those with this reason code; may be repeated.")]
Path_ = Annotated[str | None, typer.Option("--path", help="Only those whose source path fits, e.g. 'Drawings/*.dwg'.")]
Since = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Only those flagged since then (UTC)."),
]
FromCsv = Annotated[Path | None, typer.Option(help="Only those in this CSV, as `flagged list --csv` writes it.")]
All = Annotated[bool, typer.Option("--all", help="Really all flagged files of all jobs.")]
By = Annotated[str | None, typer.Option(help="Who decided this; default: the user of this machine.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts.")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which flagged files are meant. None = any."""

    job: str | None
    reasons: tuple[str, ...]
    path: str | None
    since: datetime | None

    @property
    def says_something(self) -> bool:
        """Whether it is narrower than everything."""
        return any((self.job, self.reasons, self.path, self.since))

    def fits(self, one: "FlaggedFile") -> bool:
        """Whether this file is meant; its job is."""
        if self.reasons and one.reason not in self.reasons:
            return False
        if self.path is not None and not fnmatchcase(one.source_path, self.path):
            return False
        return self.since is None or one.flagged_at >= self.since.replace(tzinfo=UTC)

    def found(self, common: Common) -> "Iterator[FlaggedFile]":
        """The flagged files that are meant. ConfigurationError `job-not-found`."""
        from flows.cli.standing import states_of
        from reports.flagged import flagged_files

        for state in states_of(common.state_folder, self.job):
            yield from filter(self.fits, flagged_files(state))


@flagged.command("list")
def list_flagged(
    context: typer.Context,
    name: Name = None,
    reason: Reason = None,
    path: Path_ = None,
    since: Since = None,
    csv: Annotated[Path | None, typer.Option(help="Write them into this CSV file instead of showing them.")] = None,
    json_output: Json = False,
) -> None:
    """Show what the last runs left flagged."""
    from reports.flagged import write_flagged

    common = common_of(context)
    wanted = Wanted(name, tuple(reason or ()), path, since)
    if csv is not None:
        count = write_flagged(csv, wanted.found(common))
        common.console.print(Text(f"{count:,} flagged files: {csv}"), soft_wrap=True)
        return
    files = list(wanted.found(common))
    if json_output:
        print(json.dumps([_plain(one) for one in files], ensure_ascii=False))
    else:
        _show(common, files)


@flagged.command()
def retry(
    context: typer.Context,
    name: Name = None,
    reason: Reason = None,
    path: Path_ = None,
    since: Since = None,
    from_csv: FromCsv = None,
    everything: All = False,
    by: By = None,
    json_output: Json = False,
) -> None:
    """Let the next runs try these files again, with as many attempts as new ones."""
    common = common_of(context)
    wanted = Wanted(name, tuple(reason or ()), path, since)
    _decide(common, "retry", wanted, from_csv, everything=everything, by=by, note=None, json_output=json_output)


@flagged.command()
def ignore(
    context: typer.Context,
    name: Name = None,
    reason: Reason = None,
    path: Path_ = None,
    since: Since = None,
    from_csv: FromCsv = None,
    everything: All = False,
    note: Annotated[str | None, typer.Option(help="Why; it is shown in plans and reports.")] = None,
    by: By = None,
    json_output: Json = False,
) -> None:
    """Leave these files out of the next plans, until they change or `flagged retry` takes them in again."""
    common = common_of(context)
    wanted = Wanted(name, tuple(reason or ()), path, since)
    _decide(common, "ignore", wanted, from_csv, everything=everything, by=by, note=note, json_output=json_output)


def _decide(
    common: Common,
    word: str,
    wanted: Wanted,
    from_csv: Path | None,
    *,
    everything: bool,
    by: str | None,
    note: str | None,
    json_output: bool,
) -> None:
    from migration.decisions import Decision, Word, decide
    from migration.state import JobState

    if not (wanted.says_something or from_csv or everything):
        raise ConfigurationError(
            "flagged-all",
            f"This would {word} all flagged files of all jobs.",
            fix="Name a job, a reason, a path or a CSV, or say --all.",
        )
    note_of = _chosen(from_csv, word)
    now, who = datetime.now(UTC), by or getpass.getuser()
    by_job: dict[str, list[Decision]] = {}
    for one in wanted.found(common):
        chosen, own_note = note_of(one)
        if chosen:
            by_job.setdefault(one.job, []).append(
                Decision(
                    source_id=one.source_id,
                    source_version_id=one.source_version_id,
                    size_bytes=one.size_bytes,
                    modified_at=one.modified_at,
                    source_path=one.stored_path,
                    decision=Word(word),
                    reason=one.reason,
                    by=who,
                    at=now,
                    note=own_note or note,
                )
            )
    counts = {job: decide(JobState.of(common.state_folder, job).decisions, made) for job, made in by_job.items()}
    if json_output:
        print(json.dumps({"decision": word, "files": sum(counts.values()), "jobs": counts}, ensure_ascii=False))
        return
    words = {"retry": "are tried again by the next run", "ignore": "are left out by the next plan"}
    for job, count in counts.items():
        common.console.print(Text(f"{job}: {count:,} files {words[word]}."), soft_wrap=True)
    if not counts:
        common.console.print("No flagged file is meant by this; see `sitehaul flagged list`.")


def _chosen(from_csv: Path | None, word: str) -> "Callable[[FlaggedFile], tuple[bool, str | None]]":
    """Tells of a file whether the CSV means it, and its note. ConfigurationError `flagged-csv`."""
    from reports.flagged import read_chosen

    if from_csv is None:
        return lambda _: (True, None)
    try:
        rows = read_chosen(from_csv, word)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "flagged-csv",
            f"{from_csv} is not a CSV of flagged files: {error}.",
            fix="Make one with `sitehaul flagged list --csv FILE`.",
        ) from error

    def chosen(one: "FlaggedFile") -> tuple[bool, str | None]:
        key = (one.job, one.source_id, one.source_version_id)
        return key in rows, rows.get(key)

    return chosen


def _show(common: Common, files: "list[FlaggedFile]") -> None:
    if not files:
        common.console.print("Nothing needs a person.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("job", "file", "reason", "attempts", "since", ""):
        table.add_column(title, overflow="fold")
    for one in files[:SHOWN]:
        tried = "" if one.attempts is None else str(one.attempts)
        cells = (one.job, one.source_path, one.reason, tried, f"{one.flagged_at:%Y-%m-%d %H:%M}", one.message or "")
        table.add_row(*[Text(cell) for cell in cells])
    common.console.print(table)
    if len(files) > SHOWN:
        common.console.print(f"… and {len(files) - SHOWN:,} more; --csv FILE writes all of them.")
    for reason, count in Counter(one.reason for one in files).most_common():
        common.console.print(Text(f"  {count:,} {reason}"))


def _plain(one: "FlaggedFile") -> dict[str, Any]:
    from dataclasses import asdict

    plain = asdict(one)
    del plain["stored_path"]
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in plain.items()}
