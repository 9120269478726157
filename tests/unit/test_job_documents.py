"""What docs/ says about job files is what the models say."""

import json
import re
from pathlib import Path

import pytest

from migration.job_documents import schema_text, with_fields
from migration.job_fields import field_sections
from migration.job_problems import job_from_values
from migration.job_text import read_job_text

DOCS = Path(__file__).resolve().parents[2] / "docs"
JOBS = (DOCS / "jobs.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(name: .*?)^```", JOBS, re.M | re.S)


def test_the_published_schema_is_current() -> None:
    assert (DOCS / "job.schema.json").read_text("utf-8") == schema_text(), "run make job-docs"


def test_the_documented_fields_are_current() -> None:
    assert with_fields(JOBS) == JOBS, "run make job-docs"


def test_every_field_says_what_it_is_for() -> None:
    rows = [(section.place, *row) for section in field_sections() for row in section.rows]
    assert len(rows) > 80
    assert [(place, name) for place, name, takes, _, about in rows if not takes or (not about and name != "type")] == []


def test_the_schema_refuses_unknown_keys() -> None:
    schema = json.loads(schema_text())
    objects = [one for one in [schema, *schema["$defs"].values()] if one.get("type") == "object"]
    assert len(objects) > 10
    assert all(one["additionalProperties"] is False for one in objects)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_the_examples_are_jobs(example: str) -> None:
    read = read_job_text(example)
    job_from_values(read.values, read=read)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 4
