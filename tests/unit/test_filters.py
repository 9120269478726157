"""Which paths, sizes and times take part."""

from datetime import UTC, datetime

import pytest

from migration.errors import ConfigurationError
from migration.filter_rules import Filter
from migration.filters import compile_filter, glob_matcher
from migration.inventory_format import microseconds


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.pdf", ["a.pdf", "x/y/a.PDF", "x/.pdf"], ["a.pdfx", "a.pdf/b"]),
        ("plan?.dwg", ["plan1.dwg", "x/planA.dwg"], ["plan.dwg", "plan12.dwg"]),
        ("[ab]*", ["apple", "Bear", "x/a"], ["cat", "a/cat"]),
        ("[!ab]*", ["cat"], ["apple", "Bear"]),
        ("[^ab]*", ["cat"], ["apple"]),
        ("[0-9]*.txt", ["1.txt"], ["a.txt"]),
        ("Drawings/**", ["Drawings/a", "Drawings/x/y/z", "drawings/a"], ["Drawings", "x/Drawings/a", "Drawings2/a"]),
        ("Drawings/", ["Drawings/a", "Drawings/x/y"], ["Drawings"]),
        ("/Drawings/*", ["Drawings/a"], ["Drawings/x/a"]),
        ("**/Old/**", ["Old/a", "x/Old/a", "x/y/Old/z/a"], ["Old", "x/Older/a"]),
        ("**/*.tmp", ["a.tmp", "x/a.tmp", "x/y/a.tmp"], ["x/a.tmp/b"]),
        ("A/**/B/*.pdf", ["A/B/x.pdf", "A/1/2/B/x.pdf"], ["A/B/1/x.pdf", "A/x.pdf"]),
        ("a.b+c(1)", ["a.b+c(1)"], ["aXb+c(1)"]),
        ("Caf\u00e9/*", ["cafe\u0301/x", "CAF\u00c9/x"], ["cafe/x"]),
        ("A/B", ["A/B"], ["A/B/c"]),
        ("A/A/**/**/x", ["A/A/x", "A/A/b/x"], ["A/x"]),
    ],
)
def test_globs(pattern: str, matching: list[str], others: list[str]) -> None:
    matches = glob_matcher([pattern])
    assert [path for path in matching if not matches(tuple(path.split("/")))] == []
    assert [path for path in others if matches(tuple(path.split("/")))] == []


def test_a_slash_inside_a_name_is_not_a_separator() -> None:
    assert not glob_matcher(["A/B"])(("A/B",))
    assert glob_matcher(["A?B"])(("A/B",))
    assert glob_matcher(["X/*"])(("X", "A/B"))


def test_names_that_are_no_text_can_be_matched() -> None:
    assert glob_matcher(["*.txt"])(("\udcff.txt",))


@pytest.mark.parametrize(
    ("rules", "path", "size", "modified", "reason"),
    [
        ({}, "a.pdf", 1, None, None),
        ({"include": ["*.pdf"]}, "a.pdf", 1, None, None),
        ({"include": ["*.pdf"]}, "a.doc", 1, None, "not-included"),
        ({"include": ["*.pdf"], "exclude": ["a*"]}, "a.pdf", 1, None, "excluded"),
        ({"exclude": ["**/x/*"]}, "b/x/a.pdf", 1, None, "excluded"),
        ({"min_size_bytes": 10}, "a", 9, None, "smaller-than-filter"),
        ({"min_size_bytes": 10}, "a", 10, None, None),
        ({"max_size_bytes": 10}, "a", 11, None, "larger-than-filter"),
        ({"max_size_bytes": 0}, "a", 0, None, None),
        ({"min_size_bytes": 10}, "a", None, None, None),
        ({"modified_from": "2024-01-01T00:00:00Z"}, "a", 1, "2023-12-31T23:59:59", "older-than-filter"),
        ({"modified_from": "2024-01-01T00:00:00Z"}, "a", 1, "2024-01-01T00:00:00", None),
        ({"modified_to": "2024-01-01T00:00:00Z"}, "a", 1, "2024-01-01T00:00:00", "newer-than-filter"),
        ({"modified_to": "2024-01-01T00:00:00Z"}, "a", 1, "2023-12-31T23:59:59", None),
        ({"modified_to": "2024-01-01T00:00:00Z"}, "a", 1, None, None),
    ],
)
def test_reasons(rules: dict, path: str, size: int | None, modified: str | None, reason: str | None) -> None:
    selection = compile_filter(Filter.model_validate(rules))
    when = None if modified is None else microseconds(datetime.fromisoformat(modified).replace(tzinfo=UTC))
    assert (selection(tuple(path.split("/")), size, when) if selection else None) == reason


def test_a_filter_that_leaves_nothing_out_is_none() -> None:
    assert compile_filter(Filter()) is None


@pytest.mark.parametrize("pattern", ["", "  ", "/", "../x", "a/../b", "[ab", "[z-a]", "x/[z-a]"])
def test_patterns_that_mean_nothing_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="filter pattern") as caught:
        compile_filter(Filter(exclude=[pattern]))
    assert caught.value.code == "bad-filter"
    assert caught.value.fix


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        compile_filter(Filter(modified_from=datetime(2024, 1, 1)))  # noqa: DTZ001
    assert caught.value.code == "bad-filter"
