"""The sign-in host: https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols and its pages on client
credentials, certificate credentials, device code and refresh tokens."""

import base64
import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any

import jwt
from cryptography import x509

from simulator.clouds.base import Answer, Call, Grant, Refused, Tokens, json_answer
from simulator.clouds.graph.settings import GraphSwitches
from simulator.clouds.graph.tls import app_certificate

TENANT = "3f0c2a61-7b1e-4a55-9d0e-6a4f0c9d1b20"
TENANT_DOMAIN = "contoso.example"
CLIENT_ID = "a1c7d5f0-52a3-4a3e-8d55-0c1d2e3f4a5b"
PUBLIC_CLIENT_ID = "b2d8e6a1-63b4-4b4f-9e66-1d2e3f4a5b6c"
CLIENT_SECRET = "n0t~a.real_secret-of-anybody"  # noqa: S105 - what the stand-in's own app presents
USER_ID = "87d349ed-44d7-43e1-9a83-5f2406dee5bd"
USER_NAME = f"ada@{TENANT_DOMAIN}"
USER_DISPLAY = "Ada Quill"
GRAPH_SCOPE = "https://graph.microsoft.com/"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_TENANTS = frozenset({TENANT, TENANT_DOMAIN, "common", "organizations"})
_OIDC_SCOPES = frozenset({"openid", "profile", "offline_access", "email"})
_REFRESH_SECONDS = 90 * 86400.0
_CODES = {
    "unauthorized_client": 700016, "invalid_client": 7000215, "invalid_scope": 1002012, "invalid_grant": 70000,
    "authorization_pending": 70016, "authorization_declined": 70018, "expired_token": 70020,
    "bad_verification_code": 70019, "unsupported_grant_type": 70003, "invalid_request": 900144,
    "invalid_tenant": 90002,
}  # fmt: skip


def problem(error: str, description: str, status: int = 400) -> Refused:
    """An error as the sign-in host says it."""
    number = _CODES.get(error, 90000)
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    stamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    text = f"AADSTS{number}: {description} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
    return Refused(json_answer({
        "error": error, "error_description": text, "error_codes": [number], "timestamp": stamp, "trace_id": trace,
        "correlation_id": correlation,
    }, status))  # fmt: skip


class SignIn:
    """Discovery, tokens and device codes of one tenant."""

    def __init__(self, tokens: Tokens, switches: Callable[[], GraphSwitches], now: Callable[[], float]) -> None:
        self._tokens = tokens
        self._switches = switches
        self._now = now
        self._assertions_seen: set[str] = set()
        self._signing_key = secrets.token_bytes(32)
        self.url = ""
        """The https address that clients use, without the tenant."""

    async def answer(self, call: Call) -> Answer:
        """Answer one call to the sign-in host."""
        tenant, _, rest = call.path.lstrip("/").partition("/")
        if tenant.lower() not in _TENANTS:
            raise problem("invalid_tenant", f"Tenant '{tenant}' not found.")
        if call.method == "GET" and rest == "v2.0/.well-known/openid-configuration":
            return json_answer(self._discovery(tenant))
        if call.method == "GET" and rest == "discovery/v2.0/keys":
            return json_answer({"keys": []})
        if call.method == "POST" and rest in ("oauth2/v2.0/token", "oauth2/v2.0/devicecode"):
            if "application/x-www-form-urlencoded" not in call.headers.get("content-type", ""):
                raise problem("invalid_request", "The request body must be form-encoded.")
            fields = {name: str(value) for name, value in (await call.fields()).items()}
            return self._token(tenant, fields) if rest.endswith("token") else self._device_code(fields)
        return json_answer({"error": "not_found"}, 404)

    def delegated_refresh_token(self) -> str:
        """A refresh token as the person got it by signing in before."""
        scope = f"{GRAPH_SCOPE}Files.ReadWrite.All offline_access"
        return self._tokens.issue("refresh", _REFRESH_SECONDS, user=USER_ID, client=PUBLIC_CLIENT_ID, scope=scope)

    def _discovery(self, tenant: str) -> dict[str, Any]:
        base = f"{self.url}/{tenant}"
        return {
            "issuer": f"{self.url}/{TENANT}/v2.0", "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{base}/discovery/v2.0/keys", "tenant_region_scope": "EU",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code", "id_token"], "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"], "scopes_supported": sorted(_OIDC_SCOPES),
            "cloud_instance_name": "microsoftonline.com", "msgraph_host": "graph.microsoft.com",
        }  # fmt: skip

    def _token(self, tenant: str, fields: dict[str, str]) -> Answer:
        kind = fields.get("grant_type")
        if kind == "client_credentials":
            return self._client_credentials(tenant, fields)
        if kind == "refresh_token":
            return self._refreshed(fields)
        if kind in (DEVICE_GRANT, "device_code"):
            return self._device(fields)
        raise problem("unsupported_grant_type", f"The app requested an unsupported grant type '{kind}'.")

    def _client_credentials(self, tenant: str, fields: dict[str, str]) -> Answer:
        if tenant.lower() in ("common", "organizations"):
            raise problem("invalid_request", "Client credentials need the tenant of the app in the address.")
        self._authenticate(tenant, fields)
        scope = fields.get("scope", "")
        if scope != f"{GRAPH_SCOPE}.default":
            raise problem(
                "invalid_scope", f"The provided value for scope {scope} is not valid; it must be one /.default."
            )
        lifetime = self._switches().token_lifetime_seconds
        token = self._tokens.issue("access", lifetime, "eyJ0.", user=None, client=CLIENT_ID)
        return json_answer({"token_type": "Bearer", "expires_in": int(lifetime), "ext_expires_in": int(lifetime),
                            "access_token": token})  # fmt: skip

    def _authenticate(self, tenant: str, fields: dict[str, str]) -> None:
        """Raises Refused unless the app proves to be itself."""
        if fields.get("client_id") != CLIENT_ID:
            raise problem("unauthorized_client", "Application with identifier was not found in the directory.")
        if "client_assertion" in fields:
            if fields.get("client_assertion_type") != ASSERTION_TYPE:
                raise problem("invalid_request", "The client_assertion_type is not supported.")
            self._check_assertion(tenant, fields["client_assertion"])
        elif fields.get("client_secret") != CLIENT_SECRET:
            raise problem("invalid_client", "Invalid client secret provided.", 401)

    def _check_assertion(self, tenant: str, text: str) -> None:
        own = app_certificate()
        try:
            head = jwt.get_unverified_header(text)
            algorithm = "PS256" if "x5t#S256" in head else "RS256"
            thumbprint = own.thumbprint_sha256 if "x5t#S256" in head else own.thumbprint
            named = base64.urlsafe_b64decode(str(head.get("x5t#S256") or head.get("x5t")) + "==").hex().upper()
            key = x509.load_pem_x509_certificate(own.certificate_pem.encode()).public_key()
            claims = jwt.decode(
                text, key,  # type: ignore[arg-type]  # an RSA key, as the certificate was made with one
                algorithms=[algorithm], audience=self._audiences(tenant), issuer=CLIENT_ID, leeway=5,
                options={"require": ["exp", "iss", "sub", "aud", "jti"]},
            )  # fmt: skip
        except (jwt.InvalidTokenError, ValueError) as error:
            raise problem("invalid_client", f"Client assertion is not valid: {error}.", 401) from None
        if named != thumbprint or claims["sub"] != CLIENT_ID or claims["jti"] in self._assertions_seen:
            raise problem("invalid_client", "Client assertion failed signature validation.", 401)
        self._assertions_seen.add(claims["jti"])

    def _audiences(self, tenant: str) -> list[str]:
        return [f"{self.url}/{tenant}/oauth2/v2.0/token", f"{self.url}/{TENANT}/v2.0"]

    def _device_code(self, fields: dict[str, str]) -> Answer:
        self._known_public(fields)
        if not fields.get("scope"):
            raise problem("invalid_request", "The request body must contain the parameter 'scope'.")
        switches = self._switches()
        user_code = secrets.token_hex(4).upper()
        code = self._tokens.issue(
            "device", switches.device_code_seconds, scope=fields["scope"], user_code=user_code, polls=0
        )
        address = f"{self.url}/device"
        return json_answer({
            "device_code": code, "user_code": user_code, "verification_uri": address,
            "expires_in": int(switches.device_code_seconds), "interval": switches.device_interval_seconds,
            "message": f"To sign in, open the page {address} and enter the code {user_code} to authenticate.",
        })  # fmt: skip

    def _device(self, fields: dict[str, str]) -> Answer:
        self._known_public(fields)
        code = fields.get("device_code", "")
        grant = self._tokens.grant(code, "device")
        if grant is None:
            raise problem("expired_token", "The device code is unknown, used or expired.")
        person = self._switches().device_person
        if person == "refuses":
            raise problem("authorization_declined", "The end user denied the authorization request.")
        grant.values["polls"] += 1
        if person == "waits" or grant.values["polls"] == 1:
            raise problem("authorization_pending", "The user has not yet finished authenticating.")
        self._tokens.revoke(code)
        return self._delegated(grant.values["scope"], fields)

    def _refreshed(self, fields: dict[str, str]) -> Answer:
        grant: Grant | None = self._tokens.grant(fields.get("refresh_token"), "refresh")
        if grant is None or grant.values["client"] != fields.get("client_id"):
            raise problem(
                "invalid_grant", "The refresh token is not valid for this client, has expired or was revoked."
            )
        return self._delegated(fields.get("scope") or grant.values["scope"], fields)

    def _known_public(self, fields: dict[str, str]) -> None:
        if fields.get("client_id") != PUBLIC_CLIENT_ID:
            raise problem("unauthorized_client", "Application with identifier was not found in the directory.")

    def _delegated(self, scope: str, fields: dict[str, str]) -> Answer:
        wanted = set(scope.split())
        granted = " ".join(sorted(wanted - {"offline_access"}))
        lifetime = self._switches().token_lifetime_seconds
        answer: dict[str, Any] = {
            "token_type": "Bearer", "scope": granted, "expires_in": int(lifetime), "ext_expires_in": int(lifetime),
            "access_token": self._tokens.issue("access", lifetime, "eyJ0.", user=USER_ID, client=PUBLIC_CLIENT_ID),
        }  # fmt: skip
        if "offline_access" in wanted:
            answer["refresh_token"] = self._tokens.issue(
                "refresh", _REFRESH_SECONDS, "0.A", user=USER_ID, client=PUBLIC_CLIENT_ID, scope=scope
            )
        if "openid" in wanted:
            answer["id_token"] = self._id_token()
        if fields.get("client_info") == "1":
            info = json.dumps({"uid": USER_ID, "utid": TENANT}).encode()
            answer["client_info"] = base64.urlsafe_b64encode(info).decode().rstrip("=")
        return json_answer(answer)

    def _id_token(self) -> str:
        now = int(self._now())
        subject = hashlib.sha256(USER_ID.encode()).hexdigest()[:32]
        return jwt.encode({
            "aud": PUBLIC_CLIENT_ID, "iss": f"{self.url}/{TENANT}/v2.0", "iat": now, "nbf": now, "exp": now + 3600,
            "name": USER_DISPLAY, "oid": USER_ID, "preferred_username": USER_NAME, "sub": subject, "tid": TENANT,
            "ver": "2.0",
        }, self._signing_key, "HS256")  # fmt: skip
