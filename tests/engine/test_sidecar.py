"""The sidecar's way to the destination: written through the connector, replaced at once, never the end of a run."""

from pathlib import Path

from migration.naming import SIDECAR_FOLDER
from migration.sidecar import Sidecar
from migration.sidecar_writing import Placed, put_sidecar
from tests.engine.memory_system import Kept, MemorySystem
from tests.engine.support import MODIFIED, QuickClock

FOLDER = ("root", SIDECAR_FOLDER, "towers")


def the_sidecar(folder: Path, content: str = "one\n") -> Sidecar:
    (folder / "manifest.csv").write_text(content, "utf-8")
    (folder / "README.txt").write_text("read me\n", "utf-8")
    return Sidecar({name: folder / name for name in ("manifest.csv", "README.txt")}, 1)


async def put(system: MemorySystem, folder: Path, content: str = "one\n") -> Placed:
    return await put_sidecar(
        the_sidecar(folder, content), system, ("root",), "towers", noted=folder / "noted.json", clock=QuickClock()
    )


async def test_only_what_is_not_there_is_written(tmp_path: Path) -> None:
    system = MemorySystem()
    assert await put(system, tmp_path) == Placed(FOLDER, ("manifest.csv", "README.txt"))
    assert (await put(system, tmp_path)).written == ()
    assert (await put(system, tmp_path, "two\n")).written == ("manifest.csv",)
    assert system.kept[*FOLDER, "manifest.csv"].content == b"two\n"
    assert not system.staged


async def test_what_somebody_changed_is_put_right(tmp_path: Path) -> None:
    system = MemorySystem()
    await put(system, tmp_path)
    system.kept[*FOLDER, "README.txt"] = Kept(99, b"other", MODIFIED)
    assert (await put(system, tmp_path)).written == ("README.txt",)
    (tmp_path / "noted.json").write_text("damaged", "utf-8")
    assert (await put(system, tmp_path)).written == ("manifest.csv", "README.txt")


async def test_a_destination_that_refuses_it_is_told_and_nothing_else(tmp_path: Path) -> None:
    system = MemorySystem()
    await system.make_folder(("root",))
    system.kept["root", SIDECAR_FOLDER] = Kept(99, b"a file", MODIFIED)
    placed = await put(system, tmp_path)
    assert placed.written == ()
    assert placed.problem is not None
    assert "not-a-folder" in placed.problem


async def test_a_child_job_has_a_folder_in_that_of_its_parent(tmp_path: Path) -> None:
    system = MemorySystem()
    placed = await put_sidecar(
        the_sidecar(tmp_path), system, (), "company/tower-1", noted=tmp_path / "noted.json", clock=QuickClock()
    )
    assert placed.folder == (SIDECAR_FOLDER, "company", "tower-1")
    assert (*placed.folder, "README.txt") in system.kept
