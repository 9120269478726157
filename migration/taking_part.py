"""Which files take part in a plan, and why the others do not: the filter, people's decisions, locks and maps. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from migration.actions import ActionKind
from migration.decisions import IGNORED_BY_PERSON, Decisions
from migration.entries import EntryKind, PathParts
from migration.filters import EntrySelection, Facts, compile_selection
from migration.planner import There, Verdict
from migration.rules import LockPropagation, Rules, UnmappedPolicy
from migration.security_maps import UNMAPPED, WhoIsWho
from migration.stored_text import from_stored

LOCKED_AT_SOURCE = "locked-at-source"


class FileFacts(NamedTuple):
    """What an inventory says of a file; text as stored, times in microseconds since 1970."""

    id: str
    version_id: str | None
    name: str
    size_bytes: int | None
    modified: int | None
    created: int | None
    deleted: bool
    created_by: str | None
    locked: bool | None
    private: bool | None
    version_number: int | None
    version_count: int | None


Check = Callable[[PathParts, FileFacts], Verdict | None]
"""(source path, facts) → why a file takes no part, None = it does."""
CheckThere = Callable[[PathParts, There], bool]
"""(destination path, facts) → whether a file that only the destination has takes part."""


@dataclass(frozen=True, slots=True)
class TakingPart:
    """The rules of one plan. `file` and `there` are None when everything takes part."""

    file: Check | None
    there: CheckThere | None
    entry: EntrySelection | None
    """The source's filter alone, for folders."""

    @property
    def all_files(self) -> bool:
        """Whether no file is left out."""
        return self.file is None


def taking_part(rules: Rules, *, decisions: Decisions, accounts: WhoIsWho | None, now: datetime) -> TakingPart:
    """The rules of a plan made `now`. Raises ConfigurationError `bad-filter`."""
    selection = compile_selection(rules.filter, now)
    selection_there = compile_selection(rules.filter.of_destination, now)
    checks: list[Check] = []
    if selection is not None:
        checks.append(_filtered(selection))
    if decisions:
        checks.append(_decided(decisions))
    if rules.lock_propagation is LockPropagation.WAIT:
        checks.append(_locked)
    if accounts is not None and accounts.policy is UnmappedPolicy.FAIL:
        checks.append(_unmapped(accounts))
    return TakingPart(_first_of(checks), _there(selection_there), selection)


def _first_of(checks: list[Check]) -> Check | None:
    if not checks:
        return None

    def check(path: PathParts, facts: FileFacts) -> Verdict | None:
        return next((verdict for one in checks if (verdict := one(path, facts)) is not None), None)

    return check


def _filtered(selection: EntrySelection) -> Check:
    def check(path: PathParts, facts: FileFacts) -> Verdict | None:
        author = None if facts.created_by is None else from_stored(facts.created_by)
        reason = selection(
            Facts(path, EntryKind.FILE, facts.size_bytes, facts.modified, facts.created, author, facts.locked,
                  facts.private)
        )  # fmt: skip
        return Verdict(ActionKind.SKIP, reason) if reason else None

    return check


def _there(selection: EntrySelection | None) -> CheckThere | None:
    if selection is None:
        return None
    return lambda path, there: selection(Facts(path, EntryKind.FILE, there.size_bytes, there.modified)) is None


def _decided(decisions: Decisions) -> Check:
    def check(path: PathParts, facts: FileFacts) -> Verdict | None:
        del path
        detail = decisions.ignored(facts.id, facts.version_id, facts.size_bytes, facts.modified)
        return Verdict(ActionKind.SKIP, IGNORED_BY_PERSON, detail) if detail is not None else None

    return check


def _locked(path: PathParts, facts: FileFacts) -> Verdict | None:
    del path
    return Verdict(ActionKind.SKIP, LOCKED_AT_SOURCE) if facts.locked else None


def _unmapped(accounts: WhoIsWho) -> Check:
    def check(path: PathParts, facts: FileFacts) -> Verdict | None:
        del path
        problem = accounts.problem(None if facts.created_by is None else from_stored(facts.created_by))
        return Verdict(ActionKind.FLAG, UNMAPPED, problem) if problem else None

    return check
