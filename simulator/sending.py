"""How answers leave: at once, paced, cut off in the middle, or not at all."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from email.utils import formatdate
from typing import Any

from simulator.faulty import Cut, cut_off
from simulator.transport import close_with_reset
from simulator.web import Answer, Call

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

_PIECE_BYTES = 64 * 1024


async def send_answer(answer: Answer, now: float, call: Call, send: Send) -> None:
    """Send an answer completely; `now` is the time its Date header says, in Unix seconds."""
    await send(_start(answer, now))
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


async def send_badly(answer: Answer, cut: Cut, now: float, call: Call, send: Send) -> None:
    """Send an answer up to where the cut is, and end the connection as the cut says."""
    await send(_start(answer, now))
    body = iter([answer.body]) if isinstance(answer.body, bytes) else answer.body
    await _send_pieces(cut_off(body, cut.after_bytes), call, send)
    if cut.how == "stall":
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(cut.seconds):
                await _disconnected(call)
    await end_connection(call, reset=cut.how == "reset-mid-body")


def _start(answer: Answer, now: float) -> dict[str, Any]:
    headers = list(answer.headers)
    length = answer.length
    if length is None and isinstance(answer.body, bytes):
        length = len(answer.body)
    if length is not None and answer.status not in (204, 304):
        headers.append((b"content-length", str(length).encode()))
    headers.append((b"date", formatdate(now, usegmt=True).encode()))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


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


async def end_connection(call: Call, *, reset: bool) -> None:
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
