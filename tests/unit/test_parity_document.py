"""docs/parity.md names commands and fields that exist, and says something definite in every row."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from flows.cli import commands
from flows.cli.main import app
from migration.job_fields import annotation_at

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "parity.md").read_text("utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not re.match(r"\| (DryvIQ|feature)", line)]
SAID = sorted(set(re.findall(r"`([^`]+)`", "\n".join(row.split("|", 2)[2] for row in ROWS))))
TOPS = ("rules", "performance", "schedule", "stop_policy", "children", "source", "destination", "kind", "name")
assert commands.__all__


def command_words() -> set[str]:
    found: set[str] = set()

    def collect(group: Any, before: str) -> None:
        for name, command in getattr(group, "commands", {}).items():
            found.add(f"{before}{name}")
            collect(command, f"{before}{name} ")

    collect(typer.main.get_command(app), "")
    return found


def test_every_row_says_what_is_so() -> None:
    assert len(ROWS) > 180
    for row in ROWS:
        assert re.match(r"\| .+ \| (works|n/a|open|other default)\b.* \|$", row), row


@pytest.mark.parametrize("words", [text for text in SAID if text.startswith("sitehaul ")])
def test_the_commands_exist(words: str) -> None:
    names = [word for word in words.split()[1:] if not word.startswith("-")]
    assert " ".join(names) in command_words()


@pytest.mark.parametrize("words", [text for text in SAID if re.match(r"[a-z_]+(\.|$|: )", text)])
def test_the_fields_exist(words: str) -> None:
    field, _, value = words.partition(": ")
    place = tuple(field.split("."))
    if place[0] in TOPS or value:
        if place[0] == "unmapped_policy":
            place = ("rules", "account_map", *place)
        assert annotation_at(place) is not None, words
