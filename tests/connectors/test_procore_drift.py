"""Listings that change, shrink, lie or come in another form while they are read."""

from typing import Any

import pytest

from connectors.procore.cursor import Mark
from connectors.procore.index import IndexForm, Position
from connectors.procore.tree import FolderTree
from migration.contract import WalkPage
from migration.errors import ConfigurationError
from simulator.server import Running
from tests.connectors.procore_support import (
    calls,
    connected,
    expected_rows,
    kept,
    listed_paths,
    paths,
    walked,
)
from tests.servers import ProcoreSimulators

INDEX = "/documents$"


@pytest.fixture
def served(procore_simulator: ProcoreSimulators) -> Running:
    return procore_simulator(files=150, settings={"spike_calls": 10_000, "hourly_calls": 100_000})


def restarts(pages: list[WalkPage]) -> int:
    return sum(page.restarted for page in pages)


@pytest.mark.parametrize("fault", ["wrong-total", "duplicate-entries", "missing-entries"])
@pytest.mark.parametrize("page", [1, 5])
async def test_a_page_that_does_not_fit_is_noticed(served: Running, fault: str, page: int) -> None:
    served.faults([{"route": INDEX, "fault": fault, "nth": page}])
    async with connected(served, page_size=70) as connector:
        pages = await walked(connector, (served.project["name"],))
    assert listed_paths(pages) == paths(expected_rows(served))
    assert len({entry.ref for entry in kept(pages)}) == len(kept(pages))


async def test_a_page_in_another_order_loses_nothing(served: Running) -> None:
    served.faults([{"route": INDEX, "fault": "reordered-entries", "every": 2}])
    async with connected(served, page_size=70) as connector:
        pages = await walked(connector, (served.project["name"],))
    assert listed_paths(pages) == paths(expected_rows(served))


async def test_a_listing_that_never_fits_is_taken_and_said_to_be_incomplete(served: Running) -> None:
    served.faults([{"route": INDEX, "fault": "missing-entries"}])
    async with connected(served, page_size=70) as connector:
        pages = await walked(connector, (served.project["name"],))
    assert restarts(pages) == 3
    problems = [problem for page in pages for problem in page.problems if problem.hides_entries]
    assert {problem.code for problem in problems} >= {"listing-unstable"}
    assert kept(pages)


EDITS: dict[str, list[dict[str, Any]]] = {
    "a file is added": [{"op": "add_file", "path": ["added.pdf"]}],
    "a file is deleted": [{"op": "delete", "path": ["first.pdf"]}],
    "a file vanishes": [{"op": "remove", "path": ["first.pdf"]}],
    "a file comes in a new folder": [{"op": "add_file", "path": ["Added", "added.pdf"]}],
    "a folder is renamed": [{"op": "rename", "path": ["Kept"], "name": "Renamed"}],
    "a file is renamed": [{"op": "rename", "path": ["first.pdf"], "name": "second.pdf"}],
}


@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
async def test_a_change_between_two_pages_of_files_loses_nothing(served: Running, edits: list[dict[str, Any]]) -> None:
    project_id = served.project["id"]
    served.edit({"op": "add_folder", "project_id": project_id, "path": ["Kept"]})
    served.edit(
        {"op": "add_file", "project_id": project_id, "path": ["first.pdf"], "created_at": "2001-01-01T00:00:00Z"}
    )
    before = {row["id"]: row for row in served.truth(hashes=False)}
    pages: list[WalkPage] = []
    async with connected(served, page_size=50) as connector:
        async for page in connector.walk((served.project["name"],)):
            pages.append(page)
            if sum(entry.is_file for entry in page.entries) == 50 and edits:
                for values in edits:
                    served.edit({"project_id": project_id, **values})
                edits = []
    listed = {entry.ref.id for entry in kept(pages)}
    changed = {row for row in expected_rows(served) if int(row) not in before}
    unchanged = {row for row in expected_rows(served) if int(row) in before}
    assert unchanged <= listed
    assert changed <= listed
    assert len(listed) == len(kept(pages))


@pytest.mark.parametrize("clamp", [7, 100])
async def test_a_server_that_gives_smaller_pages_is_followed(served: Running, clamp: int) -> None:
    served.settings(per_page_max=clamp)
    async with connected(served) as connector:
        pages = await walked(connector, (served.project["name"],))
    assert not restarts(pages)
    assert listed_paths(pages) == paths(expected_rows(served))


async def test_the_second_version_of_the_index_serves_when_the_first_is_gone(served: Running) -> None:
    served.settings(index_v1=False)
    async with connected(served) as connector:
        pages = await walked(connector, (served.project["name"],))
        rest = await walked(connector, (served.project["name"],), pages[-2].cursor)
    assert not restarts(pages)
    assert not restarts(rest)
    assert listed_paths(pages) == paths(expected_rows(served))
    gone = [call for call in calls(served) if call["status"] == 404]
    assert len(gone) == 1
    assert rest[-1].entries == pages[-1].entries


async def test_both_forms_of_the_index_give_the_same_entries(served: Running) -> None:
    async with connected(served) as connector:
        first = kept(await walked(connector, (served.project["name"],)))
        served.settings(index_v1=False)
        second = kept(await walked(connector, (served.project["name"],)))
    assert first == second


async def test_a_list_that_is_too_big_is_asked_for_in_smaller_pages(served: Running) -> None:
    served.faults([{"route": INDEX, "fault": "408", "nth": [1, 2, 4]}])
    async with connected(served, page_size=1000) as connector:
        pages = await walked(connector, (served.project["name"],))
    assert not restarts(pages)
    assert listed_paths(pages) == paths(expected_rows(served))


async def test_files_of_a_folder_that_is_not_visible_are_kept_out_and_said(served: Running) -> None:
    project_id = served.project["id"]
    served.edit({"op": "add_file", "project_id": project_id, "path": ["Lost", "a.pdf"]})
    served.edit({"op": "add_file", "project_id": project_id, "path": ["Lost", "Sub", "b.pdf"]})
    lost = served.edit({"op": "add_folder", "project_id": project_id, "path": ["Lost"]})["id"]
    served._do(lambda: served.state.store.execute("DELETE FROM documents WHERE id = ?", lost))
    async with connected(served) as connector:
        pages = await walked(connector, (served.project["name"],))
    names = {entry.name for entry in kept(pages)}
    assert not names & {"Lost", "Sub", "a.pdf", "b.pdf"}
    problems = [problem for page in pages for problem in page.problems if problem.code == "parent-not-visible"]
    assert all(problem.hides_entries for problem in problems)
    said = " ".join(problem.message for problem in problems)
    assert "'Sub'" in said
    assert "'a.pdf'" in said
    assert "'b.pdf'" in said


async def test_documents_that_are_refused_while_listing_are_a_clear_error(served: Running) -> None:
    served.faults([{"route": INDEX, "fault": "404"}])
    async with connected(served) as connector:
        with pytest.raises(ConfigurationError) as caught:
            await walked(connector, (served.project["name"],))
    assert caught.value.code == "documents-refused"


def record(folder_id: int, parent_id: int | None, name: str, **more: Any) -> dict[str, Any]:
    return {"id": folder_id, "parent_id": parent_id, "name": name, **more}


TREES: dict[str, tuple[list[dict[str, Any]], set[tuple[str, ...]], set[str]]] = {
    "children may come before their parents": (
        [record(3, 2, "b"), record(2, 1, "a")],
        {("a",), ("a", "b")},
        set(),
    ),
    "names may hold slashes": ([record(2, 1, "a/b"), record(3, 2, "c")], {("a/b",), ("a/b", "c")}, set()),
    "the recycle bin falls away with everything in it": (
        [record(2, 1, "Recycle Bin", is_recycle_bin=True), record(3, 2, "x"), record(4, 3, "y"), record(5, 1, "z")],
        {("z",)},
        set(),
    ),
    "deleted folders fall away": ([record(2, 1, "gone", is_deleted=True), record(3, 2, "x")], set(), set()),
    "what hangs in the air is said": (
        [record(2, 99, "lost"), record(3, 2, "below"), record(4, 1, "a")],
        {("a",)},
        {"lost"},
    ),
    "each other's parents are said": ([record(2, 3, "x"), record(3, 2, "y")], set(), {"x"}),
}


@pytest.mark.parametrize(("records", "expected", "said"), TREES.values(), ids=TREES)
def test_paths_are_rebuilt_from_parents(
    records: list[dict[str, Any]], expected: set[tuple[str, ...]], said: set[str]
) -> None:
    tree = FolderTree.built([record(1, None, "Project"), *records], "1")
    assert {tree.paths[folder_id] for folder_id in tree.folders} == expected
    assert {problem.path[0] for problem in tree.problems} == said


def test_a_very_deep_tree_is_no_problem() -> None:
    tree = FolderTree.built([record(1, None, "P"), *(record(n + 1, n, "d") for n in range(1, 3000))], "1")
    assert max(map(len, tree.paths.values())) == 2999


@pytest.mark.parametrize(
    ("path", "folder_id"),
    [
        ((), "1"),
        (("a",), "2"),
        (("A",), "3"),
        (("a", "b"), "4"),
        (("a", "c"), "6"),
        (("x", "y"), "5"),
        (("X", "y"), "5"),
    ],
)
def test_folders_are_found_by_path(path: tuple[str, ...], folder_id: str) -> None:
    folders = [record(2, 1, "a"), record(3, 1, "A"), record(4, 2, "b"), record(5, 1, "x/y"), record(6, 1, "a/c")]
    assert FolderTree.built([record(1, None, "P"), *folders], "1").find(path) == folder_id


def test_a_mark_survives_as_text() -> None:
    mark = Mark(
        project_id="1",
        project_name="Ä",
        level="Standard",
        restarts=2,
        digest="d",
        folders_given=3,
        folders_read=4,
        form=IndexForm.V2,
        files=Position(10, 20, 30, "2020"),
    )
    assert Mark.parsed(mark.text) == mark
    assert Mark.parsed(mark.text[:-1]) is None
