"""Jobs between two folders that change both sides, by the real flows."""

import os
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.filesystem.settings import FilesystemSettings
from flows.endings import Ending, EndState
from migration.jobs import Job, Location
from migration.state import JobState
from tasks.connections import save_connection
from tasks.server import Server
from tests.flows.place import Place, make_place
from tests.servers import ProcoreSimulators

NO_SIMULATOR: Any = None


@dataclass
class Both(Place):
    """Two folders instead of a Procore and a folder."""

    def plant(self, side: str, path: str, content: str, at: int = 1_700_000_000) -> None:
        file = self.folder / side / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        os.utime(file, (at, at))

    def files_of(self, side: str) -> dict[str, str]:
        root = self.folder / side
        found = sorted(path for path in root.rglob("*") if path.is_file())
        names = {path.relative_to(root).as_posix(): path.read_text() for path in found}
        return {name: text for name, text in names.items() if not name.startswith(".sitehaul-trash/")}


@pytest.fixture
def both(prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    mark = uuid.uuid4().hex[:8]
    for side in ("here", "there"):
        (tmp_path / side).mkdir()
        save_connection(f"{side}-{mark}", FilesystemSettings(folder=tmp_path / side))
    job = Job(
        name=f"job-{mark}",
        source=Location(connection=f"here-{mark}"),
        destination=Location(connection=f"there-{mark}"),
        transfer_type="sync",
        rules={"delete_propagation": "mirror", "deletes": {"two_sightings": False, "percent_max": 100.0}},
    )
    return Both(NO_SIMULATOR, tmp_path, job)


def state_of(ending: Ending) -> tuple[EndState, BaseException | None]:
    return ending.state, ending.error


async def test_changes_of_both_sides_arrive_and_are_undone(both: Both) -> None:
    for name in ("a.txt", "Plans/b.txt", "Plans/c.txt", "d.txt"):
        both.plant("here", name, f"first {name}")
    assert state_of(await both.run()) == (EndState.DONE, None)
    assert both.files_of("here") == both.files_of("there")

    both.plant("there", "a.txt", "second, of the destination", 1_800_000_000)
    both.plant("here", "d.txt", "second, of the source", 1_800_000_000)
    both.plant("there", "new.txt", "made there")
    (both.folder / "here" / "Plans" / "b.txt").unlink()
    ending = await both.run()
    assert state_of(ending) == (EndState.DONE, None)
    assert both.files_of("here") == both.files_of("there")
    assert both.files_of("here") == {
        "Plans/c.txt": "first Plans/c.txt",
        "a.txt": "second, of the destination",
        "d.txt": "second, of the source",
        "new.txt": "made there",
    }
    assert "2 copied to the source" in ending.sentence
    assert "1 deleted" in ending.sentence

    shown = await both.run("undo", dry_run=True)
    assert shown.undone is not None and shown.undone.counts["pending"] == 3
    undone = await both.run("undo")
    assert state_of(undone) == (EndState.DONE, None)
    assert undone.undone is not None and undone.undone.counts == {"undone": 3, "left": 0, "pending": 0}
    assert both.files_of("here")["a.txt"] == "first a.txt"
    assert both.files_of("there")["d.txt"] == "first d.txt"
    assert both.files_of("there")["Plans/b.txt"] == "first Plans/b.txt"
    assert JobState.of(Path(os.environ["SITEHAUL_HOME"]) / "state", both.job.name).runs()[-1].undo.is_file()


async def test_a_move_empties_the_source_and_leaves_the_rest_to_the_trash(both: Both) -> None:
    both.job = Job.model_validate(both.job.model_dump() | {"transfer_type": "move"})
    for name in ("a.txt", "Plans/b.txt"):
        both.plant("here", name, f"first {name}")
    ending = await both.run()
    assert state_of(ending) == (EndState.DONE, None)
    assert both.files_of("here") == {}
    assert both.files_of("there") == {"Plans/b.txt": "first Plans/b.txt", "a.txt": "first a.txt"}
    undone = await both.run("undo")
    assert undone.undone is not None and not undone.undone.counts["left"]
    assert both.files_of("here") == both.files_of("there")


def in_procore(place: Place) -> list[dict[str, Any]]:
    """The current files, private ones too."""
    rows = place.served.truth()
    return [row for row in rows if row["kind"] == "file" and row["current"] and not row["deleted"]]


async def test_a_procore_project_and_a_folder_become_the_same_and_are_told_apart_again(
    procore_simulator: ProcoreSimulators, prefect_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del prefect_server
    monkeypatch.setenv("SITEHAUL_HOME", str(tmp_path / "home"))
    served = procore_simulator(files=12, seed=5, max_file_bytes=20_000)
    served.edit({"op": "permission", "project_id": served.project["id"], "level": 4})
    place = make_place(served, tmp_path)
    rules = {"delete_propagation": "mirror", "deletes": {"two_sightings": False, "percent_max": 100.0}}
    place.job = Job.model_validate(place.job.model_dump() | {"transfer_type": "sync", "rules": rules})
    for _ in range(2):  # the folder was empty in the first run; nothing is deleted because of a place not seen before
        assert state_of(await place.run()) == (EndState.DONE, None)
    first, second, third = sorted(place.files())[:3]
    first.write_text("edited in the folder")
    second.unlink()
    third.rename(third.with_name("renamed there.txt"))
    (place.copied / "New").mkdir()
    (place.copied / "New" / "made there.txt").write_text("made in the folder")
    before = place.found()
    ending = await place.run()
    assert state_of(ending) == (EndState.DONE, None)
    assert place.found() == before
    assert Counter(row["sha256"] for row in in_procore(place)) == before
    assert {"renamed there.txt", "made there.txt"} <= {row["path"][-1] for row in in_procore(place)}
    undone = await place.run("undo")
    assert undone.undone is not None and not undone.undone.counts["left"], undone.undone
    assert second.name in {row["path"][-1] for row in in_procore(place)}
