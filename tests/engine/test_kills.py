import hashlib
import json
import multiprocessing
import random
import signal
import sqlite3
from pathlib import Path

import pytest

from connectors.shared.trash import TRASH_FOLDER
from migration.copying import CopyPoint
from tests.engine import killed

pytestmark = pytest.mark.xdist_group("kills")
"""Together, so that what the processes are made from is loaded once."""

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.engine.killed"])
RIGHT = {name: hashlib.sha256(content).hexdigest() for name, content in killed.CONTENTS.items()}


def start(folder: Path, point: str | None = None, occurrence: int = 1) -> int | None:
    process = PROCESSES.Process(target=killed.run, args=(folder, point, occurrence))
    process.start()
    process.join(60)
    return process.exitcode


def published(folder: Path) -> dict[str, str]:
    """The hash of every file under a final name, the older one that waits to be replaced left out."""
    root = folder / "destination" / "copied"
    files = [path for path in root.iterdir() if not path.name.startswith(".sitehaul-")]
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {name: sha256 for name, sha256 in hashes.items() if sha256 != hashlib.sha256(b"older").hexdigest()}


def outcomes(folder: Path) -> list[tuple[str, str, str]]:
    """Name, word and hash of each outcome, as SQLite alone reads them."""
    with sqlite3.connect(folder / "state" / "towers" / "ledger.sqlite") as database:
        query = "SELECT destination_name, word, sha256 FROM outcomes ORDER BY destination_name"
        return list(database.execute(query))


def check_so_far(folder: Path) -> None:
    there = published(folder)
    for name, sha256 in there.items():
        assert RIGHT[name] == sha256
    for name, word, sha256 in outcomes(folder):
        assert (word, there[name]) == ("succeeded", sha256)


def check_finished(folder: Path) -> None:
    assert published(folder) == RIGHT
    assert outcomes(folder) == [(name, "succeeded", RIGHT[name]) for name in sorted(RIGHT)]
    left = [path.name for path in (folder / "destination").rglob(".sitehaul-*")]
    assert left == [TRASH_FOLDER]


@pytest.mark.parametrize("occurrence", [1, 9])
@pytest.mark.parametrize("point", list(CopyPoint))
def test_a_kill_at_any_point_loses_nothing_and_copies_nothing_twice(
    tmp_path: Path, point: CopyPoint, occurrence: int
) -> None:
    assert start(tmp_path, point, occurrence) == -signal.SIGKILL
    check_so_far(tmp_path)
    there_before = set(published(tmp_path))
    assert start(tmp_path) == 0
    check_finished(tmp_path)
    opened_again = set(json.loads((tmp_path / "opened.json").read_text()))
    assert opened_again == set(RIGHT) - there_before


def test_many_kills_in_a_row(tmp_path: Path) -> None:
    chance = random.Random(7)
    kills = 0
    while (code := start(tmp_path, chance.choice(list(CopyPoint)), chance.randint(1, 6))) != 0:
        assert code == -signal.SIGKILL
        check_so_far(tmp_path)
        kills += 1
    assert kills > 3
    check_finished(tmp_path)
