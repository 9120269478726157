"""The login host: OAuth as API.md section 11.2 describes it."""

import base64
import secrets
from typing import Any, Protocol
from urllib.parse import urlencode

from simulator.clock import SimulatedClock
from simulator.settings import Settings
from simulator.store import Store
from simulator.web import Answer, Call

CODE_SECONDS = 600.0
SERVICE_ACCOUNT_MARK = "dmsa-"
"""How the `pair` of a client-credentials token begins: that of a service account, not of a person."""
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


class OAuthState(Protocol):
    """What the login host needs of the simulator."""

    store: Store
    clock: SimulatedClock
    settings: Settings


def refused(error: str, description: str, status: int = 401) -> Answer:
    """An OAuth error in RFC 6749's shape (Procore's own is not documented)."""
    return Answer.json({"error": error, "error_description": description}, status)


async def handle(state: OAuthState, call: Call) -> Answer:
    """Answer one request to the login host."""
    route = (call.method, call.path)
    if route == ("GET", "/oauth/authorize"):
        return authorize(state, call)
    if route == ("POST", "/oauth/token"):
        return token(state, call, await call.fields())
    if route == ("GET", "/oauth/token/info"):
        return token_info(state, call)
    if route == ("POST", "/oauth/revoke"):
        return revoke(state, await call.fields())
    return Answer.json({"error": "not_found"}, 404)


def authorize(state: OAuthState, call: Call) -> Answer:
    """Issue a one-use code; the simulated person always agrees. `login` in the query picks who signs in."""
    client = state.store.one("SELECT * FROM clients WHERE client_id = ?", call.first("client_id"))
    redirect_uri = call.first("redirect_uri") or ""
    if client is None or call.first("response_type") != "code":
        return refused("invalid_client", "Client authentication failed")
    user = state.store.one("SELECT id FROM users WHERE login = ?", call.first("login", "")) or {"id": client["user_id"]}
    code = secrets.token_hex(32)
    state.store.insert(
        "codes", code=code, client_id=client["client_id"], redirect_uri=redirect_uri, user_id=user["id"],
        expires_at=state.clock.now() + CODE_SECONDS,
    )  # fmt: skip
    if redirect_uri == OUT_OF_BAND:
        return Answer.text(
            f"<html><body><h1>Authorization code</h1><code>{code}</code></body></html>", kind="text/html"
        )
    values = {"code": code, **({"state": call.first("state")} if call.first("state") else {})}
    separator = "&" if "?" in redirect_uri else "?"
    return Answer(302, b"", [(b"location", f"{redirect_uri}{separator}{urlencode(values)}".encode())])


def token(state: OAuthState, call: Call, fields: dict[str, Any]) -> Answer:
    """Exchange a grant for tokens."""
    client_id, secret = _client_pair(call, fields)
    refresh = str(fields.get("refresh_token", ""))
    if fields.get("grant_type") == "refresh_token":
        return _refresh(state, client_id, secret, refresh)
    client = state.store.one("SELECT * FROM clients WHERE client_id = ? AND secret = ?", client_id, secret)
    if client is None:
        return refused(
            "invalid_client", "Client authentication failed due to unknown client or no client authentication"
        )
    if fields.get("grant_type") == "client_credentials":
        return Answer.json(_issue(state, client["client_id"], client["user_id"], refreshable=False))
    if fields.get("grant_type") == "authorization_code":
        return _exchange(state, client["client_id"], fields)
    return refused("unsupported_grant_type", "The authorization grant type is not supported", 401)


def token_info(state: OAuthState, call: Call) -> Answer:
    """Tell about the presented access token."""
    row = valid_token(state, call.bearer)
    if row is None:
        return refused("invalid_request", "The access token is invalid")
    return Answer.json({
        "resource_owner_id": row["user_id"], "scopes": [], "application": {"uid": row["client_id"]},
        "expires_in_seconds": int(row["expires_at"] - state.clock.now()), "created_at": int(row["created_at"]),
    })  # fmt: skip


def revoke(state: OAuthState, fields: dict[str, Any]) -> Answer:
    """Kill a token and its partner; 200 even for an unknown one."""
    row = state.store.one("SELECT pair FROM tokens WHERE token = ?", str(fields.get("token", "")))
    if row is not None:
        state.store.execute("DELETE FROM tokens WHERE pair = ?", row["pair"])
    return Answer.json({})


def valid_token(state: OAuthState, token_text: str | None) -> Any:
    """The row of a live access token or None."""
    if not token_text:
        return None
    row = state.store.one("SELECT * FROM tokens WHERE token = ? AND kind = 'access'", token_text)
    return row if row is not None and row["expires_at"] > state.clock.now() else None


def window_key(row: Any, call: Call, settings: Settings) -> str:
    """Whose rate windows a call with this token counts in: the client's, by switch the client's at one company."""
    if settings.rate_limit_per_company and str(row["pair"]).startswith(SERVICE_ACCOUNT_MARK):
        return f"{row['client_id']}/{call.headers.get('procore-company-id', '')}"
    return str(row["client_id"])


def _client_pair(call: Call, fields: dict[str, Any]) -> tuple[str, str]:
    kind, _, encoded = call.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
        except ValueError:
            return "", ""
        return client_id, secret
    return str(fields.get("client_id", "")), str(fields.get("client_secret", ""))


def _refresh(state: OAuthState, client_id: str, secret: str, refresh: str) -> Answer:
    row = state.store.one("SELECT * FROM tokens WHERE token = ? AND kind = 'refresh'", refresh)
    state.store.execute("DELETE FROM tokens WHERE token = ?", refresh)  # dies even when the call then fails
    client = state.store.one("SELECT * FROM clients WHERE client_id = ? AND secret = ?", client_id, secret)
    if client is None:
        return refused(
            "invalid_client", "Client authentication failed due to unknown client or no client authentication"
        )
    if row is None or row["client_id"] != client_id:
        return refused("invalid_grant", "The refresh token is invalid")
    return Answer.json(_issue(state, client_id, row["user_id"], refreshable=True))


def _exchange(state: OAuthState, client_id: str, fields: dict[str, Any]) -> Answer:
    code = str(fields.get("code", ""))
    row = state.store.one("SELECT * FROM codes WHERE code = ? AND client_id = ?", code, client_id)
    state.store.execute("DELETE FROM codes WHERE code = ?", code)
    if row is None or row["expires_at"] <= state.clock.now() or row["redirect_uri"] != fields.get("redirect_uri"):
        return refused("invalid_grant", "The provided authorization grant is invalid, expired or revoked")
    return Answer.json(_issue(state, client_id, row["user_id"], refreshable=True))


def _issue(state: OAuthState, client_id: str, user_id: int, *, refreshable: bool) -> dict[str, Any]:
    now, lifetime, pair = state.clock.now(), state.settings.access_token_seconds, secrets.token_hex(8)
    pair = pair if refreshable else f"{SERVICE_ACCOUNT_MARK}{pair}"
    access = f"access-{secrets.token_hex(24)}"
    state.store.insert(
        "tokens", token=access, kind="access", client_id=client_id, user_id=user_id, created_at=now,
        expires_at=now + lifetime, pair=pair,
    )  # fmt: skip
    answer: dict[str, Any] = {
        "access_token": access, "token_type": "bearer", "expires_in": lifetime, "created_at": int(now),
    }  # fmt: skip
    if refreshable:
        answer["refresh_token"] = f"refresh-{secrets.token_hex(24)}"
        state.store.insert(
            "tokens", token=answer["refresh_token"], kind="refresh", client_id=client_id, user_id=user_id,
            created_at=now, expires_at=0.0, pair=pair,
        )  # fmt: skip
    return answer
