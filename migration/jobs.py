"""A job: named source, destination and the operator's rules.

Field names and values follow DryvIQ's job JSON where it has one, so that its users recognise them. Prefect renders
these models as a form: every field has a title and a description, and all but the essential ones a default.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from migration.entries import PathParts


class TransferType(StrEnum):
    """What a job does with what it finds. Only `copy` is planned today."""

    COPY = "copy"


class DuplicateNames(StrEnum):
    """What happens to a second source name that would land on the same destination name."""

    RENAME = "rename"
    WARN = "warn"


class LargeItem(StrEnum):
    """What happens to a file larger than the destination accepts."""

    FAIL = "fail"
    SKIP = "skip"


class ItemOverwrite(StrEnum):
    """What happens when the destination holds another file under the name."""

    OVERWRITE = "overwrite"
    SKIP = "skip"
    FAIL = "fail"


class EmptyContainers(StrEnum):
    """Whether folders without files are made."""

    CREATE = "create"
    SKIP = "skip"


class FailurePolicy(StrEnum):
    """Whether one failing file ends the run."""

    CONTINUE = "continue"
    HALT = "halt"


class OnBudgetExhausted(StrEnum):
    """What a run does when the hourly calls are used up."""

    STOP = "stop"
    WAIT = "wait"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Location(_Model):
    """One end of a job."""

    connection: str = Field(
        title="Connection", description="Name of a saved connection (see `sitehaul connect`).", min_length=1
    )
    path: str = Field(
        default="",
        title="Path",
        description="Folder inside the connection, parts separated by '/'. For Procore the first part is the project's "
        "name or number. Empty means everything.",
    )

    @field_validator("path")
    @classmethod
    def _path_stays_inside(cls, path: str) -> str:
        if any(part in (".", "..") for part in path.split("/")):
            raise ValueError("the path must not contain '.' or '..' as a part; it starts at the connection's root")
        return path

    @property
    def parts(self) -> PathParts:
        """The path as parts; empty parts (leading, doubled or trailing '/') are dropped."""
        return tuple(part for part in self.path.split("/") if part)


class Filter(_Model):
    """Which files take part. An exclude beats an include; no include means everything."""

    include: list[str] = Field(
        default_factory=list, title="Include", description="Glob patterns of paths, e.g. Drawings/** or *.pdf."
    )
    exclude: list[str] = Field(
        default_factory=list, title="Exclude", description="Glob patterns of paths to leave out, e.g. **/*.tmp."
    )
    min_size_bytes: int | None = Field(default=None, ge=0, title="Smallest size", description="In bytes.")
    max_size_bytes: int | None = Field(default=None, ge=0, title="Largest size", description="In bytes.")
    modified_from: datetime | None = Field(
        default=None, title="Modified from", description="Only files changed at or after this time (UTC)."
    )
    modified_to: datetime | None = Field(
        default=None, title="Modified to", description="Only files changed before this time (UTC)."
    )

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> Self:
        smallest, largest = self.min_size_bytes, self.max_size_bytes
        if smallest is not None and largest is not None and smallest > largest:
            raise ValueError("filter: min_size_bytes is larger than max_size_bytes, so no file could match")
        return self


class Rules(_Model):
    """The operator's choices."""

    filter: Filter = Field(default_factory=Filter, title="Filter", description="Which files take part.")
    duplicate_names: DuplicateNames = Field(
        default=DuplicateNames.RENAME,
        title="Duplicate names",
        description="Two source names that are one name at the destination: rename the second, or flag it (warn).",
    )
    item_overwrite: ItemOverwrite = Field(
        default=ItemOverwrite.FAIL,
        title="When the destination has another file",
        description="fail = flag it for a person, skip = leave it, overwrite = replace it.",
    )
    segment_transform: bool = Field(
        default=True,
        title="Allow unsupported names to be changed",
        description="Off = files whose names the destination forbids are flagged instead of renamed.",
    )
    segment_truncate: bool = Field(
        default=True,
        title="Allow long names to be shortened",
        description="Off = files whose names or paths are too long are flagged instead.",
    )
    large_item: LargeItem = Field(
        default=LargeItem.FAIL, title="Too large files", description="fail = flag, skip = leave out."
    )
    empty_containers: EmptyContainers = Field(
        default=EmptyContainers.CREATE, title="Empty folders", description="Whether folders without files are made."
    )
    timestamps: bool = Field(
        default=True, title="Keep modification times", description="Where the destination can keep them."
    )
    failure_policy: FailurePolicy = Field(
        default=FailurePolicy.CONTINUE, title="When a file fails", description="Go on with the others, or halt the run."
    )


class Performance(_Model):
    """How hard a run works."""

    parallel_writes: int = Field(
        default=32, ge=1, le=256, title="Files at once", description="How many files are in flight at the same time."
    )
    batch_files: int = Field(
        default=500, ge=1, le=5000, title="Files per batch", description="Files carried out by one Prefect task."
    )
    range_connections: int = Field(
        default=8,
        ge=1,
        le=32,
        title="Connections per large file",
        description="Large files are read over this many connections at once.",
    )
    bytes_in_memory_max: int = Field(
        default=128 * 1024 * 1024,
        ge=8 * 1024 * 1024,
        title="Memory for file content",
        description="Upper bound in bytes for content held in memory by one run.",
    )


JobName = Annotated[
    str,
    Field(
        title="Job name",
        description="Names the job's folder and its reports: letters, digits, '-', '_' and '.', at most 64.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    ),
]


class Job(_Model):
    """A source, a destination and the rules between them."""

    name: JobName
    source: Location = Field(title="Source", description="Where the files come from. Nothing is changed there.")
    destination: Location = Field(title="Destination", description="Where the files go.")
    transfer_type: TransferType = Field(
        default=TransferType.COPY, title="Transfer type", description="copy = one way, the source is never touched."
    )
    rules: Rules = Field(default_factory=Rules, title="Rules", description="What is copied, and how names are handled.")
    performance: Performance = Field(
        default_factory=Performance, title="Performance", description="How hard a run works."
    )
    on_budget_exhausted: OnBudgetExhausted = Field(
        default=OnBudgetExhausted.STOP,
        title="When the hour's API calls are used up",
        description="stop = end as completed with files pending, the next run continues; wait = wait for the window.",
    )
    plan_ttl_hours: float = Field(
        default=72.0,
        gt=0,
        title="Plan lifetime in hours",
        description="An unfinished plan younger than this is resumed; an older one is made anew.",
    )

    @field_validator("name")
    @classmethod
    def _name_is_not_a_path(cls, name: str) -> str:
        if re.fullmatch(r"\.+", name):
            raise ValueError("the job's name must not consist of dots only")
        return name
