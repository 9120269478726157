import hashlib
import math
from pathlib import Path

import pytest

from migration import ranges
from migration.errors import FatalError, ItemError
from migration.ranges import JUDGED_BYTES, PIECE_BYTES
from tests.engine.support import CHUNK, Bench, Body, ScriptedSource, a_job, cut, pattern

SIZE = 9 * PIECE_BYTES + 12_345
CONTENT = pattern(SIZE)
NAME = "large.zip"
STREAMED = CHUNK + JUDGED_BYTES
"""How much is read as one stream until it can be found slow."""


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stream is fast enough."""
    monkeypatch.setattr(ranges, "FAST_BYTES_PER_SECOND", math.inf)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream is fast enough, however busy the machine is."""
    monkeypatch.setattr(ranges, "FAST_BYTES_PER_SECOND", 0)


def a_bench(folder: Path, **source: object) -> tuple[Bench, ScriptedSource]:
    scripted = ScriptedSource({NAME: CONTENT}, **source)  # type: ignore[arg-type]
    return Bench(folder, scripted, a_job(performance={"range_connections": 3})), scripted


@pytest.mark.usefixtures("slow")
async def test_a_large_file_of_a_slow_source_is_read_by_pieces_over_several_connections(tmp_path: Path) -> None:
    bench, source = a_bench(tmp_path)
    work = source.work(NAME)
    async with bench.transfer() as (transfer, ledger, run):
        await transfer.run_batch([work])
        assert (await ledger.staged(run.run_id))[work.action.action_id].sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert bench.found() == {NAME: CONTENT}
    assert source.opened[0] == (NAME, 0, None)
    assert sorted(source.opened[1:]) == [
        (NAME, start, min(PIECE_BYTES, SIZE - start)) for start in range(STREAMED, SIZE, PIECE_BYTES)
    ]
    assert source.most_in_flight == 3
    assert bench.told[-1].bytes_done == SIZE


@pytest.mark.usefixtures("fast")
async def test_a_large_file_of_a_fast_source_is_one_stream(tmp_path: Path) -> None:
    bench, source = a_bench(tmp_path)
    work = source.work(NAME)
    async with bench.transfer() as (transfer, ledger, run):
        await transfer.run_batch([work])
        assert (await ledger.staged(run.run_id))[work.action.action_id].sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert bench.found() == {NAME: CONTENT}
    assert source.opened == [(NAME, 0, None)]


@pytest.mark.parametrize("without", [{"ranges": False}, {}])
async def test_without_ranges_or_with_one_connection_it_is_one_stream(
    tmp_path: Path, without: dict[str, object]
) -> None:
    bench, source = a_bench(tmp_path, **without)
    if not without:
        bench.job = a_job(performance={"range_connections": 1})
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch([source.work(NAME)])
    assert bench.found() == {NAME: CONTENT}
    assert source.opened == [(NAME, 0, None)]


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([cut(100_000)], "succeeded"),
        ([cut(0), cut(100_000), Body(serve=5)], "succeeded"),
        ([Body(extra=b"more")], "succeeded"),
        ([cut(100_000) for _ in range(40)], "retrying connection-lost"),
        ([Body(), Body(100, ItemError("source-changed", "New."))], "flagged source-changed"),
    ],
)
async def test_faults_inside_pieces(tmp_path: Path, answers: list[Body], expected: str) -> None:
    bench, source = a_bench(tmp_path, script={NAME: answers})
    works = [source.work(NAME)]
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch(works)
    assert await bench.words(works) == {NAME: expected}
    assert bench.found() == ({NAME: CONTENT} if expected == "succeeded" else {})
    assert bench.told[-1].bytes_done == (SIZE if expected == "succeeded" else 0)


@pytest.mark.usefixtures("slow")
async def test_a_fatal_error_of_one_piece_ends_the_run_and_leaves_nothing(tmp_path: Path) -> None:
    answers = [Body(), Body(100, FatalError("credentials-refused", "No.")), cut(5)]
    bench, source = a_bench(tmp_path, script={NAME: answers})
    async with bench.transfer() as (transfer, _, _):
        with pytest.raises(FatalError):
            await transfer.run_batch([source.work(NAME)])
    assert bench.found() == {}


@pytest.mark.usefixtures("slow")
async def test_content_in_memory_stays_within_the_limit(tmp_path: Path) -> None:
    names = ["one.zip", "two.zip", "three.zip"]
    content = CONTENT[: STREAMED + 8 * PIECE_BYTES]
    source = ScriptedSource(dict.fromkeys(names, content))
    job = a_job(performance={"range_connections": 4, "bytes_in_memory_max": 2 * PIECE_BYTES})
    bench = Bench(tmp_path, source, job)
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch([source.work(name) for name in names])
    assert source.most_in_flight == 2
    assert bench.found() == dict.fromkeys(names, content)
