"""Two-way jobs, moves and deletions: tiny listings in, printed actions out."""

from pathlib import Path

import pytest

from migration.capabilities import Capabilities
from migration.entries import ListingProblem
from tests.unit.planning_support import PROCORE, SHARE, Desk, a_job, printed

FIXED = {"deletes": {"two_sightings": False, "percent_max": 100}}
MIRROR = {"delete_propagation": "mirror", **FIXED}
STABLE = Capabilities(stable_ids=True, keeps_times=True, time_precision_seconds=1e-6, operations=PROCORE.operations)


def actions(
    folder: Path, source: list[str], destination: list[str], baseline: list[str] | None = None,
    transfer_type: str = "sync", capabilities: Capabilities = STABLE, **rules: object,
) -> list[str]:  # fmt: skip
    desk = Desk(folder, a_job(transfer_type, **rules), capabilities)
    if baseline is not None:
        desk.baseline(baseline)
    return printed(desk.plan(source, destination).actions())


@pytest.mark.parametrize(
    ("here", "there", "before", "rules", "expected"),
    [
        # nothing is known
        (["a = 1 t1"], [], None, {}, ["copy a (new)"]),
        ([], ["a = 1 t1"], None, {}, ["copy< a (new-at-destination) +"]),
        (["a = 1 t1"], ["a = 1 t1"], None, {}, ["skip a (already-there)"]),
        (["a = 1 t2"], ["a = 1 t1"], None, {},
         ["copy a (destination-has-another-file)",
          "rename a > a (conflict 2025-01-01 000000) (conflict-copy; destination-has-another-file) +"]),
        (["a = 1 t1"], ["a = 1 t2"], None, {},
         ["copy< a (destination-has-another-file) +",
          "rename< a > a (conflict 2025-01-01 000000) (conflict-copy; destination-has-another-file)"]),
        # one side changed
        (["a = 1 t1"], ["a = 1 t1"], ["a = 1 t1"], {}, ["skip a (unchanged)"]),
        (["a = 1 t2 v2"], ["a = 1 t1"], ["a = 1 t1"], {}, ["copy a over 1 t1 (newer-at-source)"]),
        (["a = 1 t1"], ["a = 2 t2"], ["a = 1 t1"], {}, ["copy< a over 1 t1 (newer-at-destination)"]),
        # both did
        (["a = 3 t3 v2"], ["a = 3 t3"], ["a = 1 t1"], {}, ["skip a (already-there)"]),
        (["a = 1 t2 v2"], ["a = 2 t3"], ["a = 1 t1"], {"conflict_resolution": "latest"},
         ["copy< a over 1 t2 (changed-on-both-sides)"]),
        (["a = 1 t2 v2"], ["a = 2 t3"], ["a = 1 t1"], {"conflict_resolution": "source"},
         ["copy a over 2 t3 (changed-on-both-sides)"]),
        (["a = 1 t4 v2"], ["a = 2 t3"], ["a = 1 t1"], {"conflict_resolution": "destination"},
         ["copy< a over 1 t4 (changed-on-both-sides)"]),
        (["a = 1 t4 v2"], ["a = 2 t3"], ["a = 1 t1"], {"conflict_resolution": "failure"},
         ["flag a (changed-on-both-sides)"]),
        # gone on one side
        ([], ["a = 1 t1"], ["a = 1 t1"], {}, ["skip a (deletion-at-source-ignored) +"]),
        (["a = 1 t1"], [], ["a = 1 t1"], {}, ["skip a (deletion-at-destination-ignored)"]),
        (["z"], ["a = 1 t1", "z"], ["a = 1 t1", "z"], MIRROR, ["skip z (unchanged)", "delete a (deleted-at-source) +"]),
        (["a = 1 t1", "z"], ["z"], ["a = 1 t1", "z"], MIRROR,
         ["skip z (unchanged)", "delete< a (deleted-at-destination)"]),
        # gone on one side, changed on the other
        (["z"], ["a = 2 t2", "z"], ["a = 1 t1", "z"], MIRROR,
         ["skip z (unchanged)", "copy< a (changed-after-deletion-at-source) +"]),
        (["a = 1 t2 v2", "z"], ["z"], ["a = 1 t1", "z"], MIRROR,
         ["copy a (changed-after-deletion-at-destination)", "skip z (unchanged)"]),
        # gone on both
        (["z"], ["z"], ["a = 1 t1", "z"], MIRROR, ["skip z (unchanged)"]),
    ],
)  # fmt: skip
def test_one_file_both_ways(
    tmp_path: Path, here: list[str], there: list[str], before: list[str] | None, rules: dict[str, object],
    expected: list[str],
) -> None:  # fmt: skip
    assert actions(tmp_path, here, there, before, **rules) == expected


FOLDER = ["A/", "B/", "A/x = 1 t1", "z"]


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        # the source renamed a file, moved it, moved it and changed it
        (["A/", "B/", "A/y = 1 t1 #A/x", "z"], FOLDER, ["rename A/x > A/y (moved-at-source)"]),
        (["A/", "B/", "B/x = 1 t1 #A/x", "z"], FOLDER, ["rename A/x > B/x (moved-at-source)"]),
        (["A/", "B/", "B/x = 2 t2 v2 #A/x", "z"], FOLDER,
         ["copy B/x over 1 t1 (newer-at-source)", "rename A/x > B/x (moved-at-source) +"]),
        # the destination did
        (FOLDER, ["A/", "B/", "A/y = 1 t1 #A/x", "z"], ["rename< A/x > A/y (moved-at-destination)"]),
        (FOLDER, ["A/", "B/", "B/x = 1 t1 #A/x", "z"], ["rename< A/x > B/x (moved-at-destination)"]),
        (FOLDER, ["A/", "B/", "B/x = 2 t2 v2 #A/x", "z"],
         ["copy< B/x over 1 t1 (newer-at-destination)", "rename< A/x > B/x (moved-at-destination) +"]),
        # both did the same, or not the same
        (["A/", "B/", "B/x = 1 t1 #A/x", "z"], ["A/", "B/", "B/x = 1 t1 #A/x", "z"], ["skip B/x (unchanged)"]),
        (["A/", "B/", "B/x = 1 t1 #A/x", "z"], ["A/", "B/", "x = 1 t1 #A/x", "z"],
         ["rename x > B/x (moved-at-source)"]),
        # a folder
        (["N/ = #A", "B/", "N/x = 1 t1 #A/x", "z"], FOLDER,
         ["skip N/x (moved-with-folder)", "rename A/ > N/ (moved-at-source)"]),
        (["B/", "B/A/ = #A", "B/A/x = 1 t1 #A/x", "z"], FOLDER,
         ["skip B/A/x (moved-with-folder)", "rename A/ > B/A/ (moved-at-source)"]),
        (FOLDER, ["N/ = #A", "B/", "N/x = 1 t1 #A/x", "z"],
         ["skip N/x (moved-with-folder)", "rename< A/ > N/ (moved-at-destination)"]),
        (FOLDER, ["B/", "New/", "New/A/ = #A", "New/A/x = 1 t1 #A/x", "z"],
         ["skip New/A/x (moved-with-folder)", "make< New/ +", "rename< A/ > New/A/ (moved-at-destination)"]),
        # a swap
        (["A/ = #B", "B/ = #A", "B/x = 1 t1 #A/x", "z"], FOLDER,
         ["skip B/x (moved-with-folder)",
          "rename A/ > A (moving 559aead0)/ (in-the-way) +", "rename B/ > A/ (moved-at-source)",
          "rename A (moving 559aead0)/ > B/ (moved-at-source)"]),
        # each into the other
        (["B/", "B/A/ = #A", "B/A/x = 1 t1 #A/x", "z"], ["A/", "A/B/ = #B", "A/x = 1 t1", "z"],
         ["skip B/A/x (moved-with-folder)", "rename A/B/ > B/ (moved-at-source)",
          "rename A/ > B/A/ (moved-at-source)"]),
        # a new file has the place
        (["A/", "B/", "A/y = 1 t1 #A/x", "z"], ["A/", "B/", "A/x = 1 t1", "A/y = 9 t9", "z"],
         ["copy< A/y-a1fce436 -> A/y (new-at-destination; collision) +", "rename A/x > A/y-# (moved-at-source)"]),
        # saved as programs do: another file has the old name
        (["A/", "B/", "A/x = 2 t2 #tmp", "z"], FOLDER, ["copy A/x over 1 t1 (newer-at-source)"]),
    ],
)  # fmt: skip
def test_moves_are_followed(tmp_path: Path, here: list[str], there: list[str], expected: list[str]) -> None:
    linked = ["A/ = #A", "B/ = #B", "A/x = 1 t1 #A/x", "z"]
    told = [one for one in actions(tmp_path, here, there, linked) if not _is_quiet(one)]
    assert told == expected


def test_a_file_that_was_only_moved_is_not_copied_where_ids_are_made_of_paths(tmp_path: Path) -> None:
    before = ["A/ = #A", "B/ = #B", "A/x = 7 t1 #A/x w1", "z = #z"]
    there = ["A/", "B/", "B/x = 7 t1", "z"]
    told = actions(tmp_path, ["A/", "B/", "A/x = 7 t1", "z"], there, before, capabilities=SHARE)
    assert [one for one in told if not _is_quiet(one)] == ["rename< A/x > B/x (moved-at-destination)"]


def _is_quiet(line: str) -> bool:
    return line in ("skip A/ (already-there)", "skip B/ (already-there)", "skip z (unchanged)")


KNOWN = ["D/", "D/a", "D/b", "z"]


@pytest.mark.parametrize(
    ("here", "there", "transfer_type", "rules", "expected"),
    [
        # one way: a deletion at the source counts if the job says so
        (["D/", "D/b", "z"], KNOWN, "copy", {}, []),
        (["D/", "D/b", "z"], KNOWN, "copy", MIRROR, ["delete D/a (deleted-at-source) +"]),
        (["D/", "D/b", "z"], ["D/", "D/a = 1 t7", "D/b", "z"], "copy", MIRROR,
         ["skip D/a (deleted-at-source-changed-at-destination) +"]),
        (["z"], KNOWN, "copy", MIRROR,
         ["delete D/a (deleted-at-source) +", "delete D/b (deleted-at-source) +", "delete D/ (deleted-at-source) +"]),
        (["D/", "D/b", "z"], [*KNOWN, "D/c"], "copy", MIRROR, ["delete D/a (deleted-at-source) +"]),
        (KNOWN, ["D/", "D/b", "z"], "copy", MIRROR, ["copy D/a (gone-at-destination)"]),
        (KNOWN, ["z"], "copy", {},
         ["make D/", "copy D/a (gone-at-destination)", "copy D/b (gone-at-destination)"]),
        (KNOWN, ["z"], "copy", {"delete_propagation": "ignore_both"},
         ["skip D/a (deletion-at-destination-ignored)", "skip D/b (deletion-at-destination-ignored)",
          "skip D/ (deletion-at-destination-ignored)"]),
        # filtered is not deleted
        (KNOWN, KNOWN, "copy", {**MIRROR, "filter": {"exclude": ["a"]}}, ["skip D/a (excluded)"]),
        # both ways
        (["z"], KNOWN, "sync", MIRROR,
         ["delete D/a (deleted-at-source) +", "delete D/b (deleted-at-source) +", "delete D/ (deleted-at-source) +"]),
        (KNOWN, ["z"], "sync", MIRROR,
         ["delete< D/a (deleted-at-destination)", "delete< D/b (deleted-at-destination)",
          "delete< D/ (deleted-at-destination)"]),
        (["z"], [*KNOWN[:-1], "D/new", "z"], "sync", MIRROR,
         ["copy< D/new (new-at-destination) +", "make< D/ +",
          "delete D/a (deleted-at-source) +", "delete D/b (deleted-at-source) +"]),
        ([*KNOWN[:-1], "D/new", "z"], ["z"], "sync", MIRROR,
         ["copy D/new (new)", "make D/", "delete< D/a (deleted-at-destination)",
          "delete< D/b (deleted-at-destination)"]),
        # publishing makes the destination match
        (["D/", "D/b = 2 t5 v2", "z"], [*KNOWN, "D/c", "X/", "X/y"], "publish", FIXED,
         ["copy D/b over 1 t0 (newer-at-source)", "delete D/a (deleted-at-source) +",
          "delete D/c (deleted-at-source) +",
          "delete X/y (deleted-at-source) +", "delete X/ (deleted-at-source) +"]),
        (["D/", "D/a", "D/b", "z"], ["D/", "D/a = 3 t9", "D/b", "z"], "publish", FIXED,
         ["copy D/a over 3 t9 (changed-at-destination)"]),
        # each file once
        (["D/", "D/a = 2 t5 v2", "D/b", "D/n", "z"], ["D/"], "migrate", {},
         ["skip D/a (already-migrated)", "skip D/b (already-migrated)", "copy D/n (new)", "skip z (already-migrated)"]),
        # folders only
        (["D/a", "E/"], [], "taxonomy", {"empty_containers": "skip"},
         ["make D/", "make E/", "skip D/a (folders-only)"]),
    ],
)  # fmt: skip
def test_deletions_and_transfer_types(
    tmp_path: Path, here: list[str], there: list[str], transfer_type: str, rules: dict[str, object], expected: list[str]
) -> None:
    told = actions(tmp_path, here, there, KNOWN, transfer_type, **rules)
    assert sorted(one for one in told if "(unchanged)" not in one and one != "skip D/ (already-there)") == sorted(
        expected
    )


def test_a_moved_file_is_deleted_at_the_source_after_it_was_copied(tmp_path: Path) -> None:
    assert actions(tmp_path, ["D/a", "D/b = 1 t5", "D/C = 1 t5"], ["D/b = 1 t5", "D/C = 2 t4"], None, "move") == [
        "skip D/ (already-there)",
        "delete< D/ (moved) +",
        "copy D/C over 2 t4 (destination-has-another-file)",
        "delete< D/C (moved) +",
        "copy D/a (new)",
        "delete< D/a (moved) +",
        "skip D/b (already-there)",
        "delete< D/b (moved) +",
    ]


@pytest.mark.parametrize(
    ("here", "before", "rules", "expected"),
    [
        (["b"], ["a", "b"], {}, "skip a (missing-once; deleted-at-source) +"),
        (["b"], ["a = <run1", "b"], {}, "delete a (deleted-at-source) +"),
        (["b"], ["a = <run1", "b"], {"count_max": 0},
         "flag a (too-many-deletions; more than 0 would be deleted; see rules.deletes) +"),
        (["a", "b"], ["a = <run1", "b"], {}, "skip a (unchanged)"),
        ([], ["a = <run1", "b"], {},
         "skip a (listing-empty; the other side is empty or gone, so nothing is deleted) +"),
    ],
)  # fmt: skip
def test_the_brakes(
    tmp_path: Path, here: list[str], before: list[str], rules: dict[str, object], expected: str
) -> None:
    told = actions(tmp_path, here, ["a", "b"], before, "copy", delete_propagation="mirror", deletes=rules)
    assert expected in told


def test_more_deletions_than_allowed_delete_nothing(tmp_path: Path) -> None:
    names = [f"f{number:02}" for number in range(40)]
    desk = Desk(tmp_path, a_job(delete_propagation="mirror", deletes={"two_sightings": False}), STABLE)
    desk.baseline(names)
    plan = desk.plan(names[5:], names)
    assert [line for line in printed(plan.actions()) if not line.startswith("skip")] == [
        f"flag {name} (too-many-deletions; more than 4 would be deleted; see rules.deletes) +" for name in names[:5]
    ]
    assert "5 deletions are more than the 4" in plan.summary.warnings[-1]
    assert desk.plan(names[4:], names, 1).summary.counts["delete"] == 4


def test_nothing_is_deleted_because_of_another_project(tmp_path: Path) -> None:
    desk = Desk(tmp_path, a_job(delete_propagation="mirror", deletes={"two_sightings": False}), STABLE)
    desk.baseline(["a", "b"], roots=("another", None))
    assert printed(desk.plan(["b"], ["a", "b"]).actions())[-1] == (
        "skip a (another-place; the other side is not the folder it was in the last run, so nothing is deleted) +"
    )


def test_nothing_is_deleted_because_of_what_could_not_be_listed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, a_job(delete_propagation="mirror", deletes={"two_sightings": False}), STABLE)
    desk.baseline(["a", "b"])
    hidden = ListingProblem(("D",), "permission-denied", "It cannot be seen.")
    assert printed(desk.plan(["b"], ["a", "b"], problems=[hidden]).actions())[-1] == (
        "skip a (listing-incomplete; parts of the other side could not be listed, so nothing is deleted) +"
    )
