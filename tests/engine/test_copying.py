import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from migration.actions import OutcomeWord, VerificationLevel
from migration.capabilities import Capabilities
from migration.contract import Stored
from migration.copying import CopyPoint
from migration.entries import Entry, PathParts
from migration.errors import BudgetExhausted, FatalError, ItemError, RetryableError
from migration.patience import FAILURES_MAX
from tests.engine.memory_system import MemorySystem
from tests.engine.support import MODIFIED, Bench, Body, ScriptedSource, WaitingClock, a_job, cut, pattern

CONTENT = pattern(500_000)
FILES = {"a.pdf": CONTENT, "b.pdf": b"b" * 20_000, "empty.txt": b""}


async def test_files_are_copied_with_their_times_and_every_one_has_its_outcome(tmp_path: Path) -> None:
    source = ScriptedSource(dict(FILES))
    bench = Bench(tmp_path, source)
    works = [source.work("a.pdf"), source.work("b.pdf", "b_.pdf", renamed=True), source.work("empty.txt")]
    async with bench.transfer() as (transfer, ledger, run):
        result = await transfer.run_batch(works)
        assert result.counts == {OutcomeWord.SUCCEEDED: 2, OutcomeWord.REVISED: 1}
        assert (result.bytes_copied, result.done_before) == (520_000, 0)
        await ledger.export(run.run_id, run.paths.outcomes)
        assert await transfer.pending(works) == []
        again = await transfer.run_batch(works)
        assert (again.counts, again.done_before) == ({}, 3)
    assert bench.found() == {"a.pdf": CONTENT, "b_.pdf": FILES["b.pdf"], "empty.txt": b""}
    assert {path.stat().st_mtime_ns for path in bench.root.iterdir()} == {1_715_934_601_250_000_000}
    rows = {row["destination_name"]: row for row in pq.read_table(run.paths.outcomes).to_pylist()}
    assert {name: (row["word"], row["bytes_copied"], row["attempt"]) for name, row in rows.items()} == {
        "a.pdf": ("succeeded", 500_000, 1),
        "b_.pdf": ("revised", 20_000, 1),
        "empty.txt": ("succeeded", 0, 1),
    }
    assert rows["a.pdf"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert rows["a.pdf"]["destination_modified_at"] == MODIFIED
    assert rows["a.pdf"]["verification"] == VerificationLevel.SENT_HASH
    assert (bench.told[-1].files_done, bench.told[-1].bytes_done) == (3, 520_000)


async def test_the_points_of_the_protocol_come_in_their_order(tmp_path: Path) -> None:
    source = ScriptedSource({"b.pdf": FILES["b.pdf"]})
    bench = Bench(tmp_path, source)
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch([source.work("b.pdf")])
    assert [point for point, _ in bench.points] == list(CopyPoint)


LOST = [cut(100_000) for _ in range(FAILURES_MAX)]
SHORT = [Body(serve=400_000) for _ in range(FAILURES_MAX)]
LONG = [Body(extra=b"more") for _ in range(FAILURES_MAX)]


@pytest.mark.parametrize(
    ("answers", "ranges", "expected", "offsets"),
    [
        ([], True, "succeeded", [0]),
        ([cut(100_000)], True, "succeeded", [0, 100_000]),
        ([cut(100_000)], False, "succeeded", [0, 0]),
        ([cut(0), cut(0), cut(70_000), cut(0)], True, "succeeded", [0, 0, 0, 70_000, 70_000]),
        ([Body(serve=400_000)], True, "succeeded", [0, 400_000]),
        ([Body(serve=400_000)], False, "succeeded", [0, 0]),
        ([Body(extra=b"more")], True, "succeeded", [0, 0]),
        (LOST, True, "retrying connection-lost", [0, 100_000, 200_000, 300_000, 400_000]),
        (LOST, False, "retrying connection-lost", [0] * FAILURES_MAX),
        (SHORT, False, "retrying short-body", [0] * FAILURES_MAX),
        (LONG, True, "retrying long-body", [0] * FAILURES_MAX),
        ([Body(100_000, ItemError("source-changed", "It has a new version."))], True, "flagged source-changed", [0]),
        ([Body(0, ItemError("not-found", "It is gone."))], True, "flagged not-found", [0]),
        ([cut(100_000, retry_after_seconds=600)], True, "retrying connection-lost", [0]),
    ],
)  # fmt: skip
async def test_faults_of_the_source(
    tmp_path: Path, answers: list[Body], ranges: bool, expected: str, offsets: list[int]
) -> None:
    source = ScriptedSource({"a.pdf": CONTENT}, ranges, {"a.pdf": list(answers)})
    bench = Bench(tmp_path, source)
    works = [source.work("a.pdf")]
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch(works)
    assert await bench.words(works) == {"a.pdf": expected}
    assert [offset for _, offset, _ in source.opened] == offsets
    assert bench.found() == ({"a.pdf": CONTENT} if expected == "succeeded" else {})
    assert bench.told[-1].bytes_done == (len(CONTENT) if expected == "succeeded" else 0)


async def test_a_wait_the_system_asks_for_is_waited(tmp_path: Path) -> None:
    source = ScriptedSource({"a.pdf": CONTENT}, script={"a.pdf": [cut(10, retry_after_seconds=7.5)]})
    bench = Bench(tmp_path, source)
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch([source.work("a.pdf")])
    assert bench.clock.slept == [7.5]


async def test_a_file_that_is_retrying_is_tried_again_by_the_next_batch_and_process(tmp_path: Path) -> None:
    source = ScriptedSource({"a.pdf": CONTENT}, False, {"a.pdf": [*SHORT, *SHORT]})
    bench = Bench(tmp_path, source)
    works = [source.work("a.pdf")]
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch(works)
        assert await transfer.pending(works) == works
        await transfer.run_batch(works)
    async with bench.transfer() as (transfer, ledger, run):
        await transfer.run_batch(works)
        assert (await ledger.latest(run.run_id))[works[0].action.action_id].attempt == 3
    assert await bench.words(works) == {"a.pdf": "succeeded"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size_bytes": None}, "succeeded"),
        ({"size_bytes": 400_000}, "retrying long-body"),
        ({"size_bytes": 600_000}, "retrying short-body"),
        ({"checksums": {"sha256": hashlib.sha256(CONTENT).hexdigest()}}, "succeeded"),
        ({"checksums": {"sha256": "00" * 32}}, "retrying checksum-differs"),
    ],
)
async def test_what_was_listed_must_be_what_is_read(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    source = ScriptedSource({"a.pdf": CONTENT}, ranges=False)
    bench = Bench(tmp_path, source)
    works = [source.work("a.pdf", **changes)]
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch(works)
    assert await bench.words(works) == {"a.pdf": expected}
    assert bench.found() == ({"a.pdf": CONTENT} if expected == "succeeded" else {})


async def expected_entry(bench: Bench, name: str) -> Entry:
    async with bench.connector() as connector:
        found = await connector.stat(("copied", name))
    assert found is not None
    return found


@pytest.mark.parametrize("size", [20_000, 40_000_000])
async def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path, size: int) -> None:
    source = ScriptedSource({"a.pdf": pattern(size)})
    bench = Bench(tmp_path, source)
    bench.root.mkdir(parents=True)
    (bench.root / "a.pdf").write_bytes(b"somebody else's")
    works = [source.work("a.pdf")]
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch(works)
    assert (await bench.words(works))["a.pdf"].startswith("flagged ")
    assert bench.found() == {"a.pdf": b"somebody else's"}
    assert len(source.opened) == (1 if size < 32_000_000 else 0)


async def test_a_file_is_replaced_only_as_the_plan_saw_it(tmp_path: Path) -> None:
    source = ScriptedSource({"a.pdf": CONTENT, "b.pdf": CONTENT})
    bench = Bench(tmp_path, source)
    bench.root.mkdir(parents=True)
    works = []
    for name in ("a.pdf", "b.pdf"):
        (bench.root / name).write_bytes(b"older")
        works.append(source.work(name, expected=await expected_entry(bench, name)))
    (bench.root / "b.pdf").write_bytes(b"changed by somebody")
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch(works)
    words = await bench.words(works)
    assert words["a.pdf"] == "succeeded"
    assert words["b.pdf"].startswith("flagged ")
    assert bench.found() == {"a.pdf": CONTENT, "b.pdf": b"changed by somebody"}


async def test_a_file_without_its_folder_is_flagged_and_the_others_go_on(tmp_path: Path) -> None:
    source = ScriptedSource({"x/a.pdf": CONTENT, "b.pdf": CONTENT})
    bench = Bench(tmp_path, source)
    works = [source.work("x/a.pdf"), source.work("b.pdf")]
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch(works)
    assert await bench.words(works) == {"x/a.pdf": "flagged parent-missing", "b.pdf": "succeeded"}


@pytest.mark.parametrize(
    "error",
    [
        BudgetExhausted("The hourly calls are used up"),
        FatalError("credentials-refused", "No."),
        RuntimeError("a bug"),
    ],
)
async def test_what_ends_the_run_leaves_the_rest_pending(tmp_path: Path, error: Exception) -> None:
    source = ScriptedSource({f"{number}.pdf": CONTENT for number in range(6)}, script={"2.pdf": [Body(9, error)]})
    bench = Bench(tmp_path, source, a_job(performance={"parallel_writes": 1}), WaitingClock())
    works = [source.work(name) for name in source.contents]
    async with bench.transfer() as (transfer, _, _):
        with pytest.raises(type(error)) as told:
            await transfer.run_batch(works)
        with pytest.raises(type(error)):
            await transfer.run_batch(works[4:])
    assert told.value is error
    assert list((await bench.words(works)).values()) == ["succeeded"] * 2 + ["pending"] * 4
    assert bench.found() == {"0.pdf": CONTENT, "1.pdf": CONTENT}


async def test_the_failure_policy_halt_ends_the_run_after_the_first_failure(tmp_path: Path) -> None:
    script = {"1.pdf": [Body(0, ItemError("not-found", "Gone."))]}
    source = ScriptedSource({f"{number}.pdf": CONTENT for number in range(4)}, script=script)
    job = a_job(performance={"parallel_writes": 1}, rules={"failure_policy": "halt"})
    bench = Bench(tmp_path, source, job)
    works = [source.work(name) for name in source.contents]
    async with bench.transfer() as (transfer, _, _):
        with pytest.raises(FatalError, match="not-found"):
            await transfer.run_batch(works)
    words = await bench.words(works)
    assert words["1.pdf"] == "flagged not-found"
    async with bench.transfer() as (transfer, _, _):
        await transfer.run_batch(works)
    assert await bench.words(works) == dict.fromkeys(source.contents, "succeeded") | {"1.pdf": words["1.pdf"]}


async def test_concurrent_batches_share_the_limit_of_files_in_flight(tmp_path: Path) -> None:
    source = ScriptedSource({f"{number}.pdf": b"x" * 200_000 for number in range(40)})
    bench = Bench(tmp_path, source, a_job(performance={"parallel_writes": 3}))
    works = [source.work(name) for name in source.contents]
    async with bench.transfer() as (transfer, _, _):
        await asyncio.gather(*(transfer.run_batch(works[start::4]) for start in range(4)))
    assert source.most_in_flight == 3
    assert len(bench.found()) == 40


async def test_a_full_disk_stops_the_run(tmp_path: Path) -> None:
    source = ScriptedSource({"a.pdf": CONTENT})
    bench = Bench(tmp_path, source)
    works = [source.work("a.pdf")]

    async with bench.connector() as destination, bench.transfer(Full(destination)) as (transfer, _, _):
        with pytest.raises(FatalError) as told:
            await transfer.run_batch(works)
    assert told.value.code == "disk-full"
    assert await bench.words(works) == {"a.pdf": "pending"}


class Full:
    """A destination whose disk fills up while it writes."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def __aenter__(self) -> "Full":
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    async def put(self, path: Any, chunks: Any, **more: Any) -> Any:
        async for _ in chunks:
            raise FatalError("disk-full", f"The disk of {os.fspath('/'.join(path))} is full.")


async def test_a_passing_fault_of_the_destination_starts_the_file_again(tmp_path: Path) -> None:
    source = ScriptedSource({"a.pdf": CONTENT})
    bench = Bench(tmp_path, source)

    class Flaky(Full):
        faults = 2

        async def put(self, path: Any, chunks: Any, **more: Any) -> Any:
            if self.faults:
                self.faults -= 1
                async for _ in chunks:
                    raise RetryableError("io-error", "The disk did not answer.")
            return await self._inner.put(path, chunks, **more)

    async with bench.connector() as destination, bench.transfer(Flaky(destination)) as (transfer, _, _):
        result = await transfer.run_batch([source.work("a.pdf")])
    assert result.counts == {OutcomeWord.SUCCEEDED: 1}
    assert bench.found() == {"a.pdf": CONTENT}
    assert bench.told[-1].bytes_done == len(CONTENT)


class LosesAnswers(MemorySystem):
    """Publishes, and then tells nobody; `change` happens to what was published before the next try."""

    lost = 1

    async def put(self, path: PathParts, chunks: AsyncIterator[bytes], **more: Any) -> Stored:
        stored = await super().put(path, chunks, **more)
        if self.lost:
            self.lost -= 1
            self.change(path)
            raise RetryableError("publish-unknown", "The answer was lost.")
        return stored

    def change(self, path: PathParts) -> None: ...


class SomebodyElseWrites(LosesAnswers):
    def change(self, path: PathParts) -> None:
        self.kept[path].content = b"x" * len(CONTENT)


@pytest.mark.parametrize(
    ("destination", "word", "content"),
    [
        (LosesAnswers(), OutcomeWord.SUCCEEDED, CONTENT),
        (SomebodyElseWrites(), OutcomeWord.FLAGGED, b"x" * len(CONTENT)),
    ],
)
async def test_a_file_whose_publishing_was_not_answered_is_recognised_and_not_copied_twice(
    tmp_path: Path, destination: LosesAnswers, word: OutcomeWord, content: bytes
) -> None:
    source = ScriptedSource({"a.pdf": CONTENT})
    bench = Bench(tmp_path, source)
    await destination.make_folder(("copied",))
    async with bench.transfer(destination) as (transfer, _, _):
        result = await transfer.run_batch([source.work("a.pdf")])
    assert result.counts == {word: 1}
    assert destination.kept["copied", "a.pdf"].content == content
    assert destination.lost == 0


class Rewrites(MemorySystem):
    """Stores something else for Word files, as SharePoint does."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, rewritten_suffixes=frozenset({".docx"}))

    async def put(self, path: PathParts, chunks: AsyncIterator[bytes], **more: Any) -> Stored:
        stored = await super().put(path, chunks, **more)
        settled = b"<properties/>" + (self.kept[path].content or b"")
        self.kept[path].content = settled
        return replace(stored, size_bytes=len(settled), stored_sha256=hashlib.sha256(settled).hexdigest())


async def test_what_the_destination_makes_of_a_file_is_recorded_beside_what_was_sent(tmp_path: Path) -> None:
    source = ScriptedSource({"a.docx": CONTENT, "b.pdf": CONTENT})
    bench, destination = Bench(tmp_path, source), Rewrites()
    await destination.make_folder(("copied",))
    works = [source.work("a.docx"), source.work("b.pdf")]
    async with bench.transfer(destination) as (transfer, ledger, run):
        result = await transfer.run_batch(works)
        await ledger.export(run.run_id, run.paths.outcomes)
        assert await bench.words(works) == {"a.docx": "succeeded", "b.pdf": "flagged stored-content-differs"}
    assert result.counts == {OutcomeWord.SUCCEEDED: 1, OutcomeWord.FLAGGED: 1}
    (row,) = (row for row in pq.read_table(run.paths.outcomes).to_pylist() if row["word"] == "succeeded")
    settled = destination.kept["copied", "a.docx"].content or b""
    assert row["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert row["settled_sha256"] == hashlib.sha256(settled).hexdigest()
    assert row["bytes_copied"] == len(settled)
