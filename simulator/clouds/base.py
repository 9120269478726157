"""What every content cloud's stand-in shares: serving, log, switches, faults, throttling, and the handle tests hold.

A cloud is a `Service`: one object that lives in the server's loop, answers calls, and says how its vendor refuses. It
is served with `served(lambda url: MyService(url, switches))`, which gives a `Cloud`, usable from any thread.

Faults: rules as in `simulator/faults.py` (`route`, `method`, `nth`, `every`, `probability` with `seed`, `count`; `host`
by the names in `Service.hosts`, every host if absent), with the names of FAULTS here; what they do to an answer is
`simulator/faulty.py`'s.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

import orjson

from simulator.clock import SimulatedClock
from simulator.clouds.content import Content, Spool, download
from simulator.clouds.switches import Switches
from simulator.clouds.tokens import Grant, Tokens
from simulator.clouds.tree import Cycle, Entry, NameTaken, Path, Tree, Version, utc
from simulator.faults import Fault, FaultScript
from simulator.faulty import Cut, spoil
from simulator.sending import Receive, Send, end_connection, send_answer, send_badly
from simulator.server import bound_anywhere, serving_application
from simulator.web import Answer, Call

__all__ = [
    "Answer", "Call", "Cloud", "Content", "Cycle", "Entry", "Fault", "Gone", "Grant", "NameTaken", "Path", "Refused",
    "Service", "Spool", "Switches", "Tokens", "Tree", "Version", "chunks", "download", "json_answer", "json_object",
    "received", "served", "unknown", "utc",
]  # fmt: skip

REFUSALS = frozenset({"401", "403", "404", "429", "500", "502", "503", "quota"})
"""Faults that are the vendor's own refusals: `Service.refusal` makes them."""
FAULTS = REFUSALS | {
    "html-200", "reset", "lost-response", "truncated", "short-length", "stall", "slow", "corrupt",
}  # fmt: skip
_HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>"
_MINUTE = 60.0
S = TypeVar("S", bound=Switches)
T = TypeVar("T")


class Refused(Exception):
    """Raised anywhere below `Service.answer`: this is the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Gone(Exception):
    """The client left before its whole body was there; nothing is to be done."""


class Service(ABC, Generic[S]):
    """One cloud. All of it runs in the server's loop, so that nothing needs a lock.

    A derived class sets `self.tree` (the sample drive) before it is served or overrides the methods that use it, and
    fills `self.credentials`.
    """

    hosts: ClassVar[Mapping[str, str]] = {"api": ""}
    """The vendor's hosts and the path prefix that stands for each, the longest matching prefix counts."""
    tree: Tree

    def __init__(self, url: str, switches: S) -> None:
        self.url = url
        self.switches: S = switches
        self.clock = SimulatedClock()
        self.tokens = Tokens(self.clock)
        self.script = FaultScript(FAULTS, None)
        self.requests: deque[tuple[Any, ...]] = deque(maxlen=2_000_000)
        self.calls = 0
        self.credentials: dict[str, str] = {}
        self._prefixes = sorted(self.hosts.items(), key=lambda host: -len(host[1]))
        self._throttled: dict[str, deque[float]] = {}

    @abstractmethod
    async def answer(self, call: Call) -> Answer:
        """The vendor's answer to a call; Refused may be raised instead."""

    @abstractmethod
    def refusal(self, kind: str, call: Call, values: Mapping[str, Any]) -> Answer:
        """How the vendor refuses: `kind` is one of REFUSALS.

        `values["retry_after"]` may be there for 429 and 503: seconds for Retry-After, None for no such header.
        """

    def counted(self, call: Call) -> str | None:
        """Under which name a call counts against `calls_per_minute`; None = it does not count."""
        return call.bearer or ""

    def unfinished(self) -> int:
        """Upload sessions that are open."""
        return 0

    def started(self) -> None:
        """Called in the loop once the server is about to take calls."""

    def now(self) -> datetime:
        """The cloud's time."""
        return utc(self.clock.now())

    def host_of(self, path: str) -> str:
        """Which of `hosts` a path belongs to."""
        return next((host for host, prefix in self._prefixes if path.startswith(prefix)), "api")

    def plant(self, path: Path, content: bytes, modified_at: datetime) -> None:
        """Another person's upload: a new file, or a new version of the one that is there."""
        folder = self.tree.folders(path[:-1])
        there = self.tree.child(folder, path[-1])
        if there is None:
            self.tree.add_file(folder, path[-1], Content.of(content), modified_at)
        else:
            self.tree.add_version(there, Content.of(content), modified_at)

    def plant_folder(self, path: Path) -> None:
        """Another person's new folder, with those above it."""
        self.tree.folders(path)

    def remove(self, path: Path) -> None:
        """Another person's deletion: into the trash. Raises KeyError if nothing is there."""
        entry = self.tree.at(path)
        if entry is None:
            raise KeyError(path)
        self.tree.trash(entry)

    def trash(self) -> list[Path]:
        """Where the things in the trash were, oldest first."""
        return [self.tree.path(entry) for entry in self.tree.trashed()]

    def content(self, path: Path) -> bytes | None:
        """The current bytes of a file; None if there is none."""
        entry = self.tree.at(path)
        return None if entry is None or entry.is_folder else entry.current.content.read()

    def everything(self) -> set[Path]:
        """Every visible file."""
        return {path for path, _ in self.tree.files()}

    def throttle_seconds(self, call: Call) -> float | None:
        """How long a client has to wait before its next call is taken; None = it is taken now, and counted."""
        limit = self.switches.calls_per_minute
        name = None if limit is None else self.counted(call)
        if limit is None or name is None:
            return None
        now, times = self.clock.now(), self._throttled.setdefault(name, deque())
        while times and times[0] <= now - _MINUTE:
            times.popleft()
        if len(times) < limit:
            times.append(now)
            return None
        return times[0] + _MINUTE - now if times else _MINUTE

    def throttled_calls(self, call: Call) -> int:
        """How many calls of the last minute count against `calls_per_minute` for this client."""
        return len(self._throttled.get(self.counted(call) or "", ()))

    def has_room(self, more_bytes: int) -> bool:
        """Whether that much more fits under the quota."""
        return self.switches.quota_bytes is None or self.tree.used_bytes + more_bytes <= self.switches.quota_bytes


class Cloud:
    """A cloud that is being served. Its methods may be called from any thread but the server's own."""

    def __init__(self, service: Service[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.service = self._service = service
        """The cloud itself, for what only its own tests ask; touch it inside `do` only."""
        self._loop = loop
        self.url = service.url
        self.urls = {host: service.url + prefix for host, prefix in service.hosts.items()}
        self.credentials = dict(service.credentials)
        """What a client must present."""

    @property
    def calls(self) -> int:
        """Requests since the start."""
        return self._service.calls

    def settings(self, **switches: Any) -> None:
        """Change switches. Raises ValueError naming an unknown one."""

        def change() -> None:
            self._service.switches = self._service.switches.changed(switches)

        self.do(change)

    def faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the fault script; an empty one ends all faults. Raises ValueError for a rule that makes no sense."""
        self.do(lambda: self._service.script.load([dict(rule) for rule in rules]))

    def log(self) -> list[dict[str, Any]]:
        """Every request since the start or the last `clear_log`; status 0 = the connection was cut unanswered.

        Keys: method, path, query, status, started_at (Unix seconds), host (one of `urls`), range, fault.
        """
        return self.do(lambda: [_line(request) for request in self._service.requests])

    def clear_log(self) -> None:
        """Begin a new log; `calls` goes on."""
        self.do(self._service.requests.clear)

    def advance(self, seconds: float) -> None:
        """Move the cloud's time forwards: tokens, links and upload sessions grow old."""
        self.do(lambda: self._service.clock.advance(seconds))

    def expire_tokens(self) -> None:
        """Every access token handed out so far is refused from now on."""
        self.do(lambda: self._service.tokens.expire("access"))

    def plant(self, path: Path, content: bytes, modified_at: datetime) -> None:
        """Put a file (or a new version) there, as another person would, with the folders above it."""
        self.do(lambda: self._service.plant(path, content, modified_at))

    def plant_folder(self, path: Path) -> None:
        """Make a folder there with those above it."""
        self.do(lambda: self._service.plant_folder(path))

    def remove(self, path: Path) -> None:
        """Put what is there into the trash, as another person would. Raises KeyError if nothing is there."""
        self.do(lambda: self._service.remove(path))

    def trash(self) -> list[Path]:
        """Where the things in the trash were, oldest first."""
        return self.do(self._service.trash)

    def content(self, path: Path) -> bytes | None:
        """The current bytes of a file; None if there is none."""
        return self.do(lambda: self._service.content(path))

    def everything(self) -> set[Path]:
        """Every visible file."""
        return self.do(self._service.everything)

    def unfinished(self) -> int:
        """Upload sessions that are open: neither completed nor given up nor too old."""
        return self.do(self._service.unfinished)

    def do(self, what: Callable[[], T]) -> T:
        """Run something in the server's loop and wait for what it gives."""

        async def done() -> T:
            return what()

        return self.wait(done())

    def wait(self, what: Awaitable[T]) -> T:
        """Await something in the server's loop and give what it gives."""

        async def awaited() -> T:
            return await what

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()


class _Application:
    """The ASGI side of a service: latency, faults, throttling, log."""

    def __init__(self, service: Service[Any]) -> None:
        self._service = service

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        service, call = self._service, Call.of(scope, receive)
        host, started_at = service.host_of(call.path), service.clock.now()
        fault = service.script.pick(host, call.method, call.path)
        service.calls += 1
        if service.switches.latency_ms:
            await asyncio.sleep(service.switches.latency_ms / 1000)
        answer, cut = await self._answered(call, fault)
        service.requests.append((
            call.method, call.path, scope["query_string"], 0 if answer is None else answer.status, started_at, host,
            call.headers.get("range"), None if fault is None else fault.name,
        ))  # fmt: skip
        if answer is None:
            await end_connection(call, reset=True)
        elif cut is None:
            await send_answer(answer, service.clock.now(), call, send)
        else:
            await send_badly(answer, cut, service.clock.now(), call, send)

    async def _answered(self, call: Call, fault: Fault | None) -> tuple[Answer | None, Cut | None]:
        """The answer and how its sending goes wrong; no answer: the connection is to be cut."""
        if fault is None:
            return await self._own(call), None
        if fault.name in REFUSALS:
            return self._service.refusal(fault.name, call, {"retry_after": 1, **fault.values}), None
        if fault.name == "html-200":
            return Answer(200, _HTML, [(b"content-type", b"text/html; charset=utf-8")]), None
        if fault.name == "reset":
            return None, None
        answer = await self._own(call)
        if answer is None or fault.name == "lost-response":
            return None, None
        return answer, spoil(answer, fault)

    async def _own(self, call: Call) -> Answer | None:
        wait = self._service.throttle_seconds(call)
        try:
            if wait is not None:
                return self._service.refusal("429", call, {"retry_after": max(1, round(wait))})
            return await self._service.answer(call)
        except Refused as refused:
            return refused.answer
        except Gone:
            return None


@contextlib.contextmanager
def served(make: Callable[[str], Service[Any]], **server: Any) -> Iterator[Cloud]:
    """Serve the cloud that `make` makes for an address, in a thread of its own, until the block ends.

    `server` are further values of the server's own: with `ssl_certfile` and `ssl_keyfile` it speaks TLS.
    """
    bound = bound_anywhere()
    try:
        scheme = "https" if "ssl_certfile" in server else "http"
        service = make(f"{scheme}://127.0.0.1:{bound.getsockname()[1]}")
        with serving_application(_Application(service), [bound], **server) as loop:
            cloud = Cloud(service, loop)
            cloud.do(service.started)
            yield cloud
    finally:
        bound.close()


async def chunks(call: Call) -> AsyncGenerator[bytes, None]:
    """The body as it arrives. Raises Gone if the client leaves before its end."""
    more = True
    while more:
        message = await call.receive()
        if message["type"] == "http.disconnect":
            raise Gone
        if message.get("body"):
            yield message["body"]
        more = message.get("more_body", False)


async def received(call: Call) -> bytes:
    """The whole body. Raises Gone if the client leaves before its end."""
    return b"".join([chunk async for chunk in chunks(call)])


async def json_object(call: Call) -> dict[str, Any] | None:
    """The body as a JSON object, {} for none; None if it is something else. Raises Gone."""
    body = await received(call)
    try:
        value = orjson.loads(body) if body else {}
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def json_answer(value: Any, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
    """A JSON answer."""
    return Answer(status, orjson.dumps(value), [(b"content-type", b"application/json; charset=utf-8"), *headers])


def unknown(given: Mapping[str, Any], known: frozenset[str] | set[str]) -> list[str]:
    """The names that a vendor's description does not know, sorted."""
    return sorted(name for name in given if name not in known)


def _line(request: tuple[Any, ...]) -> dict[str, Any]:
    method, path, query, status, started_at, host, range_, fault = request
    return {
        "method": method, "path": path, "query": query.decode("latin-1"), "status": status, "started_at": started_at,
        "host": host, "range": range_, "fault": fault,
    }  # fmt: skip
