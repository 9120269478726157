"""What a run of a job with children keeps of each of them (`children.json` in the run's folder), for the next start of
the run, for `sitehaul status` and for the report."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from migration.errors import FatalError
from migration.mapping import FORMAT_VERSION, Arrangement, Child
from migration.state import JobState, RunPaths, write_json_atomically

WAITING, WORKING, NOT_VISIBLE, PAUSED = "waiting", "working", "not visible", "paused"
"""States of a child besides the words of how its run ended."""


@dataclass(slots=True, kw_only=True)
class ChildRow:
    """One child in one run of its parent. Mutable: it is written again whenever something happens."""

    id: str
    slug: str
    name: str
    number: str | None
    destination: list[str]
    state: str = WAITING
    sentence: str = ""
    code: str | None = None
    """Of the error its run ended with."""
    settled: bool = False
    """Whether this run of the parent has nothing more to do with it."""
    turns: int = 0
    futile_turns: int = 0
    """Turns in a row that did not get on with listing it."""
    calls: int = 0
    """API calls in this run of the parent."""
    run_id: str | None = None
    source_files: int | None = None
    files: dict[str, int] = field(default_factory=dict)
    """By outcome word, as of its last account."""
    bytes_copied: int = 0
    resume_at: str | None = None
    calls_planned: int | None = None

    @classmethod
    def of(cls, child: Child) -> Self:
        """A child that has not had a turn."""
        row = cls(
            id=child.id, slug=child.slug, name=child.name, number=child.number, destination=list(child.destination)
        )
        if child.paused is not None:
            row.state, row.settled, row.code = PAUSED, True, child.paused
        return row


@dataclass(slots=True)
class Roll:
    """All children of one run of their parent, in the order in which they are shown."""

    path: Path
    what: str
    """What the run does with each: migrate, analyze, plan or verify."""
    rows: list[ChildRow]
    told: list[str]
    """What a person should know about the children as a whole."""

    @classmethod
    def begun(cls, run: RunPaths, what: str, arrangement: Arrangement, told: Sequence[str]) -> Self:
        """The roll of a run that begins or goes on: what was reached before is kept, if it was the same work."""
        path = roll_file(run)
        before = {row.id: row for row in load_roll(path).rows} if _is_of(path, what) else {}
        rows = []
        for child in arrangement.children:
            row, known = ChildRow.of(child), before.get(child.id)
            if known is not None and child.paused is None and known.state != PAUSED:
                known.name, known.number, known.destination = row.name, row.number, row.destination
                known.state = WAITING if known.state == WORKING else known.state
                row = known
            rows.append(row)
        return cls(path, what, rows, [*arrangement.told, *told])

    def save(self) -> None:
        """Durable on return."""
        write_json_atomically(self.path, {
            "format_version": FORMAT_VERSION, "what": self.what, "children": [asdict(row) for row in self.rows],
            "told": self.told,
        })  # fmt: skip


def roll_file(run: RunPaths) -> Path:
    """Where a run of a job with children keeps its roll."""
    return run.folder / "children.json"


def load_roll(path: Path) -> Roll:
    """Read it back. FatalError `children-unreadable` when it is damaged."""
    raw = _read(path)
    try:
        return Roll(path, raw["what"], [ChildRow(**row) for row in raw["children"]], list(raw["told"]))
    except (KeyError, TypeError) as error:
        raise _unreadable(path) from error


def load_children(state: JobState) -> list[Child]:
    """The children that a job has had so far. FatalError `children-unreadable` when the file is damaged."""
    if not state.children_file.is_file():
        return []
    try:
        return [Child.of(values) for values in _read(state.children_file)["children"]]
    except (KeyError, TypeError) as error:
        raise _unreadable(state.children_file) from error


def save_children(state: JobState, children: Sequence[Child]) -> None:
    """Durable on return."""
    values = {"format_version": FORMAT_VERSION, "children": [child.to_json() for child in children]}
    write_json_atomically(state.children_file, values)


def _is_of(path: Path, what: str) -> bool:
    return path.is_file() and _read(path).get("what") == what


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not isinstance(raw, dict):
        raise _unreadable(path)
    return raw


def _unreadable(path: Path) -> FatalError:
    return FatalError(
        "children-unreadable",
        f"{path}, which says what the job's children are, is missing or damaged.",
        fix="Restore it from a backup; without it children would be given new folders.",
    )
