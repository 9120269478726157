"""Signing in to Dropbox (https://developers.dropbox.com/oauth-guide).

A person agrees once, in a browser, and pastes a code that is shown there. It is worth a refresh token, which does not
change and does not expire; access tokens live for four hours. The code is bound to a secret of this machine (PKCE), so
that no app secret is needed; where there is one it is sent as well.
"""

import base64
import hashlib
import secrets
from urllib.parse import urlencode

from connectors.dropbox.settings import DropboxSettings
from connectors.shared.bearer import Bearer, code_of, sign_in_needed, token_refusal
from connectors.shared.services import Ask, Services, Tell
from connectors.shared.transport import Http
from connectors.shared.trust import trusting
from connectors.tokens import Tokens

_FIX = "Check app key and app secret in Dropbox's App Console, and connect it again with `sitehaul connect`."


async def sign_in(settings: DropboxSettings, services: Services, *, tell: Tell, ask: Ask) -> None:
    """Let a person sign in. FatalError `sign-in-refused` for a code that is wrong or old."""
    verifier = secrets.token_urlsafe(64)
    tell("Open this address, sign in, and copy the code you are shown:")
    tell(authorization_url(settings, verifier))
    http = Http(settings.timeouts, tls=trusting(settings.ca_file))
    try:
        form = {"grant_type": "authorization_code", "code": code_of(ask("Code")), "code_verifier": verifier}
        await bearer(http, settings, services).exchange({**form, **_client(settings)})
    finally:
        await http.aclose()


def authorization_url(settings: DropboxSettings, verifier: str) -> str:
    """The address where a person agrees. Without a redirect URI Dropbox shows the code."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    values = {
        "client_id": settings.app_key,
        "response_type": "code",
        "token_access_type": "offline",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{settings.www_url}/oauth2/authorize?{urlencode(values)}"


def bearer(http: Http, settings: DropboxSettings, services: Services) -> Bearer:
    """Gives access tokens to the calls of one connection."""

    def grant(stored: Tokens | None) -> dict[str, str]:
        given = None if settings.refresh_token is None else settings.refresh_token.get_secret_value()
        refresh_token = given or (None if stored is None else stored.refresh_token)
        if refresh_token is None:
            raise sign_in_needed(settings.display_name)
        return {"grant_type": "refresh_token", "refresh_token": refresh_token, **_client(settings)}

    return Bearer(
        http,
        system=settings.display_name,
        url=f"{settings.api_url}/oauth2/token",
        client_id=settings.app_key,
        grant=grant,
        meaning=token_refusal(settings.display_name, _FIX),
        store=services.tokens,
        clock=services.clock,
    )


def _client(settings: DropboxSettings) -> dict[str, str]:
    secret = {} if settings.app_secret is None else {"client_secret": settings.app_secret.get_secret_value()}
    return {"client_id": settings.app_key, **secret}
