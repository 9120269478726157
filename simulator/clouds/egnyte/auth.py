"""Egnyte's sign-in: https://developers.egnyte.com/docs/read/Public_API_Authentication.

Internal applications exchange a user's name and password, others a code; both get a refresh token, too, which is good
for one use. Access tokens live 30 days. Too many requests for tokens get 409 with Retry-After.
"""

import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from simulator.clouds.egnyte.world import USER_NAME
from simulator.clouds.tokens import Tokens
from simulator.web import Answer, Call

_CODE_SECONDS = 600.0
_FIELDS = {
    "password": {"grant_type", "client_id", "client_secret", "username", "password", "scope"},
    "authorization_code": {"grant_type", "client_id", "client_secret", "redirect_uri", "code", "scope"},
    "refresh_token": {"grant_type", "client_id", "client_secret", "refresh_token"},
}


def refused(error: str, description: str) -> Answer:
    """A refusal in the form of RFC 6749."""
    return Answer.json({"error": error, "error_description": description}, 400)


@dataclass(slots=True)
class SignIn:
    """The application, its user, and the tokens that were handed out."""

    tokens: Tokens
    client_id: str = field(default_factory=lambda: secrets.token_hex(12))
    client_secret: str = field(default_factory=lambda: secrets.token_hex(25))
    password: str = field(default_factory=lambda: secrets.token_hex(8))
    asked_at: list[float] = field(default_factory=list)

    def credentials(self) -> dict[str, str]:
        """What a client has to present; the refresh token is good for one use."""
        return {
            "client_id": self.client_id, "client_secret": self.client_secret, "username": USER_NAME,
            "password": self.password, "refresh_token": self.tokens.issue("refresh", None, access=None),
        }  # fmt: skip

    def token(self, fields: dict[str, Any], lifetime_seconds: float, per_hour: int | None, now: float) -> Answer:
        """Exchange a grant for a pair of tokens."""
        self.asked_at = [at for at in self.asked_at if at > now - 3600]
        if per_hour is not None and len(self.asked_at) >= per_hour:
            wait = int(self.asked_at[0] + 3600 - now) + 1
            return Answer(409, b"", [(b"retry-after", str(wait).encode())])
        self.asked_at.append(now)
        grant = str(fields.get("grant_type"))
        if grant not in _FIELDS or set(fields) - _FIELDS[grant]:
            return refused("unsupported_grant_type", "The grant type or one of the parameters is not supported")
        if fields.get("client_id") != self.client_id or fields.get("client_secret") != self.client_secret:
            return refused("invalid_client", "The client is not known")
        if not self._granted(grant, fields):
            return refused("invalid_grant", "The credentials are not valid")
        return self._issue(lifetime_seconds)

    def _granted(self, grant: str, fields: dict[str, Any]) -> bool:
        if grant == "password":
            return (fields.get("username"), fields.get("password")) == (USER_NAME, self.password)
        kind = "code" if grant == "authorization_code" else "refresh"
        token = str(fields.get("code" if kind == "code" else "refresh_token"))
        known = self.tokens.grant(token, kind)
        self.tokens.revoke(token)
        if known is None:
            return False
        if kind == "code":
            return bool(known.values["redirect_uri"] == fields.get("redirect_uri"))
        self.tokens.revoke(known.values["access"] or "")
        return True

    def _issue(self, lifetime_seconds: float) -> Answer:
        access = self.tokens.issue("access", lifetime_seconds)
        refresh = self.tokens.issue("refresh", None, access=access)
        known = self.tokens.grant(access, "access")
        assert known is not None
        known.values["refresh"] = refresh
        return Answer.json({
            "access_token": access, "refresh_token": refresh, "token_type": "bearer",
            "expires_in": int(lifetime_seconds),
        })  # fmt: skip

    def revoke(self, token: str) -> Answer:
        """End an access token and the refresh token that came with it."""
        known = self.tokens.grant(token, "access")
        if known is not None:
            self.tokens.revoke(known.values["refresh"])
            self.tokens.revoke(token)
        return Answer(200)

    def authorize(self, call: Call) -> Answer:
        """Send the browser back with a code; the simulated person always agrees."""
        redirect_uri = call.first("redirect_uri") or ""
        if call.first("client_id") != self.client_id or call.first("response_type") != "code" or not redirect_uri:
            return refused("invalid_client", "The client is not known")
        code = self.tokens.issue("code", _CODE_SECONDS, redirect_uri=redirect_uri)
        values = {"code": code, "state": call.first("state") or ""}
        return Answer(302, b"", [(b"location", f"{redirect_uri}?{urlencode(values)}".encode())])
