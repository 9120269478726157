"""What a person says to connect a bucket of Google Cloud Storage."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings, checked_address
from connectors.shared.timeouts import Timeouts

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
"""https://cloud.google.com/storage/docs/buckets#naming"""


class GcsSettings(ConnectionSettings):
    """Access to a bucket, or what is below a prefix of it."""

    kind: Literal["gcs"] = "gcs"
    display_name: str = "Google Cloud Storage"
    bucket: str = Field(description="The bucket's name, without gs://.")
    prefix: str = Field(default="", description="Only what is below this folder of the bucket, such as projects/2026.")
    key_file: Path | None = Field(
        default=None,
        description="The JSON key file of a service account (IAM & Admin, Service Accounts, Keys, Add key); it has to "
        "be there on every machine that runs jobs.",
    )
    access_token: SecretStr | None = Field(
        default=None, description="An access token instead of a key file; it lives for an hour at most."
    )
    versioned: bool = Field(default=False, description="The bucket keeps versions, so that earlier ones can be listed.")
    storage_class: Literal["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"] | None = Field(
        default=None, description="The storage class of written objects; empty for the bucket's default."
    )
    billing_project: str | None = Field(
        default=None, description="The project that pays for requests, for buckets where the requester pays."
    )
    api_url: str = Field(
        default="https://storage.googleapis.com", description="The address of the service, if not Google's own."
    )
    token_url: str | None = Field(
        default=None, description="The address that gives access tokens; empty for the one in the key file."
    )
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust besides this machine's, for a proxy with its own authority."
    )
    connect_timeout_seconds: float = Field(default=15.0, gt=0, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(default=120.0, gt=0, description="How long to wait for bytes.")

    @field_validator("api_url", "token_url")
    @classmethod
    def _address_is_safe(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value)

    @field_validator("bucket")
    @classmethod
    def _is_a_bucket(cls, value: str) -> str:
        if not _BUCKET.fullmatch(value):
            raise ValueError("a bucket's name has small letters, digits, dots, - and _ only, without gs:// and slashes")
        return value

    @field_validator("prefix")
    @classmethod
    def _is_a_folder(cls, value: str) -> str:
        names = value.strip("/").split("/")
        if value.strip("/") and any(name in ("", ".", "..") for name in names):
            raise ValueError("a prefix is a path such as projects/2026")
        return value.strip("/")

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Self:
        if (self.key_file is None) == (self.access_token is None):
            raise ValueError("give either key_file, the JSON file of a service account, or access_token")
        return self

    @property
    def summary(self) -> str:
        return f"gs://{self.bucket}/{self.key_prefix}"

    @property
    def key_prefix(self) -> str:
        """What every object's name begins with: empty, or ends with a slash."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def timeouts(self) -> Timeouts:
        """How long requests wait."""
        return Timeouts(connect_seconds=self.connect_timeout_seconds, read_seconds=self.read_timeout_seconds)
