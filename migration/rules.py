"""The operator's choices: what is copied, what a change, a conflict or a deletion leads to, how names are handled.

Names and values are DryvIQ's where it has them. Every choice has a default under which nothing can be lost.
"""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from migration.filter_rules import Filter
from migration.job_model import JobModel


class TransferType(StrEnum):
    """What a job does with what it finds."""

    COPY = "copy"
    """One way, again and again: new and changed files of the source."""
    SYNC = "sync"
    """Both ways: what changed on one side changes on the other."""
    MOVE = "move"
    """One way; a source file is deleted once its stored hash was verified."""
    MIGRATE = "migrate"
    """One way, each file once: later changes of files already migrated are not looked for."""
    PUBLISH = "publish"
    """One way; the destination is made to match the source, and what else is there is removed."""
    TAXONOMY = "taxonomy"
    """Folders only."""


class ConflictResolution(StrEnum):
    """What happens to a file that is not the same on both sides and was not left so by this job."""

    COPY = "copy"
    """Both are kept: the loser is renamed, with the time of the run in its name."""
    LATEST = "latest"
    SOURCE = "source"
    DESTINATION = "destination"
    FAILURE = "failure"
    """It is flagged for a person."""


class DeletePropagation(StrEnum):
    """Whose deletions have an effect on the other side."""

    MIRROR = "mirror"
    """Both sides'. One way: what was deleted at the source is deleted at the destination."""
    IGNORE_SOURCE = "ignore_source"
    """Deletions at the source have no effect."""
    IGNORE_DESTINATION = "ignore_destination"
    """Deletions at the destination have no effect, and one way, what was deleted there is not copied again."""
    IGNORE_BOTH = "ignore_both"

    @property
    def of_source(self) -> bool:
        """Whether what was deleted at the source is deleted at the destination."""
        return self in (DeletePropagation.MIRROR, DeletePropagation.IGNORE_DESTINATION)

    @property
    def of_destination(self) -> bool:
        """Whether what was deleted at the destination is deleted at the source (sync) or copied again (one way)."""
        return self in (DeletePropagation.MIRROR, DeletePropagation.IGNORE_SOURCE)


class DuplicateNames(StrEnum):
    """What happens to a second source name that would land on the same destination name."""

    RENAME = "rename"
    WARN = "warn"


class LargeItem(StrEnum):
    """What happens to a file larger than the destination accepts."""

    FAIL = "fail"
    SKIP = "skip"


class ItemOverwrite(StrEnum):
    """Whether files at the destination may be replaced at all. skip and fail come before conflict_resolution."""

    OVERWRITE = "overwrite"
    SKIP = "skip"
    FAIL = "fail"


class RestrictedContent(StrEnum):
    """What happens to a file of a type that the destination does not take."""

    FAIL = "fail"
    SKIP = "skip"


class EmptyContainers(StrEnum):
    """Whether folders without files are made."""

    CREATE = "create"
    SKIP = "skip"


class LockPropagation(StrEnum):
    """What happens to a file that somebody has checked out at the source."""

    IGNORE = "ignore"
    """It is copied as it is; one that cannot be replaced is tried again, then flagged."""
    WAIT = "wait"
    """It is left for the next run, at most as often as a failed file is tried, then flagged."""


class FailurePolicy(StrEnum):
    """Whether one failing file ends the run."""

    CONTINUE = "continue"
    HALT = "halt"


class AuditLevel(StrEnum):
    """From which level on a run's events about single files are told to the log of the flow run."""

    NONE = "none"
    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class PreserveVersions(StrEnum):
    """Whether earlier versions of a file are copied, too."""

    NATIVE = "native"
    NONE = "none"


class SelectVersions(StrEnum):
    """Which of them."""

    ALL = "all"
    LATEST = "latest"


class UnmappedPolicy(StrEnum):
    """What becomes of a person or group that no map names."""

    KEEP = "keep"
    """Recorded as the source calls it."""
    DEFAULT = "default"
    """Recorded as the map's default."""
    FAIL = "fail"
    """The file is flagged."""


class Metadata(StrEnum):
    """Where what the destination itself cannot keep of a file (ids, version, author, dates) is written."""

    NONE = "none"
    SIDECAR = "sidecar"
    """Into `.sitehaul/` at the job's destination, as CSV and JSON lines."""


class Versioning(JobModel):
    """Earlier versions of files."""

    preserve: PreserveVersions = Field(
        default=PreserveVersions.NONE,
        title="Earlier versions",
        description="native = copy them, as versions where the destination keeps versions, else as `name (v3).ext`; "
        "none = the current one only.",
    )
    select: SelectVersions = Field(
        default=SelectVersions.ALL, title="Which versions", description="all = every one, latest = the current one."
    )
    from_source: int | None = Field(
        default=None, ge=1, title="At most so many", description="The newest so many versions of each file."
    )
    from_destination: int | None = Field(
        default=None, ge=1, title="At most so many, going home", description="The same for files copied to the source."
    )


class Deletes(JobModel):
    """The brakes on deletions. They hold whatever the delete policy says."""

    two_sightings: bool = Field(
        default=True,
        title="Missing twice",
        description="Delete only what was missing in two finished runs in a row.",
    )
    count_max: int = Field(
        default=100, ge=0, title="At most so many", description="A plan that would delete more deletes nothing."
    )
    percent_max: float = Field(
        default=10.0,
        ge=0,
        le=100,
        title="At most so many percent",
        description="Of the files and folders known from the last run; one is always allowed.",
    )


class SecurityMap(JobModel):
    """Who is who on the other side."""

    file: str | None = Field(
        default=None, title="Map", description="A CSV file with the columns source and destination."
    )
    unmapped_policy: UnmappedPolicy = Field(
        default=UnmappedPolicy.KEEP, title="Who is not in the map", description="keep, default or fail."
    )
    default: str | None = Field(default=None, title="Default", description="For unmapped_policy = default.")

    @model_validator(mode="after")
    def _default_is_named(self) -> Self:
        if self.unmapped_policy is UnmappedPolicy.DEFAULT and not self.default:
            raise ValueError("unmapped_policy is default, but no default is named")
        return self


class Rules(JobModel):
    """The operator's choices."""

    filter: Filter = Field(default_factory=Filter, title="Filter", description="Which files take part.")
    conflict_resolution: ConflictResolution = Field(
        default=ConflictResolution.COPY,
        title="Conflicts",
        description="A file that changed on both sides, or is another one at the destination: copy = keep both, "
        "latest, source, destination, failure = flag it.",
    )
    delete_propagation: DeletePropagation | None = Field(
        default=None,
        title="Deletions",
        description="mirror = deletions have an effect on the other side; ignore_source, ignore_destination or "
        "ignore_both = those of that side do not. Not said: ignore_both for sync, ignore_source for the others.",
    )
    deletes: Deletes = Field(
        default_factory=Deletes, title="Brakes on deletions", description="When nothing is deleted after all."
    )
    keep_replaced: bool = Field(
        default=True,
        title="Keep what is replaced",
        description="As an earlier version, or in SiteHaul's trash folder where the system keeps none; `sitehaul undo` "
        "brings it back.",
    )
    duplicate_names: DuplicateNames = Field(
        default=DuplicateNames.RENAME,
        title="Duplicate names",
        description="Two source names that are one name at the destination: rename the second, or flag it (warn).",
    )
    item_overwrite: ItemOverwrite = Field(
        default=ItemOverwrite.OVERWRITE,
        title="Replacing files",
        description="overwrite = as the conflict policy says, skip = files at the destination are left, fail = flag.",
    )
    trust_mode: bool = Field(
        default=False,
        title="Trust names",
        description="On = a file that is there under the name counts as the same, whatever its size and time.",
    )
    segment_transform: bool = Field(
        default=True,
        title="Allow unsupported names to be changed",
        description="Off = files whose names the destination forbids are flagged instead of renamed.",
    )
    encode_invalid_characters: bool = Field(
        default=False,
        title="Encode forbidden characters",
        description="On = as the hexadecimal digits of their UTF-8 bytes, off = as '_'.",
    )
    segment_truncate: bool = Field(
        default=True,
        title="Allow long names to be shortened",
        description="Off = files whose names or paths are too long are flagged instead.",
    )
    restricted_content: RestrictedContent = Field(
        default=RestrictedContent.FAIL, title="Forbidden file types", description="fail = flag, skip = leave out."
    )
    large_item: LargeItem = Field(
        default=LargeItem.FAIL, title="Too large files", description="fail = flag, skip = leave out."
    )
    empty_containers: EmptyContainers = Field(
        default=EmptyContainers.CREATE, title="Empty folders", description="Whether folders without files are made."
    )
    max_items_per_container: int | None = Field(
        default=None, ge=1, title="Entries per folder", description="Files beyond so many in one folder are flagged."
    )
    versioning: Versioning = Field(
        default_factory=Versioning, title="Versions", description="Whether earlier versions are copied."
    )
    timestamps: bool = Field(
        default=True, title="Keep modification times", description="Where the destination can keep them."
    )
    preserve_owners: bool = Field(
        default=False, title="Keep authors", description="In the sidecar: who made each version, mapped."
    )
    account_map: SecurityMap = Field(
        default_factory=SecurityMap, title="Accounts", description="Which person is which at the destination."
    )
    group_map: SecurityMap = Field(
        default_factory=SecurityMap, title="Groups", description="Which group is which at the destination."
    )
    metadata: Metadata = Field(
        default=Metadata.NONE, title="Metadata", description="sidecar = a manifest in .sitehaul/ at the destination."
    )
    lock_propagation: LockPropagation = Field(
        default=LockPropagation.IGNORE,
        title="Checked-out files",
        description="ignore = copy them, wait = leave them for the next run.",
    )
    failure_policy: FailurePolicy = Field(
        default=FailurePolicy.CONTINUE, title="When a file fails", description="Go on with the others, or halt the run."
    )
    audit_level: AuditLevel = Field(
        default=AuditLevel.WARN, title="Log of files", description="From which level on files are named in the log."
    )
