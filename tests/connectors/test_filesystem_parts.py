"""The parts of the filesystem connector that no real file system here makes happen."""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.filesystem import kernel
from connectors.filesystem.failures import Translator
from connectors.filesystem.settings import FilesystemSettings
from connectors.shared.threads import OneBehind, Threads
from migration.errors import FatalError, ItemError, RetryableError, SiteHaulError
from tests.connectors.filesystem_support import connector_at

WAYS: tuple[Callable[[str, str, int], object], ...] = (
    kernel.rename_no_replace,
    kernel.link_and_unlink,
    kernel.look_and_rename,
    kernel.rename_if_free,
)


@pytest.fixture
def folder_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_way_of_publishing_refuses_a_taken_name(
    way: Callable[[str, str, int], object], tmp_path: Path, folder_fd: int
) -> None:
    (tmp_path / "old").write_bytes(b"mine")
    way("old", "new", folder_fd)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"new": b"mine"}
    (tmp_path / "old").write_bytes(b"mine again")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    for taken in ("new", "link", "folder"):
        with pytest.raises(FileExistsError):
            way("old", taken, folder_fd)
    with pytest.raises(FileNotFoundError):
        way("nothing", "other", folder_fd)
    assert (tmp_path / "new").read_bytes() == b"mine"
    assert (tmp_path / "old").read_bytes() == b"mine again"


def test_a_link_that_was_made_before_the_answer_was_lost_is_recognised(tmp_path: Path, folder_fd: int) -> None:
    (tmp_path / "old").write_bytes(b"mine")
    os.link(tmp_path / "old", tmp_path / "new")
    assert kernel.link_and_unlink("old", "new", folder_fd)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, FatalError, "disk-full"),
        (errno.EDQUOT, FatalError, "disk-full"),
        (errno.EROFS, FatalError, "read-only"),
        (errno.EACCES, ItemError, "permission-denied"),
        (errno.EPERM, ItemError, "permission-denied"),
        (errno.ENAMETOOLONG, ItemError, "name-too-long"),
        (errno.EILSEQ, ItemError, "name-refused"),
        (errno.EINVAL, ItemError, "name-refused"),
        (errno.EFBIG, ItemError, "file-too-large"),
        (errno.ELOOP, ItemError, "symlink-in-the-way"),
        (errno.EIO, RetryableError, "device-error"),
        (errno.ESTALE, RetryableError, "device-error"),
        (errno.ENOTCONN, RetryableError, "device-error"),
        (errno.EBUSY, RetryableError, "busy"),
        (errno.EMFILE, RetryableError, "too-many-open-files"),
        (errno.EXDEV, ItemError, "file-system-error"),
    ],
    ids=lambda value: errno.errorcode.get(value) if isinstance(value, int) else None,
)
def test_what_the_system_s_errors_mean(number: int, kind: type[SiteHaulError], code: str) -> None:
    translate = Translator(Path("/share"))
    with pytest.raises(kind) as caught, translate.errors("write", ("a", os.fsdecode(b"\xff"))):
        raise OSError(number, os.strerror(number))
    assert caught.value.code == code
    assert caught.value.message.startswith("Could not write /share/a/\\xff: ")
    assert caught.value.message.endswith(".")
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EIO, "not-durable"), (errno.EDQUOT, "disk-full"), (errno.EROFS, "not-durable")]
)
def test_what_could_not_be_made_durable_stops_the_run(number: int, code: str) -> None:
    with pytest.raises(FatalError) as caught, Translator(Path("/share")).durability(("file",)):
        raise OSError(number, os.strerror(number))
    assert caught.value.code == code
    assert caught.value.fix


class Gate:
    """Work that has begun and goes on when it is let."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = threading.Event()
        self.let = threading.Event()
        self.done = False
        self._error = error

    def work(self) -> str:
        self.begun.set()
        assert self.let.wait(10)
        self.done = True
        if self._error is not None:
            raise self._error
        return "result"

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 10)


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads(1)
    yield pool
    pool.close()


async def cancelled_often(task: "asyncio.Task[str]", gate: Gate) -> None:
    await gate.until_begun()
    for _ in range(3):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
    assert not task.done()
    gate.let.set()
    await asyncio.wait([task])
    assert gate.done


@pytest.mark.parametrize("way", ["run", "surely"])
@pytest.mark.parametrize("error", [None, ItemError("code", "message")])
async def test_cancelled_work_that_has_begun_is_waited_for(threads: Threads, way: str, error: Exception | None) -> None:
    gate = Gate(error)
    task = asyncio.create_task(getattr(threads, way)(gate.work))
    await cancelled_often(task, gate)
    assert task.cancelled()


async def test_cancelled_work_that_has_not_begun_never_does_unless_it_must(threads: Threads) -> None:
    first, dropped, kept = Gate(), Gate(), Gate()
    running = asyncio.create_task(threads.run(first.work))
    await first.until_begun()
    dropping = [asyncio.create_task(threads.run(dropped.work)), asyncio.create_task(threads.to_the_end(dropped.work))]
    keeping = asyncio.create_task(threads.surely(kept.work))
    await asyncio.sleep(0)
    for task in (*dropping, keeping):
        task.cancel()
    await asyncio.wait(dropping)
    assert all(task.cancelled() for task in dropping)
    assert not keeping.done()
    first.let.set()
    kept.let.set()
    assert await running == "result"
    await asyncio.wait([keeping])
    assert (dropped.begun.is_set(), kept.done, keeping.cancelled()) == (False, True, True)


async def test_a_step_that_cannot_be_taken_back_is_told_of_before_the_cancellation(threads: Threads) -> None:
    gate = Gate()
    told: list[str] = []

    async def caller() -> str:
        told.append(await threads.to_the_end(gate.work))
        await asyncio.sleep(0)
        told.append("never reached")
        return ""

    task = asyncio.create_task(caller())
    await cancelled_often(task, gate)
    assert (told, task.cancelled()) == (["result"], True)


async def test_a_timeout_around_a_step_that_cannot_be_taken_back_stays_a_timeout(threads: Threads) -> None:
    gate = Gate()
    told: list[str] = []
    asyncio.get_running_loop().call_later(0.05, gate.let.set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            told.append(await threads.to_the_end(gate.work))
            await asyncio.sleep(10)
    assert told == ["result"]


async def test_a_step_that_fails_while_it_is_cancelled_is_cancelled(threads: Threads) -> None:
    gate = Gate(ItemError("code", "message"))
    task = asyncio.create_task(threads.to_the_end(gate.work))
    await cancelled_often(task, gate)
    assert task.cancelled()


async def test_what_runs_one_behind_tells_its_error_at_the_next_step_or_the_end(threads: Threads) -> None:
    def fail() -> None:
        raise ItemError("code", "message")

    with pytest.raises(ItemError):
        async with OneBehind(threads) as behind:
            await behind.start(fail)
            await behind.start(print)
            raise AssertionError("not reached")
    with pytest.raises(ItemError):
        async with OneBehind(threads) as behind:
            await behind.start(fail)


@pytest.mark.parametrize(
    ("names", "legal", "illegal"), [("posix", ":", "/"), ("windows", "#", ":"), ("portable", "+", "#")]
)
def test_names_choose_the_platform_s_rules(tmp_path: Path, names: str, legal: str, illegal: str) -> None:
    rules = connector_at(tmp_path, names=names).capabilities.names
    assert legal not in rules.forbidden_characters
    assert illegal in rules.forbidden_characters


def test_the_connection_s_folder_takes_its_part_of_the_longest_path(tmp_path: Path) -> None:
    rules = connector_at(tmp_path).capabilities.names
    assert rules.path_length_max is not None
    longest = str(tmp_path) + "/" + "x" * rules.path_length_max
    assert len(os.fsencode(longest)) + 1 == 4096


def test_nothing_is_touched_before_it_is_needed() -> None:
    settings = FilesystemSettings(folder=Path("/does/not/exist"))
    connector = connector_at(settings.folder)
    assert (connector.system, connector.display_name) == ("filesystem", "Local folder")
