"""Earlier versions of one file go to one path in their order, whatever happens to some of them."""

import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from migration.actions import ActionKind, action_id_of
from migration.batches import Work
from migration.contract import Stored
from migration.entries import Entry, PathParts, Ref
from migration.errors import ItemError
from migration.patience import FAILURES_MAX
from migration.version_copies import in_rounds, numbered
from migration.versions import EARLIER, EARLIER_AS_FILE
from tests.engine.memory_system import MemorySystem
from tests.engine.support import MODIFIED, Bench, Body, ScriptedSource, a_job, cut

PATH = ("copied", "a.pdf")
CONTENTS = {"a.pdf": b"third", "a.pdf~1": b"first", "a.pdf~2": b"second one", "b.pdf": b"alone"}


@dataclass
class VersionedSource(ScriptedSource):
    """Keeps the versions of `name` under `name~1`, `name~2` …"""

    asked: list[str] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        self.asked.append(entry.name)
        names = [*(name for name in sorted(self.contents) if name.startswith(f"{entry.name}~")), entry.name]
        return tuple(
            replace(self.entry(name), ref=Ref(self.system, entry.name, str(number)), version_number=number)
            for number, name in enumerate(names, start=1)
            if name not in self.lost
        )


class KeepingSystem(MemorySystem):
    """Remembers what was put at each path, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[PathParts, list[bytes]] = {}

    async def put(self, path: PathParts, *arguments: Any, **named: Any) -> Stored:
        stored = await super().put(path, *arguments, **named)
        self.history.setdefault(path, []).append(self.kept[path].content or b"")
        return stored


def chain(source: VersionedSource, reason: str = EARLIER) -> list[Work]:
    """The steps of a.pdf with its two earlier versions, as `load_batches` gives them."""
    current = source.work("a.pdf")
    works: list[Work] = []
    for number in (1, 2):
        path = ("a.pdf",) if reason == EARLIER else (f"a (v{number}).pdf",)
        action = replace(
            current.action,
            action_id=action_id_of(source.system, "a.pdf", f"version {number}", path),
            kind=ActionKind.ADD_VERSION, destination_path=path, accounts=False, version_number=number,
            size_bytes=None, modified_at=None, reason=reason, renamed=reason != EARLIER,
        )  # fmt: skip
        works.append(Work(action, current.entry))
    if reason != EARLIER:
        return [*works, current]
    ids = [work.action.action_id for work in works]
    return [works[0], replace(works[1], follows=(ids[0],)), replace(current, follows=(ids[0], ids[1]))]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, VersionedSource(dict(CONTENTS)), a_job())


def source_of(bench: Bench) -> VersionedSource:
    assert isinstance(bench.source, VersionedSource)
    return bench.source


async def test_versions_come_in_order_and_are_read_once(bench: Bench) -> None:
    source, system = source_of(bench), KeepingSystem()
    works = [*chain(source), source.work("b.pdf")]
    async with bench.transfer(system) as (transfer, _, _):
        result = await transfer.run_batch(works)
        again = await transfer.run_batch(works)
    assert system.history[PATH] == [b"first", b"second one", b"third"]
    assert source.asked == ["a.pdf"]
    assert (result.done_before, again.done_before) == (0, 4)


async def test_what_waits_for_another_try_holds_back_what_is_newer(bench: Bench) -> None:
    source, system = source_of(bench), KeepingSystem()
    source.script["a.pdf~2"] = [cut(0)] * FAILURES_MAX
    works = [*chain(source), source.work("b.pdf")]
    async with bench.transfer(system) as (transfer, _, _):
        await transfer.run_batch(works)
        assert system.history == {PATH: [b"first"], ("copied", "b.pdf"): [b"alone"]}
    async with bench.transfer(system) as (transfer, _, _):
        todo = await transfer.pending(works)
        assert [work.action.version_number for work in todo] == [2, None]
        await transfer.run_batch(todo)
    assert system.history[PATH] == [b"first", b"second one", b"third"]


async def test_a_version_that_cannot_be_had_does_not_hold_up_the_file(bench: Bench) -> None:
    source, system = source_of(bench), KeepingSystem()
    source.script["a.pdf~1"] = [Body(0, ItemError("permission-denied", "No."))]
    source.lost = {"a.pdf~2"}
    works = chain(source)
    async with bench.transfer(system) as (transfer, ledger, run):
        await transfer.run_batch(works)
        latest = await ledger.latest(run.run_id)
    assert system.history[PATH] == [b"third"]
    told = [latest[work.action.action_id] for work in works]
    assert [(one.word.value, one.reason) for one in told] == [
        ("flagged", "permission-denied"),
        ("skipped", "version-gone"),
        ("succeeded", None),
    ]


async def test_what_somebody_puts_between_two_versions_stays(bench: Bench) -> None:
    source, system = source_of(bench), KeepingSystem()
    source.script["a.pdf~2"] = [cut(0)] * FAILURES_MAX
    works = chain(source)
    async with bench.transfer(system) as (transfer, ledger, run):
        await transfer.run_batch(works)
        system.kept[PATH] = replace(system.kept[PATH], number=999, content=b"somebody's")
        await transfer.run_batch(works)
        latest = await ledger.latest(run.run_id)
    assert system.kept[PATH].content == b"somebody's"
    assert [latest[work.action.action_id].reason for work in works[1:]] == ["destination-changed"] * 2


@pytest.mark.parametrize(
    ("there", "modified", "told"),
    [
        (b"first", MODIFIED, "already-there"),
        (b"FIRST!", MODIFIED, "another-file-there"),
        (b"FIRST", None, "another-file-there"),
    ],
)
async def test_what_is_at_the_place_of_a_version_is_compared_and_left(
    bench: Bench, there: bytes, modified: Any, told: str
) -> None:
    source, system = source_of(bench), KeepingSystem()
    place = ("copied", "a (v1).pdf")
    await system.make_folder(("copied",))
    system.kept[place] = replace(system.kept["copied",], number=77, content=there, modified_at=modified)
    found = await system.stat(place)
    assert found is not None
    first, *others = chain(source, EARLIER_AS_FILE)
    works = [replace(first, action=replace(first.action, expected=replace(found, path=place[1:]))), *others]
    async with bench.transfer(system) as (transfer, ledger, run):
        await transfer.run_batch(works)
        latest = await ledger.latest(run.run_id)
    assert latest[works[0].action.action_id].reason == told
    assert system.kept[place].content == there
    assert system.history == {("copied", "a (v2).pdf"): [b"second one"], PATH: [b"third"]}


def test_rounds_keep_the_order_of_each_path() -> None:
    source = VersionedSource(dict(CONTENTS))
    works = [*chain(source), source.work("b.pdf")]
    assert in_rounds(works) == [[works[0], works[3]], [works[1]], [works[2]]]
    assert in_rounds([]) == []


def test_versions_without_numbers_are_counted() -> None:
    source = ScriptedSource({"a": b"1", "b": b"2"})
    assert list(numbered([source.entry("a"), source.entry("b")])) == [1, 2]
    assert list(numbered([source.entry("a", version_number=4), source.entry("b", version_number=7)])) == [4, 7]


async def test_what_was_published_before_a_process_died_is_not_put_again(bench: Bench) -> None:
    """The last thing of each step, recording it, is what is lost."""
    source, system = source_of(bench), KeepingSystem()
    works = chain(source)
    async with bench.transfer(system) as (transfer, ledger, run):
        await transfer.run_batch(works[:2])
        forgotten = works[1].action.action_id
    with sqlite3.connect(bench.state.ledger) as database:
        database.execute("DELETE FROM outcomes WHERE action_id = ? AND run_id = ?", (forgotten, run.run_id))
    async with bench.transfer(system) as (transfer, ledger, run):
        assert run.resumed
        await transfer.run_batch(works)
        latest = await ledger.latest(run.run_id)
    assert system.history[PATH] == [b"first", b"second one", b"third"]
    assert {one.word.value for one in latest.values()} == {"succeeded"}
