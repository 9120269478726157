"""A simulated Google Drive: which call goes where, and what every call has to satisfy.

Written from the discovery document of Drive API v3 (https://www.googleapis.com/discovery/v1/apis/drive/v3/rest) and the
guides at https://developers.google.com/workspace/drive/api/guides. There are no conditional requests in v3: a client
that must not overwrite has to look first. What is open there is a switch, with the harsher default.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from simulator.clouds.base import Answer, Call, Content, Path, Service, json_answer, received
from simulator.clouds.drive.calls import Asked, Route, asked_fields
from simulator.clouds.drive.described import GLOBAL_PARAMETERS, PARAMETERS
from simulator.clouds.drive.edits import commit
from simulator.clouds.drive.listings import Listings
from simulator.clouds.drive.refusals import (
    Refusal,
    backend,
    bad_request,
    bad_token,
    invalid,
    no_permission,
    not_found,
    over_quota,
    over_rate,
)
from simulator.clouds.drive.routes import ROUTES
from simulator.clouds.drive.sessions import Sessions
from simulator.clouds.drive.store import FOLDER, PERSON, Entry, Revision, Store, new_id
from simulator.clouds.drive.switches import DriveSwitches
from simulator.clouds.drive.tokens import SERVICE, TokenHost, allowed


class Drive(Service[DriveSwitches]):
    """One Google Drive with a person's My Drive, a service account's and a shared drive."""

    hosts = {"api": "/drive/v3", "upload": "/upload/drive/v3", "token": "/token"}  # noqa: RUF012 typed in the base

    def __init__(self, url: str, switches: DriveSwitches) -> None:
        super().__init__(url, switches)
        self.store = Store(lambda: int(self.clock.now() * 1000), SERVICE)
        self.token_host = TokenHost(self.tokens, f"{url}/token")
        self.credentials = {
            **self.token_host.credentials(), "drive_id": self.store.drive_id, "root_id": self.store.roots[PERSON],
        }  # fmt: skip
        self.sessions = Sessions(self, commit)
        self.listings = Listings()
        self.refused_rates = 0

    async def answer(self, call: Call) -> Answer:
        try:
            if call.path == "/token":
                return await self._token(call)
            call = await _overridden(call)
            if call.path.startswith("/upload/") and call.first("upload_id") is not None:
                return await self.sessions.answer(call)
            return await self._routed(call)
        except Refusal as refusal:
            return refusal.answer()

    def refusal(self, kind: str, call: Call, values: Mapping[str, Any]) -> Answer:
        if kind == "429":
            self.refused_rates += 1
            return over_rate(429 if self.refused_rates % 2 == 0 else 403).answer()
        answer = {
            "401": bad_token(),
            "403": no_permission(call.path.rpartition("/")[2]),
            "404": not_found(call.path.rpartition("/")[2]),
            "quota": over_quota(),
        }.get(kind, backend(int(kind) if kind.isdecimal() else 500)).answer()
        if kind == "503" and values.get("retry_after") is not None:
            answer.headers.append((b"retry-after", str(values["retry_after"]).encode()))
        return answer

    def unfinished(self) -> int:
        return self.sessions.open()

    def permit(self, call: Call, *, write: bool, content: bool) -> str:
        """Who calls. Raises Refusal if the token is not good, or not for this."""
        grant = self.tokens.grant(call.bearer or call.first("access_token"), "access")
        if grant is None:
            raise bad_token()
        if not allowed(grant.values["scopes"], write=write, content=content):
            raise Refusal(403, "insufficientPermissions", "Insufficient Permission: Request had insufficient scopes.")
        return str(grant.values["user"])

    def room(self, user: str, parent: Entry | None, more_bytes: int) -> None:
        """Raise Refusal if there is no space. Shared drives have their own; service accounts have none at all."""
        if parent is not None and parent.drive_id is not None:
            return
        if user == SERVICE:
            text = (
                "Service Accounts do not have storage quota. Leverage shared drives, or use OAuth delegation instead."
            )
            raise over_quota(text)
        quota = self.switches.quota_bytes
        if quota is not None and self.store.used_bytes() + more_bytes > quota:
            raise over_quota()

    def writable(self, asked_id: str) -> None:
        """Raise Refusal if nothing may be changed."""
        if self.switches.read_only:
            raise no_permission(asked_id)

    async def _token(self, call: Call) -> Answer:
        if call.method != "POST" or "x-www-form-urlencoded" not in call.headers.get("content-type", ""):
            return json_answer({"error": "invalid_request", "error_description": "Bad Request"}, 400)
        form = dict(parse_qsl((await received(call)).decode("latin-1"), keep_blank_values=True))
        return self.token_host.answer(form, self.clock.now(), self.switches.token_lifetime_seconds)

    async def _routed(self, call: Call) -> Answer:
        upload = call.path.startswith("/upload/")
        path = call.path.removeprefix("/upload")
        found = [(route, match) for route in ROUTES if (match := route.path.fullmatch(path))]
        for route, match in found:
            if route.method == call.method and (not upload or route.name in ("files.create", "files.update")):
                return await self._called(route, match, call)
        if found and not upload:
            raise Refusal(405, "httpMethodNotAllowed", "The requested HTTP method is not allowed.")
        raise Refusal(404, "notFound", "Not Found")

    async def _called(self, route: Route, match: re.Match[str], call: Call) -> Answer:
        user = self.permit(call, write=route.write, content=route.content and call.first("alt") == "media")
        for name in call.query:
            if name not in PARAMETERS[route.name] and name not in GLOBAL_PARAMETERS:
                text = f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.'
                raise bad_request(f"{text} Field '{name}' could not be found in request message.")
        if call.first("alt") not in (None, "json") and not (route.content and call.first("alt") == "media"):
            raise invalid("alt")
        if route.write:
            self.writable(match[1] if match.groups() else "root")
        all_drives = call.first("supportsAllDrives", "false") in ("true", "True")
        asked = Asked(call, user, asked_fields(route, call), all_drives, match.groups())
        return await route.handler(self, asked)

    def plant(self, path: Path, content: bytes, modified_at: datetime) -> None:
        parent = self._folders(path[:-1])
        there = self._named(parent, path[-1])
        at_ms = int(modified_at.timestamp() * 1000)
        if there is None:
            there = Entry(
                new_id(), path[-1], "application/octet-stream", parent.id, parent.drive_id, parent.owner,
                self.store.now_ms(), at_ms, self.store,
            )  # fmt: skip
            self.store.add(there)
        one = Revision(new_id("0B"), Content.of(content), there.mime_type, at_ms, there.name)
        there.modified_ms = at_ms
        self.store.set_content(there, one)
        self.store.changed(there)

    def plant_folder(self, path: Path) -> None:
        self._folders(path)

    def remove(self, path: Path) -> None:
        entry = self.at(path)
        if entry is None:
            raise KeyError(path)
        entry.explicitly_trashed, entry.trashed_ms = True, self.store.now_ms()
        self.store.changed(entry)

    def trash(self) -> list[Path]:
        gone = [entry for entry in self.store.entries.values() if entry.explicitly_trashed]
        return [self.path(entry) for entry in sorted(gone, key=lambda entry: entry.trashed_ms or 0)]

    def content(self, path: Path) -> bytes | None:
        entry = self.at(path)
        return None if entry is None or entry.head is None else entry.head.content.read()

    def everything(self) -> set[Path]:
        files: set[Path] = set()
        waiting: list[tuple[Path, str]] = [((), self.store.roots[PERSON])]
        while waiting:
            path, folder = waiting.pop()
            for entry in self.store.children[folder].values():
                if entry.explicitly_trashed:
                    continue
                if entry.is_folder:
                    waiting.append(((*path, entry.name), entry.id))
                else:
                    files.add((*path, entry.name))
        return files

    def at(self, path: Path) -> Entry | None:
        """The (first) visible entry at a path of names below the person's My Drive."""
        entry: Entry | None = self.store.entries[self.store.roots[PERSON]]
        for name in path:
            entry = None if entry is None else self._named(entry, name)
        return entry

    def path(self, entry: Entry) -> Path:
        """The names from below its drive's root to an entry."""
        return tuple(one.name for one in self.store.above(entry) if one.parent is not None)[::-1]

    def _named(self, folder: Entry, name: str) -> Entry | None:
        children = self.store.children.get(folder.id, {}).values()
        return next((one for one in children if one.name == name and not one.explicitly_trashed), None)

    def _folders(self, path: Path) -> Entry:
        folder = self.store.entries[self.store.roots[PERSON]]
        for name in path:
            found = self._named(folder, name)
            if found is None:
                now = self.store.now_ms()
                found = self.store.add(
                    Entry(new_id(), name, FOLDER, folder.id, folder.drive_id, folder.owner, now, now, self.store)
                )
            folder = found
        return folder


async def _overridden(call: Call) -> Call:
    """A call whose method or long query a client had to write elsewhere."""
    method = call.headers.get("x-http-method-override")
    if call.method != "POST" or method is None:
        return call
    scope = {**call.scope, "method": method}
    if method == "GET":
        body = await received(call)
        scope["query_string"] = b"&".join(part for part in (call.scope["query_string"], body) if part)
    return Call.of(scope, call.receive)
