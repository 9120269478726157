"""Procore cannot be reached, goes away for good in the middle, or takes the token back."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flows.endings import Ending, EndState
from migration.errors import SiteHaulError
from migration.ledger import Ledger
from migration.progress import Phase
from simulator.server import Running, running
from tasks.progress import Standing
from tasks.server import Server
from tasks.session import watched
from tests.flows.place import Place, make_place


class Procore:
    """A simulated Procore that can be switched off and on; it is the same one again, on the same addresses."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self._folder = folder
        self._options = options
        self._stack = ExitStack()
        self.served = self.on()

    def on(self) -> Running:
        self.served = self._stack.enter_context(running(self._folder, **self._options))
        return self.served

    def off(self) -> None:
        self._stack.close()


class At:
    """Does something once, when a phase is under way and some of it is done."""

    def __init__(self, phase: Phase, what: Callable[[], object]) -> None:
        self.sentences: list[str] = []
        self._phase: Phase | None = phase
        self._what = what

    def stands(self, standing: Standing) -> None:
        progress = standing.progress
        if progress.phase is self._phase and (progress.files_done or progress.entries):
            self._phase = None
            self._what()

    def said(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.fixture
def here(prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    return tmp_path


def told(ending: Ending, code: str) -> None:
    assert ending.state is EndState.FAILED, ending.sentence
    assert isinstance(ending.error, SiteHaulError), repr(ending.error)
    assert ending.error.code == code, ending.sentence
    assert ending.error.fix and ending.error.fix in ending.sentence
    assert "127.0.0.1" in ending.sentence, "it names the host"


async def done_by(place: Place, ending: Ending) -> int:
    """How many files are done by the ledger; as many are there."""
    assert ending.run is not None
    async with Ledger.open(place.state.ledger) as ledger:
        done, _ = await ledger.achieved(ending.run.run_id)
    assert place.found().total() == done
    return done


@pytest.mark.slow
async def test_nothing_listens_at_the_start(here: Path) -> None:
    procore = Procore(here / "procore", files=60, seed=31, max_file_bytes=20_000)
    place = make_place(procore.served, here)
    procore.off()
    began = time.monotonic()
    told(await place.run(), "unreachable")
    assert time.monotonic() - began < 60
    assert place.files() == []
    place.served = procore.on()
    ending = await place.run()
    assert ending.state is EndState.DONE, ending.sentence
    assert place.found() == place.expected()
    procore.off()


@pytest.mark.slow
@pytest.mark.parametrize("phase", [Phase.TRANSFER, Phase.ANALYZE])
async def test_gone_for_good_in_the_middle(here: Path, phase: Phase) -> None:
    procore = Procore(here / "procore", files=150, seed=32, max_file_bytes=20_000, settings={"latency_ms": 20.0})
    place = make_place(procore.served, here, page_size=40)
    expected = place.expected()
    began = time.monotonic()
    with watched(At(phase, procore.off)):
        stopped = await place.run()
    told(stopped, "unreachable")
    assert time.monotonic() - began < 60
    assert set(place.found()) <= set(expected)
    if phase is Phase.TRANSFER:
        assert 0 < await done_by(place, stopped) < expected.total()
        assert stopped.reconciliation is not None and stopped.reconciliation.adds_up
    place.served = procore.on()
    finished = await place.run()
    assert finished.state is EndState.DONE, finished.sentence
    assert finished.run is not None and stopped.run is not None and finished.run.run_id == stopped.run.run_id
    assert place.found() == expected
    procore.off()


@pytest.mark.parametrize("phase", [Phase.ANALYZE, Phase.TRANSFER])
async def test_a_token_taken_back_in_the_middle(here: Path, phase: Phase) -> None:
    procore = Procore(here / "procore", files=120, seed=33, max_file_bytes=20_000, settings={"latency_ms": 20.0})
    place = make_place(procore.served, here, page_size=40)
    served = procore.served
    with watched(At(phase, lambda: served.edit({"op": "revoke_tokens"}))):
        ending = await place.run()
    assert ending.state is EndState.DONE, ending.sentence
    assert place.found() == place.expected()
    refused = [entry for entry in served.log() if entry["status"] == 401]
    signed_in = [entry for entry in served.log() if entry["host"] == "login"]
    assert refused, "the old token was tried"
    assert len(signed_in) == 2, "one new token is enough for all that is in flight"
    procore.off()
