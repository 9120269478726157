"""Moving, deleting and bringing back, where a system can."""

import pytest

from migration.contract import Destination, Movable, Trash, Versioned
from migration.errors import ItemError, PreconditionFailed
from tests.contract.place import MODIFIED, Place
from tests.contract.steps import content_of, entries, put, read


@pytest.fixture
def movable(destination: Destination) -> Movable:
    if not isinstance(destination, Movable):
        pytest.skip(f"{destination.display_name} does not declare move")
    return destination


@pytest.fixture
def trash(destination: Destination) -> Trash:
    if not isinstance(destination, Trash):
        pytest.skip(f"{destination.display_name} does not declare delete_to_trash")
    return destination


async def test_a_file_moves_with_its_content(movable: Movable, destination: Destination, place: Place) -> None:
    await place.plant(("a", "old"), b"content")
    await place.plant_folder(("b",))
    entry = (await entries(destination))[("a", "old")]
    ref = await movable.move(entry, ("b", "new"))
    found = await entries(destination)
    assert set(found) == {("a",), ("b",), ("b", "new")}
    assert found[("b", "new")].ref == ref
    assert await read(destination, found[("b", "new")]) == b"content"
    if destination.capabilities.stable_ids:
        assert ref.id == entry.ref.id


async def test_a_folder_moves_with_all_that_is_in_it(movable: Movable, destination: Destination, place: Place) -> None:
    await place.plant(("a", "b", "c"), b"1")
    await place.plant(("a", "d"), b"2")
    await movable.move((await entries(destination))[("a",)], ("z",))
    assert set(await entries(destination)) == {("z",), ("z", "b"), ("z", "b", "c"), ("z", "d")}
    await put(destination, ("z", "b", "new"), b"3")
    assert await destination.make_folder(("a", "b")) != await destination.make_folder(("z", "b"))


async def test_a_name_changes_in_its_case_only(movable: Movable, destination: Destination, place: Place) -> None:
    await place.plant(("plan.pdf",), b"content")
    await movable.move((await entries(destination))[("plan.pdf",)], ("Plan.pdf",))
    assert set(await entries(destination)) == {("Plan.pdf",)}
    assert await place.content(("Plan.pdf",)) == b"content"


async def test_nothing_is_moved_over_something(movable: Movable, destination: Destination, place: Place) -> None:
    await place.plant(("a",), b"1")
    await place.plant(("b",), b"2")
    with pytest.raises(PreconditionFailed) as caught:
        await movable.move((await entries(destination))[("a",)], ("b",))
    assert caught.value.code == "destination-changed"
    with pytest.raises(ItemError) as missing:
        await movable.move((await entries(destination))[("a",)], ("no", "b"))
    assert missing.value.code == "parent-missing"
    assert (await place.content(("a",)), await place.content(("b",))) == (b"1", b"2")


async def test_what_was_changed_is_not_moved(movable: Movable, destination: Destination, place: Place) -> None:
    await place.plant(("a",), b"1")
    entry = (await entries(destination))[("a",)]
    await place.plant(("a",), b"22", MODIFIED.replace(day=20))
    with pytest.raises(ItemError) as caught:
        await movable.move(entry, ("b",))
    assert caught.value.code == "source-changed"
    await place.remove(("a",))
    with pytest.raises(ItemError) as gone:
        await movable.move(entry, ("b",))
    assert gone.value.code == "source-changed"


@pytest.mark.parametrize("path", [("folder", "file"), ("folder",)])
async def test_what_was_deleted_comes_back(
    trash: Trash, destination: Destination, place: Place, path: tuple[str, ...]
) -> None:
    await place.plant(("folder", "file"), content_of(20_000))
    before = await entries(destination)
    token = await trash.delete_to_trash(before[path])
    assert set(await entries(destination)) == {found for found in before if found[: len(path)] != path}
    assert await place.content(("folder", "file")) is None
    assert await trash.restore(token) == path
    assert set(await entries(destination)) == set(before)
    assert await place.content(("folder", "file")) == content_of(20_000)


async def test_what_was_changed_is_not_deleted(trash: Trash, destination: Destination, place: Place) -> None:
    await place.plant(("file",), b"1")
    entry = (await entries(destination))[("file",)]
    await place.plant(("file",), b"22", MODIFIED.replace(day=20))
    with pytest.raises(ItemError) as caught:
        await trash.delete_to_trash(entry)
    assert caught.value.code == "source-changed"
    assert await place.content(("file",)) == b"22"


async def test_nothing_is_brought_back_over_something(trash: Trash, destination: Destination, place: Place) -> None:
    await place.plant(("file",), b"1")
    token = await trash.delete_to_trash((await entries(destination))[("file",)])
    await place.plant(("file",), b"22")
    with pytest.raises(PreconditionFailed):
        await trash.restore(token)
    assert await place.content(("file",)) == b"22"


@pytest.mark.parametrize("size", [20_000, 3 * 1024 * 1024])
async def test_what_is_replaced_is_kept_in_the_trash(
    trash: Trash, destination: Destination, place: Place, size: int
) -> None:
    if destination.capabilities.keeps_versions:
        pytest.skip(f"{destination.display_name} keeps versions")
    path = ("folder", "file")
    await place.plant(path, b"older")
    before = await destination.stat(path)
    assert before is not None
    stored = await put(destination, path, content_of(size), expected=before, trash_key="kept-1")
    assert stored.trashed is not None
    assert await trash.find_deleted(before, path, "kept-1") == stored.trashed
    assert await trash.find_deleted(before, path, "kept-2") is None
    assert await place.everything() == {path}
    assert set(await entries(destination)) == {path[:1], path}
    assert await place.content(path) == content_of(size)
    with pytest.raises(PreconditionFailed):
        await trash.restore(stored.trashed)
    await place.remove(path)
    assert await trash.restore(stored.trashed) == path
    assert await place.content(path) == b"older"


async def test_nothing_is_kept_of_what_was_not_replaced(trash: Trash, destination: Destination, place: Place) -> None:
    if destination.capabilities.keeps_versions:
        pytest.skip(f"{destination.display_name} keeps versions")
    path = ("folder", "file")
    await place.plant(path, b"older")
    before = await destination.stat(path)
    assert before is not None

    async def change() -> None:
        await place.plant(path, b"somebody's", MODIFIED.replace(day=20))

    with pytest.raises(PreconditionFailed):
        await put(destination, path, content_of(20_000), expected=before, before_publish=change, trash_key="kept-1")
    assert await place.content(path) == b"somebody's"
    assert await trash.find_deleted(before, path, "kept-1") is None
    assert await place.everything() == {path}


async def test_what_was_deleted_is_found_by_its_key(trash: Trash, destination: Destination, place: Place) -> None:
    await place.plant(("folder", "file"), b"1")
    entry = (await entries(destination))[("folder", "file")]
    token = await trash.delete_to_trash(entry, "deleted-1")
    found = await trash.find_deleted(entry, ("folder", "file"), "deleted-1")
    assert found is not None
    assert await trash.restore(found) == ("folder", "file")
    assert await place.content(("folder", "file")) == b"1"
    assert token


async def test_earlier_versions_can_be_read(destination: Destination, place: Place) -> None:
    if not isinstance(destination, Versioned):
        pytest.skip(f"{destination.display_name} does not declare versions")
    await put(destination, ("file",), b"first")
    await put(destination, ("file",), b"second one", expected=await destination.stat(("file",)))
    current = (await entries(destination))[("file",)]
    versions = await destination.versions(current)
    assert [await read(destination, version) for version in versions] == [b"first", b"second one"]
    assert versions[-1].ref == current.ref
    assert len({version.ref for version in versions}) == 2
