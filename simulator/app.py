"""The ASGI application behind every port: which host is asked, its latency, its scripted faults, its log."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from simulator import api, blob, control, faulty, oauth, peer, storage
from simulator.faults import Fault
from simulator.sending import Receive, Send, end_connection, send_answer, send_badly
from simulator.state import Observer, State
from simulator.web import Answer, Call

Handler = Callable[[State, Call], Awaitable[Answer]]

_HANDLERS: dict[str, Handler] = {
    "login": oauth.handle, "api": api.handle, "storage": storage.handle, "blob": blob.handle, "peer": peer.handle,
    "control": control.handle,
}  # fmt: skip


class Application:
    """Serves one simulated Procore on several ports, told apart by the port a request arrived at."""

    def __init__(self, state: State, hosts: Mapping[int, str]) -> None:
        self._state = state
        self._hosts = hosts

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        state, host = self._state, self._hosts[scope["server"][1]]
        call = Call.of(scope, receive)
        if host == "control":
            await send_answer(await control.handle(state, call), state.clock.now(), call, send)
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
            await end_connection(call, reset=True)
        elif cut is None:
            await send_answer(answer, state.clock.now(), call, send)
        else:
            await send_badly(answer, cut, state.clock.now(), call, send)

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
