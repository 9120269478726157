"""The platform table is complete and says for the engine what it says for people."""

import pytest

from migration.capabilities import CaseRule, LengthUnit, UnicodeRule
from migration.errors import ConfigurationError
from migration.naming import Namer, Place, Sibling
from migration.platforms import name_rules, platform, platforms

EXPECTED = """
    procore sharepoint_online onedrive_business sharepoint_onprem_2007_2013 box dropbox google_drive
    google_shared_drive smb_windows_share nfs_linux_share local_filesystem_macos amazon_s3 azure_blob azure_files
    google_cloud_storage egnyte syncplicity hcp_anywhere portable_safe_profile
"""


def test_every_platform_is_there() -> None:
    assert list(platforms()) == EXPECTED.split()


def test_rules_are_well_formed() -> None:
    for row in platforms().values():
        rules = row.names
        assert all(len(character) == 1 for character in rules.forbidden_characters), row.name
        for words in (rules.forbidden_names, rules.forbidden_stems, rules.forbidden_prefixes, rules.forbidden_suffixes):
            assert all(word and word == word.lower() for word in words), row.name
        assert "." not in rules.forbidden_prefixes, row.name
        assert row.source_url, row.name


def test_windows() -> None:
    rules = name_rules("smb_windows_share")
    assert {*'<>:"/\\|?*', *map(chr, range(32))} == rules.forbidden_characters
    assert {"con", "com1", "lpt9", "com\u00b9", "conin$"} <= rules.forbidden_stems
    assert rules.forbidden_suffixes == (" ", ".")
    assert (rules.segment_length_max, rules.length_unit) == (255, LengthUnit.UTF16_UNITS)
    assert (rules.case, rules.unicode) == (CaseRule.PRESERVING, UnicodeRule.EXACT)


def test_linux() -> None:
    rules = name_rules("nfs_linux_share")
    assert rules.forbidden_characters == {"/", "\0"}
    assert rules.keeps_undecodable_bytes
    assert (rules.case, rules.unicode, rules.length_unit) == (CaseRule.SENSITIVE, UnicodeRule.EXACT, LengthUnit.BYTES)


def test_procore() -> None:
    rules = name_rules("procore")
    assert set("/<>:\\|?*") <= rules.forbidden_characters
    assert rules.trim_around_extension
    assert rules.path_length_max == 255


def test_size_limits() -> None:
    assert platform("sharepoint_online").file_size_max_bytes == 250_000_000_000
    assert platform("procore").file_size_max_bytes is None


def test_an_unknown_platform_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        platform("floppy")
    assert caught.value.code == "unknown-platform"
    assert "smb_windows_share" in str(caught.value.fix)


def test_procore_is_never_asked_for_a_name_that_it_may_clean() -> None:
    namer = Namer(name_rules("procore"))
    names = ["2024-03-30 50% CD", " Plans", "Phase #2 ", "~old", 'Detail 3"', "plain"]
    planned = [namer.map_names([Sibling("1", name)], Place(folders=True))[0].name for name in names]
    assert planned == ["2024-03-30 50_ CD", "Plans", "Phase _2", "_old", "Detail 3_", "plain"]
