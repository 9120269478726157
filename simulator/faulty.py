"""What each scripted fault does to a call or its answer (API.md section 11.1).

Instead of an answer: `429-hour` and `429-spike` (`seconds` until the reset), `503` (`retry_after` seconds; null for no
header), `500`, `502`, `408`, `401`, `404`, `expired` (as each host says it), `html-200`, `foreign-redirect`
(`location`), `redirect-loop`, `reset` (the connection, before anything is done).

To the answer: `truncated`, `reset-mid-body` and `stall` (`seconds`) after `after_bytes` (half the body by default);
`slow` (`bytes_per_second`); `short-length` and `too-long` (`extra_bytes`), whose Content-Length agrees with the wrong
body; `corrupt` (one byte at `after_bytes`); `lost-response` (all is done and committed, the connection then cut);
`range-ignored`; `etag-changed` (the object became another one); `wrong-total` (`delta`) and, in the entries of a page,
`duplicate-entries` (the first again at the end), `missing-entries` (the middle one), `reordered-entries` (reversed).
"""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulator.content import xml_error
from simulator.faults import Fault
from simulator.limits import OVER_LIMIT_TEXT, WindowState
from simulator.oauth import valid_token, window_key
from simulator.state import State
from simulator.storage import redirect
from simulator.web import Answer, Call, Header

UNDONE = frozenset({"reset"})
"""The connection is cut before the host has done anything."""
UNANSWERED = frozenset({"lost-response"})
"""The connection is cut after the host has done everything."""
_ENTRY_FAULTS = frozenset({"duplicate-entries", "missing-entries", "reordered-entries"})
_HTML = b"<!DOCTYPE html><html><head><title>Procore</title></head><body><h1>Please sign in</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the sending of a body goes wrong, and how."""

    after_bytes: int
    how: str
    seconds: float


def instead(state: State, host: str, call: Call, fault: Fault) -> Answer | None:
    """The answer a fault gives in place of the host's own; None if the host is asked. The API host counts the call."""
    answer = _refusal(state, host, call, fault)
    if answer is not None and host == "api":
        answer.headers += _rate_headers(state, call, fault)
    return answer


def _refusal(state: State, host: str, call: Call, fault: Fault) -> Answer | None:
    name = fault.name
    if name in ("429-hour", "429-spike"):
        return Answer.text(OVER_LIMIT_TEXT, 429)
    if name == "503":
        seconds = fault.values.get("retry_after", 1)
        answer = Answer.text("Service Unavailable", 503)
        answer.headers += [] if seconds is None else [(b"retry-after", str(seconds).encode())]
        return answer
    if name in ("500", "502", "408"):
        text = {"500": "Internal Server Error", "502": "Bad Gateway", "408": "Request Timeout"}[name]
        return Answer.text(f"<html><body><h1>{name} {text}</h1></body></html>", int(name), "text/html")
    if name in ("401", "404", "expired"):
        return _denied(host, name)
    if name == "html-200":
        return Answer(200, _HTML, [(b"content-type", b"text/html; charset=utf-8")])
    if name == "foreign-redirect":
        return redirect(str(fault.values.get("location", f"{state.urls['peer']}/foreign")))
    if name == "redirect-loop":
        query = call.scope["query_string"].decode("latin-1")
        return redirect(f"{state.urls[host]}{call.scope['raw_path'].decode('latin-1')}?{query}")
    return None


def _denied(host: str, name: str) -> Answer:
    if host == "blob":
        if name == "404":
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")
        status = 401 if name == "401" else 403
        return xml_error(status, "AccessDenied", "Request has expired" if name == "expired" else "Access Denied")
    if host == "storage" and name == "expired":
        return Answer.text("This link has expired.", 403)
    if name == "404":
        return Answer.json({"errors": "Not Found"}, 404)
    return Answer.json({"errors": "The access token is invalid"}, 401)


def _rate_headers(state: State, call: Call, fault: Fault) -> list[Header]:
    row = valid_token(state, call.bearer)
    _, window = state.limits.count("" if row is None else window_key(row, call, state.settings), state.settings)
    if fault.name in ("429-hour", "429-spike"):
        hour = fault.name == "429-hour"
        limit = state.settings.hourly_calls if hour else state.settings.spike_calls
        seconds = fault.number("seconds", 3600.0 if hour else 10.0)
        window = WindowState(limit, 0, math.ceil(state.clock.now() + seconds))
    return window.headers()


def prepare(call: Call, fault: Fault) -> None:
    """What the host has to see differently for the fault to happen."""
    call.fault = fault.name
    if fault.name == "range-ignored":
        call.headers.pop("range", None)


def spoil(answer: Answer, fault: Fault) -> Cut | None:
    """Change an answer as the fault wants it; where its sending shall go wrong, if it shall."""
    name = fault.name
    if name == "wrong-total":
        answer.headers = [
            (key, str(int(value) + int(fault.number("delta", 1))).encode()) if key == b"total" else (key, value)
            for key, value in answer.headers
        ]
    elif name in _ENTRY_FAULTS:
        _spoil_entries(answer, name)
    elif name in ("short-length", "too-long", "corrupt"):
        _spoil_body(answer, fault)
    elif name == "slow":
        answer.body, answer.length = _pieces(answer), _length(answer)
        answer.bytes_per_second = fault.number("bytes_per_second", 10_000.0)
    elif name in ("truncated", "reset-mid-body", "stall"):
        after = int(fault.number("after_bytes", _length(answer) // 2))
        return Cut(min(after, _length(answer)), name, fault.number("seconds", 3600.0))
    return None


def _spoil_entries(answer: Answer, name: str) -> None:
    if not isinstance(answer.body, bytes) or answer.status != 200:
        return
    page = json.loads(answer.body)
    entries: Any = page["data"] if isinstance(page, dict) and "data" in page else page
    if not isinstance(entries, list) or not entries:
        return
    if name == "duplicate-entries":
        entries.append(entries[0])
    elif name == "missing-entries":
        del entries[len(entries) // 2]
    else:
        entries.reverse()
    answer.body = json.dumps(page, ensure_ascii=False).encode()
    answer.length = None


def _spoil_body(answer: Answer, fault: Fault) -> None:
    length = _length(answer)
    place = min(int(fault.number("after_bytes", length // 2)), length)
    pieces = _pieces(answer)
    if fault.name == "short-length":
        answer.body, answer.length = cut_off(pieces, place), place
    elif fault.name == "too-long":
        extra = int(fault.number("extra_bytes", 1000))
        answer.body, answer.length = itertools.chain(pieces, [b"\x00" * extra]), length + extra
    elif length:
        answer.body, answer.length = _flipped(pieces, min(place, length - 1)), length


def _length(answer: Answer) -> int:
    return answer.length if answer.length is not None else len(answer.body) if isinstance(answer.body, bytes) else 0


def _pieces(answer: Answer) -> Iterator[bytes]:
    return iter([answer.body]) if isinstance(answer.body, bytes) else answer.body


def cut_off(pieces: Iterator[bytes], length: int) -> Iterator[bytes]:
    """The first bytes of a body."""
    for piece in pieces:
        yield piece[:length]
        length -= len(piece)
        if length <= 0:
            return


def _flipped(pieces: Iterator[bytes], place: int) -> Iterator[bytes]:
    for piece in pieces:
        if 0 <= place < len(piece):
            yield piece[:place] + bytes([piece[place] ^ 0xFF]) + piece[place + 1 :]
        else:
            yield piece
        place -= len(piece)
