"""What is decided for which situation: tiny listings in, printed actions out."""

from pathlib import Path

import pytest

from migration.capabilities import Capabilities
from tests.unit.planning_support import SHARE, WINDOWS, Desk, a_job, printed


def actions(
    folder: Path, source: list[str], destination: list[str] | None = None, baseline: list[str] | None = None,
    capabilities: Capabilities = SHARE, **rules: object,
) -> list[str]:  # fmt: skip
    desk = Desk(folder, a_job(**rules), capabilities)
    if baseline is not None:
        desk.baseline(baseline)
    return printed(desk.plan(source, destination or []).actions())


@pytest.mark.parametrize(
    ("there", "before", "rules", "expected"),
    [
        # nothing there
        ([], None, {}, "copy a.pdf (new)"),
        ([], ["a.pdf = 10 t5"], {}, "copy a.pdf (gone-at-destination)"),
        # as we left it
        (["a.pdf = 10 t5"], ["a.pdf = 10 t5"], {}, "skip a.pdf (unchanged)"),
        (["a.pdf = 9 t4"], ["a.pdf = 9 t4 v0"], {}, "copy a.pdf over 9 t4 (newer-at-source)"),
        (["a.pdf = 10 t99"], ["a.pdf = 10 t5 d99"], {}, "skip a.pdf (unchanged)"),
        (["a.pdf = 10 t5"], ["a.pdf = 10 t5 #other"], {}, "skip a.pdf (unchanged)"),
        (["a.pdf = 9 t4"], ["a.pdf = 9 t4 #other"], {}, "copy a.pdf over 9 t4 (newer-at-source)"),
        (["a.pdf = 9 t4"], ["a.pdf = 9 t4 v0"], {"item_overwrite": "skip"}, "copy a.pdf over 9 t4 (newer-at-source)"),
        # changed there since
        (["a.pdf = 11 t6"], ["a.pdf = 10 t5"], {}, "skip a.pdf (changed-at-destination)"),
        (["a.pdf = 10 t6"], ["a.pdf = 10 t5"], {}, "skip a.pdf (changed-at-destination)"),
        (["a.pdf = 11 t6"], ["a.pdf = 10 t5"], {"item_overwrite": "fail"}, "flag a.pdf (changed-at-destination)"),
        (["a.pdf = 11 t6"], ["a.pdf = 10 t5"], {"item_overwrite": "skip"}, "skip a.pdf (changed-at-destination)"),
        # changed on both sides since
        (["a.pdf = 11 t6"], ["a.pdf = 9 t4 v0"], {"conflict_resolution": "failure"},
         "flag a.pdf (changed-on-both-sides)"),
        (["a.pdf = 11 t6"], ["a.pdf = 9 t4 v0"], {"conflict_resolution": "latest"},
         "skip a.pdf (changed-on-both-sides)"),
        (["a.pdf = 11 t4"], ["a.pdf = 9 t3 v0"], {"conflict_resolution": "latest"},
         "copy a.pdf over 11 t4 (changed-on-both-sides)"),
        (["a.pdf = 11 t6"], ["a.pdf = 9 t4 v0"], {"conflict_resolution": "source"},
         "copy a.pdf over 11 t6 (changed-on-both-sides)"),
        (["a.pdf = 11 t6"], ["a.pdf = 9 t4 v0"], {"conflict_resolution": "destination"},
         "skip a.pdf (changed-on-both-sides)"),
        (["a.pdf = 11 t6"], ["a.pdf = 9 t4 v0"], {"item_overwrite": "skip"}, "skip a.pdf (changed-on-both-sides)"),
        (["a.pdf = 11 t6"], ["a.pdf = 9 t4 v0"], {"item_overwrite": "fail"}, "flag a.pdf (changed-on-both-sides)"),
        (["a.pdf = 10 t5"], ["a.pdf = 9 t4 v0"], {}, "skip a.pdf (already-there)"),
        # somebody else's
        (["a.pdf = 10 t5"], None, {}, "skip a.pdf (already-there)"),
        (["a.pdf = 10 t5.000001"], None, {}, "skip a.pdf (already-there)"),
        (["a.pdf = 10 t6"], None, {"item_overwrite": "fail"}, "flag a.pdf (destination-has-another-file)"),
        (["a.pdf = 9 t5"], None, {"item_overwrite": "skip"}, "skip a.pdf (destination-has-another-file)"),
        (["a.pdf = 9 t5"], None, {"conflict_resolution": "source"},
         "copy a.pdf over 9 t5 (destination-has-another-file)"),
        (["a.pdf = 9 t9"], None, {"trust_mode": True}, "skip a.pdf (already-there)"),
        (["a.pdf = 10 t5"], None, {"timestamps": False, "item_overwrite": "fail"},
         "flag a.pdf (destination-has-another-file)"),
        (["a.pdf = 10 t?"], None, {"item_overwrite": "fail"}, "flag a.pdf (destination-has-another-file)"),
        (["a.pdf = ? t5"], None, {"item_overwrite": "fail"}, "flag a.pdf (destination-has-another-file)"),
        (["a.pdf/"], None, {}, "flag a.pdf (folder-in-the-way)"),
        (["a.pdf/"], None, {"item_overwrite": "overwrite"}, "flag a.pdf (folder-in-the-way)"),
        (["A.PDF = 10 t5"], None, {}, "copy a.pdf (new)"),
    ],
)  # fmt: skip
def test_one_file(
    tmp_path: Path, there: list[str], before: list[str] | None, rules: dict[str, object], expected: str
) -> None:
    assert actions(tmp_path, ["a.pdf = 10 t5"], there, before, **rules) == [expected]


@pytest.mark.parametrize(
    ("source", "rules", "limit", "expected"),
    [
        ("a = 10", {}, 10, "copy a (new)"),
        ("a = 11", {}, 10, "flag a (too-large; the destination takes files up to 10 bytes)"),
        ("a = 11", {"large_item": "skip"}, 10, "skip a (too-large; the destination takes files up to 10 bytes)"),
        ("a = 11", {}, None, "copy a (new)"),
        ("a = ?", {}, 10, "copy a (new)"),
        ("a = 0", {}, 10, "copy a (new)"),
        ("a = 1 t?", {}, 10, "copy a (new)"),
        ("a = 1 !deleted", {}, 10, "skip a (deleted-at-source)"),
    ],
)
def test_sizes_and_deleted_files(
    tmp_path: Path, source: str, rules: dict[str, object], limit: int | None, expected: str
) -> None:
    capabilities = Capabilities(names=SHARE.names, file_size_max_bytes=limit, keeps_times=True)
    assert actions(tmp_path, [source], capabilities=capabilities, **rules) == [expected]


def test_a_coarse_clock_at_the_destination_is_no_difference(tmp_path: Path) -> None:
    coarse = Capabilities(names=SHARE.names, time_precision_seconds=2, keeps_times=True)
    assert actions(tmp_path, ["a = 1 t5"], ["a = 1 t4"], capabilities=coarse) == ["skip a (already-there)"]
    assert actions(tmp_path / "2", ["a = 1 t7"], ["a = 1 t4"], capabilities=coarse) == [
        "flag a (destination-has-another-file; this system cannot rename, so both cannot be kept)"
    ]


OBJECTS = Capabilities()
CONFLICT = (
    "copy Report.pdf (destination-has-another-file)",
    "rename REPORT.PDF > REPORT (conflict 2025-01-01 000000).PDF (conflict-copy; destination-has-another-file) +",
)
OFFICE = Capabilities(keeps_times=True, rewritten_suffixes=frozenset({".docx"}))


@pytest.mark.parametrize(
    ("capabilities", "there", "before", "expected"),
    [
        # a destination that tells versions apart
        (OBJECTS, "a.docx = 10 t? vE1", "a.docx = 10 t5 wE1", "skip a.docx (unchanged)"),
        (OBJECTS, "a.docx = 10 t? vE2", "a.docx = 10 t5 wE1", "skip a.docx (changed-at-destination)"),
        (OBJECTS, "a.docx = 10 t? vE2", "a.docx = 10 t5", "skip a.docx (unchanged)"),
        (OBJECTS, "a.docx = 10 t9 vE1", "a.docx = 10 t5 d8 wE1", "skip a.docx (unchanged)"),
        (OBJECTS, "a.docx = 10 t8 vE2", "a.docx = 10 t5 d8 wE1", "skip a.docx (unchanged)"),
        # one that rewrites what it is given, at once or later
        (OFFICE, "a.docx = 12 t5 vE1", "a.docx = 10 t5 wE1", "skip a.docx (unchanged)"),
        (OFFICE, "a.docx = 12 t5 vE2", "a.docx = 10 t5 wE1", "skip a.docx (unchanged)"),
        (OFFICE, "a.docx = 12 t6 vE2", "a.docx = 10 t5 wE1", "skip a.docx (changed-at-destination)"),
        (OFFICE, "a.docx = 12 t? vE2", "a.docx = 10 t5 wE1", "skip a.docx (changed-at-destination)"),
    ],
)
def test_what_was_left_there_is_known_by_its_version_or_its_time(
    tmp_path: Path, capabilities: Capabilities, there: str, before: str, expected: str
) -> None:
    assert actions(tmp_path, ["a.docx = 10 t5"], [there], [before], capabilities) == [expected]


def test_folders_come_first_and_files_folder_by_folder(tmp_path: Path) -> None:
    assert actions(tmp_path, ["z", "B/y", "A/2/x", "A/1/w", "A/v", "A/10/"], ["A/1/"]) == [
        "skip A/ (already-there)",
        "skip A/1/ (already-there)",
        "make A/10/",
        "make A/2/",
        "make B/",
        "copy z (new)",
        "copy A/v (new)",
        "copy A/1/w (new)",
        "copy A/2/x (new)",
        "copy B/y (new)",
    ]


@pytest.mark.parametrize(
    ("source", "rules", "expected"),
    [
        (["E/"], {}, ["make E/"]),
        (["E/F/"], {}, ["make E/", "make E/F/"]),
        (["E/"], {"empty_containers": "skip"}, ["skip E/ (empty-folder)"]),
        (["E/F/"], {"empty_containers": "skip"}, ["skip E/ (empty-folder)", "skip E/F/ (empty-folder)"]),
        (["E/F/a"], {"empty_containers": "skip"}, ["make E/", "make E/F/", "copy E/F/a (new)"]),
        (["E/a"], {"filter": {"exclude": ["a"]}}, ["skip E/ (nothing-in-it-takes-part)", "skip E/a (excluded)"]),
        (["E/"], {"filter": {"include": ["*.pdf"]}}, ["skip E/ (not-included)"]),
        (["E/F/"], {"filter": {"include": ["E/**"]}}, ["make E/", "make E/F/"]),
        (["E/"], {"filter": {"exclude": ["E"]}}, ["skip E/ (excluded)"]),
        (["E/"], {"filter": {"min_size_bytes": 1}}, ["make E/"]),
        (["E/a !x", "E/b = 1 !deleted"], {}, ["make E/", "copy E/a !x (new)", "skip E/b (deleted-at-source)"]),
        (["E/b = 1 !deleted"], {"empty_containers": "skip"},
         ["skip E/ (empty-folder)", "skip E/b (deleted-at-source)"]),
        (["E/ = !deleted", "E/a"], {}, ["skip E/ (deleted-at-source)", "skip E/a (deleted-at-source)"]),
        (["A/x.pdf", "A/y.doc", "B/z.doc"], {"filter": {"include": ["*.pdf"]}},
         ["make A/", "skip B/ (nothing-in-it-takes-part)",
          "copy A/x.pdf (new)", "skip A/y.doc (not-included)", "skip B/z.doc (not-included)"]),
    ],
)  # fmt: skip
def test_which_folders_are_made(
    tmp_path: Path, source: list[str], rules: dict[str, object], expected: list[str]
) -> None:
    assert actions(tmp_path, source, **rules) == expected


@pytest.mark.parametrize(
    ("source", "there", "rules", "expected"),
    [
        (["D/a"], ["D = 5"], {}, ["flag D/ (file-in-the-way)", "flag D/a (parent-flagged; file-in-the-way)"]),
        (["D/E/a"], ["D = 5"], {"item_overwrite": "overwrite"},
         ["flag D/ (file-in-the-way)", "flag D/E/ (parent-flagged; file-in-the-way)",
          "flag D/E/a (parent-flagged; file-in-the-way)"]),
        (["D:/a"], [], {"segment_transform": False},
         ["flag D:/ (name-not-allowed)", "flag D:/a (parent-flagged; name-not-allowed)"]),
        (["a:b"], [], {"segment_transform": False}, ["flag a:b (name-not-allowed)"]),
        (["a:b"], [], {}, ["copy a:b -> a_b (new; illegal-name)"]),
        (["D:/a"], [], {}, ["make D:/ -> D_ (illegal-name)", "copy D:/a -> D_/a (new)"]),
        (["Docs/a", "DOCS/b"], [], {},
         ["make DOCS/", "make Docs/ -> Docs-# (collision)", "copy DOCS/b (new)", "copy Docs/a -> Docs-#/a (new)"]),
        (["Docs/a", "docs"], [], {}, ["make Docs/", "copy docs -> docs-# (new; collision)", "copy Docs/a (new)"]),
        (["a", "A"], [], {"duplicate_names": "warn"}, ["copy A (new)", "flag a (name-collision)"]),
        (["a = 1 c2", "A = 1 c1"], [], {}, ["copy A (new)", "copy a -> a-# (new; collision)"]),
        (["a = 1 c1", "A = 1 c2"], [], {}, ["copy A -> A-# (new; collision)", "copy a (new)"]),
        (["a = 1 c1 !deleted", "A = 1 c2"], [], {}, ["copy A (new)", "skip a (deleted-at-source)"]),
        (["a = 1 c1", "A = 9 c2"], [], {"filter": {"min_size_bytes": 5}},
         ["copy A (new)", "skip a (smaller-than-filter)"]),
        (["Report.pdf = 5 t5"], ["REPORT.PDF = 5 t5"], {}, ["skip Report.pdf (already-there)"]),
        (["Report.pdf = 5 t5"], ["REPORT.PDF = 6 t5"], {}, [*CONFLICT]),
        (["Docs/a = 5 t5"], ["DOCS/A = 5 t5"], {}, ["skip Docs/ (already-there)", "skip Docs/a (already-there)"]),
        (["b" * 300], [], {"segment_truncate": False}, [f"flag {'b' * 300} (name-too-long)"]),
    ],
)  # fmt: skip
def test_names_and_what_is_in_the_way_on_a_windows_share(
    tmp_path: Path, source: list[str], there: list[str], rules: dict[str, object], expected: list[str]
) -> None:
    assert actions(tmp_path, source, there, capabilities=WINDOWS, **rules) == expected


def test_who_held_a_name_keeps_it_and_is_not_copied_again(tmp_path: Path) -> None:
    source = ["a_b = 3 t3 #new c0", "a:b = 5 t5 #old c9"]
    assert actions(tmp_path, source, ["a_b = 5 t5"], ["a_b = 5 t5 #old from:a:b"], WINDOWS) == [
        "skip a:b -> a_b (unchanged; illegal-name)",
        "copy a_b -> a_b-# (new; collision)",
    ]


def test_a_name_the_destination_changed_by_itself_is_found_again(tmp_path: Path) -> None:
    assert actions(tmp_path, ["a+b = 5 t5"], ["a b = 5 t5"], ["a+b = 5 t5 na_b"]) == ["copy a+b (gone-at-destination)"]
    assert actions(tmp_path / "2", ["a+b = 5 t5"], ["a_b = 5 t5"], ["a+b = 5 t5 na_b"]) == ["skip a+b (unchanged)"]
