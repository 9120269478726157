import csv
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from migration.analysis import analyze
from migration.errors import ItemError
from migration.reconciliation import Reconciliation, reconcile, write_reconciliation
from migration.runs import begin
from migration.state import RunPaths
from reports.run_report import verdict_of, write_report
from tests.engine.support import Bench, Body, ScriptedSource
from tests.engine.whole import accounted_run

CONTENTS = {
    "Drawings/a.pdf": b"a" * 30_000,
    "Drawings/same.pdf": b"a" * 30_000,
    "Drawings/b.PDF": b"b" * 20_000,
    "Photos/<script>alert(1).jpg": b"c" * 1_000,
    "=cmd|' calc'!A0.txt": b"formula",
    "Notes/con.txt": b"",
}


class Page(HTMLParser):
    """Reads a page as a browser would: its text, its tags, and every address it would ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


async def reported(bench: Bench) -> tuple[RunPaths, Page]:
    await accounted_run(bench)
    run = bench.state.runs()[-1]
    return run, Page(write_report(run, job=bench.job).read_text("utf-8"))


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


async def test_a_report_says_that_it_adds_up_and_lists_every_file(tmp_path: Path) -> None:
    run, page = await reported(Bench(tmp_path, ScriptedSource(dict(CONTENTS))))
    assert "Everything adds up" in page.texts
    assert any(re.match(r"6 source files =\s+6 succeeded", text) for text in page.texts)
    files = rows(run.folder / "files.csv")
    assert sorted(row["source_path"].removeprefix("'") for row in files) == sorted(CONTENTS)
    assert {row["word"] for row in files} == {"succeeded"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", row["sha256"]) for row in files)


async def test_a_report_asks_for_nothing_and_runs_nothing(tmp_path: Path) -> None:
    run, page = await reported(Bench(tmp_path, ScriptedSource(dict(CONTENTS))))
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert all((run.folder / address).is_file() for address in page.addresses)


async def test_a_name_that_a_spreadsheet_would_run_is_defused(tmp_path: Path) -> None:
    run, _ = await reported(Bench(tmp_path, ScriptedSource(dict(CONTENTS))))
    text = (run.folder / "files.csv").read_text("utf-8-sig")
    assert "\n'=cmd" in text.replace('"', "")
    assert not re.search(r'^"?=', text, re.M)


async def test_what_needs_a_person_is_named_with_its_reason(tmp_path: Path) -> None:
    source = ScriptedSource(
        dict(CONTENTS), script={"Drawings/a.pdf": [Body(0, ItemError("source-gone", "It is gone."))]}
    )
    run, page = await reported(Bench(tmp_path, source))
    assert "Adds up, a person is needed" in page.texts
    (flagged,) = rows(run.folder / "flagged.csv")
    assert (flagged["source_path"], flagged["word"], flagged["reason"]) == ("Drawings/a.pdf", "flagged", "source-gone")
    assert any("no longer at the source" in text for text in page.texts)


async def test_the_inventory_alone_makes_a_report(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    run = begin(bench.state, bench.job, bench.clock.now())
    await analyze(
        bench.source, (), run.paths.source_inventory, run_id=run.run_id, clock=bench.clock, progress=bench.told.append
    )
    page = Page(write_report(run.paths, job=bench.job).read_text("utf-8"))
    assert "Not transferred yet" in page.texts
    assert not (run.paths.folder / "files.csv").exists()
    folders = {row["folder"]: row["files"] for row in rows(run.paths.folder / "inventory-folders.csv")}
    assert folders == {"": "1", "Drawings": "3", "Notes": "1", "Photos": "1"}


async def test_writing_it_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    run, _ = await reported(bench)
    first = run.report.read_bytes()
    assert write_report(run, job=bench.job).read_bytes() == first


async def account_of(tmp_path: Path) -> Reconciliation:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    account, _ = await accounted_run(bench)
    return account


@pytest.mark.parametrize(
    ("change", "style", "headline"),
    [
        ({}, "good", "Everything adds up"),
        ({"unexplained": ("One file has no action.",)}, "bad", "The numbers do not add up"),
        ({"verification": {"differs": 1}}, "bad", "Verification found differences"),
        ({"source_complete": False}, "attention", "Adds up, but part of the source is not visible"),
    ],
)
async def test_the_headline_is_no_better_than_the_account(
    tmp_path: Path, change: dict[str, object], style: str, headline: str
) -> None:
    verdict = verdict_of(replace(await account_of(tmp_path), **change), None)  # type: ignore[arg-type]
    assert (verdict.style, verdict.headline) == (style, headline)


async def test_outcomes_that_are_gone_are_files_that_are_left(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    run, _ = await reported(bench)
    run.outcomes.unlink()
    write_reconciliation(run, reconcile(run))
    page = Page(write_report(run, job=bench.job).read_text("utf-8"))
    assert "Adds up, not finished" in page.texts


async def test_a_name_that_the_destination_itself_gave_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    run, _ = await reported(bench)
    assert rows(run.folder / "renamed.csv") == []
    outcomes = pq.read_table(run.outcomes)
    names = pc.replace_substring(outcomes["destination_name"], "b.PDF", "b_.PDF")
    at = outcomes.schema.get_field_index("destination_name")
    pq.write_table(outcomes.set_column(at, outcomes.schema.field(at), names), run.outcomes)
    write_report(run, job=bench.job)
    (renamed,) = rows(run.folder / "renamed.csv")
    assert (renamed["source_path"], renamed["destination_path"]) == ("Drawings/b.PDF", "Drawings/b_.PDF")
    assert renamed["message"] == "named by the destination"
    told = {row["source_path"]: row["destination_path"] for row in rows(run.folder / "files.csv")}
    assert told["Drawings/b.PDF"] == "Drawings/b_.PDF" and told["Drawings/a.pdf"] == "Drawings/a.pdf"
