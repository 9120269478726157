"""A job: named source, destination and the operator's rules.

Field names and values follow DryvIQ's job JSON where it has one, so that its users recognise them. Prefect renders
these models as a form: every field has a title and a description, and all but the essential ones a default.
"""

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from migration.bandwidth import BandwidthLimit
from migration.child_rules import Children, JobKind, checked_template
from migration.entries import PathParts
from migration.job_model import JobModel
from migration.rules import Rules, TransferType
from migration.schedules import Schedule
from migration.stop_policy import StopPolicy


class OnBudgetExhausted(StrEnum):
    """What a run does when the hourly calls are used up."""

    STOP = "stop"
    WAIT = "wait"


class Location(JobModel):
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


class Performance(JobModel):
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
    upload: BandwidthLimit = Field(
        default_factory=BandwidthLimit, title="Upload", description="How fast content is written, by the clock."
    )
    download: BandwidthLimit = Field(
        default_factory=BandwidthLimit, title="Download", description="How fast content is read, by the clock."
    )


JobName = Annotated[
    str,
    Field(
        title="Job name",
        description="Names the job's folder and its reports: letters, digits, '-', '_' and '.', at most 64. A child "
        "of a company-wide or mapping job is called PARENT/CHILD.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9][A-Za-z0-9._-]{0,63})?$",
    ),
]


class Job(JobModel):
    """A source, a destination and the rules between them."""

    name: JobName
    kind: JobKind = Field(
        default=JobKind.TRANSFER,
        title="Kind",
        description="transfer = one source, one destination; folder_mapping = a child job for each first folder of the "
        "source; company = a child job for each project that the source sees.",
    )
    source: Location = Field(title="Source", description="Where the files come from. Nothing is changed there.")
    destination: Location = Field(title="Destination", description="Where the files go.")
    transfer_type: TransferType = Field(
        default=TransferType.COPY,
        title="Transfer type",
        description="copy = one way, the source is never touched; sync = both ways; move = the source is emptied once "
        "everything was verified; migrate = one way, each file once; publish = the destination is made to match; "
        "taxonomy = folders only.",
    )
    rules: Rules = Field(default_factory=Rules, title="Rules", description="What is copied, and how names are handled.")
    performance: Performance = Field(
        default_factory=Performance, title="Performance", description="How hard a run works."
    )
    schedule: Schedule = Field(
        default_factory=Schedule, title="Schedule", description="When the job is started, and when it may run."
    )
    stop_policy: StopPolicy = Field(
        default_factory=StopPolicy, title="Stop policy", description="When the job is complete. Unset: never."
    )
    attempts_max: int = Field(
        default=3,
        ge=1,
        title="Attempts per file",
        description="A file that fails for a passing reason is tried so often, in all runs together, then flagged.",
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
    require_approval: bool = Field(
        default=False,
        title="Ask before changing anything",
        description="Every plan that changes something waits until a person approves it: in Prefect on the page of the "
        "run, or on the command line with `sitehaul apply`.",
    )
    simulation_mode: bool = Field(
        default=False,
        title="Simulation",
        description="Do everything but the writes, and report as if they had been done.",
    )

    children: Children = Field(
        default_factory=Children,
        title="Children",
        description="For the kinds company and folder_mapping: which projects or folders, and where each goes.",
    )
    reserve_percent: int | None = Field(
        default=None,
        ge=0,
        le=90,
        title="Calls kept for others, in percent of the hour",
        description="This part of the hourly API calls is left to other users of the same client, used or not. Unset: "
        "10 for the kinds company and folder_mapping, otherwise 0.",
    )

    @property
    def kept_percent(self) -> int:
        """`reserve_percent`, with its default where it is not set."""
        if self.reserve_percent is not None:
            return self.reserve_percent
        return 0 if self.kind is JobKind.TRANSFER else 10

    @field_validator("name")
    @classmethod
    def _name_is_not_a_path(cls, name: str) -> str:
        if re.fullmatch(r"\.+", name):
            raise ValueError("the job's name must not consist of dots only")
        return name

    @model_validator(mode="after")
    def _kind_fits(self) -> Self:
        if self.kind is JobKind.TRANSFER:
            if self.children != Children():
                raise ValueError(f"children belong to a job of another kind; this one is a {self.kind}")
            return self
        if "/" in self.name:
            raise ValueError("a job with children has a name without '/'")
        if self.kind is JobKind.COMPANY and self.source.parts:
            raise ValueError("a job of the kind company has no source path: its source is every project")
        checked_template(self.children.template_of(self.kind), self.kind)
        return self
