"""What is changed on either side: renames, copies in both directions, deletions."""

from pathlib import Path

import pytest

from connectors.wrappers.read_only import read_only
from migration.actions import ActionKind, Side
from migration.errors import ConfigurationError
from migration.judgement import Verdict
from migration.reconciliation import reconcile
from tests.engine.hand_made import Pair, Row
from tests.engine.memory_system import MemorySystem

COPY, RENAME, DELETE, MAKE, SKIP = (
    ActionKind.COPY, ActionKind.RENAME, ActionKind.DELETE, ActionKind.MAKE_FOLDER, ActionKind.SKIP
)  # fmt: skip
SOURCE, DESTINATION = Side.SOURCE, Side.DESTINATION
NEW = 1_800_000_000


async def test_files_go_both_ways_and_what_arrived_is_verified_on_both_sides(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.plant(SOURCE, "a.txt", b"of the source")
    pair.plant(SOURCE, "changed.txt", b"old")
    pair.plant(DESTINATION, "changed.txt", b"newer there", NEW)
    pair.plant(DESTINATION, "In/b.txt", b"of the destination")
    found = await pair.run(
        [
            Row(MAKE, "In", there="In", side=SOURCE, folder=True, accounts=False),
            Row(COPY, "a.txt", source="a.txt"),
            Row(COPY, "changed.txt", source="changed.txt", there="changed.txt", side=SOURCE),
            Row(COPY, "In/b.txt", there="In/b.txt", side=SOURCE, accounts=False),
        ]
    )
    everything = {"In/b.txt": b"of the destination", "a.txt": b"of the source", "changed.txt": b"newer there"}
    assert pair.found(SOURCE) == pair.found(DESTINATION) == everything
    assert (found.counts, found.clean) == ({Verdict.MATCHES: 3}, True)
    assert set((await pair.words()).values()) == {"succeeded"}
    assert (tmp_path / "source" / "changed.txt").stat().st_mtime == NEW
    account = reconcile(pair.state.runs()[-1])
    assert account.adds_up
    assert account.total.files["succeeded"] == 2
    assert account.changes["source"] == {"make_folder": {"succeeded": 1}, "copy": {"succeeded": 2}}


async def test_renames_come_first_and_what_is_read_or_replaced_is_found_at_its_new_place(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    for side in Side:
        pair.plant(side, "Old/a.txt", b"a")
        pair.plant(side, "Old/b.txt", b"b")
    pair.plant(SOURCE, "x.txt", b"x")
    pair.plant(DESTINATION, "x2.txt", b"x changed", NEW)
    (tmp_path / "source" / "Old").rename(tmp_path / "source" / "New")
    pair.plant(SOURCE, "New/b.txt", b"b changed", NEW)
    found = await pair.run(
        [
            Row(RENAME, "New", source="New", there="Old", from_path="Old", folder=True),
            Row(RENAME, "x2.txt", source="x.txt", there="x2.txt", side=SOURCE, from_path="x.txt", accounts=False),
            Row(SKIP, "New/a.txt", source="New/a.txt", there="Old/a.txt", reason="moved-with-folder"),
            Row(COPY, "New/b.txt", source="New/b.txt", there="Old/b.txt"),
            Row(COPY, "x2.txt", source="x.txt", there="x2.txt", side=SOURCE),
        ]
    )
    assert pair.found(SOURCE) == pair.found(DESTINATION)
    assert pair.found(SOURCE) == {"New/a.txt": b"a", "New/b.txt": b"b changed", "x2.txt": b"x changed"}
    assert found.counts == {Verdict.MATCHES: 3}
    assert reconcile(pair.state.runs()[-1]).adds_up


async def test_files_change_places_by_way_of_a_third_name(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.plant(DESTINATION, "a", b"first")
    pair.plant(DESTINATION, "b", b"second, longer")
    await pair.run(
        [
            Row(RENAME, "parked", there="a", from_path="a", accounts=False),
            Row(RENAME, "a", there="b", from_path="b", accounts=False),
            Row(RENAME, "Deep/b", there="a", from_path="parked", accounts=False),
        ]
    )
    assert pair.found(DESTINATION) == {"Deep/b": b"first", "a": b"second, longer"}


async def test_nothing_is_renamed_or_deleted_that_is_another_one_by_now(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    for name in ("kept.txt", "moved.txt", "taken.txt"):
        pair.plant(DESTINATION, name, b"as planned")
    rows = [
        Row(RENAME, "new.txt", there="moved.txt", from_path="moved.txt", accounts=False),
        Row(RENAME, "there.txt", there="taken.txt", from_path="taken.txt", accounts=False),
        Row(DELETE, "kept.txt", there="kept.txt", accounts=False),
    ]

    def change(point: str, action_id: str) -> None:
        del action_id
        if point == "started":
            pair.plant(DESTINATION, "moved.txt", b"somebody else's", NEW)
            pair.plant(DESTINATION, "there.txt", b"somebody else's", NEW)
            pair.plant(DESTINATION, "kept.txt", b"somebody else's", NEW)

    await pair.run(rows, at=change)
    assert await pair.words() == {
        "rename new.txt": "flagged destination-changed",
        "rename there.txt": "flagged destination-changed",
        "delete kept.txt": "flagged destination-changed",
    }
    assert pair.found(DESTINATION)["taken.txt"] == b"as planned"
    assert list(pair.found(DESTINATION).values()).count(b"somebody else's") == 3


async def test_files_are_deleted_then_folders_that_became_empty(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    for name in ("Gone/Deep/a.txt", "Gone/Deep/b.txt", "Kept/Deep/a.txt", "Kept/Other/a.txt"):
        pair.plant(DESTINATION, name, name.encode())
    pair.plant(SOURCE, "c.txt", b"c")
    pair.plant(SOURCE, "d.txt", b"deleted on the other side")
    pair.plant(DESTINATION, "Kept/Deep/of-somebody.txt", b"appeared")
    rows = [
        Row(COPY, "c.txt", source="c.txt"),
        *(Row(DELETE, name, there=name, accounts=False) for name in (
            "Gone/Deep/a.txt", "Gone/Deep/b.txt", "Kept/Deep/a.txt", "Kept/Other/a.txt"
        )),
        Row(DELETE, "d.txt", source="d.txt", side=SOURCE),
        *(Row(DELETE, name, there=name, folder=True, accounts=False) for name in (
            "Gone", "Gone/Deep", "Kept", "Kept/Deep", "Kept/Other"
        )),
    ]  # fmt: skip
    await pair.run(rows)
    assert pair.found(DESTINATION) == {"Kept/Deep/of-somebody.txt": b"appeared", "c.txt": b"c"}
    assert pair.folders(DESTINATION) == {"Kept", "Kept/Deep"}
    assert pair.found(SOURCE) == {"c.txt": b"c"}
    words = await pair.words()
    assert {name for name, word in words.items() if word == "flagged folder-not-empty"} == {
        "delete Kept", "delete Kept/Deep"
    }  # fmt: skip
    assert {word for name, word in words.items() if name not in ("delete Kept", "delete Kept/Deep")} == {"succeeded"}
    kept = set(pair.found(DESTINATION, trash=True).values()) | set(pair.found(SOURCE, trash=True).values())
    assert {b"Gone/Deep/a.txt", b"Kept/Other/a.txt", b"deleted on the other side"} <= kept


async def test_nothing_is_deleted_while_anything_differs(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.plant(SOURCE, "a.txt", b"a")
    pair.plant(DESTINATION, "gone.txt", b"gone")

    def damage(point: str, action_id: str) -> None:
        del action_id
        if point == "recorded":
            (tmp_path / "destination" / "a.txt").write_bytes(b"x")

    found = await pair.run(
        [Row(COPY, "a.txt", source="a.txt"), Row(DELETE, "gone.txt", there="gone.txt", accounts=False)], at=damage
    )
    assert not found.clean
    assert (await pair.words())["delete gone.txt"] == "flagged verification-differs"
    assert pair.found(DESTINATION)["gone.txt"] == b"gone"


@pytest.mark.parametrize("late", [False, True])
async def test_a_move_deletes_only_what_was_hashed_at_the_destination(tmp_path: Path, late: bool) -> None:
    pair = Pair(tmp_path, transfer_type="move")
    for name in ("copied.txt", "same.txt", "other.txt", "edited.txt"):
        pair.plant(SOURCE, name, name.encode())
    pair.plant(DESTINATION, "same.txt", b"same.txt")
    pair.plant(DESTINATION, "other.txt", b"OTHER.txt")
    names = ("copied.txt", "edited.txt")
    rows = [
        *(Row(COPY, name, source=name) for name in names),
        Row(SKIP, "same.txt", source="same.txt", there="same.txt", reason="already-there"),
        Row(SKIP, "other.txt", source="other.txt", there="other.txt", reason="already-there"),
        *(Row(DELETE, name, source=name, there=there, side=SOURCE, accounts=False) for name, there in (
            ("copied.txt", None), ("edited.txt", None), ("same.txt", "same.txt"), ("other.txt", "other.txt")
        )),
    ]  # fmt: skip

    def edit(point: str, action_id: str) -> None:
        del action_id
        if late and point == "recorded":
            pair.plant(SOURCE, "edited.txt", b"by somebody, after it was copied", NEW)

    found = await pair.run(rows, at=edit)
    assert found.clean
    left = {"other.txt": b"other.txt"}
    assert pair.found(SOURCE) == (left | {"edited.txt": b"by somebody, after it was copied"} if late else left)
    words = await pair.words()
    assert words["delete other.txt"] == "flagged not-verified"
    assert words["delete edited.txt"] == ("flagged source-changed" if late else "succeeded")
    assert (words["delete copied.txt"], words["delete same.txt"]) == ("succeeded", "succeeded")
    assert reconcile(pair.state.runs()[-1]).adds_up


async def test_a_source_that_may_not_be_written_to_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.plant(SOURCE, "a.txt", b"a")
    pair.plant(DESTINATION, "b.txt", b"b")
    rows = [
        Row(COPY, "a.txt", source="a.txt"),
        Row(COPY, "b.txt", there="b.txt", side=SOURCE, accounts=False),
    ]
    with pytest.raises(ConfigurationError) as caught:
        await pair.run(rows, source=read_only(pair.connector(SOURCE)))
    assert caught.value.code == "source-not-writable"
    assert caught.value.fix
    assert pair.found(DESTINATION) == {"b.txt": b"b"}


@pytest.mark.parametrize(("kind", "code"), [(DELETE, "no-trash"), (RENAME, "no-move")])
async def test_what_a_system_cannot_do_safely_is_refused(tmp_path: Path, kind: ActionKind, code: str) -> None:
    pair = Pair(tmp_path)
    memory = MemorySystem()
    await memory.make_folder(("a",))
    row = Row(kind, "b" if kind is RENAME else "a", there="a", from_path="a", folder=True, accounts=False)
    with pytest.raises(ConfigurationError) as caught:
        await pair.run([row], destination=memory)
    assert caught.value.code == code
    assert set(memory.kept) == {("a",)}
