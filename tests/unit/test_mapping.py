"""Which children there are, what they are called and where they go: tables in, names and paths out."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from migration.capabilities import CaseRule, NameRules
from migration.child_rules import Children, JobKind, ProjectStatus, checked_template, rendered
from migration.contract import FoundChild
from migration.mapping import Arrangement, Child, arranged, left_out
from migration.naming import Namer
from migration.platforms import name_rules

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LINUX = Namer(NameRules(forbidden_characters=frozenset("/")))
WINDOWS = Namer(name_rules("smb_windows_share"))
VALUES = {
    "id": "17", "project_id": "17", "project_number": "24-017", "project_name": "Harbor / Street",
    "company": "Northwind", "company_id": "9", "display_name": None, "stage": None,
}  # fmt: skip


def project(id_number: int, name: str, **facts: object) -> FoundChild:
    return FoundChild(id=str(id_number), name=name, path=(str(id_number),), **facts)  # type: ignore[arg-type]


def arrange(
    *found: FoundChild,
    known: tuple[Child, ...] = (),
    rules: Children | None = None,
    namer: Namer = LINUX,
    kind: JobKind = JobKind.COMPANY,
) -> Arrangement:
    return arranged(found, known, rules or Children(), kind, namer=namer, root_length=0, now=NOW)


def places(arrangement: Arrangement) -> dict[str, str]:
    return {child.id: "/".join(child.destination) for child in arrangement.children}


@pytest.mark.parametrize(
    ("template", "changes", "path"),
    [
        ("{company}/{project_number} {project_name}", {}, "Northwind/24-017 Harbor _ Street"),
        ("{company}/{project_number} {project_name}", {"project_number": None}, "Northwind/Harbor _ Street"),
        ("{project_name} - {project_number}", {"project_number": None}, "Harbor _ Street"),
        ("{project_number} - {stage} - {project_name}", {}, "24-017 - Harbor _ Street"),
        ("{stage}/{project_name}", {}, "Harbor _ Street"),
        ("{project_name} ({stage})", {}, "Harbor _ Street"),
        ("{project_name} ({stage})", {"stage": "Bidding"}, "Harbor _ Street (Bidding)"),
        ("({stage}) {project_name}/Files", {}, "Harbor _ Street/Files"),
        ("{project_name}, Inc.", {"project_name": "A  B"}, "A B, Inc."),
        ("{company}/{display_name}", {}, "Northwind/17"),
    ],
)
def test_what_is_empty_leaves_nothing_behind(template: str, changes: dict[str, str | None], path: str) -> None:
    assert "/".join(rendered(template, VALUES | changes).segments) == path


@pytest.mark.parametrize(
    ("template", "kind", "said"),
    [
        ("{nope} {project_name}", JobKind.COMPANY, "{project_number}"),
        ("{folder}", JobKind.COMPANY, "{project_name}"),
        ("{project_name}", JobKind.FOLDER_MAPPING, "{folder}"),
        ("{company}/{stage}", JobKind.COMPANY, "same folder"),
        ("{project_name", JobKind.COMPANY, "brace"),
        ("{project_name}}", JobKind.COMPANY, "brace"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_what_is_allowed(
    template: str, kind: JobKind, said: str
) -> None:
    with pytest.raises(ValueError, match=r"\{") as caught:
        checked_template(template, kind)
    assert said in str(caught.value)


def test_of_two_projects_with_one_name_the_later_gets_its_id_and_that_is_told() -> None:
    found = [project(1, "Depot"), project(2, "Depot"), project(30, "depot")]
    for order in (found, found[::-1]):
        arrangement = arrange(*order, namer=WINDOWS)
        assert places(arrangement) == {"1": "Depot", "2": "Depot (2)", "30": "depot (30)"}
        assert len(arrangement.told) == 2
        assert len({child.slug for child in arrangement.children}) == 3
    assert places(arrange(*found)) == {"1": "Depot", "2": "Depot (2)", "30": "depot"}


def test_no_child_lies_in_the_folder_of_another() -> None:
    rules = Children(template="{stage}/{project_name}")
    plain, nested = project(1, "Bidding"), project(2, "Depot", stage="Bidding")
    assert places(arrange(plain, nested, rules=rules)) == {"1": "Bidding", "2": "Bidding (2)/Depot"}
    first = arrange(nested, rules=rules)
    assert places(arrange(plain, nested, known=first.children, rules=rules)) == {
        "1": "Bidding (1)",
        "2": "Bidding/Depot",
    }


def test_a_project_that_is_renamed_stays_the_same_child_in_the_same_folder() -> None:
    first = arrange(project(1, "Depot", number="24-1"))
    again = arrange(project(1, "Depot North", number="24-9"), project(2, "Depot", number="24-1"), known=first.children)
    assert places(again) == {"1": "24-1 Depot", "2": "24-1 Depot (2)"}
    assert [child.slug for child in sorted(again.children, key=lambda one: one.id)] == ["24-1-depot", "24-1-depot-2"]
    assert "now called 'Depot North'" in again.told[1]
    assert places(arrange(*[project(1, "Depot North")], known=again.children)) == places(again)


def test_a_project_that_is_not_listed_any_more_is_paused_and_told_and_comes_back() -> None:
    both = (project(1, "Depot"), project(2, "Mill"))
    first = arrange(*both)
    gone = arrange(both[0], known=first.children)
    assert [(child.id, child.paused) for child in gone.children] == [("1", None), ("2", "not-listed")]
    assert [child.id for child in gone.active] == ["1"]
    assert "'Mill' (id 2)" in gone.told[0]
    assert "nothing is deleted" in gone.told[0]
    back = arrange(*both, known=gone.children)
    assert [child.paused for child in back.children] == [None, None]
    assert places(back) == places(first)


def test_names_are_made_legal_for_the_destination() -> None:
    arrangement = arrange(project(1, 'Pier 3: "North"/South.'), namer=WINDOWS)
    (path,) = places(arrangement).values()
    assert not set(path) & set(':"')
    assert not path.endswith(".")
    assert "does not allow" in arrangement.told[0]


def test_patterns_status_and_stages_say_who_takes_part() -> None:
    found = (
        project(1, "Harbor Street", number="24-017", is_active=True, stage="Bidding"),
        project(2, "Mill", number="23-001", is_active=False, stage="Closeout"),
        project(3, "Template", number=None, is_active=True),
    )

    def ids(**rules: object) -> list[str]:
        return [child.id for child in arrange(*found, rules=Children.model_validate(rules)).active]

    assert ids() == ["1", "3", "2"]
    assert ids(include="harbor*,23-*") == ["1", "2"]
    assert ids(exclude=["TEMPL*"]) == ["1", "2"]
    assert ids(status=ProjectStatus.INACTIVE) == ["2"]
    assert ids(stages=["close*"]) == ["2"]
    assert ids(first=["mill"]) == ["2", "1", "3"]
    assert left_out(found, Children(exclude=("Mill", "Template"))) == 2


def test_who_changed_last_comes_first_among_active_projects() -> None:
    older, newer = (project(n, f"P{n}", is_active=True, changed_at=NOW.replace(day=n)) for n in (1, 2))
    inactive = project(3, "P3", is_active=False, changed_at=NOW.replace(day=28))
    assert [child.id for child in arrange(older, inactive, newer).active] == ["2", "1", "3"]


def test_a_folder_within_each_child_and_ids_that_are_paths() -> None:
    found = FoundChild(id="Projects/A B", name="A B", path=("Projects", "A B"))
    twin = replace(found, id="Other/A-B", name="A-B", path=("Other", "A-B"))
    arrangement = arrange(found, twin, rules=Children(folder="/Drawings/"), kind=JobKind.FOLDER_MAPPING)
    first, second = sorted(arrangement.children, key=lambda child: child.name)
    assert (first.source, first.destination, first.slug) == (
        ("Projects", "A B", "Drawings"),
        ("A B",),
        "a-b-" + first.slug[4:],
    )
    assert second.slug == "a-b"
    assert Child.of(first.to_json()) == first


def test_case_decides_as_the_destination_does() -> None:
    keeping = Namer(NameRules(case=CaseRule.PRESERVING))
    assert places(arrange(project(1, "DEPOT"), project(2, "Depot"), namer=keeping)) == {"1": "DEPOT", "2": "Depot (2)"}
