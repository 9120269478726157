"""The published descriptions of job files, made from the models: JSON Schema and the tables of docs/jobs.md."""

import json

from migration.errors import ConfigurationError
from migration.job_fields import FieldSection, field_sections
from migration.jobs import Job

BEGIN, END = "<!-- fields: begin -->", "<!-- fields: end -->"


def schema_text() -> str:
    """The JSON Schema (2020-12) of a job file, as text."""
    schema = Job.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "SiteHaul job"}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def fields_text() -> str:
    """Every field of a job as Markdown tables, one for each object."""
    return "\n".join(_section(section) for section in field_sections())


def with_fields(document: str) -> str:
    """The document with the tables of all fields between its two marks. ConfigurationError if it has no marks."""
    before, _, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ConfigurationError("no-field-marks", f"The document has no lines '{BEGIN}' and '{END}'.")
    return f"{before}{BEGIN}\n\n{fields_text()}\n{END}{after}"


def _section(section: FieldSection) -> str:
    title = f"`{section.place}`" if section.place else "The job itself"
    kind = f" with `{section.kind}`" if section.kind else ""
    lines = [f"### {title}{kind}", "", section.about, "", "| key | takes | default | |", "|---|---|---|---|"]
    for name, takes, default, description in section.rows:
        cells = [f"`{name}`", takes, default, description]
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("\n", " ")
