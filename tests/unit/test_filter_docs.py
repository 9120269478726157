"""docs/filters.md says what the code does."""

import re
from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from migration.file_groups import GROUPS, FileGroup
from migration.filter_rules import Filter, FilterRule

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "filters.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_filter(example: str) -> None:
    values = YAML(typ="safe").load(example)
    filled = Filter.model_validate(values)
    assert filled != Filter()
    assert filled.model_fields_set == values.keys()


def test_every_type_of_rule_has_an_example() -> None:
    union, _ = get_args(FilterRule)
    types = {get_args(rule.model_fields["type"].annotation)[0] for rule in get_args(union)}
    shown = {
        rule.type
        for example in EXAMPLES
        for rule in Filter.model_validate(YAML(typ="safe").load(example)).rules
    }  # fmt: skip
    assert len(types) == 14
    assert shown == types


def test_the_table_of_groups_is_the_code() -> None:
    assert GROUPS.keys() == set(FileGroup)
    rows = [
        f"| `{group.value}` | {types.what} | "
        f"{' '.join((*types.extensions, *(f'`{pattern}`' for pattern in types.patterns)))} |"
        for group, types in GROUPS.items()
    ]
    assert re.findall(r"^\| `\w+` \| .+ \| .+ \|$", PAGE, re.M) == rows


def test_every_type_is_written_as_names_are_compared() -> None:
    for types in GROUPS.values():
        assert len(set(types.extensions)) == len(types.extensions)
        assert all(re.fullmatch(r"[a-z0-9$]+", one) for one in types.extensions)
