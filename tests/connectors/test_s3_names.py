"""How paths, keys and times belong together in every system of objects."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from connectors.shared.objects import Found, Keys, moment_text, seconds_text, time_of
from migration.entries import EntryKind

AT = datetime(2023, 4, 5, 6, 7, 8, 901_234, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1680674828.901234", AT),
        ("1680674828.901234567", AT),
        ("1680674828", AT.replace(microsecond=0)),
        ("-1.5", datetime(1969, 12, 31, 23, 59, 58, 500_000, tzinfo=UTC)),
        ("2023-04-05T06:07:08.901234000Z", AT),
        ("2023-04-05T08:07:08.901234+02:00", AT),
        ("2023-04-05T06:07:08Z", AT.replace(microsecond=0)),
        ("2023-13-45T06:07:08Z", None),
        ("999999999999", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_in_metadata_are_read_in_either_form(text: str, at: datetime | None) -> None:
    assert time_of(text) == at


@pytest.mark.parametrize("at", [AT, datetime(1903, 1, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2037, 6, 1, tzinfo=UTC)])
def test_times_come_back_as_they_were_written(at: datetime) -> None:
    elsewhere = at.astimezone(timezone(timedelta(hours=-7)))
    assert time_of(seconds_text(elsewhere)) == time_of(moment_text(elsewhere)) == at


@pytest.mark.parametrize("prefix", ["", "projects/2026/"])
def test_keys_and_paths_are_each_other_s_inverse(prefix: str) -> None:
    keys = Keys("s3", prefix, keeps_times=True)
    for path in (("file",), ("a", "b c", "ü%.txt")):
        assert keys.path(keys.key(path)) == keys.path(keys.folder_key(path)) == path
        assert keys.path_of(keys.ref(path)) == keys.path_of(keys.ref(path, folder=True)) == path
    assert keys.path(keys.folder_key(())) == keys.path_of(keys.ref((), folder=True)) == ()
    assert keys.ref(("a",)) != keys.ref(("a",), folder=True)


@pytest.mark.parametrize("rest", ["a//b", "/a", "a/../b", ".", "a/./b", "tab\there", "a//"])
def test_keys_that_are_no_paths_have_none(rest: str) -> None:
    assert Keys("s3", "p/", keeps_times=True).path(f"p/{rest}") is None


def test_a_file_is_dated_by_its_metadata_or_else_by_the_service() -> None:
    later = AT + timedelta(days=1)
    for metadata, kept in (({"mtime": "1680674828.901234"}, AT), ({"mtime": "?"}, later), ({}, later), (None, later)):
        found = Found(key="f", size_bytes=1, version_id="v", changed_at=later, metadata=metadata)
        entry = Keys("s3", "", keeps_times=True).file(("f",), found)
        assert (entry.kind, entry.modified_at) == (EntryKind.FILE, kept)
        assert Keys("s3", "", keeps_times=False).file(("f",), found).modified_at == later
