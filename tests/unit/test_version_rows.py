"""Plans with earlier versions: tiny listings and planned files in, printed rows out.

A source file is `path v<number>`, a planned one `kind path reason`; what is printed of a version is
`kind path#number reason`, with `over` where something is expected there.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from migration.actions import ActionKind, Side
from migration.baseline import BASELINE_SCHEMA
from migration.capabilities import Capabilities, Operation
from migration.entries import Entry, EntryKind
from migration.inventory_format import to_table
from migration.plan_writer import PlanColumns
from migration.version_rows import VersionRows
from tests.unit.planning_support import a_job, at, entries

PROCORE = Capabilities(keeps_versions=True, operations=frozenset({Operation.VERSIONS}))
SHARE = Capabilities()
NATIVE = {"preserve": "native"}


def numbered(lines: Sequence[str]) -> list[Entry]:
    """`path v<number> t<seconds>`; v? = not told."""
    found = []
    for line in lines:
        path, number, time = re.fullmatch(r"(.*?)(?: v(\d+|\?))?(?: t(\d+))?", line).groups()  # type: ignore[union-attr]
        (*_, entry) = entries("procore", [path])
        known = None if number in (None, "?") else int(number)
        found.append(replace(entry, version_number=known, modified_at=at(float(time or 0))))
    return found


def before(lines: Sequence[str]) -> pa.Table:
    """`path v<number>` a file, `path#number of <path of the file>` an earlier version; `gone` = there was none."""
    rows = []
    for line in lines:
        path, number, of, gone, time = re.fullmatch(  # type: ignore[union-attr]
            r"(.*?)(?: v(\d+))?(?: of (.*?))?( gone)?(?: t(\d+))?", line
        ).groups()
        source = of or path
        rows.append(
            {
                "source_system": "procore", "source_id": source, "source_path": source.split("/"),
                "source_modified_at": at(float(time or 0)), "destination_path": path.split("/"),
                "destination_id": None if gone else path, "run_id": "before",
                "entry_kind": "version" if of else "file", "version_number": int(number or 1),
            }
        )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=BASELINE_SCHEMA)


def plan(lines: Sequence[str]) -> PlanColumns:
    """`kind path [-> new path] [over] reason`, every one of a source file."""
    rows = []
    for line in lines:
        kind, path, new, over, reason = re.fullmatch(  # type: ignore[union-attr]
            r"(\S+) (.*?)(?: -> (.*?))?( over)? (\S+)", line
        ).groups()
        deletes = kind == "delete"
        expected = (path, None, EntryKind.FILE, 9, 0) if over else (None,) * 5
        rows.append(
            (
                f"action of {path}", ActionKind(kind), EntryKind.FILE, "procore", path, "1", tuple(path.split("/")),
                tuple((new or path).split("/")), 9, 0, reason, None, new is not None, *expected,
                Side.SOURCE if deletes else Side.DESTINATION, not deletes, None, None, None,
            )
        )  # fmt: skip
    return PlanColumns._make(zip(*rows, strict=True))


def printed(columns: PlanColumns) -> list[str]:
    lines = []
    for values in zip(*columns, strict=True):
        row = dict(zip(PlanColumns._fields, values, strict=True))
        path = re.sub(r"-[0-9a-f]{8}", "-?", "/".join(row["destination_path"]))
        number = "" if row["version_number"] is None else f"#{row['version_number']}"
        over = " over" if row["expected_id"] else ""
        accounts = "" if row["accounts"] else " (besides)"
        lines.append(f"{row['kind']} {path}{number}{over} {row['reason']}{accounts}")
    return lines


def result(
    source: Sequence[str],
    planned: Sequence[str],
    *,
    there: Sequence[str] = (),
    known: Sequence[str] = (),
    ends: tuple[Capabilities, Capabilities] = (PROCORE, SHARE),
    versioning: dict[str, Any] | None = None,
    transfer_type: str = "copy",
) -> tuple[list[str], VersionRows]:
    wanted = NATIVE if versioning is None else versioning
    job = a_job(versioning=wanted).model_copy(update={"transfer_type": transfer_type})
    rows = VersionRows(job, *ends, "procore")
    with duckdb.connect() as database:
        database.register("source_rows", to_table(numbered(source)))
        database.register("destination_rows", to_table(entries("filesystem", there)))
        database.register("baseline_rows", before(known))
        rows.look(database)
        lines = [line for columns in rows.added([plan(planned)]) for line in printed(columns)]
    return lines, rows


NEW = "copy a/x.pdf new"
UNCHANGED = "skip a/x.pdf over unchanged"
AS_FILE = "earlier-version-as-file (besides)"


@pytest.mark.parametrize(
    ("source", "planned", "there", "known", "expected"),
    [
        (
            ["a/x.pdf v3"], NEW, [], [],
            [f"add_version a/x (v1).pdf#1 {AS_FILE}", f"add_version a/x (v2).pdf#2 {AS_FILE}"],
        ),
        (["a/x.pdf v1"], NEW, [], [], []),
        (["a/x.pdf v?"], NEW, [], [], []),
        (["a/x.pdf v2"], UNCHANGED, [], [], [f"add_version a/x (v1).pdf#1 {AS_FILE}"]),
        (["a/x.pdf v2"], UNCHANGED, ["a/x (v1).pdf"], ["a/x (v1).pdf v1 of a/x.pdf"], []),
        (["a/x.pdf v2"], UNCHANGED, [], ["a/x (v1).pdf v1 of a/x.pdf gone"], []),
        (["a/x.pdf v2"], UNCHANGED, [], ["a/x (v1).pdf v1 of a/x.pdf"], [f"add_version a/x (v1).pdf#1 {AS_FILE}"]),
        (["a/x.pdf v2"], UNCHANGED, ["a/x (v1).pdf"], ["old/x (v1).pdf v1 of a/x.pdf"], []),
        (
            ["a/x.pdf v3"], "copy a/x.pdf over newer-at-source", ["a/x (v1).pdf"], ["a/x (v1).pdf v1 of a/x.pdf"],
            [f"add_version a/x (v2).pdf#2 {AS_FILE}"],
        ),
        (["a/x.pdf v2"], NEW, ["a/x (v1).pdf"], [], [f"add_version a/x (v1).pdf#1 over {AS_FILE}"]),
        (["a/x.pdf v2"], NEW, ["a/x (v1).pdf/"], [], [f"add_version a/x (v1)-?.pdf#1 {AS_FILE}"]),
        (["a/x.pdf v2", "a/x (v1).pdf v1"], NEW, [], [], [f"add_version a/x (v1)-?.pdf#1 {AS_FILE}"]),
        (["a/x.pdf v2"], NEW, [], ["a/x (v1).pdf v1 of other"], [f"add_version a/x (v1)-?.pdf#1 {AS_FILE}"]),
        (["a/x.pdf v2"], "copy a/x.pdf -> b/y.pdf new", [], [], [f"add_version b/y (v1).pdf#1 {AS_FILE}"]),
        (["a/x.pdf v2"], "flag a/x.pdf too-large", [], [], []),
        (["a/x.pdf v2"], "skip a/x.pdf excluded", [], [], []),
    ],
)  # fmt: skip
def test_where_no_versions_are_kept_they_become_files(
    source: list[str], planned: str, there: list[str], known: list[str], expected: list[str]
) -> None:
    lines, rows = result(source, [planned], there=there, known=known)
    assert lines[:-1] == expected
    assert rows.listings == bool(expected)
    assert rows.unknown == sum(line.endswith("v?") for line in source)


@pytest.mark.parametrize(
    ("source", "planned", "known", "expected"),
    [
        (["a/x.pdf v3"], NEW, [], ["a/x.pdf#1", "a/x.pdf#2"]),
        (["a/x.pdf v3"], "copy a/x.pdf over newer-at-source", ["a/x.pdf v1"], ["a/x.pdf#2 over"]),
        (["a/x.pdf v3"], "copy a/x.pdf over newer-at-source", ["a/x.pdf v2"], []),
        (["a/x.pdf v3"], "copy a/x.pdf over destination-has-another-file", [], []),
        (["a/x.pdf v3"], "copy a/x.pdf gone-at-destination", ["a/x.pdf v2"], ["a/x.pdf#1", "a/x.pdf#2"]),
        (["a/x.pdf v3"], UNCHANGED, [], []),
    ],
)
def test_where_versions_are_kept_they_come_first(
    source: list[str], planned: str, known: list[str], expected: list[str]
) -> None:
    lines, _ = result(source, [planned], known=known, ends=(PROCORE, PROCORE))
    assert lines[:-1] == [f"add_version {line} earlier-version (besides)" for line in expected]


FAMILY = ["a/x.pdf t3", "a/x (v1).pdf t1", "a/x (v2).pdf t2", "a/y (v1).pdf t1"]


@pytest.mark.parametrize(
    ("planned", "known", "limit", "expected"),
    [
        (NEW, [], None, ["add_version a/x.pdf#1 becomes-an-earlier-version",
                         "add_version a/x.pdf#2 becomes-an-earlier-version"]),
        (NEW, [], 2, ["skip a/x.pdf#1 beyond-the-version-limit", "add_version a/x.pdf#2 becomes-an-earlier-version"]),
        (UNCHANGED, ["a/x.pdf t3"], None, ["skip a/x.pdf#1 over is-an-earlier-version-there",
                                           "skip a/x.pdf#2 over is-an-earlier-version-there"]),
        ("copy a/x.pdf over newer-at-source", ["a/x.pdf t1"], None,
         ["skip a/x.pdf#1 over is-an-earlier-version-there", "add_version a/x.pdf#2 over becomes-an-earlier-version"]),
        ("flag a/x.pdf too-large", [], None, ["flag a/x.pdf#1 too-large", "flag a/x.pdf#2 too-large"]),
        ("skip a/x.pdf excluded", [], None, ["skip a/x.pdf#1 excluded", "skip a/x.pdf#2 excluded"]),
    ],
)  # fmt: skip
def test_files_named_like_versions_become_versions(
    planned: str, known: list[str], limit: int | None, expected: list[str]
) -> None:
    versioning = {**NATIVE, "from_destination": limit}
    lines, _ = result(FAMILY, [planned], known=known, ends=(SHARE, PROCORE), versioning=versioning)
    assert lines[:-1] == expected


def test_what_versions_are_is_nobody_elses_to_decide_about() -> None:
    rows = VersionRows(a_job(versioning=NATIVE), SHARE, PROCORE, "filesystem")
    with duckdb.connect() as database:
        database.register("source_rows", to_table(numbered(FAMILY)))
        database.register("destination_rows", to_table(entries("procore", ["b/z (v1).pdf", "b/z.pdf"])))
        database.register("baseline_rows", before(["b/z (v1).pdf v1 of b/z.pdf", "b/z.pdf v2"]))
        rows.look(database)
        assert sorted(database.execute("SELECT name FROM folded_files").fetchall()) == [
            ("x (v1).pdf",),
            ("x (v2).pdf",),
        ]
        assert database.execute("SELECT id FROM version_files").fetchall() == [("b/z (v1).pdf",)]


def test_what_is_moved_stays_at_the_source_until_its_versions_are_at_the_destination() -> None:
    moved = [NEW, "delete a/x.pdf moved"]
    lines, _ = result(["a/x.pdf v2"], moved, transfer_type="move")
    assert lines == [f"add_version a/x (v1).pdf#1 {AS_FILE}", NEW]
    lines, _ = result(["a/x.pdf v1"], moved, transfer_type="move")
    assert lines == [NEW, "delete a/x.pdf moved (besides)"]


def test_without_versions_a_plan_stays_as_it_is() -> None:
    for ends, versioning in (((PROCORE, SHARE), {}), ((SHARE, SHARE), NATIVE)):
        lines, rows = result(["a/x.pdf v3"], [NEW], ends=ends, versioning=versioning)
        assert (lines, rows.applies) == ([NEW], False)


def test_the_same_version_decided_again_is_the_same_action() -> None:
    ids = []
    for number in (3, 4):
        rows = VersionRows(a_job(versioning=NATIVE), PROCORE, SHARE, "procore")
        with duckdb.connect() as database:
            database.register("source_rows", to_table(numbered([f"a/x.pdf v{number}"])))
            database.register("destination_rows", to_table([]))
            database.register("baseline_rows", before([]))
            rows.look(database)
            (columns,) = rows.added([plan([NEW])])
        ids.append(columns.action_id[:2])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2
