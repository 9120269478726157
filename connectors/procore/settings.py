"""What a person says to connect a Procore company."""

import hashlib
import re
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.shared.settings import ConnectionSettings, checked_address, checked_host
from connectors.shared.timeouts import Timeouts

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


class ProcoreSettings(ConnectionSettings):
    """Access to one Procore company."""

    kind: Literal["procore"] = "procore"
    display_name: str = "Procore"
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
    connect_timeout_seconds: float = Field(default=15.0, gt=0)
    read_timeout_seconds: float = Field(default=60.0, gt=0)
    """Between two arrivals of bytes, not for a whole body."""
    pool_timeout_seconds: float = Field(default=60.0, gt=0)
    """Until a connection is there, the wait for a free one included."""

    @field_validator("login_url", "api_url")
    @classmethod
    def _address_is_safe(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value)

    @field_validator("token_hosts")
    @classmethod
    def _hosts_are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_host(name) for name in value)

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

    @property
    def summary(self) -> str:
        return f"Company {self.company_id} at {self.api_base}"

    @property
    def acts_for_a_person(self) -> bool:
        return self.grant == "authorization_code"

    @property
    def token_key(self) -> str | None:
        return self.client_name

    @property
    def client_name(self) -> str:
        """The same for all connections of one client in one environment, different for any other; file-name safe.

        Recognisable by the beginning of the client id, which is no secret but is not shown whole either.
        """
        beginning = re.sub(r"[^a-z0-9]", "", self.client_id.lower())[:6]
        digest = hashlib.sha256(f"{self.api_base}|{self.client_id}".encode()).hexdigest()[:8]
        return f"{beginning}-{digest}" if beginning else digest

    @property
    def timeouts(self) -> Timeouts:
        """How long requests wait."""
        return Timeouts(
            connect_seconds=self.connect_timeout_seconds,
            read_seconds=self.read_timeout_seconds,
            pool_seconds=self.pool_timeout_seconds,
        )
