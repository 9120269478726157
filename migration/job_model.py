"""What all parts of a job have in common."""

from pydantic import BaseModel, ConfigDict


class JobModel(BaseModel):
    """Immutable; unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
