"""What a job says about which entries take part."""

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from migration.job_model import JobModel


class Filter(JobModel):
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
