"""Google Drive's calls (https://developers.google.com/workspace/drive/api/reference/rest/v3).

What is made gets an id that was asked for before, so that making it again after a lost answer makes nothing: Google
answers 409 then (https://developers.google.com/workspace/drive/api/guides/create-file#pregenerated).
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from connectors.google_drive.errors import LISTING_OUTDATED, meaning_of
from connectors.google_drive.records import FIELDS, Record
from connectors.google_drive.settings import GoogleDriveSettings
from connectors.shared.bearer import Bearer
from connectors.shared.calls import Calls, Reply
from connectors.shared.transport import Http
from migration.clock import Clock
from migration.errors import ItemError, RetryableError

IDS_AT_ONCE = 500
PAGE_ENTRIES_MAX = 1_000
ADDRESS_LENGTH_MAX = 2_000
_LISTED_ANEW_MAX = 3
_JSON = {"Content-Type": "application/json; charset=UTF-8"}
_AS_FORM = {"Content-Type": "application/x-www-form-urlencoded", "X-HTTP-Method-Override": "GET"}
_BOTH_DRIVES = {"supportsAllDrives": "true"}


class Api:
    """Makes the calls of one connection."""

    def __init__(self, http: Http, settings: GoogleDriveSettings, signer: Bearer, clock: Clock) -> None:
        self._settings = settings
        self.signer = signer
        self.calls = Calls(http, system=settings.display_name, signer=signer, clock=clock, meaning=meaning_of)
        self._ids: deque[str] = deque()
        self._asking_ids = asyncio.Lock()
        self.drive_id: str | None = None
        """The shared drive the connection's folder is in, once that is known."""

    async def get(self, what: str, file_id: str, fields: str = FIELDS) -> Record | None:
        """What has this id, trashed or not; None if nothing has."""
        url = self._url(f"files/{quote(file_id, safe='')}", {**_BOTH_DRIVES, "fields": fields})
        try:
            return answer_of(await self.calls.call(what, "GET", url))
        except ItemError as error:
            if error.code == "not-found":
                return None
            raise

    async def find(self, what: str, query: str) -> tuple[list[Record], int]:
        """Everything a query finds that is not trashed, and how many calls it took."""
        for _ in range(_LISTED_ANEW_MAX):
            try:
                return await self._found(what, f"{query} and trashed = false")
            except ItemError as error:
                if error.code != LISTING_OUTDATED:
                    raise
        raise RetryableError("listing-changes", f"Could not {what}: Google had it begin anew several times.")

    async def create(self, what: str, metadata: Mapping[str, Any]) -> Record:
        """Make something without content; it is there once even if this is done twice. `metadata` holds its id."""
        url = self._url("files", {**_BOTH_DRIVES, "fields": FIELDS})
        content = json.dumps(metadata).encode()
        reply = await self.calls.call(what, "POST", url, headers=_JSON, content=content, accept=frozenset({409}))
        return await self.made(what, reply, str(metadata["id"]))

    async def made(self, what: str, reply: Reply, file_id: str) -> Record:
        """The record of what was made, now or by the same call before. RetryableError `vanished`."""
        if reply.status != 409:
            return answer_of(reply)
        record = await self.get(what, file_id)
        if record is None:
            raise RetryableError("vanished", f"Could not {what}: it was made and is gone again.")
        return record

    async def change(
        self, what: str, file_id: str, metadata: Mapping[str, Any], parameters: Mapping[str, str] | None = None
    ) -> Record:
        """Change what is said about a file or folder; doing it twice is the same as doing it once."""
        url = self._url(f"files/{quote(file_id, safe='')}", {**_BOTH_DRIVES, "fields": FIELDS, **(parameters or {})})
        return answer_of(
            await self.calls.call(what, "PATCH", url, headers=_JSON, content=json.dumps(metadata).encode())
        )

    @asynccontextmanager
    async def fetch(self, what: str, file_id: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """A file's content; 416 is an answer as well."""
        url = self._url(f"files/{quote(file_id, safe='')}", {**_BOTH_DRIVES, "alt": "media"})
        async with self.calls.stream(what, "GET", url, headers=headers, accept=frozenset({416})) as response:
            yield response

    async def ask(self, what: str, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Any other question; one that is too long for an address is asked as a form
        (https://docs.cloud.google.com/dotnet/docs/reference/Google.Apis/latest/Google.Apis.Http.MaxUrlLengthInterceptor).
        """
        url = self._url(path, parameters)
        if len(url) <= ADDRESS_LENGTH_MAX:
            return answer_of(await self.calls.call(what, "GET", url))
        form = urlencode(parameters, quote_via=quote).encode()
        reply = await self.calls.call(what, "POST", f"{self._settings.api_url}/{path}", headers=_AS_FORM, content=form)
        return answer_of(reply)

    async def new_id(self) -> str:
        """An id for something that is to be made."""
        async with self._asking_ids:
            if not self._ids:
                parameters = {"count": str(IDS_AT_ONCE), "space": "drive", "type": "files"}
                answer = await self.ask("ask for new ids", "files/generateIds", parameters)
                self._ids.extend(str(one) for one in answer["ids"])
            return self._ids.popleft()

    async def _found(self, what: str, query: str) -> tuple[list[Record], int]:
        records: list[Record] = []
        calls, token = 0, ""
        parameters = {
            **_BOTH_DRIVES,
            "includeItemsFromAllDrives": "true",
            "q": query,
            "pageSize": str(PAGE_ENTRIES_MAX),
            "spaces": "drive",
            "fields": f"nextPageToken,incompleteSearch,files({FIELDS})",
            **({} if self.drive_id is None else {"corpora": "drive", "driveId": self.drive_id}),
        }
        while True:
            more = {"pageToken": token} if token else {}
            answer = await self.ask(what, "files", {**parameters, **more})
            calls += 1
            records += answer.get("files", ())
            if answer.get("incompleteSearch"):
                raise RetryableError("search-incomplete", f"Could not {what}: Google did not search everything.")
            token = str(answer.get("nextPageToken") or "")
            if not token:
                return records, calls

    def _url(self, path: str, parameters: Mapping[str, str]) -> str:
        return f"{self._settings.api_url}/{path}?{urlencode(parameters, quote_via=quote)}"


def in_query(text: str) -> str:
    """A text as a query takes it (https://developers.google.com/workspace/drive/api/guides/search-files)."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def answer_of(reply: Reply) -> dict[str, Any]:
    """The object a call was answered with. RetryableError `not-json` or `not-google-drive`."""
    values = reply.json()
    if not isinstance(values, dict):
        raise RetryableError("not-google-drive", "The service answered with something that Google Drive does not say.")
    return values
