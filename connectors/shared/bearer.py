"""Signing in at an OAuth 2 token address, for connectors whose requests carry a bearer token (RFC 6749, RFC 6750).

A refresh token may work only once. So one task of one process renews at a time, stores what it got before anybody uses
it, and is not interrupted on the way; everybody else takes what is stored.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from connectors.shared.calls import Calls, Meaning, Refusal
from connectors.shared.transport import Http
from connectors.tokens import Tokens, TokenStore
from migration.clock import Clock
from migration.errors import FatalError, RetryableError, SiteHaulError

MARGIN_SECONDS = 60.0
"""A token is renewed this long before it expires (a tenth of its life if that is less)."""
ATTEMPTS = 3
REFUSED = "sign-in-refused"
_TEXT_LENGTH_MAX = 200
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}

Grant = Callable[[Tokens | None], Mapping[str, str]]
"""The form of one token request, made anew for each, given what is stored. FatalError when a person has to sign in."""


class Renewing(ABC):
    """Gives valid access tokens to everything that uses one connection: a `connectors.shared.calls.Signer`."""

    def __init__(self, *, client_id: str, store: TokenStore, clock: Clock) -> None:
        self._client_id = client_id
        self._store = store
        self._clock = clock
        self._tokens: Tokens | None = None
        self._renewal: asyncio.Task[None] | None = None

    @abstractmethod
    async def obtain(self, stored: Tokens | None) -> Tokens:
        """New tokens, given what is stored of this client; called by one task of one process at a time. FatalError when
        a person has to sign in."""

    async def token(self) -> str:
        """A valid access token. Raises what `obtain` and the token store raise."""
        if not self._usable(self._tokens, None):
            await self._renewed(None)
        assert self._tokens is not None
        return self._tokens.access_token

    async def renewed(self, rejected: str) -> str:
        """A valid access token other than the one that was just refused. Raises as `token` does."""
        for _ in range(2):  # the first may have joined a renewal that began before the refusal
            if self._tokens is None or self._tokens.access_token == rejected:
                await self._renewed(rejected)
        return await self.token()

    async def headers(self) -> Mapping[str, str]:
        """As `Signer.headers`. Raises as `token` does."""
        return {"Authorization": f"Bearer {await self.token()}"}

    async def refused(self, headers: Mapping[str, str]) -> bool:
        """As `Signer.refused`."""
        await self.renewed(headers["Authorization"].removeprefix("Bearer "))
        return True

    async def settle(self) -> None:
        """Wait for a renewal that is under way, so that its tokens are stored before the connection closes."""
        if self._renewal is not None:
            await asyncio.wait([self._renewal])

    def understood(self, values: Any, stored: Tokens | None) -> Tokens:
        """The tokens in a token address's answer. FatalError `not-a-sign-in` when there are none."""
        try:
            lifetime = float(values["expires_in"])
            margin = min(MARGIN_SECONDS, lifetime / 10)
            return Tokens(
                access_token=str(values["access_token"]),
                refresh_token=values.get("refresh_token") or (stored.refresh_token if stored else None),
                expires_at=self._clock.now().astimezone(UTC) + timedelta(seconds=lifetime - margin),
                client_id=self._client_id,
            )
        except (KeyError, TypeError, ValueError):
            raise FatalError(
                "not-a-sign-in",
                "The sign-in was answered with something that holds no access token.",
                fix="Check the address of the connection, and whether a proxy stands in between.",
            ) from None

    async def _renewed(self, rejected: str | None) -> None:
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew(rejected))
            self._renewal.add_done_callback(self._renewal_ended)
        # Shielded: a caller that is stopped must not stop the storing of tokens that were given already.
        await asyncio.shield(self._renewal)

    def _renewal_ended(self, renewal: asyncio.Task[None]) -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # seen by whoever waited; nobody may have

    async def _renew(self, rejected: str | None) -> None:
        if self._taken_over(await self._store.load(), rejected):
            return
        async with self._store.exclusive():
            stored = await self._store.load()
            if self._taken_over(stored, rejected):
                return
            mine = stored if stored is not None and stored.client_id == self._client_id else None
            fresh = await self.obtain(mine)
            await self._store.save(fresh)
            self._tokens = fresh

    def _taken_over(self, stored: Tokens | None, rejected: str | None) -> bool:
        if self._usable(stored, rejected):
            self._tokens = stored
            return True
        return False

    def _usable(self, tokens: Tokens | None, rejected: str | None) -> bool:
        return (
            tokens is not None
            and tokens.client_id == self._client_id
            and tokens.access_token != rejected
            and self._clock.now() < tokens.expires_at
        )


class Bearer(Renewing):
    """Asks a token address by HTTP."""

    def __init__(
        self, http: Http, *, system: str, url: str, client_id: str, grant: Grant, meaning: Meaning, store: TokenStore,
        clock: Clock,
    ) -> None:  # fmt: skip
        """`url` is the token address; `meaning` says what its refusals mean (see `token_refusal`)."""
        super().__init__(client_id=client_id, store=store, clock=clock)
        # The call that wants the token is made again as a whole: both would try 25 times.
        self._calls = Calls(http, system=system, signer=_Unsigned(), clock=clock, meaning=meaning, attempts=1)
        self._url = url
        self._grant = grant

    async def exchange(self, form: Mapping[str, str]) -> None:
        """Turn a person's code, or another grant, into stored tokens."""
        async with self._store.exclusive():
            self._tokens = await self._asked(lambda _: form, None)
            await self._store.save(self._tokens)

    async def obtain(self, stored: Tokens | None) -> Tokens:
        return await self._asked(self._grant, stored)

    async def _asked(self, grant: Grant, stored: Tokens | None) -> Tokens:
        """Ask for tokens, again when the answer was lost: if it had used up a refresh token, the second answer says
        that a person has to sign in anew, which nothing else could help either."""
        for attempt in range(1, ATTEMPTS + 1):
            form = grant(stored)
            content = urlencode(form).encode()
            try:
                reply = await self._calls.call(
                    "sign in", "POST", self._url, headers=_FORM, content=content, signed=False, again=False
                )
            except RetryableError as error:
                if error.code != "answer-lost" or attempt == ATTEMPTS:
                    raise
                continue
            except FatalError as error:
                is_worn = error.code == REFUSED and not isinstance(error, ClientRefused)
                if is_worn and form.get("grant_type") == "refresh_token":
                    raise _to_sign_in_anew(error) from error
                raise
            return self.understood(reply.json(), stored)
        raise AssertionError("unreachable")


class ClientRefused(FatalError):
    """The app itself is refused (RFC 6749, section 5.2, `invalid_client`): no person can help by signing in again."""


class _Unsigned:
    async def headers(self) -> Mapping[str, str]:
        return {}

    async def refused(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002
        return False


def token_refusal(system: str, fix: str) -> Meaning:
    """What the refusals of a token address mean: FatalError `sign-in-refused` with the reason that was given."""

    def meaning(refusal: Refusal) -> SiteHaulError:
        values = refusal.json()
        reason, kind = "", FatalError
        if isinstance(values, dict):
            kind = ClientRefused if values.get("error") == "invalid_client" else FatalError
            given = str(values.get("error_description") or values.get("error") or "")
            reason = re.sub(r"[^\x20-\x7e]", " ", given)[:_TEXT_LENGTH_MAX].strip().rstrip(".")
        return kind(REFUSED, f"{system} refused the sign-in: {reason or f'HTTP {refusal.status}'}.", fix=fix)

    return meaning


def sign_in_needed(system: str) -> FatalError:
    """Nobody has signed in yet."""
    return FatalError(
        "sign-in-needed",
        f"Nobody has signed in to {system} through this connection yet.",
        fix="Connect it again with `sitehaul connect`; it says where to sign in.",
    )


def code_of(answer: str) -> str:
    """The code in what a person pasted: the code itself, or the whole address the browser was sent to."""
    answer = answer.strip()
    codes = parse_qs(urlsplit(answer).query).get("code") if "code=" in answer else None
    return codes[0] if codes else answer


def _to_sign_in_anew(error: FatalError) -> FatalError:
    return FatalError(
        "sign-in-expired",
        f"{error.message.rstrip('.')}; the person has to sign in again.",
        fix="Connect it again with `sitehaul connect`; it says where to sign in.",
    )
