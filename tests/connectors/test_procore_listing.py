"""Walks of a project against the simulator: what is listed, what it costs, what is said, and how it goes on."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.procore.tree import folder_facts
from migration.entries import EntryKind
from migration.errors import ConfigurationError
from simulator.server import Running
from tests.connectors.procore_support import (
    SimulatorClock,
    calls,
    connected,
    expected_rows,
    kept,
    listed_paths,
    paths,
    personal_settings,
    walked,
)
from tests.servers import ProcoreSimulators


@pytest.fixture(scope="module")
def served(shared_procore_simulator: ProcoreSimulators) -> Running:
    """Not to be changed by tests."""
    return shared_procore_simulator(files=300, settings={"spike_calls": 10_000, "hourly_calls": 100_000})


@pytest.fixture
def changeable(procore_simulator: ProcoreSimulators) -> Running:
    return procore_simulator(files=120, settings={"spike_calls": 10_000, "hourly_calls": 100_000})


async def test_everything_visible_is_listed_as_it_is(served: Running) -> None:
    expected = expected_rows(served)
    async with connected(served) as connector:
        entries = kept(await walked(connector, (served.project["name"],)))
    listed = {entry.ref.id: entry for entry in entries}
    assert len(listed) == len(entries)
    assert set(listed) == set(expected)
    folders = {entry.path: entry.ref for entry in entries if entry.kind is EntryKind.FOLDER}
    for document_id, row in expected.items():
        entry = listed[document_id]
        assert (entry.path, entry.kind.value, entry.name) == (row["path"], row["kind"], row["path"][-1])
        assert entry.parent == folders.get(entry.path[:-1])
        if entry.is_file:
            assert (entry.ref.version_id, entry.version_number) == (str(row["version_id"]), row["version"])
            assert (entry.size_bytes, entry.private, entry.deleted) == (row["size_bytes"], False, False)
            assert entry.modified_at == datetime.fromisoformat(row["modified_at"])
            assert entry.modified_at.tzinfo is UTC
            assert entry.created_by


async def test_folders_come_before_what_is_in_them(served: Running) -> None:
    async with connected(served, page_size=40) as connector:
        entries = kept(await walked(connector, (served.project["name"],)))
    seen: set[tuple[str, ...]] = {()}
    for entry in entries:
        assert entry.path[:-1] in seen
        if entry.kind is EntryKind.FOLDER:
            seen.add(entry.path)


async def test_a_listing_costs_one_call_per_page_and_two_more(served: Running) -> None:
    served.clear_log()
    async with connected(served) as connector:
        pages = await walked(connector, (served.project["name"],))
    made = calls(served)
    assert [call["status"] for call in made] == [200] * 4
    assert sum(page.calls for page in pages) == 4
    assert pages[-1].expected_total == len(kept(pages))
    assert all(call["authorization"] for call in made)


@pytest.mark.parametrize("wanted", ["name", "project_number", "id", "upper-case name"])
async def test_a_project_may_be_called_by_name_number_or_id(served: Running, wanted: str) -> None:
    project = served.facts["projects"][1]
    text = str(project["name"]).upper() if wanted == "upper-case name" else str(project[wanted])
    async with connected(served) as connector:
        pages = await walked(connector, (text,))
    assert sum(entry.is_file for entry in kept(pages)) == project["files"]


async def test_a_folder_of_the_project_can_be_the_root(served: Running) -> None:
    expected = expected_rows(served)
    every = paths(expected)
    counted = Counter(path[:2] for path in every if len(path) > 3)
    (root, _), *_ = counted.most_common()
    async with connected(served) as connector:
        pages = await walked(connector, (served.project["name"], root[0].upper(), root[1]))
    listed = [(*root, *path) for path in listed_paths(pages)]
    assert listed == [path for path in every if path[:2] == root and path != root]
    assert pages[-1].expected_total == len(listed)


@pytest.mark.parametrize(
    ("root", "code", "said"),
    [
        ((), "project-needed", "Lakeside"),
        (("Nowhere",), "project-not-found", "'Harbor Street Medical Center'"),
        (("Confidential Tenant Improvement",), "project-not-found", "'Confidential Tenant Improvement'"),
        (("Riverside Parking Structure",), "documents-off", "Riverside"),
        (("Harbor Street Medical Center", "Nowhere"), "folder-not-found", "'Nowhere'"),
    ],
)
async def test_a_root_that_cannot_be_listed_is_said(
    served: Running, root: tuple[str, ...], code: str, said: str
) -> None:
    async with connected(served) as connector:
        with pytest.raises(ConfigurationError) as caught:
            await walked(connector, root)
    assert caught.value.code == code
    assert said in caught.value.message
    assert caught.value.fix


async def test_two_projects_of_one_name_are_ambiguous(changeable: Running) -> None:
    first, second = changeable.facts["projects"][:2]
    changeable.edit({"op": "project", "project_id": second["id"], "name": first["name"]})
    async with connected(changeable) as connector:
        with pytest.raises(ConfigurationError) as caught:
            await walked(connector, (first["name"],))
        assert caught.value.code == "project-ambiguous"
        assert str(second["id"]) in caught.value.message
        assert kept(await walked(connector, (str(second["id"]),)))


async def test_private_entries_are_said_to_be_hidden_or_are_listed(changeable: Running) -> None:
    project = changeable.project
    changeable.edit({"op": "add_file", "project_id": project["id"], "path": ["Secret", "a.pdf"], "private": True})
    async with connected(changeable) as connector:
        pages = await walked(connector, (project["name"],))
        assert ("Secret", "a.pdf") not in {entry.path for entry in kept(pages)}
        (problem,) = [problem for page in pages for problem in page.problems]
        assert (problem.code, problem.hides_entries) == ("private-may-be-hidden", False)
        changeable.edit({"op": "permission", "project_id": project["id"], "level": 3, "private_access": True})
        pages = await walked(connector, (project["name"],))
    entry = next(entry for entry in kept(pages) if entry.path == ("Secret", "a.pdf"))
    assert entry.private
    assert not any(page.problems for page in pages)


async def test_a_checked_out_file_is_locked_until_it_is_not(changeable: Running) -> None:
    project, clock = changeable.project, SimulatorClock(changeable)
    changeable.edit({"op": "add_file", "project_id": project["id"], "path": ["held.pdf"]})
    changeable.edit({"op": "lock", "project_id": project["id"], "path": ["held.pdf"], "seconds": 60})

    async def locked() -> bool | None:
        async with connected(changeable, clock=clock) as connector:
            pages = await walked(connector, (project["name"],))
        return next(entry.locked for entry in kept(pages) if entry.path == ("held.pdf",))

    assert await locked()
    await clock.sleep(61)
    assert await locked() is False


async def test_what_was_deleted_is_not_listed(changeable: Running) -> None:
    project = changeable.project
    for path in (["Old", "a.pdf"], ["Old", "Sub", "b.pdf"], ["c.pdf"]):
        changeable.edit({"op": "add_file", "project_id": project["id"], "path": path})
    changeable.edit({"op": "delete", "project_id": project["id"], "path": ["Old"]})
    changeable.edit({"op": "delete", "project_id": project["id"], "path": ["c.pdf"]})
    async with connected(changeable) as connector:
        pages = await walked(connector, (project["name"],))
    assert listed_paths(pages) == paths(expected_rows(changeable))
    assert pages[-1].expected_total == len(kept(pages))


async def test_a_walk_goes_on_from_every_cursor(served: Running) -> None:
    root = (served.project["name"],)
    async with connected(served, page_size=60) as connector:
        whole = await walked(connector, root)
    assert len(whole) > 6
    for stopped_at in range(len(whole) - 1):
        async with connected(served, page_size=60) as connector:
            rest = await walked(connector, root, whole[stopped_at].cursor)
        assert not any(page.restarted for page in rest)
        assert [page.entries for page in whole[stopped_at + 1 :]] == [page.entries for page in rest if page.entries]


@pytest.mark.parametrize("cursor", ["", "{}", '{"v":99}', "no json"])
async def test_a_cursor_of_another_version_begins_again(served: Running, cursor: str) -> None:
    async with connected(served) as connector:
        pages = await walked(connector, (served.project["name"],), cursor)
    assert pages[0].restarted
    assert listed_paths(pages) == paths(expected_rows(served))


async def test_folders_that_changed_meanwhile_begin_the_walk_again(changeable: Running) -> None:
    root = (changeable.project["name"],)
    async with connected(changeable, page_size=50) as connector:
        first = await walked(connector, root)
        changeable.edit({"op": "add_folder", "project_id": changeable.project["id"], "path": ["New"]})
        rest = await walked(connector, root, first[3].cursor)
    assert [page.restarted for page in rest].count(True) == 1
    assert listed_paths(rest) == paths(expected_rows(changeable))


async def test_all_versions_are_walked_folder_by_folder(changeable: Running) -> None:
    project = changeable.project
    changeable.edit({"op": "add_file", "project_id": project["id"], "path": ["Plans", "a.pdf"]})
    for _ in range(2):
        changeable.edit({"op": "add_version", "project_id": project["id"], "path": ["Plans", "a.pdf"]})
    visible = expected_rows(changeable)
    versions = {(str(row["id"]), row["version"]): row for row in changeable.truth() if str(row["id"]) in visible}
    async with connected(changeable) as connector:
        pages = [page async for page in connector.walk_versions((project["name"],))]
        middle = len(pages) // 2
        rest = [page async for page in connector.walk_versions((project["name"],), pages[middle].cursor)]
    files = [entry for entry in kept(pages) if entry.is_file]
    assert len(files) == sum(row["kind"] == "file" for row in versions.values())
    for entry in files:
        assert entry.ref.version_id == str(versions[entry.ref.id, entry.version_number]["version_id"])
    ours = [entry for entry in files if entry.path == ("Plans", "a.pdf")]
    assert [(entry.version_number, entry.version_count) for entry in ours] == [(1, 3), (2, 3), (3, 3)]
    assert [page.entries for page in pages[middle + 1 :]] == [page.entries for page in rest]


async def test_nothing_is_listed_before_anybody_signed_in(served: Running) -> None:
    async with connected(served, settings=personal_settings(served)) as connector:
        with pytest.raises(ConfigurationError) as caught:
            await walked(connector, (served.project["name"],))
    assert caught.value.code == "sign-in-needed"


def test_of_a_folder_only_what_its_entry_needs_is_kept() -> None:
    people: dict[Any, Any] = {}
    record = {"id": 1, "name": "A", "parent_id": 2, "is_deleted": False, "created_by": {"id": 7, "name": "Ada"}}
    first = folder_facts({**record, "name_with_path": "Tower/A", "children": {"files": 5}}, people)
    second = folder_facts({**record, "id": 3, "created_by": {"id": 7, "name": "Ada"}}, people)
    assert first == record
    assert first["created_by"] is second["created_by"]
