import unicodedata

import pytest

from migration.capabilities import CaseRule, LengthUnit, NameRules, UnicodeRule
from migration.contract import Destination
from migration.errors import ItemError
from tests.contract.place import Place
from tests.contract.steps import HOSTILE_NAMES, NAMES, entries, put

ESCAPING = ("..", ".", "", "a/b", "../outside", "/etc/passwd", "a\0b", "/", "\0")


@pytest.mark.parametrize("name", [*NAMES, *HOSTILE_NAMES])
async def test_names_it_declares_legal_are_kept(destination: Destination, name: str) -> None:
    if not is_legal(name, destination.capabilities.names):
        pytest.skip(f"{destination.display_name} declares {name!r} illegal")
    await destination.make_folder((name,))
    stored = await put(destination, (name, name), b"content")
    found = await entries(destination)
    if destination.capabilities.cleans_names:
        (folder, file) = found
        assert (len(folder), len(file), file[-1]) == (1, 2, stored.name)
    else:
        assert stored.name == name
        assert set(found) == {(name,), (name, name)}


@pytest.mark.parametrize("name", ESCAPING)
async def test_a_name_that_is_no_name_is_refused_everywhere(destination: Destination, place: Place, name: str) -> None:
    if "/" in name and "\0" not in name and getattr(destination, "SLASH_IS_LEGAL", False):
        pytest.skip(f"{destination.display_name} takes a slash for a letter as any other")
    await destination.make_folder(("inside",))
    for path in ((name,), ("inside", name), ("inside", name, "file"), (name, "file")):
        for attempt in (
            put(destination, path, b"content"),
            destination.make_folder(path),
            destination.stat(path),
        ):
            with pytest.raises(ItemError) as caught:
                await attempt
            assert caught.value.code == "name-escapes"
    assert await place.everything() == set()


@pytest.mark.parametrize("character", ["x", "ü", "図"])
async def test_the_longest_name_is_possible_and_one_more_is_refused(destination: Destination, character: str) -> None:
    rules = destination.capabilities.names
    if rules.segment_length_max is None:
        pytest.skip(f"{destination.display_name} declares no longest name")
    longest = character
    while length(longest + character, rules.length_unit) <= rules.segment_length_max:
        longest += character
    stored = await put(destination, (longest,), b"content")
    assert stored.name == longest
    with pytest.raises(ItemError) as caught:
        await put(destination, (longest + character,), b"content")
    assert caught.value.code == "name-too-long"
    with pytest.raises(ItemError) as caught:
        await destination.make_folder((longest + character,))
    assert caught.value.code == "name-too-long"
    assert set(await entries(destination)) == {(longest,)}


async def test_names_that_differ_only_in_case_are_what_it_declares(destination: Destination) -> None:
    await put(destination, ("Plan.pdf",), b"upper")
    twin = await destination.stat(("plan.PDF",))
    assert (twin is None) == (destination.capabilities.names.case is CaseRule.SENSITIVE)


async def test_names_that_differ_only_in_normalisation_are_what_it_declares(destination: Destination) -> None:
    await put(destination, (unicodedata.normalize("NFC", "Plän.pdf"),), b"composed")
    twin = await destination.stat((unicodedata.normalize("NFD", "Plän.pdf"),))
    assert (twin is None) == (destination.capabilities.names.unicode is UnicodeRule.EXACT)


def length(name: str, unit: LengthUnit) -> int:
    if unit is LengthUnit.BYTES:
        return len(name.encode())
    return len(name.encode("utf-16-le")) // 2 if unit is LengthUnit.UTF16_UNITS else len(name)


def is_legal(name: str, rules: NameRules) -> bool:
    lower, stem = name.lower(), name.lower().split(".")[0]
    return not (
        any(character in rules.forbidden_characters for character in name)
        or lower in rules.forbidden_names
        or stem in rules.forbidden_stems
        or lower.startswith(rules.forbidden_prefixes)
        or lower.endswith(rules.forbidden_suffixes)
        or any(part in lower for part in rules.forbidden_parts)
        or (rules.basic_plane_only and any(ord(character) > 0xFFFF for character in name))
    )
