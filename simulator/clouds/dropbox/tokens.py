"""Dropbox's OAuth: https://www.dropbox.com/developers/documentation/http/documentation#oauth2-token.

Access tokens live for four hours. A refresh token that was got with PKCE is used without the app's secret.
"""

import base64
import hashlib
import secrets
from typing import Any
from urllib.parse import urlencode

from simulator.clouds.base import Answer, Call, Tokens
from simulator.clouds.dropbox.errors import answer

SCOPES = (
    "account_info.read", "files.content.read", "files.content.write", "files.metadata.read", "files.metadata.write",
)  # fmt: skip
ACCOUNT_ID = f"dbid:{'A' * 35}"
USER_NUMBER = "12345"
_CODE_SECONDS = 600.0


class OAuth:
    """Hands out codes and tokens, each token with its `scopes`."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.app_key = secrets.token_hex(8)[:15]
        self.app_secret = secrets.token_hex(8)[:15]
        self.refresh_token = tokens.issue("refresh", None, scopes=SCOPES, pkce=False)
        self.pkce_refresh_token = tokens.issue("refresh", None, scopes=SCOPES, pkce=True)

    def authorize(self, call: Call) -> Answer:
        """The page where the person agrees; the simulated one always does."""
        method, challenge = call.first("code_challenge_method"), call.first("code_challenge")
        if call.first("client_id") != self.app_key or call.first("response_type") != "code":
            return Answer.text("Invalid client_id or response_type", 400)
        if challenge is not None and method not in ("S256", "plain"):
            return Answer.text("Invalid code_challenge_method", 400)
        code = self._tokens.issue(
            "code", _CODE_SECONDS, challenge=challenge, method=method, redirect_uri=call.first("redirect_uri"),
            offline=call.first("token_access_type") == "offline", scopes=_scopes(call.first("scope")) or SCOPES,
        )  # fmt: skip
        redirect_uri = call.first("redirect_uri")
        if redirect_uri is None:
            return Answer.text(code)
        values = {"code": code, **({"state": call.first("state")} if call.first("state") else {})}
        return Answer(302, b"", [(b"location", f"{redirect_uri}?{urlencode(values)}".encode())])

    def token(self, form: dict[str, str], call: Call, lifetime: float) -> Answer:
        """Exchange a code or a refresh token."""
        app_key, app_secret = _client(form, call)
        if app_key != self.app_key or app_secret not in (None, self.app_secret):
            return _refused("invalid_client: Invalid client_id or client_secret", "invalid_client")
        if form.get("grant_type") == "refresh_token":
            return self._refresh(form, app_secret is not None, lifetime)
        if form.get("grant_type") == "authorization_code":
            return self._exchange(form, app_secret is not None, lifetime)
        return _refused("grant_type is not supported", "unsupported_grant_type")

    def _refresh(self, form: dict[str, str], trusted: bool, lifetime: float) -> Answer:
        grant = self._tokens.grant(form.get("refresh_token"), "refresh")
        if grant is None:
            return _refused("refresh token is malformed or was revoked", "invalid_grant")
        if not trusted and not grant.values["pkce"]:
            return _refused("No auth function available for given request", "invalid_request")
        scopes = _scopes(form.get("scope")) or grant.values["scopes"]
        if not set(scopes) <= set(grant.values["scopes"]):
            return _refused("scope is more than what was granted", "invalid_scope")
        token = self._tokens.issue("access", lifetime, "sl.u.", scopes=scopes)
        return answer({"access_token": token, "token_type": "bearer", "expires_in": int(lifetime)})

    def _exchange(self, form: dict[str, str], trusted: bool, lifetime: float) -> Answer:
        code = form.get("code", "")
        grant = self._tokens.grant(code, "code")
        self._tokens.revoke(code)
        if grant is None or form.get("redirect_uri") != grant.values["redirect_uri"]:
            return _refused("code doesn't exist or has expired", "invalid_grant")
        pkce = grant.values["challenge"] is not None
        if pkce and _challenge(form.get("code_verifier", ""), grant.values["method"]) != grant.values["challenge"]:
            return _refused("invalid code verifier", "invalid_grant")
        if not pkce and not trusted:
            return _refused("No auth function available for given request", "invalid_request")
        scopes = grant.values["scopes"]
        given: dict[str, Any] = {
            "access_token": self._tokens.issue("access", lifetime, "sl.u.", scopes=scopes), "token_type": "bearer",
            "expires_in": int(lifetime), "scope": " ".join(scopes), "uid": USER_NUMBER, "account_id": ACCOUNT_ID,
        }  # fmt: skip
        if grant.values["offline"]:
            given["refresh_token"] = self._tokens.issue("refresh", None, scopes=scopes, pkce=pkce)
        return answer(given)


def _scopes(text: str | None) -> tuple[str, ...]:
    return tuple(sorted((text or "").split()))


def _challenge(verifier: str, method: str) -> str:
    if method == "plain":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _client(form: dict[str, str], call: Call) -> tuple[str | None, str | None]:
    kind, _, encoded = call.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            key, _, secret = base64.b64decode(encoded).decode().partition(":")
        except ValueError:
            return None, None
        return key, secret
    return form.get("client_id"), form.get("client_secret")


def _refused(description: str, error: str) -> Answer:
    return answer({"error_description": description, "error": error}, 400)
