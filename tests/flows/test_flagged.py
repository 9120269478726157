"""`sitehaul flagged` over the jobs of a home: no server, no connection, only what runs left behind."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import commands
from flows.cli.main import Leaving, app
from migration.decisions import Decisions, Word
from migration.errors import ConfigurationError
from migration.state import JobState
from tests.engine.support import Bench, Body, ScriptedSource, a_job
from tests.engine.whole import accounted_run

assert commands.__all__
FILES = {name: name.encode() * 50 for name in ("=1.dwg", "good.pdf", "Drawings/a.dwg", "Drawings/b.pdf")}
FAILING = ("=1.dwg", "Drawings/a.dwg", "Drawings/b.pdf")


async def make_job(home: Path, name: str) -> ScriptedSource:
    """A job with two runs, the second of which has flagged what fails at its third attempt."""
    source = ScriptedSource(dict(FILES), False, {failing: [Body(serve=10) for _ in range(100)] for failing in FAILING})
    bench = Bench(home, source, a_job(name=name, destination={"connection": "archive", "path": name}))
    for retrying, flagged in ((3, 0), (0, 3)):
        account = (await accounted_run(bench))[0]
        assert (account.total.files["retrying"], account.total.files["flagged"]) == (retrying, flagged)
    return source


def run(home: Path, *words: str) -> Any:
    done = CliRunner().invoke(app, ["--home", str(home), "flagged", *words], obj=Leaving(), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done


def listed(home: Path, *words: str) -> list[tuple[str, str]]:
    return [(row["job"], row["source_path"]) for row in json.loads(run(home, "list", *words, "--json").stdout)]


def decisions(home: Path, job: str) -> Decisions:
    return Decisions.load(JobState.of(home / "state", job).decisions)


async def test_what_needs_a_person_is_listed_over_all_jobs_and_filtered(tmp_path: Path) -> None:
    source = await make_job(tmp_path, "one")
    await make_job(tmp_path, "two")
    everything = json.loads(run(tmp_path, "list", "--json").stdout)
    assert len(everything) == 6
    assert {(row["reason"], row["attempts"]) for row in everything} == {("short-body", 3)}
    assert listed(tmp_path, "two") == [("two", "=1.dwg"), ("two", "Drawings/a.dwg"), ("two", "Drawings/b.pdf")]
    assert listed(tmp_path, "two", "--path", "*.pdf") == [("two", "Drawings/b.pdf")]
    assert listed(tmp_path, "--reason", "too-large") == []
    assert listed(tmp_path, "--reason", "short-body", "--reason", "too-large", "--path", "=*") == [
        ("one", "=1.dwg"), ("two", "=1.dwg"),
    ]  # fmt: skip
    assert listed(tmp_path, "--since", "2999-01-01") == []
    assert len(listed(tmp_path, "--since", "2026-01-01")) == 6
    people = run(tmp_path, "list").stderr
    assert "Drawings/a.dwg" in people and "6 short-body" in people
    with pytest.raises(ConfigurationError, match="There is no job"):
        run(tmp_path, "list", "three")

    opened = len(source.opened)
    bench = Bench(tmp_path, source, a_job(name="one", destination={"connection": "archive", "path": "one"}))
    assert (await accounted_run(bench))[0].total.files["flagged"] == 3
    assert len(source.opened) == opened, "what failed three times is not tried again"


async def test_decisions_in_bulk_and_by_csv(tmp_path: Path) -> None:
    await make_job(tmp_path, "one")
    await make_job(tmp_path, "two")
    with pytest.raises(ConfigurationError, match="all flagged files of all jobs"):
        run(tmp_path, "retry")
    told = json.loads(run(tmp_path, "retry", "--path", "Drawings/*", "--by", "ann", "--json").stdout)
    assert told == {"decision": "retry", "files": 4, "jobs": {"one": 2, "two": 2}}

    table = tmp_path / "flagged.csv"
    run(tmp_path, "list", "two", "--csv", str(table))
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8-sig"))))
    assert [row["source_path"] for row in rows] == ["'=1.dwg", "Drawings/a.dwg", "Drawings/b.pdf"]
    rows[0]["note"] = "not needed"
    rows[1]["decision"] = "retry"
    edited = io.StringIO()
    writer = csv.DictWriter(edited, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    table.write_text(edited.getvalue(), "utf-8-sig")
    told = json.loads(
        run(tmp_path, "ignore", "--from-csv", str(table), "--note", "old", "--by", "bob", "--json").stdout
    )
    assert told["jobs"] == {"two": 2}

    known = decisions(tmp_path, "two")
    by_path = {row["source_path"]: known.of(row["source_id"].lstrip("'"), row["source_version_id"]) for row in rows}
    made = {path: (one.decision, one.by, one.note) for path, one in by_path.items() if one is not None}
    assert made == {
        "'=1.dwg": (Word.IGNORE, "bob", "not needed"),
        "Drawings/a.dwg": (Word.RETRY, "ann", None),
        "Drawings/b.pdf": (Word.IGNORE, "bob", "old"),
    }
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigurationError, match="not a CSV of flagged files"):
        run(tmp_path, "retry", "--from-csv", str(tmp_path / "other.csv"))
