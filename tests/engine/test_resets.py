"""A reset forgets what it says and no more: nothing is copied twice, and past accounts come back as they were."""

from pathlib import Path

from migration.reconciliation import load_reconciliation
from migration.resets import Reset, account_again, accountable_runs, forget
from migration.state import RunPaths
from tests.engine.support import Bench, ScriptedSource
from tests.engine.whole import accounted_run

CONTENTS = {"Drawings/a.pdf": b"a" * 30_000, "Drawings/b.pdf": b"b" * 20_000, "Notes/con.txt": b""}


async def test_after_a_hard_reset_everything_is_recognised_and_nothing_copied_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    await accounted_run(bench)
    done = forget(bench.state, Reset.HARD, bench.clock.now())
    assert len(done) == 1
    assert not bench.state.baseline.exists()
    account, _ = await accounted_run(bench)
    assert account.adds_up
    assert account.reasons["skipped"] == {"already-there": 3}
    assert bench.state.baseline.is_file()


async def test_a_soft_reset_of_a_finished_job_forgets_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    await accounted_run(bench)
    assert forget(bench.state, Reset.SOFT, bench.clock.now()) == []
    account, _ = await accounted_run(bench)
    assert account.reasons["skipped"] == {"unchanged": 3}


async def test_the_accounts_of_past_runs_come_back_from_the_ledger(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSource(dict(CONTENTS)))
    before = [(await accounted_run(bench))[0], (await accounted_run(bench))[0]]
    runs = accountable_runs(bench.state)
    assert len(runs) == 2
    for run in runs:
        lose_the_account(run)
    again = [await account_again(bench.state, run) for run in runs]
    assert again == before
    assert [load_reconciliation(run) for run in runs] == before


def lose_the_account(run: RunPaths) -> None:
    run.outcomes.unlink()
    run.reconciliation.unlink()
