"""How requests travel: httpx on the httpx-aiohttp transport, one pool of connections per connector.

Five things are ours. Addresses of links are sent byte for byte as they were given (httpx's `target` extension), as
their signatures cover them. Bodies arrive in large pieces, and may be sent from a stream. Every fault of the network is
an httpx.TransportError. A request that counts as a call is sent once.

No cookies are kept, no redirect is followed, and nothing of an address but its host can reach a log.
"""

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import map_aiohttp_exceptions
from yarl import URL

from connectors.shared.timeouts import Timeouts

READ_BUFFER_BYTES = 256 * 1024
"""Per connection; aiohttp pauses reading at twice this."""
USER_AGENT = "SiteHaul"


class LinkTransport(AiohttpTransport):
    """httpx-aiohttp's transport, with opaque addresses, large pieces and every error of aiohttp translated."""

    def __init__(self, timeouts: Timeouts, tls: ssl.SSLContext | None) -> None:
        self._timeout = aiohttp.ClientTimeout(
            connect=timeouts.pool_seconds, sock_connect=timeouts.connect_seconds, sock_read=timeouts.read_seconds
        )
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        super().__init__(client=self._made_session)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the answer's body is not read yet. Raises httpx.TransportError."""
        session = self._session or self._made_session()
        with _translated():
            response = await session.request(
                request.method,
                URL(_address(request), encoded=True),
                headers=request.headers.multi_items(),
                data=request.extensions.get("body") or request.content or None,
                allow_redirects=False,
                timeout=self._timeout,
                middlewares=(_Once(),) if "once" in request.extensions else None,
            )
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response), request=request)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _made_session(self) -> aiohttp.ClientSession:
        # The caller bounds how much is in flight; a second bound here would only turn waiting into timeouts.
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls or self.ssl_context)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        return self._session


class Http:
    """Sends requests over one pool. Made inside the running event loop; `aclose` ends it."""

    def __init__(self, timeouts: Timeouts, *, tls: ssl.SSLContext | None = None) -> None:
        """`tls` None = the certificates this machine trusts."""
        self._transport = LinkTransport(timeouts, tls)
        self._urls: dict[str, httpx.URL] = {}
        """By origin: there are few, and reading one costs as much as the rest of a request's making."""

    async def send(
        self,
        method: str,
        origin: str,
        target: str,
        headers: Mapping[str, str],
        content: bytes | AsyncIterable[bytes] | None = None,
        *,
        once: bool = True,
    ) -> httpx.Response:
        """Send to `origin` (scheme://host:port) exactly this `target` (path and query).

        The answer's body is not read; the caller closes it. Raises httpx.TransportError. `once` False allows a second
        sending when a kept connection turns out to be closed; where calls are counted, it would be an uncounted one.
        A stream is sent once in any case, chunked unless the headers tell its Content-Length.
        """
        url = self._urls.get(origin)
        if url is None:
            url = self._urls[origin] = httpx.URL(origin)
        request = httpx.Request(
            method,
            url,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
            content=content if isinstance(content, bytes) else None,
            extensions=_extensions(target, content, once=once),
        )
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()


class _Once:
    """Keeps aiohttp from sending a request again by itself, which it does when a kept connection breaks."""

    def __init__(self) -> None:
        self._sent = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._sent:
            raise aiohttp.ClientConnectionError("the connection broke before an answer came")
        self._sent = True
        return await handler(request)


class _Body(httpx.AsyncByteStream):
    """A body in the pieces the network gave."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated():
            async for piece in self._response.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        self._response.release()


def _extensions(target: str, content: bytes | AsyncIterable[bytes] | None, *, once: bool) -> dict[str, Any]:
    streamed = content is not None and not isinstance(content, bytes)
    extensions: dict[str, Any] = {"target": target.encode("ascii")}
    if streamed:
        extensions["body"] = content
    if once or streamed:
        extensions["once"] = True
    return extensions


def _address(request: httpx.Request) -> str:
    target: bytes = request.extensions["target"]
    return f"{request.url.scheme}://{request.url.netloc.decode('ascii')}{target.decode('ascii')}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        with map_aiohttp_exceptions():
            yield
    except httpx.ConnectTimeout as error:
        if _was_connected(error.__cause__):
            raise httpx.ReadError(str(error) or "the connection broke before an answer came") from error
        raise
    except (httpx.TransportError, GeneratorExit):
        raise
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.ReadError(str(error) or type(error).__name__) from error


def _was_connected(error: BaseException | None) -> bool:
    """Whether a connection that was there broke, which httpx-aiohttp tells as one that could not be made: a request
    may have been carried out then."""
    never = (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError)
    return isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, never)
