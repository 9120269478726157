"""Who may make how many calls: what was made and what is left in, the common level out."""

import pytest

from tasks.shares import level


@pytest.mark.parametrize(
    ("used", "left", "common"),
    [
        ([0], 7, 7),
        ([0, 0, 0], 99, 33),
        ([24, 24, 24], 27, 33),
        ([24, 0, 10], 6, 6),
        ([24, 0, 10], 12, 11),
        ([24, 0, 10], 38, 24),
        ([24, 0, 10], 41, 25),
        ([5, 5], 0, 5),
        ([5, 0], 0, 0),
        ([], 9, 9),
    ],
)
def test_what_is_left_lifts_those_who_have_had_least(used: list[int], left: int, common: int) -> None:
    assert level(used, left) == common
    assert sum(max(0, common - one) for one in used) <= left
