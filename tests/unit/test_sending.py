"""The parts of a file on their way out: how long they are, how many at a time, and what becomes of a failing one."""

import asyncio

import pytest

from connectors.shared.receiving import Part, parts
from connectors.shared.sending import MIB, SINGLE_BYTES, Growing, InFlight, part_bytes


@pytest.mark.parametrize(
    ("size_bytes", "parts_max", "expected"),
    [
        (None, 10_000, SINGLE_BYTES),
        (0, 10_000, SINGLE_BYTES),
        (SINGLE_BYTES, 10_000, SINGLE_BYTES),
        (SINGLE_BYTES + 1, 10_000, 5 * MIB),
        (50_000 * MIB, 10_000, 5 * MIB),
        (50_000 * MIB + 1, 10_000, 6 * MIB),
        (5 * MIB * MIB, 10_000, 525 * MIB),
    ],
)
def test_parts_are_as_short_as_their_number_allows(size_bytes: int | None, parts_max: int, expected: int) -> None:
    assert part_bytes(size_bytes, parts_max) == expected


async def test_parts_are_cut_where_they_have_to_be_whatever_the_chunks() -> None:
    content = bytes(range(256)) * 40
    for chunk_bytes in (1, 7, 1000, 1024, 5000, len(content)):
        chunks = [content[at : at + chunk_bytes] for at in range(0, len(content), chunk_bytes)]

        async def stream(chunks: list[bytes] = chunks):  # type: ignore[no-untyped-def]
            for chunk in chunks:
                yield chunk

        found = [part async for part in parts(stream(), 1024, len(content))]
        assert [part.offset for part in found] == list(range(0, len(content), 1024))
        assert [len(part.data) for part in found] == [1024] * 10
        assert [part.is_last for part in found] == [False] * 9 + [True]
        assert b"".join(part.data for part in found) == content


def test_parts_of_unknown_size_grow() -> None:
    growing, steady = Growing(2), Growing(None)
    given = [growing.take(Part(at, b"x", is_last=at == 30)) for at in range(31)]
    assert [len(data) for data in given if data is not None] == [1, 1, 2, 2, 4, 4, 8, 8, 1]
    assert [steady.take(Part(at, b"x", is_last=False)) for at in range(5)] == [b"x"] * 5


async def test_no_more_than_so_many_are_on_their_way_and_fewer_large_ones() -> None:
    running, most = 0, 0

    async def send(release: asyncio.Event) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1

    for size_bytes, at_once in ((1, 3), (16 * MIB, 2), (64 * MIB, 1)):
        most, release, sending = 0, asyncio.Event(), InFlight(3)
        for _ in range(at_once):
            await sending.start(size_bytes, send, release)
        one_more = asyncio.create_task(sending.start(size_bytes, send, release))
        await asyncio.sleep(0)
        assert not one_more.done()
        release.set()
        await one_more
        await sending.finish()
        assert (most, running) == (at_once, 0)


async def test_a_failure_is_raised_and_stopping_tells_whether_something_was_cut() -> None:
    sending = InFlight(2)

    async def fail() -> None:
        raise ValueError("no")

    await sending.start(1, fail)
    with pytest.raises(ValueError, match="no"):
        await sending.finish()
    assert not await sending.stop()
    await sending.start(1, asyncio.Event().wait)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert await sending.stop()
    await sending.finish()
