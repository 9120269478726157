"""Signing in to an Egnyte domain (https://developers.egnyte.com/docs/read/Public_API_Authentication), and keeping to
the number of calls it allows (https://developers.egnyte.com/docs/read/Best_Practices)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from connectors.egnyte.settings import EgnyteSettings
from connectors.shared.bearer import Bearer, Grant, code_of, sign_in_needed, token_refusal
from connectors.shared.calls import Meaning, Refusal
from connectors.shared.services import Ask, Services, Tell
from connectors.shared.transport import Http
from connectors.shared.trust import trusting
from connectors.tokens import Tokens
from migration.clock import Clock
from migration.errors import RetryableError, SiteHaulError

SCOPE = "Egnyte.filesystem"
_FOREVER_SECONDS = 10 * 365 * 86_400.0
_FIX = "Check the API key and its secret, the user and the password, and that the key was issued for this domain."


class EgnyteBearer(Bearer):
    """As Bearer; tokens that Egnyte says never expire (`expires_in` -1) are believed to last ten years."""

    def understood(self, values: Any, stored: Tokens | None) -> Tokens:
        if isinstance(values, dict) and not float(values.get("expires_in") or -1) > 0:
            values = {**values, "expires_in": _FOREVER_SECONDS}
        return super().understood(values, stored)


class Paced:
    """A signer whose requests are no more than so many a second. They are counted for this process alone."""

    def __init__(self, bearer: Bearer, calls_per_second: float, clock: Clock) -> None:
        self._bearer = bearer
        self._seconds_apart = 1.0 / calls_per_second
        self._clock = clock
        self._next = 0.0

    async def headers(self) -> Mapping[str, str]:
        """As `Signer.headers`, when it is this request's turn."""
        headers = await self._bearer.headers()
        now = self._clock.monotonic()
        turn = max(now, self._next)
        self._next = turn + self._seconds_apart
        await self._clock.sleep(turn - now)
        return headers

    async def refused(self, headers: Mapping[str, str]) -> bool:
        """As `Signer.refused`."""
        return await self._bearer.refused(headers)

    async def settle(self) -> None:
        """As `Bearer.settle`."""
        await self._bearer.settle()


def bearer(settings: EgnyteSettings, http: Http, services: Services) -> EgnyteBearer:
    """What signs the requests of the connection."""
    return EgnyteBearer(
        http,
        system=settings.display_name,
        url=f"{settings.url}/puboauth/token",
        client_id=settings.client_id,
        grant=_as_person(settings) if settings.acts_for_a_person else _by_password(settings),
        meaning=_meaning(token_refusal(settings.display_name, _FIX)),
        store=services.tokens,
        clock=services.clock,
    )


def authorization_url(settings: EgnyteSettings) -> str:
    """The address where a person agrees and is sent on with a code."""
    values = {
        "client_id": settings.client_id,
        "redirect_uri": settings.redirect_uri,
        "scope": SCOPE,
        "response_type": "code",
    }
    return f"{settings.url}/puboauth/token?{urlencode(values)}"


async def sign_in(settings: EgnyteSettings, services: Services, *, tell: Tell, ask: Ask) -> None:
    """Let a person sign in. FatalError `sign-in-refused` for a code that is wrong, used or old."""
    tell(
        "Open this address, sign in and allow access. The browser is then sent to an address that nobody answers: copy "
        "that whole address."
    )
    tell(authorization_url(settings))
    code = code_of(ask("Address or code"))
    http = Http(settings.timeouts, tls=trusting(settings.ca_file))
    try:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": settings.redirect_uri}
        await bearer(settings, http, services).exchange({**form, "scope": SCOPE, **_client(settings)})
    finally:
        await http.aclose()


def _client(settings: EgnyteSettings) -> Mapping[str, str]:
    secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
    return {"client_id": settings.client_id, **({"client_secret": secret} if secret else {})}


def _by_password(settings: EgnyteSettings) -> Grant:
    def form(stored: Tokens | None) -> Mapping[str, str]:  # noqa: ARG001
        return {
            "grant_type": "password",
            "username": settings.username or "",
            "password": settings.password.get_secret_value() if settings.password else "",
            "scope": SCOPE,
            **_client(settings),
        }

    return form


def _as_person(settings: EgnyteSettings) -> Grant:
    def form(stored: Tokens | None) -> Mapping[str, str]:
        if stored is None or stored.refresh_token is None:
            raise sign_in_needed(settings.display_name)
        return {"grant_type": "refresh_token", "refresh_token": stored.refresh_token, **_client(settings)}

    return form


def _meaning(refused: Meaning) -> Meaning:
    """As `refused`, but too many requests for tokens (409) are no refusal of the credentials."""

    def meaning(refusal: Refusal) -> SiteHaulError:
        if refusal.status != 409:
            return refused(refusal)
        text = refusal.headers.get("retry-after", "").strip()
        return RetryableError(
            "rate-limited",
            "Egnyte gives no more sign-ins to this application within the hour.",
            fix="Wait an hour; the sign-in is then kept and used again.",
            retry_after_seconds=float(text) if text.isdigit() else 3600.0,
        )

    return meaning
