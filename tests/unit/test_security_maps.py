"""Maps of people: what they say, and how a map that says nothing clear is refused."""

from pathlib import Path
from typing import Any

import pytest

from migration.errors import ConfigurationError
from migration.rules import Rules
from migration.security_maps import UNMAPPED, read_maps


def the_rules(**account_map: Any) -> Rules:
    return Rules.model_validate({"account_map": account_map})


@pytest.mark.parametrize(
    ("rule", "name", "mapped", "problem"),
    [
        ({}, "Ann Lee", "a.lee@new.example", None),
        ({}, "  ann  LEE ", "a.lee@new.example", None),
        ({}, "Bob", "Bob", None),
        ({}, None, None, None),
        ({"unmapped_policy": "default", "default": "records@new.example"}, "Bob", "records@new.example", None),
        ({"unmapped_policy": "default", "default": "records@new.example"}, "Ann Lee", "a.lee@new.example", None),
        ({"unmapped_policy": "fail"}, "Bob", None, UNMAPPED),
        ({"unmapped_policy": "fail"}, "Ann Lee", "a.lee@new.example", None),
        ({"unmapped_policy": "fail"}, None, None, None),
    ],
)
def test_who_is_who(
    tmp_path: Path, rule: dict[str, str], name: str | None, mapped: str | None, problem: str | None
) -> None:
    (tmp_path / "people.csv").write_text("source,destination\nAnn Lee,a.lee@new.example\n", "utf-8")
    accounts = read_maps(the_rules(file="people.csv", **rule), tmp_path).accounts
    assert (accounts.mapped(name), accounts.problem(name)) == (mapped, problem)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffsource,destination\r\nAnn,anna\r\n\r\n",
        "Destination;Source\nanna;Ann\n",
        'title,source,destination\nMs,"Ann","anna"\nMs,ANN,anna\n',
    ],
)
def test_maps_as_spreadsheets_write_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "people.csv").write_text(text, "utf-8", newline="")
    maps = read_maps(the_rules(file=str(tmp_path / "people.csv")), Path("elsewhere"))
    assert maps.accounts.mapped("Ann") == "anna"
    assert maps.unmapped({"Ann": 3, "Bob": 2}) == {"Bob": 2}


@pytest.mark.parametrize(
    ("content", "code", "told"),
    [
        (None, "map-unreadable", "No such file"),
        (b"", "bad-map", "line 1, column source: there is no such column; the first line has nothing"),
        (b"source,to\n", "bad-map", "line 1, column destination: there is no such column; the first line has 'source'"),
        (b"source,destination\nAnn,anna\nBob,\n", "bad-map", "line 3, column destination: it is empty"),
        (b"source,destination\nAnn\n", "bad-map", "line 2, column destination: it is empty"),
        (b"source,destination\nAnn,a\nann,b\n", "bad-map", "line 3, column source: 'ann' has another destination in"),
        (b"source,destination\n\xff,b\n", "bad-map", "line 2: it is not UTF-8"),
        (b'source,destination\n"Ann,b\n', "bad-map", "line 2: it is no CSV"),
    ],
)
def test_what_a_map_lacks_is_told_by_line_and_column(
    tmp_path: Path, content: bytes | None, code: str, told: str
) -> None:
    path = tmp_path / "people.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"people\.csv") as caught:
        read_maps(the_rules(file="people.csv"), tmp_path)
    assert caught.value.code == code
    assert told in caught.value.message
