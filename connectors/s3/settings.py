"""What a person says to connect an S3 bucket."""

import re
import ssl
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings, checked_address
from connectors.shared.timeouts import Timeouts

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,40}")


class S3Settings(ConnectionSettings):
    """Access to a bucket, or what is below a prefix of it."""

    kind: Literal["s3"] = "s3"
    display_name: str = "Amazon S3"
    bucket: str = Field(description="The bucket's name.")
    prefix: str = Field(default="", description="Only what is below this folder of the bucket, such as projects/2026.")
    region: str = Field(default="us-east-1", description="The bucket's region.")
    endpoint_url: str | None = Field(
        default=None,
        description="The address of an S3-compatible service, such as https://s3.example.com; empty for Amazon's own.",
    )
    access_key_id: str | None = Field(
        default=None,
        description="The access key id; empty to use what this machine has (role, profile, environment).",
    )
    secret_access_key: SecretStr | None = Field(default=None, description="The secret that belongs to it.")
    session_token: SecretStr | None = Field(default=None, description="The session token of temporary credentials.")
    profile: str | None = Field(default=None, description="A profile of this machine's AWS settings, instead of a key.")
    addressing: Literal["auto", "path", "virtual"] = Field(
        default="auto",
        description="Whether the bucket is named in the path or the host; auto: in the host at Amazon, else the path.",
    )
    storage_class: str | None = Field(default=None, description="The storage class of written objects.")
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        default=None, description="How written objects are encrypted; empty for the bucket's default."
    )
    kms_key_id: str | None = Field(default=None, description="The key for aws:kms; empty for the bucket's default.")
    versioned: bool = Field(default=False, description="The bucket keeps versions, so that earlier ones can be listed.")
    original_times: bool = Field(
        default=True,
        description="Date files by when they were modified, not uploaded; listing then asks for each object.",
    )
    conditional_writes: bool = Field(
        default=True,
        description="The service refuses to overwrite when asked to (If-None-Match, If-Match), as Amazon's does.",
    )
    checksums: bool = Field(
        default=True, description="The service takes and verifies SHA-256 checksums (x-amz-checksum-sha256)."
    )
    concurrency: int = Field(
        default=32, ge=1, le=256, description="How many objects a listing asks for at the same time."
    )
    ca_file: Path | None = Field(
        default=None,
        description="Certificates to trust instead of this machine's, for a service with its own authority.",
    )
    connect_timeout_seconds: float = Field(default=15.0, gt=0, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(default=120.0, gt=0, description="How long to wait for bytes.")

    @field_validator("endpoint_url")
    @classmethod
    def _address_is_safe(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value)

    @field_validator("bucket")
    @classmethod
    def _is_a_bucket(cls, value: str) -> str:
        if not _BUCKET.fullmatch(value):
            raise ValueError("a bucket's name has letters, digits, dots and hyphens only, without s3:// and slashes")
        return value

    @field_validator("region")
    @classmethod
    def _is_a_region(cls, value: str) -> str:
        if not _REGION.fullmatch(value):
            raise ValueError("a region looks like eu-central-1")
        return value

    @field_validator("prefix")
    @classmethod
    def _is_a_folder(cls, value: str) -> str:
        names = value.strip("/").split("/")
        if value.strip("/") and any(name in ("", ".", "..") for name in names):
            raise ValueError("a prefix is a path such as projects/2026")
        return value.strip("/")

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access key id and secret access key belong together")
        if self.session_token is not None and self.access_key_id is None:
            raise ValueError("a session token needs its access key id and secret")
        if self.profile is not None and self.access_key_id is not None:
            raise ValueError("give either an access key or a profile")
        if self.kms_key_id is not None and self.server_side_encryption in (None, "AES256"):
            raise ValueError("a KMS key needs the server side encryption aws:kms")
        return self

    @property
    def summary(self) -> str:
        place = f"s3://{self.bucket}/{self.key_prefix}"
        return place if self.endpoint_url is None else f"{place} at {self.endpoint_url}"

    @property
    def key_prefix(self) -> str:
        """What every key begins with: empty, or ends with a slash."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def base_url(self) -> str:
        """The bucket's address without a slash at its end."""
        if self.endpoint_url is None:
            suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
            scheme, host, path = "https", f"s3.{self.region}.{suffix}", ""
        else:
            scheme, _, rest = self.endpoint_url.partition("://")
            host, slash, path = rest.partition("/")
            path = slash + path
        in_host = self.addressing == "virtual" or (
            self.addressing == "auto" and self.endpoint_url is None and "." not in self.bucket
        )
        return f"{scheme}://{self.bucket}.{host}{path}" if in_host else f"{scheme}://{host}{path}/{self.bucket}"

    @property
    def timeouts(self) -> Timeouts:
        """How long requests wait."""
        return Timeouts(connect_seconds=self.connect_timeout_seconds, read_seconds=self.read_timeout_seconds)

    def tls(self) -> ssl.SSLContext | None:
        """What to trust; None = what this machine trusts. Raises OSError or ssl.SSLError for a file that is none."""
        return None if self.ca_file is None else ssl.create_default_context(cafile=self.ca_file)
