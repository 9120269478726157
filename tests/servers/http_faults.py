"""An HTTP proxy that lets calls fail, before any HTTP server without TLS: S3, Azurite, WebDAV.

It passes on what it gets byte for byte, the Host header too, so that signatures stay good. Faults
(`proxy.faults([...])`, rules as in `tests.servers.rules`; `method` is the HTTP method, `route` is searched in the path
with its query): `answer` (`status`, `headers`, `body`, instead of the server), `reset` (before the server is asked),
`lost-response` (the server has done everything), `cut-upload` (after `after_bytes` of the body have gone to the server,
0 by default), `truncated` (the answer's body ends after `after_bytes`, by default half of it, and the connection is
reset), `corrupt` (the byte at `after_bytes` of the answer's body is another one), `stall` (`seconds` before the
answer).
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tests.servers.loops import served
from tests.servers.rules import Rules

_AFTER = frozenset({"after_bytes"})
FAULTS = {
    "answer": frozenset({"status", "headers", "body"}), "reset": frozenset[str](), "lost-response": frozenset[str](),
    "cut-upload": _AFTER, "truncated": _AFTER, "corrupt": _AFTER, "stall": frozenset({"seconds"}),
}  # fmt: skip
_HEAD_BYTES_MAX = 2**20
_PIECE_BYTES = 2**18
_RESET = struct.pack("ii", 1, 0)


class _Cut(Exception):
    """The connections are to be reset."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and how it ended; status 0 = the client got no answer."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    """Names in small letters."""
    status: int
    fault: str | None


@dataclass(slots=True)
class _State:
    server: tuple[str, int]
    rules: Rules = field(default_factory=lambda: Rules(FAULTS))
    log: list[Exchange] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """A running proxy. Its methods may be called from any thread."""

    url: str
    """Stands for the server's: `http://127.0.0.1:PORT`, with the path the server's url has."""
    _state: _State

    def through(self, url: str) -> str:
        """Another url of the same server, led through the proxy."""
        return urlunsplit(urlsplit(url)._replace(netloc=urlsplit(self.url).netloc))

    def faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the fault script; an empty one ends all faults. Raises ValueError for a rule that makes no sense."""
        self._state.rules.load(rules)

    @property
    def struck(self) -> int:
        """How often the rules in force have struck."""
        return self._state.rules.struck

    def log(self) -> list[Exchange]:
        """Every request since the start or `clear_log`."""
        return list(self._state.log)

    def clear_log(self) -> None:
        """Begin a new log."""
        self._state.log.clear()


@dataclass(slots=True)
class _Message:
    """The head of a request or of an answer."""

    raw: bytes
    first: list[str]
    """The three words of its first line."""
    headers: dict[str, str]

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> "_Message | None":
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, *lines = raw.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return cls(raw, first.split(" ", 2), headers)


class _Connection:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, state: _State, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._state, self._reader, self._writer = state, reader, writer
        self._up: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def serve(self) -> None:
        try:
            while (request := await _Message.read(self._reader)) is not None:
                if not await self._exchange(request):
                    break
            self._close(reset=False)
        except (_Cut, ConnectionError, asyncio.IncompleteReadError):
            self._close(reset=True)

    def _close(self, *, reset: bool) -> None:
        for writer in [self._writer, *([self._up[1]] if self._up else [])]:
            if not reset:
                writer.close()
                continue
            connection = writer.get_extra_info("socket")
            if connection is not None and not writer.is_closing():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def _exchange(self, request: _Message) -> bool:
        """One request and its answer; whether the connection goes on."""
        method, path = request.first[:2]
        rule = self._state.rules.pick(method, path) or {}
        fault, status = rule.get("fault"), 0
        try:
            if fault == "reset":
                raise _Cut
            if fault == "answer":
                status = int(rule.get("status", 503))
                return await self._instead(request, rule)
            status, goes_on = await self._passed(request, rule)
            return goes_on
        finally:
            self._state.log.append(Exchange(method, path, request.headers, status, fault))

    async def _instead(self, request: _Message, rule: Mapping[str, Any]) -> bool:
        waits = request.headers.get("expect", "").lower() == "100-continue"
        if not waits:
            async for _ in _body(self._reader, request.headers):
                pass
        body = str(rule.get("body", "")).encode()
        headers = {**rule.get("headers", {}), "Content-Length": str(len(body))}
        if waits:
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {rule.get('status', 503)} Fault", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self._writer.write(head if request.first[0] == "HEAD" else head + body)
        await self._writer.drain()
        return not waits

    async def _passed(self, request: _Message, rule: Mapping[str, Any]) -> tuple[int, bool]:
        if self._up is None or self._up[0].at_eof():  # a server may end a connection that waits
            self._up = await asyncio.open_connection(*self._state.server, limit=_HEAD_BYTES_MAX)
        reader, writer = self._up
        writer.write(request.raw)
        sending = asyncio.create_task(self._send_body(request, writer, rule))
        try:
            answer = await self._answer(reader, sending)
            status = int(answer.first[1])
            if rule.get("fault") == "stall":
                await asyncio.sleep(float(rule.get("seconds", 3600)))
            await self._answer_body(request, answer, reader, rule)
            early = not sending.done()  # answered before it had the whole body: nothing more can be said here
            closes = "close" in (request.headers.get("connection", "") + answer.headers.get("connection", "")).lower()
            if rule.get("fault") == "lost-response":
                raise _Cut
            return status, not (early or closes or _framing(answer.headers) is None)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, _Cut, ConnectionError, asyncio.IncompleteReadError):
                await sending

    async def _send_body(self, request: _Message, writer: asyncio.StreamWriter, rule: Mapping[str, Any]) -> None:
        left = int(rule.get("after_bytes", 0)) if rule.get("fault") == "cut-upload" else None
        async for piece, counted in _body(self._reader, request.headers):
            if left is not None and counted >= left:
                writer.write(piece[:left])
                await writer.drain()
                raise _Cut
            left = None if left is None else left - counted
            writer.write(piece)
            await writer.drain()
        if left is not None:
            raise _Cut

    async def _answer(self, reader: asyncio.StreamReader, sending: asyncio.Task[None]) -> _Message:
        """The final answer's head; those before it are passed on. Raises _Cut, also of the sending."""
        while True:
            reading = asyncio.create_task(_Message.read(reader))
            await asyncio.wait({reading, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and sending.exception() is not None and not reading.done():
                reading.cancel()
                raise _Cut
            answer = await reading
            if answer is None:
                raise _Cut
            if not answer.first[1].startswith("1"):
                return answer
            self._writer.write(answer.raw)
            await self._writer.drain()

    async def _answer_body(
        self, request: _Message, answer: _Message, reader: asyncio.StreamReader, rule: Mapping[str, Any]
    ) -> None:
        fault = rule.get("fault")
        lost = fault == "lost-response"
        if not lost:
            self._writer.write(answer.raw)
        if request.first[0] == "HEAD" or answer.first[1] in ("204", "304"):
            await self._writer.drain()
            return
        length = int(answer.headers.get("content-length", 0))
        after = int(rule.get("after_bytes", length // 2)) if fault in ("truncated", "corrupt") else None
        passed = 0
        async for piece, counted in _body(reader, answer.headers, to_the_end=True):
            if after is not None and passed + counted > after:
                at = after - passed
                if fault == "truncated":
                    self._writer.write(piece[:at])
                    await self._writer.drain()
                    raise _Cut
                piece = piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1 :]
                after = None
            passed += counted
            if not lost:
                self._writer.write(piece)
                await self._writer.drain()


def _framing(headers: Mapping[str, str]) -> int | str | None:
    """How long a body is: a number, "chunked", or None for unknown."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return "chunked"
    return int(headers["content-length"]) if "content-length" in headers else None


async def _body(
    reader: asyncio.StreamReader, headers: Mapping[str, str], *, to_the_end: bool = False
) -> AsyncIterator[tuple[bytes, int]]:
    """The body as it was sent, in pieces, each with how many bytes of content it has.

    A body of unknown length has none or, `to_the_end`, ends with the connection.
    """
    framing = _framing(headers)
    if framing == "chunked":
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                yield line + await reader.readuntil(b"\r\n"), 0
                return
            yield line, 0
            async for piece in _exactly(reader, size):
                yield piece, len(piece)
            yield await reader.readexactly(2), 0
    elif isinstance(framing, int):
        async for piece in _exactly(reader, framing):
            yield piece, len(piece)
    elif to_the_end:
        while piece := await reader.read(_PIECE_BYTES):
            yield piece, len(piece)


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, _PIECE_BYTES))
        if not piece:
            raise ConnectionResetError
        size -= len(piece)
        yield piece


@contextlib.contextmanager
def running(url: str) -> Iterator[HttpProxy]:
    """A proxy before the server of this url until the block ends."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.port is None:
        raise ValueError(f"there is no proxy for {url}")
    state = _State((parts.hostname or "127.0.0.1", parts.port))

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            state.tasks.add(task)
            task.add_done_callback(state.tasks.discard)
        await _Connection(state, reader, writer).serve()

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(connected, "127.0.0.1", 0, limit=_HEAD_BYTES_MAX, backlog=1024)

    def ended() -> None:
        for task in list(state.tasks):
            task.cancel()

    with served("HTTP proxy", serve, ended) as (port, _):
        yield HttpProxy(urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}")), state)
