"""What holds for every name and every folder: legal, injective, stable, idempotent, deterministic."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.naming import MappedName, NameOptions, Namer, Place, Sibling
from migration.platforms import platforms

HOSTILE = [
    "", ".", "..", "...", " ", "  ", ". .", "con", "CON", "Con.txt", "nul .x", "COM1",
    "com\u00b9.y", "LPT9.tar.gz", "~$a", "a.", "a ", "a .pdf", "a. pdf", "a.pdf ", "A.PDF", "a.pdf",
    "\u0041\u030a", "\u00c5", "\u212b", "\u00e5", "ß", "SS", "ss", "\u0131", "I", "i", "\u0130",
    "\u017f", "K", "\u212a", "ﬁ", "fi", "a/b", "a\\b", "a:b", "a_b", "a?b", "a*b", "a|b", "\x00",
    "\x1f", "\x7f", "\ud800", "\udcff", "\udcc3\udca9", "é", "e\u0301", "😀", "👨\u200d👩\u200d👧",
    "\u202egnp.exe", "%2e%2e", "../../etc", "desktop.ini", "_vti_x", ".lock", "forms", "x" * 255,
    "x" * 256, "x" * 250 + ".pdf", "é" * 130, "😀" * 130, "x" * 300 + ".a",
    "y" * 20 + "." + "z" * 300, "a.tmp", "a.TMP .", "a. tmp", ".tmp", "a.ac$",
    ":" * 120 + ".dwg", "3A", "a3Ab", "\u767d\u96dc", "a~", "._a", ".sitehaul-a.part", "renamed-1", "_", "-",
]  # fmt: skip
PLATFORMS = sorted(platforms())
name = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(alphabet=st.characters(), max_size=20),
    st.text(alphabet="aA.: _\u00e9\u0301", max_size=6),
    st.builds("".join, st.lists(st.sampled_from(HOSTILE), min_size=2, max_size=3)),
)
folder = st.lists(name, max_size=12)
place = st.builds(Place, st.one_of(st.just(0), st.integers(0, 400)), st.booleans())
platform = st.sampled_from(PLATFORMS)
options = st.builds(NameOptions, *[st.booleans()] * len(NameOptions._fields))
PROBLEMS = {
    "change_illegal": {"name-not-allowed"},
    "shorten": {"name-too-long"},
    "rename_duplicates": {"name-collision"},
    "rename_types": {"restricted-type"},
}


def mapped(
    platform_name: str, names: list[str], where: Place, allowed: NameOptions | None = None
) -> tuple[Namer, list[MappedName]]:
    namer = Namer(platforms()[platform_name].names, allowed)
    siblings = [Sibling(f"id{number}", text, number) for number, text in enumerate(names)]
    return namer, namer.map_names(siblings, where)


def check_legal_and_injective(
    namer: Namer, where: Place, result: list[MappedName], allowed: NameOptions | None = None
) -> None:
    room, _ = namer.room(where)
    good = [new for new in result if new.problem is None]
    for new in good:
        assert namer.is_legal(new.name), new
        assert room is None or namer.length(new.name) <= room, new
        assert new.name not in ("", ".", "..")
        assert "\x00" not in new.name
        assert new.key == namer.key(new.name)
    assert len({new.key for new in good}) == len(good)
    possible = {"path-too-long"}.union(
        *(PROBLEMS.get(name, set()) for name, yes in (allowed or NameOptions())._asdict().items() if not yes)
    )
    assert {new.problem for new in result if new.problem} <= possible


@settings(max_examples=300, deadline=None)
@given(platform, folder, place, options)
def test_names_are_legal_and_never_the_same(
    platform_name: str, names: list[str], where: Place, allowed: NameOptions
) -> None:
    namer, result = mapped(platform_name, names, where, allowed)
    check_legal_and_injective(namer, where, result, allowed)
    assert result == mapped(platform_name, names, where, allowed)[1]


@settings(max_examples=300, deadline=None)
@given(platform, folder, place, options)
def test_mapping_again_changes_nothing(
    platform_name: str, names: list[str], where: Place, allowed: NameOptions
) -> None:
    _, result = mapped(platform_name, names, where, allowed)
    once = [new.name for new in result if new.problem is None]
    again = mapped(platform_name, once, where, allowed)[1]
    assert [(new.name, new.problem) for new in again] == [(name, None) for name in once]


@settings(max_examples=300, deadline=None)
@given(platform, folder, st.randoms(use_true_random=False), options)
def test_the_order_of_listing_does_not_matter(
    platform_name: str, names: list[str], dice: random.Random, allowed: NameOptions
) -> None:
    namer = Namer(platforms()[platform_name].names, allowed)
    siblings = [Sibling(f"id{number}", text, number) for number, text in enumerate(names)]
    before = dict(zip(siblings, namer.map_names(siblings, Place()), strict=True))
    dice.shuffle(siblings)
    assert dict(zip(siblings, namer.map_names(siblings, Place()), strict=True)) == before


@settings(max_examples=300, deadline=None)
@given(platform, folder, name, options)
def test_with_the_last_run_known_a_new_sibling_changes_no_name(
    platform_name: str, names: list[str], new: str, allowed: NameOptions
) -> None:
    namer, before = mapped(platform_name, names, Place(), allowed)
    holders = {one.key: f"id{number}" for number, one in enumerate(before) if one.problem is None}
    siblings = [Sibling(f"id{number}", text, number) for number, text in enumerate(names)]
    after = namer.map_names([Sibling("new", new, -1), *siblings], Place(), holders=holders)
    assert after[1:] == before
    check_legal_and_injective(namer, Place(), after, allowed)


@settings(max_examples=300, deadline=None)
@given(platform, folder, name, options)
def test_even_without_a_last_run_a_younger_sibling_takes_no_unchanged_name(
    platform_name: str, names: list[str], new: str, allowed: NameOptions
) -> None:
    namer, before = mapped(platform_name, names, Place(), allowed)
    siblings = [Sibling(f"id{number}", text, number) for number, text in enumerate(names)]
    after = namer.map_names([*siblings, Sibling("new", new, len(names))], Place())
    unchanged = [not (old.changes or old.problem) for old in before]
    kept = [one for one, same in zip(after, unchanged, strict=False) if same]
    assert kept == [old for old, same in zip(before, unchanged, strict=True) if same]


@settings(max_examples=300, deadline=None)
@given(platform, folder, st.dictionaries(st.integers(0, 11), name, max_size=6), options, st.randoms())
def test_fixed_names_are_given_as_they_are_and_the_others_avoid_them(
    platform_name: str, names: list[str], kept: dict[int, str], allowed: NameOptions, dice: random.Random
) -> None:
    namer = Namer(platforms()[platform_name].names, allowed)
    siblings = [Sibling(f"id{number}", text, number) for number, text in enumerate(names)]
    by_key = {namer.key(text): f"id{number}" for number, text in sorted(kept.items(), reverse=True)}
    fixed = {f"id{number}": text for number, text in kept.items()}
    result = namer.map_names(siblings, Place(), fixed=fixed)
    good = [new for new in result if new.problem is None]
    assert len({new.key for new in good}) == len(good)
    for one, new in zip(siblings, result, strict=True):
        if one.id in fixed and by_key[namer.key(fixed[one.id])] == one.id:
            assert new == MappedName(fixed[one.id], namer.key(fixed[one.id]), new.changes)
            assert new.changes == (() if new.name == one.name else ("kept-name",))
        elif new.problem is None:
            assert namer.is_legal(new.name)
    expected = dict(zip(siblings, result, strict=True))
    dice.shuffle(siblings)
    assert dict(zip(siblings, namer.map_names(siblings, Place(), fixed=fixed), strict=True)) == expected


@settings(max_examples=300, deadline=None)
@given(platform, folder, folder, place, options)
def test_what_has_its_name_fixed_keeps_it_whatever_comes(
    platform_name: str, names: list[str], more: list[str], where: Place, allowed: NameOptions
) -> None:
    namer, before = mapped(platform_name, names, where, allowed)
    siblings = [Sibling(f"id{number}", text, number) for number, text in enumerate(names)]
    fixed = {one.id: new.name for one, new in zip(siblings, before, strict=True) if new.problem is None}
    added = [Sibling(f"new{number}", text, -number) for number, text in enumerate(more)]
    after = namer.map_names([*added, *siblings], where, fixed=fixed)
    check_legal_and_injective(namer, where, after, allowed)
    for old, new in zip(before, after[len(added) :], strict=True):
        assert old.problem or (new.name, new.key) == (old.name, old.key)


@pytest.mark.parametrize("platform_name", ["smb_windows_share", "nfs_linux_share", "sharepoint_online", "procore"])
def test_a_hundred_thousand_names(platform_name: str) -> None:
    dice = random.Random(7)
    alphabet = [
        *"aAbB.: ~_-",
        "\u00e9",
        "\u0301",
        "\u0130",
        "ß",
        "\udcff",
        "\ud800",
        "😀",
        "\x00",
        "/",
        "con",
        ".pdf",
        "x" * 120,
    ]
    namer = Namer(platforms()[platform_name].names)
    for _ in range(250):
        names = ["".join(dice.choices(alphabet, k=dice.randint(0, 5))) for _ in range(100)]
        siblings = [Sibling(f"id{number}", text, number) for number, text in enumerate(names)]
        where = Place(dice.choice([0, 0, 10, 200, 380]), dice.random() < 0.3)
        check_legal_and_injective(namer, where, namer.map_names(siblings, where))
