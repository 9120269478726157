"""Which handler answers a call to the simulated Microsoft Graph."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from simulator.clouds.base import Answer, Call, Refused, Service
from simulator.clouds.graph import delta, oauth, reading, uploads, writing
from simulator.clouds.graph.addresses import DriveAddress, ItemAddress, OtherAddress, SiteAddress, address_of
from simulator.clouds.graph.errors import denied, general, refused, unauthenticated
from simulator.clouds.graph.settings import GraphSwitches
from simulator.clouds.graph.state import HOST, SITE_PATH, GraphState
from simulator.clouds.graph.tls import app_certificate

_WARNING_SHARE = 0.8
"""From this share of the allowance on, answers carry RateLimit headers: how-to-avoid-getting-throttled."""
_DELTA = re.compile(r"(?:microsoft\.graph\.)?delta(?:\(token='([^']*)'\)|\(\))?")
_VERSION = re.compile(r"versions/([^/]+)(/content|/restoreVersion|)")


class GraphService(Service[GraphSwitches]):
    """Microsoft Graph with its sign-in, upload and download hosts, told apart by the beginning of the path."""

    hosts: ClassVar[Mapping[str, str]] = {"api": "/v1.0", "upload": "/upload", "download": "/download", "login": ""}

    def __init__(self, url: str, switches: GraphSwitches) -> None:
        super().__init__(url, switches)
        self.state = GraphState(url, self.clock, self.tokens, lambda: self.switches)
        self.sign_in = oauth.SignIn(self.tokens, lambda: self.switches, self.clock.now)
        self.tree = self.state.library.tree
        certificate = app_certificate()
        state = self.state
        self.credentials = {
            "tenant_id": oauth.TENANT, "client_id": oauth.CLIENT_ID, "client_secret": oauth.CLIENT_SECRET,
            "certificate_pem": certificate.certificate_pem, "private_key_pem": certificate.private_key_pem,
            "thumbprint": certificate.thumbprint, "public_client_id": oauth.PUBLIC_CLIENT_ID,
            "refresh_token": self.sign_in.delegated_refresh_token(), "username": oauth.USER_NAME,
            "user_id": oauth.USER_ID, "site_hostname": HOST, "site_path": SITE_PATH, "site_id": state.sites[0].id,
            "drive_id": state.library.id, "drive_name": state.library.name, "onedrive_id": state.onedrive.id,
        }  # fmt: skip

    def served_at(self, login_url: str) -> None:
        """The sign-in host's own address is known now."""
        self.sign_in.url = login_url

    def counted(self, call: Call) -> str | None:
        host = self.host_of(call.path)
        return None if host == "login" else call.bearer if host == "api" else host

    def unfinished(self) -> int:
        return uploads.open_sessions(self.state)

    def refusal(self, kind: str, call: Call, values: Mapping[str, Any]) -> Answer:
        if kind == "401" and self.host_of(call.path) == "login":
            try:
                raise oauth.problem("invalid_client", "Invalid client secret provided.", 401)
            except Refused as answered:
                return answered.answer
        return general(kind, values, self.switches.calls_per_minute)

    async def answer(self, call: Call) -> Answer:
        host = self.host_of(call.path)
        if host == "login":
            return await self.sign_in.answer(call)
        if host == "download":
            if call.method not in ("GET", "HEAD"):
                return Answer.text("405 METHOD NOT ALLOWED", 405)
            return reading.downloaded(self.state, call)
        if host == "upload":
            return await uploads.upload(self.state, call)
        grant = self.tokens.grant(call.bearer, "access")
        if grant is None:
            raise unauthenticated()
        answer = await self._api(call, grant.values["user"])
        answer.headers += self._allowance(call)
        return answer

    async def _api(self, call: Call, user: str | None) -> Answer:
        if call.method != "GET" and self.switches.read_only:
            raise denied()
        address = address_of(self.state, call, user)
        if isinstance(address, ItemAddress):
            return await self._item(call, address)
        if call.method != "GET":
            raise _not_allowed(call)
        if isinstance(address, DriveAddress):
            return reading.drive(self.state, call, address.drive)
        if isinstance(address, SiteAddress):
            return reading.site(self.state, call, address)
        return self._other(call, address)

    def _other(self, call: Call, address: OtherAddress) -> Answer:
        if address.name == "sites":
            return reading.sites(self.state, call)
        if address.name == "drives":
            return reading.drives(self.state, call, [self.state.onedrive])
        return reading.person()

    async def _item(self, call: Call, address: ItemAddress) -> Answer:
        if call.method == "GET":
            return self._looked_at(call, address)
        route = (call.method, address.action.removeprefix("microsoft.graph."))
        if route == ("PUT", "content"):
            return await writing.put_content(self.state, call, address)
        if route == ("POST", "createUploadSession"):
            return await uploads.create_session(self.state, call, address)
        if route == ("POST", "children"):
            return await writing.create(self.state, call, address)
        if route == ("PATCH", ""):
            return await writing.update(self.state, call, address)
        return self._removed(call, address, route)

    def _removed(self, call: Call, address: ItemAddress, route: tuple[str, str]) -> Answer:
        if route == ("DELETE", ""):
            return writing.delete(self.state, call, address)
        if route == ("POST", "permanentDelete"):
            return writing.delete_for_good(self.state, call, address)
        if route == ("POST", "restore"):
            return writing.restore()
        version = _VERSION.fullmatch(route[1])
        if call.method == "POST" and version is not None and version[2] == "/restoreVersion":
            return writing.restore_version(self.state, call, address, version[1])
        raise _not_allowed(call)

    def _looked_at(self, call: Call, address: ItemAddress) -> Answer:
        simple = {
            "": reading.item, "children": reading.children, "versions": reading.versions, "content": reading.content,
        }.get(address.action)  # fmt: skip
        if simple is not None:
            return simple(self.state, call, address)
        changes = _DELTA.fullmatch(address.action)
        if changes is not None:
            return delta.delta(self.state, call, address, changes[1])
        version = _VERSION.fullmatch(address.action)
        if version is not None and version[2] != "/restoreVersion":
            return reading.version(self.state, call, address, version[1], content=version[2] == "/content")
        raise refused(400, "BadRequest", f"Resource not found for the segment '{address.action}'.")

    def _allowance(self, call: Call) -> list[tuple[bytes, bytes]]:
        limit, used = self.switches.calls_per_minute, self.throttled_calls(call)
        if limit is None or used < limit * _WARNING_SHARE:
            return []
        return [
            (b"ratelimit-limit", str(limit).encode()), (b"ratelimit-remaining", str(max(0, limit - used)).encode()),
            (b"ratelimit-reset", b"60"),
        ]  # fmt: skip


def _not_allowed(call: Call) -> Refused:
    return refused(405, "invalidRequest", f"The method {call.method} is not allowed for this resource.")
