"""What the documentation promises exists."""

import re
from pathlib import Path

import pytest
import typer

from connectors.registry import KINDS
from flows.cli import commands
from flows.cli.exits import ExitCode
from flows.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text("utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_every_command_is_documented() -> None:
    assert commands.__all__
    group = typer.main.get_command(app)
    missing = [
        name for name in group.commands if f"`sitehaul {name}" not in COMMAND_LINE and f"`{name}`" not in COMMAND_LINE
    ]  # type: ignore[attr-defined]
    assert not missing


def test_the_exit_codes_are_the_documented_ones() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", COMMAND_LINE, re.M)}
    assert documented == {int(code) for code in ExitCode}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8")):
        if not link.startswith(("http://", "https://")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_every_guarantee_names_tests_that_exist() -> None:
    guarantees = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", guarantees)
    assert len(named) >= 10
    for file, test in named:
        path = ROOT / file
        assert path.is_file(), f"{file} does not exist"
        assert re.search(rf"def {test}\b", path.read_text("utf-8")), f"{file} has no {test}"


def test_every_kind_of_connection_has_its_page() -> None:
    table = (ROOT / "docs" / "connections" / "README.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| \[([a-z0-9-]+)\]\(", table, re.M)) == sorted(KINDS)
