"""Calls of Microsoft Graph: addresses, the mark of who is calling, and pages."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import orjson

from connectors.shared.calls import Calls, Reply
from connectors.shared.settings import is_loopback
from connectors.sharepoint.pace import Pace
from migration.clock import Clock
from migration.errors import FatalError

USER_AGENT = "ISV|SiteHaul|SiteHaul/1.0"
"""The form in which Microsoft asks apps to say who they are; such calls are preferred when there are too many:
https://learn.microsoft.com/en-us/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
"""
PAGE_ENTRIES = 1_000
"""What is asked for; the service gives fewer where it wants to."""
_AGENT = {"User-Agent": USER_AGENT}
_JSON = {"Content-Type": "application/json"}
_NONE: frozenset[int] = frozenset()


class Graph:
    """One connection's calls. `url` is the address of Microsoft Graph with its version."""

    def __init__(self, calls: Calls, url: str, clock: Clock) -> None:
        self._calls = calls
        self._url = url
        self._pace = Pace(clock)
        self.clock = clock

    async def call(
        self,
        what: str,
        method: str,
        path: str,
        *,
        values: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool = True,
        accept: frozenset[int] = _NONE,
    ) -> Reply:
        """As `Calls.call`, signed; `path` begins with a slash, `values` are sent as JSON."""
        await self._pace.wait()
        own = {**_AGENT, **(headers or {})}
        if values is not None:
            content = orjson.dumps(values)
            own |= _JSON
        url = path if "://" in path else self._url + path
        reply = await self._calls.call(what, method, url, headers=own, content=content, again=again, accept=accept)
        self._pace.observe(reply.headers)
        return reply

    async def values(self, what: str, path: str, accept: frozenset[int] = _NONE) -> dict[str, Any] | None:
        """What a GET gives; None after an accepted refusal."""
        reply = await self.call(what, "GET", path, accept=accept)
        return None if reply.status in accept else dict(reply.json())

    async def pages(self, what: str, path: str) -> AsyncIterator[list[dict[str, Any]]]:
        """Every page of a collection (https://learn.microsoft.com/en-us/graph/paging). FatalError `foreign-link` for a
        next page somewhere else, where the sign-in is nobody's business."""
        following: str | None = path
        while following:
            page = (await self.call(what, "GET", following)).json()
            yield page["value"]
            following = page.get("@odata.nextLink")
            if following and _origin(following) != _origin(self._url):
                raise FatalError(
                    "foreign-link",
                    f"The next page of what was to {what} is at another server, {_origin(following)}.",
                    fix="Check the address of the connection, and whether a proxy changes answers.",
                )

    async def unsigned(
        self,
        what: str,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool = True,
        accept: frozenset[int] = _NONE,
    ) -> Reply:
        """A call of an address that is its own proof: the bearer token must not go there."""
        return await self._calls.call(
            what, method, _safe(url), headers={**_AGENT, **(headers or {})}, content=content, signed=False,
            again=again, accept=accept,
        )  # fmt: skip

    @asynccontextmanager
    async def download(
        self, what: str, url: str, *, headers: Mapping[str, str], accept: frozenset[int]
    ) -> AsyncIterator[httpx.Response]:
        """As `Calls.stream`, unsigned."""
        own = {**_AGENT, **headers}
        async with self._calls.stream(what, "GET", _safe(url), headers=own, signed=False, accept=accept) as response:
            yield response

    def chunks_of(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """As `Calls.chunks_of`."""
        return self._calls.chunks_of(response)


def escaped(*names: str) -> str:
    """Names as a path inside an address."""
    return "/".join(quote(name, safe="") for name in names)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _safe(url: str) -> str:
    if not url.startswith("https://") and not is_loopback(urlsplit(url).hostname or ""):
        raise FatalError(
            "unprotected-link",
            "An address for content was given that is not encrypted.",
            fix="Check whether a proxy changes answers.",
        )
    return url
