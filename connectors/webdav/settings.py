"""What a person says to connect a WebDAV server."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings, checked_address
from connectors.shared.timeouts import Timeouts


class WebDavSettings(ConnectionSettings):
    """Access to one folder of a WebDAV server."""

    kind: Literal["webdav"] = "webdav"
    display_name: str = "WebDAV"
    url: str = Field(
        description="The address of the folder, such as https://cloud.example.com/remote.php/dav/files/USER/Projects; "
        "nothing outside it is ever touched."
    )
    vendor: Literal["nextcloud", "owncloud", "rclone", "wsgidav", "generic"] = Field(
        default="generic",
        description="What the server is. All but generic keep the times files were modified.",
    )
    username: str | None = Field(
        default=None, description="The user; for Nextcloud the name shown under personal settings."
    )
    password: SecretStr | None = Field(default=None, description="The password; for Nextcloud an app password.")
    token: SecretStr | None = Field(default=None, description="A bearer token instead of user and password.")
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust besides this machine's, for a server with its own authority."
    )
    names: Literal["posix", "windows", "portable"] = Field(
        default="posix", description="Whose rules file names follow; where Windows users work with the files: windows."
    )
    connect_timeout_seconds: float = Field(default=15.0, gt=0, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(
        default=300.0,
        gt=0,
        description="How long to wait for bytes; some servers take minutes to put a large file in place.",
    )

    @field_validator("url")
    @classmethod
    def _address_is_safe(cls, value: str) -> str:
        return checked_address(value)

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Self:
        if self.token is not None and self.username is not None:
            raise ValueError("give either username and password or a token")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        return self

    @property
    def summary(self) -> str:
        return self.url

    @property
    def timeouts(self) -> Timeouts:
        """How long requests wait."""
        return Timeouts(connect_seconds=self.connect_timeout_seconds, read_seconds=self.read_timeout_seconds)

    @property
    def keeps_times(self) -> bool:
        """Whether the server is known to take the time a file was modified from the upload."""
        return self.vendor != "generic"
