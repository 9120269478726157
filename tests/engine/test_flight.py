import asyncio

import pytest

from migration.clock import SystemClock
from migration.flight import Flight, Slot


async def test_a_step_that_has_released_its_slot_lets_the_next_one_begin() -> None:
    second_began = asyncio.Event()

    async def carry(step: int, slot: Slot) -> int:
        if step == 1:
            slot.release()
            await second_began.wait()
        else:
            second_began.set()
        return step

    finished: list[int] = []

    async def finish(step: int) -> None:
        finished.append(step)

    await asyncio.wait_for(Flight(1, SystemClock()).run([1, 2], carry, finish), 10)
    assert sorted(finished) == [1, 2]


@pytest.mark.parametrize("tries", [1, 3])
async def test_a_slot_that_is_held_again_counts_again(tries: int) -> None:
    in_flight = most = 0

    async def carry(step: int, slot: Slot) -> int:
        nonlocal in_flight, most
        for _ in range(tries):
            await slot.hold()
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(0)
            in_flight -= 1
            slot.release()
            slot.release()
            await asyncio.sleep(0)
        return step

    async def finish(step: int) -> None:
        del step

    await asyncio.wait_for(Flight(2, SystemClock()).run(range(20), carry, finish), 10)
    assert most == 2
