"""Which paths, sizes and times take part."""

import re
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from migration.entries import EntryKind
from migration.errors import ConfigurationError
from migration.filter_rules import Conditions, Filter
from migration.filters import Facts, compile_selection
from migration.inventory_format import microseconds
from migration.patterns import glob_matcher

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


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
    selection = compile_selection(Filter.model_validate(rules), NOW)
    when = None if modified is None else microseconds(datetime.fromisoformat(modified).replace(tzinfo=UTC))
    facts = Facts(tuple(path.split("/")), size_bytes=size, modified=when)
    assert (selection(facts) if selection else None) == reason


def test_a_filter_that_leaves_nothing_out_is_none() -> None:
    assert compile_selection(Filter(), NOW) is None


ADA, BEN = "Ada Lovelace", "ben@builder.example"


def at(text: str) -> int:
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def left_out(rules: list[dict], facts: Facts, **fields: object) -> str | None:
    selection = compile_selection(Filter.model_validate({"rules": rules, **fields}), NOW)
    return selection(facts) if selection else None


def matched(rule: dict, facts: Facts) -> bool | None:
    """Whether the rule matches, found out with both actions."""
    excluded = left_out([{**rule, "action": "exclude"}], facts)
    included = left_out([{**rule, "action": "include"}], facts)
    if excluded is None and included is None:
        return None
    assert (excluded is None) is not (included is None)
    return excluded is not None


def file(path: str, **facts: object) -> Facts:
    return Facts(tuple(path.split("/")), EntryKind.FILE, **facts)  # type: ignore[arg-type]


def folder(path: str, **facts: object) -> Facts:
    return Facts(tuple(path.split("/")), EntryKind.FOLDER, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "facts", "expected"),
    [
        ({"type": "glob", "patterns": ["Old/**", "*.tmp"]}, file("Old/a.pdf"), True),
        ({"type": "glob", "patterns": ["Old/**", "*.tmp"]}, file("New/a.TMP"), True),
        ({"type": "glob", "patterns": ["Old/**"]}, file("New/a.pdf"), False),
        ({"type": "glob", "patterns": ["Old"]}, folder("Old"), True),
        ({"type": "regex", "patterns": [r"^A-\d{3}"]}, file("x/a-101 plan.pdf"), True),
        ({"type": "regex", "patterns": [r"^A-\d{3}"], "case_sensitive": True}, file("x/a-101 plan.pdf"), False),
        ({"type": "regex", "patterns": [r"^x/"], "match": "path"}, file("x/a"), True),
        ({"type": "regex", "patterns": [r"^x/"]}, file("x/a"), False),
        ({"type": "regex", "patterns": ["Caf\u00e9"]}, file("cafe\u0301"), True),
        ({"type": "pattern", "text": "*.bak;~$*"}, file("x/~$a.docx"), True),
        ({"type": "pattern", "text": "*.BAK ; "}, file("x/a.bak"), True),
        ({"type": "pattern", "text": "a[1]?"}, file("a[1]?"), True),
        ({"type": "pattern", "text": "a?"}, file("ab"), False),
        ({"type": "pattern", "text": "old*"}, file("x/Old stuff/y/a"), True),
        ({"type": "pattern", "text": "old*", "targets": ["item"]}, file("x/Old stuff/y/a"), False),
        ({"type": "pattern", "text": "old*", "targets": ["item"]}, folder("Old"), False),
        ({"type": "pattern", "text": "old*", "targets": ["container"]}, folder("Old"), True),
        ({"type": "pattern", "text": "old*", "targets": ["container"]}, file("x/old.pdf"), False),
        ({"type": "pattern", "text": "old*", "targets": ["container", "item"]}, file("x/old.pdf"), True),
        ({"type": "extension", "extensions": ["DWG", ".dxf", "*.tar.gz"]}, file("a.dwg"), True),
        ({"type": "extension", "extensions": ["DWG", ".dxf", "*.tar.gz"]}, file("a.tar.GZ"), True),
        ({"type": "extension", "extensions": ["gz"]}, file("gz"), False),
        ({"type": "extension", "extensions": ["dwg"]}, file("a.dwgx"), False),
        ({"type": "extension", "extensions": ["dwg"]}, folder("a.dwg"), False),
        ({"type": "group", "groups": ["drawings", "models"]}, file("a.rvt"), True),
        ({"type": "group", "groups": ["Temporary"]}, file("x/~$Offer.DOCX"), True),
        ({"type": "group", "groups": ["temporary"]}, file("x/Offer.docx"), False),
        ({"type": "group", "groups": ["backups"]}, file("Tower.0012.rvt"), True),
        ({"type": "group", "groups": ["backups"]}, file("Tower.rvt"), False),
        ({"type": "path", "paths": ["/Drawings/old/"]}, file("Drawings/Old/x/a.pdf"), True),
        ({"type": "path", "paths": ["Drawings/Old"]}, folder("Drawings/Old"), True),
        ({"type": "path", "paths": ["Drawings/Old"]}, file("Drawings/Older/a"), False),
        ({"type": "path", "paths": ["a/b"]}, Facts(("a/b",)), False),
        ({"type": "size", "min_bytes": 10, "max_bytes": 20}, file("a", size_bytes=10), True),
        ({"type": "size", "min_bytes": 10, "max_bytes": 20}, file("a", size_bytes=20), True),
        ({"type": "size", "min_bytes": 10}, file("a", size_bytes=9), False),
        ({"type": "size", "max_bytes": 0}, file("a", size_bytes=None), None),
        ({"type": "size", "max_bytes": 10}, folder("a"), False),
        ({"type": "date", "within_last": 31}, file("a", modified=at("2026-02-28T12:00:00")), True),
        ({"type": "date", "within_last": 31}, file("a", modified=at("2026-02-28T11:59:59")), False),
        ({"type": "date", "within_last": 1, "unit": "week"}, file("a", modified=at("2026-03-24T12:00:00")), True),
        ({"type": "date", "within_last": 1, "unit": "month"}, file("a", modified=at("2026-02-28T12:00:00")), True),
        ({"type": "date", "within_last": 1, "unit": "month"}, file("a", modified=at("2026-02-28T11:00:00")), False),
        ({"type": "date", "within_last": 2, "unit": "year"}, file("a", modified=at("2024-03-31T12:00:00")), True),
        ({"type": "date", "within_last": 2, "unit": "year"}, file("a", modified=at("2024-03-31T11:00:00")), False),
        ({"type": "date", "within_last": 10000, "unit": "year"}, file("a", modified=at("0001-03-31T11:00:00")), True),
        ({"type": "date", "within_last": 10000, "unit": "week"}, file("a", modified=at("1970-01-01T00:00:00")), True),
        ({"type": "date", "within_last": 3}, file("a"), None),
        ({"type": "date", "after": "2024-01-01"}, file("a", modified=at("2024-01-01T00:00:00")), True),
        ({"type": "date", "before": "2024-01-01"}, file("a", modified=at("2024-01-01T00:00:00")), False),
        ({"type": "date", "after": 1704067200}, file("a", modified=at("2023-12-31T23:59:59")), False),
        ({"type": "date", "targets": ["created_on"], "before": "2024-01-01T00:00:00+01:00"},
         file("a", created=at("2023-12-31T22:59:59"), modified=at("2025-01-01T00:00:00")), True),
        ({"type": "date", "targets": ["created_on", "modified_on"], "after": "2024-01-01"},
         file("a", created=at("2023-01-01T00:00:00"), modified=at("2025-01-01T00:00:00")), True),
        ({"type": "date", "targets": ["created_on", "modified_on"], "after": "2024-01-01"},
         file("a", modified=at("2023-01-01T00:00:00")), None),
        ({"type": "hidden"}, file("a/.git/config"), True),
        ({"type": "hidden"}, file("a/~$b.docx"), True),
        ({"type": "hidden"}, file("a/Thumbs.db"), True),
        ({"type": "hidden"}, folder("a/.DS_Store"), True),
        ({"type": "hidden"}, file("a/b.c"), False),
        ({"type": "private"}, file("a", private=True), True),
        ({"type": "private"}, folder("a", private=False), False),
        ({"type": "private"}, file("a"), None),
        ({"type": "locked"}, file("a", locked=True), True),
        ({"type": "locked"}, file("a"), None),
        ({"type": "author", "authors": ["ada lovelace"]}, file("a", created_by=ADA), True),
        ({"type": "author", "authors": ["*@builder.example"]}, file("a", created_by=BEN), True),
        ({"type": "author", "authors": ["Ada"]}, file("a", created_by=ADA), False),
        ({"type": "author", "authors": ["Ada"]}, file("a"), None),
        ({"type": "all_of", "rules": [{"type": "hidden"}, {"type": "size", "min_bytes": 5}]},
         file(".a", size_bytes=5), True),
        ({"type": "all_of", "rules": [{"type": "hidden"}, {"type": "size", "min_bytes": 5}]}, file(".a"), None),
        ({"type": "all_of", "rules": [{"type": "hidden"}, {"type": "size", "min_bytes": 5}]}, file("a"), False),
        ({"type": "any_of", "rules": [{"type": "hidden"}, {"type": "size", "min_bytes": 5}]}, file(".a"), True),
        ({"type": "any_of", "rules": [{"type": "hidden"}, {"type": "size", "min_bytes": 5}]}, file("a"), None),
        ({"type": "any_of", "rules": [{"type": "hidden"}, {"type": "size", "min_bytes": 5}]},
         file("a", size_bytes=1), False),
    ],
)  # fmt: skip
def test_what_a_rule_matches(rule: dict, facts: Facts, expected: bool | None) -> None:
    assert matched(rule, facts) is expected


@pytest.mark.parametrize(
    ("rules", "fields", "facts", "expected"),
    [
        ([{"type": "extension", "extensions": ["pdf"]}], {}, file("a.pdf"), "excluded-by-extension"),
        ([{"type": "hidden"}, {"type": "extension", "extensions": ["pdf"]}], {}, file("a.pdf"),
         "excluded-by-extension"),
        ([{"type": "extension", "extensions": ["pdf"], "action": "include"}, {"type": "hidden"}], {},
         file(".a.pdf"), "excluded-by-hidden"),
        ([{"type": "extension", "extensions": ["pdf"], "action": "include"},
          {"type": "size", "max_bytes": 9, "action": "include"}], {}, file("a.pdf", size_bytes=10),
         "not-included-by-size"),
        ([{"type": "extension", "extensions": ["pdf"], "action": "include"}], {"include": ["Plans/**"]},
         file("a.pdf"), "not-included"),
        ([{"type": "extension", "extensions": ["pdf"], "action": "include"}], {"include": ["Plans/**"]},
         file("Plans/a.pdf"), None),
        ([{"type": "hidden"}], {"exclude": [".*"]}, file(".a"), "excluded"),
        ([{"type": "hidden"}], {"max_size_bytes": 5}, file("a", size_bytes=6), "larger-than-filter"),
        ([{"type": "all_of", "rules": [{"type": "hidden"}]}], {}, file(".a"), "excluded-by-rules"),
    ],
)  # fmt: skip
def test_an_exclude_beats_an_include_and_includes_hold_together(
    rules: list[dict], fields: dict, facts: Facts, expected: str | None
) -> None:
    assert left_out(rules, facts, **fields) == expected


def test_the_destination_has_the_same_filter_or_its_own() -> None:
    assert Filter(exclude=["*.tmp"]).of_destination.exclude == ["*.tmp"]
    own = Filter.model_validate({"exclude": ["*.tmp"], "destination": {"rules": [{"type": "hidden"}]}})
    assert own.of_destination == Conditions.model_validate({"rules": [{"type": "hidden"}]})


def test_a_filter_is_read_back_as_it_was_written() -> None:
    rules = [
        {"type": "any_of", "action": "include", "rules": [{"type": "hidden"}, {"type": "group", "groups": ["Audio"]}]},
        {"type": "date", "after": "2024-01-01", "targets": ["created_on"]},
    ]
    given = Filter.model_validate({"rules": rules, "modified_from": "2024-05-05"})
    assert Filter.model_validate_json(given.model_dump_json()) == given
    assert Filter.model_validate(given.model_dump(mode="json")) == given


@pytest.mark.parametrize(
    ("fields", "place", "said"),
    [
        ({"exclude": ["ok", "[ab"]}, "exclude.1", "'[ab' has a '[' without its ']'"),
        ({"exclude": [""]}, "exclude.0", "'' is empty"),
        ({"exclude": ["/"]}, "exclude.0", "names no path below the root"),
        ({"include": ["a/../b"]}, "include.0", "'a/../b' names no path below the root"),
        ({"include": ["x/[z-a]"]}, "include.0", "'x/[z-a]' cannot be understood"),
        ({"min_size_bytes": 2, "max_size_bytes": 1}, "max_size_bytes", "min_size_bytes (2) is larger"),
        ({"modified_from": "2024-01-01T00:00:00"}, "modified_from", "2024-01-01T00:00:00 has no time zone"),
        ({"rules": [{"type": "extensions"}]}, "rules.0", "'extensions' found using 'type' does not match any of"),
        ({"rules": [{"type": "extensions"}]}, "rules.0", "'glob', 'regex', 'pattern', 'extension', 'group'"),
        ({"rules": [{"extensions": ["a"]}]}, "rules.0", "'type'"),
        ({"rules": [{"type": "hidden", "action": "omit"}]}, "rules.0.hidden.action", "'exclude' or 'include'"),
        ({"rules": [{"type": "hidden", "colour": 1}]}, "rules.0.hidden.colour", "not permitted"),
        ({"rules": [{"type": "group", "groups": ["cad"]}]}, "rules.0.group.groups.0", "'point_clouds'"),
        ({"rules": [{"type": "extension", "extensions": ["a/b"]}]}, "rules.0.extension.extensions.0", "'a/b' is no"),
        ({"rules": [{"type": "extension", "extensions": []}]}, "rules.0.extension.extensions", "at least 1"),
        ({"rules": [{"type": "path", "paths": ["../x"]}]}, "rules.0.path.paths.0", "'../x' names nothing below"),
        ({"rules": [{"type": "size"}]}, "rules.0.size", "min_bytes, max_bytes or both"),
        ({"rules": [{"type": "size", "min_bytes": 2, "max_bytes": 1}]}, "rules.0.size", "min_bytes (2) is larger"),
        ({"rules": [{"type": "date"}]}, "rules.0.date", "either within_last"),
        ({"rules": [{"type": "date", "within_last": 1, "after": "2024-01-01"}]}, "rules.0.date", "either within_last"),
        ({"rules": [{"type": "date", "after": "2025-01-01", "before": "2024-01-01"}]}, "rules.0.date", "not earlier"),
        ({"rules": [{"type": "date", "within_last": 1, "unit": "hour"}]}, "rules.0.date.unit", "'week'"),
        ({"rules": [{"type": "pattern", "text": " ; "}]}, "rules.0.pattern.text", "' ; ' is empty"),
        ({"rules": [{"type": "pattern", "text": "a", "targets": ["none"]}]}, "rules.0.pattern.targets.0", "'item'"),
        ({"rules": [{"type": "regex", "patterns": ["(a+)+"]}]}, "rules.0.regex.patterns.0", "'(a+)+' repeats what"),
        ({"rules": [{"type": "any_of", "action": "include", "rules": [{"type": "hidden", "action": "exclude"}]}]},
         "rules.0.any_of", "rules.0.action is exclude"),
        ({"rules": [{"type": "any_of", "rules": [{"type": "any_of", "rules": []}]}]}, "rules.0.any_of.rules.0",
         "'any_of'"),
        ({"destination": {"rules": [{"type": "x"}]}}, "destination.rules.0", "'x'"),
        ({"destination": {"destination": {}}}, "destination.destination", "not permitted"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place_and_what_is_allowed(fields: dict, place: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Filter.model_validate(fields)
    (error,) = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == place
    assert said in error["msg"]


@pytest.mark.parametrize(
    "pattern",
    [
        r"^A-\d{3}", r"\.dwg$", r"(?:rev|issue)[ _-]?\d+", r"^[^/]+/Old/.*\.pdf$", r"(\d{4}-)?plan", r"a|b|c|d",
        r"[(+*]+x", r"\(\w+\)", r"(?P<sheet>[A-Z])\d", r"(?i)x", r"(?=.*tower)plan", r"(ab)+", r"x{2}",
        r"(\d{3}-)*x", "(?#note)a+", r"a{,5}b", r"a++b", r"{}", "(?i)^.*a.*b.*c", r"\A(\w+) (\w+) (\w+)$", "(?i:x|y)z",
    ],
)  # fmt: skip
def test_ordinary_expressions_are_taken(pattern: str) -> None:
    for text in ("nothing like it", "A-123.dwg", "ab x Plan (1)"):
        assert matched({"type": "regex", "patterns": [pattern]}, file(text)) is bool(re.search(pattern, text, re.I))


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a+)+", "repeats what itself repeats"),
        ("(a*)*b", "repeats what itself repeats"),
        ("(?:a|a)*", "repeats what itself repeats or has alternatives"),
        ("((a+)b)*", "repeats what itself repeats"),
        ("(a?){20}", "repeats what itself repeats"),
        ("(a{1,3})+?", "repeats what itself repeats"),
        ("([a-z]+)*$", "repeats what itself repeats"),
        (r"(x+x+)+y", "repeats what itself repeats"),
        ("(?i:a+)*", "repeats what itself repeats"),
        ("^.*a.*b.*c.*d", "more than 3 unlimited repetitions"),
        (".*a.*b.*c", "more than 2 unlimited repetitions and does not begin with"),
        ("^.*a.*b.*c|d", "more than 2 unlimited repetitions and does not begin with"),
        ("a{0,200}b+c+", "more than 2 unlimited repetitions"),
        ("a?" * 7, "combinations"),
        ("(a|b)" * 7, "combinations"),
        (r"(a)\1", "refers back"),
        ("(?P<x>a)(?P=x)", "refers back"),
        ("(a)?(?(1)b|c)", "refers back"),
        ("(?x) a b", "flag x"),
        ("(?x:a b)", "flag x"),
        ("(", "cannot be understood"),
        ("a**", "cannot be understood"),
        ("", "is empty"),
    ],
)
def test_expressions_that_could_run_for_ever_are_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Filter.model_validate({"rules": [{"type": "regex", "patterns": [pattern]}]})


def test_a_sliding_date_needs_to_know_when_the_plan_is_made() -> None:
    sliding = Filter.model_validate({"rules": [{"type": "date", "within_last": 1}]})
    with pytest.raises(ConfigurationError) as caught:
        compile_selection(sliding, None)
    assert caught.value.code == "bad-filter"


def test_a_sliding_date_slides() -> None:
    sliding = Filter.model_validate({"rules": [{"type": "date", "within_last": 1, "action": "include"}]})
    facts = file("a", modified=at("2026-03-31T00:00:00"))
    answers = [
        (compile_selection(sliding, NOW.replace(month=month, day=1)) or (lambda _: "never"))(facts) for month in (3, 5)
    ]
    assert answers == [None, "not-included-by-date"]
