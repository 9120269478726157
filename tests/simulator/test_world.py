import itertools
import json
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from simulator.bodies import BLOCK_BYTES, Bodies
from simulator.project_writer import WorldOptions
from simulator.store import FILE_NAME, Store
from simulator.world import make_world, options_of, project_facts

NOW = 1_790_000_000.0
NAMES = "SELECT d.name, d.parent_id, d.kind, d.id FROM documents d JOIN projects p ON p.id = d.project_id"


def made(folder: Path, **options: int) -> Store:
    make_world(folder, WorldOptions(**options), NOW)
    return Store(folder)


def rows(store: Store) -> list[list[object]]:
    tables = ("users", "clients", "projects", "permissions", "documents", "versions")
    return [[tuple(row) for row in store.all(f"SELECT * FROM {table} ORDER BY 1, 2")] for table in tables]


def test_the_same_seed_gives_the_same_world_and_another_seed_another(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a", files=150), made(tmp_path / "b", files=150)
    other = made(tmp_path / "c", files=150, seed=8)
    assert rows(first) == rows(second)
    assert first.link_secret == second.link_secret
    assert rows(first)[4:] != rows(other)[4:]
    assert first.meta("service_client") != other.meta("service_client")


@pytest.mark.parametrize("files", [1, 5, 60, 200, 3000])
def test_the_sample_has_exactly_so_many_live_visible_files(tmp_path: Path, files: int) -> None:
    store = made(tmp_path, files=files)
    facts = project_facts(store)
    assert [project["files"] for project in facts] == [files, *[min(files, 25)] * 3]
    counted = store.one(
        "WITH RECURSIVE visible(id) AS (SELECT root_id FROM projects WHERE id = ? UNION ALL "
        "SELECT d.id FROM documents d JOIN visible ON d.parent_id = visible.id WHERE d.private = 0 AND d.deleted = 0) "
        "SELECT count(*) AS files FROM visible JOIN documents d ON d.id = visible.id WHERE d.kind = 'file'",
        facts[0]["id"],
    )
    assert counted is not None
    assert counted["files"] == files


def test_projects_differ_in_what_the_service_account_may_do(tmp_path: Path) -> None:
    facts = project_facts(made(tmp_path, files=50, projects=6))
    assert [(project["permitted"], project["documents_on"]) for project in facts] == [
        (True, True), (True, True), (False, True), (True, False), (True, True), (True, True),
    ]  # fmt: skip


def test_a_world_holds_what_makes_migrations_fail(tmp_path: Path) -> None:
    store = made(tmp_path, files=400, projects=1)
    names = {row["name"] for row in store.all(NAMES)}
    folded = {row["folded"] for row in store.all("SELECT folded FROM documents WHERE kind = 'file'")}
    assert {"CON.pdf", "trailing dot.", "trailing space ", " leading space.pdf", "..", "../../escape.txt"} <= names
    assert {"SITE PLAN.pdf", "Site Plan.pdf", "Survey", "SURVEY"} <= names
    assert "site plan.pdf" in folded
    assert sum(name.encode().startswith(b"Cafe") or name.startswith("Café") for name in names) == 2
    assert any(len(name.encode()) > 255 for name in names)
    assert any("👷" in name for name in names)
    sizes = [row["size_bytes"] for row in store.all("SELECT size_bytes FROM versions")]
    assert sizes.count(0) >= 2
    assert max(sizes) <= 50_000_000
    copies = store.one("SELECT count(*) AS copies FROM versions WHERE body_key = 'shared-logo'")
    assert copies is not None
    assert copies["copies"] == 4
    for condition in (
        "checked_out_until IS NOT NULL",
        "private = 1",
        "deleted = 1",
        "read_only = 1 AND recycle_bin = 0",
    ):
        assert store.one(f"SELECT 1 FROM documents WHERE {condition}"), condition
    for number in (2, 5, 7):
        assert store.one("SELECT 1 FROM versions WHERE number = ?", number)
    assert len(store.all("SELECT DISTINCT created_by FROM versions")) >= 8
    years = {row["created_at"][:4] for row in store.all("SELECT created_at FROM versions")}
    assert "2009" in years or "2010" in years or "2011" in years
    assert max(years) == time.strftime("%Y", time.gmtime(NOW))


def test_paths_are_longer_than_windows_and_deeper_than_people_expect(tmp_path: Path) -> None:
    store = made(tmp_path, files=400, projects=1)
    parents = {row["id"]: (row["parent_id"], row["name"]) for row in store.all(NAMES)}

    def path(document_id: int) -> list[str]:
        names = []
        at: int | None = document_id
        while at is not None:
            at, name = parents[at]
            names.append(name)
        return names[:-1][::-1]

    paths = [path(document_id) for document_id in parents]
    assert max(len("/".join(names)) for names in paths) > 300
    assert max(len(names) for names in paths) > 40


def test_no_name_stands_twice_in_a_folder(tmp_path: Path) -> None:
    store = made(tmp_path, files=6000)
    twice = store.all("SELECT name FROM documents GROUP BY parent_id, name, kind HAVING count(*) > 1")
    assert [row["name"] for row in twice] == []


def test_folders_are_about_as_many_as_people_make(tmp_path: Path) -> None:
    store = made(tmp_path, files=5000, projects=1)
    folders = store.one("SELECT count(*) AS folders FROM documents WHERE kind = 'folder'")
    assert folders is not None
    assert 300 < folders["folders"] < 1000


def test_a_file_of_more_than_4_gib_only_where_the_cap_allows_it(tmp_path: Path) -> None:
    largest = "SELECT max(size_bytes) AS size FROM versions"
    uncapped, capped = made(tmp_path / "a", files=60, max_file_bytes=0), made(tmp_path / "b", files=60)
    for store, expected in ((uncapped, True), (capped, False)):
        row = store.one(largest)
        assert row is not None
        assert (row["size"] > 4 * 1024**3) is expected


def test_files_of_one_size_for_measuring(tmp_path: Path) -> None:
    store = made(tmp_path, files=40, file_bytes=20_000, projects=1)
    assert {row["size_bytes"] for row in store.all("SELECT size_bytes FROM versions")} == {20_000}
    keys = [row["body_key"] for row in store.all("SELECT body_key FROM versions")]
    assert len(set(keys)) == len(keys) == 40


def test_a_world_that_is_there_is_left_alone(tmp_path: Path) -> None:
    made(tmp_path, files=20).close()
    before = (tmp_path / FILE_NAME).read_bytes()
    make_world(tmp_path, WorldOptions(files=20), NOW + 86400 * 30)
    assert (tmp_path / FILE_NAME).read_bytes() == before
    with pytest.raises(ValueError, match="holds a world made with seed=7, files=20"):
        make_world(tmp_path, WorldOptions(files=21), NOW)


def test_a_half_made_world_does_not_count(tmp_path: Path) -> None:
    filling = Store(tmp_path, to_fill=True)
    filling.set_meta("options", asdict(WorldOptions(files=20)))
    filling.close()
    assert options_of(tmp_path) is None
    assert made(tmp_path, files=20).one("SELECT 1 FROM documents") is not None
    assert options_of(tmp_path) == WorldOptions(files=20)


@pytest.mark.parametrize("options", [{"files": 0}, {"projects": 0}, {"max_file_bytes": -1}, {"file_bytes": -1}])
def test_options_without_sense_are_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a world needs"):
        make_world(tmp_path, WorldOptions(**options), NOW)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_body_reads_the_same_in_any_pieces(tmp_path: Path) -> None:
    bodies = Bodies(7, tmp_path)
    size_bytes = 3 * BLOCK_BYTES + 777
    whole = bodies.read("a", size_bytes, 0, size_bytes)
    assert len(whole) == size_bytes
    assert b"".join(bodies.pieces("a", size_bytes, piece_bytes=10_007)) == whole
    edges = (0, 1, 15, 16, 17, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 5, 2 * BLOCK_BYTES + 20, size_bytes)
    for start, end in itertools.combinations(edges, 2):
        assert bodies.read("a", size_bytes, start, end - start) == whole[start:end], (start, end)
    assert bodies.read("a", size_bytes, size_bytes, 10) == b""
    assert Bodies(7, tmp_path).sha256("a", size_bytes) == bodies.sha256("a", size_bytes)
    assert len({Bodies(seed, tmp_path).sha256(key, 5000) for seed in (7, 8) for key in ("a", "b", "1.1")}) == 6


def test_an_uploaded_body_is_the_file(tmp_path: Path) -> None:
    (tmp_path / "01ABC").write_bytes(bytes(range(256)) * 10)
    bodies = Bodies(7, tmp_path)
    assert bodies.read("upload:01ABC", 2560, 250, 20) == (bytes(range(256)) * 10)[250:270]


def test_what_is_remembered_of_the_options_is_plain_json(tmp_path: Path) -> None:
    store = made(tmp_path, files=5)
    assert json.loads(json.dumps(store.meta("options"))) == asdict(WorldOptions(files=5))
