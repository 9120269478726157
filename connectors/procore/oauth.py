"""Signing in at Procore's login host (API.md sections 1.2, 1.3 and 11.2).

A refresh token works once, whether or not the answer arrives.
"""

from datetime import UTC, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
import tenacity

from connectors.procore import errors
from connectors.procore.hosts import Address
from connectors.procore.rates import wait_seconds
from connectors.procore.settings import ProcoreSettings
from connectors.shared.bearer import MARGIN_SECONDS, Renewing
from connectors.shared.services import Ask, Services, Tell
from connectors.shared.transport import Http
from connectors.tokens import Tokens, TokenStore
from migration.clock import Clock, SystemClock
from migration.errors import FatalError, RetryableError

ATTEMPTS = 4

_SYSTEM_CLOCK = SystemClock()


def authorization_url(settings: ProcoreSettings, *, state: str | None = None) -> str:
    """The address where a person agrees and gets a code, valid once for ten minutes."""
    values = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": settings.redirect_uri,
        **({"state": state} if state else {}),
    }
    return f"{settings.login_base}/oauth/authorize?{urlencode(values)}"


async def sign_in(settings: ProcoreSettings, services: Services, *, tell: Tell, ask: Ask) -> None:
    """Let a person sign in. Raises what `exchange_code` raises."""
    tell("Open this address, sign in, and copy the code you are shown:")
    tell(authorization_url(settings))
    await exchange_code(settings, ask("Code"), services.tokens, clock=services.clock)


async def exchange_code(
    settings: ProcoreSettings, code: str, store: TokenStore, *, clock: Clock = _SYSTEM_CLOCK
) -> None:
    """Turn a person's code into stored tokens.

    Raises FatalError `sign-in-again` for a code that is wrong, used or old, and what `Authority.token` raises.
    """
    http = Http(settings.timeouts)
    try:
        login = _Login(http, settings, clock)
        values = {"grant_type": "authorization_code", "code": code, "redirect_uri": settings.redirect_uri}
        async with store.exclusive():
            await store.save(await login.tokens(values))
    finally:
        await http.aclose()


class Authority(Renewing):
    """Gives valid access tokens to everything that uses one connection.

    Its methods raise FatalError `client-refused`, `sign-in-needed`, `sign-in-again`, `not-procore`; RetryableError when
    the login host cannot be reached; and what the token store raises.
    """

    def __init__(self, http: Http, settings: ProcoreSettings, store: TokenStore, clock: Clock) -> None:
        super().__init__(client_id=settings.client_id, store=store, clock=clock)
        self._settings = settings
        self._login = _Login(http, settings, clock)

    async def obtain(self, stored: Tokens | None) -> Tokens:
        return await self._login.tokens(self._grant(stored))

    def _grant(self, stored: Tokens | None) -> dict[str, str]:
        if self._settings.grant == "client_credentials":
            return {"grant_type": "client_credentials"}
        if stored is None or stored.refresh_token is None:
            raise errors.sign_in_needed()
        return {"grant_type": "refresh_token", "refresh_token": stored.refresh_token}


class _Login:
    """The login host's token address."""

    def __init__(self, http: Http, settings: ProcoreSettings, clock: Clock) -> None:
        self._http = http
        self._settings = settings
        self._clock = clock
        self._address = Address.parsed(f"{settings.login_base}/oauth/token")

    async def tokens(self, grant: dict[str, str]) -> Tokens:
        """Ask for tokens, again after passing faults.

        Trying again with the same refresh token costs nothing: if the lost answer had used it up, only a new sign-in
        helps anyway, and the second answer says so.
        """
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(RetryableError),
            sleep=self._clock.sleep,
            reraise=True,
        )
        lost: list[bool] = []
        return await retrying(self._once, grant, lost)

    async def _once(self, grant: dict[str, str], lost: list[bool]) -> Tokens:
        values = {
            **grant,
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.get_secret_value(),
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        origin, target = self._address
        try:
            response = await self._http.send("POST", origin.url, target, headers, urlencode(values).encode())
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            lost.append(True)
            raise errors.unreachable(self._address.origin.host, error) from error
        return self._understood(grant, response, content, answer_was_lost=bool(lost))

    def _understood(
        self, grant: dict[str, str], response: httpx.Response, content: bytes, *, answer_was_lost: bool
    ) -> Tokens:
        host, status = self._address.origin.host, response.status_code
        if status in (408, 429) or status >= 500:
            raise RetryableError(
                "login-unavailable",
                f"{host} is not available (HTTP {status}).",
                retry_after_seconds=wait_seconds(response.headers, self._clock, status),
            )
        if 300 <= status < 400:
            raise errors.not_procore(host, f"redirects the sign-in elsewhere (HTTP {status})")
        values = _object(content)
        if status >= 400 and status != 401 and not values:
            raise errors.not_procore(host, f"answers the sign-in with HTTP {status} and no reason")
        if status >= 400:
            raise _refusal(host, grant, values, errors.text_of(content), answer_was_lost=answer_was_lost)
        try:
            lifetime = float(values["expires_in"])
            margin = min(MARGIN_SECONDS, lifetime / 10)
            return Tokens(
                access_token=str(values["access_token"]),
                refresh_token=values.get("refresh_token"),
                expires_at=self._clock.now().astimezone(UTC) + timedelta(seconds=lifetime - margin),
                client_id=self._settings.client_id,
            )
        except (KeyError, TypeError, ValueError):
            raise errors.not_procore(host, "answers the sign-in with something that holds no access token") from None


def _refusal(
    host: str, grant: dict[str, str], values: dict[str, Any], text: str, *, answer_was_lost: bool
) -> FatalError:
    reason = values.get("error")
    if reason == "invalid_client" or (reason != "invalid_grant" and grant["grant_type"] == "client_credentials"):
        return errors.client_refused(host)
    if grant["grant_type"] == "refresh_token":
        why = (
            "the answer to a renewal was lost on the way, and Procore accepts a refresh token only once"
            if answer_was_lost
            else f"Procore says: {text}"
        )
        return errors.sign_in_again(host, why)
    if reason == "invalid_grant":
        return errors.sign_in_again(host, "the code is wrong, was used before, or is older than ten minutes")
    return errors.client_refused(host)


def _object(content: bytes) -> dict[str, Any]:
    try:
        values = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return values if isinstance(values, dict) else {}


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_seconds if isinstance(error, RetryableError) else None
    exponential = tenacity.wait_random_exponential(multiplier=0.3, max=10.0)
    return exponential(state) if asked is None else min(asked, 30.0)
