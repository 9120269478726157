"""Proof by round trips: the sample project into every kind of system, and from there into another project.

    make prove-round-trips KINDS="smb s3" FILES=2000 HUGE_BYTES=4400000000

For each kind a simulated Procore and a real server (or the stand-in) are started, both are connected with `sitehaul
connect`, and two jobs are run: the sample project with all its nasty names into the empty system, and from there into
an emptied project of the same company. What is compared does not come from SiteHaul:

* the SHA-256s of what is in the system, by another tool, are those of the project's truth, and so are the second
  project's,
* every file in the system has the name that the plan gave it, and every rename is one that is reported,
* the way back changes a name only where Procore does not keep it,
* times are those of the source where the system keeps times, within its precision,
* both jobs run again copy nothing,
* neither a staged file nor an open upload session is left.

One line per check; exit code 1 if any fails.
"""

import argparse
import csv
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet

from benchmarks.judge import Truth
from benchmarks.names import PATH_LENGTH_MAX, cleaned, why_renamed
from benchmarks.store_kinds import STORES
from benchmarks.stores import RelativePath, Store
from benchmarks.workplace import Workplace, workplace
from tests.servers.programs import ServerMissing

FOLDER = "Hauled"
SIMULATOR = ("--switch", "hourly_calls=1000000", "--switch", "spike_calls=100000")
_SHOWN = 5
_ADMIN = 4


@dataclass
class Checks:
    """What was checked of one kind."""

    kind: str
    failed: list[str] = field(default_factory=list)

    def say(self, what: str, wrong: Iterable[Any] = ()) -> None:
        """Print a check; `wrong` are the things that speak against it."""
        against = [str(one) for one in wrong]
        print(f"{'FAIL' if against else 'ok  '}  {self.kind}: {what}", flush=True)
        for one in against[:_SHOWN]:
            print(f"        {one}", flush=True)
        if len(against) > _SHOWN:
            print(f"        and {len(against) - _SHOWN} more", flush=True)
        if against:
            self.failed.append(what)


@dataclass(frozen=True)
class Ran:
    """A run that ended: what it printed for scripts, and its plan."""

    said: dict[str, Any]
    plan: list[dict[str, Any]]
    names: dict[str, str]
    """How the destination called what was copied, by action id."""

    @property
    def files(self) -> dict[RelativePath, RelativePath]:
        """Destination path by source path, of the files that are to be at the destination: planned, and the file's own
        name as the destination gave it."""
        rows = [row for row in self.plan if row["entry_kind"] == "file" and row["kind"] in ("copy", "skip")]
        return {tuple(row["source_path"]): self._path(row) for row in rows}

    def _path(self, row: dict[str, Any]) -> RelativePath:
        *folders, name = row["destination_path"]
        return (*folders, self.names.get(row["action_id"]) or name)

    @property
    def flagged(self) -> dict[RelativePath, str]:
        """Why a person is needed, by source path."""
        rows = [row for row in self.plan if row["entry_kind"] == "file" and row["kind"] == "flag"]
        return {tuple(row["source_path"]): row["reason"] for row in rows}

    @property
    def renamed(self) -> dict[str, str]:
        """What renamed.csv says: destination path by source path, both as people read them."""
        with open(Path(self.said["folder"]) / "renamed.csv", encoding="utf-8-sig", newline="") as file:
            return {_cell(row["source_path"]): _cell(row["destination_path"]) for row in csv.DictReader(file)}

    @property
    def copies(self) -> int:
        return sum(row["entry_kind"] == "file" and row["kind"] in ("copy", "add_version") for row in self.plan)


def main() -> int:
    """Run the proof as the command line says; 0 = every check of every kind holds."""
    parser = argparse.ArgumentParser(description="Carry the sample project into every kind of system and back.")
    parser.add_argument("kinds", nargs="*", help=f"all by default: {', '.join(STORES)}")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--max-file-bytes", type=int, default=2_000_000, help="of the sample project's files")
    parser.add_argument("--huge-bytes", type=int, default=0, help="one more file, of this size")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=None, help="where the evidence goes (default: a temporary one)")
    arguments = parser.parse_args()
    if unknown := [kind for kind in arguments.kinds if kind not in STORES]:
        parser.error(f"there is no kind {', '.join(unknown)}; there are: {', '.join(STORES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended, too
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="sitehaul-round-trips-"))
    wrong, missing = [], []
    for kind in arguments.kinds or STORES:
        try:
            if prove(folder / kind, kind, arguments):
                wrong.append(kind)
        except ServerMissing as error:
            print(f"----  {kind}: not proved: {error}", flush=True)
            missing.append(kind)
        except RuntimeError as error:
            print(f"FAIL  {kind}: {error}", flush=True)
            wrong.append(kind)
    return _verdict(folder, wrong, missing, keep=arguments.folder is not None)


def _verdict(folder: Path, wrong: list[str], missing: list[str], *, keep: bool) -> int:
    not_proved = f"; not proved for want of a server: {', '.join(missing)}" if missing else ""
    if wrong:
        print(f"VIOLATION: {', '.join(wrong)}{not_proved}. The evidence is in {folder}")
        return 1
    print(f"Everything came back as it went{not_proved}.")
    if not keep:
        shutil.rmtree(folder)
    return 0


def prove(folder: Path, kind: str, arguments: argparse.Namespace) -> list[str]:
    """Go there and back with one kind; the checks that failed. Raises ServerMissing."""
    checks, began = Checks(kind), time.monotonic()
    options = ["--seed", str(arguments.seed), "--files", str(arguments.files)]
    options += ["--max-file-bytes", str(arguments.max_file_bytes)]
    with STORES[kind](folder / "server") as store, workplace(folder / "place", *options, *SIMULATOR) as place:
        _prepare(place, arguments.huge_bytes)
        place.run("connect", "procore", "office", "--simulator", str(place.simulator.folder),
                  "--hourly-calls", "1000000", "--spike-calls", "100000")  # fmt: skip
        place.run("connect", store.kind, "store", *store.options.words)
        _Trip(place, store, checks).judge()
    seconds = time.monotonic() - began
    print(
        f"{'FAIL' if checks.failed else 'ok  '}  {kind}: {len(checks.failed)} violations, {seconds:.0f} s", flush=True
    )
    return checks.failed


def _prepare(place: Workplace, huge_bytes: int) -> None:
    """Empty the second project, let the service account write there, and add the huge file to the first."""
    simulator = place.simulator
    second = simulator.facts["projects"][1]["id"]
    simulator.edit(op="permission", project_id=second, level=_ADMIN, private_access=True)
    for row in simulator.truth(second):
        if len(row["path"]) == 1 and row["current"] and row["path"] != ["Schedules"]:
            simulator.edit(op="remove", id=row["id"])
    if huge_bytes:
        path = ["08 Models", "Point cloud of the whole site.e57"]
        simulator.edit(op="add_file", project_id=simulator.project["id"], path=path, size_bytes=huge_bytes)


class _Trip:
    def __init__(self, place: Workplace, store: Store, checks: Checks) -> None:
        self._place = place
        self._store = store
        self._checks = checks
        first, second = (place.simulator.facts["projects"][number]["id"] for number in (0, 1))
        self._second = second
        self._truth = _visible(place, first)
        self._there = ("run", "there", "--source", f"office:{first}", "--destination", f"store:{FOLDER}")
        self._back = ("run", "back", "--source", f"store:{FOLDER}", "--destination", f"office:{second}")

    def judge(self) -> None:
        there = self._run("there", self._there)
        self._judge_store(there)
        back = self._run("back", self._back)
        self._judge_second(there, back)
        for words in (self._there, self._back):
            again = self._run(f"{words[1]} again", words)
            self._checks.say(
                f"run {words[1]} again: nothing to copy", [f"{again.copies} copies"] if again.copies else []
            )
        self._judge_left()

    def _run(self, what: str, words: tuple[str, ...]) -> Ran:
        began = time.monotonic()
        done = self._place.run(*words, "--json", check=False)
        (self._place.folder / f"{what.replace(' ', '-')}.log").write_text(f"{done.stdout}\n{done.stderr}", "utf-8")
        try:
            said: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise RuntimeError(f"sitehaul {' '.join(words)} ended with {done.returncode}: {done.stderr}") from None
        folder = Path(said["folder"] or "")
        plan = _rows(folder / "plan.parquet")
        names = {row["action_id"]: row["destination_name"] for row in _rows(folder / "outcomes.parquet")}
        ran = Ran(said, plan, names)
        wrong = [] if said["state"] == "done" else self._stopped(ran)
        counts = ", ".join(f"{count:,} {word}" for word, count in (said["counts"] or {}).items() if count)
        self._checks.say(f"run {what}: {counts}, {said['calls']} calls, {time.monotonic() - began:.0f} s", wrong)
        return ran

    def _stopped(self, ran: Ran) -> list[str]:
        """What went wrong: nothing, if a path that Procore is said not to take is all that was flagged."""
        too_long = {
            path for path, reason in ran.flagged.items()
            if reason == "path-too-long" and len("/".join(path)) > PATH_LENGTH_MAX
        }  # fmt: skip
        if ran.said["state"] == "flagged" and ran.said["job"] == "back" and too_long == set(ran.flagged):
            return []
        return [ran.said["message"], *_reasons(ran.said)]

    def _judge_store(self, there: Ran) -> None:
        say, reader = self._checks.say, self._store.reader
        found = reader.hashes(FOLDER)
        self._expect_rewritten(there, found)
        say(f"{len(found):,} files in the store have the SHA-256s of the project ({reader.name})",
            _differences(found.values(), (row["sha256"] for row in self._truth.values())))  # fmt: skip
        say("every name in the store is the plan's", _differences(found, there.files.values()))
        by_path = {there.files.get(path): row for path, row in self._truth.items()}
        say(
            "every file is under the name that was planned for it",
            [path for path, sha256 in found.items() if path in by_path and by_path[path]["sha256"] != sha256],
        )
        self._judge_renamed(there)
        if self._store.time_seconds is None:
            print(f"----  {self._checks.kind}: the store dates its files itself: times are not compared", flush=True)
            return
        say("times are those of the project", self._wrong_times(by_path))

    def _expect_rewritten(self, there: Ran, found: dict[RelativePath, str]) -> None:
        """What the store changes after it arrived is expected back as the store keeps it."""
        rewritten = 0
        for path, row in self._truth.items():
            there_as = there.files.get(path, ())
            if there_as in found and Path(there_as[-1]).suffix.lower() in self._store.rewritten_suffixes:
                rewritten += row["sha256"] != found[there_as]
                row["sha256"] = found[there_as]
        if self._store.rewritten_suffixes:
            suffixes = ", ".join(sorted(self._store.rewritten_suffixes))
            self._checks.say(f"{rewritten} files ({suffixes}) are expected back as the store rewrote them")

    def _wrong_times(self, by_path: dict[RelativePath | None, dict[str, Any]]) -> list[str]:
        times, precision = self._store.reader.times(FOLDER), self._store.time_seconds or 0.0
        wrong = []
        for path, found in (times or {}).items():
            due = datetime.fromisoformat(by_path[path]["modified_at"]) if path in by_path else found
            if abs((found - due).total_seconds()) > precision:
                wrong.append(f"{path}: {found} instead of {due}")
        return wrong

    def _judge_renamed(self, ran: Ran) -> None:
        due = {_shown(source): _shown(path) for source, path in ran.files.items() if source != path}
        told = {source: path for source, path in ran.renamed.items() if source not in map(_shown, ran.flagged)}
        self._checks.say(f"renamed.csv tells every rename: {len(due)}", _differences(told.items(), due.items()))

    def _judge_second(self, there: Ran, back: Ran) -> None:
        say, second = self._checks.say, _visible(self._place, self._second)
        sha256 = {there.files.get(path): row["sha256"] for path, row in self._truth.items()}
        left = Counter(sha256.get(path) for path in back.flagged)
        due = Counter(row["sha256"] for row in self._truth.values()) - left
        say(f"{len(second):,} files in the second project have the SHA-256s of the first, {left.total()} flagged",
            _differences((row["sha256"] for row in second.values()), due.elements()))  # fmt: skip
        kept = {source: (*map(cleaned, path[:-1]), path[-1]) for source, path in back.files.items()}
        say("every name in the second project is the one the run tells", _differences(second, kept.values()))
        found = {path: row["sha256"] for path, row in second.items()}
        say(
            "every file is under its name",
            [path for source, path in kept.items() if path in found and found[path] != sha256.get(source)],
        )
        self._judge_renamed(back)
        changed = {source: path for source, path in kept.items() if source != path}
        root_length = len(str(self._second)) + 1
        say(f"the way back changes names only where Procore does not keep them: {len(changed)}", [
            f"{source} -> {path}" for source, path in changed.items()
            if not why_renamed(source, back.files, root_length)
        ])  # fmt: skip

    def _judge_left(self) -> None:
        due = {(FOLDER, *path) for path in self._store.reader.hashes(FOLDER)}
        self._checks.say("nothing else is left in the store", sorted(self._store.everything() - due))
        unfinished = self._store.unfinished()
        self._checks.say("no upload is left open", [f"{unfinished} uploads"] if unfinished else [])


def _rows(table: Path) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(table).to_pylist() if table.is_file() else []


def _shown(path: RelativePath) -> str:
    """A path as the tables write it (docs/formats.md)."""
    return "/".join(name.replace("/", "∕") for name in path)


def _cell(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@", "\t", "\r") else text


def _visible(place: Workplace, project_id: int) -> dict[RelativePath, dict[str, Any]]:
    """What a client may see of a project's files, by path."""
    files = Truth.of(place.simulator.truth(project_id)).files.values()
    by_path = {tuple(row["path"]): row for row in files}
    if len(by_path) != len(files):
        raise RuntimeError("two files of the project have one path: the proof cannot tell them apart")
    return by_path


def _differences(found: Iterable[Any], due: Iterable[Any]) -> list[str]:
    """What is there too often or not often enough."""
    has, needs = Counter(iter(found)), Counter(iter(due))
    return [*(f"missing: {one}" for one in needs - has), *(f"not due: {one}" for one in has - needs)]


def _reasons(said: dict[str, Any]) -> list[str]:
    """What the run's own table of flagged files says."""
    table = Path(said["folder"] or "") / "flagged.csv"
    return table.read_text("utf-8-sig").splitlines()[1:] if said["folder"] and table.is_file() else []


if __name__ == "__main__":
    sys.exit(main())
