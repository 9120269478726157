"""One connection to the server with one SFTP session on it.

asyncssh connects, signs in and encrypts. The messages are exchanged here and not by asyncssh's own SFTP client: several
requests that belong together travel as one, in this order, and an answer costs no task of its own, which halves the
processor time per small file.
"""

import asyncio
import logging
from collections import deque

import asyncssh

from connectors.sftp import messages as sftp
from connectors.sftp.errors import lost, not_sftp
from connectors.sftp.messages import Answer, NotSftp, Request
from migration.errors import SiteHaulError

BLOCK_BYTES_MAX = 1024 * 1024
"""No request reads or writes more, whatever the server allows."""
WINDOW_BYTES = 8 * 1024 * 1024
"""How much the server may send ahead."""
_SAFE_BYTES = 32 * 1024
"""What every server has to take (draft-ietf-secsh-filexfer-02, section 3)."""
_MESSAGE_BYTES_MAX = 8 * 1024 * 1024
_NUMBERS = 2**32

_log = logging.getLogger(__name__)


class _Exchange:
    """Requests that were sent together, and what has been answered to them."""

    __slots__ = ("answers", "missing", "waiting")

    def __init__(self, count: int, waiting: "asyncio.Future[list[Answer]]") -> None:
        self.answers: list[Answer | None] = [None] * count
        self.missing = count
        self.waiting = waiting

    def answered(self, index: int, answer: Answer) -> None:
        self.answers[index] = answer
        self.missing -= 1
        if not self.missing and not self.waiting.done():
            self.waiting.set_result([one for one in self.answers if one is not None])

    def failed(self, error: SiteHaulError) -> None:
        if not self.waiting.done():
            self.waiting.set_exception(error)
            self.waiting.exception()  # seen by whoever waits; nobody may


class Channel(asyncssh.SSHClientSession[bytes]):
    """Exchanges messages. Made by `connectors.sftp.connecting`; `start` comes first."""

    def __init__(self, connection: asyncssh.SSHClientConnection, server: str, timeout_seconds: float) -> None:
        """`server` is what it is called in messages."""
        self.connection = connection
        self._server = server
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._pipe: asyncssh.SSHClientChannel[bytes] | None = None
        self._numbers = 0
        self._exchanges: dict[int, tuple[_Exchange, int]] = {}
        self._sending: list[bytes | memoryview] = []
        self._received: deque[bytes] = deque()
        self._received_bytes = 0
        self._needed_bytes = 4
        self._greeting: asyncio.Future[frozenset[tuple[bytes, bytes]]] = self._loop.create_future()
        self._extensions: frozenset[tuple[bytes, bytes]] = frozenset()
        self._heard_at = self._loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._error: SiteHaulError | None = None
        self.read_bytes = _SAFE_BYTES
        self.write_bytes = _SAFE_BYTES

    @property
    def is_alive(self) -> bool:
        """Whether nobody has noticed that it is gone."""
        return self._error is None

    @property
    def load(self) -> int:
        """How many requests wait for their answers."""
        return len(self._exchanges)

    @property
    def software(self) -> str:
        """What the server says it is, such as OpenSSH_9.2p1."""
        return str(self.connection.get_extra_info("server_version", "")).removeprefix("SSH-2.0-")

    def supports(self, extension: str) -> bool:
        """Whether the server announced the extension, in the version that is used here."""
        name, _, version = extension.partition("=")
        return (name.encode(), version.encode()) in self._extensions

    async def start(self) -> None:
        """Agree on the version. RetryableError `unreachable`, FatalError `not-sftp`."""
        assert self._pipe is not None
        self._watch_over()
        self._pipe.write(sftp.init())
        self._extensions = await self._greeting
        if self.supports("limits@openssh.com=1"):
            [answer] = await self.exchange(sftp.ask_limits())
            if not answer.status:
                reading, writing = sftp.limits(answer)
                self.read_bytes = min(reading or _SAFE_BYTES, BLOCK_BYTES_MAX)
                self.write_bytes = min(writing or _SAFE_BYTES, BLOCK_BYTES_MAX)

    async def exchange(self, *requests: Request) -> list[Answer]:
        """Send the requests together, and give the answer to each. RetryableError `unreachable` when they do not all
        come; what was done then is unknown. Cancelled, it waits for them first, so that what comes next comes after."""
        waiting = self.send(*requests)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            await settled(waiting)
            raise

    async def open(self, *requests: Request) -> Answer:
        """The answer to the last of these requests, which opens something. Cancelled, it closes it again."""
        waiting = self.send(*requests)
        try:
            return (await asyncio.shield(waiting))[-1]
        except asyncio.CancelledError:
            await settled(waiting)
            if waiting.exception() is None and sftp.is_handle(waiting.result()[-1]):
                self.send(sftp.close(sftp.handle(waiting.result()[-1])))
            raise

    def send(self, *requests: Request) -> "asyncio.Future[list[Answer]]":
        """The same without waiting. The future is not to be cancelled."""
        exchange = _Exchange(len(requests), self._loop.create_future())
        if self._error is not None:
            exchange.failed(lost(self._server, "it has ended"))
            return exchange.waiting
        if not self._exchanges:
            self._heard_at = self._loop.time()
        if not self._sending:
            # What others want to send in the same turn of the loop travels in the same packets.
            self._loop.call_soon(self._flush)
        for index, request in enumerate(requests):
            self._numbers = (self._numbers + 1) % _NUMBERS
            self._exchanges[self._numbers] = (exchange, index)
            self._sending += sftp.packed(self._numbers, request)
        return exchange.waiting

    def close(self) -> None:
        """Close it; whoever waits for an answer gets an error."""
        self.connection.close()
        self._end(lost(self._server, "it was closed"))

    def connection_made(self, chan: "asyncssh.SSHClientChannel[bytes]") -> None:
        self._pipe = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is not None or self._error is not None:
            return  # what the server writes for people
        self._heard_at = self._loop.time()
        self._received.append(data)
        self._received_bytes += len(data)
        if self._received_bytes < self._needed_bytes:
            return
        try:
            self._take_apart()
        except NotSftp as error:
            _log.info("%s: %s", self._server, error)
            self._end(not_sftp(self._server))

    def eof_received(self) -> bool:
        self._end(lost(self._server, "the server ended the session"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        reason = getattr(exc, "reason", None) or str(exc or "the server closed it")
        self._end(lost(self._server, str(reason).rstrip(".")))

    def _flush(self) -> None:
        pieces, self._sending = self._sending, []
        if self._error is not None or self._pipe is None:
            return
        try:
            self._pipe.write(b"".join(pieces))
        except OSError as error:
            self._end(lost(self._server, str(error)))

    def _take_apart(self) -> None:
        """Every whole message in what was received."""
        whole = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        view, at = memoryview(whole), 0
        while True:
            rest = len(whole) - at
            self._needed_bytes = 4 if rest < 4 else 4 + int.from_bytes(view[at : at + 4], "big")
            if self._needed_bytes > _MESSAGE_BYTES_MAX:
                raise NotSftp(f"a message of {self._needed_bytes} bytes")
            if rest < self._needed_bytes or rest < 4:
                break
            self._message(view[at + 4 : at + self._needed_bytes])
            at += self._needed_bytes
        self._received.clear()
        self._received_bytes = rest
        if rest:
            self._received.append(whole[at:])

    def _message(self, message: memoryview) -> None:
        if len(message) < 5:
            raise NotSftp("a message is too short")
        if not self._greeting.done():
            self._greeting.set_result(sftp.greeting(message[0], message[1:]))
            return
        exchange, index = self._exchanges.pop(int.from_bytes(message[1:5], "big"), (None, 0))
        if exchange is None:
            raise NotSftp("an answer to nothing that was asked")
        exchange.answered(index, Answer(message[0], message[5:]))

    def _watch_over(self) -> None:
        """A server that answers nothing for too long counts as gone."""
        if self._error is not None:
            return
        silent = self._loop.time() - self._heard_at
        if (self._exchanges or not self._greeting.done()) and silent >= self._timeout_seconds:
            self._end(lost(self._server, f"it did not answer for {self._timeout_seconds:.0f} seconds"))
            return
        self._watch = self._loop.call_later(max(self._timeout_seconds / 4, 0.05), self._watch_over)

    def _end(self, error: SiteHaulError) -> None:
        if self._error is not None:
            return
        self._error = error
        if self._watch is not None:
            self._watch.cancel()
        exchanges, self._exchanges = self._exchanges, {}
        for exchange, _ in exchanges.values():
            exchange.failed(type(error)(error.code, error.message, fix=error.fix))
        if not self._greeting.done():
            self._greeting.set_exception(error)
            self._greeting.exception()
        self.connection.abort()


async def settled(waiting: "asyncio.Future[list[Answer]]") -> None:
    """Wait until everything is answered, through any number of cancellations."""
    while not waiting.done():
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError:
            continue
