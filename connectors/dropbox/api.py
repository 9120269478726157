"""The two ways Dropbox is called (https://www.dropbox.com/developers/documentation/http/documentation#formats): with
arguments as the body, and with content as the body and the arguments in a header.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from connectors.dropbox.errors import meaning_of
from connectors.dropbox.settings import DropboxSettings
from connectors.shared.bearer import Bearer
from connectors.shared.calls import Calls, Reply
from connectors.shared.transport import Http
from migration.clock import Clock
from migration.errors import RetryableError

Arguments = Mapping[str, Any] | None


class Api:
    """Makes the calls of one connection."""

    def __init__(self, http: Http, settings: DropboxSettings, signer: Bearer, clock: Clock) -> None:
        self._settings = settings
        self.signer = signer
        self.calls = Calls(http, system=settings.display_name, signer=signer, clock=clock, meaning=meaning_of)
        self._root: dict[str, str] | None = None if settings.root == "team" else {}
        self._finding_root = asyncio.Lock()

    async def ask(self, what: str, route: str, arguments: Arguments, *, again: bool = True) -> dict[str, Any]:
        """Call a route whose arguments are its body; what it answers. Raises as `Calls.call` does."""
        headers = {"Content-Type": "application/json", **await self._rooted()}
        return answer_of(await self._ask(what, route, arguments, headers, again))

    async def send(
        self, what: str, route: str, arguments: Arguments, content: bytes, *, again: bool = True
    ) -> dict[str, Any]:
        """Call a route whose body is content; what it answers. Raises as `Calls.call` does."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Dropbox-API-Arg": in_header(arguments),
            **await self._rooted(),
        }
        url = f"{self._settings.content_url}/2/{route}"
        return answer_of(await self.calls.call(what, "POST", url, headers=headers, content=content, again=again))

    @asynccontextmanager
    async def fetch(
        self, what: str, route: str, arguments: Arguments, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """Call a route whose answer is content. 416 is an answer as well. Raises as `Calls.stream` does."""
        url = f"{self._settings.content_url}/2/{route}"
        sent = {"Dropbox-API-Arg": in_header(arguments), **await self._rooted(), **headers}
        async with self.calls.stream(what, "POST", url, headers=sent, accept=frozenset({416})) as response:
            yield response

    async def person(self) -> dict[str, Any]:
        """The person the connection acts as."""
        what = "ask whose Dropbox it is"
        headers = {"Content-Type": "application/json"}
        return answer_of(await self._ask(what, "users/get_current_account", None, headers, True))

    async def _ask(self, what: str, route: str, arguments: Arguments, headers: Mapping[str, str], again: bool) -> Reply:
        url, content = f"{self._settings.api_url}/2/{route}", json.dumps(arguments).encode()
        return await self.calls.call(what, "POST", url, headers=headers, content=content, again=again)

    async def _rooted(self) -> Mapping[str, str]:
        """The header that says where paths begin; the person's own files without one
        (https://developers.dropbox.com/dbx-team-files-guide)."""
        if self._root is None:
            async with self._finding_root:
                if self._root is None:
                    namespace = str((await self.person()).get("root_info", {}).get("root_namespace_id", ""))
                    self._root = {"Dropbox-API-Path-Root": in_header({".tag": "root", "root": namespace})}
        return self._root


def in_header(arguments: Arguments) -> str:
    """Arguments as JSON that a header can hold: everything beyond visible ASCII is escaped
    (https://www.dropbox.com/developers/reference/json-encoding)."""
    return json.dumps(arguments).replace("\x7f", "\\u007f")


def answer_of(reply: Reply) -> dict[str, Any]:
    """The object a route answered with; an empty one for `null`. RetryableError `not-json` or `not-dropbox`."""
    values = reply.json()
    if values is not None and not isinstance(values, dict):
        raise RetryableError("not-dropbox", "The service answered with something that Dropbox does not say.")
    return values or {}
