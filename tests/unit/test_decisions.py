from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from migration.decisions import Decision, Decisions, Word, decide
from migration.errors import PlanError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_US = int(NOON.timestamp() * 1_000_000)
ONE = Decision(
    source_id="17",
    source_version_id="v1",
    size_bytes=7,
    modified_at=NOON,
    source_path=("Drawings", "a.pdf"),
    decision=Word.IGNORE,
    reason="http-503",
    by="ann",
    at=NOON,
    note="not needed",
)


def test_there_are_none_where_nobody_decided(tmp_path: Path) -> None:
    assert not Decisions.load(tmp_path / "decisions.parquet")
    assert decide(tmp_path / "decisions.parquet", []) == 0
    assert not (tmp_path / "decisions.parquet").exists()


@pytest.mark.parametrize(
    ("decision", "file", "left_out"),
    [
        (ONE, ("17", "v1", 7, NOON_US), True),
        (ONE, ("17", "v1", 8, None), True),
        (ONE, ("17", "v2", 7, NOON_US), False),
        (ONE, ("18", "v1", 7, NOON_US), False),
        (replace(ONE, decision=Word.RETRY), ("17", "v1", 7, NOON_US), False),
        # Where versions are not told apart, size and time tell whether the file has changed.
        (replace(ONE, source_version_id=None), ("17", None, 7, NOON_US), True),
        (replace(ONE, source_version_id=None), ("17", None, 8, NOON_US), False),
        (replace(ONE, source_version_id=None), ("17", None, 7, NOON_US + 1), False),
        (replace(ONE, source_version_id=None, modified_at=None), ("17", None, 7, None), True),
    ],
)
def test_a_decision_is_about_one_version_of_one_file(
    tmp_path: Path, decision: Decision, file: tuple[str, str | None, int | None, int | None], left_out: bool
) -> None:
    path = tmp_path / "job" / "decisions.parquet"
    assert decide(path, [decision]) == 1
    decisions = Decisions.load(path)
    assert decisions
    told = decisions.ignored(*file)
    assert told == ("by ann on 2026-03-01 12:00 UTC: not needed" if left_out else None)


def test_the_latest_word_counts(tmp_path: Path) -> None:
    path = tmp_path / "decisions.parquet"
    other = replace(ONE, source_id="18")
    decide(path, [ONE, other])
    decide(path, [replace(ONE, decision=Word.RETRY, note=None)])
    decisions = Decisions.load(path)
    assert decisions.of("17", "v1") == replace(ONE, decision=Word.RETRY, note=None)
    assert decisions.of("18", "v1") == other
    assert decisions.retried_at("17", "v1") == NOON
    assert decisions.retried_at("18", "v1") is None


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "decisions.parquet"
    path.write_bytes(b"no Parquet")
    with pytest.raises(PlanError) as told:
        Decisions.load(path)
    assert told.value.code == "decisions-damaged"
