import asyncio

import pytest

from migration.memory import BytePool


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_who_asks_first_is_served_first_and_never_more_than_the_limit() -> None:
    pool, served = BytePool(10), []

    async def ask(name: str, size_bytes: int) -> int:
        taken = await pool.take(size_bytes)
        served.append(name)
        return taken

    first = await ask("first", 6)
    tasks = [asyncio.create_task(ask(name, size)) for name, size in (("large", 8), ("small", 1))]
    await settled()
    assert served == ["first"]
    pool.give_back(first)
    await settled()
    assert served == ["first", "large", "small"]
    assert [await task for task in tasks] == [8, 1]


async def test_a_request_beyond_the_limit_gets_the_limit() -> None:
    pool = BytePool(10)
    assert await pool.take(1000) == 10
    pool.give_back(10)
    async with pool.held(10_000):
        pass
    assert await pool.take(10) == 10


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    pool = BytePool(10)
    first = await pool.take(10)
    large = asyncio.create_task(pool.take(10))
    small = asyncio.create_task(pool.take(5))
    await settled()
    large.cancel()
    await settled()
    pool.give_back(first)
    assert await small == 5
    with pytest.raises(asyncio.CancelledError):
        await large


async def test_what_was_granted_to_a_cancelled_waiter_comes_back() -> None:
    pool = BytePool(10)
    first = await pool.take(10)
    waiting = asyncio.create_task(pool.take(10))
    await settled()
    pool.give_back(first)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await pool.take(10) == 10
