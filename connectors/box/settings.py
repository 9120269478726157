"""What a person says to connect Box."""

import hashlib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings, checked_address
from connectors.shared.timeouts import Timeouts


class BoxSettings(ConnectionSettings):
    """Access to one folder of Box, as an app or as a person.

    How each way of signing in is set up: https://developer.box.com/guides/authentication/
    """

    kind: Literal["box"] = "box"
    display_name: str = "Box"
    grant: Literal["client_credentials", "key", "person"] = Field(
        default="client_credentials",
        description="How to sign in: as an app by its secret (client_credentials), as an app by its key file (key), or "
        "as a person who agrees in a browser (person).",
    )
    client_id: str | None = Field(default=None, description="The app's client ID; the key file holds it as well.")
    client_secret: SecretStr | None = Field(
        default=None, description="The app's client secret; the key file holds it as well."
    )
    key_file: Path | None = Field(
        default=None, description="For `key`: the JSON file that the developer console made with the app's key pair."
    )
    enterprise_id: str | None = Field(
        default=None, description="Act as the app's service account of this enterprise; the key file may hold it."
    )
    user_id: str | None = Field(default=None, description="Act as this user instead of the service account.")
    redirect_uri: str = Field(
        default="http://localhost/",
        description="For `person`: the redirect URI set in the developer console; nothing needs to answer there.",
    )
    folder: str = Field(default="/", description="The folder, such as Projects/Tower; nothing outside it is touched.")
    folder_id: str = Field(
        default="0",
        pattern=r"^\d+$",
        description="Where `folder` begins: the number at the end of a folder's address in the browser; 0 = All Files.",
    )
    api_url: str = Field(default="https://api.box.com", description="Box's address for calls.")
    upload_url: str = Field(default="https://upload.box.com/api", description="Box's address for uploads.")
    sign_in_url: str = Field(
        default="https://account.box.com/api/oauth2", description="Box's address where persons agree."
    )
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust besides this machine's, where a proxy has its own authority."
    )
    connect_timeout_seconds: float = Field(default=15.0, gt=0, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(default=120.0, gt=0, description="How long to wait for bytes.")

    @field_validator("api_url", "upload_url", "sign_in_url")
    @classmethod
    def _address_is_safe(cls, value: str) -> str:
        return checked_address(value)

    @field_validator("folder")
    @classmethod
    def _folder_is_a_path(cls, value: str) -> str:
        if any(name in (".", "..") for name in value.split("/")):
            raise ValueError("a folder is a path of names, such as Projects/Tower")
        return value.strip("/")

    @model_validator(mode="after")
    def _grant_is_complete(self) -> Self:
        if self.grant == "key":
            if self.key_file is None:
                raise ValueError("signing in by key needs key_file, the JSON file from the developer console")
            return self
        if not self.client_id or self.client_secret is None or not self.client_secret.get_secret_value():
            raise ValueError("client_id and client_secret are needed; the developer console shows both")
        if self.grant == "client_credentials" and (self.enterprise_id is None) == (self.user_id is None):
            raise ValueError("give either enterprise_id (the app's service account) or user_id (one user)")
        return self

    @property
    def summary(self) -> str:
        where = f"/{self.folder}" if self.folder_id == "0" else f"folder {self.folder_id}/{self.folder}"
        who = {"person": "a person", "key": "an app with a key"}.get(self.grant, "an app")
        return f"{where} as {who}"

    @property
    def acts_for_a_person(self) -> bool:
        return self.grant == "person"

    @property
    def token_key(self) -> str | None:
        if not self.acts_for_a_person:
            return None
        return f"box-{hashlib.sha256(f'{self.api_url}|{self.client_id}'.encode()).hexdigest()[:12]}"

    @property
    def folder_names(self) -> tuple[str, ...]:
        """The way to the folder from `folder_id`."""
        return tuple(name for name in self.folder.split("/") if name)

    @property
    def timeouts(self) -> Timeouts:
        """How long requests wait."""
        return Timeouts(connect_seconds=self.connect_timeout_seconds, read_seconds=self.read_timeout_seconds)
