"""A disk that is full or read-only stops a run with a clear message, and the same command continues once it is not."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from flows.endings import Ending, EndState
from migration.errors import SiteHaulError
from migration.ledger import Ledger
from migration.progress import Phase
from migration.runs import RunRecord, RunState
from tasks.progress import Standing
from tasks.server import Server
from tasks.session import watched
from tests.connectors.filesystem_support import mounted, remount
from tests.flows.place import Place, make_place
from tests.servers import ProcoreSimulators

SOURCE_BYTES_MIN = 600_000
"""What the files of the simulated project have together, at least."""


@pytest.fixture
def home(prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted("tmpfs", tmp_path / "disk", "size=16m") as disk:
        yield disk


@pytest.fixture
def place(procore_simulator: ProcoreSimulators, home: Path, disk: Path) -> Place:
    """The destination is on a small disk of its own."""
    place = make_place(procore_simulator(files=60, seed=21, max_file_bytes=60_000), disk)
    assert sum(row["size_bytes"] for row in place.visible()) > SOURCE_BYTES_MIN
    return place


@pytest.fixture
def state_disk(home: Path) -> Iterator[Path]:
    """The state folder is a small disk of its own."""
    with mounted("tmpfs", home / "state", "size=16m") as disk:
        yield disk


class FullFrom:
    """Lets a disk have only so many bytes free from the moment on that a phase is under way."""

    def __init__(self, disk: Path, phase: Phase | None, *, free_bytes: int = 0) -> None:
        self.sentences: list[str] = []
        self._ballast = disk / "ballast"
        self._phase = phase
        self._free_bytes = free_bytes

    def stands(self, standing: Standing) -> None:
        if standing.progress.phase is self._phase:
            self._phase = None
            self.fill()

    def said(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def fill(self) -> None:
        with open(self._ballast, "wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        size = self._ballast.stat().st_size
        os.truncate(self._ballast, max(0, size - self._free_bytes))

    def make_space(self) -> None:
        self._ballast.unlink()


def told(ending: Ending, code: str) -> str:
    """The sentence of a run that failed as it should; checks that an operator can act on it."""
    assert ending.state is EndState.FAILED, ending.sentence
    assert isinstance(ending.error, SiteHaulError), repr(ending.error)
    assert ending.error.code == code, ending.sentence
    assert ending.error.fix and ending.error.fix in ending.sentence
    return ending.sentence


async def nothing_false_is_recorded(place: Place, run: Ending) -> int:
    """Whatever the ledger calls done is there, whole; how many files that are."""
    assert run.run is not None
    files = {row["sha256"] for row in place.visible()}
    found = place.found()
    assert set(found) <= files, "every file under a final name is a whole one"
    assert not [path for path in place.files() if path.name.startswith(".sitehaul-")]
    async with Ledger.open(place.state.ledger) as ledger:
        done, _ = await ledger.achieved(run.run.run_id)
    assert done <= found.total(), "what is recorded as done is there"
    return done


async def continued_to_the_end(place: Place, run: Ending) -> None:
    ending = await place.run()
    assert ending.state is EndState.DONE, ending.sentence
    assert run.run is not None and ending.run is not None and ending.run.run_id == run.run.run_id
    assert place.found() == place.expected()


async def test_a_destination_that_is_full_in_the_middle(place: Place, disk: Path) -> None:
    watcher = FullFrom(disk, Phase.TRANSFER, free_bytes=SOURCE_BYTES_MIN // 2)
    with watched(watcher):
        stopped = await place.run()
    assert str(place.copied) in told(stopped, "disk-full")
    done = await nothing_false_is_recorded(place, stopped)
    assert 0 < done < len(place.visible())
    assert stopped.reconciliation is not None and stopped.reconciliation.adds_up
    assert stopped.reconciliation.total.files["pending"] == len(place.visible()) - done
    assert stopped.run is not None and stopped.run.report.is_file()
    assert RunRecord.load(stopped.run).state is RunState.FAILED

    told(await place.run(), "disk-full")
    assert await nothing_false_is_recorded(place, stopped) >= done
    watcher.make_space()
    await continued_to_the_end(place, stopped)


async def test_a_destination_that_becomes_read_only(place: Place, disk: Path) -> None:
    planned = await place.run("plan")
    remount(disk, "ro")
    refused = await place.run()
    assert str(place.copied) in told(refused, "read-only")
    assert place.files() == []
    remount(disk, "rw")
    await continued_to_the_end(place, planned)


@pytest.mark.parametrize("phase", [None, Phase.ANALYZE, Phase.PLAN, Phase.TRANSFER, Phase.VERIFY, Phase.REPORT])
async def test_the_state_folders_disk_is_full(
    procore_simulator: ProcoreSimulators, home: Path, state_disk: Path, tmp_path: Path, phase: Phase | None
) -> None:
    place = make_place(procore_simulator(files=60, seed=22, max_file_bytes=20_000), tmp_path, page_size=20)
    watcher = FullFrom(state_disk, phase)
    if phase is None:
        watcher.fill()
    with watched(watcher):
        stopped = await place.run()
    assert str(state_disk) in told(stopped, "disk-full")
    assert set(place.found()) <= set(place.expected())
    watcher.make_space()
    finished = await place.run()
    assert finished.state is EndState.DONE, finished.sentence
    if phase not in (None, Phase.ANALYZE):
        assert stopped.run is not None and finished.run is not None and finished.run.run_id == stopped.run.run_id
    assert place.found() == place.expected()
