import unicodedata

import pytest

from migration.capabilities import CaseRule, LengthUnit, NameRules, UnicodeRule
from migration.contract import Destination
from migration.errors import ItemError
from tests.contract.place import Place
from tests.contract.steps import HOSTILE_NAMES, NAMES, entries, put

ESCAPING = ("..", ".", "", "a/b", "../outside", "/etc/passwd", "a\0b", "/", "\0")


async def test_names_it_declares_legal_are_kept(destination: Destination) -> None:
    """As folders and as files, each in a folder of its own."""
    legal = [name for name in (*NAMES, *HOSTILE_NAMES) if is_legal(name, destination.capabilities.names)]
    assert len(set(NAMES) - set(legal)) <= 2
    stored: dict[str, str] = {}
    for number, name in enumerate(legal):
        await destination.make_folder((f"{number}", name))
        stored[f"{number}"] = (await put(destination, (f"{number}", name, name), b"content")).name
    found = await entries(destination)
    kept = {path[0]: path[1:] for path in found if len(path) == 3}
    assert len(found) == 3 * len(legal)
    for number, name in enumerate(legal):
        folder, file = kept[f"{number}"]
        assert file == stored[f"{number}"]
        if not destination.capabilities.cleans_names:
            assert (folder, file) == (name, name)


async def test_a_name_that_is_no_name_is_refused_everywhere(destination: Destination, place: Place) -> None:
    await destination.make_folder(("inside",))
    for name in ESCAPING:
        if "/" in name and "\0" not in name and getattr(destination, "SLASH_IS_LEGAL", False):
            continue  # a letter like any other there
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


async def test_the_longest_name_is_possible_and_one_more_is_refused(destination: Destination) -> None:
    rules = destination.capabilities.names
    if rules.segment_length_max is None:
        pytest.skip(f"{destination.display_name} declares no longest name")
    longest = [letter * (rules.segment_length_max // length(letter, rules.length_unit)) for letter in "xü図"]
    for name in longest:
        assert (await put(destination, (name,), b"content")).name == name
        for attempt in (put(destination, (name + name[0],), b"content"), destination.make_folder((name + name[0],))):
            with pytest.raises(ItemError) as caught:
                await attempt
            assert caught.value.code == "name-too-long"
    assert set(await entries(destination)) == {(name,) for name in longest}


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
