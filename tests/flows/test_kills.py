from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.prove_kills import prove

VICTIMS = ("run", "run", "machine", "server", "run", "simulator")
SEED = 28
"""With it the first kills fall into an analysis and transfers; `make prove-kills` draws from all seeds."""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_whatever_is_killed_the_next_start_continues(tmp_path: Path, fill_home: Callable[[Path], None]) -> None:
    fill_home(tmp_path / "home")
    tally = prove(tmp_path, kills=len(VICTIMS), seed=SEED, files=120, victims=VICTIMS)
    assert tally.kills == Counter(VICTIMS)
    assert tally.rounds >= 1
