"""Signing in to Google: as a service account, by a statement signed with its key, or as a person, who agrees once in a
browser.
"""

import base64
import hashlib
import json
import secrets
from typing import Any
from urllib.parse import urlencode

from google.auth import crypt, jwt

from connectors.google_drive.settings import GoogleDriveSettings
from connectors.shared.bearer import Bearer, Grant, code_of, sign_in_needed, token_refusal
from connectors.shared.services import Ask, Services, Tell
from connectors.shared.transport import Http
from connectors.shared.trust import trusting
from connectors.tokens import Tokens
from migration.clock import Clock
from migration.errors import ConfigurationError

SCOPE = "https://www.googleapis.com/auth/drive"
ASSERTION_SECONDS = 3600
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_FIX_SERVICE = (
    "Check the key file, and with --subject that the Admin console (Security, API controls, Domain-wide delegation) "
    f"gives the service account's client ID the scope {SCOPE}."
)
_FIX_PERSON = "Check client ID and secret in the Google Cloud console, and connect it again with `sitehaul connect`."


async def sign_in(settings: GoogleDriveSettings, services: Services, *, tell: Tell, ask: Ask) -> None:
    """Let a person sign in. FatalError `sign-in-refused` for a code that is wrong or old."""
    verifier = secrets.token_urlsafe(64)
    tell("Open this address and agree. The browser then shows an error page; copy its address:")
    tell(authorization_url(settings, verifier))
    http = Http(settings.timeouts, tls=trusting(settings.ca_file))
    try:
        form = {
            "grant_type": "authorization_code",
            "code": code_of(ask("Address or code")),
            "code_verifier": verifier,
            "redirect_uri": settings.redirect_uri,
        }
        await bearer(http, settings, services).exchange({**form, **_client(settings)})
    finally:
        await http.aclose()


def authorization_url(settings: GoogleDriveSettings, verifier: str) -> str:
    """The address where a person agrees."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    values = {
        "client_id": settings.client_id or "",
        "redirect_uri": settings.redirect_uri,
        "response_type": "code",
        "scope": SCOPE,
        "access_type": "offline",
        "prompt": "consent",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{settings.account_url}?{urlencode(values)}"


def bearer(http: Http, settings: GoogleDriveSettings, services: Services) -> Bearer:
    """Gives access tokens to the calls of one connection. ConfigurationError `key-file-unreadable`."""
    if settings.key_file is None:
        grant, who, fix = _refreshing(settings), settings.client_id or "", _FIX_PERSON
    else:
        key = _key(settings)
        grant, fix = _asserting(settings, key, services.clock), _FIX_SERVICE
        who = f"{key['client_email']}|{settings.subject or ''}"
    return Bearer(
        http,
        system=settings.display_name,
        url=settings.token_url,
        client_id=who,
        grant=grant,
        meaning=token_refusal(settings.display_name, fix),
        store=services.tokens,
        clock=services.clock,
    )


def _refreshing(settings: GoogleDriveSettings) -> Grant:
    given = None if settings.refresh_token is None else settings.refresh_token.get_secret_value()

    def grant(stored: Tokens | None) -> dict[str, str]:
        refresh_token = given or (None if stored is None else stored.refresh_token)
        if refresh_token is None:
            raise sign_in_needed(settings.display_name)
        return {"grant_type": "refresh_token", "refresh_token": refresh_token, **_client(settings)}

    return grant


def _asserting(settings: GoogleDriveSettings, key: dict[str, Any], clock: Clock) -> Grant:
    """A statement signed with the key
    (https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests).
    """
    try:
        signer = crypt.RSASigner.from_service_account_info(key)  # type: ignore[no-untyped-call]
    except (ValueError, KeyError) as error:
        raise _unreadable(settings, "it holds no private key") from error

    def grant(stored: Tokens | None) -> dict[str, str]:  # noqa: ARG001
        now = int(clock.now().timestamp())
        claims = {
            "iss": key["client_email"],
            "scope": SCOPE,
            "aud": settings.token_url,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            **({"sub": settings.subject} if settings.subject else {}),
        }
        assertion: bytes = jwt.encode(signer, claims)  # type: ignore[no-untyped-call]
        return {"grant_type": _JWT_GRANT, "assertion": assertion.decode()}

    return grant


def _key(settings: GoogleDriveSettings) -> dict[str, Any]:
    assert settings.key_file is not None
    try:
        values = json.loads(settings.key_file.read_bytes())
    except (OSError, ValueError) as error:
        raise _unreadable(settings, str(error)) from error
    if not isinstance(values, dict) or not values.get("client_email") or not values.get("private_key"):
        raise _unreadable(settings, "it is no key of a service account")
    return values


def _unreadable(settings: GoogleDriveSettings, why: str) -> ConfigurationError:
    return ConfigurationError(
        "key-file-unreadable",
        f"The key file {settings.key_file} cannot be used: {why}.",
        fix="Make a JSON key for the service account in the Google Cloud console (IAM, Service accounts, Keys).",
    )


def _client(settings: GoogleDriveSettings) -> dict[str, str]:
    secret = "" if settings.client_secret is None else settings.client_secret.get_secret_value()
    return {"client_id": settings.client_id or "", "client_secret": secret}
