import multiprocessing
import random
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from migration.actions import Side
from migration.copying import CopyPoint
from tests.engine import killed_pair
from tests.engine.hand_made import Pair

pytestmark = pytest.mark.xdist_group("kills")

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.engine.killed_pair"])
AFTERWARDS = {
    Side.SOURCE: {"Q/inside": b"inside", "home": b"for the source", "new": b"new", "replaced": b"as it is now"},
    Side.DESTINATION: {
        **{f"Moved/{one}": f"renamed {one}".encode() for one in range(3)},
        "home": b"for the source",
        "new": b"new",
        "replaced": b"as it is now",
    },
}
DELETED = {*(f"deleted {one}".encode() for one in range(3)), b"deleted at the source"}


def start(folder: Path, point: str | None = None, occurrence: int = 1, *, undo: bool = False) -> int | None:
    process = PROCESSES.Process(target=killed_pair.run, args=(folder, point, occurrence), kwargs={"undo": undo})
    process.start()
    process.join(60)
    return process.exitcode


def check_nothing_is_lost(pair: Pair, before: set[bytes]) -> None:
    """Every content of before is somewhere, in the trash or out of it."""
    assert before <= {content for side in Side for content in pair.found(side, trash=True).values()}


async def check_finished(pair: Pair) -> None:
    assert {side: pair.found(side) for side in Side} == AFTERWARDS
    assert set((await pair.words()).values()) == {"succeeded"}
    assert pair.folders(Side.DESTINATION) == {"Moved"}
    rows = pq.read_table(pair.state.runs()[-1].outcomes).to_pylist()
    deleted = [row["trashed"] for row in rows if row["trashed"]]
    assert len(deleted) == len(set(deleted)) == len(DELETED) + 2, (
        "the folder and what was replaced are in the trash, too"
    )
    trash = {
        content
        for side in Side
        for name, content in pair.found(side, trash=True).items()
        if name.startswith(".sitehaul")
    }
    assert trash == DELETED | {b"as it was"}


@pytest.mark.parametrize(
    ("point", "occurrence"),
    [("started", 6), ("staged", 3), ("published", 2), ("published", 9), ("flushed", 5), ("recorded", 8)],
)
async def test_a_kill_at_any_point_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, point: str, occurrence: int
) -> None:
    pair = killed_pair.before(tmp_path)
    contents = {content for side in Side for content in pair.found(side).values()}
    assert start(tmp_path, point, occurrence) == -signal.SIGKILL
    check_nothing_is_lost(pair, contents)
    assert start(tmp_path) == 0
    check_nothing_is_lost(pair, contents)
    await check_finished(pair)


@pytest.mark.parametrize(("point", "occurrence"), [("staged", 6), ("published", 3), ("published", 7)])
async def test_an_undo_that_is_killed_is_continued(tmp_path: Path, point: str, occurrence: int) -> None:
    pair = killed_pair.before(tmp_path)
    before = {side: pair.found(side) for side in Side}
    contents = {content for side in Side for content in before[side].values()}
    assert start(tmp_path) == 0
    assert start(tmp_path, point, occurrence, undo=True) == -signal.SIGKILL
    check_nothing_is_lost(pair, contents)
    assert start(tmp_path, undo=True) == 0
    before[Side.SOURCE]["home"] = before[Side.DESTINATION]["home"]
    before[Side.DESTINATION]["new"] = before[Side.SOURCE]["new"]
    assert {side: pair.found(side) for side in Side} == before
    assert pair.folders(Side.DESTINATION) == {"F", "Moved"}


async def test_many_kills_in_a_row(tmp_path: Path) -> None:
    pair = killed_pair.before(tmp_path)
    contents = {content for side in Side for content in pair.found(side).values()}
    chance = random.Random(11)
    kills = 0
    while (code := start(tmp_path, chance.choice(list(CopyPoint)), chance.randint(1, 3))) != 0:
        assert code == -signal.SIGKILL
        check_nothing_is_lost(pair, contents)
        kills += 1
    assert kills > 3
    await check_finished(pair)
