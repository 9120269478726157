import os
import random
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.filesystem.connector import FilesystemConnector
from connectors.filesystem.settings import FilesystemSettings
from connectors.shared.services import Services
from migration.errors import BudgetExhausted, ItemError
from migration.runs import RunState
from tests.engine.support import Bench, Body, QuickClock, ScriptedSource, WaitingClock, a_job, cut, pattern
from tests.engine.whole import accounted_run, whole_run


def contents(count: int) -> dict[str, bytes]:
    return {f"Folder {number % 7}/sub/{number}.bin": pattern(number * 97, number) for number in range(count)}


async def test_a_second_run_without_changes_copies_nothing(tmp_path: Path) -> None:
    source = ScriptedSource(contents(60))
    bench = Bench(tmp_path, source)
    account, found = await accounted_run(bench)
    assert account.adds_up
    assert account.total.files["succeeded"] == 60
    assert found.clean
    opened = len(source.opened)
    again, found = await accounted_run(bench)
    assert (again.adds_up, again.total.files["skipped"], found.files) == (True, 60, 0)
    assert len(source.opened) == opened
    assert len(bench.state.runs()) == 2


async def test_what_faults_leave_is_named_and_all_adds_up(tmp_path: Path) -> None:
    """One file in five misbehaves, some of them for good."""
    chance = random.Random(3)
    source = ScriptedSource(contents(200))
    gone, broken = set(), set()
    for name in chance.sample(sorted(source.contents), 40):
        kind = chance.choice(["cut", "short", "gone", "broken"])
        if kind == "cut":
            source.script[name] = [cut(chance.randrange(100)) for _ in range(3)]
        elif kind == "short":
            source.script[name] = [Body(serve=0)]
        elif kind == "gone":
            source.script[name] = [Body(0, ItemError("not-found", "Gone."))]
            gone.add(name)
        else:
            source.script[name] = [cut(0) for _ in range(20)]
            broken.add(name)
    assert gone
    assert broken
    bench = Bench(tmp_path, source)
    account, found = await accounted_run(bench)
    assert account.adds_up
    assert account.total.files == {
        "succeeded": 200 - len(gone) - len(broken), "revised": 0, "skipped": 0,
        "flagged": len(gone), "retrying": len(broken), "pending": 0,
    }  # fmt: skip
    assert found.clean
    expected = {name: content for name, content in source.contents.items() if name not in gone | broken}
    assert bench.found() == expected
    source.script.clear()
    account, _ = await accounted_run(bench)
    assert account.total.files["succeeded"] == len(gone) + len(broken)
    assert bench.found() == source.contents


async def test_a_run_without_calls_left_stops_and_the_next_one_continues_its_plan(tmp_path: Path) -> None:
    source = ScriptedSource(contents(50))
    stop = BudgetExhausted("The hourly calls are used up", resume_at=QuickClock().now() + timedelta(hours=1))
    name = sorted(source.contents)[20]
    source.script[name] = [Body(0, stop)]
    bench = Bench(tmp_path, source, a_job(performance={"parallel_writes": 2}), WaitingClock())
    with pytest.raises(BudgetExhausted):
        await whole_run(bench)
    before = bench.found()
    assert 0 < len(before) < 50
    source.opened.clear()
    account, found = await accounted_run(bench)
    assert (account.adds_up, account.total.files["succeeded"], found.clean) == (True, 50, True)
    assert {opened for opened, _, _ in source.opened} == set(source.contents) - set(before)
    assert len(bench.state.runs()) == 1


def hostile_tree(origin: Path) -> int:
    """Make files with names that break programs; how many."""
    names = ["plain.pdf", "tab\tand\nnewline", "ünï.txt", "u\u0308ni.txt", "CON.txt", "trailing. ", "-rf", "😀.jpg"]
    names += ["a" * 240, os.fsdecode(b"not-utf8-\xff.bin")]
    for number, name in enumerate(names):
        folder = origin / f"dir {number}" / "deep"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(pattern(number * 1000, number))
        os.utime(folder / name, ns=(0, 1_600_000_000_123_456_789 + number))
    return len(names)


async def test_files_on_disk_are_copied_with_every_name_a_disk_can_hold(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    count = hostile_tree(origin)
    clock = QuickClock()
    bench = Bench(tmp_path, FilesystemConnector(FilesystemSettings(folder=origin), Services()), clock=clock)
    account, found = await accounted_run(bench)
    assert account.adds_up
    assert account.total.files["succeeded"] == count
    assert found.clean
    for path in (path for path in origin.rglob("*") if path.is_file()):
        copied = bench.root / path.relative_to(origin)
        assert copied.read_bytes() == path.read_bytes()
        assert copied.stat().st_mtime_ns // 1000 == path.stat().st_mtime_ns // 1000
    again, _ = await accounted_run(bench)
    assert again.total.files["skipped"] == count
    assert bench.state.runs()[-1].run_record.is_file()
    assert RunState.FINISHED.value in bench.state.runs()[-1].run_record.read_text()
