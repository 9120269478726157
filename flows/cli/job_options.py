"""How a job is named and described on the command line: by name, by --source and --destination, or by a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migration.errors import ConfigurationError

if TYPE_CHECKING:
    from migration.job_text import JobText
    from migration.jobs import Job

JobName = Annotated[str, typer.Argument(help="The job's name; it names the folder of its state and reports.")]
Source = Annotated[
    str | None, typer.Option(help="CONNECTION:PATH the files come from, e.g. 'office:Riverside Tower/Drawings'.")
]
Destination = Annotated[str | None, typer.Option(help="CONNECTION:PATH the files go to, e.g. archive:tower.")]
JobFile = Annotated[Path | None, typer.Option("--file", help="A job as YAML or JSON (see docs/jobs.md).")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Change one field of the job, e.g. --set rules.large_item=skip or --set rules.filter.exclude+=*.tmp; "
        "may be repeated.",
    ),
]
Anew = Annotated[bool, typer.Option("--anew", help="Do not continue an unfinished run; analyze and plan again.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts.")]

NOWHERE = "nowhere"
"""The destination's connection in a job that was only analyzed."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What the command line says about a job. Fields that are None were not given."""

    name: str
    source: str | None = None
    destination: str | None = None
    file: Path | None = None
    changes: tuple[str, ...] = ()
    needs_destination: bool = True

    def resolve(self, state_folder: Path) -> "Job":
        """The job: from the file, else as last used under this name, else new; then changed as the options say.

        Raises ConfigurationError naming what is missing or wrong; nothing is written.
        """
        from migration.job_problems import job_from_values
        from migration.job_set import set_field

        read = self._base(state_folder)
        values = read.values
        values["name"] = self.name
        for field, text in (("source", self.source), ("destination", self.destination)):
            if text is not None:
                values[field] = _location(text, option=f"--{field}")
            elif field == "destination" and not self.needs_destination:
                values.setdefault(field, {"connection": NOWHERE})
            elif _leads_nowhere(values.get(field)) and self.file is None:
                raise ConfigurationError(
                    "job-incomplete",
                    f"The job '{self.name}' is not known yet and has no {field}.",
                    fix=f"Say it once with --{field} CONNECTION:PATH.",
                )
        for change in self.changes:
            set_field(values, change)
        return job_from_values(values, read=read, what=str(self.file) if self.file else f"The job '{self.name}'")

    def _base(self, state_folder: Path) -> "JobText":
        from migration.job_files import read_job_file
        from migration.job_text import JobText
        from migration.state import JobState

        if self.file is not None:
            return read_job_file(self.file)
        state = JobState.of(state_folder, self.name)
        if state.job_file.is_file():
            return JobText(values=state.load_job().model_dump(mode="json"))
        return JobText()


def _leads_nowhere(location: Any) -> bool:
    """Whether a job's end is not said yet; one that is said wrongly is told of with all that is wrong."""
    if location is None:
        return True
    return isinstance(location, dict) and location.get("connection") == NOWHERE


def _location(text: str, *, option: str) -> dict[str, str]:
    connection, separator, path = text.partition(":")
    if not connection or (not separator and "/" in text):
        raise ConfigurationError(
            "job-location", f"{option} '{text}' names no connection.", fix="Write it as CONNECTION:PATH."
        )
    return {"connection": connection, "path": path}
