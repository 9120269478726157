import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from migration.contract import Destination
from migration.entries import EntryKind, PathParts
from migration.errors import ItemError, RetryableError
from tests.contract.place import MODIFIED, Place
from tests.contract.steps import content_of, cut, entries, is_kept, nothing, put, read, stream

MIB = 1024 * 1024
SIZES = (0, 1, 20_000, MIB - 1, MIB, MIB + 1, 5_000_003)


@pytest.mark.parametrize("chunk", [7_777, 65_536, 3 * MIB])
async def test_a_file_is_stored_as_it_is(destination: Destination, place: Place, chunk: int) -> None:
    for size in SIZES:
        name, content = f"{size}.bin", content_of(size)
        key = f"key-{size}"
        stored = await put(destination, (name,), content, chunks=stream(cut(content, chunk)), staging_key=key)
        assert await place.content((name,)) == content
        assert (stored.name, stored.size_bytes) == (name, size)
        assert is_kept(destination, stored.modified_at, MODIFIED)
        entry = await destination.stat((name,))
        assert entry is not None
        assert (entry.ref, entry.size_bytes, entry.modified_at) == (stored.ref, size, stored.modified_at)
        assert await read(destination, entry) == content
        assert (await entries(destination))[(name,)].ref == stored.ref
    assert await place.everything() == {(f"{size}.bin",) for size in SIZES}


@pytest.mark.parametrize("size", [0, 20_000, 3 * MIB + 1])
async def test_the_size_may_be_unknown(destination: Destination, place: Place, size: int) -> None:
    stored = await put(destination, ("file",), content_of(size), size_bytes=None)
    assert stored.size_bytes == size
    assert await place.content(("file",)) == content_of(size)


@pytest.mark.parametrize(
    ("arrives", "expected", "code"),
    [
        (0, 1, "short-body"),
        (19_999, 20_000, "short-body"),
        (3 * MIB, 5 * MIB, "short-body"),
        (1, 0, "long-body"),
        (20_001, 20_000, "long-body"),
        (5 * MIB, 3 * MIB, "long-body"),
    ],
)
async def test_another_size_than_expected_fails_and_leaves_nothing(
    destination: Destination, place: Place, arrives: int, expected: int, code: str
) -> None:
    with pytest.raises(RetryableError) as caught:
        await put(destination, ("file",), content_of(arrives), size_bytes=expected)
    assert caught.value.code == code
    assert await place.everything() == set()


@pytest.mark.parametrize("size", [0, 20_000, 3 * MIB])
async def test_a_source_that_fails_leaves_nothing(destination: Destination, place: Place, size: int) -> None:
    lost = RetryableError("connection-lost", "The connection was lost")

    async def lose() -> None:
        raise lost

    with pytest.raises(RetryableError) as caught:
        await put(
            destination, ("file",), b"", chunks=stream(cut(content_of(size), 65_536), then=lose), size_bytes=4 * MIB
        )
    assert caught.value is lost
    assert await place.everything() == set()


@pytest.mark.parametrize("size", [0, 20_000, 3 * MIB])
async def test_nothing_is_visible_before_publishing_and_everything_is_there_by_then(
    destination: Destination, place: Place, size: int
) -> None:
    calls: list[set[PathParts]] = []
    passed = 0

    async def count() -> None:
        nonlocal passed
        passed += 1

    async def look() -> None:
        assert passed == 1
        assert await destination.stat(("file",)) is None
        assert set(await entries(destination)) == set()
        calls.append(await place.everything())

    content = content_of(size)
    await put(destination, ("file",), content, chunks=stream(cut(content, 65_536), then=count), before_publish=look)
    assert len(calls) == 1
    assert ("file",) not in calls[0]
    assert await place.everything() == {("file",)}


async def test_when_the_last_step_before_publishing_fails_nothing_is_there(
    destination: Destination, place: Place
) -> None:
    async def refuse() -> None:
        raise RetryableError("ledger-busy", "The ledger is busy")

    for size in (20_000, 3 * MIB):
        with pytest.raises(RetryableError, match="ledger"):
            await put(destination, ("file",), content_of(size), before_publish=refuse)
        assert await place.everything() == set()


async def test_put_twice_gives_the_same(destination: Destination, place: Place) -> None:
    first = await put(destination, ("file",), content_of(20_000))
    again = await put(destination, ("file",), content_of(20_000), expected=await destination.stat(("file",)))
    assert (again.ref.id, again.name, again.size_bytes) == (first.ref.id, first.name, first.size_bytes)
    assert await place.content(("file",)) == content_of(20_000)
    assert await place.everything() == {("file",)}


async def test_a_new_version_takes_the_place_of_the_old_one(destination: Destination, place: Place) -> None:
    await place.plant(("file",), b"old")
    before = (await entries(destination))[("file",)]
    later = MODIFIED + timedelta(days=1)
    stored = await put(destination, ("file",), content_of(2 * MIB), expected=before, modified_at=later)
    assert is_kept(destination, stored.modified_at, later)
    assert stored.ref.id == before.ref.id
    assert await place.content(("file",)) == content_of(2 * MIB)


async def test_the_folder_must_be_there(destination: Destination, place: Place) -> None:
    await place.plant(("a-file",), b"")
    for path, code in ((("no", "file"), "parent-missing"), (("a-file", "file"), "not-a-folder")):
        for size in (10, 3 * MIB):
            with pytest.raises(ItemError) as caught:
                await put(destination, path, content_of(size))
            assert caught.value.code == code
    assert await place.everything() == {("a-file",)}


async def test_stat_tells_files_folders_and_nothing_apart(destination: Destination, place: Place) -> None:
    await place.plant(("folder", "file"), b"123")
    folder = await destination.stat(("folder",))
    file = await destination.stat(("folder", "file"))
    assert folder is not None and folder.kind is EntryKind.FOLDER
    assert file is not None and (file.path, file.name, file.size_bytes) == (("folder", "file"), "file", 3)
    assert file.parent == folder.ref
    for path in (("nothing",), ("folder", "nothing"), ("no", "folder"), ("folder", "file", "below")):
        assert await destination.stat(path) is None


async def test_folders_are_made_with_their_parents_and_again_without_harm(destination: Destination) -> None:
    made = await destination.make_folder(("a", "b", "c"))
    assert await destination.make_folder(("a", "b", "c")) == made
    found = await entries(destination)
    assert list(found) == [("a",), ("a", "b"), ("a", "b", "c")]
    assert found[("a", "b", "c")].ref == made
    assert await destination.make_folder(("a",)) == found[("a",)].ref


async def test_folders_may_be_made_at_the_same_time(destination: Destination) -> None:
    paths = [("a", f"b{number % 3}", f"c{number % 7}") for number in range(40)]
    refs = await asyncio.gather(*(destination.make_folder(path) for path in paths))
    assert len(set(refs)) == len(set(paths))
    assert len(await entries(destination)) == 1 + 3 + len(set(paths))


async def test_a_file_in_the_way_of_a_folder_is_refused(destination: Destination, place: Place) -> None:
    await place.plant(("file",), b"precious")
    for path in (("file",), ("file", "below")):
        with pytest.raises(ItemError) as caught:
            await destination.make_folder(path)
        assert caught.value.code == "not-a-folder"
    assert await place.content(("file",)) == b"precious"


async def test_many_files_at_once_do_not_disturb_each_other(destination: Destination, place: Place) -> None:
    await destination.make_folder(("folder",))

    async def one(number: int) -> None:
        size = 3 * MIB if number % 20 == 0 else 1_000 + number
        await put(destination, ("folder", f"{number}"), content_of(size, number), staging_key=f"key-{number}")

    await asyncio.gather(*(one(number) for number in range(60)))
    found = await entries(destination, ("folder",))
    assert len(found) == 60
    for number in (0, 1, 20, 59):
        assert await place.content(("folder", f"{number}")) == content_of(found[(f"{number}",)].size_bytes or 0, number)


@pytest.mark.parametrize(
    "at",
    [
        MODIFIED,
        datetime(1980, 1, 1, tzinfo=UTC),
        datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2037, 6, 1, 12, 0, 0, 1, tzinfo=UTC),
    ],
)
async def test_times_are_kept_as_precisely_as_declared(destination: Destination, at: datetime) -> None:
    if not destination.capabilities.keeps_times:
        pytest.skip(f"{destination.display_name} declares that it keeps no times")
    precision = timedelta(seconds=destination.capabilities.time_precision_seconds or 0)
    stored = await put(destination, ("file",), b"content", modified_at=at)
    entry = await destination.stat(("file",))
    assert entry is not None and entry.modified_at is not None
    assert stored.modified_at == entry.modified_at
    assert abs(entry.modified_at - at) <= precision


async def test_without_a_time_it_is_the_present(destination: Destination) -> None:
    stored = await put(destination, ("file",), b"content", modified_at=None)
    assert stored.modified_at is not None
    assert abs(datetime.now(UTC) - stored.modified_at) < timedelta(hours=1)


async def test_a_staging_key_that_is_no_file_name_is_a_bug(destination: Destination, place: Place) -> None:
    for key in ("", "a/b", "x" * 65, "k\0"):
        with pytest.raises(Exception, match="cannot be a part") as caught:
            await put(destination, ("file",), b"content", staging_key=key, before_publish=nothing)
        assert type(caught.value).__name__ == "ContractViolation"
    assert await place.everything() == set()
