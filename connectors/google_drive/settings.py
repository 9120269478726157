"""What a person says to connect Google Drive."""

import hashlib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings, checked_address
from connectors.shared.timeouts import Timeouts


class GoogleDriveSettings(ConnectionSettings):
    """Access to one folder of a Google Drive, as a service account or as a person.

    Service accounts: https://developers.google.com/identity/protocols/oauth2/service-account; persons:
    https://developers.google.com/identity/protocols/oauth2/native-app
    """

    kind: Literal["google-drive"] = "google-drive"
    display_name: str = "Google Drive"
    key_file: Path | None = Field(
        default=None, description="The JSON key of a service account; without one a person signs in."
    )
    subject: str | None = Field(
        default=None,
        description="Act as this person (email) by the service account's domain-wide delegation; else as itself.",
    )
    client_id: str | None = Field(default=None, description="For a person: the OAuth client's ID (Desktop app).")
    client_secret: SecretStr | None = Field(default=None, description="For a person: the OAuth client's secret.")
    refresh_token: SecretStr | None = Field(
        default=None, description="For a person: a refresh token made elsewhere; without one they sign in."
    )
    redirect_uri: str = Field(
        default="http://localhost/", description="Where the browser is sent after signing in; nothing needs to answer."
    )
    shared_drive: str | None = Field(
        default=None, description="The shared drive, by name or ID; without one it is My Drive."
    )
    folder: str = Field(default="", description="The folder, such as Projects/Tower; nothing outside it is touched.")
    folder_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Where `folder` begins: the last part of a folder's address in the browser.",
    )
    api_url: str = Field(default="https://www.googleapis.com/drive/v3", description="Google's address for calls.")
    upload_url: str = Field(
        default="https://www.googleapis.com/upload/drive/v3", description="Google's address for uploads."
    )
    token_url: str = Field(default="https://oauth2.googleapis.com/token", description="Google's address for tokens.")
    account_url: str = Field(
        default="https://accounts.google.com/o/oauth2/v2/auth", description="Google's address where people agree."
    )
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust besides this machine's, where a proxy has its own authority."
    )
    connect_timeout_seconds: float = Field(default=15.0, gt=0, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(default=120.0, gt=0, description="How long to wait for bytes.")

    @field_validator("api_url", "upload_url", "token_url", "account_url")
    @classmethod
    def _address_is_safe(cls, value: str) -> str:
        return checked_address(value)

    @field_validator("folder")
    @classmethod
    def _folder_is_a_path(cls, value: str) -> str:
        names = value.strip("/").split("/")
        if len(names) > 1 and "" in names:
            raise ValueError("a folder is a path of names, such as Projects/Tower")
        return value.strip("/")

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Self:
        if (self.key_file is None) == (self.client_id is None):
            raise ValueError("give either key_file (a service account) or client_id and client_secret (a person)")
        if self.client_id is not None and self.client_secret is None:
            raise ValueError("client_id and client_secret belong together; the Google Cloud console shows both")
        if self.key_file is None and self.subject is not None:
            raise ValueError("subject is for service accounts; a person who signs in acts as themselves")
        if self.folder_id is not None and self.shared_drive is not None:
            raise ValueError("give either folder_id or shared_drive; a folder's ID says which drive it is in")
        return self

    @property
    def summary(self) -> str:
        where = self.shared_drive or (f"folder {self.folder_id}" if self.folder_id else "My Drive")
        who = self.subject or ("a service account" if self.key_file is not None else "a person")
        return f"{where}/{self.folder} as {who}"

    @property
    def acts_for_a_person(self) -> bool:
        return self.key_file is None and self.refresh_token is None

    @property
    def token_key(self) -> str | None:
        if self.key_file is not None:
            return None
        given = "" if self.refresh_token is None else self.refresh_token.get_secret_value()
        which = "|".join((self.token_url, self.client_id or "", given))
        return f"google-drive-{hashlib.sha256(which.encode()).hexdigest()[:12]}"

    @property
    def folder_names(self) -> tuple[str, ...]:
        """The way to the folder from where it begins."""
        return tuple(name for name in self.folder.split("/") if name)

    @property
    def timeouts(self) -> Timeouts:
        """How long requests wait."""
        return Timeouts(connect_seconds=self.connect_timeout_seconds, read_seconds=self.read_timeout_seconds)
