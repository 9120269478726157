"""How a job is named and described on the command line: by name, by --source and --destination, or by a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migration.errors import ConfigurationError

if TYPE_CHECKING:
    from migration.jobs import Job

JobName = Annotated[str, typer.Argument(help="The job's name; it names the folder of its state and reports.")]
Source = Annotated[
    str | None, typer.Option(help="CONNECTION:PATH the files come from, e.g. 'office:Riverside Tower/Drawings'.")
]
Destination = Annotated[str | None, typer.Option(help="CONNECTION:PATH the files go to, e.g. archive:tower.")]
JobFile = Annotated[Path | None, typer.Option("--file", help="A job as JSON (see docs/formats.md).")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one field of the job, e.g. --set rules.large_item=skip; may be repeated."),
]


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
        values = self._base(state_folder)
        values["name"] = self.name
        for field, text in (("source", self.source), ("destination", self.destination)):
            if text is not None:
                values[field] = _location(text, option=f"--{field}")
            elif field == "destination" and not self.needs_destination:
                values.setdefault(field, {"connection": NOWHERE})
            elif values.get(field, {}).get("connection", NOWHERE) == NOWHERE:
                raise ConfigurationError(
                    "job-incomplete",
                    f"The job '{self.name}' is not known yet and has no {field}.",
                    fix=f"Say it once with --{field} CONNECTION:PATH.",
                )
        for change in self.changes:
            _apply(values, change)
        return job_from_values(values)

    def _base(self, state_folder: Path) -> dict[str, Any]:
        from migration.state import JobState

        if self.file is not None:
            return _read_job_file(self.file)
        state = JobState.of(state_folder, self.name)
        if state.job_file.is_file():
            return state.load_job().model_dump(mode="json")
        return {}


def job_from_values(values: dict[str, Any]) -> "Job":
    """The validated job. Raises ConfigurationError naming every field that is wrong."""
    from pydantic import ValidationError

    from migration.jobs import Job

    try:
        return Job.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigurationError("job-invalid", f"The job is not valid: {problems}.") from None


def _read_job_file(path: Path) -> dict[str, Any]:
    import json

    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError("job-file", f"The job file {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigurationError("job-file", f"The job file {path} is not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise ConfigurationError("job-file", f"The job file {path} does not hold one JSON object.")
    return values


def _location(text: str, *, option: str) -> dict[str, str]:
    connection, separator, path = text.partition(":")
    if not connection or (not separator and "/" in text):
        raise ConfigurationError(
            "job-location", f"{option} '{text}' names no connection.", fix="Write it as CONNECTION:PATH."
        )
    return {"connection": connection, "path": path}


def _apply(values: dict[str, Any], change: str) -> None:
    name, separator, text = change.partition("=")
    if not separator:
        raise ConfigurationError("job-change", f"--set '{change}' has no '='.", fix="Write it as --set FIELD=VALUE.")
    *parents, last = name.split(".")
    place = values
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise ConfigurationError("job-change", f"--set '{change}': '{parent}' has no fields.")
    place[last] = text.split(",") if last in ("include", "exclude") else text
