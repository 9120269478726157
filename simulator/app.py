"""The ASGI application behind every port: which host is asked, its latency, its scripted faults, its log."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from email.utils import formatdate
from typing import Any

from simulator import api, blob, control, faulty, oauth, peer, storage
from simulator.faults import Fault
from simulator.state import Observer, State
from simulator.transport import close_with_reset
from simulator.web import Answer, Call

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Handler = Callable[[State, Call], Awaitable[Answer]]

_HANDLERS: dict[str, Handler] = {
    "login": oauth.handle, "api": api.handle, "storage": storage.handle, "blob": blob.handle, "peer": peer.handle,
    "control": control.handle,
}  # fmt: skip
_PIECE_BYTES = 64 * 1024


class Application:
    """Serves one simulated Procore on several ports, told apart by the port a request arrived at."""

    def __init__(self, state: State, hosts: Mapping[int, str]) -> None:
        self._state = state
        self._hosts = hosts

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        state, host = self._state, self._hosts[scope["server"][1]]
        call = Call.of(scope, receive)
        if host == "control":
            await self._send(await control.handle(state, call), call, send)
            return
        fault = state.faults.pick(host, call.method, call.path)
        if state.settings.latency_ms:
            await asyncio.sleep(state.settings.latency_ms / 1000)
        arrived_at = state.clock.now()
        answer, cut = await self._answered(host, call, fault)
        authorization, range_ = call.headers.get("authorization", ""), call.headers.get("range", "")
        status, name = 0 if answer is None else answer.status, "" if fault is None else fault.name
        state.log.add(arrived_at, host, scope, status, authorization, range_, name)
        if answer is None:
            await _cut(call, reset=True)
        elif cut is None:
            await self._send(answer, call, send)
        else:
            await self._send_badly(answer, cut, call, send)

    async def _answered(self, host: str, call: Call, fault: Fault | None) -> tuple[Answer | None, faulty.Cut | None]:
        """The answer and how its sending goes wrong; no answer: the connection is to be cut."""
        observer = self._state.observer
        if fault is None and host == "api" and observer is not None:
            return await _observed(self._state, call, observer), None
        if fault is None:
            return await _HANDLERS[host](self._state, call), None
        if fault.name in faulty.UNDONE:
            return None, None
        answer = faulty.instead(self._state, host, call, fault)
        if answer is not None:
            return answer, None
        faulty.prepare(call, fault)
        answer = await _HANDLERS[host](self._state, call)
        if fault.name in faulty.UNANSWERED:
            return None, None
        return answer, faulty.spoil(answer, fault)

    async def _send(self, answer: Answer, call: Call, send: Send) -> None:
        await send(self._start(answer))
        body = answer.body
        if isinstance(body, bytes):
            await send({"type": "http.response.body", "body": body})
            return
        if answer.bytes_per_second:
            await _send_paced(body, answer.bytes_per_second, call, send)
        else:
            await _send_pieces(body, call, send)
        if not _gone(call):
            await send({"type": "http.response.body", "body": b""})

    async def _send_badly(self, answer: Answer, cut: faulty.Cut, call: Call, send: Send) -> None:
        await send(self._start(answer))
        body = iter([answer.body]) if isinstance(answer.body, bytes) else answer.body
        await _send_pieces(faulty.cut_off(body, cut.after_bytes), call, send)
        if cut.how == "stall":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(cut.seconds):
                    await _disconnected(call)
        await _cut(call, reset=cut.how == "reset-mid-body")

    def _start(self, answer: Answer) -> dict[str, Any]:
        headers = list(answer.headers)
        length = answer.length
        if length is None and isinstance(answer.body, bytes):
            length = len(answer.body)
        if length is not None and answer.status not in (204, 304):
            headers.append((b"content-length", str(length).encode()))
        headers.append((b"date", formatdate(self._state.clock.now(), usegmt=True).encode()))
        return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def _observed(state: State, call: Call, observer: Observer) -> Answer:
    body = await call.raw()

    async def again() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    call.receive, receive = again, call.receive
    answer = await api.handle(state, call)
    call.receive = receive
    if answer.status >= 400 and state.settings.error_shape != "documented":
        return answer
    query = call.scope["query_string"].decode("latin-1")
    address = call.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    observer(call.method, address, call.headers, body, answer)
    return answer


async def _send_pieces(pieces: Iterator[bytes], call: Call, send: Send) -> None:
    for piece in pieces:
        if _gone(call):
            return
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _send_paced(pieces: Iterator[bytes], bytes_per_second: float, call: Call, send: Send) -> None:
    """Send no faster than the rate, in steps of at most a tenth of a second."""
    step = max(1, min(_PIECE_BYTES, int(bytes_per_second / 10)))
    begun, sent = time.monotonic(), 0
    for piece in pieces:
        for start in range(0, len(piece), step):
            part = piece[start : start + step]
            sent += len(part)
            await asyncio.sleep(max(0.0, begun + sent / bytes_per_second - time.monotonic()))
            if _gone(call):
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})


def _gone(call: Call) -> bool:
    return bool(call.scope["state"]["transport"].is_closing())


async def _cut(call: Call, *, reset: bool) -> None:
    """End the connection without completing the answer, and wait until it has ended."""
    transport = call.scope["state"]["transport"]
    if reset:
        close_with_reset(transport)
    else:
        transport.close()
    await _disconnected(call)


async def _disconnected(call: Call) -> None:
    while (await call.receive())["type"] != "http.disconnect":
        pass
