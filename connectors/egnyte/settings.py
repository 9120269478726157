"""What a person says to connect an Egnyte domain."""

import hashlib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings, checked_address
from connectors.shared.timeouts import Timeouts


class EgnyteSettings(ConnectionSettings):
    """Access to one folder of an Egnyte domain, as a user of it.

    How to sign in: https://developers.egnyte.com/docs/read/Public_API_Authentication
    """

    kind: Literal["egnyte"] = "egnyte"
    display_name: str = "Egnyte"
    url: str = Field(description="The domain's address, such as https://example.egnyte.com.")
    folder: str = Field(
        description="The folder, such as /Shared/Projects; nothing outside it is touched. Egnyte keeps no files "
        "directly in /Shared or /Private."
    )
    grant: Literal["password", "person"] = Field(
        default="password",
        description="How to sign in: with a user's name and password, for an internal application (password), or as a "
        "person who agrees in a browser (person).",
    )
    client_id: str = Field(min_length=1, description="The API key that Egnyte issued for the application.")
    client_secret: SecretStr | None = Field(default=None, description="The secret that belongs to the API key.")
    username: str | None = Field(default=None, description="For `password`: the user.")
    password: SecretStr | None = Field(default=None, description="For `password`: the user's password.")
    redirect_uri: str = Field(
        default="https://localhost/",
        description="For `person`: the redirect URI registered with the API key; nothing needs to answer there.",
    )
    calls_per_second: float = Field(
        default=2.0, gt=0, description="What Egnyte allows the API key; 2 unless they raised it."
    )
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust besides this machine's, where a proxy has its own authority."
    )
    connect_timeout_seconds: float = Field(default=15.0, gt=0, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(default=300.0, gt=0, description="How long to wait for bytes.")

    @field_validator("url")
    @classmethod
    def _address_is_safe(cls, value: str) -> str:
        return checked_address(value)

    @field_validator("folder")
    @classmethod
    def _folder_is_a_path(cls, value: str) -> str:
        names = [name for name in value.split("/") if name]
        if not names or names[0].lower() not in ("shared", "private") or "." in names or ".." in names:
            raise ValueError("a folder is a path that begins with /Shared or /Private, such as /Shared/Projects")
        return "/" + "/".join(names)

    @model_validator(mode="after")
    def _grant_is_complete(self) -> Self:
        if self.grant == "password" and (self.username is None or self.password is None):
            raise ValueError("signing in with a password needs username and password")
        return self

    @property
    def summary(self) -> str:
        return f"{self.folder} at {self.url}"

    @property
    def acts_for_a_person(self) -> bool:
        return self.grant == "person"

    @property
    def token_key(self) -> str | None:
        """Always kept: Egnyte gives an internal application 10 tokens an hour only, and asks to keep them."""
        who = "|".join((self.url, self.client_id, self.grant, self.username or ""))
        return f"egnyte-{hashlib.sha256(who.encode()).hexdigest()[:12]}"

    @property
    def timeouts(self) -> Timeouts:
        """How long requests wait."""
        return Timeouts(connect_seconds=self.connect_timeout_seconds, read_seconds=self.read_timeout_seconds)
