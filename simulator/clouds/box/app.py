"""Which operation answers which call of a simulated Box."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.clouds.box import checks, downloads, events, files, folders, sessions, shapes, trash, uploads
from simulator.clouds.box.errors import Refused, method_not_allowed, over_limit, over_quota, read_only, unauthorized
from simulator.clouds.box.state import HOSTS, Box
from simulator.web import Answer, Call

Operation = Callable[[Box, Call, re.Match[str]], Awaitable[Answer]]
_FIELDS = ("fields",)
_PAGE = ("fields", "usemarker", "marker", "offset", "limit", "sort", "direction")
_SERVER_ERRORS = {
    "500": ("internal_server_error", "Internal Server Error"), "502": ("bad_gateway", "Bad Gateway"),
    "503": ("unavailable", "Unavailable"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    operation: Operation
    query: tuple[str, ...]


async def me(box: Box, call: Call, _: re.Match[str]) -> Answer:
    """GET /users/me."""
    shape = shapes.user(box.world, box.switches.quota_bytes, box.switches.file_bytes_max)
    fields = call.first("fields")
    if fields:
        shape = {name: shape[name] for name in ("type", "id", *fields.split(",")) if name in shape}
    return Answer.json(shape)


def _route(method: str, pattern: str, operation: Operation, query: tuple[str, ...] = ()) -> _Route:
    return _Route(method, re.compile(rf"/2\.0{pattern}"), operation, query)


_ITEM = "([^/]+)"
_SESSION = "/files/upload_sessions/([^/]+)"
_API = (
    _route("GET", "/users/me", me, _FIELDS),
    _route("GET", "/events", events.events, (
        "stream_type", "stream_position", "limit", "event_type", "created_after", "created_before",
    )),
    _route("OPTIONS", "/files/content", uploads.preflight),
    _route("OPTIONS", f"/files/{_ITEM}/content", uploads.preflight_version),
    _route("POST", "/folders", folders.create, _FIELDS),
    _route("GET", "/folders/trash/items", trash.items, _PAGE),
    _route("GET", f"/(files|folders)/{_ITEM}/trash", trash.get, _FIELDS),
    _route("DELETE", f"/(files|folders)/{_ITEM}/trash", trash.purge),
    _route("GET", f"/folders/{_ITEM}", folders.get, ("fields", "sort", "direction", "offset", "limit")),
    _route("GET", f"/folders/{_ITEM}/items", folders.items, _PAGE),
    _route("PUT", f"/folders/{_ITEM}", folders.update, _FIELDS),
    _route("DELETE", f"/folders/{_ITEM}", folders.delete, ("recursive",)),
    _route("POST", f"/folders/{_ITEM}/copy", folders.copy, _FIELDS),
    _route("GET", f"/files/{_ITEM}", files.get, _FIELDS),
    _route("PUT", f"/files/{_ITEM}", files.update, _FIELDS),
    _route("DELETE", f"/files/{_ITEM}", files.delete),
    _route("POST", f"/files/{_ITEM}/copy", files.copy, _FIELDS),
    _route("GET", f"/files/{_ITEM}/content", downloads.start, ("version", "access_token")),
    _route("GET", f"/files/{_ITEM}/versions", files.versions, ("fields", "limit", "offset")),
    _route("POST", f"/files/{_ITEM}/versions/current", files.promote, _FIELDS),
    _route("GET", f"/files/{_ITEM}/versions/{_ITEM}", files.one_version, _FIELDS),
    _route("POST", f"/(files|folders)/{_ITEM}", trash.restore, _FIELDS),
)  # fmt: skip
_UPLOAD = (
    _route("POST", "/files/content", uploads.create, ("fields", "upload_session_id")),
    _route("POST", "/files/upload_sessions", sessions.create),
    _route("GET", _SESSION, sessions.get),
    _route("PUT", _SESSION, sessions.upload_part),
    _route("DELETE", _SESSION, sessions.abort),
    _route("GET", f"{_SESSION}/parts", sessions.parts, ("offset", "limit")),
    _route("POST", f"{_SESSION}/plan", sessions.plan),
    _route("POST", f"{_SESSION}/commit", sessions.commit, _FIELDS),
    _route("POST", f"/files/{_ITEM}/content", uploads.add_version, ("fields", "upload_session_id")),
    _route("POST", f"/files/{_ITEM}/upload_sessions", sessions.create_version),
)
_DOWNLOAD = re.compile(r"/d/1/([^/]+)/download")


class BoxService(Box):
    """A simulated Box that answers calls."""

    async def answer(self, call: Call) -> Answer:
        """Box's answer to a call."""
        host = self.host_of(call.path)
        path = call.path[len(HOSTS[host]) :]
        try:
            if host == "download":
                return await self._download(call, path)
            if host == "account" or path in ("/oauth2/token", "/oauth2/revoke"):
                return await self._signed_in(call, path)
            return await self._operation(call, path, _UPLOAD if host == "upload" else _API)
        except Refused as refused:
            return refused.answer()

    async def _download(self, call: Call, path: str) -> Answer:
        found = _DOWNLOAD.fullmatch(path)
        if found is None or call.method not in ("GET", "HEAD"):
            return Answer.text("Not Found", 404)
        return await downloads.serve(self, call, found)

    async def _signed_in(self, call: Call, path: str) -> Answer:
        if (call.method, path) == ("GET", "/authorize"):
            return self.sign_in.authorize(call)
        if call.method != "POST" or not path.startswith("/oauth2/"):
            raise method_not_allowed()
        fields = await call.fields()
        if path == "/oauth2/revoke":
            return self.sign_in.revoke(fields)
        return self.sign_in.token(fields, self.switches.token_lifetime_seconds, self.clock.now())

    async def _operation(self, call: Call, path: str, routes: tuple[_Route, ...]) -> Answer:
        token = call.bearer
        if token is None and path.endswith("/content"):
            token = call.first("access_token")
        if self.tokens.grant(token, "access") is None:
            return unauthorized(with_body=self.switches.unauthorized_body)
        for route in routes:
            found = route.pattern.fullmatch(path) if route.method == call.method else None
            if found is not None:
                checks.allowed_query(call, route.query)
                return await route.operation(self, call, found)
        raise method_not_allowed()

    def refusal(self, kind: str, call: Call, values: Mapping[str, Any]) -> Answer:  # noqa: ARG002 - the same for all
        """How Box says what a scripted fault or the limit of calls wants said."""
        wait = values.get("retry_after")
        if kind == "429":
            return over_limit(1 if wait is None else int(wait)).answer()
        if kind == "401":
            return unauthorized(with_body=self.switches.unauthorized_body)
        if kind == "403":
            return read_only().answer()
        if kind == "404":
            return Refused(404, "not_found", "Not Found").answer()
        if kind == "quota":
            return over_quota().answer()
        code, message = _SERVER_ERRORS[kind]
        waits = [(b"retry-after", str(wait).encode())] if kind == "503" and wait is not None else []
        return Refused(int(kind), code, message, headers=waits).answer()
