"""Which operation answers which call of a simulated Egnyte domain."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.clouds.egnyte import checks, content, events, fs, trash
from simulator.clouds.egnyte.errors import Refused, forbidden, gateway, not_found, refused
from simulator.clouds.egnyte.state import Egnyte
from simulator.clouds.egnyte.world import FIRST_NAME, LAST_NAME, USER_ID, USER_NAME
from simulator.web import Answer, Call, Header

Operation = Callable[[Egnyte, Call, re.Match[str]], Awaitable[Answer]]
_IDS = r"ids/(?P<kind>file|folder)/(?P<id>[^/]+)"
_FILE_ID = r"ids/file/(?P<id>[^/]+)"
_PATH = r"(?P<path>.*)"
_EVENTS = frozenset({"id", "folder", "suppress", "type", "count", "reverse"})
_TRASH = frozenset({"sort_by", "sort_direction", "count", "offset"})
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    operation: Operation
    query: frozenset[str]


async def user_info(_: Egnyte, __: Call, ___: re.Match[str]) -> Answer:
    """GET /pubapi/v1/userinfo."""
    return Answer.json({
        "id": USER_ID, "first_name": FIRST_NAME, "last_name": LAST_NAME, "username": USER_NAME,
        "email": "user@example.com", "user_type": "admin",
    })  # fmt: skip


async def revoke(egnyte: Egnyte, call: Call, _: re.Match[str]) -> Answer:
    """POST /pubapi/v1/tokens/revoke."""
    fields = await call.fields()
    if fields.get("client_secret") != egnyte.sign_in.client_secret:
        raise forbidden()
    return egnyte.sign_in.revoke(str(fields.get("token", "")))


def _route(method: str, pattern: str, operation: Operation, query: frozenset[str] = _NONE) -> _Route:
    return _Route(method, re.compile(rf"/pubapi/{pattern}", re.S), operation, query)


_BOTH = "(?P<version>v1|v2)"
_ENTRY = frozenset({"entry_id"})
_ROUTES = (
    _route("GET", "v1/userinfo", user_info),
    _route("POST", "v1/tokens/revoke", revoke),
    _route("GET", "v1/events/cursor", events.cursor),
    _route("GET", f"{_BOTH}/events", events.listing, _EVENTS),
    _route("GET", f"{_BOTH}/fs/trash", trash.listing, _TRASH),
    _route("GET", "v2/fs/trash/totalcount", trash.total),
    _route("POST", "v1/fs/trash", trash.action),
    _route("GET", f"{_BOTH}/fs/{_IDS}", fs.details_by_id, fs.DETAILS),
    _route("DELETE", f"{_BOTH}/fs/{_IDS}", fs.delete_by_id, _ENTRY),
    _route("GET", f"{_BOTH}/fs/{_PATH}", fs.details, fs.DETAILS),
    _route("POST", f"{_BOTH}/fs/{_PATH}", fs.action),
    _route("DELETE", f"{_BOTH}/fs/{_PATH}", fs.delete, _ENTRY),
    _route("GET", f"v1/fs-content/{_FILE_ID}", content.fetch_by_id, _ENTRY),
    _route("POST", f"v1/fs-content/{_FILE_ID}", content.upload_by_id),
    _route("GET", f"v1/fs-content/{_PATH}", content.fetch, _ENTRY),
    _route("POST", f"v1/fs-content/{_PATH}", content.upload),
    _route("POST", f"v1/fs-content-chunked/{_PATH}", content.upload_chunk),
)


class EgnyteService(Egnyte):
    """A simulated Egnyte domain that answers calls."""

    async def answer(self, call: Call) -> Answer:
        """Egnyte's answer to a call."""
        if call.path == "/puboauth/token":
            return await self._token(call)
        token = call.bearer
        if token is None or self.tokens.grant(token, "access") is None:
            return self.refusal("401", call, {})
        switches = self.switches
        refusal, headers = self.limits.count(
            token, switches.calls_per_second, switches.calls_per_day, switches.throttle_status
        )
        answer = await self._operation(call) if refusal is None else refusal
        answer.headers += headers
        return answer

    async def _token(self, call: Call) -> Answer:
        if call.method == "GET":
            return self.sign_in.authorize(call)
        if call.method != "POST":
            return gateway(405, "ERR_405_METHOD", "Method Not Allowed")
        lifetime, per_hour = self.switches.token_lifetime_seconds, self.switches.token_requests_per_hour
        return self.sign_in.token(await call.fields(), lifetime, per_hour, self.clock.now())

    async def _operation(self, call: Call) -> Answer:
        known = False
        try:
            for route in _ROUTES:
                found = route.pattern.fullmatch(call.path)
                known = known or found is not None
                if found is not None and route.method == call.method:
                    checks.allowed_query(call, route.query)
                    return await route.operation(self, call, found)
        except Refused as problem:
            return problem.answer()
        if known:
            return refused(405, "Method Not Allowed").answer()
        return gateway(596, "ERR_596_SERVICE_NOT_FOUND", "Service Not Found")

    def refusal(self, kind: str, call: Call, values: Mapping[str, Any]) -> Answer:  # noqa: ARG002 - the same for all
        """How Egnyte says what a scripted fault or the limit of calls wants said."""
        wait = values.get("retry_after")
        waits: list[Header] = [] if wait is None else [(b"retry-after", str(wait).encode())]
        if kind == "429" and self.switches.throttle_status == 429:
            return Answer.json({"errorMessage": "Too many requests"}, 429, waits)
        if kind == "429":
            return gateway(403, "ERR_403_DEVELOPER_OVER_QPS", "Developer Over Qps", waits)
        if kind == "401":
            return gateway(401, "ERR_401_INVALID_OR_EXPIRED_TOKEN", "Not Authorized")
        if kind == "quota":
            return forbidden("Storage quota exceeded").answer()
        if kind == "403":
            return forbidden().answer()
        if kind == "404":
            return not_found().answer()
        texts = {"500": "Internal Server Error", "502": "Bad Gateway", "503": "Service Unavailable"}
        answer = Answer.text(f"<h1>{texts[kind]}</h1>", int(kind), "text/html")
        answer.headers += waits if kind == "503" else []
        return answer
