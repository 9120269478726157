"""Calls to Procore's API host: the headers they carry, the budget they are taken from, and when they are made again.

This is the one layer of retries for calls. Every call made here only reads.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import orjson
import tenacity

from connectors.procore import errors
from connectors.procore.hosts import Address
from connectors.procore.oauth import Authority
from connectors.procore.rates import Meter
from connectors.procore.settings import ProcoreSettings
from connectors.shared.transport import Http
from migration.clock import Clock
from migration.errors import RetryableError

ATTEMPTS = 6
LONGEST_ASKED_SECONDS = 120.0
"""A longer wait than this is not sat out inside a call."""

_log = logging.getLogger(__name__)
Query = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: its JSON and its headers."""

    value: Any
    headers: httpx.Headers

    @property
    def total(self) -> int | None:
        """The `Total` header of a listing; None if absent."""
        text = self.headers.get("total", "")
        return int(text) if text.isascii() and text.isdigit() else None


class ApiClient:
    """Reads from the API host on behalf of one company."""

    def __init__(self, http: Http, settings: ProcoreSettings, authority: Authority, meter: Meter, clock: Clock) -> None:
        self._http = http
        self._authority = authority
        self._meter = meter
        self._clock = clock
        self._base = Address.parsed(settings.api_base)
        self._company_id = str(settings.company_id)
        self.calls = 0
        """How many calls were made."""

    @property
    def host(self) -> str:
        """The API host's name, for messages."""
        return self._base.origin.host

    async def get(
        self, what: str, path: str, query: Query | None = None, *, not_again: frozenset[str] = frozenset()
    ) -> Answer:
        """Make one call, again after passing faults except those whose code is in `not_again`.

        `what` says in words what is asked for. Raises the errors of connectors/procore/errors.py, RetryableError
        `unreachable` or another one once it has been tried often enough, and BudgetExhausted.
        """
        target = self._base.target.rstrip("/") + quote(path)
        if query:
            target += "?" + urlencode(query)
        retrying = tenacity.AsyncRetrying(
            stop=_stops,
            wait=_wait,
            retry=tenacity.retry_if_exception(lambda error: _passes(error, not_again)),
            before_sleep=_note,
            sleep=self._clock.sleep,
            reraise=True,
        )
        return await retrying(self._once, what, target)

    async def _once(self, what: str, target: str) -> Answer:
        await self._meter.before_call()
        token = await self._authority.token()
        response, content = await self._exchange(target, token)
        if response.status_code == 401:
            token = await self._authority.renewed(token)
            await self._meter.before_call()
            response, content = await self._exchange(target, token)
            if response.status_code == 401:
                raise errors.token_refused(self.host)
        if response.status_code in (429, 503):
            await self._raise_refused(response)
        errors.raise_for(what, self.host, response, content)
        try:
            return Answer(orjson.loads(content), response.headers)
        except orjson.JSONDecodeError:
            raise _not_json(self.host, what, response) from None

    async def _exchange(self, target: str, token: str) -> tuple[httpx.Response, bytes]:
        self.calls += 1
        headers = {
            "Authorization": f"Bearer {token}",
            "Procore-Company-Id": self._company_id,
            "Accept": "application/json",
        }
        try:
            response = await self._http.send("GET", self._base.origin.url, target, headers)
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise errors.unreachable(self.host, error) from error
        _log.debug("HTTP %d, request id %s", response.status_code, response.headers.get("x-request-id"))
        await self._meter.after_call(response.headers)
        return response, content

    async def _raise_refused(self, response: httpx.Response) -> None:
        wait = await self._meter.refused(response.status_code, response.headers)
        if response.status_code == 429:
            raise RetryableError(
                "rate-limited",
                "Procore's rate limit is used up.",
                fix="Wait for the window to move, or lower --hourly-calls if another application shares the client.",
                retry_after_seconds=wait,
            )
        raise RetryableError("overloaded", "Procore is overloaded (HTTP 503).", retry_after_seconds=wait)


def _not_json(host: str, what: str, response: httpx.Response) -> RetryableError:
    kind = "a web page" if "html" in response.headers.get("content-type", "") else "something that is not JSON"
    return RetryableError(
        "not-json",
        f"{host} answered {what} with {kind}.",
        fix="Check the addresses of the connection, and whether a proxy or a sign-in page stands in between.",
    )


def _passes(error: BaseException, not_again: frozenset[str]) -> bool:
    return isinstance(error, RetryableError) and error.code not in not_again


def _asked(state: tenacity.RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after_seconds if isinstance(error, RetryableError) else None


def _stops(state: tenacity.RetryCallState) -> bool:
    return state.attempt_number >= ATTEMPTS or (_asked(state) or 0.0) > LONGEST_ASKED_SECONDS


_EXPONENTIAL = tenacity.wait_random_exponential(multiplier=0.3, max=20.0)


def _wait(state: tenacity.RetryCallState) -> float:
    asked = _asked(state)
    return _EXPONENTIAL(state) if asked is None else asked


def _note(state: tenacity.RetryCallState) -> None:
    _log.info("Trying again after: %s", state.outcome.exception() if state.outcome else None)
