"""Tiny listings in, printed actions out, through real inventories, a real baseline and real plans.

One line is one entry: `Drawings/` a folder, `Drawings/a.pdf = 10 t5 v2 #7 !deleted` a file of 10 bytes, modified 5
seconds after EPOCH, version 2, id 7. What is left out: size 1, t0, v1, an id made of the path.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from migration.actions import Action, ActionKind, Side
from migration.baseline import baseline_schema
from migration.capabilities import Capabilities, Operation
from migration.clock import SystemClock
from migration.contract import WalkPage
from migration.entries import Entry, EntryKind, ListingProblem, Ref
from migration.inventory import Inventory, InventoryWriter
from migration.jobs import Job
from migration.plans import Plan, write_plan
from migration.platforms import name_rules
from migration.state import JobState, RunPaths

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2025, 1, 1, tzinfo=UTC)
MOVES = frozenset({Operation.MOVE, Operation.DELETE_TO_TRASH})
PROCORE = Capabilities(calls_per_page=1, entries_per_page=5000, stable_ids=True, keeps_versions=True, operations=MOVES)
SHARE = Capabilities(
    names=name_rules("nfs_linux_share"), time_precision_seconds=1e-6, keeps_times=True, operations=MOVES
)
WINDOWS = Capabilities(
    names=name_rules("smb_windows_share"), time_precision_seconds=1e-6, keeps_times=True, operations=MOVES
)


class StillClock(SystemClock):
    def now(self) -> datetime:
        return NOW


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def entries(system: str, lines: Iterable[str]) -> list[Entry]:
    """The entries of the lines; folders on the way are added, parents come first."""
    listed: dict[tuple[str, ...], Entry] = {}
    for line in lines:
        text, _, facts = line.partition(" = ")
        is_folder = text.endswith("/")
        parts = tuple(text.removesuffix("/").split("/"))
        for depth in range(1, len(parts)):
            listed.setdefault(parts[:depth], _entry(system, parts[:depth], EntryKind.FOLDER, "", listed))
        listed[parts] = _entry(system, parts, EntryKind.FOLDER if is_folder else EntryKind.FILE, facts, listed)
    return list(listed.values())


def _entry(system: str, path: tuple[str, ...], kind: EntryKind, facts: str, known: dict[Any, Entry]) -> Entry:
    is_file = kind is EntryKind.FILE
    words = facts.split()
    size = next((word for word in words if re.fullmatch(r"\d+|\?", word)), "1")
    time = _fact(words, "t", "0")
    parent = known.get(path[:-1])
    return Entry(
        ref=Ref(system, _fact(words, "#", "/".join(path)), _fact(words, "v", "1") if is_file else None),
        parent=parent.ref if parent else Ref(system, "the-root"),
        name=path[-1],
        path=path,
        kind=kind,
        size_bytes=(None if size == "?" else int(size)) if is_file else None,
        modified_at=None if not is_file or time == "?" else at(float(time)),
        created_at=at(float(_fact(words, "c", "0"))),
        deleted="!deleted" in words,
    )


def _fact(words: list[str], mark: str, default: str) -> str:
    return next((word[len(mark) :] for word in words if word.startswith(mark)), default)


@dataclass
class Desk:
    """A job's state in a temporary folder, where plans are made."""

    folder: Path
    job: Job = field(default_factory=lambda: a_job())
    capabilities: Capabilities = SHARE
    hourly_calls: int | None = 3600

    @property
    def state(self) -> JobState:
        return JobState.of(self.folder, self.job.name)

    def run(self, number: int = 0) -> RunPaths:
        paths = RunPaths(self.state.folder / "runs" / f"run{number}")
        paths.folder.mkdir(parents=True, exist_ok=True)
        return paths

    def inventory(
        self,
        folder: Path,
        system: str,
        listed: Sequence[Entry],
        problems: Sequence[ListingProblem] = (),
        page: int = 1000,
    ) -> Inventory:
        root = self.job.source.parts if folder.parent.name == "source" else self.job.destination.parts
        writer = InventoryWriter.open(folder, run_id="run", system=system, root=root, clock=StillClock())
        for start in range(0, len(listed), page):
            writer.write_page(WalkPage(tuple(listed[start : start + page]), (), f"after {start}", 1))
        writer.write_page(WalkPage((), tuple(problems), None, 1))
        return writer.finish()

    def baseline(self, lines: Iterable[str], roots: tuple[str | None, str | None] = ("the-root", "the-root")) -> None:
        """`path = size t<source modified> v<version> #<source id> d<destination modified> w<destination version>
        n<kept name> from:<source's name> <<run that missed it at the source> ><the same, destination>`."""
        rows = []
        for line in lines:
            text, _, facts = line.partition(" = ")
            words = facts.split()
            is_folder, text = text.endswith("/"), text.removesuffix("/")
            time = _fact(words, "t", "0")
            rows.append(
                {
                    "source_system": "procore",
                    "source_id": _fact(words, "#", text),
                    "source_version_id": _fact(words, "v", "1"),
                    "source_path": [*text.split("/")[:-1], _fact(words, "from:", text.split("/")[-1])],
                    "source_modified_at": at(float(time)),
                    "destination_path": text.split("/"),
                    "destination_name": _fact(words, "n", "") or None,
                    "destination_id": text,
                    "destination_version_id": _fact(words, "w", "") or None,
                    "destination_modified_at": at(float(_fact(words, "d", time))),
                    "size_bytes": int(next((word for word in words if word.isdigit()), "1")),
                    "sha256": "00" * 32,
                    "run_id": "before",
                    "entry_kind": "folder" if is_folder else "file",
                    "missing_at_source": _fact(words, "<", "") or None,
                    "missing_at_destination": _fact(words, ">", "") or None,
                }
            )
        self.state.folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=baseline_schema(self.job, roots)), self.state.baseline)

    def plan(
        self,
        source: Sequence[str] | Sequence[Entry],
        destination: Sequence[str] | Sequence[Entry] = (),
        number: int = 0,
        page: int = 1000,
        problems: Sequence[ListingProblem] = (),
    ) -> Plan:
        run = self.run(number)
        there = self.inventory(run.destination_inventory, "filesystem", _listed("filesystem", destination), page=page)
        return write_plan(
            run,
            self.job,
            source=self.inventory(run.source_inventory, "procore", _listed("procore", source), problems, page=page),
            destination=there,
            baseline=self.state.baseline,
            source_capabilities=PROCORE,
            destination_capabilities=self.capabilities,
            hourly_calls=self.hourly_calls,
            now=NOW,
        )


def _listed(system: str, given: Sequence[str] | Sequence[Entry]) -> list[Entry]:
    return [
        *entries(system, (one for one in given if isinstance(one, str))),
        *(e for e in given if isinstance(e, Entry)),
    ]


def a_job(transfer_type: str = "copy", **rules: Any) -> Job:
    return Job.model_validate(
        {
            "name": "job",
            "transfer_type": transfer_type,
            "source": {"connection": "p", "path": "Bridge"},
            "destination": {"connection": "d"},
            "rules": rules,
        }
    )


def printed(actions: Iterable[Action]) -> list[str]:
    """`kind path -> new path over size t (reason; detail)`, digits of changed names as `#`; `rename old > new`; `<`
    after the kind = it changes the source; a final ` +` = it does not account for the source's entry."""
    return [_printed(action) for action in actions]


def _printed(action: Action) -> str:
    source, destination = "/".join(action.source_path), re.sub(r"-[0-9a-f]{8}", "-#", "/".join(action.destination_path))
    text = "make" if action.kind is ActionKind.MAKE_FOLDER else action.kind.value
    text += "<" if action.side is Side.SOURCE else ""
    slash = "/" if action.entry_kind is EntryKind.FOLDER else ""
    if action.from_path is not None:
        new = source if action.side is Side.SOURCE else destination
        text += f" {'/'.join(action.from_path)}{slash} > {new}{slash}"
    else:
        text += f" {source}{slash}"
        if destination != source:
            assert action.renamed
            text += f" -> {destination}"
    if action.kind is ActionKind.COPY and action.expected:
        seconds = (
            "?" if action.expected.modified_at is None else f"{(action.expected.modified_at - EPOCH).total_seconds():g}"
        )
        text += f" over {action.expected.size_bytes} t{seconds}"
    why = "; ".join(one for one in (action.reason, action.detail) if one)
    return (f"{text} ({why})" if why else text) + ("" if action.accounts else " +")
