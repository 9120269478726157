"""Box's sign-in: who may have an access token, and for how long.

https://developer.box.com/reference/post-oauth2-token/ (client credentials, assertions signed with a key, codes and
refresh tokens), /post-oauth2-revoke/, /get-authorize/. Refresh tokens can be used once
(https://developer.box.com/guides/authentication/tokens/refresh/). An assertion lives at most 60 seconds and its `jti`
is good for one use (https://developer.box.com/guides/authentication/jwt/without-sdk/).
"""

import functools
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.clouds.box.errors import oauth_refused
from simulator.clouds.box.shapes import USER_ID
from simulator.clouds.tokens import Tokens
from simulator.web import Answer, Call

AUDIENCE = "https://api.box.com/oauth2/token"
ENTERPRISE_ID = "801234567"
KEY_ID = "k3yid001"
REFRESH_SECONDS = 60 * 86_400
_CODE_SECONDS = 30.0
_ASSERTION_SECONDS_MAX = 60
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_FIELDS = frozenset({
    "grant_type", "client_id", "client_secret", "code", "refresh_token", "assertion", "subject_token",
    "subject_token_type", "actor_token", "actor_token_type", "scope", "resource", "box_subject_type", "box_subject_id",
    "box_shared_link", "redirect_uri",
})  # fmt: skip


@functools.lru_cache(maxsize=1)
def signing_key(passphrase: str) -> tuple[str, str]:
    """The app's private key, encrypted, and its public key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )  # fmt: skip
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@dataclass(slots=True)
class SignIn:
    """The app, its secrets, and the tokens that were handed out."""

    tokens: Tokens
    client_id: str = field(default_factory=lambda: secrets.token_hex(16))
    client_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    passphrase: str = "correct-horse"  # noqa: S105 - of a key that exists only in this process
    used_assertions: set[str] = field(default_factory=set)

    def credentials(self) -> dict[str, str]:
        """What a client has to present, for every way to sign in; the refresh token is good for one use."""
        refresh = self.tokens.issue("refresh", REFRESH_SECONDS)
        return {
            "client_id": self.client_id, "client_secret": self.client_secret, "enterprise_id": ENTERPRISE_ID,
            "user_id": USER_ID, "refresh_token": refresh, "jwt_key_id": KEY_ID,
            "private_key": signing_key(self.passphrase)[0], "private_key_passphrase": self.passphrase,
        }  # fmt: skip

    def issue(self, lifetime_seconds: float, *, refreshable: bool) -> Answer:
        """Hand out an access token."""
        refresh = self.tokens.issue("refresh", REFRESH_SECONDS) if refreshable else None
        body: dict[str, Any] = {
            "access_token": self.tokens.issue("access", lifetime_seconds, pair=refresh),
            "expires_in": int(lifetime_seconds), "restricted_to": [], "token_type": "bearer",
        }  # fmt: skip
        if refresh is not None:
            body["refresh_token"] = refresh
        return Answer.json(body)

    def _used(self, kind: str, token: str) -> bool:
        """Whether a token of one use is good now; it is not any more."""
        good = self.tokens.grant(token, kind) is not None
        self.tokens.revoke(token)
        return good

    def token(self, fields: dict[str, Any], lifetime_seconds: float, now: float) -> Answer:
        """Exchange a grant for an access token."""
        unknown = set(fields) - _FIELDS
        if unknown:
            return oauth_refused("invalid_request", f"Unknown parameter {min(unknown)}")
        if fields.get("client_id") != self.client_id or fields.get("client_secret") != self.client_secret:
            return oauth_refused("invalid_client", "The client credentials are invalid")
        grant = fields.get("grant_type")
        if grant == "client_credentials":
            return self._by_client(fields, lifetime_seconds)
        if grant == _JWT_GRANT:
            return self._by_assertion(str(fields.get("assertion", "")), lifetime_seconds, now)
        if grant == "refresh_token":
            if not self._used("refresh", str(fields.get("refresh_token", ""))):
                return oauth_refused("invalid_grant", "Invalid refresh token")
            return self.issue(lifetime_seconds, refreshable=True)
        if grant == "authorization_code":
            if not self._used("code", str(fields.get("code", ""))):
                return oauth_refused("invalid_grant", "The authorization code has expired")
            return self.issue(lifetime_seconds, refreshable=True)
        return oauth_refused("invalid_request", "Invalid grant_type parameter or parameter missing")

    def _by_client(self, fields: dict[str, Any], lifetime_seconds: float) -> Answer:
        subject = (fields.get("box_subject_type"), fields.get("box_subject_id"))
        if subject not in (("enterprise", ENTERPRISE_ID), ("user", USER_ID)):
            return oauth_refused("invalid_grant", "Grant credentials are invalid")
        return self.issue(lifetime_seconds, refreshable=False)

    def _by_assertion(self, assertion: str, lifetime_seconds: float, now: float) -> Answer:
        problem = self._assertion_problem(assertion, now)
        return self.issue(lifetime_seconds, refreshable=False) if problem is None else oauth_refused(*problem)

    def _assertion_problem(self, assertion: str, now: float) -> tuple[str, str] | None:
        public = signing_key(self.passphrase)[1]
        try:
            if jwt.get_unverified_header(assertion).get("kid") != KEY_ID:
                return "invalid_grant", "kid invalid, unable to lookup correct key"
            claims = jwt.decode(
                assertion, public, ["RS256", "RS384", "RS512"], audience=AUDIENCE,
                options={"require": ["iss", "sub", "aud", "jti", "exp"]},
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            return (
                "invalid_grant",
                "Current date time MUST be before the expiration date time listed in the 'exp' claim",
            )
        except jwt.InvalidSignatureError:
            return "invalid_grant", "Signature verification error. The public key identified by 'kid' must correspond"
        except jwt.PyJWTError as error:
            return "invalid_grant", f"Please check the assertion: {error}"
        return self._claims_problem(claims, now)

    def _claims_problem(self, claims: dict[str, Any], now: float) -> tuple[str, str] | None:
        subject = (claims.get("box_sub_type"), claims["sub"])
        if claims["iss"] != self.client_id:
            return "invalid_grant", "Please check the 'iss' claim"
        if subject not in (("enterprise", ENTERPRISE_ID), ("user", USER_ID)):
            return "invalid_grant", "Please check the 'sub' claim"
        if claims["exp"] > now + _ASSERTION_SECONDS_MAX:
            return "invalid_grant", "Please check the 'exp' claim: it is more than 60 seconds from now"
        if not 16 <= len(str(claims["jti"])) <= 128 or claims["jti"] in self.used_assertions:
            return "invalid_grant", "Please check the 'jti' claim. A unique 'jti' value is required"
        self.used_assertions.add(claims["jti"])
        return None

    def revoke(self, fields: dict[str, Any]) -> Answer:
        """End a token and the one that belongs to it."""
        if fields.get("client_id") != self.client_id or fields.get("client_secret") != self.client_secret:
            return oauth_refused("invalid_client", "The client credentials are invalid")
        token = str(fields.get("token", ""))
        grant = self.tokens.grant(token, "access")
        if grant is not None and grant.values["pair"] is not None:
            self.tokens.revoke(grant.values["pair"])
        self.tokens.revoke(token)
        return Answer(200)

    def authorize(self, call: Call) -> Answer:
        """Send the browser back with a code; the simulated person always agrees."""
        redirect_uri = call.first("redirect_uri") or ""
        if call.first("client_id") != self.client_id or call.first("response_type") != "code" or not redirect_uri:
            return oauth_refused("invalid_client", "The client credentials are invalid")
        code = self.tokens.issue("code", _CODE_SECONDS)
        values = {"code": code, "state": call.first("state") or ""}
        return Answer(302, b"", [(b"location", f"{redirect_uri}?{urlencode(values)}".encode())])
