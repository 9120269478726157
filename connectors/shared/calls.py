"""HTTP calls of one connection to a web service: signed in, made again after passing faults, their refusals translated.

This is the one layer of retries of such a connector. A call that may have been carried out although its answer was lost
is made again only where doing it twice is the same as doing it once (`again`).

401 renews the sign-in once. 429 and 503 wait as long as `Retry-After` says, and hold back every other call of the
connection meanwhile. Transport faults and other 5xx are RetryableErrors. Everything else that is no success is a
`Refusal`, which the connector's own table turns into an error.
"""

import email.utils
import logging
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import httpx
import orjson
import tenacity

from connectors.shared.transport import Http
from migration.clock import Clock
from migration.errors import FatalError, RetryableError, SiteHaulError

ATTEMPTS = 5
LONGEST_ASKED_SECONDS = 120.0
"""A longer wait than this is not sat out inside a call."""
TEXT_BYTES_MAX = 64 * 1024 * 1024
"""More than this is no answer to a call whose body is read as a whole."""

_REFUSALS = frozenset({"rate-limited", "overloaded", "unreachable"})
"""After these nothing was done, so that anything may be sent again."""

_log = logging.getLogger(__name__)


class Signer(Protocol):
    """Knows how a request proves who it comes from."""

    async def headers(self) -> Mapping[str, str]:
        """For the next request. Raises ConfigurationError, FatalError or RetryableError when signing in fails."""
        ...

    async def refused(self, headers: Mapping[str, str]) -> bool:
        """The service answered 401 to a request with these; whether trying again makes sense (it was renewed)."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose body was read."""

    status: int
    headers: httpx.Headers
    content: bytes

    def json(self) -> Any:
        """The body's JSON. RetryableError `not-json` for anything else, a proxy's page above all."""
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError:
            raise RetryableError(
                "not-json",
                "The service answered with something that is not JSON.",
                fix="Check the address of the connection, and whether a proxy or a sign-in page stands in between.",
            ) from None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no success, for the connector's table. `what` completes "… refused to"."""

    what: str
    status: int
    headers: httpx.Headers
    content: bytes

    def json(self) -> Any:
        """The body's JSON; None when it is none."""
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError:
            return None


T = TypeVar("T")
Meaning = Callable[[Refusal], SiteHaulError]


class Calls:
    """Makes calls. `system` is the service's name for messages; a call that may be made again is made `attempts` times
    in all."""

    def __init__(
        self, http: Http, *, system: str, signer: Signer, clock: Clock, meaning: Meaning, attempts: int = ATTEMPTS
    ) -> None:
        self._http = http
        self._system = system
        self._signer = signer
        self._clock = clock
        self._meaning = meaning
        self._attempts = attempts
        self._not_before = 0.0
        self.made = 0
        """How many requests were sent."""

    async def call(
        self,
        what: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        signed: bool = True,
        again: bool = True,
        accept: frozenset[int] = frozenset(),
    ) -> Reply:
        """Make a call; its success, or an answer with one of the `accept`ed statuses.

        `url` is the whole address, already escaped. `what` says in words what it does ("list the folder a/b"). Without
        `again` it is sent again only after an answer that says nothing was done (401, 429, 503); a lost answer is then
        a RetryableError `answer-lost`. Raises what the connector's table says, or RetryableError.
        """

        async def once() -> Reply:
            async with self._answer(what, method, url, headers or {}, content, signed, again, accept) as response:
                return Reply(response.status_code, response.headers, await self._read(response, again))

        return await self._again(once, refusals_only=not again)

    @asynccontextmanager
    async def stream(
        self,
        what: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
        accept: frozenset[int] = frozenset(),
    ) -> AsyncIterator[httpx.Response]:
        """Make a call whose body is read by the caller, by `chunks_of`. Made again until the answer begins."""
        opened: list[Any] = []

        async def once() -> httpx.Response:
            answer = self._answer(what, method, url, headers or {}, None, signed, True, accept)
            response = await answer.__aenter__()
            opened.append(answer)
            return response

        response = await self._again(once, refusals_only=False)
        try:
            yield response
        finally:
            await opened[-1].__aexit__(None, None, None)

    async def send(
        self,
        what: str,
        method: str,
        url: str,
        content: AsyncIterable[bytes],
        *,
        headers: Mapping[str, str],
        accept: frozenset[int] = frozenset(),
    ) -> Reply:
        """Make a call whose body is streamed: once, signed by what is valid now."""
        async with self._answer(what, method, url, headers, content, True, False, accept) as response:
            return Reply(response.status_code, response.headers, await self._read(response, False))

    async def chunks_of(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The body as it arrives. RetryableError `connection-lost`."""
        try:
            async for chunk in response.aiter_raw():
                yield chunk
        except httpx.TransportError as error:
            raise self._lost(error) from error

    def _stops(self, state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= self._attempts or (_asked(state) or 0.0) > LONGEST_ASKED_SECONDS

    async def _again(self, once: Callable[[], Awaitable[T]], *, refusals_only: bool) -> T:
        try:
            return await once()  # what nearly always succeeds pays nothing for being made again
        except RetryableError as error:
            first: RetryableError | None = error

        async def next_one() -> T:
            nonlocal first
            error, first = first, None
            if error is not None:
                raise error
            return await once()

        retrying = tenacity.AsyncRetrying(
            stop=self._stops,
            wait=_wait,
            retry=tenacity.retry_if_exception(lambda error: _passes(error, refusals_only)),
            before_sleep=_note,
            sleep=self._clock.sleep,
            reraise=True,
        )
        return await retrying(next_one)

    @asynccontextmanager
    async def _answer(
        self,
        what: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | AsyncIterable[bytes] | None,
        signed: bool,
        again: bool,
        accept: frozenset[int],
    ) -> AsyncIterator[httpx.Response]:
        """One answer that is a success or accepted, after at most one renewal of the sign-in."""
        await self._held_back()
        proof = await self._signer.headers() if signed else {}
        response = await self._sent(method, url, {**headers, **proof}, content, again)
        try:
            may_renew = response.status_code == 401 and signed and not isinstance(content, AsyncIterable)
            if may_renew and await self._signer.refused(proof):
                await response.aread()
                await response.aclose()
                proof = await self._signer.headers()
                response = await self._sent(method, url, {**headers, **proof}, content, again)
            if not response.is_success and response.status_code not in accept:
                raise await self._error(what, response, again)
            yield response
        finally:
            await response.aclose()

    async def _sent(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | AsyncIterable[bytes] | None,
        again: bool,
    ) -> httpx.Response:
        self.made += 1
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            return await self._http.send(method, f"{parts.scheme}://{parts.netloc}", target, headers, content)
        except httpx.TransportError as error:
            if not again and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
                raise self._answer_lost(error) from error
            raise self._lost(error) from error

    async def _read(self, response: httpx.Response, again: bool) -> bytes:
        gathered = bytearray()
        try:
            async for chunk in response.aiter_raw():
                gathered += chunk
                if len(gathered) > TEXT_BYTES_MAX:
                    raise FatalError("answer-too-large", f"{self._system} answered with more than can be an answer.")
        except httpx.TransportError as error:
            raise (self._lost(error) if again else self._answer_lost(error)) from error
        return bytes(gathered)

    async def _error(self, what: str, response: httpx.Response, again: bool) -> SiteHaulError:
        content = await self._read(response, again)
        status = response.status_code
        refusal = Refusal(what, status, response.headers, content)
        if status in (429, 503):
            return self._refused_for_now(refusal)
        if status >= 500 and status not in (501, 507):
            code = "server-fault" if again else "answer-lost"
            return RetryableError(code, f"{self._system} failed to {what} (HTTP {status}).")
        return self._meaning(refusal)

    def _refused_for_now(self, refusal: Refusal) -> RetryableError:
        seconds = retry_after_seconds(refusal.headers, self._clock.now())
        if seconds is not None:
            self._not_before = max(self._not_before, self._clock.monotonic() + seconds)
        return throttled(self._system, refusal.status, seconds)

    async def _held_back(self) -> None:
        seconds = self._not_before - self._clock.monotonic()
        if seconds <= 0:
            return
        if seconds > LONGEST_ASKED_SECONDS:
            raise throttled(self._system, 429, seconds)
        await self._clock.sleep(seconds)

    def _lost(self, error: httpx.TransportError) -> SiteHaulError:
        if _is_untrusted(error):
            return FatalError(
                "untrusted-host",
                f"{self._system} cannot prove who it is: its certificate is not trusted.",
                fix="Check the address; for a server with an authority of its own give its certificate with --ca-file.",
            )
        reason = f": {error}" if str(error) else ""
        return RetryableError(
            "unreachable",
            f"{self._system} cannot be reached ({type(error).__name__}{reason}).",
            fix="Check the address of the connection, the network and the firewall.",
        )

    def _answer_lost(self, error: httpx.TransportError) -> SiteHaulError:
        return RetryableError("answer-lost", f"The answer of {self._system} was lost ({type(error).__name__}).")


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = getattr(error, "certificate_error", None) or error.__cause__
    return False


def throttled(system: str, status: int, seconds: float | None) -> RetryableError:
    """The service wants fewer calls; `seconds` None = it does not say for how long."""
    code = "rate-limited" if status == 429 else "overloaded"
    return RetryableError(code, f"{system} wants fewer calls for now (HTTP {status}).", retry_after_seconds=seconds)


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """What a Retry-After header asks for, as seconds or as a date; None without one that can be read."""
    text = headers.get("retry-after", "").strip()
    if text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max((at.astimezone(UTC) - now).total_seconds(), 0.0)


def _passes(error: BaseException, refusals_only: bool) -> bool:
    if not isinstance(error, RetryableError):
        return False
    return error.code in _REFUSALS if refusals_only else error.code != "answer-lost"


def _asked(state: tenacity.RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after_seconds if isinstance(error, RetryableError) else None


_EXPONENTIAL = tenacity.wait_random_exponential(multiplier=0.3, max=20.0)


def _wait(state: tenacity.RetryCallState) -> float:
    asked = _asked(state)
    return _EXPONENTIAL(state) if asked is None else asked


def _note(state: tenacity.RetryCallState) -> None:
    _log.info("Trying again after: %s", state.outcome.exception() if state.outcome else None)
