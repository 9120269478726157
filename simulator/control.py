"""The control host, which no Procore has: ground truth, switches, faults, time, log and edits, for tests."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from simulator import edits, truth
from simulator.state import State
from simulator.web import Answer, Call

_JSON_LINES = (b"content-type", b"application/x-ndjson")


async def handle(state: State, call: Call) -> Answer:
    """Answer one request: GET /truth, /settings, /faults, /log, PUT /settings, /faults, POST /faults, /clock, /edit or
    DELETE /log.

    400 with `{"error": …}` says what is wrong with a request.
    """
    try:
        return await _answered(state, call)
    except (ValueError, KeyError, TypeError) as error:
        return Answer.json({"error": f"{type(error).__name__}: {error}"}, 400)


async def _answered(state: State, call: Call) -> Answer:
    route = f"{call.method} {call.path}"
    if route == "GET /truth":
        hashes = call.flag("hashes") is not False
        return _lines(await truth.rows(state, int(call.first("project_id") or 0), hashes=hashes))
    if route == "GET /log":
        return _lines(state.log.lines())
    if route == "DELETE /log":
        state.log.clear()
        return Answer.json({})
    if route == "GET /settings":
        return Answer.json(state.settings.described())
    if route == "GET /faults":
        return Answer.json(state.faults.described())
    return _changed(state, route, json.loads(await call.raw() or b"null"))


def _changed(state: State, route: str, value: Any) -> Answer:
    if route == "PUT /settings":
        state.change_settings(value)
        return Answer.json(state.settings.described())
    if route in ("PUT /faults", "POST /faults"):
        (state.faults.load if route == "PUT /faults" else state.faults.extend)(value)
        return Answer.json(state.faults.described())
    if route == "POST /clock":
        state.advance(float(value["advance_seconds"]))
        return Answer.json({"now": state.clock.now()})
    if route == "POST /edit":
        return Answer.json(edits.edit(state, value))
    return Answer.json({"error": f"there is no {route}"}, 404)


def _lines(values: Iterable[dict[str, Any]]) -> Answer:
    def encoded() -> Iterator[bytes]:
        batch: list[bytes] = []
        for value in values:
            batch.append(json.dumps(value).encode())
            if len(batch) >= 1000:
                yield b"\n".join(batch) + b"\n"
                batch.clear()
        if batch:
            yield b"\n".join(batch) + b"\n"

    return Answer(200, encoded(), [_JSON_LINES])
