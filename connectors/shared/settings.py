"""What every kind of connection's settings have in common, and how addresses in them are checked."""

import functools
import ipaddress
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field


class ConnectionSettings(BaseModel):
    """What a person says to connect one kind of system: a frozen model, saved encrypted.

    A subclass has a literal `kind` with a default and `display_name`; every further field gets a `Field(description=…)`
    that command line and forms show. Secrets are SecretStr.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    display_name: str
    """What people call the system."""
    read_only: bool = Field(default=False, description="Never write through this connection.")
    bytes_per_second: int | None = Field(
        default=None, gt=0, description="Read and write at most so many bytes of content a second, in all."
    )

    @property
    def summary(self) -> str:
        """Which one it is, in one line for people, without secrets."""
        return self.display_name

    @property
    def acts_for_a_person(self) -> bool:
        """Whether somebody has to sign in before it can be used."""
        return False

    @property
    def token_key(self) -> str | None:
        """Names the sign-in whose renewed tokens are kept between runs; None when nothing has to be kept. Two
        connections with the same key share them."""
        return None


@functools.lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_address(value: str) -> str:
    """An http(s) address without a trailing slash. ValueError says what is wrong with it."""
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


def checked_host(name: str) -> str:
    """A host or host:port in lower case. ValueError says what is wrong with it."""
    parts = urlsplit(f"//{name}")
    if not parts.hostname or parts.netloc != name or parts.username or parts.path:
        raise ValueError(f"'{name}' is not of the form host or host:port")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"'{name}' names no valid port") from None
    return name.lower()
