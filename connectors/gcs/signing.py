"""Signing in to Google as a service account (https://developers.google.com/identity/protocols/oauth2/service-account).

A statement signed by the key file's private key, valid for an hour at most, is exchanged for an access token.
"""

import asyncio
import email.utils
import json
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from google.auth import jwt
from google.auth.crypt import RSASigner

from connectors.gcs.settings import GcsSettings
from connectors.shared.bearer import Bearer, token_refusal
from connectors.shared.calls import Meaning, Refusal, Signer
from connectors.shared.services import Services
from connectors.shared.settings import checked_address
from connectors.shared.transport import Http
from connectors.tokens import Tokens
from migration.clock import Clock
from migration.errors import ConfigurationError, FatalError, SiteHaulError

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS = 3600
_SCOPE = "https://www.googleapis.com/auth/devstorage."
_FIX = (
    "Check in the Google Cloud console (IAM & Admin, Service Accounts) that the account and this key of it exist and "
    "are enabled; if not, make a new key and connect again."
)
_CLOCK_FIX = "Set the clock of this machine, best by NTP, and run again."


class KeyFile:
    """A service account's key. Its repr holds no secret."""

    def __init__(self, values: Mapping[str, Any], token_url: str | None) -> None:
        """Raises KeyError, TypeError or ValueError for values that are no key file's."""
        self.email = str(values["client_email"])
        self.token_url = token_url or checked_address(str(values["token_uri"]))
        self._audience = str(values["token_uri"])
        self._signer = RSASigner.from_service_account_info(values)  # type: ignore[no-untyped-call]

    def assertion(self, scope: str, clock: Clock) -> str:
        """What is exchanged for an access token."""
        now = int(clock.now().timestamp())
        claims = {
            "iss": self.email, "scope": scope, "aud": self._audience, "iat": now, "exp": now + ASSERTION_SECONDS,
        }  # fmt: skip
        signed: bytes = jwt.encode(self._signer, claims)  # type: ignore[no-untyped-call]
        return signed.decode()


async def signer_of(settings: GcsSettings, http: Http, services: Services) -> tuple[Signer, str, Callable[[], Any]]:
    """What signs the requests of the connection, who it acts as, and what has to be awaited before it is closed.

    ConfigurationError `key-file-unreadable`.
    """
    if settings.access_token is not None:
        return Given(settings.access_token.get_secret_value()), "an access token", _nothing
    key = await asyncio.to_thread(key_file_of, settings)
    scope = _SCOPE + ("read_only" if settings.read_only else "read_write")

    def grant(stored: Tokens | None) -> Mapping[str, str]:  # noqa: ARG001
        return {"grant_type": GRANT, "assertion": key.assertion(scope, services.clock)}

    bearer = Bearer(
        http,
        system=settings.display_name,
        url=key.token_url,
        client_id=key.email,
        grant=grant,
        meaning=refusal_of(settings.display_name, services.clock),
        store=services.tokens,
        clock=services.clock,
    )
    return bearer, key.email, bearer.settle


def key_file_of(settings: GcsSettings) -> KeyFile:
    """The key of the connection. ConfigurationError `key-file-unreadable`."""
    assert settings.key_file is not None
    try:
        values = json.loads(settings.key_file.read_text("utf-8"))
        kind = values.get("type")
        if kind != "service_account":
            raise ValueError(f"it is of the type {kind}, not service_account")
        return KeyFile(values, settings.token_url)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else _told(error)
        raise ConfigurationError(
            "key-file-unreadable",
            f"{settings.key_file} is no key file of a service account ({reason}).",
            fix="Make one in the Google Cloud console under IAM & Admin, Service Accounts, Keys, Add key, JSON.",
        ) from None


class Given:
    """An access token that somebody else renews."""

    def __init__(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}

    async def headers(self) -> Mapping[str, str]:
        return self._headers

    async def refused(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002
        return False


def refusal_of(system: str, clock: Clock) -> Meaning:
    """What the refusals of the token address mean: `clock-skewed` when the statement is of another time."""
    plain = token_refusal(system, _FIX)

    def meaning(refusal: Refusal) -> SiteHaulError:
        values = refusal.json()
        told = str(values.get("error_description") or "") if isinstance(values, dict) else ""
        if "short-lived token" not in told and "Token used too" not in told:
            return plain(refusal)
        return FatalError(
            "clock-skewed",
            f"{system} refused the sign-in, because the clock of this machine is wrong{_by(refusal, clock)}.",
            fix=_CLOCK_FIX,
        )

    return meaning


def _by(refusal: Refusal, clock: Clock) -> str:
    """How wrong the clock is, by the time that came with the answer."""
    try:
        theirs = email.utils.parsedate_to_datetime(refusal.headers.get("date", "")).astimezone(UTC)
    except ValueError:
        return ""
    minutes = round((clock.now() - theirs).total_seconds() / 60)
    return "" if not minutes else f" by {abs(minutes)} minutes ({'ahead' if minutes > 0 else 'behind'})"


def _told(error: Exception) -> str:
    """Why a file is none, without anything that stands in it."""
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return str(error) if str(error).startswith(("it is of", "an address")) else "it is not of that form"


async def _nothing() -> None:
    return None
