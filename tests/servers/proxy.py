"""A TCP proxy that is slow or breaks, before any server.

Faults (`proxy.faults([...])`, rules as in `tests.servers.rules`, counted over the connections made from then on):
`refuse` (closed as soon as it is made), `cut` (reset) and `stall` (nothing more is passed on, until `release`), both
`after_up_bytes` from the client or `after_down_bytes` from the server, by default before the first byte from the
client. A cut after N bytes passes on at most N; what it loses of them nobody can tell, as on a real line.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from tests.servers.loops import served
from tests.servers.programs import listens, started
from tests.servers.rules import Rules

_AFTER = frozenset({"after_up_bytes", "after_down_bytes"})
FAULTS = {"refuse": frozenset[str](), "cut": _AFTER, "stall": _AFTER}
_HELD_BYTES_MAX = 16 * 2**20
"""How much one direction of a slow connection may hold: what a fast long line has in flight."""
_RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class _State:
    port: int
    latency_ms: float
    rules: Rules = field(default_factory=lambda: Rules(FAULTS))
    connections: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    open: set["_Line"] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy. Its methods may be called from any thread."""

    host: str
    port: int
    _state: _State
    _loop: asyncio.AbstractEventLoop

    def url(self, url: str) -> str:
        """The url of a server behind it, led through it. Signatures that cover the host must be made for this url."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{self.host}:{self.port}"))

    def faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the fault script; an empty one ends all faults. Raises ValueError for a rule that makes no sense."""
        self._state.rules.load(rules)

    def slow(self, latency_ms: float) -> None:
        """What a round trip costs from now on: half of it each way."""
        self._state.latency_ms = latency_ms

    def cut_all(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(lambda: _cut_all(self._state))

    def release(self) -> None:
        """Let stalled connections go on."""
        self._loop.call_soon_threadsafe(lambda: _release_all(self._state))

    @property
    def connections(self) -> int:
        """How many connections have been made so far."""
        return self._state.connections

    @property
    def up_bytes(self) -> int:
        """How many bytes clients have sent so far."""
        return self._state.up_bytes

    @property
    def down_bytes(self) -> int:
        """How many bytes the server has sent so far."""
        return self._state.down_bytes


class _Line:
    """A connection of a client and the one to the server that belongs to it."""

    def __init__(self, state: _State) -> None:
        self.state = state
        self.up, self.down = _Way(self, "up"), _Way(self, "down")
        self.rule = state.rules.pick("connection", "") or {}
        self.stalled = False
        state.connections += 1
        state.open.add(self)

    def limit(self, name: str) -> int | None:
        """After how many bytes of this direction the fault strikes."""
        if not self.rule or self.rule["fault"] == "refuse":
            return None
        after = self.rule.get(f"after_{name}_bytes")
        if after is None and name == "up" and "after_down_bytes" not in self.rule:
            return 0
        return None if after is None else int(after)

    def strike(self) -> None:
        if self.rule["fault"] == "cut":
            self.cut()
        else:
            self.stalled = True

    def release(self) -> None:
        self.stalled, self.rule = False, {}
        self.up.pass_on()
        self.down.pass_on()

    def cut(self) -> None:
        self.state.open.discard(self)
        for way in (self.up, self.down):
            way.reset()


class _Way(asyncio.Protocol):
    """One direction: receives from its transport, writes to the other direction's."""

    def __init__(self, line: _Line, name: str) -> None:
        self._line, self._name = line, name
        self.transport: asyncio.Transport | None = None
        self._held: deque[tuple[float, bytes | None]] = deque()
        self._held_bytes = self._passed = 0
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._connecting: asyncio.Task[None] | None = None

    @property
    def _other(self) -> "_Way":
        return self._line.down if self._name == "up" else self._line.up

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=4 * 2**20)
        if self._name == "up":
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        else:
            self._other.pass_on()

    async def _connect(self) -> None:
        if self._line.rule.get("fault") == "refuse":
            self._line.cut()
            return
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self._line.down, "127.0.0.1", self._line.state.port
            )
        except OSError:
            self._line.cut()

    def data_received(self, data: bytes) -> None:
        if self._name == "up":
            self._line.state.up_bytes += len(data)
        else:
            self._line.state.down_bytes += len(data)
        self._hold(data)

    def eof_received(self) -> bool:
        self._hold(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._line.cut()
        else:
            self._hold(None)
        self._line.state.open.discard(self._line)

    def pause_writing(self) -> None:
        self._other.set_paused(True)

    def resume_writing(self) -> None:
        self._other.set_paused(False)

    def set_paused(self, paused: bool) -> None:
        self._paused = paused
        if self.transport is not None and not self.transport.is_closing():
            (self.transport.pause_reading if paused else self.transport.resume_reading)()

    def _hold(self, data: bytes | None) -> None:
        due = asyncio.get_running_loop().time() + self._line.state.latency_ms / 2000
        self._held.append((due, data))
        self._held_bytes += len(data or b"")
        if self._held_bytes > _HELD_BYTES_MAX and not self._paused:
            self.set_paused(True)
        self.pass_on()

    def pass_on(self) -> None:
        """Write what is due."""
        loop = asyncio.get_running_loop()
        if self._other.transport is None:
            return
        was_full = self._held_bytes > _HELD_BYTES_MAX
        while self._held and not self._line.stalled and self._held[0][0] <= loop.time():
            data = self._held.popleft()[1]
            self._held_bytes -= len(data or b"")
            self._write(data)
        if was_full and self._held_bytes <= _HELD_BYTES_MAX:
            self.set_paused(False)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held and not self._line.stalled:
            self._timer = loop.call_at(self._held[0][0], self.pass_on)

    def _write(self, data: bytes | None) -> None:
        out, limit = self._other.transport, self._line.limit(self._name)
        if out is None or out.is_closing():
            return  # nobody is there to have it
        if data is None:
            if out.can_write_eof():
                out.write_eof()
            return
        if limit is not None and self._passed + len(data) > limit:
            kept = limit - self._passed
            if kept:
                out.write(data[:kept])
            self._passed = limit
            self._held.appendleft((0.0, data[kept:]))
            self._held_bytes += len(data) - kept
            self._line.strike()
            return
        self._passed += len(data)
        out.write(data)

    def reset(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._held.clear()
        if self.transport is not None and not self.transport.is_closing():
            connection = self.transport.get_extra_info("socket")
            if connection is not None and not self.transport.get_write_buffer_size():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()


def _cut_all(state: _State) -> None:
    for line in list(state.open):
        line.cut()


def _release_all(state: _State) -> None:
    for line in list(state.open):
        line.release()


@contextlib.contextmanager
def running(port: int, *, latency_ms: float = 0.0) -> Iterator[Proxy]:
    """A proxy before the server on this port of 127.0.0.1 until the block ends; `latency_ms` is of a round trip."""
    state = _State(port, latency_ms)

    async def serve() -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(lambda: _Line(state).up, "127.0.0.1", 0, backlog=1024)

    with served("proxy", serve, lambda: _cut_all(state)) as (own_port, loop):
        yield Proxy("127.0.0.1", own_port, state, loop)


@contextlib.contextmanager
def apart(folder: Path, port: int, *, latency_ms: float) -> Iterator[int]:
    """The port of such a proxy in a process of its own, which costs the caller no processor time: for benchmarks."""
    words = [sys.executable, "-m", "tests.servers.proxy", str(port), str(latency_ms)]
    paths = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with started("proxy", lambda ports: [*words, str(ports[0])], folder=folder, environment=paths,
                 ready=lambda ports: listens(ports[0])) as server:  # fmt: skip
        yield server.ports[0]


async def _apart(port: int, latency_ms: float, own_port: int) -> None:
    state = _State(port, latency_ms)
    loop = asyncio.get_running_loop()
    await (await loop.create_server(lambda: _Line(state).up, "127.0.0.1", own_port, backlog=1024)).serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_apart(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
