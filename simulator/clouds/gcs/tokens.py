"""Google's token host for service accounts, and what each of the four here may do.

https://developers.google.com/identity/protocols/oauth2/service-account and
https://cloud.google.com/storage/docs/access-control/iam-roles
"""

import functools
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.clouds.base import Answer, Tokens, json_answer

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PUBLISHED_AUDIENCE = "https://oauth2.googleapis.com/token"
_HOME = "site-archive.iam.gserviceaccount.example"
KEEPER, READER = f"keeper@{_HOME}", f"reader@{_HOME}"
CREATOR, STRANGER = f"creator@{_HOME}", f"stranger@{_HOME}"
PERMISSIONS = {
    KEEPER: frozenset(("get", "list", "create", "delete", "update")),  # Storage Object Admin
    READER: frozenset(("get", "list")),  # Storage Object Viewer
    CREATOR: frozenset(("create",)),  # Storage Object Creator: it cannot replace what is there
    STRANGER: frozenset[str](),
}
_SCOPES = "https://www.googleapis.com/auth/"
_WRITING = frozenset(
    _SCOPES + name for name in ("devstorage.full_control", "devstorage.read_write", "cloud-platform")
)  # fmt: skip
_READING = _WRITING | {_SCOPES + "devstorage.read_only", _SCOPES + "cloud-platform.read-only"}
_ASSERTION_SECONDS_MAX = 3600
_SKEW_SECONDS = 300


@functools.cache
def signing_key() -> rsa.RSAPrivateKey:
    """The service accounts' key, made once: making one takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(slots=True)
class TokenHost:
    """Hands out access tokens, each with its `user` and `scopes`."""

    tokens: Tokens
    url: str

    def key_file(self, service_account: str) -> dict[str, str]:
        """A service account's key file as the console gives it out."""
        pem = signing_key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account", "project_id": "site-archive", "private_key_id": "simulated",
            "private_key": pem.decode(), "client_email": service_account, "client_id": "105", "token_uri": self.url,
        }  # fmt: skip

    def answer(self, form: dict[str, str], now: float, lifetime: float) -> Answer:
        """Answer a token request."""
        if form.get("grant_type") != GRANT:
            return _refused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        options: Any = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
        try:
            key = signing_key().public_key()
            claims = jwt.decode(form.get("assertion", ""), key, algorithms=["RS256"], options=options)
        except jwt.PyJWTError:
            return _refused("invalid_grant", "Invalid JWT Signature.")
        problem = self._problem(claims, now)
        if problem is not None:
            return _refused("invalid_grant", problem)
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes:
            return _refused("invalid_scope", "Empty or missing scope not allowed.")
        token = self.tokens.issue("access", lifetime, "ya29.c.", user=claims["iss"], scopes=scopes)
        return json_answer({"access_token": token, "expires_in": int(lifetime), "token_type": "Bearer"})

    def _problem(self, claims: dict[str, Any], now: float) -> str | None:
        issued, expires = claims.get("iat"), claims.get("exp")
        if claims.get("iss") not in PERMISSIONS:
            return "Invalid grant: account not found"
        if claims.get("aud") not in (self.url, PUBLISHED_AUDIENCE):
            return "Invalid JWT: Failed audience check."
        if isinstance(issued, int) and isinstance(expires, int):
            sound = issued - _SKEW_SECONDS < now < expires + _SKEW_SECONDS
            if sound and expires - issued <= _ASSERTION_SECONDS_MAX:
                return None
        return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."


def scopes_allow(scopes: frozenset[str], permission: str) -> bool:
    """Whether a token's scopes allow what the permission is for."""
    return bool(scopes & (_READING if permission in ("get", "list") else _WRITING))


def _refused(error: str, description: str) -> Answer:
    return json_answer({"error": error, "error_description": description}, 400)
