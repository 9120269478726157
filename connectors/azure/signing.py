"""How a request to Azure Storage proves who it comes from: a shared key, a shared access signature, or an app's token.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from connectors.azure.settings import AzureSettings
from connectors.shared.bearer import Bearer, token_refusal
from connectors.shared.calls import Signer
from connectors.shared.services import Services
from connectors.shared.transport import Http

VERSION = "2021-12-02"
"""https://learn.microsoft.com/rest/api/storageservices/versioning-for-the-azure-storage-services"""
_SIGNED = ("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
           "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range")  # fmt: skip
_APP_FIX = (
    "Check tenant id, client id and client secret; secrets expire (Entra, App registrations, Certificates & secrets)."
)


class SharedKey:
    """Signs each request with the account's key."""

    def __init__(self, account: str, key: str) -> None:
        self._account = account
        self._key = base64.b64decode(key)

    def authorization(
        self, method: str, url: str, query: Mapping[str, str], headers: Mapping[str, str], content_bytes: int
    ) -> str:
        """The header `Authorization`. The headers' names are in small letters, `query` is not escaped."""
        whole = {**headers, "content-length": str(content_bytes) if content_bytes else ""}
        standard = "\n".join(whole.get(name, "") for name in _SIGNED)
        own = "".join(f"{name}:{whole[name].strip()}\n" for name in sorted(whole) if name.startswith("x-ms-"))
        asked = "".join(f"\n{name.lower()}:{query[name]}" for name in sorted(query))
        text = f"{method}\n{standard}\n{own}/{self._account}{urlsplit(url).path}{asked}"
        signature = base64.b64encode(hmac.digest(self._key, text.encode(), "sha256")).decode()
        return f"SharedKey {self._account}:{signature}"


def shared_key(settings: AzureSettings) -> SharedKey | None:
    """What signs requests; None where nothing of the request is signed."""
    key = settings.account_key
    return None if key is None else SharedKey(settings.account, key.get_secret_value())


def signature_query(settings: AzureSettings) -> str:
    """What a shared access signature adds to every address; empty without one."""
    return "" if settings.sas_token is None else settings.sas_token.get_secret_value().lstrip("?").strip()


def signer(settings: AzureSettings, http: Http, services: Services) -> Signer:
    """Adds an app's token to requests, or nothing.

    https://learn.microsoft.com/azure/storage/blobs/authorize-access-azure-active-directory
    """
    client_id, secret = settings.client_id, settings.client_secret
    if client_id is None or secret is None:
        return _Nothing()
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret.get_secret_value(),
        "scope": "https://storage.azure.com/.default",
    }
    return Bearer(
        http,
        system="Microsoft Entra",
        url=f"{settings.authority_url}/{settings.tenant_id}/oauth2/v2.0/token",
        client_id=client_id,
        grant=lambda _: form,
        meaning=token_refusal("Microsoft Entra", _APP_FIX),
        store=services.tokens,
        clock=services.clock,
    )


def http_date(at: datetime) -> str:
    """A time as `x-ms-date` wants it."""
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{days[at.weekday()]}, {at.day:02d} {months[at.month - 1]} {at.year} {at:%H:%M:%S} GMT"


class _Nothing:
    async def headers(self) -> Mapping[str, str]:
        return {}

    async def refused(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002
        return False
