"""Job files on disk: read with what is wrong told by line, and written so that people can read and edit them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migration.errors import ConfigurationError
from migration.job_problems import job_from_values
from migration.job_text import BYTES_MAX, JobText, job_yaml, read_job_text
from migration.jobs import Job

_ALWAYS_WRITTEN = ("name", "source", "destination", "transfer_type")


def read_job_file(path: Path) -> JobText:
    """What a YAML or JSON file says (JSON if it is called so); problems are in it.

    Raises ConfigurationError `job-file` for a file that cannot be read as text.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(BYTES_MAX + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError("job-file", f"The job file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError("job-file", f"The job file {path} is not UTF-8 text ({error.reason}).") from error
    if len(raw) > BYTES_MAX:
        raise ConfigurationError("job-file", f"{path} is larger than any job file ({BYTES_MAX >> 20} MiB).")
    return read_job_text(text, as_json=path.suffix.lower() == ".json")


def load_job_file(path: Path, *, name: str | None = None) -> Job:
    """The job in a file. `name` is used when the file names none.

    Raises ConfigurationError `job-file` or `job-invalid`; the latter names every key that is wrong, with its line.
    """
    read = read_job_file(path)
    if name is not None:
        read.values.setdefault("name", name)
    return job_from_values(read.values, read=read, what=str(path))


def job_as_yaml(job: Job, *, everything: bool = False, comment: str = "") -> str:
    """The job as YAML: what differs from the defaults, or every field."""
    values = job.model_dump(mode="json")
    return job_yaml(values if everything else said_values(job), comment=comment)


def said_values(job: Job) -> dict[str, Any]:
    """The job's fields that differ from the defaults, and those that tell what the job is."""
    values = job.model_dump(mode="json")
    lean = job.model_dump(mode="json", exclude_defaults=True)
    least = Job.model_validate({key: values[key] for key in ("name", "source", "destination")})
    said = {key: values[key] for key in _ALWAYS_WRITTEN}
    others = {key: value for key, value in values.items() if key not in said}
    said |= _different(others, least.model_dump(mode="json"), lean)
    return said if Job.model_validate(said) == job else values


def _different(values: Mapping[str, Any], defaults: Mapping[str, Any], lean: Any) -> dict[str, Any]:
    """What differs from the defaults; the entries of lists as in `lean`, without their own defaults."""
    different: dict[str, Any] = {}
    for key, value in values.items():
        default = defaults.get(key)
        leaner = lean.get(key, value) if isinstance(lean, Mapping) else value
        if isinstance(value, Mapping) and isinstance(default, Mapping) and value != default:
            different[key] = _different(value, default, leaner)
        elif value != default:
            different[key] = _without_defaults(leaner) if isinstance(value, list | dict) else value
    return different


def _without_defaults(value: Any) -> Any:
    """A list or object whose own defaults were left out; what is empty in it is as good as not said."""
    if isinstance(value, list):
        return [_without_defaults(_told_by_type(entry)) for entry in value]
    if isinstance(value, Mapping):
        cleaned = {key: _without_defaults(part) for key, part in value.items()}
        return {key: part for key, part in cleaned.items() if part not in (None, [], {})}
    return value


def _told_by_type(entry: Any) -> Any:
    """An entry of a list with its type, if it has one, as its first key."""
    if isinstance(entry, Mapping) and "type" in entry:
        return {"type": entry["type"], **entry}
    return entry
