"""Signing in to Box, as an app or as a person (https://developer.box.com/guides/authentication/).

* By secret: https://developer.box.com/guides/authentication/client-credentials/
* By key: an assertion, valid once and for at most 60 seconds, whose audience is always Box's own token address
  (https://developer.box.com/guides/authentication/jwt/without-sdk/).
* As a person: a refresh token works once and for 60 days (https://developer.box.com/guides/authentication/tokens/refresh/).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from connectors.box.settings import BoxSettings
from connectors.shared.bearer import Bearer, Grant, code_of, sign_in_needed, token_refusal
from connectors.shared.services import Ask, Services, Tell
from connectors.shared.transport import Http
from connectors.shared.trust import trusting
from connectors.tokens import Tokens
from migration.clock import Clock
from migration.errors import ConfigurationError

AUDIENCE = "https://api.box.com/oauth2/token"
ASSERTION_SECONDS = 45
_FIX = (
    "Check client ID and secret or the key file, whether the administrator has authorized the app, and this machine's "
    "clock."
)


@dataclass(frozen=True, slots=True)
class App:
    """What an app signs in with. Its repr holds no secret."""

    client_id: str
    client_secret: str = field(repr=False)
    enterprise_id: str | None = None
    key_id: str = ""
    private_key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)


def app_of(settings: BoxSettings) -> App:
    """The app of the connection. ConfigurationError `key-file-unreadable`."""
    secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
    if settings.grant != "key":
        return App(settings.client_id or "", secret, settings.enterprise_id)
    assert settings.key_file is not None
    try:
        values = json.loads(settings.key_file.read_text("utf-8"))
        app = values["boxAppSettings"]
        key = app["appAuth"]
        return App(
            client_id=settings.client_id or str(app["clientID"]),
            client_secret=secret or str(app["clientSecret"]),
            enterprise_id=settings.enterprise_id or values.get("enterpriseID"),
            key_id=str(key["publicKeyID"]),
            private_key=str(key["privateKey"]),
            passphrase=str(key.get("passphrase") or ""),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            "key-file-unreadable",
            f"{settings.key_file} is no key file of a Box app ({type(error).__name__}).",
            fix="Download it in the developer console under Configuration, Add and manage public keys.",
        ) from None


def bearer(settings: BoxSettings, http: Http, services: Services) -> Bearer:
    """What signs the requests of the connection. ConfigurationError as `app_of`."""
    app = app_of(settings)
    grants = {"client_credentials": _by_secret, "key": _by_key, "person": _as_person}
    return Bearer(
        http,
        system=settings.display_name,
        url=f"{settings.api_url}/oauth2/token",
        client_id=app.client_id,
        grant=grants[settings.grant](settings, app, services.clock),
        meaning=token_refusal(settings.display_name, _FIX),
        store=services.tokens,
        clock=services.clock,
    )


def authorization_url(settings: BoxSettings) -> str:
    """The address where a person agrees; the code it leads to is valid for 30 seconds
    (https://developer.box.com/guides/authentication/oauth2/without-sdk/)."""
    values = {
        "response_type": "code",
        "client_id": settings.client_id or "",
        "redirect_uri": settings.redirect_uri,
    }
    return f"{settings.sign_in_url}/authorize?{urlencode(values)}"


async def sign_in(settings: BoxSettings, services: Services, *, tell: Tell, ask: Ask) -> None:
    """Let a person sign in. FatalError `sign-in-refused` for a code that is wrong, used or old."""
    tell(
        "Open this address, sign in and grant access. The browser is then sent to an address that nobody answers: copy "
        "that whole address within 30 seconds."
    )
    tell(authorization_url(settings))
    code = code_of(ask("Address or code"))
    http = Http(settings.timeouts, tls=trusting(settings.ca_file))
    try:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": settings.redirect_uri}
        await bearer(settings, http, services).exchange({**form, **_client(app_of(settings))})
    finally:
        await http.aclose()


def _client(app: App) -> Mapping[str, str]:
    return {"client_id": app.client_id, "client_secret": app.client_secret}


def _by_secret(settings: BoxSettings, app: App, clock: Clock) -> Grant:  # noqa: ARG001
    kind, subject = _subject(settings, app)

    def form(stored: Tokens | None) -> Mapping[str, str]:  # noqa: ARG001
        return {
            "grant_type": "client_credentials",
            "box_subject_type": kind,
            "box_subject_id": subject,
            **_client(app),
        }

    return form


def _by_key(settings: BoxSettings, app: App, clock: Clock) -> Grant:
    kind, subject = _subject(settings, app)
    key = _private_key(app)

    def form(stored: Tokens | None) -> Mapping[str, str]:  # noqa: ARG001
        import jwt

        claims = {
            "iss": app.client_id,
            "sub": subject,
            "box_sub_type": kind,
            "aud": AUDIENCE,
            "jti": uuid4().hex,
            "exp": int((clock.now() + timedelta(seconds=ASSERTION_SECONDS)).timestamp()),
        }
        assertion = jwt.encode(claims, key, algorithm="RS512", headers={"kid": app.key_id})
        return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion, **_client(app)}

    return form


def _as_person(settings: BoxSettings, app: App, clock: Clock) -> Grant:  # noqa: ARG001
    def form(stored: Tokens | None) -> Mapping[str, str]:
        if stored is None or stored.refresh_token is None:
            raise sign_in_needed(settings.display_name)
        return {"grant_type": "refresh_token", "refresh_token": stored.refresh_token, **_client(app)}

    return form


def _subject(settings: BoxSettings, app: App) -> tuple[str, str]:
    if settings.user_id:
        return "user", settings.user_id
    if app.enterprise_id:
        return "enterprise", app.enterprise_id
    raise ConfigurationError(
        "enterprise-missing",
        "The key file names no enterprise, so it is not known whom the app acts as.",
        fix="Give --enterprise-id or --user-id.",
    )


def _private_key(app: App) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(app.private_key.encode(), app.passphrase.encode() if app.passphrase else None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            "key-file-unreadable",
            "The private key in the key file cannot be read with the passphrase that stands there.",
            fix="Download a new key file in the developer console.",
        ) from error
