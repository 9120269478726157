"""Which hosts exist for a connection, which of them may see its access token, and where a redirect may lead.

An address is compared by scheme, host and port, as parsed here and nowhere else: a second parser with another opinion
about an odd address could send the token to somebody else.
"""

import re
from typing import NamedTuple
from urllib.parse import quote, urljoin

from connectors.procore.settings import ProcoreSettings
from connectors.shared.settings import is_loopback
from migration.errors import ItemError

_ADDRESS = re.compile(
    r"(https?)://([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?(?=[/?#]|$)", re.IGNORECASE
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SENDABLE = re.compile(r"[\x21-\x7e]*")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class Origin(NamedTuple):
    """Scheme, host and port, lower case."""

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """scheme://host:port; the default port is left out."""
        suffix = "" if _DEFAULT_PORTS[self.scheme] == self.port else f":{self.port}"
        return f"{self.scheme}://{self.host}{suffix}"

    @property
    def is_safe(self) -> bool:
        """Encrypted, or not leaving this machine."""
        return self.scheme == "https" or is_loopback(self.host.strip("[]"))


class Address(NamedTuple):
    """Where to send a request: the host, and path and query exactly as they are to be sent."""

    origin: Origin
    target: str

    @classmethod
    def parsed(cls, text: str) -> "Address":
        """The address a link or a redirect names.

        Raises ItemError `link-unsafe` for anything but https addresses (http only on this machine) without user names.
        """
        found = _ADDRESS.match(text)
        if found is None:
            raise _unsafe("is not an https address")
        scheme, host, port = found.group(1).lower(), found.group(2).lower(), found.group(3)
        origin = Origin(scheme, host, int(port) if port else _DEFAULT_PORTS[scheme])
        if not origin.is_safe or origin.port > 65535:
            raise _unsafe(f"leads to {scheme}://{host}, which is not encrypted")
        rest = text[found.end() :].partition("#")[0]
        target = rest if rest.startswith("/") else f"/{rest}"
        return cls(origin, target if _SENDABLE.fullmatch(target) else quote(target, safe=_PRINTABLE))

    def redirected(self, location: str) -> "Address":
        """Where a `Location` header, absolute or relative, leads from here. Raises as `parsed` does."""
        if _ADDRESS.match(location):
            return Address.parsed(location)
        return Address.parsed(urljoin(self.origin.url + self.target, location))


class TrustedHosts:
    """The hosts that may see the access token: the API host and Procore's storage hosts of the connection."""

    def __init__(self, settings: ProcoreSettings) -> None:
        self.api = Address.parsed(settings.api_base).origin
        origins = {self.api}
        for name in settings.storage_hosts:
            origin = Address.parsed(f"https://{name}").origin
            origins.add(origin)
            if is_loopback(origin.host.strip("[]")):
                origins.add(Address.parsed(f"http://{name}").origin)
        self._origins = frozenset(origins)

    def __contains__(self, origin: Origin) -> bool:
        return origin in self._origins


def _unsafe(what: str) -> ItemError:
    return ItemError(
        "link-unsafe",
        f"Procore's link to the content {what}, so it was not followed.",
        fix="Tell Procore's support about the file; its link is not one SiteHaul may follow.",
    )
