from datetime import UTC, datetime, timedelta

import pytest

from migration.entries import Entry, EntryKind, Ref
from migration.judgement import Expected, judge

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE, OTHER = "11" * 32, "22" * 32


@pytest.mark.parametrize(
    ("expected", "found", "sha256", "verdict"),
    [
        ((10, ONE, NOON), (10, NOON), ONE, "matches stored_hash"),
        ((10, ONE, NOON), (10, NOON + timedelta(microseconds=1)), ONE, "matches stored_hash"),
        ((10, ONE, None), (10, NOON), ONE, "matches stored_hash"),
        ((10, ONE, NOON), (10, None), ONE, "matches stored_hash"),
        ((None, ONE, NOON), (10, NOON), ONE, "matches stored_hash"),
        ((10, None, NOON), (10, NOON), None, "matches size"),
        ((10, ONE, NOON), (9, NOON), None, "differs It has 9 bytes instead of 10."),
        ((10, ONE, NOON), (10, NOON), OTHER, "differs It has the right size but another content."),
        ((10, ONE, NOON), (10, NOON + timedelta(seconds=5)), ONE, "differs Its content matches, but it was modified at "
         "2026-03-01 12:00:05+00:00 instead of 2026-03-01 12:00:00+00:00."),
    ],
)  # fmt: skip
def test_verdicts(
    expected: tuple[int | None, str | None, datetime | None],
    found: tuple[int, datetime | None],
    sha256: str | None,
    verdict: str,
) -> None:
    judgement = judge(
        Expected(
            action_id="a",
            source_id="1",
            source_path=["a"],
            destination_path=("a",),
            path=("a",),
            size_bytes=expected[0],
            sha256=expected[1],
            modified_at=expected[2],
            listed=None,
        ),
        Entry(
            ref=Ref("filesystem", "1"),
            parent=None,
            name="a",
            path=("a",),
            kind=EntryKind.FILE,
            size_bytes=found[0],
            modified_at=found[1],
        ),
        sha256,
        time_precision_seconds=0.000_002,
    )
    said = judgement.detail or (judgement.level.value if judgement.level else "")
    assert f"{judgement.verdict.value} {said}" == verdict


@pytest.mark.parametrize(
    ("found", "sha256", "verdict"),
    [
        ((12, NOON), None, "rewritten"),
        ((10, NOON), OTHER, "rewritten"),
        ((10, NOON), ONE, "matches"),
        ((12, NOON + timedelta(seconds=5)), None, "differs"),
        ((12, None), None, "differs"),
    ],
)
def test_a_file_that_the_destination_rewrites_is_known_by_its_time(
    found: tuple[int, datetime | None], sha256: str | None, verdict: str
) -> None:
    expected = Expected(
        action_id="a", source_id="1", source_path=["a.docx"], destination_path=("a.docx",), path=("a.docx",),
        size_bytes=10, sha256=ONE, modified_at=NOON, listed=None,
    )  # fmt: skip
    entry = Entry(
        ref=Ref("graph", "1"), parent=None, name="a.docx", path=("a.docx",), kind=EntryKind.FILE,
        size_bytes=found[0], modified_at=found[1],
    )  # fmt: skip
    judgement = judge(expected, entry, sha256, time_precision_seconds=1.0, may_be_rewritten=True)
    assert judgement.verdict == verdict
    assert judge(expected, entry, sha256, time_precision_seconds=1.0).verdict in ("differs", "matches")
