"""What a person says to connect Dropbox."""

import hashlib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings, checked_address
from connectors.shared.timeouts import Timeouts


class DropboxSettings(ConnectionSettings):
    """Access to one folder of a Dropbox, as the person it belongs to.

    How signing in works: https://developers.dropbox.com/oauth-guide
    """

    kind: Literal["dropbox"] = "dropbox"
    display_name: str = "Dropbox"
    app_key: str = Field(min_length=1, description="The app key, shown in Dropbox's App Console.")
    app_secret: SecretStr | None = Field(
        default=None, description="The app secret, shown there as well; not needed for signing in on this machine."
    )
    refresh_token: SecretStr | None = Field(
        default=None, description="A refresh token made elsewhere; without one a person signs in."
    )
    person: str | None = Field(
        default=None, description="The email of whose Dropbox it is; anybody else's is refused by the test."
    )
    folder: str = Field(default="", description="The folder, such as Projects/Tower; nothing outside it is touched.")
    root: Literal["home", "team"] = Field(
        default="home", description="Where `folder` begins: the person's own files (home) or the team's space (team)."
    )
    api_url: str = Field(default="https://api.dropboxapi.com", description="Dropbox's address for calls.")
    content_url: str = Field(default="https://content.dropboxapi.com", description="Dropbox's address for content.")
    www_url: str = Field(default="https://www.dropbox.com", description="Dropbox's address where people agree.")
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust besides this machine's, where a proxy has its own authority."
    )
    connect_timeout_seconds: float = Field(default=15.0, gt=0, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(default=120.0, gt=0, description="How long to wait for bytes.")

    @field_validator("api_url", "content_url", "www_url")
    @classmethod
    def _address_is_safe(cls, value: str) -> str:
        return checked_address(value)

    @field_validator("folder")
    @classmethod
    def _folder_is_a_path(cls, value: str) -> str:
        names = value.strip("/").split("/")
        if any(name in (".", "..") for name in names) or (len(names) > 1 and "" in names):
            raise ValueError("a folder is a path of names, such as Projects/Tower")
        return value.strip("/")

    @model_validator(mode="after")
    def _secrets_are_there(self) -> Self:
        for name, secret in (("app_secret", self.app_secret), ("refresh_token", self.refresh_token)):
            if secret is not None and not secret.get_secret_value():
                raise ValueError(f"{name} is empty; leave it out instead")
        return self

    @property
    def summary(self) -> str:
        where = "the team's space" if self.root == "team" else (self.person or "a person's files")
        return f"/{self.folder} in {where}"

    @property
    def acts_for_a_person(self) -> bool:
        return self.refresh_token is None

    @property
    def token_key(self) -> str | None:
        given = "" if self.refresh_token is None else self.refresh_token.get_secret_value()
        which = "|".join((self.api_url, self.app_key, self.person or "", given))
        return f"dropbox-{hashlib.sha256(which.encode()).hexdigest()[:12]}"

    @property
    def folder_names(self) -> tuple[str, ...]:
        """The way to the folder from the root."""
        return tuple(name for name in self.folder.split("/") if name)

    @property
    def timeouts(self) -> Timeouts:
        """How long requests wait."""
        return Timeouts(connect_seconds=self.connect_timeout_seconds, read_seconds=self.read_timeout_seconds)
