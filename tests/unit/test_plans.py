"""A plan binds: what it says, that it is the same for the same inputs, and when it is refused."""

import json
import random
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.actions import ActionKind, action_id
from migration.entries import Entry, EntryKind, ListingProblem, Ref
from migration.errors import PlanError
from migration.inventory import Inventory
from migration.plans import Plan, write_plan
from migration.state import RunPaths
from tests.unit.planning_support import NOW, PROCORE, SHARE, WINDOWS, Desk, a_job, entries, printed

SOURCE = ["A/x.pdf = 10 t5", "A/y.pdf = 20 t6", "B/", "z = 7", "A/bad:name = 3"]


def test_actions_come_back_as_they_were_decided(tmp_path: Path) -> None:
    desk = Desk(tmp_path, a_job(conflict_resolution="source"), WINDOWS)
    plan = desk.plan(["A/x:y = 10 t5 v3 #77"], ["A/x_y = 4 t2"])
    folder, file = plan.actions()
    assert (folder.kind, folder.entry_kind, folder.seq) == (ActionKind.SKIP, EntryKind.FOLDER, 0)
    assert file.kind is ActionKind.COPY
    assert file.source == Ref("procore", "77", "3")
    assert file.source_path == ("A", "x:y")
    assert file.destination_path == ("A", "x_y")
    assert file.renamed
    assert (file.size_bytes, file.modified_at) == (10, entries("procore", ["a = 10 t5"])[0].modified_at)
    assert file.expected == Entry(
        ref=Ref("filesystem", "A/x_y", "1"), parent=None, name="x_y", path=("A", "x_y"), kind=EntryKind.FILE,
        size_bytes=4, modified_at=entries("filesystem", ["a = 4 t2"])[0].modified_at,
    )  # fmt: skip
    assert file.action_id == action_id(file.source, file.source_path, file.destination_path)
    assert list(Plan.load(plan.run).actions()) == [folder, file]
    assert list(plan.actions({ActionKind.COPY})) == [file]
    assert plan.count == 2


def test_the_summary_adds_up(tmp_path: Path) -> None:
    desk = Desk(tmp_path, a_job(item_overwrite="fail"), WINDOWS, hourly_calls=3)
    summary = desk.plan([*SOURCE, "gone = 1 !deleted", "old = 1 t1", "unknown = ?"], ["old = 1 t1", "z = 9"]).summary
    assert (summary.files, summary.folders) == (7, 2)
    assert (summary.files_to_copy, summary.files_skipped, summary.files_flagged) == (4, 2, 1)
    assert summary.bytes_to_copy == 33
    assert summary.folders_to_make == 2
    assert summary.renamed == 1
    assert summary.counts == {"make_folder": 2, "copy": 4, "skip": 2, "flag": 1}
    assert summary.reasons["skip"] == {"already-there": 1, "deleted-at-source": 1}
    assert summary.forecast.bytes == 33
    assert (summary.source_system, summary.source_root) == ("procore", ("Bridge",))
    assert len(summary.warnings) == 2


def test_an_empty_source_makes_an_empty_plan(tmp_path: Path) -> None:
    plan = Desk(tmp_path).plan([])
    assert list(plan.actions()) == []
    assert plan.count == 0
    assert list(Plan.load(plan.run).actions()) == []


def test_names_that_are_no_text_and_names_with_slashes_survive(tmp_path: Path) -> None:
    names = ["\udcff.txt", "a/b", "\ufdd0", "\ud800", "é\u0301", "\u202e"]
    root = Ref("procore", "root")
    listed = [
        Entry(ref=Ref("procore", f"id\udc80{place}"), parent=root, name=name, path=(name,), kind=EntryKind.FILE)
        for place, name in enumerate(names)
    ]
    plan = Desk(tmp_path).plan(listed)
    actions = list(plan.actions())
    assert {action.source_path[0] for action in actions} == set(names)
    assert {action.source for action in actions} == {entry.ref for entry in listed}
    assert {action.destination_path[0] for action in actions} == {
        "\udcff.txt",
        "a_b",
        "\ufdd0",
        "_",
        "é\u0301",
        "\u202e",
    }
    for action in actions:
        assert action.action_id == action_id(action.source, action.source_path, action.destination_path)


def test_hard_links_are_files_of_their_own(tmp_path: Path) -> None:
    actions = Desk(tmp_path).plan(["a = 1 #1", "b = 1 #1", "D/a = 1 #1"]).actions({ActionKind.COPY})
    assert len({action.action_id for action in actions}) == 3


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ([("1", "root", ("a",)), ("1", "root", ("a",))], "duplicate-entry"),
        ([("1", "nowhere", ("A", "a"))], "orphan-entry"),
    ],
)
def test_an_inventory_that_is_no_tree_is_refused(
    tmp_path: Path, broken: list[tuple[str, str, tuple[str, ...]]], code: str
) -> None:
    listed = [
        Entry(ref=Ref("p", one), parent=Ref("p", up), name=path[-1], path=path, kind=EntryKind.FILE)
        for one, up, path in broken
    ]
    desk = Desk(tmp_path)
    with pytest.raises(PlanError) as caught:
        desk.plan(listed)
    assert caught.value.code == code
    assert not desk.run().plan.exists()
    assert [path.name for path in desk.run().folder.iterdir() if path.name not in ("source", "destination")] == []


def test_folders_that_are_no_tree_are_refused(tmp_path: Path) -> None:
    def folder(one: str, up: str, *path: str) -> Entry:
        return Entry(ref=Ref("p", one), parent=Ref("p", up), name=path[-1], path=path, kind=EntryKind.FOLDER)

    for number, (listed, code) in enumerate(
        [
            ([folder("1", "2", "A", "B"), folder("2", "1", "C", "D")], "orphan-entry"),
            ([folder("1", "root", "A"), folder("1", "root", "B")], "duplicate-entry"),
        ]
    ):
        with pytest.raises(PlanError) as caught:
            Desk(tmp_path / str(number)).plan(listed)
        assert caught.value.code == code


def made(desk: Desk, number: int) -> tuple[bytes, bytes]:
    run = desk.run(number)
    return run.plan.read_bytes(), run.plan_summary.read_bytes().replace(run.run_id.encode(), b"run")


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_the_same_inputs_give_the_same_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    dice = data.draw(st.randoms(use_true_random=False))
    desk = Desk(tmp_path_factory.mktemp("same"), a_job(), data.draw(st.sampled_from([SHARE, WINDOWS])))
    source, there, before = a_world(dice), a_world(dice), a_world(dice)
    desk.baseline([line for line in before if not line.endswith("/")])
    desk.plan(source, there, 0)
    desk.plan(source, there, 1)
    assert made(desk, 0) == made(desk, 1)
    seqs = [action.seq for action in Plan.load(desk.run(0)).actions()]
    assert seqs == list(range(len(seqs)))


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_entry_has_one_action_and_no_two_copies_one_destination(
    tmp_path_factory: pytest.TempPathFactory, dice: random.Random
) -> None:
    desk = Desk(tmp_path_factory.mktemp("once"), a_job(), WINDOWS)
    source = entries("procore", a_world(dice))
    actions = list(desk.plan(source, a_world(dice)).actions())
    accounting = [action.source_path for action in actions if action.accounts]
    assert sorted(accounting) == sorted(entry.path for entry in source)
    changing = (ActionKind.COPY, ActionKind.MAKE_FOLDER, ActionKind.RENAME)
    written = [a.destination_path for a in actions if a.kind in changing]
    assert len({tuple(part.casefold() for part in path) for path in written}) == len(written)
    folders = {()} | {
        a.destination_path for a in actions if a.kind is ActionKind.MAKE_FOLDER or a.reason == "already-there"
    }
    assert all(a.destination_path[:-1] in folders for a in actions if a.kind is ActionKind.COPY)


def a_world(dice: random.Random) -> list[str]:
    """Some lines of a listing; a name is either always a folder or always a file."""
    folders = ["A", "a", "B:", "B_", "con"]
    files = ["x.pdf", "X.pdf", "y?", "y_", "nul", "z ."]
    lines = {}
    for _ in range(dice.randint(0, 12)):
        path = "/".join(dice.choices(folders, k=dice.randint(0, 3)))
        name = dice.choice([*files, ""])
        if path or name:
            facts = f" = {dice.randint(0, 2)} t{dice.randint(0, 2)}" if name else ""
            lines[f"{path}/{name}" if path else name] = facts
    return [text + facts for text, facts in lines.items()]


def test_pages_and_their_sizes_do_not_change_the_decision(tmp_path: Path) -> None:
    source = a_world(random.Random(3)) + [f"D/file {number}" for number in range(40)]
    one = Desk(tmp_path / "1").plan(source, page=1000)
    two = Desk(tmp_path / "2").plan(source, page=3)
    assert one.run.plan.read_bytes() == two.run.plan.read_bytes()


def test_a_changed_plan_or_inventory_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    plan = desk.plan(SOURCE)
    content = plan.run.plan.read_bytes()
    plan.run.plan.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert refused(plan.run) == "plan-changed"
    plan.run.plan.write_bytes(content)
    assert Plan.load(plan.run).summary == plan.summary
    header = plan.run.source_inventory / "_header.json"
    facts = json.loads(header.read_text())
    facts["parts"][0]["digest"] = "0" * 64
    header.write_text(json.dumps(facts))
    assert refused(plan.run) == "plan-changed"


def test_a_missing_or_unreadable_plan_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert refused(desk.run()) == "plan-missing"
    plan = desk.plan(SOURCE)
    plan.run.plan_summary.write_text("{")
    assert refused(plan.run) == "plan-changed"
    plan.run.plan_summary.write_text('{"format_version": 99}')
    assert refused(plan.run) == "plan-changed"


def refused(run: RunPaths) -> str:
    with pytest.raises(PlanError) as caught:
        Plan.load(run)
    assert caught.value.fix
    return caught.value.code


def test_a_plan_fits_only_its_job(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    plan = desk.plan(SOURCE)
    plan.check_job(desk.job)
    plan.check_job(desk.job.model_copy(update={"plan_ttl_hours": 1.0}))
    with pytest.raises(PlanError) as caught:
        plan.check_job(a_job(item_overwrite="skip"))
    assert caught.value.code == "plan-of-another-job"


def test_what_could_not_be_listed_is_warned_of(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    run = desk.run()
    hidden = ListingProblem(("Private",), "not-visible", "no permission")
    source = desk.inventory(run.source_inventory, "procore", entries("procore", ["a"]), [hidden])
    there = desk.inventory(run.destination_inventory, "filesystem", [])
    plan = a_plan(desk, run, source, there)
    assert plan.summary.warnings == (
        "1 part(s) of the source could not be listed; what is in them is not in this plan.",
    )


def test_the_baseline_of_other_places_is_not_used(tmp_path: Path) -> None:
    desk = Desk(tmp_path, a_job(item_overwrite="fail"))
    desk.baseline(["a = 1 t0"])
    desk.job = desk.job.model_copy(update={"destination": desk.job.destination.model_copy(update={"path": "new"})})
    plan = desk.plan(["a = 1 t0"], ["a = 1 t9"])
    assert printed(plan.actions()) == ["flag a (destination-has-another-file)"]
    assert plan.summary.baseline_digest is None
    assert "baseline" in plan.summary.warnings[-1]


def test_a_damaged_baseline_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.baseline(["a = 1"])
    desk.state.baseline.write_bytes(b"PAR1 but not really")
    with pytest.raises(PlanError) as caught:
        desk.plan(["a = 1"])
    assert caught.value.code == "baseline-damaged"


def a_plan(desk: Desk, run: RunPaths, source: Inventory, there: Inventory) -> Plan:
    return write_plan(
        run, desk.job, source=source, destination=there, baseline=None, source_capabilities=PROCORE,
        destination_capabilities=SHARE, hourly_calls=None, now=NOW + timedelta(0),
    )  # fmt: skip
