from collections import Counter
from pathlib import Path

import pytest

from benchmarks.prove_kills import prove

VICTIMS = ("run", "server", "run", "simulator", "run", "machine")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_whatever_is_killed_the_next_start_continues(tmp_path: Path) -> None:
    tally = prove(tmp_path, kills=len(VICTIMS), seed=20, files=150, victims=VICTIMS)
    assert tally.kills == Counter(VICTIMS)
    assert tally.rounds >= 1
