"""What one run has deleted, replaced or renamed is brought back."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from migration.actions import ActionKind, Side
from migration.baseline import write_baseline
from migration.capabilities import Capabilities
from migration.entries import Entry, PathParts, Ref
from migration.errors import PlanError
from migration.plans import Plan
from migration.undo import preview
from tests.engine import killed_pair
from tests.engine.hand_made import Pair, Row
from tests.engine.memory_system import Kept, MemorySystem

SOURCE, DESTINATION = Side.SOURCE, Side.DESTINATION


async def undoable(folder: Path) -> tuple[Pair, dict[Side, dict[str, bytes]]]:
    """A run that was carried out, and both sides before it, with what it made where nothing was: that stays."""
    pair = killed_pair.before(folder)
    before = {side: pair.found(side) for side in Side}
    await pair.run(killed_pair.ROWS)
    before[SOURCE]["home"] = before[DESTINATION]["home"]
    before[DESTINATION]["new"] = before[SOURCE]["new"]
    return pair, before


async def test_everything_a_run_changed_is_as_it_was(tmp_path: Path) -> None:
    pair, before = await undoable(tmp_path)
    expected = preview(Plan.load(pair.state.runs()[-1]), pair.clock)
    assert (expected.dry_run, expected.counts, expected.created) == (True, {"undone": 0, "left": 0, "pending": 10}, 2)
    assert pair.found(DESTINATION) != before[DESTINATION]
    undone = await pair.undo()
    assert {side: pair.found(side) for side in Side} == before
    assert (tmp_path / "destination" / "F").is_dir()
    assert (undone.counts, undone.left, undone.created) == ({"undone": 10, "left": 0, "pending": 0}, (), 2)
    assert json.loads(pair.state.runs()[-1].undo.read_text("utf-8"))["counts"]["undone"] == 10
    assert (await pair.undo()).counts == undone.counts
    assert {side: pair.found(side) for side in Side} == before


async def test_what_somebody_changed_since_is_left_and_told(tmp_path: Path) -> None:
    pair, before = await undoable(tmp_path)
    pair.plant(DESTINATION, "replaced", b"edited since", 1_900_000_000)
    pair.plant(DESTINATION, "d1", b"made since", 1_900_000_000)
    (tmp_path / "destination" / "Moved" / "0").unlink()
    undone = await pair.undo()
    assert undone.counts == {"undone": 7, "left": 3, "pending": 0}
    assert {(one["path"], one["how"], one["reason"]) for one in undone.left} == {
        ("replaced", "exchange", "destination-changed"),
        ("d1", "restore", "destination-changed"),
        ("Moved/0", "move_back", "destination-changed"),
    }
    after = before[DESTINATION] | {"replaced": b"edited since", "d1": b"made since"}
    del after["r0"]
    assert pair.found(DESTINATION) == after
    (tmp_path / "destination" / "d1").unlink()
    assert (await pair.undo()).counts == {"undone": 8, "left": 2, "pending": 0}
    assert pair.found(DESTINATION)["d1"] == b"deleted 1"


async def test_what_was_brought_back_is_planned_afresh(tmp_path: Path) -> None:
    pair, _ = await undoable(tmp_path)
    write_baseline(pair.state, pair.state.runs()[-1], pair.job)

    def known() -> set[str]:
        return {"/".join(row["destination_path"]) for row in pq.read_table(pair.state.baseline).to_pylist()}

    before, schema = known(), pq.read_schema(pair.state.baseline)
    assert {"new", "replaced"} <= before
    await pair.undo()
    assert known() == before - {"replaced"} - {f"d{one}" for one in range(3)} - {"s", "F"}
    assert pq.read_schema(pair.state.baseline).equals(schema, check_metadata=True)


async def test_other_places_are_not_touched(tmp_path: Path) -> None:
    pair, _ = await undoable(tmp_path)
    plan = pair.state.runs()[-1].plan_summary
    values = json.loads(plan.read_text("utf-8"))
    plan.write_text(json.dumps(values | {"destination_root": ["elsewhere"]}), "utf-8")
    with pytest.raises(PlanError) as caught:
        await pair.undo()
    assert caught.value.code == "places-changed"


@dataclass
class VersionedMemory(MemorySystem):
    """Keeps versions: an entry's id stays, its version id grows."""

    earlier: dict[PathParts, list[Kept]] = field(default_factory=dict)
    ids: dict[PathParts, str] = field(default_factory=dict)

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, keeps_versions=True)

    async def put(self, path: PathParts, chunks: Any, **how: Any) -> Any:
        older = self.kept.get(path)
        stored = await super().put(path, chunks, **how)
        if older is not None:
            self.earlier.setdefault(path, []).append(older)
        return replace(stored, ref=self._ref(path))

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        current = self.kept[entry.path]
        found = []
        for kept in (*self.earlier.get(entry.path, ()), current):
            self.kept[entry.path] = kept
            found.append(self._entry(entry.path, 0))
        return tuple(found)

    def open(self, entry: Entry, offset: int = 0, length: int | None = None) -> Any:
        every = {path: [*self.earlier.get(path, ()), kept] for path, kept in self.kept.items()}
        number = next(one for one in every[entry.path] if str(one.number) == entry.ref.version_id).number
        reader = MemorySystem(kept={(str(one.number),): one for versions in every.values() for one in versions})
        return reader.open(replace(entry, ref=Ref(self.system, str(number))), offset, length)

    def _entry(self, path: PathParts, above: int) -> Entry:
        return replace(super()._entry(path, above), ref=self._ref(path))

    def _ref(self, path: PathParts) -> Ref:
        kept = self.kept[path]
        number = str(kept.number)
        return Ref(self.system, self.ids.setdefault(path, number), None if kept.content is None else number)


async def test_a_version_that_was_replaced_is_written_again(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.plant(SOURCE, "a.txt", b"new content")
    memory = VersionedMemory(kept={("a.txt",): Kept(1, b"as it was", None)}, _number=1)
    await pair.run([Row(ActionKind.COPY, "a.txt", source="a.txt", there="a.txt")], destination=memory)
    assert memory.kept["a.txt",].content == b"new content"
    [row] = pq.read_table(pair.state.runs()[-1].outcomes).to_pylist()
    assert (row["replaced_version_id"], row["trashed"]) == ("1", None)
    undone = await pair.undo(destination=memory)
    assert undone.counts == {"undone": 1, "left": 0, "pending": 0}
    assert memory.kept["a.txt",].content == b"as it was"
    assert [kept.content for kept in memory.earlier["a.txt",]] == [b"as it was", b"new content"]
    assert (await pair.undo(destination=memory)).counts == undone.counts
    assert len(memory.earlier["a.txt",]) == 2
