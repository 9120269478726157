"""Reading the bytes of a version (API.md sections 3 and 11.10).

A link is opened just before its bytes are read; it redirects to an address that lives for minutes. Redirects are
followed by hand, so that the access token goes to the connection's own hosts and to nobody else. Nothing is tried again
here except a dead link, once, by reading the file's record: the engine's patience decides about everything else.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx

from connectors.procore.api import ApiClient
from connectors.procore.body import Wanted, check, pieces
from connectors.procore.errors import ProcoreRefusal
from connectors.procore.hosts import Address, Origin, TrustedHosts
from connectors.procore.oauth import Authority
from connectors.procore.rates import Meter
from connectors.procore.records import HISTORY, PROJECT, URL, current_version
from connectors.shared.transport import Http
from migration.entries import Entry, Ref
from migration.errors import ItemError, RetryableError

HOPS_MAX = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
DEAD_LINK = frozenset({401, 403, 404, 410})
REMEMBERED_MAX = 4096
SHORT_BYTES = 64 * 1024
_LOCKS = 16


class _LinkRefused(Exception):
    """A link or the address behind it is not accepted any more, or never was."""

    def __init__(self, status: int, origin: Origin) -> None:
        super().__init__(status)
        self.status = status
        self.origin = origin


class Downloads:
    """Opens the content of entries."""

    def __init__(self, http: Http, api: ApiClient, authority: Authority, meter: Meter, trusted: TrustedHosts) -> None:
        self._http = http
        self._api = api
        self._authority = authority
        self._meter = meter
        self._trusted = trusted
        self._links: OrderedDict[Ref, str] = OrderedDict()
        """Links that were asked for again because the listing's had died."""
        self._tags: OrderedDict[Ref, str] = OrderedDict()
        """What the store called the content when it was first opened."""
        self._locks = tuple(asyncio.Lock() for _ in range(_LOCKS))
        self._foreign: set[Origin] = set()
        """Hosts of links that refused us without a token and may not get one."""

    @asynccontextmanager
    async def open(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of the entry's version, as `Source.open` promises."""
        wanted = Wanted(entry, offset, length, self._tags.get(entry.ref))
        if wanted.nothing:
            yield _empty()
            return
        response = await self._opened(entry, wanted)
        try:
            tag = check(wanted, response)
            if tag is not None:
                _remember(self._tags, entry.ref, tag)
            yield pieces(wanted, response)
        finally:
            await response.aclose()

    async def _opened(self, entry: Entry, wanted: Wanted) -> httpx.Response:
        """The answer of a link that works, the record read again once if it does not."""
        link = self._links.get(entry.ref) or entry.extra.get(URL) or await self._link_again(entry, None)
        try:
            return await self._follow(link, wanted)
        except _LinkRefused as refused:
            self._give_up_on_foreign(refused, link)
            link = await self._link_again(entry, link)
        try:
            return await self._follow(link, wanted)
        except _LinkRefused as refused:
            self._give_up_on_foreign(refused, link, known=True)
            raise RetryableError(
                "link-refused",
                f"{refused.origin.host} refuses a link that Procore has just given (HTTP {refused.status}).",
                fix="If it stays so, open the file in Procore: its content may be gone there.",
            ) from None

    async def _follow(self, link: str, wanted: Wanted) -> httpx.Response:
        address = Address.parsed(link)
        for _ in range(HOPS_MAX + 1):
            response = await self._send(address, wanted)
            status = response.status_code
            if status in REDIRECTS and "location" in response.headers:
                await _let_go(response)
                address = address.redirected(response.headers["location"])
                continue
            if status in DEAD_LINK:
                await _let_go(response)
                raise _LinkRefused(status, address.origin)
            if status == 429 or status >= 500:
                await self._raise_unavailable(address, response)
            return response
        raise RetryableError("too-many-redirects", f"Procore's link was redirected more than {HOPS_MAX} times.")

    async def _send(self, address: Address, wanted: Wanted) -> httpx.Response:
        headers = dict(wanted.headers)
        trusted = address.origin in self._trusted
        if trusted:
            await self._meter.before_download()
            headers["Authorization"] = f"Bearer {await self._authority.token()}"
        try:
            counts = trusted and self._meter.storage_counts
            response = await self._http.send("GET", address.origin.url, address.target, headers, once=counts)
        except httpx.TransportError as error:
            raise RetryableError(
                "unreachable", f"{address.origin.host} gave no answer ({type(error).__name__}: {error})."
            ) from error
        if trusted:
            try:
                await self._meter.after_download(response.headers)
            except BaseException:
                await response.aclose()
                raise
        return response

    async def _raise_unavailable(self, address: Address, response: httpx.Response) -> None:
        await response.aclose()
        status = response.status_code
        wait: float | None = None
        if status in (429, 503):
            wait = await self._meter.refused_download(status, response.headers)
        raise RetryableError(
            "storage-unavailable", f"{address.origin.host} is not available (HTTP {status}).", retry_after_seconds=wait
        )

    async def _link_again(self, entry: Entry, dead: str | None) -> str:
        """The link as Procore gives it now; one call, however many ranges of the file ask at once."""
        async with self._locks[hash(entry.ref) % _LOCKS]:
            known = self._links.get(entry.ref)
            if known is not None and known != dead:
                return known
            link = await self._link_now(entry)
            _remember(self._links, entry.ref, link)
            return link

    async def _link_now(self, entry: Entry) -> str:
        history = HISTORY in entry.extra
        query: dict[str, str | int] = {"project_id": entry.extra.get(PROJECT, "")}
        if not history:
            query["show_latest_version_only"] = "true"
        try:
            answer = await self._api.get(f"the file '{entry.name}'", f"/rest/v1.0/files/{entry.ref.id}", query)
        except ProcoreRefusal as refusal:
            if refusal.status not in (403, 404):
                raise
            raise ItemError(
                "source-gone",
                f"The file '{entry.name}' is no longer visible in Procore (it says: {refusal.text or refusal.status}).",
                fix="It was deleted, moved or made private since it was listed; analyze again.",
            ) from refusal
        record = answer.value if isinstance(answer.value, dict) else {}
        current = current_version(record)
        versions = record.get("file_versions") or [] if history else [current] if current else []
        for version in versions:
            if str(version.get("id")) == entry.ref.version_id and version.get("url"):
                return str(version["url"])
        raise ItemError(
            "source-changed",
            f"The file '{entry.name}' has another version in Procore than the one that was listed.",
            fix="Run again: the new version is found by the next analysis.",
        )

    def _give_up_on_foreign(self, refused: _LinkRefused, link: str, *, known: bool = False) -> None:
        """A link to a host that may not see the token will never work; asking for it again costs calls for nothing."""
        origin = refused.origin
        first = Address.parsed(link).origin
        if origin != first or origin in self._trusted:
            return
        if known:
            self._foreign.add(origin)
        if origin in self._foreign:
            raise ItemError(
                "link-host-not-trusted",
                f"Procore's link leads to {origin.host}, which refuses it without the access token, and the token is "
                "not sent there.",
                fix=f"If that host is Procore's, add it to the connection: --token-host {origin.url.split('//')[1]}.",
            )


async def _let_go(response: httpx.Response) -> None:
    """Close an answer; a short body is read first, so that the connection can be used again."""
    stated = response.headers.get("content-length", "")
    if stated.isascii() and stated.isdigit() and int(stated) <= SHORT_BYTES:
        with suppress(httpx.TransportError):
            await response.aread()
    await response.aclose()


def _remember(memory: OrderedDict[Ref, str], ref: Ref, text: str) -> None:
    memory[ref] = text
    if len(memory) > REMEMBERED_MAX:
        memory.popitem(last=False)


async def _empty() -> AsyncIterator[bytes]:
    no_chunks: tuple[bytes, ...] = ()
    for chunk in no_chunks:
        yield chunk
