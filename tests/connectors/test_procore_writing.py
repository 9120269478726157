"""Files and folders written to the simulator: what it costs, what is kept, and what every fault leaves behind."""

import asyncio
import functools
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.procore import content
from connectors.procore.connector import ProcoreConnector
from migration.contract import Destination, Stored
from migration.entries import EntryKind, PathParts
from migration.errors import ConfigurationError, FatalError, ItemError, PreconditionFailed, RetryableError
from simulator.server import Running
from tests.connectors.procore_place import ProcorePlace
from tests.connectors.procore_support import calls, connected, sha256
from tests.contract.steps import content_of, cut, put, stream
from tests.servers import ProcoreSimulators

MIB = 1024 * 1024
LARGE = 40 * MIB
OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture(scope="module")
def served(shared_procore_simulator: ProcoreSimulators) -> Running:
    return shared_procore_simulator(files=1, projects=2)


@pytest.fixture
async def place(served: Running) -> ProcorePlace:
    return ProcorePlace(served)


@pytest.fixture
async def connector(place: ProcorePlace) -> AsyncIterator[ProcoreConnector]:
    async with connected(place.served, read_timeout_seconds=1.0) as connector:
        await connector.make_folder(place.root)
        place.served.clear_log()
        yield connector


def api_calls(place: ProcorePlace) -> list[str]:
    """The calls so far, as method and kind."""
    return [f"{call['method']} {call['path'].split('/')[3]}" for call in calls(place.served)]


def held(folder: Path) -> set[Path]:
    """What is in a folder."""
    return set(folder.iterdir())


async def tell(told: list[Stored], writing: Callable[[], Awaitable[Stored]]) -> None:
    """A caller that notes what it was told, and then waits somewhere."""
    told.append(await writing())
    await asyncio.sleep(0)


async def stored_at(place: ProcorePlace, connector: ProcoreConnector, name: str, data: bytes, **more: Any) -> Stored:
    return await put(connector, (*place.root, name), data, **more)


def test_it_is_a_destination(place: ProcorePlace) -> None:
    connector = place.connector()
    assert isinstance(connector, Destination)
    assert (connector.capabilities.calls_per_upload, connector.capabilities.calls_per_folder) == (2, 1)
    assert not connector.capabilities.keeps_times


async def test_a_new_file_costs_two_calls_and_a_folder_one(place: ProcorePlace) -> None:
    async with connected(place.served) as connector:
        folders = [(*place.root, f"Folder {number % 3}", f"Part {number}") for number in range(10)]
        await asyncio.gather(*(connector.make_folder(path) for path in folders))
        made = api_calls(place)
        assert made.count("POST folders") == 13
        await asyncio.gather(
            *(
                put(connector, (*folders[number % 10], f"{number}.pdf"), content_of(1_000 + number))
                for number in range(200)
            )
        )
    spent = api_calls(place)
    assert spent.count("POST folders") == 13
    assert len(spent) - 13 <= 200 * 2.05
    assert len(spent) - len(made) == 400
    assert len(await place.everything()) == 200


async def test_folders_that_are_there_are_known_from_one_call(place: ProcorePlace) -> None:
    for number in range(30):
        await place.plant_folder((f"A{number % 5}", f"B{number}", "C"))
    async with connected(place.served) as connector:
        for number in range(30):
            await put(connector, (*place.root, f"A{number % 5}", f"B{number}", "C", "file"), b"content")
    assert api_calls(place)[:2] == ["GET projects", "GET projects"]
    assert len(api_calls(place)) == 2 + 60


async def test_one_listing_answers_all_that_is_asked_about_a_folder(
    place: ProcorePlace, connector: ProcoreConnector
) -> None:
    for number in range(20):
        await place.plant(("folder", f"{number}"), b"content")
    found = await asyncio.gather(*(connector.stat((*place.root, "folder", f"{number}")) for number in range(20)))
    assert all(entry is not None and entry.size_bytes == 7 for entry in found)
    assert await connector.stat((*place.root, "folder", "other")) is None
    assert api_calls(place) == ["GET folders", "GET folders"]
    await put(connector, (*place.root, "folder", "own"), b"own")
    entry = await connector.stat((*place.root, "folder", "own"))
    assert entry is not None and (entry.size_bytes, entry.kind) == (3, EntryKind.FILE)
    assert api_calls(place)[2:] == ["POST projects", "POST files"]


async def test_after_some_seconds_it_is_asked_again(place: ProcorePlace, connector: ProcoreConnector) -> None:
    assert await connector.stat((*place.root, "file")) is None
    await place.plant(("file",), b"content")
    place.served.advance(6)
    assert await connector.stat((*place.root, "file")) is not None


@pytest.mark.parametrize("size", [0, 1, 20_000, 9 * MIB])
@pytest.mark.parametrize("known", [True, False])
async def test_content_arrives_as_it_is(
    place: ProcorePlace, connector: ProcoreConnector, size: int, known: bool
) -> None:
    data = content_of(size)
    stored = await stored_at(place, connector, "file.pdf", data, size_bytes=size if known else None)
    assert (stored.name, stored.size_bytes, stored.stored_sha256) == ("file.pdf", size, None)
    assert await place.content(("file.pdf",)) == data
    assert api_calls(place) == ["POST projects", "POST files"]
    (sent,) = calls(place.served, "blob")
    assert not sent["authorization"]


async def test_a_large_file_goes_in_segments_in_little_memory(place: ProcorePlace, connector: ProcoreConnector) -> None:
    block = content_of(MIB)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(60):
            yield block

    tracemalloc.start()
    try:
        stored = await stored_at(place, connector, "large.zip", b"", chunks=chunks(), size_bytes=60 * MIB)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stored.size_bytes == 60 * MIB
    assert peak_bytes < 50 * MIB
    assert sha256(await place.content(("large.zip",)) or b"") == sha256(block * 60)
    assert api_calls(place) == ["POST projects", "PATCH projects", "POST files"]
    assert [call["method"] for call in calls(place.served, "blob")] == ["PUT"] * 8


@pytest.mark.parametrize(
    ("rule", "extra_calls"),
    [
        ({"fault": "reset", "nth": 2}, 0),
        ({"fault": "503", "retry_after": 2, "nth": [1, 3]}, 0),
        ({"fault": "500", "nth": 5}, 0),
        ({"fault": "lost-response", "nth": 4}, 0),
        ({"fault": "expired", "nth": 3}, 1),
    ],
    ids=str,
)
async def test_one_segment_is_sent_again(
    place: ProcorePlace, connector: ProcoreConnector, rule: dict[str, Any], extra_calls: int
) -> None:
    place.served.faults([{"host": "blob", "method": "PUT", **rule}])
    data = content_of(LARGE)
    await stored_at(place, connector, "large", data)
    assert await place.content(("large",)) == data
    # One call may be made again on a machine so busy that an answer is late.
    assert 0 <= len(api_calls(place)) - 3 - extra_calls <= 1
    assert len(calls(place.served, "blob")) <= 5 + 4


@pytest.mark.parametrize("size", [20_000, LARGE])
async def test_addresses_that_died_meanwhile_are_replaced(
    place: ProcorePlace, connector: ProcoreConnector, size: int
) -> None:
    """The simulator gives the dead addresses again when it is asked for them: a new upload has to be made."""
    place.served.settings(upload_seconds=30.0)
    place.served.faults([{"host": "blob", "fault": "503", "retry_after": 40, "nth": 1}])
    data = content_of(size)
    await stored_at(place, connector, "file", data)
    assert await place.content(("file",)) == data
    assert api_calls(place).count("POST projects") == 2


async def test_a_storage_that_stays_away_is_said_and_leaves_nothing(
    place: ProcorePlace, connector: ProcoreConnector
) -> None:
    place.served.faults([{"host": "blob", "fault": "503", "retry_after": 1}])
    with pytest.raises(RetryableError) as caught:
        await stored_at(place, connector, "file", b"content")
    assert caught.value.code == "storage-unavailable"
    assert await place.everything() == set()


FAULTS = [
    {"fault": "429-spike", "seconds": 3},
    {"fault": "503", "retry_after": 1},
    {"fault": "500"},
    {"fault": "lost-response"},
    {"fault": "reset"},
    {"fault": "reset-mid-body"},
    {"fault": "stall", "seconds": 2},
    {"fault": "html-200"},
    {"fault": "401"},
]


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        *((kind, fault) for kind in ("folder", "file", "version") for fault in FAULTS),
        ("segmented", {"fault": "lost-response"}),
    ],
    ids=lambda value: value["fault"] if isinstance(value, dict) else value,
)
async def test_a_fault_at_any_call_is_survived_without_doing_anything_twice(
    place: ProcorePlace, kind: str, fault: dict[str, Any]
) -> None:
    await place.plant(("folder", "old"), b"old")
    data = content_of(LARGE if kind == "segmented" else 9_000, seed=3)
    path = (*place.root, "folder", "old" if kind == "version" else "new")
    timeout = 0.2 if fault["fault"] == "stall" else 3.0
    for nth in range(1, 5):
        async with connected(place.served, read_timeout_seconds=timeout) as connector:
            expected = await connector.stat(path)
            await connector.make_folder(place.root)
            place.served.faults([{"host": "api", "nth": nth, **fault}])
            if kind == "folder":
                await connector.make_folder((*path, f"{nth}", "below"))
            else:
                stored = await put(connector, path, data, expected=expected)
                assert stored.stored_sha256 in (None, sha256(data))
            struck = await place.hits()
            place.served.faults([])
        if kind != "folder":
            assert await place.content(path[1:]) == data
        if not struck:
            break
        if kind not in ("folder", "version"):
            await place.remove(path[1:])
    assert nth > 2
    rows = place.served.truth(place.project_id, hashes=False)
    live = [(tuple(row["path"]), row["version"]) for row in rows if not row["deleted"]]
    assert len(set(live)) == len(live)
    if kind == "version":
        assert [version for path, version in live if path == ("folder", "old")] == list(range(1, nth + 2))


async def test_when_procore_cannot_be_asked_what_became_of_it_that_is_said(
    place: ProcorePlace, connector: ProcoreConnector
) -> None:
    place.served.faults(
        [
            {"host": "api", "method": "POST", "route": "files", "fault": "lost-response", "nth": 1},
            {"host": "api", "method": "GET", "fault": "reset", "count": 6},
        ]
    )
    with pytest.raises(RetryableError) as caught:
        await stored_at(place, connector, "file", b"content")
    assert caught.value.code == "publish-unknown"
    entry = await connector.stat((*place.root, "file"))
    assert entry is not None and entry.size_bytes == 7


async def test_a_lost_answer_is_not_taken_for_ours_when_somebody_else_was_faster(
    place: ProcorePlace, connector: ProcoreConnector
) -> None:
    async def faster() -> None:
        await place.plant(("file",), b"theirs!")

    place.served.faults([{"host": "api", "method": "POST", "route": "files", "fault": "lost-response", "nth": 1}])
    with pytest.raises(PreconditionFailed) as caught:
        await stored_at(place, connector, "file", b"content", before_publish=faster)
    assert caught.value.code == "destination-changed"
    assert await place.content(("file",)) == b"theirs!"


async def test_a_new_version_keeps_the_old_ones(place: ProcorePlace, connector: ProcoreConnector) -> None:
    await place.plant(("file",), b"first")
    path = (*place.root, "file")
    before = await connector.stat(path)
    assert before is not None
    place.served.clear_log()
    stored = await put(connector, path, b"second", expected=before)
    assert api_calls(place) == ["POST projects", "GET files", "POST file_versions"]
    assert stored.ref.id == before.ref.id
    after = await connector.stat(path)
    assert after is not None and after.ref == stored.ref
    versions = await connector.versions(after)
    assert [version.version_number for version in versions] == [1, 2]
    assert versions[0].ref == before.ref
    contents = []
    for version in versions:
        async with connector.open(version) as chunks:
            contents.append(b"".join([chunk async for chunk in chunks]))
    assert contents == [b"first", b"second"]


async def test_a_locked_file_is_waited_for_and_then_flagged_with_the_holder(
    place: ProcorePlace, connector: ProcoreConnector
) -> None:
    path = (*place.root, "file")
    await place.plant(("file",), b"first")
    place.edit("permission", level=3)
    place.edit("lock", path=["file"], seconds=3600)
    expected = await connector.stat(path)
    with pytest.raises(ItemError) as caught:
        await put(connector, path, b"second", expected=expected)
    assert caught.value.code == "locked"
    assert "Maria Santos" in caught.value.message
    place.edit("lock", path=["file"], seconds=15)
    await put(connector, path, b"second", expected=expected)
    assert await place.content(("file",)) == b"second"


@pytest.mark.parametrize("name", ["a#b%.pdf", "two  words ~.pdf", " ahead.pdf", 'quo"te.pdf'])
async def test_names_the_server_cleans_are_told_and_found_again(
    place: ProcorePlace, connector: ProcoreConnector, name: str
) -> None:
    folder = (*place.root, name)
    await connector.make_folder(folder)
    stored = await put(connector, (*folder, name), b"content")
    ((folder_name, kept),) = await place.everything()
    assert stored.name == kept != name
    assert folder_name == kept
    await put(connector, (*folder, "other"), b"other")
    async with connected(place.served) as another:
        assert await another.make_folder(folder) == await connector.make_folder(folder)
        found = await another.stat((*folder, name))
        assert found is not None
        assert (found.ref, found.name, found.path) == (stored.ref, kept, (*folder, name))
        with pytest.raises(PreconditionFailed):
            await put(another, (*folder, name), b"other")


async def test_twins_are_one_file(place: ProcorePlace, connector: ProcoreConnector) -> None:
    await stored_at(place, connector, "Plan.pdf", b"first")
    with pytest.raises(PreconditionFailed):
        await stored_at(place, connector, "PLAN.PDF", b"second")
    assert await connector.make_folder((*place.root, "Folder")) == await connector.make_folder((*place.root, "FOLDER"))


async def test_a_name_that_something_invisible_has_is_said(place: ProcorePlace) -> None:
    place.edit("permission", level=3)
    place.edit("add_file", path=["secret.pdf"], private=True)
    place.edit("add_folder", path=["secrets"], private=True)
    async with connected(place.served) as connector:
        for attempt in (
            put(connector, (*place.root, "secret.pdf"), b"content"),
            connector.make_folder((*place.root, "secrets")),
        ):
            with pytest.raises(ItemError) as caught:
                await attempt
            assert caught.value.code == "name-taken"


async def test_of_two_connectors_one_wins(place: ProcorePlace, connector: ProcoreConnector) -> None:
    together = asyncio.Barrier(2)

    async def meet() -> None:
        await together.wait()

    async with connected(place.served) as another:
        await another.make_folder(place.root)
        results = await asyncio.gather(
            *(
                put(each, (*place.root, "file"), f"content {number}".encode(), before_publish=meet)
                for number, each in enumerate((connector, another))
            ),
            return_exceptions=True,
        )
        refs = await asyncio.gather(*(each.make_folder((*place.root, "x", "y")) for each in (connector, another)))
    assert {type(result) for result in results} == {Stored, PreconditionFailed}
    assert refs[0] == refs[1]


async def test_a_folder_that_was_deleted_meanwhile_is_missing_and_made_again(
    place: ProcorePlace, connector: ProcoreConnector
) -> None:
    path = (*place.root, "folder", "file")
    await connector.make_folder(path[:-1])

    async def delete() -> None:
        place.edit("delete", path=["folder"])

    with pytest.raises(ItemError) as caught:
        await put(connector, path, b"content", before_publish=delete)
    assert caught.value.code == "parent-missing"
    await connector.make_folder(path[:-1])
    await put(connector, path, b"content")
    assert await place.everything() == {("folder", "file")}


@pytest.mark.parametrize(
    ("change", "code"),
    [({"op": "permission", "level": 2}, "read-only"), ({"op": "project", "documents_on": 0}, "read-only")],
    ids=["read-only", "tool-off"],
)
async def test_without_rights_the_run_stops_and_says_what_to_grant(
    place: ProcorePlace, connector: ProcoreConnector, change: dict[str, Any], code: str
) -> None:
    place.edit(**change)
    for attempt in (stored_at(place, connector, "file", b"content"), connector.make_folder((*place.root, "new"))):
        with pytest.raises(FatalError) as caught:
            await attempt
        assert caught.value.code == code
        assert "Standard" in (caught.value.fix or "")


async def test_a_folder_that_is_closed_concerns_only_what_goes_there(procore_simulator: ProcoreSimulators) -> None:
    served = procore_simulator(files=1)
    root = (served.project["name"],)
    async with connected(served) as connector:
        with pytest.raises(ItemError) as caught:
            await put(connector, (*root, "Schedules", "file"), b"content")
        assert caught.value.code == "permission-denied"
        await put(connector, (*root, "file"), b"content")


async def test_the_connection_test_says_where_it_may_write(place: ProcorePlace, connector: ProcoreConnector) -> None:
    async def codes() -> set[str]:
        return {finding.code for finding in (await connector.test()).findings}

    before = await codes()
    assert "writable" in before
    assert "read-only" not in before
    place.edit("permission", level=2)
    assert "read-only" in await codes()


@pytest.mark.parametrize("size", [20_000, LARGE])
async def test_cancelled_anywhere_nothing_is_seen_that_was_not_told(
    place: ProcorePlace, connector: ProcoreConnector, size: int
) -> None:
    data, name = content_of(size), "file"
    for turns in (*range(0, 60, 5), *range(60, 900, 120 if size == LARGE else 40)):
        told: list[Stored] = []
        task = asyncio.create_task(tell(told, lambda: stored_at(place, connector, name, data)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await place.content((name,)) == (data if told else None)
        if told:
            await place.remove((name,))
    assert await place.everything() == set()


async def test_cancelled_while_the_answer_is_awaited_it_is_published_and_told(
    place: ProcorePlace, connector: ProcoreConnector
) -> None:
    place.served.settings(latency_ms=100.0)
    published = asyncio.Event()

    async def soon() -> None:
        asyncio.get_running_loop().call_later(0.05, published.set)

    told: list[Stored] = []
    writing = functools.partial(stored_at, place, connector, "file", b"content", before_publish=soon)
    task = asyncio.create_task(tell(told, writing))
    await published.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(task, return_exceptions=True)
    assert [stored.name for stored in told] == ["file"]
    assert await place.content(("file",)) == b"content"


async def test_a_temporary_file_that_does_not_fit_stops_the_run(
    place: ProcorePlace, connector: ProcoreConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content.tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    with pytest.raises(FatalError) as caught:
        await stored_at(place, connector, "file", content_of(9 * MIB))
    assert caught.value.code == "disk-full"


async def test_large_files_leave_no_temporary_file(
    place: ProcorePlace, connector: ProcoreConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content.tempfile, "tempdir", str(tmp_path))
    before = held(tmp_path), len(held(OPEN_FILES))
    await stored_at(place, connector, "file", content_of(9 * MIB))
    with pytest.raises(RetryableError):
        await stored_at(place, connector, "other", b"", chunks=stream(cut(content_of(9 * MIB), MIB)), size_bytes=LARGE)
    assert held(tmp_path) == before[0]
    assert len(held(OPEN_FILES)) <= before[1] + 2


async def test_a_file_may_move_while_others_are_written(place: ProcorePlace, connector: ProcoreConnector) -> None:
    await place.plant(("from", "file"), b"content")
    await place.plant_folder(("to",))
    entry = await connector.stat((*place.root, "from", "file"))
    assert entry is not None
    place.served.clear_log()
    assert await connector.move(entry, (*place.root, "to", "renamed")) == entry.ref
    assert api_calls(place) == ["GET files", "GET folders", "PATCH files"]
    assert await place.everything() == {("to", "renamed")}
    assert await connector.stat((*place.root, "from", "file")) is None
    moved = await connector.stat((*place.root, "to", "renamed"))
    assert moved is not None and moved.ref == entry.ref


async def test_a_folder_moves_with_all_that_is_in_it(place: ProcorePlace, connector: ProcoreConnector) -> None:
    await place.plant(("a", "b", "file"), b"content")
    await place.plant_folder(("c",))
    folder = await connector.stat((*place.root, "a", "b"))
    assert folder is not None
    await connector.move(folder, (*place.root, "c", "B"))
    assert await place.everything() == {("c", "B", "file")}
    with pytest.raises(ItemError, match="was renamed"):
        await connector.move(folder, (*place.root, "c", "again"))
    inside = await connector.stat((*place.root, "c", "B"))
    assert inside is not None
    with pytest.raises(ItemError):
        await connector.move(inside, (*place.root, "c", "B", "itself"))
    await put(connector, (*place.root, "c", "B", "new"), b"new")
    assert ("c", "B", "new") in await place.everything()


async def occupied(place: ProcorePlace) -> PathParts:
    await place.plant(("taken",), b"theirs")
    return (*place.root, "taken")


async def occupied_by_a_folder(place: ProcorePlace) -> PathParts:
    await place.plant_folder(("taken",))
    return (*place.root, "taken")


async def no_parent(place: ProcorePlace) -> PathParts:
    return (*place.root, "no", "folder")


async def changed(place: ProcorePlace) -> PathParts:
    await place.plant(("file",), b"newer")
    return (*place.root, "free")


async def gone(place: ProcorePlace) -> PathParts:
    await place.remove(("file",))
    return (*place.root, "free")


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (occupied, "destination-changed"),
        (occupied_by_a_folder, "destination-changed"),
        (no_parent, "parent-missing"),
        (changed, "source-changed"),
        (gone, "source-changed"),
    ],
)
async def test_a_move_that_does_not_fit_moves_nothing(
    place: ProcorePlace, connector: ProcoreConnector, prepare: Callable[[ProcorePlace], Any], code: str
) -> None:
    await place.plant(("file",), b"content")
    entry = await connector.stat((*place.root, "file"))
    assert entry is not None
    to = await prepare(place)
    before = await place.everything()
    place.served.advance(10)
    with pytest.raises(ItemError) as caught:
        await connector.move(entry, to)
    assert caught.value.code == code
    assert await place.everything() == before


async def test_a_name_may_change_only_its_case(place: ProcorePlace, connector: ProcoreConnector) -> None:
    await place.plant(("plan.pdf",), b"content")
    entry = await connector.stat((*place.root, "plan.pdf"))
    assert entry is not None
    await connector.move(entry, (*place.root, "PLAN.pdf"))
    assert await place.everything() == {("PLAN.pdf",)}


@pytest.mark.parametrize("path", [("folder", "file"), ("folder",)])
async def test_what_is_deleted_can_be_taken_back(
    place: ProcorePlace, connector: ProcoreConnector, path: PathParts
) -> None:
    await place.plant(("folder", "file"), b"content")
    entry = await connector.stat((*place.root, *path))
    assert entry is not None
    token = await connector.delete_to_trash(entry)
    assert await place.everything() == set()
    assert await connector.stat((*place.root, *path)) is None
    with pytest.raises(ItemError) as caught:
        await connector.delete_to_trash(entry)
    assert caught.value.code == "source-changed"
    assert await connector.restore(token) == (*place.root, *path)
    assert await place.everything() == {("folder", "file")}
    again = await connector.stat((*place.root, *path))
    assert again is not None and again.ref == entry.ref
    assert await connector.restore(token) == (*place.root, *path)


async def test_what_cannot_be_taken_back_is_said(place: ProcorePlace, connector: ProcoreConnector) -> None:
    await place.plant(("folder", "file"), b"content")
    entry = await connector.stat((*place.root, "folder", "file"))
    assert entry is not None
    token = await connector.delete_to_trash(entry)
    await place.plant(("folder", "file"), b"newer")
    place.served.advance(10)
    with pytest.raises(PreconditionFailed) as caught:
        await connector.restore(token)
    assert caught.value.code == "destination-changed"
    place.edit("delete", path=["folder"])
    place.served.advance(10)
    for damaged in (token, "{}", "no json"):
        with pytest.raises(ItemError) as refused:
            await connector.restore(damaged)
        assert refused.value.code == "not-restorable"
        assert refused.value.fix


async def test_only_the_listed_version_is_deleted(place: ProcorePlace, connector: ProcoreConnector) -> None:
    await place.plant(("file",), b"content")
    entry = await connector.stat((*place.root, "file"))
    assert entry is not None
    await place.plant(("file",), b"newer")
    with pytest.raises(ItemError) as caught:
        await connector.delete_to_trash(entry)
    assert caught.value.code == "source-changed"
    place.edit("permission", level=3)
    fresh = await connector.stat((*place.root, "file"))
    place.served.advance(10)
    fresh = await connector.stat((*place.root, "file"))
    assert fresh is not None
    with pytest.raises(ItemError) as refused:
        await connector.delete_to_trash(fresh)
    assert refused.value.code == "permission-denied"
    assert await place.content(("file",)) == b"newer"


@pytest.mark.parametrize("fault", ["lost-response", "reset", "500", "503"])
async def test_a_change_of_place_survives_a_fault_at_any_call(
    place: ProcorePlace, connector: ProcoreConnector, fault: str
) -> None:
    await place.plant(("folder", "file"), b"content")
    path = (*place.root, "folder", "file")
    for nth in range(1, 4):
        entry = await connector.stat(path)
        assert entry is not None
        place.served.faults([{"host": "api", "fault": fault, "nth": nth}])
        await connector.move(entry, (*path[:-1], "moved"))
        place.served.faults([{"host": "api", "fault": fault, "nth": nth}])
        moved = await connector.stat((*path[:-1], "moved"))
        assert moved is not None
        token = await connector.delete_to_trash(moved)
        place.served.faults([{"host": "api", "fault": fault, "nth": nth}])
        assert await connector.restore(token) == (*path[:-1], "moved")
        place.served.faults([])
        restored = await connector.stat((*path[:-1], "moved"))
        assert restored is not None
        await connector.move(restored, path)
    assert await place.everything() == {("folder", "file")}


async def test_nothing_moves_between_projects_and_no_project_is_a_file(
    place: ProcorePlace, connector: ProcoreConnector
) -> None:
    other = ProcorePlace(place.served, 1)
    await place.plant(("file",), b"content")
    entry = await connector.stat((*place.root, "file"))
    assert entry is not None
    with pytest.raises(ItemError) as caught:
        await connector.move(entry, (*other.root, "file"))
    assert caught.value.code == "other-project"
    with pytest.raises(ItemError) as refused:
        await put(connector, place.root, b"content")
    assert refused.value.code == "not-a-file"
    with pytest.raises(ConfigurationError) as missing:
        await connector.make_folder(("No such project", "folder"))
    assert missing.value.code == "project-not-found"
    assert (await place.everything(), await other.everything()) == ({("file",)}, set())
