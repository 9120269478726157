"""A simulated Dropbox: which call goes where, and what every call has to satisfy.

Written from https://www.dropbox.com/developers/documentation/http/documentation and the published description of the
API's types. Each call is a POST; arguments are JSON in the body, or in the header Dropbox-API-Arg where the body is
bytes. The vendor's hosts are the path prefixes /api, /content, /notify and /www.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson

from simulator.clouds.base import Answer, Call, Content, Path, Refused, Service, received
from simulator.clouds.dropbox import files, listing, uploads
from simulator.clouds.dropbox.arguments import ARGUMENTS, checked
from simulator.clouds.dropbox.asked import Asked
from simulator.clouds.dropbox.errors import (
    ApiError,
    BadInput,
    PathProblem,
    Tagged,
    answer,
    bad,
    conflict,
    denied,
    tagged,
    throttled,
    within,
)
from simulator.clouds.dropbox.switches import DropboxSwitches
from simulator.clouds.dropbox.tokens import ACCOUNT_ID, OAuth
from simulator.clouds.dropbox.world import Entry, World, new_id

Handler = Callable[[Asked], Awaitable[Answer]]
ALLOCATED_BYTES = 2 * 1024**4
EMAIL = "amelie@sitehaul.example"
_TEXT_PLAIN = "text/plain; charset=dropbox-cors-hack"


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API."""

    host: str
    style: str
    """`rpc`, `upload` or `download`."""
    scope: str | None
    """What a token must allow; None: anybody may call, "" with any token, "app" with the app's pair."""
    handler: Handler


class Dropbox(Service[DropboxSwitches]):
    """One person's Dropbox, by default with a team's shared space."""

    hosts = {"api": "/api", "content": "/content", "notify": "/notify", "www": "/www"}  # noqa: RUF012 typed in the base

    def __init__(self, url: str, switches: DropboxSwitches) -> None:
        super().__init__(url, switches)
        self.world = World(self.now)
        self.home = self.world.root
        self.namespaces = {"3000": self.world.root}
        self.team_folder: Entry | None = None
        if switches.team_space:
            root = self.world.root
            self.home = self.world.add(root, Entry(new_id(), "Amelie Stein", root, True, namespace="4000"))
            self.team_folder = self.world.add(root, Entry(new_id(), "Projects", root, True, namespace="5000"))
            self.namespaces |= {"4000": self.home, "5000": self.team_folder}
        self.oauth = OAuth(self.tokens)
        self.sessions = uploads.Sessions(self)
        self.cursors = listing.Cursors()
        self.jobs: dict[str, tuple[str, list[Tagged]]] = {}
        self.changed = asyncio.Event()
        self.world.on_change.append(self.changed.set)
        self._writing: dict[str, int] = {}
        self.credentials = {
            "app_key": self.oauth.app_key, "app_secret": self.oauth.app_secret, "email": EMAIL,
            "refresh_token": self.oauth.refresh_token, "pkce_refresh_token": self.oauth.pkce_refresh_token,
            "account_id": ACCOUNT_ID, "root_namespace_id": "3000", "home_namespace_id": self.home.namespace or "",
        }  # fmt: skip

    async def answer(self, call: Call) -> Answer:
        host, _, rest = call.path[1:].partition("/")
        made = await self._routed(host, f"/{rest}", call)
        made.headers.append((b"x-dropbox-request-id", secrets.token_hex(16).encode()))
        return made

    async def _routed(self, host: str, path: str, call: Call) -> Answer:
        if path == "/oauth2/authorize" and host == "www" and call.method == "GET":
            return self.oauth.authorize(call)
        if path == "/oauth2/token" and host == "api" and call.method == "POST":
            form = dict(parse_qsl((await received(call)).decode("latin-1"), keep_blank_values=True))
            return self.oauth.token(form, call, self.switches.token_lifetime_seconds)
        name = path.removeprefix("/2/")
        route = ROUTES.get(name)
        if route is None or not path.startswith("/2/") or route.host != host:
            return bad(name, "Unknown API function")
        if call.method != "POST":
            return bad(
                name, f'Your request\'s HTTP request method is "{call.method}". This function only works with POST.'
            )
        try:
            return await self._called(name, route, call)
        except BadInput as problem:
            return bad(name, str(problem))
        except ApiError as error:
            return conflict(error.error)

    async def _called(self, name: str, route: Route, call: Call) -> Answer:
        self._permit(name, route, call)
        values = checked(await _arguments(route, call), ARGUMENTS[name], _where(route))
        return await route.handler(Asked(self, call, name, values, self._root(call)))

    def _permit(self, name: str, route: Route, call: Call) -> None:
        """Raise Refused if the token is not there, not good, or not for this."""
        if route.scope is None:
            return
        if route.scope == "app":
            if call.headers.get("authorization", "").partition(" ")[0].lower() != "basic":
                raise Refused(bad(name, "Invalid authorization value in HTTP header"))
            return
        if "authorization" not in call.headers:
            text = 'Must provide HTTP header "Authorization" or URL parameter "authorization".'
            raise Refused(bad(name, text))
        token = call.bearer
        if token is None or not token.startswith("sl."):
            raise Refused(bad(name, "The given OAuth 2 access token is malformed."))
        grant = self.tokens.grant(token, "access")
        if grant is None:
            raise Refused(denied("expired_access_token" if self.tokens.known(token) else "invalid_access_token"))
        if route.scope and route.scope not in grant.values["scopes"]:
            raise Refused(denied("missing_scope", required_scope=route.scope))

    def _root(self, call: Call) -> Entry:
        """What paths begin at: the home folder, or what Dropbox-API-Path-Root says.

        https://www.dropbox.com/developers/reference/path-root-header-modes
        """
        text = call.headers.get("dropbox-api-path-root")
        if text is None:
            return self.home
        try:
            value = orjson.loads(text)
            kind = value[".tag"]
            number = "" if kind == "home" else value[kind]
        except (ValueError, KeyError, TypeError):
            raise BadInput('HTTP header "Dropbox-API-Path-Root": could not decode input as JSON') from None
        if kind == "home":
            return self.home
        if kind == "root":
            if number != self.world.root.namespace:
                raise Refused(conflict(within("invalid_root", self.root_info()), 422))
            return self.world.root
        found = self.namespaces.get(number) if kind == "namespace_id" else None
        if found is None:
            raise Refused(conflict(tagged("no_permission"), 422))
        return found

    def root_info(self) -> Tagged:
        """Where the person's paths begin."""
        info = {"root_namespace_id": self.world.root.namespace, "home_namespace_id": self.home.namespace}
        if self.home is self.world.root:
            return {".tag": "user", **info}
        return {".tag": "team", **info, "home_path": self.home.path(self.world.root)}

    def refusal(self, kind: str, call: Call, values: Mapping[str, Any]) -> Answer:
        path = call.path.partition("/2/")[2]
        if kind == "429":
            return throttled("too_many_requests", int(values.get("retry_after") or 1))
        if kind == "401":
            return denied("expired_access_token")
        if kind == "quota":
            return conflict(_placed(path, tagged("insufficient_space")))
        if kind == "404":
            return conflict(_looked_up(path, tagged("not_found")))
        if kind == "403":
            return conflict(tagged("invalid_account_type", "feature"), 403)
        made = Answer.text(f"{kind} Server Error", int(kind))
        if kind == "503" and values.get("retry_after") is not None:
            made.headers.append((b"retry-after", str(values["retry_after"]).encode()))
        return made

    @contextlib.asynccontextmanager
    async def writing(self, asked: Asked) -> AsyncGenerator[None, None]:
        """A change of the namespace that the call's paths begin in. Raises Refused if too many are under way."""
        name, most = asked.root.namespace or "", self.switches.writes_at_once_max
        if most is not None and self._writing.get(name, 0) >= most:
            if self.switches.write_refused_as_conflict:
                raise ApiError(_placed(asked.route, tagged("too_many_write_operations")))
            raise Refused(throttled("too_many_write_operations", 1))
        self._writing[name] = self._writing.get(name, 0) + 1
        try:
            if self.switches.write_ms:
                await asyncio.sleep(self.switches.write_ms / 1000)
            yield
        finally:
            self._writing[name] -= 1

    def may_write(self) -> None:
        """Raise PathProblem if nothing may be changed."""
        if self.switches.read_only:
            raise PathProblem(tagged("no_write_permission"))

    def room(self, more_bytes: int) -> None:
        """Raise PathProblem if there is no space."""
        quota = self.switches.quota_bytes
        if quota is not None and self.world.used_bytes + more_bytes > quota:
            raise PathProblem(tagged("insufficient_space"))

    def has_room(self, more_bytes: int) -> bool:
        return self.switches.quota_bytes is None or self.world.used_bytes + more_bytes <= self.switches.quota_bytes

    def unfinished(self) -> int:
        return self.sessions.open()

    def plant(self, path: Path, content: bytes, modified_at: datetime) -> None:
        folder = self.world.folders(self.home, list(path[:-1]))
        there = self.world.child(folder, path[-1])
        if there is not None:
            self.world.write(there, Content.of(content), modified_at.replace(microsecond=0))
            return
        entry = Entry(new_id(), path[-1], folder, False)
        self.world.write(entry, Content.of(content), modified_at.replace(microsecond=0))
        self.world.add(folder, entry)

    def plant_folder(self, path: Path) -> None:
        self.world.folders(self.home, list(path))

    def remove(self, path: Path) -> None:
        entry = self.world.at(self.home, list(path))
        if entry is None:
            raise KeyError(path)
        self.world.delete(entry)

    def trash(self) -> list[Path]:
        gone = [one for one in self.world.deleted.values() if one.deleted_at is not None and not one.is_folder]
        shown = (one.path(self.home) for one in sorted(gone, key=lambda one: one.deleted_at or self.now()))
        paths = [tuple(path.split("/")[1:]) for path in shown if path]
        return [path for path in paths if self.world.at(self.home, list(path)) is None]

    def content(self, path: Path) -> bytes | None:
        entry = self.world.at(self.home, list(path))
        return None if entry is None or entry.is_folder else entry.current.content.read()

    def everything(self) -> set[Path]:
        paths = (entry.path(self.home) for entry in self.home.below() if not entry.is_folder)
        return {tuple(path.split("/")[1:]) for path in paths if path}


def _where(route: Route) -> str:
    return "request body" if route.style == "rpc" else 'HTTP header "Dropbox-API-Arg"'


async def _arguments(route: Route, call: Call) -> Any:
    """The arguments as they were sent. Raises BadInput."""
    kind = call.headers.get("content-type", "")
    if route.style == "rpc":
        body = await received(call)
        if kind.partition(";")[0].strip() != "application/json" and (kind or body):
            raise BadInput(f'Bad HTTP "Content-Type" header: "{kind}". Expecting one of "application/json".')
        return _json(body.decode("utf-8", "replace") or "null", "request body")
    expected = ("application/octet-stream", _TEXT_PLAIN)
    if route.style == "upload" and kind not in expected:
        listed = ", ".join(f'"{one}"' for one in expected)
        raise BadInput(f'Bad HTTP "Content-Type" header: "{kind}". Expecting one of {listed}.')
    if route.style == "download" and kind not in ("", "text/plain", "text/plain; charset=utf-8", *expected):
        raise BadInput(f'Bad HTTP "Content-Type" header: "{kind}". Expecting one of "application/octet-stream".')
    text = call.headers.get("dropbox-api-arg") or call.first("arg")
    if text is None:
        raise BadInput('Must provide HTTP header "Dropbox-API-Arg" or URL parameter "arg".')
    if "dropbox-api-arg" in call.headers and (not text.isascii() or "\x7f" in text):
        raise BadInput('HTTP header "Dropbox-API-Arg": could not decode input as JSON')
    return _json(text, 'HTTP header "Dropbox-API-Arg"')


def _json(text: str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        raise BadInput(f"{where}: could not decode input as JSON") from None


def _placed(route: str, error: Tagged) -> Tagged:
    """Where a call has its WriteError."""
    if route == "files/upload":
        return tagged("path", reason=error, upload_session_id="")
    tag = {"files/move_v2": "to", "files/copy_v2": "to", "files/delete_v2": "path_write", "files/restore": "path_write"}
    return within(tag.get(route, "path"), error)


def _looked_up(route: str, error: Tagged) -> Tagged:
    """Where a call has its LookupError."""
    tag = {
        "files/move_v2": "from_lookup", "files/copy_v2": "from_lookup", "files/delete_v2": "path_lookup",
        "files/restore": "path_lookup", "files/upload_session/finish": "lookup_failed",
    }  # fmt: skip
    if route == "files/upload_session/append_v2":
        return error
    return within(tag.get(route, "path"), error)


async def _check(asked: Asked) -> Answer:
    return answer({"result": asked.get("query", "")})


async def _revoke(asked: Asked) -> Answer:
    asked.dropbox.tokens.revoke(asked.call.bearer or "")
    return answer(None)


async def _current_person(asked: Asked) -> Answer:
    return answer({
        "account_id": ACCOUNT_ID, "email": EMAIL, "email_verified": True, "disabled": False, "locale": "en",
        "name": {
            "given_name": "Amelie", "surname": "Stein", "familiar_name": "Amelie", "display_name": "Amelie Stein",
            "abbreviated_name": "AS",
        },
        "referral_link": "https://www.dropbox.com/referrals/none", "is_paired": False, "country": "DE",
        "account_type": tagged("business"), "root_info": asked.dropbox.root_info(),
    })  # fmt: skip


async def _space(asked: Asked) -> Answer:
    quota = asked.dropbox.switches.quota_bytes
    allocated = ALLOCATED_BYTES if quota is None else quota
    used = asked.dropbox.world.used_bytes
    return answer({"used": used, "allocation": tagged("individual", allocated=allocated)})


async def _refused(_: Asked) -> Answer:
    raise BadInput("This function is not available to this app.")


ROUTES: dict[str, Route] = {
    "auth/token/revoke": Route("api", "rpc", "", _revoke),
    "check/app": Route("api", "rpc", "app", _check),
    "check/user": Route("api", "rpc", "account_info.read", _check),
    "users/get_current_account": Route("api", "rpc", "account_info.read", _current_person),
    "users/get_space_usage": Route("api", "rpc", "account_info.read", _space),
    "files/list_folder": Route("api", "rpc", "files.metadata.read", listing.list_folder),
    "files/list_folder/continue": Route("api", "rpc", "files.metadata.read", listing.list_continue),
    "files/list_folder/get_latest_cursor": Route("api", "rpc", "files.metadata.read", listing.get_latest_cursor),
    "files/list_folder/longpoll": Route("notify", "rpc", None, listing.longpoll),
    "files/get_metadata": Route("api", "rpc", "files.metadata.read", files.get_metadata),
    "files/list_revisions": Route("api", "rpc", "files.metadata.read", files.list_revisions),
    "files/create_folder_v2": Route("api", "rpc", "files.content.write", files.create_folder),
    "files/create_folder_batch": Route("api", "rpc", "files.content.write", files.create_folder_batch),
    "files/create_folder_batch/check": Route("api", "rpc", "files.content.write", files.check_folder_batch),
    "files/delete_v2": Route("api", "rpc", "files.content.write", files.delete),
    "files/move_v2": Route("api", "rpc", "files.content.write", files.move),
    "files/copy_v2": Route("api", "rpc", "files.content.write", files.copy),
    "files/restore": Route("api", "rpc", "files.content.write", files.restore),
    "files/permanently_delete": Route("api", "rpc", "files.permanent_delete", _refused),
    "files/upload": Route("content", "upload", "files.content.write", uploads.upload),
    "files/upload_session/start": Route("content", "upload", "files.content.write", uploads.start),
    "files/upload_session/append_v2": Route("content", "upload", "files.content.write", uploads.append),
    "files/upload_session/finish": Route("content", "upload", "files.content.write", uploads.finish),
    "files/upload_session/finish_batch_v2": Route("api", "rpc", "files.content.write", uploads.finish_batch),
    "files/download": Route("content", "download", "files.content.read", files.get_bytes),
    "files/export": Route("content", "download", "files.content.read", files.export),
}
"""The calls that the stand-in has."""
