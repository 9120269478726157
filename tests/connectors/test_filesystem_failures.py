"""What a full, read-only, forbidden or missing disk says, and what a killed process leaves."""

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from migration.contract import Precondition
from migration.entries import PathParts
from migration.errors import ConfigurationError, FatalError, ItemError
from tests.connectors.filesystem_support import as_nobody, connector_at, files_below, mounted, remount
from tests.contract.place import MODIFIED
from tests.contract.steps import content_of, cut, entries, put, stream, walked

MIB = 1024 * 1024
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach (pytest's own ones are root's alone)."""
    folder = Path(tempfile.mkdtemp(prefix="sitehaul-test-"))
    folder.chmod(0o777)
    yield folder
    for path in folder.iterdir():
        path.chmod(0o777)
    shutil.rmtree(folder)


@pytest.mark.parametrize("size", [900_000, 30 * MIB])
@pytest.mark.parametrize("known", [True, False])
async def test_a_full_disk_stops_the_run_and_leaves_what_was_there(tmp_path: Path, size: int, known: bool) -> None:
    with mounted("tmpfs", tmp_path / "disk", "size=4m") as disk:
        (disk / "there").write_bytes(content_of(3 * MIB + 700_000))
        async with connector_at(disk) as connector:
            with pytest.raises(FatalError) as caught:
                await put(connector, ("file",), content_of(size), size_bytes=size if known else None)
            assert (caught.value.code, caught.value.message) == (
                "disk-full",
                f"Could not write {disk}/file: the disk is full.",
            )
            assert caught.value.fix
            assert files_below(disk) == {"there"}
            await put(connector, ("small",), b"still possible")


async def test_a_full_disk_is_found_before_the_first_byte_of_a_large_file(tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path / "disk", "size=4m") as disk:
        taken = 0

        async def count() -> None:
            nonlocal taken
            taken += 1

        async with connector_at(disk) as connector:
            with pytest.raises(FatalError):
                await put(
                    connector,
                    ("file",),
                    content_of(64 * MIB),
                    chunks=stream(cut(content_of(64 * MIB), MIB), then=count),
                )
            assert taken == 0
            with pytest.raises(FatalError) as caught:
                await connector.put_ranges(
                    ("file",),
                    size_bytes=64 * MIB,
                    modified_at=None,
                    precondition=Precondition(),
                    staging_key="key",
                    fill=lambda _write_at: count(),
                    before_publish=count,
                )
            assert (caught.value.code, taken) == ("disk-full", 0)
            assert files_below(disk) == set()


async def test_no_room_for_one_more_name_is_a_full_disk_too(tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path / "disk", "size=4m,nr_inodes=4") as disk:
        async with connector_at(disk) as connector:
            with pytest.raises(FatalError) as caught:
                for number in range(5):
                    await put(connector, (f"file-{number}",), b"x")
            assert caught.value.code == "disk-full"
            with pytest.raises(FatalError) as caught:
                await connector.make_folder(("folder",))
            assert caught.value.code == "disk-full"


async def test_a_read_only_disk_can_be_read_and_says_so_when_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted("tmpfs", disk, "size=4m"):
        (disk / "file").write_bytes(b"content")
        (disk / ".sitehaul-left.part").write_bytes(b"left")
        remount(disk, "ro")
        async with connector_at(disk) as connector:
            report = await connector.test()
            assert report.usable
            assert [(finding.level, finding.code) for finding in report.findings] == [
                ("info", "space"),
                ("warning", "read-only"),
            ]
            assert "a source, not a destination" in report.findings[1].message
            found = await entries(connector)
            for attempt in (
                put(connector, ("new",), b"x"),
                put(connector, ("file",), b"x", expected=found[("file",)]),
                connector.make_folder(("new",)),
                connector.sweep_staged(()),
            ):
                with pytest.raises(FatalError) as caught:
                    await attempt
                assert caught.value.code == "read-only"
            assert await connector.make_folder(()) is not None


async def test_a_forbidden_folder_ends_its_files_and_not_the_run(open_folder: Path) -> None:
    (open_folder / "forbidden").mkdir()
    (open_folder / "forbidden" / "file").write_bytes(b"content")
    (open_folder / "forbidden").chmod(0o555)
    async with connector_at(open_folder) as connector:
        with as_nobody():
            before = await connector.stat(("forbidden", "file"))
            for attempt in (
                put(connector, ("forbidden", "new"), b"x"),
                put(connector, ("forbidden", "file"), b"x", expected=before),
                connector.make_folder(("forbidden", "new")),
            ):
                with pytest.raises(ItemError) as caught:
                    await attempt
                assert caught.value.code == "permission-denied"
            await put(connector, ("allowed",), b"x")
    assert files_below(open_folder) == {"forbidden/file", "allowed"}


async def test_a_forbidden_root_stops_the_run(open_folder: Path) -> None:
    (open_folder / "folder").mkdir(mode=0o555)
    async with connector_at(open_folder / "folder") as connector:
        with as_nobody():
            with pytest.raises(FatalError) as caught:
                await put(connector, ("file",), b"x")
            assert caught.value.code == "permission-denied"
            report = await connector.test()
    assert report.usable
    assert [finding.code for finding in report.findings] == ["space", "permission-denied"]


async def test_a_file_that_may_not_be_read_is_one_file(open_folder: Path) -> None:
    (open_folder / "file").write_bytes(b"content")
    (open_folder / "file").chmod(0)
    async with connector_at(open_folder) as connector:
        with as_nobody():
            (page,) = await walked(connector)
            with pytest.raises(ItemError) as caught:
                async with connector.open(page.entries[0]) as body:
                    await anext(aiter(body))
    assert caught.value.code == "permission-denied"


async def test_a_folder_that_may_not_be_listed_is_a_problem_of_the_listing(open_folder: Path) -> None:
    for name in ("a", "b", "c"):
        (open_folder / name).mkdir()
        (open_folder / name / "file").write_bytes(b"content")
    (open_folder / "b").chmod(0)
    async with connector_at(open_folder) as connector:
        with as_nobody():
            (page,) = await walked(connector)
    assert [entry.path for entry in page.entries] == [("a",), ("a", "file"), ("b",), ("c",), ("c", "file")]
    (problem,) = page.problems
    assert (problem.path, problem.code, problem.hides_entries) == (("b",), "permission-denied", True)


async def test_a_missing_folder_is_the_first_thing_the_test_says(tmp_path: Path) -> None:
    async with connector_at(tmp_path / "nothing") as connector:
        report = await connector.test()
        assert not report.usable
        assert [(finding.level, finding.code) for finding in report.findings] == [("problem", "folder-missing")]
        with pytest.raises(ConfigurationError) as caught:
            await walked(connector)
        assert caught.value.fix
        (tmp_path / "nothing").mkdir()
        assert (await connector.test()).usable


@pytest.mark.parametrize("when", ["writing", "filling", "staged"])
async def test_killed_in_the_middle_only_a_staged_name_is_left_and_the_next_put_replaces_it(
    tmp_path: Path, when: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.connectors.filesystem_killed",
        str(tmp_path),
        when,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"there\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    left = files_below(tmp_path)
    assert left == {"folder/.sitehaul-key-1.part"}
    async with connector_at(tmp_path) as connector:
        assert list(await entries(connector)) == [("folder",)]
        await put(connector, ("folder", "file"), content_of(20_000))
        assert files_below(tmp_path) == {"folder/file"}
        path: PathParts = ("folder", "file")
        entry = await connector.stat(path)
        assert entry is not None and entry.modified_at == MODIFIED


async def test_what_dead_processes_left_is_swept(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "a", deep):
        (folder / ".sitehaul-dead.part").write_bytes(b"left")
        (folder / "file").write_bytes(b"content")
    (tmp_path / ".sitehaul-folder.part").mkdir()
    async with connector_at(tmp_path) as connector:
        assert await connector.sweep_staged(("a",)) == 2
        assert await connector.sweep_staged(()) == 1
    assert files_below(tmp_path) == {"file", "a/file", "a/b/file"}
