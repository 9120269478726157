import pytest

from migration.contract import Source
from migration.entries import EntryKind, PathParts
from migration.errors import ConfigurationError, ItemError
from tests.contract.place import MODIFIED, Place
from tests.contract.steps import NAMES, content_of, entries, is_kept, read, walked

TREE = {
    ("a.txt",): b"1",
    ("b", "one.pdf"): b"22",
    ("b", "c", "deep.pdf"): b"333",
    ("b", "c", "z"): b"",
    ("b.txt",): b"4",
    ("ü", "x"): b"55",
}


async def plant_tree(place: Place) -> None:
    for path, content in TREE.items():
        await place.plant(path, content)


async def test_a_missing_root_is_an_error_and_not_an_empty_walk(source: Source) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await walked(source, ("not", "there"))
    assert caught.value.fix


async def test_an_empty_folder_is_one_page_without_entries(source: Source, place: Place) -> None:
    await place.plant_folder(("empty",))
    (page,) = await walked(source, ("empty",))
    assert (page.entries, page.problems, page.cursor) == ((), (), None)


async def test_everything_is_listed_once_and_folders_before_what_is_in_them(source: Source, place: Place) -> None:
    await plant_tree(place)
    listed = [entry for page in await walked(source) for entry in page.entries]
    paths = [entry.path for entry in listed]
    assert len(set(paths)) == len(paths) == len({entry.ref for entry in listed})
    assert set(paths) == {*TREE, ("b",), ("b", "c"), ("ü",)}
    for position, path in enumerate(paths):
        assert len(path) == 1 or path[:-1] in paths[:position]


async def test_entries_say_what_is_there(source: Source, place: Place) -> None:
    await plant_tree(place)
    found = await entries(source)
    for path, content in TREE.items():
        entry = found[path]
        assert (entry.kind, entry.name, entry.size_bytes) == (EntryKind.FILE, path[-1], len(content))
        assert entry.ref.system == source.system
        assert is_kept(source, entry.modified_at, MODIFIED)
        assert len(path) == 1 or entry.parent == found[path[:-1]].ref
    assert found[("b",)].kind is EntryKind.FOLDER
    assert found[("b",)].size_bytes is None


async def test_the_order_is_the_same_every_time(place: Place) -> None:
    await plant_tree(place)
    async with place.connector() as first, place.connector() as second:
        assert [page.entries for page in await walked(first)] == [page.entries for page in await walked(second)]


@pytest.mark.parametrize("page_entries", [1, 2, 3, 100])
async def test_a_walk_continues_after_every_page(place: Place, page_entries: int) -> None:
    await plant_tree(place)
    async with place.connector(page_entries=page_entries) as source:
        pages = await walked(source)
        assert [page.cursor is None for page in pages] == [False] * (len(pages) - 1) + [True]
        whole = [entry for page in pages for entry in page.entries]
        listed: list[object] = []
        for page in pages[:-1]:
            listed += page.entries
            async with place.connector(page_entries=page_entries) as other:
                rest = [entry for later in await walked(other, (), page.cursor) for entry in later.entries]
            assert [*listed, *rest] == whole


async def test_paths_begin_at_the_walked_root_and_entries_can_be_opened(source: Source, place: Place) -> None:
    await plant_tree(place)
    below = await entries(source, ("b",))
    assert set(below) == {("one.pdf",), ("c",), ("c", "deep.pdf"), ("c", "z")}
    assert await read(source, below[("c", "deep.pdf")]) == b"333"
    from_the_top = await entries(source)
    assert below[("c", "z")].ref == from_the_top[("b", "c", "z")].ref


async def test_names_arrive_as_they_are(source: Source, place: Place) -> None:
    for name in NAMES:
        await place.plant((name, name), b"content")
    found = await entries(source)
    assert set(found) == {(name,) for name in NAMES} | {(name, name) for name in NAMES}
    for name in NAMES:
        assert await read(source, found[(name, name)]) == b"content"


@pytest.mark.parametrize("size", [0, 1, 65_536, 2 * 1024 * 1024 + 1, 9_000_001])
async def test_content_arrives_whole(source: Source, place: Place, size: int) -> None:
    content = content_of(size)
    await place.plant(("file",), content)
    assert await read(source, (await entries(source))[("file",)]) == content


PARTS = ((0, 10), (5, None), (999_999, None), (1_000_000, None), (10, 500_000), (999_990, 10), (999_990, 100), (0, 0))


async def test_a_part_can_be_read(source: Source, place: Place) -> None:
    content = content_of(1_000_000)
    await place.plant(("file",), content)
    entry = (await entries(source))[("file",)]
    for offset, length in PARTS:
        end = None if length is None else offset + length
        assert await read(source, entry, offset, length) == content[offset:end], (offset, length)


async def changed_content(place: Place, path: PathParts) -> None:
    await place.plant(path, content_of(9_000_000, seed=2), MODIFIED.replace(day=20))


async def longer_content(place: Place, path: PathParts) -> None:
    await place.plant(path, content_of(9_000_001))


async def no_content(place: Place, path: PathParts) -> None:
    await place.remove(path)


@pytest.mark.parametrize("change", [changed_content, longer_content, no_content])
async def test_another_version_is_never_read_for_the_listed_one(source: Source, place: Place, change: object) -> None:
    await place.plant(("file",), content_of(9_000_000))
    entry = (await entries(source))[("file",)]
    assert callable(change)
    await change(place, ("file",))
    try:
        content = await read(source, entry)
    except ItemError as error:
        assert error.code == "source-changed"
    else:
        assert source.capabilities.keeps_versions
        assert content == content_of(9_000_000)


@pytest.mark.parametrize("change", [changed_content, longer_content])
async def test_a_change_while_reading_is_refused_or_has_no_effect(source: Source, place: Place, change: object) -> None:
    await place.plant(("file",), content_of(9_000_000))
    entry = (await entries(source))[("file",)]
    assert callable(change)
    arrived: list[bytes] = []
    try:
        async with source.open(entry) as body:
            arrived.append(await anext(aiter(body)))
            await change(place, ("file",))
            arrived += [chunk async for chunk in body]
    except ItemError as error:
        assert error.code == "source-changed"
    else:
        assert b"".join(arrived) == content_of(9_000_000)


async def test_a_reader_that_leaves_early_leaves_nothing_behind(source: Source, place: Place) -> None:
    await place.plant(("file",), content_of(9_000_000))
    entry = (await entries(source))[("file",)]
    async with source.open(entry) as body:
        await anext(aiter(body))
    assert await read(source, entry) == content_of(9_000_000)


async def test_a_walk_can_be_left_early(source: Source, place: Place) -> None:
    await plant_tree(place)
    async with place.connector(page_entries=1) as connector:
        async for page in connector.walk(()):
            assert page.entries
            break


async def test_the_connection_test_says_who_and_what(source: Source) -> None:
    report = await source.test()
    assert report.usable
    assert report.who
    assert all(finding.message.endswith(".") for finding in report.findings)
    assert {finding.level for finding in report.findings} <= {"info", "warning", "problem"}
