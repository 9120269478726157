"""Nothing outside the root, whatever is in the way and whenever it gets there."""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from migration.errors import ConfigurationError, ItemError, PreconditionFailed, RetryableError, SiteHaulError
from tests.connectors.filesystem_support import connector_at, files_below
from tests.contract.steps import content_of, put, walked

MIB = 1024 * 1024
SIZES = [20_000, 3 * MIB]
INTRUDER = """
import os, sys
path, made, lost = sys.argv[1], 0, 0
print("ready", flush=True)
while not os.path.exists(path + ".stop"):
    try:
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        continue
    made += 1
    mine = os.fstat(fd)
    if all(os.path.samestat(mine, os.stat(path)) for _ in range(20)):
        os.unlink(path)
    else:
        lost += 1
    os.close(fd)
print(made, lost)
"""
"""Makes the file again and again and looks whether anybody overwrites it."""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


async def test_links_in_the_way_are_refused_by_every_operation(root: Path, outside: Path) -> None:
    (root / "link").symlink_to(outside)
    (root / "folder").mkdir()
    (root / "folder" / "file-link").symlink_to(outside / "secret")
    (root / "dangling").symlink_to(outside / "new")
    async with connector_at(root) as connector:
        attempts: list[tuple[Callable[[], Awaitable[object]], set[str]]] = [
            (lambda: put(connector, ("link", "new"), b"x"), {"symlink-in-the-way"}),
            (lambda: put(connector, ("link", "secret"), b"x"), {"symlink-in-the-way"}),
            (lambda: put(connector, ("dangling", "new"), b"x"), {"symlink-in-the-way"}),
            (lambda: put(connector, ("dangling",), b"x"), {"destination-changed"}),
            (lambda: put(connector, ("folder", "file-link"), b"x"), {"destination-changed"}),
            (lambda: connector.make_folder(("link", "new")), {"symlink-in-the-way"}),
            (lambda: connector.make_folder(("link",)), {"symlink-in-the-way"}),
            (lambda: connector.make_folder(("dangling",)), {"symlink-in-the-way"}),
            (lambda: connector.stat(("link", "secret")), {"symlink-in-the-way"}),
            (lambda: connector.stat(("folder", "file-link")), {"not-a-file"}),
            (lambda: connector.sha256(("folder", "file-link")), {"symlink-in-the-way"}),
            (lambda: connector.sha256(("link", "secret")), {"symlink-in-the-way"}),
            (lambda: walked(connector, ("link",)), {"symlink-in-the-way"}),
            (lambda: connector.sweep_staged(("link",)), {"symlink-in-the-way"}),
        ]
        for attempt, codes in attempts:
            with pytest.raises(ItemError) as caught:
                await attempt()
            assert {caught.value.code} == codes
    assert files_below(outside) == {"secret"}
    assert (outside / "secret").read_bytes() == b"secret"
    assert files_below(root) == {"link", "folder/file-link", "dangling"}


async def test_links_in_the_tree_are_named_and_not_followed(root: Path, outside: Path) -> None:
    (root / "link").symlink_to(outside)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
        async with connector_at(root) as connector:
            (page,) = await walked(connector)
    assert page.entries == ()
    assert [(problem.path, problem.code, problem.hides_entries) for problem in page.problems] == [
        (("link",), "symlink", False),
        (("loop",), "symlink", False),
        (("pipe",), "special-file", False),
        (("socket",), "special-file", False),
    ]


@pytest.mark.parametrize("size", SIZES)
async def test_a_folder_swapped_for_a_link_during_a_write_leads_nowhere(root: Path, outside: Path, size: int) -> None:
    (root / "folder").mkdir()

    async def swap() -> None:
        (root / "folder").rename(root / "moved")
        (root / "folder").symlink_to(outside)

    async with connector_at(root) as connector:
        with pytest.raises(ItemError) as caught:
            await put(connector, ("folder", "file"), content_of(size), before_publish=swap)
    assert caught.value.code == "symlink-in-the-way"
    assert files_below(outside) == {"secret"}
    assert files_below(root) == {"folder"}


async def test_a_folder_moved_out_of_the_root_takes_no_file_with_it(root: Path, outside: Path) -> None:
    (root / "folder").mkdir()

    async def move() -> None:
        (root / "folder").rename(outside / "moved")
        (root / "folder").mkdir()

    async with connector_at(root) as connector:
        with pytest.raises(RetryableError) as caught:
            await put(connector, ("folder", "file"), content_of(20_000), before_publish=move)
        assert caught.value.code == "staged-file-lost"
        assert files_below(outside) == {"secret"}
        await put(connector, ("folder", "file"), content_of(20_000))
    assert files_below(root) == {"folder/file"}


@pytest.mark.parametrize("size", SIZES)
async def test_somebody_else_s_file_under_the_staged_name_is_not_published(root: Path, size: int) -> None:
    staged = root / ".sitehaul-key-1.part"

    async def swap() -> None:
        staged.unlink()
        staged.write_bytes(b"theirs")

    async with connector_at(root) as connector:
        with pytest.raises(RetryableError) as caught:
            await put(connector, ("file",), content_of(size), before_publish=swap)
    assert caught.value.code == "staged-file-lost"
    assert staged.read_bytes() == b"theirs"
    assert files_below(root) == {staged.name}


async def test_a_link_that_takes_the_file_s_name_is_not_written_through(root: Path, outside: Path) -> None:
    async def link() -> None:
        (root / "file").symlink_to(outside / "secret")

    async with connector_at(root) as connector:
        with pytest.raises(PreconditionFailed):
            await put(connector, ("file",), content_of(20_000), before_publish=link)
        (root / "file").unlink()
        (root / "file").write_bytes(b"old")
        before = await connector.stat(("file",))

        async def replace() -> None:
            (root / "file").unlink()
            await link()

        with pytest.raises(PreconditionFailed):
            await put(connector, ("file",), content_of(20_000), expected=before, before_publish=replace)
    assert (outside / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("size", SIZES)
async def test_a_link_under_the_staged_name_is_replaced_and_not_followed(root: Path, outside: Path, size: int) -> None:
    (root / ".sitehaul-key-1.part").symlink_to(outside / "secret")
    async with connector_at(root) as connector:
        await put(connector, ("file",), content_of(size))
    assert (outside / "secret").read_bytes() == b"secret"
    assert (root / "file").read_bytes() == content_of(size)
    assert files_below(root) == {"file"}


async def test_folders_that_flicker_into_links_all_the_time_never_lead_outside(root: Path, outside: Path) -> None:
    (root / "folder").mkdir()
    stop = asyncio.Event()

    async def flicker() -> None:
        while not stop.is_set():
            (root / "folder").rename(root / "kept")
            (root / "folder").symlink_to(outside)
            await asyncio.sleep(0)
            (root / "folder").unlink()
            (root / "kept").rename(root / "folder")
            await asyncio.sleep(0)

    async with connector_at(root) as connector:
        flickering = asyncio.create_task(flicker())
        results = await asyncio.gather(
            *(put(connector, ("folder", f"{n}"), content_of(1_000), staging_key=f"key-{n}") for n in range(300)),
            *(connector.stat(("folder", "secret")) for _ in range(100)),
            return_exceptions=True,
        )
        stop.set()
        await flickering
    unexpected = [one for one in results if isinstance(one, BaseException) and not isinstance(one, SiteHaulError)]
    assert not unexpected
    assert set(results[300:]) <= {None, *(one for one in results if isinstance(one, ItemError))}
    assert files_below(outside) == {"secret"}
    assert not [name for name in files_below(root) if ".sitehaul-" in name]


async def test_a_file_that_appears_in_the_last_microsecond_is_not_overwritten(root: Path) -> None:
    path = root / "file"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", INTRUDER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    published = 0
    try:
        async with connector_at(root) as connector:
            for number in range(600):
                with suppress(PreconditionFailed):
                    await put(connector, ("file",), b"mine", staging_key=f"key-{number}")
                    published += 1
                    os.unlink(path)
    finally:
        (root / "file.stop").mkdir()
        output, _ = await process.communicate()
    made, lost = map(int, output.split())
    assert lost == 0
    assert made > 0
    assert published > 0


async def test_a_pipe_in_a_file_s_place_is_refused_and_not_waited_for(root: Path) -> None:
    (root / "file").write_bytes(b"content")
    async with connector_at(root) as connector:
        entry = await connector.stat(("file",))
        assert entry is not None
        (root / "file").unlink()
        os.mkfifo(root / "file")
        for attempt in (connector.sha256(("file",)), connector.stat(("file",)), connector.make_folder(("file",))):
            with pytest.raises(ItemError) as caught:
                await asyncio.wait_for(attempt, 5)
            assert caught.value.code in ("not-a-file", "not-a-folder")
        with pytest.raises(ItemError, match="no file any more"):
            async with connector.open(entry) as body:
                await anext(aiter(body))
        for expected in (None, entry):
            with pytest.raises(PreconditionFailed):
                await put(connector, ("file",), b"x", expected=expected)
        os.mkfifo(root / ".sitehaul-key-1.part")
        await put(connector, ("other",), b"x")
    assert files_below(root) == {"file", "other"}


async def test_staged_names_are_reserved_and_not_listed(root: Path) -> None:
    (root / ".sitehaul-old.part").write_bytes(b"left by a dead process")
    (root / ".sitehaul-notes.txt").write_bytes(b"a file like any other")
    async with connector_at(root) as connector:
        (page,) = await walked(connector)
        assert [entry.name for entry in page.entries] == [".sitehaul-notes.txt"]
        with pytest.raises(ItemError) as caught:
            await put(connector, (".sitehaul-mine.part",), b"x")
        assert caught.value.code == "name-reserved"


async def test_an_entry_made_up_by_somebody_else_leads_nowhere(root: Path, outside: Path) -> None:
    (root / "file").write_bytes(b"content")
    async with connector_at(root) as connector:
        entry = await connector.stat(("file",))
        assert entry is not None
        for path in (("..", "outside", "secret"), (str(outside / "secret"),), ("../outside/secret",)):
            forged = type(entry)(ref=entry.ref, parent=None, name="file", path=path, kind=entry.kind)
            with pytest.raises(ItemError, match="cannot be the name"):
                async with connector.open(forged) as body:
                    await anext(aiter(body))


async def test_the_root_itself_may_be_a_link_but_must_be_a_folder(root: Path, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(root)
    async with connector_at(tmp_path / "shortcut") as connector:
        await put(connector, ("file",), b"x")
    assert files_below(root) == {"file"}
    for missing in (tmp_path / "nothing", root / "file"):
        async with connector_at(missing) as connector:
            with pytest.raises(ConfigurationError) as caught:
                await put(connector, ("file",), b"x")
            assert caught.value.code == "folder-missing"
