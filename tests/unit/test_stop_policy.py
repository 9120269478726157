from datetime import date
from pathlib import Path
from typing import Any

import pytest

from migration.errors import FatalError
from migration.executions import load_counters, save_counters
from migration.stop_policy import Counters, StopPolicy, progress, reached

TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("policy", "counters", "why"),
    [
        ({}, {"executions": 1000, "no_changes": 1000, "failures": 1000}, None),
        ({"executions": 3}, {"executions": 2}, None),
        ({"executions": 3}, {"executions": 3}, "after 3 runs"),
        ({"executions": 1}, {"executions": 1}, "after 1 run"),
        ({"no_changes": 2}, {"executions": 9, "no_changes": 1}, None),
        ({"no_changes": 2}, {"executions": 9, "no_changes": 2}, "after 2 runs without changes"),
        ({"failures": 2}, {"failures": 1}, None),
        ({"failures": 2}, {"failures": 2}, "after 2 failed runs"),
        ({"executions": 3, "failures": 2}, {"executions": 2, "failures": 2}, "after 2 failed runs"),
        ({"on_date": "2026-03-03"}, {}, None),
        ({"on_date": "2026-03-02"}, {}, "on 2026-03-02"),
        ({"on_date": "2026-03-01"}, {"resumed_on": date(2026, 2, 28)}, "on 2026-03-01"),
        ({"on_date": "2026-03-01"}, {"resumed_on": date(2026, 3, 2)}, None),
    ],
)
def test_when_a_job_is_complete(policy: dict[str, Any], counters: dict[str, Any], why: str | None) -> None:
    assert reached(StopPolicy.model_validate(policy), Counters(**counters), TODAY) == why


def test_runs_are_counted_by_how_they_ended() -> None:
    counters = Counters().counted(changed=True).counted(changed=False).failed()
    assert (counters.executions, counters.no_changes, counters.failures) == (3, 1, 1)
    again = counters.resumed(TODAY)
    assert (again.executions, again.no_changes, again.failures, again.resumed_on) == (0, 0, 0, TODAY)
    assert again.begun_by_person


def test_the_progress_in_words() -> None:
    policy = StopPolicy.model_validate({"executions": 5, "no_changes": 3, "failures": 2, "on_date": "2026-12-31"})
    counters = Counters(executions=4, no_changes=1)
    assert progress(policy, counters) == (
        "4 of 5 runs, 1 of 3 runs without changes, 0 of 2 failed runs, until 2026-12-31"
    )
    assert progress(StopPolicy(), counters) == ""


def test_counters_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "job" / "executions.json"
    assert load_counters(path) == Counters()
    counters = Counters(executions=4, no_changes=1, failures=2, begun_by_person=True, resumed_on=TODAY)
    save_counters(path, counters)
    assert load_counters(path) == counters
    path.write_text('{"executions": 4}')
    with pytest.raises(FatalError) as told:
        load_counters(path)
    assert told.value.code == "counters-unreadable"
