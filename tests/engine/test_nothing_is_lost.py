"""Neither end loses anything by a run: the source stays as it is, and the destination keeps what it has."""

from pathlib import Path

import pytest

from connectors.filesystem.connector import FilesystemConnector
from connectors.filesystem.settings import FilesystemSettings
from connectors.shared.services import Services
from migration.actions import ActionKind
from migration.errors import ConfigurationError
from migration.plans import Plan
from tests.engine.support import Bench, QuickClock
from tests.engine.test_procore_run import FAULTS, a_bench
from tests.engine.whole import accounted_run
from tests.servers import ProcoreSimulators

FILES = {"a/one.txt": b"1", "a/b/two.txt": b"22", "three.txt": b""}


def disk_bench(folder: Path) -> tuple[Bench, Path]:
    origin = folder / "origin"
    for path, content in FILES.items():
        (origin / path).parent.mkdir(parents=True, exist_ok=True)
        (origin / path).write_bytes(content)
    clock = QuickClock()
    return Bench(folder, FilesystemConnector(FilesystemSettings(folder=origin), Services()), clock=clock), origin


def everything_of(folder: Path) -> dict[str, tuple[int, int, int, bytes | None]]:
    """What a listing of every name below shows, with contents."""
    seen = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        stat = path.stat()
        content = path.read_bytes() if path.is_file() else None
        seen[str(path)] = (stat.st_mode, stat.st_ino, stat.st_mtime_ns, content)
    return seen


async def test_nothing_is_changed_in_procore(tmp_path: Path, procore_simulator: ProcoreSimulators) -> None:
    served = procore_simulator(files=80, max_file_bytes=30_000)
    before = served.truth()
    served.faults(
        [{"host": host, "fault": fault, "probability": 0.02, "seed": 1, "after_bytes": 100}
         for fault in FAULTS for host in ("storage", "blob")]
    )  # fmt: skip
    bench = a_bench(tmp_path, served, read_timeout_seconds=0.3)
    for _ in range(2):
        await accounted_run(bench)
    assert served.truth() == before
    asked = {(entry["host"], entry["method"]) for entry in served.log()}
    assert asked - {("login", "POST")} <= {(host, "GET") for host in ("login", "api", "storage", "blob", "control")}


async def test_nothing_is_changed_on_a_disk_that_is_read_from(tmp_path: Path) -> None:
    bench, origin = disk_bench(tmp_path)
    before = everything_of(origin)
    for _ in range(2):
        account, _ = await accounted_run(bench)
        assert account.adds_up
    assert everything_of(origin) == before


async def test_an_empty_listing_deletes_nothing(tmp_path: Path) -> None:
    bench, origin = disk_bench(tmp_path)
    await accounted_run(bench)
    before = bench.found()
    assert before == FILES
    for path in sorted(origin.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    account, _ = await accounted_run(bench)
    assert account.adds_up
    assert account.total.source_files == 0
    assert bench.found() == before
    assert not list(Plan.load(bench.state.runs()[-1]).actions([ActionKind.DELETE]))


async def test_a_listing_that_fails_deletes_nothing(tmp_path: Path) -> None:
    bench, origin = disk_bench(tmp_path)
    await accounted_run(bench)
    before = bench.found()
    origin.rename(tmp_path / "unmounted")
    with pytest.raises(ConfigurationError):
        await accounted_run(bench)
    assert bench.found() == before


async def test_what_became_invisible_at_the_source_is_not_deleted(
    tmp_path: Path, procore_simulator: ProcoreSimulators
) -> None:
    served = procore_simulator(files=80, max_file_bytes=2_000)
    bench = a_bench(tmp_path, served)
    await accounted_run(bench)
    before = bench.found()
    hidden = next(row for row in served.truth() if row["kind"] == "folder" and len(row["path"]) == 1)
    served.edit({"op": "private", "project_id": served.project["id"], "id": hidden["id"]})
    account, _ = await accounted_run(bench)
    assert account.adds_up
    assert bench.found() == before
