"""What a refused change means: whose fault it is, what it concerns, and what to do about it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors.procore.api import ApiClient
from connectors.procore.errors import ProcoreRefusal
from connectors.procore.names import shown
from connectors.procore.projects import Project, rights_in
from migration.clock import Clock
from migration.entries import PathParts
from migration.errors import ConfigurationError, FatalError, ItemError, PreconditionFailed, SiteHaulError

LOCK_WAITS_SECONDS = (5.0, 20.0)
"""Somebody who just saves a file is done by then; a check-out of hours is not worth a worker's time."""
_LOCKED = frozenset({409, 423})
T = TypeVar("T")


def destination_changed(path: PathParts, what: str) -> PreconditionFailed:
    """The destination is not as the plan saw it."""
    return PreconditionFailed(
        "destination-changed",
        f"{shown(path)} has changed since the plan was made: {what}.",
        fix="Run again; the next plan decides anew.",
    )


def source_changed(path: PathParts, what: str) -> ItemError:
    """An entry to be moved or deleted is not the one that was listed."""
    return ItemError(
        "source-changed", f"{shown(path)} has changed since it was listed: {what}.", fix="Run again; it is listed anew."
    )


def parent_missing(path: PathParts) -> ItemError:
    """There is no folder to put something into."""
    return ItemError("parent-missing", f"{shown(path)}: its folder does not exist.", fix="Run again; it is made then.")


def not_a_folder(path: PathParts) -> ItemError:
    """A file has the name of a folder."""
    return ItemError(
        "not-a-folder", f"{shown(path)} is a file, not a folder.", fix="Rename the file, or leave the folder out."
    )


def name_taken(path: PathParts) -> ItemError:
    """Something that this account does not see has the name."""
    return ItemError(
        "name-taken",
        f"Procore says that the name of {shown(path)} is taken, but this account sees nothing there.",
        fix="A private item has that name: grant access to private items, or give one of the two another name.",
    )


@dataclass(frozen=True, slots=True)
class Refusals:
    """Tells refusals apart by asking Procore, never by its wording where a call can tell."""

    api: ApiClient
    clock: Clock
    company_id: int

    async def meaning(self, refusal: ProcoreRefusal, project: Project, path: PathParts) -> SiteHaulError:
        """The error of a refusal that no state of the destination explains. One call if rights are in doubt."""
        if refusal.status == 403:
            return await self._forbidden(refusal, project, path)
        return ItemError(
            "procore-refused",
            f"Procore refuses {shown(path)}: {refusal.text or 'no reason given'} (HTTP {refusal.status}).",
            fix="Look at it in Procore; give it another name, or leave it out.",
        )

    async def when_unlocked(
        self, step: Callable[[], Awaitable[T]], path: PathParts, record: Mapping[str, Any], *, locked_by: int = 0
    ) -> T:
        """What a step returns, tried again for a while when the file is checked out: ItemError `locked` then.

        `record` is the file as it was read last; `locked_by` is a further status that a check-out is refused with.
        """
        for wait in (*LOCK_WAITS_SECONDS, None):
            try:
                return await step()
            except ProcoreRefusal as refusal:
                checked_out = refusal.status == locked_by and record.get("checked_out_until")
                if refusal.status not in _LOCKED and not checked_out:
                    raise
                if wait is None:
                    raise _locked(path, record, refusal) from refusal
                await self.clock.sleep(wait)
        raise AssertionError("the last wait is None")

    async def _forbidden(self, refusal: ProcoreRefusal, project: Project, path: PathParts) -> SiteHaulError:
        """No right to write anywhere concerns every file, a folder that is closed only what goes there."""
        try:
            rights = await rights_in(self.api, project, self.company_id)
        except ConfigurationError as error:
            return FatalError(error.code, error.message, fix=error.fix)
        if rights.may_write:
            return ItemError(
                "permission-denied",
                f"Procore does not let this account change {shown(path)}: {refusal.text or 'no reason given'}.",
                fix="The folder or file may be read-only or private; grant access to it, or leave it out.",
            )
        level = f"has the level '{rights.level}'" if rights.documents_on else "has no rights"
        return FatalError(
            "read-only",
            f"This account {level} in the Documents tool of the project '{project.name}', so it cannot write there.",
            fix="Give the account Standard or more in the Documents tool of the project; check that the tool is on.",
        )


def _locked(path: PathParts, record: Mapping[str, Any], refusal: ProcoreRefusal) -> ItemError:
    person = record.get("checked_out_by") or {}
    holder, until = person.get("name") or person.get("login"), record.get("checked_out_until")
    by = f" by {holder}" if holder else ""
    told = f" until {until}" if until else ""
    return ItemError(
        "locked",
        f"{shown(path)} is checked out in Procore{by}{told} ({refusal.text or f'HTTP {refusal.status}'}).",
        fix="Let it be checked in, or let an administrator end the check-out, then run again.",
    )
