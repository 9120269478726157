"""`sitehaul job import dryviq.json`: a job file is made of a DryvIQ job, and every field of it is accounted for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from flows.cli.main import Common
from migration.dryviq import Conversion, Verdict, convert
from migration.errors import ConfigurationError
from migration.job_files import job_as_yaml
from migration.job_problems import job_from_values
from migration.job_text import read_job_text

_STYLES = {Verdict.MAPPED: "green", Verdict.NOT_APPLICABLE: "dim", Verdict.UNKNOWN: "bold yellow"}


def import_dryviq(
    common: Common,
    body: Mapping[str, Any],
    *,
    name: str | None,
    source_connection: str | None,
    destination_connection: str | None,
    out: Path | None,
    json_output: bool,
) -> None:
    """Write the job file and tell what became of each field. An existing file is not replaced.

    Raises ConfigurationError `file-exists`, or `job-invalid` where the values of the DryvIQ job make no job of ours.
    """
    conversion = convert(
        body, name=name, source_connection=source_connection, destination_connection=destination_connection
    )
    job = job_from_values(conversion.values, what="The job made of the DryvIQ job")
    path = out or Path(f"{job.name}.yaml")
    comment = "\n".join([*conversion.notes, *[f"To do: {sentence}" for sentence in conversion.to_do]])
    _write_new(path, job_as_yaml(job, comment=comment))
    if json_output:
        print(json.dumps(_document(conversion, path), ensure_ascii=False))
        return
    _tell(common, conversion)
    words = f"Written: {path}. Next: look at it, then sitehaul job import {path}, and sitehaul plan {job.name}"
    common.console.print(Text(words), soft_wrap=True)


def _write_new(path: Path, text: str) -> None:
    if read_job_text(text).problems:
        raise ConfigurationError("job-invalid", f"The job cannot be written as {path}: its text cannot be read again.")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigurationError(
            "file-exists", f"{path} is there already.", fix="Move it away, or name another file with --out."
        ) from None
    except OSError as error:
        raise ConfigurationError("job-file", f"{path} cannot be written: {error.strerror}.") from error


def _tell(common: Common, conversion: Conversion) -> None:
    width = min(48, max(len(one.field) for one in conversion.fields))
    for one in conversion.fields:
        line = Text.assemble((f"{one.verdict:<15}", _STYLES[one.verdict]), f"{one.field:<{width}}  {_short(one.value)}")
        line.append(f" → {one.text}")
        common.console.print(line, soft_wrap=True)
    counts = {verdict: sum(one.verdict is verdict for one in conversion.fields) for verdict in Verdict}
    common.console.print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    for sentence in conversion.to_do:
        common.console.print(Text(f"  ! {sentence}", style="yellow"), soft_wrap=True)


def _short(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _document(conversion: Conversion, path: Path) -> dict[str, Any]:
    return {
        "file": str(path),
        "job": conversion.values,
        "fields": [
            {"field": one.field, "value": one.value, "verdict": one.verdict.value, "text": one.text}
            for one in conversion.fields
        ],
        "to_do": list(conversion.to_do),
    }
