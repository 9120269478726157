"""A few random histories of two-sided jobs; `make prove-sync` lives many."""

from pathlib import Path

import pytest

from tests.engine.histories import a_history


@pytest.mark.parametrize("seed", range(1, 13))
async def test_whatever_happens_nothing_is_lost_and_both_sides_come_to_rest(tmp_path: Path, seed: int) -> None:
    history = await a_history(tmp_path, seed, turns=2)
    assert any(line.startswith("quiet run") for line in history.told)


@pytest.mark.parametrize("seed", [1166, 5001, 5071, 21185, 21391, 21444, 21572])
async def test_what_once_went_wrong_does_not_again(tmp_path: Path, seed: int) -> None:
    """Among them a place that was never seen, a rename whose copy was left to a person, an edit after the listing."""
    await a_history(tmp_path, seed)
