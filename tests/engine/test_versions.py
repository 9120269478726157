"""Whole runs with earlier versions: from a simulated Procore to a disk, home again, and to another project."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from connectors.filesystem.connector import FilesystemConnector
from connectors.filesystem.settings import FilesystemSettings
from connectors.shared.services import Services
from migration.actions import ActionKind
from migration.contract import Source
from migration.entries import EntryKind
from migration.plans import Plan
from migration.rules import TransferType
from migration.security_maps import SecurityMaps, WhoIsWho
from migration.sidecar import write_sidecar
from migration.sidecar_writing import put_sidecar
from migration.version_manifest import KnownVersion, known_versions
from tests.connectors.procore_place import ProcorePlace
from tests.connectors.procore_support import SimulatorClock, calls
from tests.engine.support import MODIFIED, Bench, a_job
from tests.engine.whole import accounted_run
from tests.servers import ProcoreSimulators

NATIVE = {"versioning": {"preserve": "native"}}


def a_place(simulators: ProcoreSimulators, projects: int = 1) -> list[ProcorePlace]:
    served = simulators(files=1, projects=projects)
    return [ProcorePlace(served, number) for number in range(projects)]


def to_disk(folder: Path, place: ProcorePlace, **rules: Any) -> Bench:
    job = a_job(source={"connection": "office", "path": place.root[0]}, rules={**NATIVE, **rules})
    return Bench(folder, place.connector(), job, clock=SimulatorClock(place.served))  # type: ignore[arg-type]


def to_procore(folder: Path, source: Source, path: str, place: ProcorePlace, **rules: Any) -> Bench:
    job = a_job(
        name="home",
        source={"connection": "archive", "path": path},
        destination={"connection": "office", "path": place.root[0]},
        rules={**NATIVE, **rules},
    )
    return Bench(folder, source, job, clock=SimulatorClock(place.served))  # type: ignore[arg-type]


async def plant(place: ProcorePlace, name: str, *contents: bytes, after: int = 0) -> None:
    for number, content in enumerate(contents):
        await place.plant(("Plans", name), content, MODIFIED + timedelta(days=after + number))


async def versions_of(place: ProcorePlace, name: str) -> list[bytes]:
    """The contents of a file's versions, oldest first, as the connector hands them out."""
    async with place.connector() as connector:
        entry = await connector.stat((*place.root, "Plans", name))
        assert entry is not None
        found = []
        for version in await connector.versions(entry):
            async with connector.open(version) as chunks:
                found.append(b"".join([chunk async for chunk in chunks]))
        return found


def planned(bench: Bench) -> dict[str, int]:
    return dict(Plan.load(bench.state.runs()[-1]).summary.counts)


def replaced_versions(bench: Bench) -> list[tuple[str | None, str | None]]:
    """What the copies of the last run say they replaced, and what the plan saw there."""
    run = bench.state.runs()[-1]
    said = {row["action_id"]: row["replaced_version_id"] for row in pq.read_table(run.outcomes).to_pylist()}
    copies = Plan.load(run).actions([ActionKind.COPY])
    return [(said[one.action_id], one.expected.ref.version_id if one.expected else None) for one in copies]


def deleted_files(bench: Bench) -> list[str]:
    actions = Plan.load(bench.state.runs()[-1]).actions([ActionKind.DELETE])
    return ["/".join(action.source_path) for action in actions if action.entry_kind is EntryKind.FILE]


async def test_versions_become_files_and_the_next_run_is_quiet(
    tmp_path: Path, procore_simulator: ProcoreSimulators
) -> None:
    (place,) = a_place(procore_simulator)
    await plant(place, "a.pdf", b"first", b"second one", b"third")
    await plant(place, "b.pdf", b"only")
    bench = to_disk(tmp_path, place)
    account, found = await accounted_run(bench)
    assert account.adds_up, account.unexplained
    assert account.total.source_files == 2
    assert (found.clean, found.files) == (True, 4)
    expected = {
        "Plans/a.pdf": b"third",
        "Plans/a (v1).pdf": b"first",
        "Plans/a (v2).pdf": b"second one",
        "Plans/b.pdf": b"only",
    }
    assert bench.found() == expected
    times = [int((bench.root / "Plans" / name).stat().st_mtime) for name in ("a (v1).pdf", "a (v2).pdf", "a.pdf")]
    assert times == [int((MODIFIED + timedelta(days=number)).timestamp()) for number in range(3)]
    assert len([call for call in calls(place.served) if "/files/" in call["path"]]) == 1
    again, _ = await accounted_run(bench)
    assert again.total.files["skipped"] == 2
    assert planned(bench).keys() <= {"skip"}


async def test_only_what_is_new_becomes_a_version(tmp_path: Path, procore_simulator: ProcoreSimulators) -> None:
    (place,) = a_place(procore_simulator)
    await plant(place, "a.pdf", b"first", b"second one")
    bench = to_disk(tmp_path, place, item_overwrite="overwrite")
    await accounted_run(bench)
    await plant(place, "a.pdf", b"third", after=2)
    account, found = await accounted_run(bench)
    assert account.adds_up, account.unexplained
    assert (found.clean, found.files) == (True, 2)
    assert planned(bench)[ActionKind.ADD_VERSION] == planned(bench)[ActionKind.COPY] == 1
    everything = {path: content for path, content in bench.found().items() if path.startswith("Plans/")}
    assert everything == {
        "Plans/a.pdf": b"third",
        "Plans/a (v1).pdf": b"first",
        "Plans/a (v2).pdf": b"second one",
    }
    (bench.root / "Plans" / "a (v1).pdf").unlink()
    await accounted_run(bench)
    assert planned(bench)[ActionKind.ADD_VERSION] == 1
    assert (bench.root / "Plans" / "a (v1).pdf").read_bytes() == b"first"


async def test_a_forgotten_run_is_recognised_and_another_file_is_not_touched(
    tmp_path: Path, procore_simulator: ProcoreSimulators
) -> None:
    (place,) = a_place(procore_simulator)
    await plant(place, "a.pdf", b"first", b"second one")
    await plant(place, "b.pdf", b"first", b"second one")
    bench = to_disk(tmp_path, place)
    await accounted_run(bench)
    bench.state.baseline.unlink()
    (bench.root / "Plans" / "b (v1).pdf").write_bytes(b"another")
    account, _ = await accounted_run(bench)
    assert account.adds_up, account.unexplained
    assert bench.found()["Plans/b (v1).pdf"] == b"another"
    assert planned(bench)[ActionKind.ADD_VERSION] == 2
    await accounted_run(bench)
    assert planned(bench)[ActionKind.ADD_VERSION] == 1


async def test_at_home_the_files_become_versions_again(tmp_path: Path, procore_simulator: ProcoreSimulators) -> None:
    place, other = a_place(procore_simulator, projects=2)
    await plant(place, "a.pdf", b"first", b"second one", b"third")
    await plant(place, "c.pdf", b"only")
    await accounted_run(to_disk(tmp_path, place))
    disk = FilesystemConnector(FilesystemSettings(folder=tmp_path / "destination"), Services())
    bench = to_procore(tmp_path, disk, "copied", other, item_overwrite="overwrite")
    account, found = await accounted_run(bench, other.connector())
    assert account.adds_up, account.unexplained
    assert account.total.source_files == 4
    assert found.clean
    assert await versions_of(other, "a.pdf") == [b"first", b"second one", b"third"]
    assert await versions_of(other, "c.pdf") == [b"only"]
    assert len(await other.everything()) == 2
    again, _ = await accounted_run(bench, other.connector())
    assert again.total.files["skipped"] == 4
    assert planned(bench).keys() <= {"skip"}
    plans = bench.folder / "destination" / "copied" / "Plans"
    (plans / "a.pdf").rename(plans / "a (v3).pdf")
    (plans / "a.pdf").write_bytes(b"fourth")
    account, _ = await accounted_run(bench, other.connector())
    assert account.adds_up, account.unexplained
    assert await versions_of(other, "a.pdf") == [b"first", b"second one", b"third", b"fourth"]


async def test_versions_stay_versions_where_they_are_kept(tmp_path: Path, procore_simulator: ProcoreSimulators) -> None:
    place, other = a_place(procore_simulator, projects=2)
    await plant(place, "a.pdf", b"first", b"second one", b"third")
    bench = to_procore(tmp_path, place.connector(), place.root[0], other, item_overwrite="overwrite")
    account, found = await accounted_run(bench, other.connector())
    assert account.adds_up, account.unexplained
    assert (found.clean, found.files) == (True, 1)
    assert await versions_of(other, "a.pdf") == [b"first", b"second one", b"third"]
    await plant(place, "a.pdf", b"fourth", b"fifth", after=3)
    await accounted_run(bench, other.connector())
    assert await versions_of(other, "a.pdf") == [b"first", b"second one", b"third", b"fourth", b"fifth"]
    ((said, seen),) = replaced_versions(bench)
    assert said == seen is not None
    again, _ = await accounted_run(bench, other.connector())
    assert again.total.files["skipped"] == 1


async def test_a_limit_keeps_the_newest(tmp_path: Path, procore_simulator: ProcoreSimulators) -> None:
    (place,) = a_place(procore_simulator)
    await plant(place, "a.pdf", b"first", b"second one", b"third")
    bench = to_disk(tmp_path, place, versioning={"preserve": "native", "from_source": 2})
    await accounted_run(bench)
    assert bench.found() == {"Plans/a.pdf": b"third", "Plans/a (v2).pdf": b"second one"}


async def test_neither_publishing_nor_going_both_ways_touches_the_files_of_versions(
    tmp_path: Path, procore_simulator: ProcoreSimulators
) -> None:
    (place,) = a_place(procore_simulator)
    await plant(place, "a.pdf", b"first", b"second one")
    bench = to_disk(tmp_path, place)
    await accounted_run(bench)
    expected = bench.found()
    for transfer_type in ("publish", "sync"):
        bench.job = bench.job.model_copy(update={"transfer_type": TransferType(transfer_type)})
        account, _ = await accounted_run(bench)
        assert account.adds_up, account.unexplained
        assert planned(bench).keys() <= {"skip"}
    assert bench.found() == expected
    assert len(await place.everything()) == 1


async def test_a_file_is_moved_once_its_versions_are_there(
    tmp_path: Path, procore_simulator: ProcoreSimulators
) -> None:
    (place,) = a_place(procore_simulator)
    await plant(place, "a.pdf", b"first", b"second one")
    bench = to_disk(tmp_path, place)
    bench.job = bench.job.model_copy(update={"transfer_type": TransferType.MOVE})
    await accounted_run(bench)
    assert (deleted_files(bench), planned(bench)[ActionKind.ADD_VERSION]) == ([], 1)
    await accounted_run(bench)
    assert deleted_files(bench) == ["Plans/a.pdf"]
    assert ActionKind.ADD_VERSION not in planned(bench)


async def test_the_sidecar_says_what_names_alone_do_not(tmp_path: Path, procore_simulator: ProcoreSimulators) -> None:
    place, other = a_place(procore_simulator, projects=2)
    await plant(place, "a.pdf", b"first", b"second one", b"third")
    there = to_disk(tmp_path, place, versioning={"preserve": "native", "from_source": 2}, metadata="sidecar")
    await accounted_run(there)
    run = there.state.runs()[-1]
    sidecar = write_sidecar(there.state, run, there.job, SecurityMaps(WhoIsWho(), WhoIsWho()))
    async with there.connector() as connector:
        root, name = there.job.destination.parts, there.job.name
        await put_sidecar(sidecar, connector, root, name, noted=there.state.sidecar, clock=there.clock)
    plans = there.root / "Plans"
    (plans / "b.pdf").write_bytes(b"b")
    (plans / "b (v2).pdf").write_bytes(b"no version")
    disk = FilesystemConnector(FilesystemSettings(folder=tmp_path / "destination"), Services())
    bench = to_procore(tmp_path, disk, "copied", other)
    account, _ = await accounted_run(bench, other.connector())
    assert account.adds_up, account.unexplained
    assert await versions_of(other, "a.pdf") == [b"second one", b"third"]
    names = sorted(path[-1] for path in await other.everything())
    assert names == ["a.pdf", "b (v2).pdf", "b.pdf"]
    (plans / "a (v2).pdf").write_bytes(b"another file")
    disk = FilesystemConnector(FilesystemSettings(folder=tmp_path / "destination"), Services())
    async with disk as source, other.connector() as destination:
        known = await known_versions(source, bench.job, destination.capabilities)
    assert known == {("Plans", "a (v2).pdf"): KnownVersion("a.pdf", 2, 10)}
    account, _ = await accounted_run(bench, other.connector())
    assert planned(bench)[ActionKind.COPY] == 1
    assert sorted(path[-1] for path in await other.everything()) == ["a (v2).pdf", *names]
