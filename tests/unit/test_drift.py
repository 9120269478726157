"""What a plan touches must be as it was; what it does not touch may change."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from migration.drift import drift_since
from migration.plans import Plan
from migration.state import RunPaths
from tests.unit.planning_support import Desk, entries

SOURCE = ("A/new.pdf = 10 t5", "A/known.pdf = 7 t5", "B/")
DESTINATION = ("A/", "A/known.pdf = 7 t5", "A/other.txt = 3 t1")


@pytest.fixture
def differences(tmp_path: Path) -> Callable[..., list[str]]:
    """The sentences about what changed between planning and two later listings."""

    def found(source: tuple[str, ...] = SOURCE, destination: tuple[str, ...] = DESTINATION) -> list[str]:
        desk = Desk(tmp_path)
        run = desk.plan(SOURCE, DESTINATION).run
        drift = drift_since(
            run,
            source=_listed(desk, run, "source", "procore", source),
            destination=_listed(desk, run, "destination", "filesystem", destination),
        )
        assert drift.total == len(drift.first)
        return [difference.sentence for difference in drift.first]

    return found


def _listed(desk: Desk, run: RunPaths, side: str, system: str, lines: tuple[str, ...]):  # type: ignore[no-untyped-def]
    return desk.inventory(run.folder / "drift" / side / "inventory", system, entries(system, lines))


def test_nothing_changed_is_no_drift(differences: Callable[..., list[str]]) -> None:
    assert differences() == []


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (("A/new.pdf = 10 t5 v2", "A/known.pdf = 7 t5", "B/"), ["source: A/new.pdf was changed (10 → 10 bytes)"]),
        (("A/known.pdf = 7 t5", "B/"), ["source: A/new.pdf is gone"]),
        (("A/new.pdf = 10 t5 !deleted", "A/known.pdf = 7 t5", "B/"), ["source: A/new.pdf is gone"]),
        (("A/b.pdf = 10 t5 #A/new.pdf", "A/known.pdf = 7 t5", "B/"), ["source: A/new.pdf was moved to A/b.pdf"]),
        (("A/new.pdf = 9 t5 #other", "A/known.pdf = 7 t5", "B/"),
         ["source: A/new.pdf was replaced by something else (10 → 9 bytes)"]),
        (("A/new.pdf = 10 t5", "A/known.pdf = 8 t9 v2", "B/", "C/x.txt"), []),
        (("A/new.pdf = 10 t5", "A/known.pdf = 7 t5"), ["source: B is gone"]),
    ],
)  # fmt: skip
def test_what_changed_at_the_source(
    differences: Callable[..., list[str]], source: tuple[str, ...], told: list[str]
) -> None:
    assert differences(source=source) == told


@pytest.mark.parametrize(
    ("destination", "told"),
    [
        ((*DESTINATION, "A/new.pdf = 4 t1"), ["destination: A/new.pdf appeared"]),
        ((*DESTINATION, "A/unrelated.pdf = 4 t1"), []),
        (("A/", "A/known.pdf = 9 t9"), []),
        ((*DESTINATION, "B = 4 t1"), ["destination: B appeared"]),
    ],
)
def test_what_changed_at_the_destination(
    differences: Callable[..., list[str]], destination: tuple[str, ...], told: list[str]
) -> None:
    assert differences(destination=destination) == told


def test_a_folder_that_is_to_be_deleted_must_hold_what_it_held(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    run = desk.plan(("A/a.txt",), ("A/", "A/a.txt", "old/", "old/x.txt")).run
    _add_deletion(run, "old")
    listed = ("A/", "A/a.txt", "old/", "old/x.txt", "old/just made.txt", "elsewhere.txt")
    drift = drift_since(
        run,
        source=_listed(desk, run, "source", "procore", ("A/a.txt",)),
        destination=_listed(desk, run, "destination", "filesystem", listed),
    )
    assert [one.sentence for one in drift.first] == ["destination: old/just made.txt appeared"]


def _add_deletion(run: RunPaths, folder: str) -> None:
    """Put the deletion of a destination folder into a plan by hand."""
    table = pq.read_table(run.plan)
    row = {
        **dict.fromkeys(table.column_names),
        "seq": table.num_rows,
        "action_id": "d" * 32,
        "kind": "delete",
        "entry_kind": "folder",
        "source_system": "procore",
        "source_path": [folder],
        "destination_path": [folder],
        "renamed": False,
        "expected_id": folder,
        "expected_kind": "folder",
        "side": "destination",
        "accounts": False,
        "from_path": [],
        "source_listed_path": [],
    }
    import pyarrow as pa

    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist([row], schema=table.schema)]), run.plan)
    summary = json.loads(run.plan_summary.read_text())
    summary["plan_digest"] = hashlib.sha256(run.plan.read_bytes()).hexdigest()
    run.plan_summary.write_text(json.dumps(summary))
    assert Plan.load(run)
