import os
import shutil
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from migration.actions import VerificationLevel
from migration.baseline import write_baseline
from migration.contract import Destination
from migration.inventory import Inventory
from migration.plans import Plan
from migration.progress import Phase
from migration.reconciliation import reconcile
from migration.verification import VERIFICATION_SCHEMA, Scope, Verdict, Verification, verify
from tests.engine.memory_system import MemorySystem
from tests.engine.support import Bench, ScriptedSource, pattern
from tests.engine.whole import whole_run

CONTENTS = {
    "Drawings/a.pdf": pattern(700_000),
    "Drawings/b.pdf": b"b" * 20_000,
    "Photos/2024/c.jpg": b"c" * 1_000,
    "d.txt": b"",
}


def rows(bench: Bench) -> dict[str, dict[str, Any]]:
    table = pq.read_table(bench.state.runs()[-1].verification)
    assert table.schema.equals(VERIFICATION_SCHEMA)
    return {"/".join(row["destination_path"]): row for row in table.to_pylist()}


async def test_what_was_copied_is_hashed_where_it_lies(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    found = await whole_run(bench)
    assert (found.files, found.counts, found.clean) == (4, {Verdict.MATCHES: 4}, True)
    assert found.levels == {VerificationLevel.STORED_HASH: 4}
    assert found.bytes_hashed == sum(map(len, CONTENTS.values()))
    assert found.listing_complete
    assert sorted(rows(bench)) == sorted(CONTENTS)
    assert {row["sha256_expected"] == row["sha256_found"] for row in rows(bench).values()} == {True}
    account = reconcile(bench.state.runs()[-1])
    assert account.adds_up
    assert account.verification == {"matches": 4}


async def test_a_destination_that_only_hands_out_bytes_is_verified_by_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    memory = MemorySystem()
    found = await whole_run(bench, memory)
    assert (found.counts, found.levels) == ({Verdict.MATCHES: 4}, {VerificationLevel.STORED_HASH: 4})
    memory.kept["copied", "Drawings", "b.pdf"].content = b"x" * 20_000
    assert (await again(bench, memory)).counts == {Verdict.MATCHES: 3, Verdict.DIFFERS: 1}


def flip(path: Path) -> None:
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 1_000_000_000))


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "verdict", "detail"),
    [
        (flip, "differs", "another content"),
        (shorten, "differs", "19999 bytes instead of 20000"),
        (touch, "differs", "content matches, but it was modified"),
        (Path.unlink, "missing", "not at the destination"),
        (replace_by_folder, "differs", "folder"),
    ],
)
async def test_every_difference_is_found_and_named(
    tmp_path: Path, change: Callable[[Path], None], verdict: str, detail: str
) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    await whole_run(bench)
    change(bench.root / "Drawings" / "b.pdf")
    found = await again(bench)
    assert not found.clean
    assert found.counts == {Verdict.MATCHES: 3, Verdict(verdict): 1}
    assert [(one.path, one.verdict.value) for one in found.differences] == [(("Drawings", "b.pdf"), verdict)]
    assert detail in found.differences[0].detail
    assert rows(bench)["Drawings/b.pdf"]["verdict"] == verdict


async def again(bench: Bench, destination: Destination | None = None, scope: Scope = "this_run") -> Verification:
    run = bench.state.runs()[-1]
    async with opened(bench, destination) as connector:
        return await verify(
            run, bench.job, Plan.load(run), connector, scope=scope, clock=bench.clock, progress=bench.told.append
        )


@asynccontextmanager
async def opened(bench: Bench, destination: Destination | None) -> Any:
    async with bench.connector() if destination is None else destination as connector:
        yield connector


async def test_everything_includes_what_earlier_runs_copied_and_what_was_there(tmp_path: Path) -> None:
    source = ScriptedSource(dict(CONTENTS))
    bench = Bench(tmp_path, source)
    await whole_run(bench)
    write_baseline(bench.state, bench.state.runs()[-1], bench.job)
    source.contents["e.txt"] = b"new"
    assert (await whole_run(bench)).files == 1
    found = await again(bench, scope="everything")
    assert (found.files, found.counts) == (5, {Verdict.MATCHES: 5})
    assert found.levels == {VerificationLevel.STORED_HASH: 5}
    flip(bench.root / "Drawings" / "a.pdf")
    assert (await again(bench, scope="everything")).counts == {Verdict.MATCHES: 4, Verdict.DIFFERS: 1}
    bench.state.baseline.unlink()
    found = await again(bench, scope="everything")
    assert found.levels == {VerificationLevel.STORED_HASH: 1, VerificationLevel.SIZE: 4}


async def test_the_listing_is_made_anew_each_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    await whole_run(bench)
    shutil.rmtree(bench.root / "Photos")
    assert (await again(bench)).counts == {Verdict.MATCHES: 3, Verdict.MISSING: 1}
    assert Inventory.load(bench.state.runs()[-1].verified_inventory).header.files == 3
    told = [one for one in bench.told if one.phase is Phase.VERIFY]
    assert told[-1].files_done == 4


async def test_nothing_copied_is_nothing_to_verify(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource({}))
    found = await whole_run(bench)
    assert (found.files, found.clean) == (0, True)


async def test_a_root_that_went_is_told_file_by_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    await whole_run(bench)
    shutil.rmtree(bench.root)
    assert (await again(bench)).counts == {Verdict.MISSING: 4}
