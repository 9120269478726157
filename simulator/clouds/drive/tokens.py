"""Google's token host: service accounts (signed assertions) and people (refresh tokens).

https://developers.google.com/identity/protocols/oauth2/service-account and .../oauth2/web-server
"""

import functools
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.clouds.base import Answer, Tokens, json_answer
from simulator.clouds.drive.store import PERSON

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PUBLISHED_AUDIENCE = "https://oauth2.googleapis.com/token"
"""What assertions must be for; Google's own libraries write it whatever the token address is."""
SERVICE = "sitehaul@site-archive.iam.gserviceaccount.example"
CLIENT_ID = "1073-sitehaul.apps.googleusercontent.example"
FULL = "https://www.googleapis.com/auth/drive"
READ = "https://www.googleapis.com/auth/drive.readonly"
METADATA = "https://www.googleapis.com/auth/drive.metadata.readonly"
SCOPES = frozenset((FULL, READ, METADATA))
_ASSERTION_SECONDS_MAX = 3600
_SKEW_SECONDS = 300
_UNAUTHORIZED = (
    "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the "
    "scopes requested."
)
_UNREASONABLE = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp "
    "values in the JWT claim."
)


@functools.cache
def signing_key() -> rsa.RSAPrivateKey:
    """The service account's key, made once: making one takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(slots=True)
class TokenHost:
    """Hands out access tokens, each with its `user` and `scopes`."""

    tokens: Tokens
    url: str
    client_secret: str = field(default_factory=lambda: f"GOCSPX-{secrets.token_urlsafe(20)}")
    refresh_token: str = field(default_factory=lambda: f"1//{secrets.token_urlsafe(40)}")

    def credentials(self) -> dict[str, str]:
        """What a client must present: a person's pair and refresh token, a service account's key file."""
        return {
            "client_id": CLIENT_ID, "client_secret": self.client_secret, "refresh_token": self.refresh_token,
            "token_url": self.url, "subject": PERSON, "service_account": SERVICE,
            "service_account_json": json.dumps(self.key_file()),
        }  # fmt: skip

    def key_file(self) -> dict[str, str]:
        """A service account's key file as the console gives it out."""
        pem = signing_key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account", "project_id": "site-archive", "private_key_id": "simulated",
            "private_key": pem.decode(), "client_email": SERVICE, "client_id": "104", "token_uri": self.url,
        }  # fmt: skip

    def answer(self, form: dict[str, str], now: float, lifetime: float) -> Answer:
        """Answer a token request."""
        grant = form.get("grant_type", "")
        if grant == GRANT:
            return self._assertion(form.get("assertion", ""), now, lifetime)
        if grant == "refresh_token":
            return self._refresh(form, lifetime)
        return _refused("unsupported_grant_type", f"Invalid grant_type: {grant}")

    def _assertion(self, text: str, now: float, lifetime: float) -> Answer:
        options: Any = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
        try:
            claims = jwt.decode(text, signing_key().public_key(), algorithms=["RS256"], options=options)
        except jwt.PyJWTError:
            return _refused("invalid_grant", "Invalid JWT Signature.")
        problem = self._claims_problem(claims, now)
        if problem is not None:
            return _refused("invalid_grant", problem)
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes:
            return _refused("invalid_scope", "Empty or missing scope not allowed.")
        subject = claims.get("sub") or SERVICE
        if subject not in (SERVICE, PERSON) or not scopes <= SCOPES:
            return _refused("unauthorized_client", _UNAUTHORIZED, 401)
        return self._hand_out(subject, scopes, lifetime)

    def _claims_problem(self, claims: dict[str, Any], now: float) -> str | None:
        issued, expires = claims.get("iat"), claims.get("exp")
        if claims.get("iss") != SERVICE:
            return "Invalid grant: account not found"
        if claims.get("aud") not in (self.url, PUBLISHED_AUDIENCE):
            return "Invalid JWT: Failed audience check."
        if not isinstance(issued, int) or not isinstance(expires, int):
            return _UNREASONABLE
        sound = issued - _SKEW_SECONDS < now < expires + _SKEW_SECONDS and expires - issued <= _ASSERTION_SECONDS_MAX
        return None if sound else _UNREASONABLE

    def _refresh(self, form: dict[str, str], lifetime: float) -> Answer:
        if form.get("client_id") != CLIENT_ID:
            return _refused("invalid_client", "The OAuth client was not found.", 401)
        if form.get("client_secret") != self.client_secret:
            return _refused("invalid_client", "Unauthorized", 401)
        if form.get("refresh_token") != self.refresh_token:
            return _refused("invalid_grant", "Token has been expired or revoked.")
        scopes = frozenset((form.get("scope") or FULL).split())
        if not scopes <= SCOPES:
            return _refused("invalid_scope", "Some requested scopes were invalid.")
        return self._hand_out(PERSON, scopes, lifetime)

    def _hand_out(self, user: str, scopes: frozenset[str], lifetime: float) -> Answer:
        token = self.tokens.issue("access", lifetime, "ya29.", user=user, scopes=scopes)
        return json_answer({
            "access_token": token, "expires_in": int(lifetime), "token_type": "Bearer",
            "scope": " ".join(sorted(scopes)),
        })  # fmt: skip


def allowed(scopes: frozenset[str], *, write: bool, content: bool) -> bool:
    """Whether a token's scopes allow to read what is about files, to read `content`, to `write`."""
    if FULL in scopes:
        return True
    return not write and (READ in scopes or not content)


def _refused(error: str, description: str, status: int = 400) -> Answer:
    return json_answer({"error": error, "error_description": description}, status)
