"""What can be decided (actions), what came of it (outcomes), and the words both use."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from migration.entries import Entry, EntryKind, PathParts, Ref


class ActionKind(StrEnum):
    """The closed set of decided steps."""

    MAKE_FOLDER = "make_folder"
    COPY = "copy"
    ADD_VERSION = "add_version"
    RENAME = "rename"
    DELETE = "delete"
    SKIP = "skip"
    FLAG = "flag"


class Side(StrEnum):
    """Which end of the job an action changes."""

    SOURCE = "source"
    DESTINATION = "destination"

    @property
    def other(self) -> "Side":
        """The other one, which is read when this one is changed."""
        return Side.DESTINATION if self is Side.SOURCE else Side.SOURCE


class OutcomeWord(StrEnum):
    """The verdict on one action, in the words DryvIQ's users know."""

    SUCCEEDED = "succeeded"
    REVISED = "revised"
    """Done, under another name than the source's."""
    SKIPPED = "skipped"
    """Not done, by rule or because it was already there."""
    RETRYING = "retrying"
    """Failed for now; the next run tries again."""
    FLAGGED = "flagged"
    """Needs a person."""
    PENDING = "pending"
    """Not reached yet. Never stored: it is the absence of an outcome."""

    @property
    def terminal(self) -> bool:
        """Whether the action needs nothing more in this plan."""
        return self in (OutcomeWord.SUCCEEDED, OutcomeWord.REVISED, OutcomeWord.SKIPPED, OutcomeWord.FLAGGED)


class VerificationLevel(StrEnum):
    """How strongly the destination's content was proved equal to what was read. Never a bare 'verified'."""

    STORED_HASH = "stored_hash"
    """The destination's stored bytes were hashed."""
    SENT_HASH = "sent_hash"
    """The bytes sent were hashed and the destination confirmed their size or tag."""
    SIZE = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One decided step of a plan. `seq` is its place in the plan: renames, folders before what they hold, copies,
    deletions.

    It concerns one pair: an entry of the source, its place at the destination and what is there. It changes one side;
    paths are as they will be when the plan's renames are done.
    """

    seq: int
    action_id: str
    kind: ActionKind
    source: Ref | None
    """The source's entry; None = only the destination has it."""
    source_path: PathParts
    """From the job's source root."""
    destination_path: PathParts
    """From the job's destination root."""
    side: Side = Side.DESTINATION
    """The one that is changed; a copy reads the other."""
    from_path: PathParts | None = None
    """Of a rename: where the entry is when its turn comes, from the job's root on that side."""
    accounts: bool = True
    """Whether this is the one action that tells the fate of the source's entry; renames and deletions that only go with
    another action of the same entry, earlier versions and what only the destination has do not."""
    version_number: int | None = None
    """Of an earlier version that is copied; None = the current one."""
    size_bytes: int | None = None
    """Of the content that is copied."""
    modified_at: datetime | None = None
    """The same content's."""
    reason: str | None = None
    """Stable kebab-case code; always set for skip and flag."""
    detail: str | None = None
    renamed: bool = False
    """Whether any part of the destination path differs from the source's names."""
    expected: Entry | None = None
    """What the plan saw on the side that is changed, at the path to be written, renamed or deleted (the precondition);
    None = nothing there."""
    entry_kind: EntryKind = EntryKind.FILE
    """What the entry is; tells skipped and flagged folders from files."""

    @property
    def path(self) -> PathParts:
        """The path on the side that is changed, from the job's root there."""
        return self.destination_path if self.side is Side.DESTINATION else self.source_path

    @property
    def other_path(self) -> PathParts:
        """The path on the side that is not changed, from the job's root there."""
        return self.source_path if self.side is Side.DESTINATION else self.destination_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The verdict on one attempt of one action, durable in the ledger."""

    action_id: str
    attempt: int
    started_at: datetime
    finished_at: datetime
    word: OutcomeWord
    reason: str | None = None
    message: str | None = None
    bytes_copied: int = 0
    sha256: str | None = None
    """Of what was read and sent."""
    settled_sha256: str | None = None
    """Of what the destination made of it, where that is something else and was hashed."""
    destination: Ref | None = None
    """What was written, made or renamed, on the side the action changed (so also where that is the source)."""
    destination_name: str | None = None
    destination_modified_at: datetime | None = None
    """The modification time that side then held; None where it keeps none."""
    trashed: str | None = None
    """What `Trash.restore` needs to bring back what was deleted or replaced; None where nothing went to a trash."""
    replaced_version_id: str | None = None
    """The version that the written one replaced in a system that keeps versions."""
    verification: VerificationLevel | None = None


def action_id(source: Ref | None, source_path: PathParts, destination_path: PathParts) -> str:
    """The action's identity: 32 hexadecimal characters of SHA-256 over source ref, version and destination path.

    Without a source ref (should a system have none) the source path stands in. The same step decided again in a later
    plan has the same id.
    """
    if source is None:
        return _digest("", *source_path, "\x00", *destination_path)
    return action_id_of(source.system, source.id, source.version_id, destination_path)


def action_id_of(system: str, source_id: str, version_id: str | None, destination_path: PathParts) -> str:
    """The same for a source ref that was taken apart."""
    return _digest(system, source_id, version_id or "", "\x00", *destination_path)


def trash_key(run_id: str, action_id: str) -> str:
    """What an action of a run deletes or replaces is called in a trash that lets us name things (file-name safe, at
    most 64 characters)."""
    return f"{run_id}-{action_id}"


def _digest(*parts: str) -> str:
    text = "\x1f".join(parts) + "\x1f"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
