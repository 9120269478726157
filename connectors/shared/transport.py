"""How requests travel: aiohttp's connections, with httpx's answers and errors, one pool of connections per connector.

Addresses of links are sent byte for byte as they were given, as their signatures cover them. Bodies arrive in large
pieces, and may be sent from a stream. Every fault of the network is an httpx.TransportError. A request that counts as a
call is sent once. httpx's own requests are left out: making one costs a fifth of a small file's processor time.

No cookies are kept, no redirect is followed, and nothing of an address but its host can reach a log.
"""

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

import aiohttp
import httpx
from httpx_aiohttp.transport import map_aiohttp_exceptions
from yarl import URL

from connectors.shared.timeouts import Timeouts
from connectors.shared.trust import this_machines

READ_BUFFER_BYTES = 256 * 1024
"""Per connection; aiohttp pauses reading at twice this."""
PIECE_BYTES = 256 * 1024
"""Longer bodies are handed over in pieces: aiohttp copies what it is given as a whole."""
USER_AGENT = "SiteHaul"


class Http:
    """Sends requests over one pool. Made inside the running event loop; `aclose` ends it."""

    def __init__(self, timeouts: Timeouts, *, tls: ssl.SSLContext | None = None) -> None:
        """`tls` None = the certificates this machine trusts."""
        self._timeout = aiohttp.ClientTimeout(
            connect=timeouts.pool_seconds, sock_connect=timeouts.connect_seconds, sock_read=timeouts.read_seconds
        )
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

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
        A stream or a long body is sent once in any case, a stream chunked unless the headers tell its Content-Length.
        """
        session = self._session or self._made_session()
        told = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        body: bytes | AsyncIterable[bytes] | AsyncIterable[memoryview] | None = content or None
        if isinstance(content, bytes) and len(content) > PIECE_BYTES:
            body = _pieces(content)
            told["Content-Length"] = str(len(content))
        with _translated():
            response = await session.request(
                method,
                URL(origin + target, encoded=True),
                headers=told,
                data=body,
                allow_redirects=False,
                timeout=self._timeout,
                middlewares=(_Once(),) if once or not isinstance(body, bytes | None) else None,
            )
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _made_session(self) -> aiohttp.ClientSession:
        # The caller bounds how much is in flight; a second bound here would only turn waiting into timeouts.
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls or this_machines())
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        return self._session


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


async def _pieces(content: bytes) -> AsyncIterator[memoryview]:
    whole = memoryview(content)
    for first in range(0, len(whole), PIECE_BYTES):
        yield whole[first : first + PIECE_BYTES]


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
