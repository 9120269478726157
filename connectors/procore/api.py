"""Calls to Procore's API host: the headers they carry, the budget they are taken from, and when they are made again.

This is the one layer of retries for calls. A call that changes something is made again by itself only when nothing can
have been done (429, 503, no connection); when its answer is lost, whoever asked for the change finds out first.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
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
from connectors.shared.completion import to_the_end
from connectors.shared.transport import Http
from migration.clock import Clock
from migration.errors import RetryableError

ATTEMPTS = 6
LONGEST_ASKED_SECONDS = 120.0
"""A longer wait than this is not sat out inside a call."""

_log = logging.getLogger(__name__)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
Query = Mapping[str, str | int]
Settle = Callable[[RetryableError], Awaitable[Any]]
"""Finds out what became of a change whose answer was lost: what stands for the answer's JSON, or None if it was
certainly not made and may be asked for again. Raises what the caller is to see instead."""
UNSETTLED = "publish-unknown"
"""Code of a RetryableError of a `Settle` that is not tried again here."""


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


@dataclass(frozen=True, slots=True)
class _Request:
    """One call as it is sent; `what` says in words what is asked for."""

    method: str
    what: str
    target: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer as it came, or what a `Settle` found in its place."""

    response: httpx.Response
    content: bytes
    settled: Any = None

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def leaves_open(self) -> bool:
        """Whether the answer does not tell if the change was made."""
        if 200 <= self.status < 300:
            return bool(self.content) and _value_of(self.content) is _NO_JSON
        return self.status == 408 or (self.status >= 500 and self.status != 503)


class ApiClient:
    """Talks to the API host on behalf of one company."""

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
        return await self._persistently(_Request("GET", what, self._target(path, query)), None, not_again)

    async def change(
        self, method: str, what: str, path: str, query: Query, body: Any = None, *, settle: Settle | None = None
    ) -> Answer:
        """Ask for a change; raises as `get` does, and what `settle` raises.

        When the answer is lost, `settle` finds out what became of it; without one the change is asked for again, so it
        has to be one that may be made twice. Once the request is on its way it is waited for, whatever is cancelled
        (connectors/shared/completion.py), `settle` included. An answer without a body has the value None.
        """
        request = _Request(method, what, self._target(path, query), None if body is None else orjson.dumps(body))
        return await self._persistently(request, settle, frozenset({UNSETTLED}))

    def _target(self, path: str, query: Query | None) -> str:
        return self._base.target.rstrip("/") + quote(path) + ("?" + urlencode(query) if query else "")

    async def _persistently(self, request: _Request, settle: Settle | None, not_again: frozenset[str]) -> Answer:
        retrying = tenacity.AsyncRetrying(
            stop=_stops,
            wait=_wait,
            retry=tenacity.retry_if_exception(lambda error: _passes(error, not_again)),
            before_sleep=_note,
            sleep=self._clock.sleep,
            reraise=True,
        )
        return await retrying(self._once, request, settle)

    async def _once(self, request: _Request, settle: Settle | None) -> Answer:
        await self._meter.before_call()
        token = await self._authority.token()
        reply = await self._reply(request, token, settle)
        if reply.status == 401:
            token = await self._authority.renewed(token)
            await self._meter.before_call()
            reply = await self._reply(request, token, settle)
            if reply.status == 401:
                raise errors.token_refused(self.host)
        if reply.status in (429, 503):
            await self._raise_refused(reply.response)
        errors.raise_for(request.what, self.host, reply.response, reply.content)
        if reply.settled is not None:
            return Answer(reply.settled, reply.response.headers)
        if request.method != "GET" and not reply.content:
            return Answer(None, reply.response.headers)
        value = _value_of(reply.content)
        if value is _NO_JSON:
            raise _not_json(self.host, request.what, reply.response)
        return Answer(value, reply.response.headers)

    async def _reply(self, request: _Request, token: str, settle: Settle | None) -> _Reply:
        if request.method == "GET":
            return await self._exchange(request, token)
        return await to_the_end(self._changed(request, token, settle))

    async def _changed(self, request: _Request, token: str, settle: Settle | None) -> _Reply:
        try:
            reply = await self._exchange(request, token)
        except RetryableError as error:
            if settle is None or isinstance(error.__cause__, _NOT_SENT):
                raise
            lost = error
        else:
            if settle is None or not reply.leaves_open:
                return reply
            lost = errors.answer_useless(self.host, request.what, reply.status)
        found = await settle(lost)
        if found is None:
            raise lost
        return _Reply(httpx.Response(200), b"", found)

    async def _exchange(self, request: _Request, token: str) -> _Reply:
        self.calls += 1
        headers = {
            "Authorization": f"Bearer {token}",
            "Procore-Company-Id": self._company_id,
            "Accept": "application/json",
        }
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            response = await self._http.send(
                request.method, self._base.origin.url, request.target, headers, request.body
            )
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise errors.unreachable(self.host, error) from error
        _log.debug("HTTP %d, request id %s", response.status_code, response.headers.get("x-request-id"))
        await self._meter.after_call(response.headers)
        return _Reply(response, content)

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


_NO_JSON = object()


def _value_of(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return _NO_JSON


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
