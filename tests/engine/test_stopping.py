import asyncio
from pathlib import Path

import pytest

from migration.errors import StoppedResumable
from tests.engine.support import Bench, Body, QuickClock, ScriptedSource, a_job, pattern

CONTENT = pattern(500_000)


class StandingClock(QuickClock):
    """A clock on which no wait ever ends."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


async def test_stop_lets_what_is_in_flight_finish(tmp_path: Path) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()
    script = {"0.pdf": [Body(gate=gate, begun=begun)]}
    source = ScriptedSource({f"{number}.pdf": CONTENT for number in range(4)}, script=script)
    bench = Bench(tmp_path, source, a_job(performance={"parallel_writes": 1}), clock=StandingClock())
    works = [source.work(name) for name in source.contents]
    async with bench.transfer() as (transfer, _, _):
        batch = asyncio.create_task(transfer.run_batch(works))
        await begun.wait()
        transfer.stop("asked to")
        gate.set()
        with pytest.raises(StoppedResumable, match="asked to"):
            await batch
    assert list((await bench.words(works)).values()) == ["succeeded", "pending", "pending", "pending"]
    assert bench.found() == {"0.pdf": CONTENT}


@pytest.mark.parametrize("how", ["stop", "cancel"])
async def test_what_does_not_finish_in_time_is_undone(tmp_path: Path, how: str) -> None:
    begun = asyncio.Event()
    script = {"0.pdf": [Body(gate=asyncio.Event(), begun=begun)]}
    source = ScriptedSource({"0.pdf": CONTENT, "1.pdf": CONTENT}, script=script)
    bench = Bench(tmp_path, source, a_job(performance={"parallel_writes": 2}))
    works = [source.work(name) for name in source.contents]
    async with bench.transfer() as (transfer, _, _):
        batch = asyncio.create_task(transfer.run_batch(works[:1]))
        await begun.wait()
        await transfer.run_batch(works[1:])
        if how == "stop":
            transfer.stop("asked to")
        else:
            batch.cancel()
        with pytest.raises(StoppedResumable if how == "stop" else asyncio.CancelledError):
            await batch
    assert list((await bench.words(works)).values()) == ["pending", "succeeded"]
    assert bench.found() == {"1.pdf": CONTENT}
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch(works)
    assert list((await bench.words(works)).values()) == ["succeeded", "succeeded"]
    assert (bench.told[-1].files_done, bench.told[-1].bytes_done) == (1, len(CONTENT))


async def test_what_dead_processes_left_staged_is_swept_once(tmp_path: Path) -> None:
    source = ScriptedSource({"a.pdf": CONTENT})
    bench = Bench(tmp_path, source)
    left = bench.root / f".sitehaul-{'ab' * 16}.part"
    bench.root.mkdir(parents=True)
    left.write_bytes(b"half")
    async with bench.transfer() as (_, _, run):
        assert left.exists()
        assert not run.after_crash
    async with bench.transfer() as (_, _, run):
        assert run.after_crash
        assert not left.exists()
        assert not run.record.staged_may_be_left
