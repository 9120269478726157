import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from migration.actions import Outcome, OutcomeWord, VerificationLevel
from migration.entries import Ref
from migration.errors import ContractViolation, FatalError
from migration.ledger import OUTCOMES_SCHEMA, Latest, Ledger, Staged

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
RUN = "20260301T120000.000000Z"


def outcome(action_id: str, word: OutcomeWord = OutcomeWord.SUCCEEDED, attempt: int = 1, **more: object) -> Outcome:
    fields = {
        "action_id": action_id,
        "attempt": attempt,
        "started_at": NOON,
        "finished_at": NOON + timedelta(seconds=1),
        "word": word,
    }
    return Outcome(**{**fields, **more})  # type: ignore[arg-type]


def staged(action_id: str, sha256: str = "ab" * 32, path: tuple[str, ...] = ("root", "a/b", "c.pdf")) -> Staged:
    return Staged(action_id=action_id, destination_path=path, size_bytes=7, sha256=sha256, at=NOON)


async def test_a_new_ledger_is_empty(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "new" / "ledger.sqlite") as ledger:
        assert await ledger.latest(RUN) == {}
        assert await ledger.staged(RUN) == {}
        assert await ledger.counts(RUN) == {}
        assert await ledger.export(RUN, tmp_path / "outcomes.parquet") == 0
    assert pq.read_schema(tmp_path / "outcomes.parquet").equals(OUTCOMES_SCHEMA)


async def test_outcomes_survive_closing_and_belong_to_their_run(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    async with Ledger.open(path) as ledger:
        await ledger.record(RUN, [outcome("a"), outcome("b", OutcomeWord.RETRYING)])
        await ledger.record("later", [outcome("a", OutcomeWord.FLAGGED, reason="too-large")])
    async with Ledger.open(path) as ledger:
        assert await ledger.latest(RUN) == {
            "a": Latest(OutcomeWord.SUCCEEDED, 1, None, 0),
            "b": Latest(OutcomeWord.RETRYING, 1, None, 0),
        }
        assert await ledger.latest("later") == {"a": Latest(OutcomeWord.FLAGGED, 1, "too-large", 0)}
        assert await ledger.latest(RUN, ["b", "unknown"]) == {"b": Latest(OutcomeWord.RETRYING, 1, None, 0)}
        assert await ledger.counts(RUN) == {OutcomeWord.SUCCEEDED: 1, OutcomeWord.RETRYING: 1}


async def test_the_latest_of_several_attempts_counts(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        await ledger.record(RUN, [outcome("a", OutcomeWord.RETRYING, 1, reason="short-body")])
        await ledger.record(RUN, [outcome("a", OutcomeWord.RETRYING, 2, reason="short-body")])
        await ledger.record(RUN, [outcome("a", OutcomeWord.SUCCEEDED, 3, bytes_copied=7)])
        assert await ledger.latest(RUN) == {"a": Latest(OutcomeWord.SUCCEEDED, 3, None, 7)}
        assert await ledger.counts(RUN) == {OutcomeWord.SUCCEEDED: 1}


@pytest.mark.parametrize("first", [word for word in OutcomeWord if word.terminal])
async def test_a_second_final_outcome_is_refused_and_takes_nobody_with_it(tmp_path: Path, first: OutcomeWord) -> None:
    async with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        await ledger.record(RUN, [outcome("a", first)])
        answers = await asyncio.gather(
            ledger.record(RUN, [outcome("b")]),
            ledger.record(RUN, [outcome("a", OutcomeWord.SUCCEEDED, 2)]),
            ledger.record(RUN, [outcome("c")]),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [type(None), ContractViolation, type(None)]
        assert {key: latest.word for key, latest in (await ledger.latest(RUN)).items()} == {
            "a": first,
            "b": OutcomeWord.SUCCEEDED,
            "c": OutcomeWord.SUCCEEDED,
        }


async def test_staged_events_keep_paths_that_no_text_can_hold(tmp_path: Path) -> None:
    path = ("Ordner", "with/slash", "not-utf8-\udcff.pdf", "😀")
    async with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        await ledger.record_staged(RUN, staged("a", "00" * 32, path))
        await ledger.record_staged(RUN, staged("a", "11" * 32, path))
        await ledger.record_staged("other", staged("a"))
        await ledger.record_staged(RUN, staged("b"))
        assert await ledger.staged(RUN) == {"a": staged("a", "11" * 32, path), "b": staged("b")}
        assert await ledger.staged(RUN, ["b"]) == {"b": staged("b")}


async def test_thousands_at_once_share_commits_and_all_arrive(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    async with Ledger.open(path) as ledger:
        await asyncio.gather(*(ledger.record(RUN, [outcome(f"{number:05d}")]) for number in range(3000)))
        assert len(await ledger.latest(RUN, [f"{number:05d}" for number in range(3000)])) == 3000
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*), count(DISTINCT action_id) FROM outcomes").fetchone() == (3000, 3000)


async def test_a_cancelled_caller_does_not_take_the_record_with_it(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        task = asyncio.create_task(ledger.record(RUN, [outcome("a")]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ledger.record(RUN, [outcome("b")])
        assert sorted(await ledger.latest(RUN)) == ["a", "b"]


async def test_the_export_has_one_row_per_action_with_everything_that_is_known(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        await ledger.record(RUN, [outcome("b", OutcomeWord.RETRYING, reason="short-body", message="cut \udcff")])
        await ledger.record(
            RUN,
            [
                outcome(
                    "a",
                    OutcomeWord.REVISED,
                    bytes_copied=7,
                    sha256="ab" * 32,
                    settled_sha256="cd" * 32,
                    trashed="the token",
                    replaced_version_id="E0",
                    destination=Ref("filesystem", "1:2", "v7"),
                    destination_name="a_.pdf",
                    destination_modified_at=NOON,
                    verification=VerificationLevel.SENT_HASH,
                )
            ],
        )
        assert await ledger.export(RUN, tmp_path / "outcomes.parquet") == 2
    rows = pq.read_table(tmp_path / "outcomes.parquet").to_pylist()
    assert [row["action_id"] for row in rows] == ["a", "b"]
    assert rows[0] | {"started_at": None, "finished_at": None} == {
        "action_id": "a",
        "attempt": 1,
        "word": "revised",
        "reason": None,
        "message": None,
        "bytes_copied": 7,
        "sha256": "ab" * 32,
        "settled_sha256": "cd" * 32,
        "trashed": "the token",
        "replaced_version_id": "E0",
        "destination_id": "1:2",
        "destination_version_id": "v7",
        "destination_name": "a_.pdf",
        "destination_modified_at": NOON,
        "verification": "sent_hash",
        "started_at": None,
        "finished_at": None,
    }
    assert rows[1]["message"] == "cut \\xff"
    assert (rows[0]["started_at"], rows[0]["finished_at"]) == (NOON, NOON + timedelta(seconds=1))


async def test_a_ledger_of_the_first_format_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    async with Ledger.open(path) as ledger:
        await ledger.record(RUN, [outcome("a", sha256="ab" * 32)])
    with sqlite3.connect(path) as database:
        for column in ("settled_sha256", "destination_version_id", "trashed", "replaced_version_id"):
            database.execute(f"ALTER TABLE outcomes DROP COLUMN {column}")
        database.execute("UPDATE ledger_format SET version = 1")
    for _ in range(2):
        async with Ledger.open(path) as ledger:
            assert set(await ledger.latest(RUN)) >= {"a"}
    async with Ledger.open(path) as ledger:
        await ledger.record(RUN, [outcome("b", settled_sha256="cd" * 32)])
        await ledger.export(RUN, tmp_path / "outcomes.parquet")
    rows = pq.read_table(tmp_path / "outcomes.parquet").to_pylist()
    assert [(row["sha256"], row["settled_sha256"]) for row in rows] == [("ab" * 32, None), (None, "cd" * 32)]


@pytest.mark.parametrize("content", [b"this is no database, but it is long enough to be read as one" * 20, b"x"])
async def test_a_file_that_is_no_ledger_is_said_so_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(FatalError) as told:
        async with Ledger.open(path):
            pass
    assert told.value.code == "ledger-unreadable"
    assert str(path) in told.value.message
    assert told.value.fix
    assert path.read_bytes() == content


async def test_a_damaged_ledger_is_said_so_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    async with Ledger.open(path) as ledger:
        await ledger.record(RUN, [outcome(f"{number:05d}") for number in range(2000)])
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(FatalError, match="damaged"):
        async with Ledger.open(path) as ledger:
            await ledger.latest(RUN)


async def test_a_ledger_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    async with Ledger.open(path):
        pass
    with sqlite3.connect(path) as database:
        database.execute("UPDATE ledger_format SET version = 99")
    with pytest.raises(FatalError) as told:
        async with Ledger.open(path):
            pass
    assert told.value.code == "ledger-too-new"


async def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").mkdir()
    with pytest.raises(FatalError) as told:
        async with Ledger.open(tmp_path / "ledger.sqlite"):
            pass
    assert told.value.code == "ledger-not-writable"


async def test_what_cannot_be_recorded_is_told_and_holds_nobody_up(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        answers = await asyncio.gather(
            ledger.record(RUN, [outcome("a", started_at=None)]),
            ledger.record(RUN, [outcome("b", bytes_copied=2**70)]),
            ledger.record(RUN, [outcome("c", started_at="noon")]),
            return_exceptions=True,
        )
        assert {type(answer) for answer in answers} == {ContractViolation}
        await ledger.record(RUN, [outcome("d", destination=Ref("filesystem", "not-utf8-\udcff"))])
        assert list(await ledger.latest(RUN)) == ["d"]


async def test_what_was_achieved_counts_files_and_their_bytes(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert await ledger.achieved(RUN) == (0, 0)
        await ledger.record(RUN, [outcome("a", sha256="ab" * 32, bytes_copied=7), outcome("a folder")])
        await ledger.record(RUN, [outcome("b", OutcomeWord.RETRYING), outcome("c", OutcomeWord.FLAGGED)])
        assert await ledger.achieved(RUN) == (2, 7)


async def test_a_closed_ledger_refuses(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    with pytest.raises(ContractViolation):
        await ledger.record(RUN, [outcome("a")])


WRITE_UNTIL_KILLED = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from migration.actions import Outcome, OutcomeWord
from migration.ledger import Ledger

async def main() -> None:
    now = datetime.now(UTC)
    async with Ledger.open(Path(sys.argv[1])) as ledger:
        async def one(worker: int) -> None:
            for number in range(100_000):
                name = f"{worker}-{number}"
                await ledger.record("run", [Outcome(action_id=name, attempt=1, started_at=now, finished_at=now,
                                                    word=OutcomeWord.SUCCEEDED)])
                print(name, flush=True)
        await asyncio.gather(*(one(worker) for worker in range(16)))

asyncio.run(main())
"""


def test_what_was_said_to_be_durable_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = {process.stdout.readline().strip() for _ in range(500)}
        os.kill(process.pid, signal.SIGKILL)
        said |= {line.strip() for line in process.stdout if line.endswith("\n")}
    with sqlite3.connect(path) as database:
        kept = {action_id for (action_id,) in database.execute("SELECT action_id FROM outcomes")}
    assert said - kept == set()
