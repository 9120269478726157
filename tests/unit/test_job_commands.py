"""`sitehaul job …` works on the jobs' own files; no server is needed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import commands
from flows.cli.main import app
from migration.errors import ConfigurationError
from migration.job_files import load_job_file
from migration.jobs import Job
from migration.runs import JobRunning, RunRecord, begin, job_lock
from migration.state import JobState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DRYVIQ = Path(__file__).parent / "dryviq" / "everything.json"
TEXT = "name: tower\nsource: {connection: office, path: A}\ndestination: {connection: archive, path: B}\n"
assert commands.__all__


class Shell:
    """The command line on a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.err = ""

    def __call__(self, *words: str) -> str:
        result = CliRunner().invoke(app, ["--home", str(self.home), *words])
        self.err = result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code in (0, None), result.output
        return result.stdout

    def state(self, name: str = "tower") -> JobState:
        return JobState.of(self.home / "state", name)

    def read(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "tower.yaml").write_text(TEXT)
    shell = Shell(tmp_path / "home")
    shell("job", "import", str(tmp_path / "tower.yaml"))
    return shell


def test_a_file_becomes_a_job_and_a_job_a_file(shell: Shell, tmp_path: Path) -> None:
    assert "tower is a job now" in shell.err
    (tmp_path / "shown.yaml").write_text(shell("job", "show", "tower"))
    assert load_job_file(tmp_path / "shown.yaml") == shell.state().load_job()
    (tmp_path / "all.yaml").write_text(shell("job", "show", "tower", "--all"))
    assert load_job_file(tmp_path / "all.yaml") == shell.state().load_job()
    assert shell.read("job", "show", "tower")["source"] == {"connection": "office", "path": "A"}
    (listed,) = shell.read("job", "list")
    assert (listed["job"], listed["version"], listed["state"], listed["source"]) == ("tower", 1, "new", "office:A")
    shell("job", "list")
    assert "archive:B" in shell.err


def test_set_tells_what_changed_and_what_follows(shell: Shell) -> None:
    shell("job", "set", "tower", "rules.filter.exclude=*.tmp", "performance.parallel_writes=4")
    assert "rules.filter.exclude: [] → [*.tmp]  (an unfinished run is planned anew)" in shell.err
    assert "performance.parallel_writes: 32 → 4  (an unfinished run goes on with it)" in shell.err
    (change,) = shell.read("job", "set", "tower", "destination.path=C")["changes"]
    assert (change["field"], change["before"], change["after"]) == ("destination.path", "B", "C")
    assert "files are recognised by size and time" in change["effect"]
    shell("job", "set", "tower", "destination.path=C")
    assert "nothing changed" in shell.err
    assert shell.state().version_numbers() == [1, 2, 3]
    assert shell.state().load_version(1)[0].performance.parallel_writes == 32
    with pytest.raises(ConfigurationError, match="at least 1 is needed"):
        shell("job", "set", "tower", "performance.parallel_writes=0")
    with pytest.raises(ConfigurationError, match="'transfer_typ'"):
        shell("job", "set", "tower", "transfer_typ=sync")
    with pytest.raises(ConfigurationError, match="is called 'other' now"):
        shell("job", "set", "tower", "name=other")
    assert shell.state().version_numbers() == [1, 2, 3]


def test_diff_is_since_the_last_run_a_version_or_against_a_file(shell: Shell, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has not been run yet"):
        shell("job", "diff", "tower")
    begin(shell.state(), shell.state().load_job(), NOON)
    shell("job", "diff", "tower")
    assert "nothing changed since the last run" in shell.err
    shell("job", "set", "tower", "transfer_type=sync")
    shell("job", "set", "tower", "rules.trust_mode=true")
    assert [one["field"] for one in shell.read("job", "diff", "tower")["changes"]] == [
        "transfer_type", "rules.trust_mode",
    ]  # fmt: skip
    assert [one["field"] for one in shell.read("job", "diff", "tower", "--version", "2")["changes"]] == [
        "rules.trust_mode"
    ]
    (back,) = [one for one in shell.read("job", "diff", "tower", str(tmp_path / "tower.yaml"))["changes"]
               if one["field"] == "transfer_type"]  # fmt: skip
    assert (back["before"], back["after"]) == ("sync", "copy")
    with pytest.raises(ConfigurationError, match="no version 9"):
        shell("job", "diff", "tower", "--version", "9")


def test_the_next_run_says_what_changed(shell: Shell) -> None:
    state = shell.state()
    run = begin(state, state.load_job(), NOON)
    run.stopped("asked to", NOON)
    shell("job", "set", "tower", "performance.parallel_writes=4")
    resumed = begin(state, state.load_job(), NOON)
    assert resumed.resumed
    assert resumed.why.endswith("Changed since then: performance.parallel_writes.")
    resumed.stopped("asked to", NOON)
    shell("job", "set", "tower", "rules.trust_mode=true", "transfer_type=sync")
    anew = begin(state, state.load_job(), NOON + timedelta(minutes=1))
    assert not anew.resumed
    assert anew.why.endswith("Changed since then: transfer_type and rules.trust_mode.")


def editor(folder: Path, monkeypatch: pytest.MonkeyPatch, expression: str) -> None:
    program = folder / "editor"
    program.write_text(f"#!/bin/sh\nsed -i '{expression}' \"$1\"\n")
    program.chmod(0o700)
    monkeypatch.setenv("VISUAL", str(program))


def test_edit_takes_what_is_valid_and_keeps_the_rest(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "s/transfer_type: copy/transfer_type: sync/")
    shell("job", "edit", "tower")
    assert "transfer_type: copy → sync" in shell.err
    editor(tmp_path, monkeypatch, "s/transfer_type: sync/transfer_type: synch/")
    with pytest.raises(ConfigurationError, match="did you mean sync") as told:
        shell("job", "edit", "tower")
    kept = shell.state().folder / "edited.yaml"
    assert told.value.fix is not None
    assert str(kept) in told.value.fix
    assert "synch" in kept.read_text()
    assert shell.state().load_job().transfer_type == "sync"
    monkeypatch.setenv("VISUAL", "false")
    with pytest.raises(ConfigurationError, match="ended with: 1"):
        shell("job", "edit", "tower")
    monkeypatch.setenv("VISUAL", str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match="No such file"):
        shell("job", "edit", "tower")


def test_a_dryviq_job_becomes_a_file_to_look_at(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "made.yaml"
    document = shell.read("job", "import", str(DRYVIQ), "--name", "made", "--source-connection", "office",
                          "--out", str(out))  # fmt: skip
    assert {one["verdict"] for one in document["fields"]} == {"mapped", "not applicable"}
    made = load_job_file(out)
    assert (made.name, made.source.connection, made.schedule.mode) == ("made", "office", "auto")
    assert "# To do: Save the connection that DryvIQ knows as a1c3e5" in out.read_text()
    assert not shell.state("made").job_file.exists()
    with pytest.raises(ConfigurationError, match="there already"):
        shell("job", "import", str(DRYVIQ), "--out", str(out))
    shell("job", "import", str(DRYVIQ), "--out", str(tmp_path / "other.yaml"))
    assert "0 unknown" in shell.err
    shell("job", "import", str(out))
    assert shell.state("made").load_job() == made


def test_rename_takes_everything_along(shell: Shell) -> None:
    state = shell.state()
    begin(state, state.load_job(), NOON)
    shell("job", "rename", "tower", "tower-2")
    assert not state.folder.exists()
    renamed = shell.state("tower-2")
    assert (renamed.load_job().name, len(renamed.runs())) == ("tower-2", 1)
    shell("job", "rename", "tower-2", "tower")
    (shell.home / "state" / "taken").mkdir()
    with pytest.raises(ConfigurationError, match="already"):
        shell("job", "rename", "tower", "taken")
    with pytest.raises(ConfigurationError, match="name is"):
        shell("job", "rename", "tower", "a b")


def test_remove_asks(shell: Shell) -> None:
    declined = CliRunner().invoke(app, ["--home", str(shell.home), "job", "remove", "tower"], input="n\n")
    assert declined.exit_code == 1
    assert "Remove the job tower with its 0 runs" in declined.stderr
    assert shell.state().job_file.is_file()
    with pytest.raises(ConfigurationError, match="There is no job"):
        shell("job", "remove", "./tower", "--yes")
    shell("job", "remove", "tower", "--yes")
    assert not shell.state().folder.exists()


def test_soft_and_hard_resets(shell: Shell) -> None:
    state = shell.state()
    run = begin(state, state.load_job(), NOON)
    run.stopped("asked to", NOON)
    state.baseline.write_bytes(b"rows")
    shell("job", "reset", "tower", "--soft")
    assert run.run_id in shell.err
    assert state.baseline.is_file()
    assert RunRecord.load(run.paths).given_up
    again = begin(state, state.load_job(), NOON + timedelta(minutes=1))
    assert not again.resumed
    assert "given up by a reset" in again.why
    shell("job", "reset", "tower", "--hard", "--yes")
    assert not state.baseline.exists()
    (kept,) = (state.folder / "set-aside").iterdir()
    assert kept.read_bytes() == b"rows"
    shell("job", "reset", "tower", "--soft")
    assert "nothing to forget" in shell.err


def test_a_running_job_is_not_reset(shell: Shell) -> None:
    with job_lock(shell.state(), NOON):
        for words in (("reset", "tower", "--soft"), ("rename", "tower", "x"), ("remove", "tower", "--yes")):
            with pytest.raises(JobRunning):
                shell("job", *words)
    assert shell.state().job_file.is_file()


def test_a_stats_reset_needs_the_ledger(shell: Shell) -> None:
    state = shell.state()
    shell("job", "reset", "tower", "--stats")
    run = begin(state, state.load_job(), NOON)
    run.paths.plan_summary.write_text("{}")
    with pytest.raises(ConfigurationError, match="ledger"):
        shell("job", "reset", "tower", "--stats")
    assert not state.ledger.exists()


def test_schema_and_fields_are_printed(shell: Shell, tmp_path: Path) -> None:
    assert json.loads(shell("job", "schema"))["title"] == "SiteHaul job"
    assert "| `transfer_type` |" in shell("job", "fields")
    document = tmp_path / "doc.md"
    document.write_text("# Mine\n")
    with pytest.raises(ConfigurationError, match="no lines"):
        shell("job", "fields", "--into", str(document))


def test_a_job_of_a_future_version_is_told(shell: Shell) -> None:
    state = shell.state()
    values = state.load_job().model_dump(mode="json") | {"telepathy": True}
    state.job_file.write_text(json.dumps(values))
    with pytest.raises(ConfigurationError, match="telepathy does not exist"):
        shell("job", "show", "tower")


def test_versions_are_kept_once(tmp_path: Path) -> None:
    state = JobState.of(tmp_path, "tower")
    job = Job.model_validate({"name": "tower", "source": {"connection": "a"}, "destination": {"connection": "b"}})
    assert [state.save_job(job, NOON), state.save_job(job, NOON)] == [1, 1]
    (state.versions / "0001.json").write_text("{")
    assert state.save_job(job, NOON) == 2
    with pytest.raises(ConfigurationError, match="damaged"):
        state.load_version(1)
    assert state.load_version(2) == (job, NOON)
