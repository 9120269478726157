"""What a person says to connect an Azure Blob Storage container."""

import base64
import binascii
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings, checked_address
from connectors.shared.timeouts import Timeouts

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"\$root|[a-z0-9](?:-?[a-z0-9]){2,62}")


class AzureSettings(ConnectionSettings):
    """Access to a container, or what is below a prefix of it."""

    kind: Literal["azure"] = "azure"
    display_name: str = "Azure Blob Storage"
    account: str = Field(description="The storage account's name.")
    container: str = Field(description="The container's name.")
    prefix: str = Field(default="", description="Only what is below this folder of the container.")
    account_key: SecretStr | None = Field(default=None, description="One of the account's two access keys.")
    sas_token: SecretStr | None = Field(
        default=None, description="A shared access signature for the container, instead of a key."
    )
    tenant_id: str | None = Field(default=None, description="The Entra tenant of an app, instead of key and signature.")
    client_id: str | None = Field(default=None, description="The app's client id.")
    client_secret: SecretStr | None = Field(default=None, description="The app's client secret.")
    endpoint_url: str | None = Field(
        default=None,
        description="The blob address of the account in another cloud; empty for https://ACCOUNT.blob.core.windows.net.",
    )
    authority_url: str = Field(
        default="https://login.microsoftonline.com", description="Where the app signs in; another one in other clouds."
    )
    access_tier: Literal["Hot", "Cool", "Cold"] | None = Field(
        default=None, description="The access tier of written blobs; empty for the account's default."
    )
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust besides this machine's, where a proxy has its own authority."
    )
    connect_timeout_seconds: float = Field(default=15.0, gt=0, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(default=120.0, gt=0, description="How long to wait for bytes.")

    @field_validator("endpoint_url", "authority_url")
    @classmethod
    def _address_is_safe(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value)

    @field_validator("account")
    @classmethod
    def _is_an_account(cls, value: str) -> str:
        if not _ACCOUNT.fullmatch(value):
            raise ValueError("a storage account's name is 3 to 24 small letters and digits")
        return value

    @field_validator("container")
    @classmethod
    def _is_a_container(cls, value: str) -> str:
        if not _CONTAINER.fullmatch(value):
            raise ValueError("a container's name is 3 to 63 small letters, digits and single hyphens")
        return value

    @field_validator("prefix")
    @classmethod
    def _is_a_folder(cls, value: str) -> str:
        names = value.strip("/").split("/")
        if value.strip("/") and any(name in ("", ".", "..") for name in names):
            raise ValueError("a prefix is a path such as projects/2026")
        return value.strip("/")

    @field_validator("account_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            if value is not None:
                base64.b64decode(value.get_secret_value(), validate=True)
        except binascii.Error:
            raise ValueError("an account key is Base64, as the portal shows it under Access keys") from None
        return value

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Self:
        app = (self.tenant_id, self.client_id, self.client_secret)
        if None in app and app != (None, None, None):
            raise ValueError("tenant id, client id and client secret belong together")
        ways = [self.account_key, self.sas_token, self.client_secret]
        if sum(way is not None for way in ways) != 1:
            raise ValueError("give one of: account key, SAS token, or tenant id with client id and client secret")
        return self

    @property
    def summary(self) -> str:
        place = f"{self.account}/{self.container}/{self.key_prefix}"
        return place if self.endpoint_url is None else f"{place} at {self.endpoint_url}"

    @property
    def token_key(self) -> str | None:
        return None if self.client_id is None else f"azure-{self.tenant_id}-{self.client_id}"

    @property
    def key_prefix(self) -> str:
        """What every blob's name begins with: empty, or ends with a slash."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def base_url(self) -> str:
        """The container's address."""
        return f"{self.endpoint_url or f'https://{self.account}.blob.core.windows.net'}/{self.container}"

    @property
    def timeouts(self) -> Timeouts:
        """How long requests wait."""
        return Timeouts(connect_seconds=self.connect_timeout_seconds, read_seconds=self.read_timeout_seconds)
