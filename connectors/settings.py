"""What a person says to connect a system: one frozen model per kind of connection, saved as an encrypted block."""

import functools
import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
"""The redirect address that makes Procore show the code to the person instead of sending it to a web server."""


class ProcoreEnvironment(StrEnum):
    """Which of Procore's environments; tokens and clients of one are worthless in another."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"
    MONTHLY_SANDBOX = "monthly_sandbox"
    FEDERAL = "federal"
    CUSTOM = "custom"


_LOGIN_URLS = {
    ProcoreEnvironment.PRODUCTION: "https://login.procore.com",
    ProcoreEnvironment.SANDBOX: "https://login-sandbox.procore.com",
    ProcoreEnvironment.MONTHLY_SANDBOX: "https://login-sandbox-monthly.procore.com",
    ProcoreEnvironment.FEDERAL: "https://login.procoregov.com",
}
_API_URLS = {
    ProcoreEnvironment.PRODUCTION: "https://api.procore.com",
    ProcoreEnvironment.SANDBOX: "https://sandbox.procore.com",
    ProcoreEnvironment.MONTHLY_SANDBOX: "https://api-monthly.procore.com",
    ProcoreEnvironment.FEDERAL: "https://api.procoregov.com",
}
_STORAGE_HOSTS = {
    ProcoreEnvironment.PRODUCTION: ("storage.procore.com",),
    ProcoreEnvironment.SANDBOX: ("storage.procore.com",),
    ProcoreEnvironment.MONTHLY_SANDBOX: ("storage.procore.com",),
    ProcoreEnvironment.FEDERAL: ("storage.procoregov.com",),
}


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProcoreSettings(_Settings):
    """Access to one Procore company."""

    kind: Literal["procore"] = "procore"
    environment: ProcoreEnvironment = ProcoreEnvironment.PRODUCTION
    login_url: str | None = None
    """Only with `custom`; otherwise the environment's. `login_base` is the one in force."""
    api_url: str | None = None
    """Only with `custom`; otherwise the environment's. `api_base` is the one in force."""
    token_hosts: tuple[str, ...] = ()
    """host[:port] names that may receive the access token besides the API host and the environment's storage hosts."""
    company_id: int = Field(gt=0)
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    grant: Literal["client_credentials", "authorization_code"] = "client_credentials"
    redirect_uri: str = OUT_OF_BAND
    hourly_calls: int = Field(default=3600, ge=1)
    """What Procore granted this client per 60 minutes."""
    spike_calls: int = Field(default=100, ge=1)
    """What Procore granted this client per 10 seconds."""
    page_size: int = Field(default=5000, ge=1, le=10_000)
    """Entries asked for per listing call; a server that gives fewer is followed."""
    display_name: str = "Procore"
    connect_timeout_seconds: float = Field(default=15.0, gt=0)
    read_timeout_seconds: float = Field(default=60.0, gt=0)
    """Between two arrivals of bytes, not for a whole body."""
    pool_timeout_seconds: float = Field(default=60.0, gt=0)
    """Until a connection is there, the wait for a free one included."""

    @field_validator("login_url", "api_url")
    @classmethod
    def _address_is_safe(cls, value: str | None) -> str | None:
        return None if value is None else _checked_address(value)

    @field_validator("token_hosts")
    @classmethod
    def _hosts_are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_checked_host(name) for name in value)

    @field_validator("client_secret")
    @classmethod
    def _secret_is_there(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value():
            raise ValueError("the client secret is empty")
        return value

    @model_validator(mode="after")
    def _addresses_fit_the_environment(self) -> Self:
        custom = self.environment is ProcoreEnvironment.CUSTOM
        given = self.login_url is not None, self.api_url is not None
        if custom and not all(given):
            raise ValueError("the environment 'custom' needs login_url and api_url")
        if not custom and any(given):
            raise ValueError("login_url and api_url are only for the environment 'custom'")
        return self

    @property
    def login_base(self) -> str:
        """Address of the login host without a trailing slash."""
        return self.login_url or _LOGIN_URLS[self.environment]

    @property
    def api_base(self) -> str:
        """Address of the API host without a trailing slash."""
        return self.api_url or _API_URLS[self.environment]

    @property
    def storage_hosts(self) -> tuple[str, ...]:
        """host[:port] names besides the API host that may receive the access token."""
        return (*_STORAGE_HOSTS.get(self.environment, ()), *self.token_hosts)


class FilesystemSettings(_Settings):
    """Access to one local folder, or to a file share that is mounted there."""

    kind: Literal["filesystem"] = "filesystem"
    folder: Path
    """Absolute; nothing outside it is ever touched."""
    durability: Literal["none", "batch", "file"] = "batch"
    """When copied files are forced onto the disk: never, before a batch's outcomes are recorded, or file by file."""
    names: Literal["posix", "windows", "portable"] = "posix"
    """Whose rules file names follow; a mounted Windows share needs `windows`."""
    display_name: str = "Local folder"

    @field_validator("folder")
    @classmethod
    def _folder_is_absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("the folder must be an absolute path")
        return value


ConnectionSettings = Annotated[ProcoreSettings | FilesystemSettings, Field(discriminator="kind")]


@functools.lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address begins with https:// and names a host")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(
            "an address outside this machine must begin with https://, or secrets would travel unprotected"
        )
    if parts.username or parts.query or parts.fragment:
        raise ValueError("an address holds no user name, query or fragment")
    return value.rstrip("/")


def _checked_host(name: str) -> str:
    parts = urlsplit(f"//{name}")
    if not parts.hostname or parts.netloc != name or parts.username or parts.path:
        raise ValueError(f"'{name}' is not of the form host or host:port")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"'{name}' names no valid port") from None
    return name.lower()
