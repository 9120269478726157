"""Random histories of a two-sided job: people work on both sides, listings fail, runs crash; and what must hold.

After every run nothing that was there before it is gone from both sides and their trashes. A side that could not be
listed as it should be costs the other side nothing. Some quiet runs later both sides are the same, and one more plans
nothing.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from migration.actions import ActionKind, OutcomeWord, Side
from migration.analysis import analyze, analyze_destination
from migration.baseline import roots_of, write_baseline
from migration.clock import SystemClock
from migration.deletions import load_deletions
from migration.entries import EntryKind
from migration.errors import SiteHaulError
from migration.inventory import Inventory
from migration.jobs import Job
from migration.ledger import Ledger
from migration.plans import Plan, write_plan
from migration.progress import Phase, unwatched
from migration.removing import Removal
from migration.runs import Run, begin
from migration.sameness import Renamed
from migration.state import JobState
from migration.transfer import Transfer, load_batches
from migration.verification import Verification, verify
from tests.engine.living_system import LivingSystem, Node

NAMES = ("a", "b", "c", "d.pdf", "E", "F")
QUIET_RUNS_MAX = 3


class Violation(AssertionError):
    """Something that must hold does not."""


class Crash(Exception):
    """The process died."""


class TickingClock(SystemClock):
    """A second later whenever it is asked, so that no two changes are at one time."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    async def sleep(self, seconds: float) -> None:
        del seconds


@dataclass
class History:
    """Two sides, the job between them, and what happened so far (for whoever has to understand a violation)."""

    folder: Path
    dice: random.Random
    rules: dict[str, Any]
    transfer_type: str = "sync"
    stable: tuple[bool, bool] = (True, True)
    clock: TickingClock = field(default_factory=TickingClock)
    told: list[str] = field(default_factory=list)
    _contents: int = 0
    _crashed: bool = False
    """Whether the last run has a plan from before, which the next one carries out."""

    def __post_init__(self) -> None:
        self.sides = {
            side: LivingSystem(side.value, stable_ids=stable) for side, stable in zip(Side, self.stable, strict=True)
        }

    @property
    def job(self) -> Job:
        return Job.model_validate(
            {
                "name": "pair",
                "transfer_type": self.transfer_type,
                "source": {"connection": "s"},
                "destination": {"connection": "d"},
                "rules": self.rules,
            }
        )

    @property
    def state(self) -> JobState:
        return JobState.of(self.folder, "pair")

    def people(self, steps: int) -> None:
        """Some random changes by people on either side."""
        for _ in range(steps):
            side = self.dice.choice(list(self.sides.values()))
            self.told.append(self.dice.choice(_CHANGES)(self, side))

    def new_content(self) -> bytes:
        self._contents += 1
        return f"content {self._contents}".encode()

    async def run(self, *, crash_at: int | None = None) -> Plan | None:
        """One run of the job, resumed if the last one crashed; its plan. None when it could not be made."""
        before = self._everything()
        plan: Plan | None = None
        try:
            plan = await self._run(crash_at)
            self._crashed = False
        except Crash:
            self.told.append("crash")
            self._crashed = True
        except SiteHaulError as error:
            self.told.append(f"error {error.code}")
        lost = before - self._everything()
        if lost:
            raise Violation(f"{sorted(lost)} is nowhere any more")
        return plan

    def _everything(self) -> set[bytes]:
        return set().union(*(side.contents() for side in self.sides.values()))

    async def _run(self, crash_at: int | None) -> Plan:
        run = begin(self.state, self.job, self.clock.now())
        points = 0

        def at(point: str, action_id: str) -> None:
            nonlocal points
            points += 1
            if points == crash_at:
                for side in self.sides.values():
                    side.dead = True
                raise Crash(f"{point} of {action_id}")

        try:
            plan = await self._planned(run)
            await self._carried_out(run, plan, at)
        except Crash:
            run.failed("unexpected", "It died.", self.clock.now())
            raise
        except SiteHaulError as error:
            run.failed(error.code, error.message, self.clock.now())
            if any(side.dead for side in self.sides.values()):
                raise Crash(error.code) from error
            raise
        finally:
            for side in self.sides.values():
                side.dead = False
        run.finished(self.clock.now())
        return plan

    async def _planned(self, run: Run) -> Plan:
        if run.record.finished(Phase.PLAN):
            return Plan.load(run.paths)
        source, destination = self.sides[Side.SOURCE], self.sides[Side.DESTINATION]
        listing = {"run_id": run.run_id, "clock": self.clock, "progress": unwatched}
        here = await analyze(source, (), run.paths.source_inventory, **listing)  # type: ignore[arg-type]
        there = await analyze_destination(
            destination, (), run.paths.destination_inventory, **listing  # type: ignore[arg-type]
        )  # fmt: skip
        plan = write_plan(
            run.paths, self.job,
            source=here, destination=there, baseline=self.state.baseline,
            source_capabilities=source.capabilities, destination_capabilities=destination.capabilities,
            hourly_calls=None, now=self.clock.now(),
        )  # fmt: skip
        run.finished_phase(Phase.PLAN, self.clock.now())
        self.told += [f"  {line}" for line in told_plan(plan)]
        return plan

    async def _carried_out(self, run: Run, plan: Plan, at: Callable[[str, str], None]) -> None:
        source, destination = self.sides[Side.SOURCE], self.sides[Side.DESTINATION]
        run.reached(Phase.TRANSFER, self.clock.now())
        async with Ledger.open(self.state.ledger) as ledger:
            async with Transfer(
                source, destination, ledger, run, self.job, clock=self.clock, progress=unwatched, at=at
            ) as transfer:
                await transfer.rename(list(plan.actions([ActionKind.RENAME])))
                await transfer.make_folders(list(plan.actions([ActionKind.MAKE_FOLDER])))
                for works in load_batches(plan, Inventory.load(run.paths.source_inventory), 500):
                    await transfer.run_batch(works)
            await ledger.export(run.run_id, run.paths.outcomes)
            found = await verify(
                run.paths, self.job, plan, destination,
                source=source, scope="this_run", clock=self.clock, progress=unwatched,
            )  # fmt: skip
            await self._remove(run, plan, ledger, at, found)
            for action_id, latest in (await ledger.latest(run.run_id)).items():
                if latest.word in (OutcomeWord.FLAGGED, OutcomeWord.RETRYING):
                    self.told.append(f"  {action_id[:6]} {latest.word} {latest.reason}")
            await ledger.export(run.run_id, run.paths.outcomes)
        write_baseline(self.state, run.paths, self.job)

    async def _remove(
        self, run: Run, plan: Plan, ledger: Ledger, at: Callable[[str, str], None], found: Verification
    ) -> None:
        source, destination = self.sides[Side.SOURCE], self.sides[Side.DESTINATION]
        deletions = list(plan.actions([ActionKind.DELETE]))
        if not deletions or not found.clean:
            return
        renamed = Renamed.by(plan.actions([ActionKind.RENAME]))
        async with Removal(
            source, destination, ledger, run, self.job,
            renamed=renamed, clock=self.clock, progress=unwatched, at=at,
        ) as removal:  # fmt: skip
            for part in load_deletions(plan):
                await removal.remove_files([one for one in part if one.action.entry_kind is EntryKind.FILE])
            await removal.remove_folders([one for one in deletions if one.entry_kind is EntryKind.FOLDER])

    async def live(self, turns: int) -> None:
        """People, faults and runs in a random order; then quiet runs until both sides are the same."""
        self.people(self.dice.randint(2, 8))
        for _ in range(turns):
            await self._turn()
        await self.come_to_rest()

    async def _turn(self) -> None:
        self.people(self.dice.randint(0, 5))
        side, other = self.dice.sample(list(self.sides.values()), 2)
        fault = self.dice.random()
        if fault < 0.1:
            side.outage = self.dice.choice(("empty", "missing", "another"))
        elif fault < 0.2:
            folders = [node.id for node in side.nodes.values() if node.content is None]
            side.hidden = {self.dice.choice(folders)}
        faulty = side.outage is not None or bool(side.hidden)
        faulty = faulty and not self._crashed
        if side.outage == "another" and not self._is_known(side):
            faulty = False  # nobody can know that a place which was never seen is another one
        self.told.append(f"run, {side.system} {side.outage or ''} {'hides a folder' if side.hidden else ''}")
        trashed = len(other.trash)
        crash_at = self.dice.randint(1, 40) if self.dice.random() < 0.2 else None
        await self.run(crash_at=crash_at)
        deleted = [node for token in list(other.trash)[trashed:] for node in other.trash[token][:1]]
        if faulty and any(not node.id.startswith("replaced") for node in deleted):
            raise Violation(f"{[node.name for node in deleted]} were deleted because of a listing that was not whole")
        side.outage, side.hidden = None, set()

    def _is_known(self, side: LivingSystem) -> bool:
        if not self.state.baseline.is_file():
            return False
        return roots_of(self.state.baseline)[list(self.sides.values()).index(side)] is not None

    async def come_to_rest(self) -> None:
        """Quiet runs: at most QUIET_RUNS_MAX until nothing is left to do, and both sides are the same then."""
        plan: Plan | None = None
        for _ in range(QUIET_RUNS_MAX + 1):
            self.told.append("quiet run")
            plan = await self.run()
            if plan is not None and not _changing(plan):
                break
        if plan is None or _changing(plan):
            raise Violation("it does not come to rest")
        here, there = self.sides[Side.SOURCE], self.sides[Side.DESTINATION]
        mirrors = self.transfer_type == "sync" and self.rules.get("delete_propagation") == "mirror"
        # Because of an empty listing nothing is ever deleted.
        mirrors = mirrors and len(here.nodes) > 1 and len(there.nodes) > 1
        if mirrors and sorted(here.files().values()) != sorted(there.files().values()):
            raise Violation(f"the sides differ: {here.files()} and {there.files()}")


def told_plan(plan: Plan) -> list[str]:
    return [
        f"{action.kind.value}{'<' if action.side is Side.SOURCE else ''} {'/'.join(action.from_path or ())} "
        f"{'/'.join(action.source_path)} | {'/'.join(action.destination_path)} ({action.reason}) {action.action_id[:6]}"
        for action in plan.actions()
        if action.reason not in ("unchanged", "already-there")
    ]


def _changing(plan: Plan) -> int:
    """How much the plan changes, or will once a second look confirms it."""
    skipped = plan.summary.reasons.get("skip", {})
    waiting = sum(skipped.get(reason, 0) for reason in ("missing-once", "another-place", "place-not-known-yet"))
    return waiting + sum(count for kinds in plan.summary.changes.values() for count in kinds.values())


def _create(history: History, side: LivingSystem) -> str:
    folder = history.dice.choice([node for node in side.nodes.values() if node.content is None])
    path = (*folder.path, history.dice.choice(NAMES))
    if side.at(path) is not None or len(path) > 4:
        return "nothing"
    if history.dice.random() < 0.4:
        side.make(path, None, None)
        return f"{side.system}: make {'/'.join(path)}/"
    content = history.new_content()
    side.make(path, content, history.clock.now())
    return f"{side.system}: create {'/'.join(path)} {content.decode()}"


def _edit(history: History, side: LivingSystem) -> str:
    node = _any(history, side, files=True)
    if node is None:
        return "nothing"
    content = history.new_content()
    side.write(node, content, history.clock.now())
    return f"{side.system}: edit {'/'.join(node.path)} {content.decode()}"


def _move(history: History, side: LivingSystem) -> str:
    node = _any(history, side)
    folder = history.dice.choice([one for one in side.nodes.values() if one.content is None])
    name = history.dice.choice((*NAMES, node.name)) if node else ""
    if node is None or node is folder or node in _around(folder) or side.at((*folder.path, name)) is not None:
        return "nothing"
    old = node.path
    node.parent, node.name = folder, name
    return f"{side.system}: move {'/'.join(old)} > {'/'.join(node.path)}"


def _rename(history: History, side: LivingSystem) -> str:
    node = _any(history, side)
    name = history.dice.choice(NAMES)
    if node is None or node.parent is None or side.at((*node.parent.path, name)) is not None:
        return "nothing"
    old, node.name = node.path, name
    return f"{side.system}: rename {'/'.join(old)} > {name}"


def _delete(history: History, side: LivingSystem) -> str:
    node = _any(history, side)
    if node is None:
        return "nothing"
    path = "/".join(node.path)
    side.remove(node)
    return f"{side.system}: delete {path}"


def _restore(history: History, side: LivingSystem) -> str:
    """Something comes back under its old name, as another entry."""
    tokens = [token for token, (node, _) in side.trash.items() if node.content is not None]
    if not tokens:
        return "nothing"
    node = side.trash[history.dice.choice(tokens)][0]
    if node.parent is None or node.parent.id not in side.nodes or side.at(node.path) is not None:
        return "nothing"
    side.make(node.path, node.content, node.modified_at)
    return f"{side.system}: restore {'/'.join(node.path)}"


def _swap(history: History, side: LivingSystem) -> str:
    one, other = _any(history, side), _any(history, side)
    if one is None or other is None or one is other or one in _around(other) or other in _around(one):
        return "nothing"
    one.parent, one.name, other.parent, other.name = other.parent, other.name, one.parent, one.name
    return f"{side.system}: swap {'/'.join(one.path)} and {'/'.join(other.path)}"


def _save_over(history: History, side: LivingSystem) -> str:
    """A program saves: another file takes the place of the old one, which is gone."""
    node = _any(history, side, files=True)
    if node is None:
        return "nothing"
    path = node.path
    side.remove(node)
    content = history.new_content()
    side.make(path, content, history.clock.now())
    return f"{side.system}: save over {'/'.join(path)} {content.decode()}"


def _any(history: History, side: LivingSystem, *, files: bool = False) -> Node | None:
    nodes = [node for node in side.nodes.values() if node is not side.root and (not files or node.content is not None)]
    return history.dice.choice(nodes) if nodes else None


def _around(node: Node) -> list[Node]:
    found: list[Node] = []
    above: Node | None = node
    while above is not None:
        found.append(above)
        above = above.parent
    return found


_CHANGES: tuple[Callable[[History, LivingSystem], str], ...] = (
    _create, _create, _create, _edit, _edit, _move, _rename, _delete, _restore, _swap, _save_over,
)  # fmt: skip

FREE = {"two_sightings": False, "percent_max": 100}
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("sync", {"delete_propagation": "mirror", "deletes": FREE}),
    ("sync", {"delete_propagation": "mirror", "deletes": FREE, "conflict_resolution": "latest"}),
    ("sync", {"delete_propagation": "mirror", "deletes": FREE, "conflict_resolution": "source"}),
    ("sync", {"delete_propagation": "mirror", "deletes": FREE, "conflict_resolution": "destination"}),
    ("sync", {"delete_propagation": "mirror", "deletes": {"percent_max": 100}}),
    ("sync", {}),
    ("copy", {"delete_propagation": "mirror", "deletes": FREE}),
    ("copy", {}),
    ("publish", {"deletes": FREE}),
)
"""Transfer types and rules that histories are made with."""


async def a_history(folder: Path, seed: int, turns: int = 3) -> History:
    """The history of this seed, lived. Raises Violation, with what happened in its notes."""
    dice = random.Random(seed)
    transfer_type, rules = dice.choice(KINDS)
    stable = (dice.random() < 0.6, dice.random() < 0.4)
    history = History(folder, dice, rules, transfer_type, stable)
    try:
        await history.live(turns)
    except BaseException as error:
        error.add_note(f"seed {seed}: {transfer_type} {rules} ids that survive moves: {stable}")
        error.add_note("\n".join(history.told))
        raise
    return history
