"""What is declared is implemented, what is not declared is not offered; and the optional protocols themselves."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from migration.capabilities import Operation
from migration.contract import (
    ContentHash,
    Destination,
    Flushable,
    Movable,
    Precondition,
    RangeWritable,
    Source,
    StagedSweep,
    Trash,
    Versioned,
    WriteAt,
)
from migration.errors import ContractViolation, ItemError, PreconditionFailed, RetryableError
from tests.contract.place import MODIFIED, Place
from tests.contract.steps import content_of, is_kept, nothing, put

MIB = 1024 * 1024
IMPLEMENTED_BY: dict[Operation, Any] = {
    Operation.RANGE_WRITES: RangeWritable,
    Operation.CONTENT_HASH: ContentHash,
    Operation.MOVE: Movable,
    Operation.DELETE_TO_TRASH: Trash,
    Operation.VERSIONS: Versioned,
}


@pytest.fixture
def ranges(destination: Destination) -> RangeWritable:
    if not isinstance(destination, RangeWritable):
        pytest.skip(f"{destination.display_name} does not declare range_writes")
    return destination


@pytest.fixture
def hashes(destination: Destination) -> ContentHash:
    if not isinstance(destination, ContentHash):
        pytest.skip(f"{destination.display_name} does not declare content_hash")
    return destination


async def put_ranges(
    ranges: RangeWritable,
    fill: Callable[[WriteAt], Awaitable[object]],
    size_bytes: int,
    before_publish: Callable[[], Awaitable[None]] = nothing,
) -> int:
    stored = await ranges.put_ranges(
        ("file",),
        size_bytes=size_bytes,
        modified_at=MODIFIED,
        precondition=Precondition(),
        staging_key="key-1",
        fill=fill,
        before_publish=before_publish,
    )
    assert is_kept(ranges, stored.modified_at, MODIFIED)
    return stored.size_bytes


def test_what_is_declared_is_implemented_and_the_other_way_round(source: Source) -> None:
    declared = source.capabilities.operations
    for operation, protocol in IMPLEMENTED_BY.items():
        assert (operation in declared) == isinstance(source, protocol), operation


def test_capabilities_do_not_change(source: Source) -> None:
    assert source.capabilities == source.capabilities
    assert source.system == source.system.lower() != ""


@pytest.mark.parametrize("size", [0, 1, 20_000, 5 * MIB + 3])
async def test_pieces_may_come_in_any_order_and_at_once(ranges: RangeWritable, place: Place, size: int) -> None:
    content = content_of(size)

    async def fill(write_at: WriteAt) -> str:
        offsets = range(0, size, 70_000)
        await asyncio.gather(*(write_at(offset, content[offset : offset + 70_000]) for offset in reversed(offsets)))
        assert await place.content(("file",)) is None
        return "whatever the caller needs"

    assert await put_ranges(ranges, fill, size) == size
    assert await place.content(("file",)) == content
    assert await place.everything() == {("file",)}


@pytest.mark.parametrize(("offset", "length"), [(MIB - 5, 6), (MIB, 1), (-1, 1)])
async def test_a_piece_beyond_the_end_is_refused(ranges: RangeWritable, place: Place, offset: int, length: int) -> None:
    async def fill(write_at: WriteAt) -> None:
        await write_at(0, content_of(MIB - 5))
        await write_at(offset, b"x" * length)

    with pytest.raises(RetryableError) as caught:
        await put_ranges(ranges, fill, MIB)
    assert caught.value.code == "long-body"
    assert await place.everything() == set()


async def test_missing_pieces_fail_and_leave_nothing(ranges: RangeWritable, place: Place) -> None:
    async def fill(write_at: WriteAt) -> None:
        await write_at(MIB, content_of(MIB))

    with pytest.raises(RetryableError) as caught:
        await put_ranges(ranges, fill, 3 * MIB)
    assert caught.value.code == "short-body"
    assert await place.everything() == set()


async def test_a_piece_after_the_end_of_filling_is_a_bug(ranges: RangeWritable) -> None:
    kept: list[WriteAt] = []

    async def fill(write_at: WriteAt) -> None:
        kept.append(write_at)
        await write_at(0, b"content")

    await put_ranges(ranges, fill, 7)
    with pytest.raises(ContractViolation):
        await kept[0](0, b"late")


async def test_filling_that_fails_leaves_nothing_and_no_piece_writes_elsewhere(
    ranges: RangeWritable, place: Place
) -> None:
    lost = RetryableError("connection-lost", "The connection was lost")
    left: list[asyncio.Task[None]] = []

    async def fill(write_at: WriteAt) -> None:
        left.extend(
            asyncio.ensure_future(write_at(n * MIB, content)) for n, content in ((0, large), (48, content_of(5)))
        )
        await asyncio.sleep(0)
        raise lost

    large = content_of(48 * MIB)

    with pytest.raises(RetryableError) as caught:
        await put_ranges(ranges, fill, 49 * MIB)
    assert caught.value is lost
    assert all(task.done() for task in left)
    assert await place.everything() == set()


async def test_cancelled_filling_leaves_nothing(ranges: RangeWritable, place: Place) -> None:
    reached = asyncio.Event()

    async def fill(write_at: WriteAt) -> None:
        await write_at(0, content_of(MIB))
        reached.set()
        await asyncio.gather(*(write_at(n * MIB, content_of(MIB)) for n in range(1, 8)))
        await asyncio.Event().wait()

    task = asyncio.create_task(put_ranges(ranges, fill, 9 * MIB))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await place.everything() == set()


async def test_pieces_are_published_with_the_precondition_too(ranges: RangeWritable, place: Place) -> None:
    async def fill(write_at: WriteAt) -> None:
        await write_at(0, content_of(MIB))

    async def appear() -> None:
        await place.plant(("file",), b"theirs")

    with pytest.raises(PreconditionFailed):
        await put_ranges(ranges, fill, MIB, before_publish=appear)
    assert await place.content(("file",)) == b"theirs"
    assert await place.everything() == {("file",)}


@pytest.mark.parametrize("size", [0, 20_000, 9 * MIB + 1])
async def test_the_system_hashes_what_it_stores(hashes: ContentHash, place: Place, size: int) -> None:
    await place.plant(("folder", "file"), content_of(size))
    assert await hashes.sha256(("folder", "file")) == hashlib.sha256(content_of(size)).hexdigest()


async def test_only_files_have_a_hash(hashes: ContentHash, place: Place) -> None:
    await place.plant(("folder", "file"), b"content")
    for path, code in (
        (("folder",), "not-a-file"),
        ((), "not-a-file"),
        (("nothing",), "not-found"),
        (("no", "folder"), "not-found"),
    ):
        with pytest.raises(ItemError) as caught:
            await hashes.sha256(path)
        assert caught.value.code == code


async def test_flushing_takes_what_was_published_and_what_is_gone_meanwhile(
    destination: Destination, place: Place
) -> None:
    if not isinstance(destination, Flushable):
        pytest.skip(f"{destination.display_name} has nothing to flush")
    await destination.flush(())
    await destination.make_folder(("a", "b"))
    paths = [("a", "b", f"{number}") for number in range(8)]
    for number, path in enumerate(paths):
        await put(destination, path, content_of(1_000), staging_key=f"key-{number}")
    for several in (paths[:1], paths):
        await destination.flush(tuple(several))
    await place.remove(paths[0])
    await destination.flush(tuple(paths[:2]))
    await destination.flush((*paths, ("no", "such", "folder")))


async def test_sweeping_removes_what_is_staged_and_nothing_else(destination: Destination, place: Place) -> None:
    if not isinstance(destination, StagedSweep):
        pytest.skip(f"{destination.display_name} leaves nothing staged")
    await place.plant(("folder", "file"), b"content")
    assert await destination.sweep_staged(()) == 0
    swept: list[int] = []

    async def sweep() -> None:
        swept.append(await destination.sweep_staged(()))

    await put(destination, ("mine",), b"mine", before_publish=sweep)
    assert swept == [0]
    assert await destination.sweep_staged(("not", "there")) == 0
    assert await place.everything() == {("folder", "file"), ("mine",)}
