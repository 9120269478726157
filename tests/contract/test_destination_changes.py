"""What happens when somebody else writes there, and when the caller gives up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from migration.contract import Destination, Stored
from migration.entries import Entry
from migration.errors import PreconditionFailed, RetryableError
from tests.contract.place import MODIFIED, Place
from tests.contract.steps import content_of, put

MIB = 1024 * 1024
FILE = ("folder", "file")
SIZES = [20_000, 3 * MIB]


async def refused(
    destination: Destination, expected: Entry | None, size: int, then: Callable[[], Awaitable[None]]
) -> None:
    with pytest.raises(PreconditionFailed) as caught:
        await put(destination, FILE, content_of(size), expected=expected, before_publish=then)
    assert caught.value.code == "destination-changed"
    assert caught.value.fix


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_that_appears_is_never_overwritten(destination: Destination, place: Place, size: int) -> None:
    await destination.make_folder(FILE[:1])

    async def appear() -> None:
        await place.plant(FILE, b"theirs")

    await refused(destination, None, size, appear)
    assert await place.content(FILE) == b"theirs"
    await refused(destination, None, size, appear)
    assert await place.everything() == {FILE}


@pytest.mark.parametrize("size", SIZES)
async def test_a_folder_that_appears_is_not_replaced(destination: Destination, place: Place, size: int) -> None:
    await destination.make_folder(FILE[:1])

    async def appear() -> None:
        await destination.make_folder(FILE)

    await refused(destination, None, size, appear)
    await refused(destination, await destination.stat(FILE), size, appear)
    assert await place.everything() == set()


@pytest.mark.parametrize("content", [b"longer than before", b"other"])
@pytest.mark.parametrize("size", SIZES)
async def test_a_file_that_was_changed_is_not_overwritten(
    destination: Destination, place: Place, size: int, content: bytes
) -> None:
    await place.plant(FILE, b"older")
    before = await destination.stat(FILE)

    async def change() -> None:
        await place.plant(FILE, content, MODIFIED + timedelta(seconds=10))

    await refused(destination, before, size, change)
    assert await place.content(FILE) == content
    assert await place.everything() == {FILE}


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_that_vanished_is_not_written_again(destination: Destination, place: Place, size: int) -> None:
    await place.plant(FILE, b"old")
    before = await destination.stat(FILE)

    async def vanish() -> None:
        await place.remove(FILE)

    await refused(destination, before, size, vanish)
    assert await place.everything() == set()


@pytest.mark.parametrize(("size", "rounds"), [(20_000, 40), (3 * MIB, 4)])
async def test_of_several_writers_one_wins_whole(
    destination: Destination, place: Place, size: int, rounds: int
) -> None:
    if not destination.capabilities.atomic_publish:
        pytest.skip(f"{destination.display_name} declares that it looks and publishes in two steps")
    await destination.make_folder(FILE[:1])
    for _ in range(max(1, int(rounds * place.repetitions))):
        together = asyncio.Barrier(8)

        async def one(number: int, together: asyncio.Barrier = together) -> Stored:
            async def meet() -> None:
                await together.wait()

            content = content_of(size, number)
            return await put(destination, FILE, content, staging_key=f"key-{number}", before_publish=meet)

        results = await asyncio.gather(*(one(number) for number in range(8)), return_exceptions=True)
        winners = [number for number, result in enumerate(results) if isinstance(result, Stored)]
        assert len(winners) == 1
        assert all(isinstance(result, Stored | PreconditionFailed | RetryableError) for result in results)
        assert await place.content(FILE) == content_of(size, winners[0])
        assert await place.everything() == {FILE}
        await place.remove(FILE)


async def test_many_cancelled_at_once_and_again_leave_nothing(destination: Destination, place: Place) -> None:
    reached = asyncio.Barrier(61)

    async def wait() -> None:
        await reached.wait()
        await asyncio.Event().wait()

    tasks = [
        asyncio.create_task(
            put(destination, (f"{number}",), content_of(20_000), staging_key=f"key-{number}", before_publish=wait)
        )
        for number in range(60)
    ]
    await reached.wait()
    for _ in range(4):
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert await place.everything() == set()


async def test_cancelled_while_waiting_for_bytes_nothing_is_left(destination: Destination, place: Place) -> None:
    for size in (0, 20_000, 3 * MIB):
        waits = asyncio.Event()

        async def endless(content: bytes, reached: asyncio.Event) -> AsyncIterator[bytes]:
            if content:
                yield content
            reached.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(
            put(destination, ("file",), b"", chunks=endless(content_of(size), waits), size_bytes=None)
        )
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await place.everything() == set()


async def test_cancelled_before_publishing_nothing_is_left(destination: Destination, place: Place) -> None:
    for size in SIZES:
        reached = asyncio.Event()

        async def wait(reached: asyncio.Event = reached) -> None:
            reached.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(put(destination, ("file",), content_of(size), before_publish=wait))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await place.everything() == set()


@pytest.mark.parametrize("size", [1, 20_000, 5 * MIB])
async def test_cancelled_at_any_turn_the_file_is_there_exactly_if_the_caller_was_told(
    destination: Destination, place: Place, size: int
) -> None:
    """Cancel after 0, 1, 2 … turns of the loop, and beyond the end."""
    content = content_of(size)
    told: list[Stored] = []

    async def caller() -> None:
        told.append(await put(destination, ("file",), content))
        await asyncio.sleep(0)

    for turns in (*range(100), *range(100, 3_000, 97))[:: round(1 / place.repetitions)]:
        told.clear()
        task = asyncio.create_task(caller())
        for _ in range(turns):
            await asyncio.sleep(0)
        finished = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled() is not finished
        assert await place.content(("file",)) == (content if told else None)
        if told:
            await place.remove(("file",))
        assert await place.everything() == set()
