import os
import shutil
import subprocess
from pathlib import Path

import pytest

from migration.entries import ListingProblem, PathParts
from migration.errors import ContractViolation, ItemError
from tests.connectors.filesystem_support import connector_at, mounted
from tests.contract.steps import content_of, entries, put, read, walked


async def test_a_tree_deeper_than_any_path_may_be_long(tmp_path: Path) -> None:
    """400 folders of 50 characters: 20,000 bytes of path, where the system's calls take 4,096 at most."""
    path: PathParts = tuple(f"{number:03} {'folder' * 8}"[:50] for number in range(400))
    async with connector_at(tmp_path, page_entries=30) as connector:
        ref = await connector.make_folder(path)
        stored = await put(connector, (*path, "file"), content_of(20_000))
        await put(connector, (path[0], "~ after the deep ones"), b"x", staging_key="other")
        await connector.flush(((*path, "file"),))
        found = await entries(connector)
        assert len(found) == 402
        assert found[path].ref == ref
        assert found[(*path, "file")].ref == stored.ref
        assert await read(connector, found[(*path, "file")]) == content_of(20_000)
        assert await connector.stat((*path, "file")) is not None
        assert len(await connector.sha256((*path, "file"))) == 64
        assert await connector.sweep_staged(()) == 0
    assert open_descriptors_below(tmp_path) == []
    shutil.rmtree(tmp_path / path[0])


async def test_names_that_are_no_text_are_listed_read_and_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"plan \xff\xe4.pdf")
    (tmp_path / name).write_bytes(b"content")
    async with connector_at(tmp_path, page_entries=1) as connector:
        found = await entries(connector)
        assert set(found) == {(name,)}
        assert await read(connector, found[(name,)]) == b"content"
        await put(connector, (name,), b"newer", expected=found[(name,)])
        await connector.make_folder((f"{name}2",))
        first, second = [page async for page in connector.walk(())]
        assert [page async for page in connector.walk((), first.cursor)] == [second]
        with pytest.raises(ItemError) as caught:
            await put(connector, ("half a pair \ud83c",), b"x")
        assert caught.value.code == "name-refused"
    assert (tmp_path / name).read_bytes() == b"newer"


async def test_hard_links_are_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"content")
    os.link(tmp_path / "one", tmp_path / "two")
    async with connector_at(tmp_path) as connector:
        found = await entries(connector)
        assert len({entry.ref for entry in found.values()}) == 2
        await put(connector, ("one",), b"newer", expected=found[("one",)])
    assert (tmp_path / "two").read_bytes() == b"content"


async def test_a_file_keeps_its_id_when_it_is_written_anew_and_another_time_is_another_version(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    async with connector_at(tmp_path) as connector:
        first = (await entries(connector))[("file",)].ref
        (tmp_path / "new").write_bytes(b"CONTENT")
        os.utime(tmp_path / "new", ns=(10**18, 10**18))
        (tmp_path / "new").replace(file)
        second = (await entries(connector))[("file",)].ref
    assert first.id == second.id
    assert first.version_id != second.version_id


async def test_a_folder_that_goes_away_during_the_walk_is_named(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "folder" / f"{number}").mkdir(parents=True)
        (tmp_path / "folder" / f"{number}" / "file").write_bytes(b"x")
    async with connector_at(tmp_path, page_entries=2) as connector:
        walk = connector.walk(())
        first = await anext(walk)
        assert [entry.path for entry in first.entries] == [("folder",), ("folder", "0")]
        shutil.rmtree(tmp_path / "folder" / "1")
        (tmp_path / "folder" / "1").symlink_to(tmp_path)
        problems: list[ListingProblem] = []
        listed: list[PathParts] = []
        async for page in walk:
            problems += page.problems
            listed += [entry.path for entry in page.entries]
    assert listed == [("folder", "0", "file"), ("folder", "2"), ("folder", "2", "file")]
    assert [(problem.path, problem.code) for problem in problems] == [(("folder", "1"), "symlink")]


async def test_another_folder_in_the_place_of_a_deep_one_is_not_mixed_with_it(tmp_path: Path) -> None:
    """The walk closes folders far above where it is and looks whether they are the same when it comes back."""
    path = tuple(f"{number}" for number in range(40))
    async with connector_at(tmp_path, page_entries=40) as connector:
        await connector.make_folder(path)
        await connector.make_folder((*path[:2], "~ later"))
        walk = connector.walk(())
        first = await anext(walk)
        assert first.entries[-1].path == path
        (tmp_path / "0" / "1").rename(tmp_path / "0" / "moved")
        (tmp_path / "0" / "1").mkdir()
        (tmp_path / "0" / "1" / "~ later").write_bytes(b"of another folder")
        rest = [page async for page in walk]
        problems = [problem for page in (first, *rest) for problem in page.problems]
    assert [(problem.path, problem.code, problem.hides_entries) for problem in problems] == [
        (("0", "1"), "changed-while-listing", True)
    ]


async def test_a_folder_that_vanished_is_passed_over_when_a_walk_continues(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x")
    async with connector_at(tmp_path, page_entries=3) as connector:
        first = await anext(connector.walk(()))
        assert [entry.path for entry in first.entries][-1] == ("b",)
        shutil.rmtree(tmp_path / "b")
        (rest,) = await walked(connector, (), first.cursor)
        assert [entry.path for entry in rest.entries] == [("c",), ("c", "file")]
        with pytest.raises(ContractViolation):
            await walked(connector, (), "of another connector")


async def test_a_walk_that_is_left_closes_its_folders(tmp_path: Path) -> None:
    async with connector_at(tmp_path, page_entries=1) as connector:
        await connector.make_folder(tuple("abcdef"))
        walk = connector.walk(())
        for _ in range(4):
            await anext(walk)
        await walk.aclose()  # type: ignore[attr-defined]
    assert open_descriptors_below(tmp_path) == []


async def test_the_connection_test_leaves_nothing_behind(tmp_path: Path) -> None:
    async with connector_at(tmp_path) as connector:
        report = await connector.test()
    assert [finding.code for finding in report.findings] == ["space", "writable"]
    assert not any(os.scandir(tmp_path))


async def test_coarse_times_are_found_and_what_was_stored_is_told(tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(8 * 1024 * 1024)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-I", "128", str(image)], check=True, capture_output=True)  # noqa: ASYNC221
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot make a file system with coarse times: {error}")
    with mounted("ext4", tmp_path / "disk", "loop", str(image)) as disk:
        async with connector_at(disk) as connector:
            report = await connector.test()
            assert "times-are-coarse" in {finding.code for finding in report.findings}
            stored = await put(connector, ("file",), b"content")
            entry = await connector.stat(("file",))
            assert entry is not None
            assert stored.modified_at == entry.modified_at
            assert stored.modified_at is not None and stored.modified_at.microsecond == 0


def open_descriptors_below(folder: Path) -> list[str]:
    """The files and folders below that this process still holds open."""
    held = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            held.append(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    return [path for path in held if path.startswith(str(folder))]
