"""Inventories keep what was listed, survive a crash at any page, and are refused when damaged."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.contract import WalkPage
from migration.entries import Entry, EntryKind, ListingProblem, Ref
from migration.errors import PlanError
from migration.inventory import GATHERED_ENTRIES, Inventory, InventoryWriter
from migration.inventory_format import SCHEMA, to_entries, to_table
from tests.unit.planning_support import StillClock, entries

any_text = st.text(alphabet=st.one_of(st.characters(), st.characters(categories=["Cs"])), max_size=8)
numbers = st.one_of(st.none(), st.integers(0, 2**62))
times = st.one_of(st.none(), st.datetimes(datetime(1, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
flags = st.one_of(st.none(), st.booleans())
any_entry = st.builds(
    Entry,
    ref=st.builds(Ref, st.just("procore"), any_text, st.one_of(st.none(), any_text)),
    parent=st.one_of(st.none(), st.builds(Ref, st.just("procore"), any_text)),
    name=any_text,
    path=st.lists(any_text, max_size=4).map(tuple),
    kind=st.sampled_from(EntryKind),
    size_bytes=numbers,
    created_at=times,
    modified_at=times,
    created_by=st.one_of(st.none(), any_text),
    version_number=numbers,
    version_count=numbers,
    checksums=st.dictionaries(any_text, any_text, max_size=2),
    locked=flags,
    private=flags,
    deleted=st.booleans(),
    extra=st.dictionaries(any_text, any_text, max_size=2),
)


def writer(folder: Path, system: str = "procore") -> InventoryWriter:
    return InventoryWriter.open(folder, run_id="run", system=system, root=("Bridge",), clock=StillClock())


def page(names: list[str], cursor: str | None, **facts: object) -> WalkPage:
    return WalkPage(tuple(entries("procore", names)), (), cursor, **{"calls": 1, **facts})


def names(inventory: Inventory) -> list[str]:
    return [entry.name for entry in inventory.entries()]


@settings(max_examples=150, deadline=None)
@given(st.lists(any_entry, max_size=5))
def test_every_entry_comes_back(listed: list[Entry]) -> None:
    table = to_table(listed)
    assert table.schema == SCHEMA
    assert list(to_entries(table)) == listed


def test_an_inventory_says_what_it_holds(tmp_path: Path) -> None:
    one = writer(tmp_path)
    problem = ListingProblem(("A", "\udcff"), "not-visible", "No permission for \udcff.")
    seen = ListingProblem(("link",), "special-file", "A link.", hides_entries=False)
    one.write_page(WalkPage(tuple(entries("procore", ["A/x = 5", "y = ?"])), (problem,), "2", 3, expected_total=9))
    one.write_page(WalkPage(tuple(entries("procore", ["z = 7"])), (seen,), None, 1))
    inventory = one.finish()
    header = inventory.header
    assert (header.entries, header.files, header.folders, header.bytes) == (4, 3, 1, 12)
    assert (header.problems, header.hiding_problems, header.complete) == (2, 1, False)
    assert (header.calls, header.expected_total, header.cursor, header.listed) == (4, 9, None, True)
    assert list(inventory.problems()) == [problem, seen]
    assert names(inventory) == ["A", "x", "y", "z"]
    inventory.check()


def test_analysts_read_the_folder_with_pandas(tmp_path: Path) -> None:
    one = writer(tmp_path)
    problem = ListingProblem(("B",), "not-visible", "No permission.")
    one.write_page(WalkPage(tuple(entries("procore", ["A/x = 5 t1", "y = ?"])), (problem,), "1", 1))
    one.write_page(page(["z = 7"], None))
    one.finish()
    frame = pd.read_parquet(tmp_path)
    assert len(frame) == 4
    assert frame["size_bytes"].sum() == 12
    assert str(frame["modified_at"].dtype).startswith("datetime64")


def test_a_writer_continues_after_a_crash(tmp_path: Path) -> None:
    one = writer(tmp_path)
    one.write_page(page(["a"], "after a"))
    (tmp_path / "part-00001.parquet").write_bytes(b"half a page that the header does not name")
    with pytest.raises(PlanError) as caught:
        Inventory.load(tmp_path)
    assert caught.value.code == "analysis-unfinished"
    two = writer(tmp_path)
    assert (two.cursor, two.listed) == ("after a", False)
    two.write_page(page(["b"], None))
    three = writer(tmp_path)
    assert (three.cursor, three.listed) == (None, True)
    assert names(three.finish()) == ["a", "b"]
    assert names(writer(tmp_path).finish()) == ["a", "b"]


def test_a_listing_that_began_again_discards_what_was_before(tmp_path: Path) -> None:
    one = writer(tmp_path)
    one.write_page(page(["a", "b"], "1", expected_total=5))
    one.write_page(page(["c"], "2"))
    one.write_page(page(["d"], None, restarted=True))
    inventory = one.finish()
    assert names(inventory) == ["d"]
    assert (inventory.header.calls, inventory.header.restarts, inventory.header.entries) == (3, 1, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_header.json", "part-00000.parquet"]


def test_pages_without_calls_are_gathered(tmp_path: Path) -> None:
    one = writer(tmp_path)
    many = tuple(entries("procore", ["x"])) * (GATHERED_ENTRIES // 4)
    for number in range(3):
        one.write_page(WalkPage(many, (), str(number)))
        assert (one.cursor, one.header.entries) == (None, 0)
    one.write_page(WalkPage(many, (), "full"))
    assert (one.cursor, one.header.entries) == ("full", GATHERED_ENTRIES)
    one.write_page(WalkPage(many[:2], (), "more"))
    assert one.finish().header.entries == GATHERED_ENTRIES + 2


def test_an_empty_walk_is_an_empty_inventory(tmp_path: Path) -> None:
    one = writer(tmp_path)
    one.write_page(WalkPage((), (), None, 1))
    inventory = one.finish()
    assert (inventory.header.complete, inventory.parts(), list(inventory.entries())) == (True, [], [])


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    digests = []
    for folder, listed in (("1", ["a", "b"]), ("2", ["a", "b"]), ("3", ["a", "c"])):
        one = InventoryWriter.open(tmp_path / folder, run_id=folder, system="p", root=(), clock=StillClock())
        one.write_page(page(listed, None))
        digests.append(one.finish().digest())
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("damage", ["gone", "changed", "header", "newer"])
def test_a_damaged_inventory_is_refused(tmp_path: Path, damage: str) -> None:
    one = writer(tmp_path)
    one.write_page(page(["a"], None))
    one.finish()
    part, header = tmp_path / "part-00000.parquet", tmp_path / "_header.json"
    if damage == "gone":
        part.unlink()
    elif damage == "changed":
        part.write_bytes(part.read_bytes()[:-1])
    elif damage == "header":
        header.write_text(header.read_text()[:40])
    else:
        header.write_text(json.dumps({**json.loads(header.read_text()), "format_version": 99}))
    with pytest.raises(PlanError) as caught:
        Inventory.load(tmp_path).check()
    assert caught.value.code == "analysis-damaged"
    assert caught.value.fix


def test_nothing_there_and_another_root_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        Inventory.load(tmp_path)
    assert caught.value.code == "analysis-missing"
    writer(tmp_path).write_page(page(["a"], "1"))
    with pytest.raises(PlanError) as caught:
        writer(tmp_path, system="filesystem")
    assert caught.value.code == "analysis-of-another-root"
