"""Hostile names there and back, on every known platform: mapped, kept by the destination, listed, mapped again."""

import random
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import pytest

from migration.capabilities import NameRules, UnicodeRule
from migration.naming import MappedName, NameOptions, Namer, Place, Sibling
from migration.platforms import platforms
from simulator.api.names import cleaned
from simulator.settings import Settings

PLATFORMS = sorted(platforms())
OPTIONS = [NameOptions(), NameOptions(encode_illegal=True)]
STEMS = [
    "Plan", "PLAN", "plan", "caf\u00e9", "cafe\u0301", "CAFE\u0301", "stra\u00dfe", "STRASSE", "\u0131nci", "INCI",
    "\u0130nci", "A-101: floor/roof?", "A-101_ floor_roof_", "CON", "con", "nul", "AUX ", "COM1", "com\u00b9", "LPT9",
    "report ", " report", "report.", "report. .", "~$offer", "~WRL0005", ".DS_Store", "._report", "desktop.ini",
    "Thumbs.db", "_vti_cnf", "forms", ".lock", "#5 %20 *new*", "50% <draft>", '"quoted"', "pipe|pipe", "tab\tname",
    "\u202egpj", "😀 site", "👨\u200d👩\u200d👧", "\ud83d lone", "byte\udcff", "\udcc3\udca9",
    "x" * 300, "é" * 180, "😀" * 150,
    "Section 03 30 00 Cast-in-Place Concrete " * 6, "", ".", "..", "...", " ", "3A", "Congrats!",
    "(draft) [v2]; {old}", "a\\b", "a" * 240, "\u0958", "\u0915\u093c",
]  # fmt: skip
ENDINGS = [
    "",
    ".pdf",
    ".PDF",
    ".dwg",
    ".tmp",
    " .pdf",
    ". pdf",
    ".pdf ",
    ".pdf.",
    ".tar.gz",
    ".ac$",
    "." + "z" * 30,
    "~",
]


class Step(NamedTuple):
    """One folder of the source with what is in it."""

    place: Place
    siblings: list[Sibling]


def folder(dice: random.Random, files: int) -> list[Sibling]:
    names = {dice.choice(STEMS) + dice.choice(ENDINGS) for _ in range(files)}
    twins = {change(name) for name in sorted(names)[: files // 3] for change in (str.upper, str.lower, str.swapcase)}
    listed = sorted(names | twins)
    dice.shuffle(listed)
    return [Sibling(f"id{number}", name, dice.choice([None, number])) for number, name in enumerate(listed)]


def as_kept(rules: NameRules, platform: str) -> Callable[[str], str]:
    """What the system lists for a name that it was given."""
    settings = Settings()

    def kept(name: str) -> str:
        if platform == "procore":
            return cleaned(name, settings)
        if rules.unicode is UnicodeRule.NORMALISING:
            return unicodedata.normalize("NFD", name)
        return name

    return kept


def there(siblings: list[Sibling], mapped: list[MappedName], kept: Callable[[str], str]) -> dict[str, str]:
    """What the destination lists after the run: names by source id."""
    return {one.id: kept(new.name) for one, new in zip(siblings, mapped, strict=True) if new.problem is None}


@pytest.mark.parametrize("options", OPTIONS, ids=["replaced", "encoded"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_second_run_finds_every_file_under_its_name_and_renames_nothing(platform: str, options: NameOptions) -> None:
    dice = random.Random(f"{platform} {options}")
    rules = platforms()[platform].names
    namer, kept = Namer(rules, options), as_kept(rules, platform)
    for _ in range(12):
        where = Place(dice.choice([0, 0, 10, 100, 180]), dice.random() < 0.3)
        siblings = folder(dice, 60)
        first = namer.map_names(siblings, where)
        listed = there(siblings, first, kept)
        by_key = {namer.key(name): source_id for source_id, name in listed.items()}
        assert len(by_key) == len(listed) > 30
        expected = {one.id: new for one, new in zip(siblings, first, strict=True)}
        for _ in range(2):
            dice.shuffle(siblings)
            again = namer.map_names(siblings, where, holders=by_key)
            assert {one.id: new for one, new in zip(siblings, again, strict=True)} == expected
            found = {one.id: by_key.get(new.key) for one, new in zip(siblings, again, strict=True) if not new.problem}
            assert all(source_id == holder for source_id, holder in found.items())
        fixed = namer.map_names(siblings, where, fixed=listed)
        assert there(siblings, fixed, str) == listed


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_comes_and_goes_renames_nobody_else(platform: str) -> None:
    dice = random.Random(platform)
    rules = platforms()[platform].names
    namer, kept = Namer(rules), as_kept(rules, platform)
    siblings = folder(dice, 40)
    before: dict[str, str] = {}
    for step in range(25):
        listed = before
        holders = {namer.key(name): source_id for source_id, name in listed.items()}
        mapped = namer.map_names(siblings, Place(20), holders=holders)
        now = there(siblings, mapped, kept)
        stayed = now.keys() & listed.keys()
        assert {one: now[one] for one in stayed} == {one: listed[one] for one in stayed}
        before = now
        dice.shuffle(siblings)
        del siblings[: dice.randint(0, 6)]
        siblings += [one._replace(id=f"step{step}-{one.id}") for one in folder(dice, 3)]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_going_home_every_file_has_its_first_name_again(platform: str) -> None:
    dice = random.Random(platform)
    rules = platforms()[platform].names
    home, away = Namer(platforms()["nfs_linux_share"].names), Namer(rules)
    names = [home.legal_name(one.name) for one in folder(dice, 60)]
    siblings = [Sibling(f"id{number}", name) for number, name in enumerate(sorted(set(names)))]
    listed = there(siblings, away.map_names(siblings, Place(15)), as_kept(rules, platform))
    first = {one.id: one.name for one in siblings}
    back = [Sibling(f"away-{source_id}", name) for source_id, name in listed.items()]
    returned = home.map_names(back, Place(), fixed={f"away-{source_id}": first[source_id] for source_id in listed})
    assert [new.name for new in returned] == [first[source_id] for source_id in listed]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_paths_of_300_characters_and_more_fit_or_are_named(platform: str) -> None:
    rules = platforms()[platform].names
    namer = Namer(rules)
    depth_names = [f"{level:02} Section with a long name, café" for level in range(12)]
    where, path = Place(folders=True), ()
    for name in depth_names:
        (new,) = namer.map_names([Sibling("1", name)], where)
        assert new.problem in (None, "path-too-long")
        if new.problem:
            break
        path = (*path, new.name)
        length = namer.path_length(path)
        (again,) = namer.map_names([Sibling("1", new.name)], where)
        assert again.name == new.name
        files = [Sibling("2", "Shop drawing " * 12 + "A.pdf"), Sibling("3", "Shop drawing " * 12 + "B.pdf")]
        for one in namer.map_names(files, Place(length)):
            assert one.problem == "path-too-long" or rules.path_length_max is None or (
                namer.path_length((*path, one.name)) <= rules.path_length_max
            )  # fmt: skip
        where = Place(length, folders=True)
    assert len("/".join((*depth_names, files[0].name))) > 500
    assert len(path) >= 5
