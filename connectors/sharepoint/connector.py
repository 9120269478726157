"""A document library or a OneDrive as source and destination, over Microsoft Graph v1.0.

* Listings are one call per folder (and per thousand entries), sixteen folders ahead. `delta` would list a whole drive
  in far fewer calls, but leaves out `cTag`, which tells versions apart, and comes in no order, so that everything would
  have to be held before the first page, and again after a resume
  (https://learn.microsoft.com/en-us/graph/api/driveitem-delta).
* Nothing is staged that could be seen: a file is in an upload session until it is whole. What a killed process leaves
  is a session, which nobody can find and which expires by itself (`expirationDateTime`).
* Office files may be rewritten by SharePoint when it takes them in, or a moment later; they then have other bytes, size
  and version at the same time of modification.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from connectors.shared.calls import Calls
from connectors.shared.paths import readable
from connectors.shared.services import Services
from connectors.shared.transport import Http
from connectors.shared.tree import Incoming, TreeConnector
from connectors.shared.walking import Listing
from connectors.sharepoint import rearranging
from connectors.sharepoint.errors import meaning_of
from connectors.sharepoint.graph import PAGE_ENTRIES, Graph, escaped
from connectors.sharepoint.place import Drive, find_drive
from connectors.sharepoint.reading import VERSION, reading
from connectors.sharepoint.settings import SharePointSettings
from connectors.sharepoint.shapes import QUICKXOR, SELECTED, SYSTEM, entry_of, problem_of
from connectors.sharepoint.signing import SignIn
from connectors.sharepoint.upload import SharePointUpload
from migration.capabilities import Capabilities, Operation
from migration.contract import Finding
from migration.entries import Entry, ListingProblem, PathParts, Ref
from migration.errors import ContractViolation, ItemError, PreconditionFailed, RetryableError
from migration.platforms import platform

_OFFICE = (
    ".docx .docm .dotx .dotm .doc .dot .xlsx .xlsm .xltx .xltm .xlsb .xls .xlt .pptx .pptm .potx .potm .ppsx .ppsm"
)
_MORE = ".ppt .pot .pps .xml .html .htm .aspx"
REWRITTEN_SUFFIXES = frozenset(f"{_OFFICE} {_MORE}".split())
"""Files into which the library's properties are written ("property demotion"): Office documents, XML and web pages.
https://learn.microsoft.com/en-us/archive/blogs/andrew_may/document-parsers-in-sharepoint-1-of-4-overview,
https://learn.microsoft.com/en-us/previous-versions/office/developer/sharepoint-2010/aa543819(v=office.14)"""
SETTLED_BYTES_MAX = 8 * 1024 * 1024
"""What SharePoint made of a larger file is not read back when it is uploaded; verification reads it anyway."""
_GONE = frozenset({404, 410})
_ME = "/me?$select=userPrincipalName"
_REWRITING = (
    "SharePoint writes properties of the library into Office files when it takes them in, so their bytes differ from "
    "what was sent. The hash of what was sent is recorded; verification calls such files rewritten."
)


class SharePointConnector(TreeConnector):
    """Implements Source, Destination, Movable, Trash and Versioned of migration/contract.py."""

    SYSTEM = SYSTEM
    READINGS_ARE_OF_ONE_VERSION = True

    def __init__(self, settings: SharePointSettings, services: Services, *, page_entries: int | None = None) -> None:
        super().__init__(
            display_name=settings.display_name, capabilities=_capabilities(settings), page_entries=page_entries
        )
        self._settings = settings
        self._services = services
        self._http: Http | None = None
        self._signing: SignIn | None = None
        self._graph: Graph | None = None
        self._drive: Drive | None = None
        self._finding = asyncio.Lock()

    async def connect(self) -> None:
        settings, tls = self._settings, self._settings.tls()
        self._http = Http(settings.timeouts, tls=tls)
        self._signing = SignIn(settings, self._services, tls)
        calls = Calls(
            self._http, system="Microsoft Graph", signer=self._signing, clock=self._services.clock, meaning=meaning_of
        )
        self._graph = Graph(calls, settings.graph_url, self._services.clock)

    async def disconnect(self) -> None:
        http, signing = self._http, self._signing
        self._http = self._signing = self._graph = self._drive = None
        self.folders.forget(())
        if signing is not None:
            await signing.settle()
        if http is not None:
            await http.aclose()

    @property
    def graph(self) -> Graph:
        """The way to Microsoft Graph."""
        if self._graph is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._graph

    @property
    def folder_names(self) -> PathParts:
        """The way from the drive's root to the connection's."""
        return self._settings.folder_names

    def shown(self, path: PathParts) -> str:
        return readable((self._settings.summary, *path))

    def named(self, entry: Entry) -> str:
        """The entry for messages; its path may start below the connection's root."""
        return readable(entry.path) or self._settings.summary

    async def drive(self) -> Drive:
        """The drive, found once."""
        if self._drive is None:
            async with self._finding:
                if self._drive is None:
                    self._drive = await find_drive(self.graph, self._settings)
        return self._drive

    async def address(self, identity: str) -> str:
        """Where something is found by its ID."""
        return f"{(await self.drive()).path}/items/{identity}"

    async def shown_by_id(self, identity: str, *, more: str = "") -> dict[str, Any] | None:
        """What has this ID, as Microsoft Graph shows it; None if it is gone. `more` names further properties."""
        selected = f"{SELECTED},{more}" if more else SELECTED
        path = f"{await self.address(identity)}?$select={selected}"
        return await self.graph.values("look at a file or folder", path, _GONE)

    async def shown_at(self, path: PathParts) -> dict[str, Any] | None:
        """What is at the path; None if nothing is."""
        drive = await self.drive()
        if not path:
            return await self.shown_by_id(drive.root_id)
        address = f"{drive.path}/items/{drive.root_id}:/{escaped(*path)}?$select={SELECTED}"
        return await self.graph.values(f"look at {self.shown(path)}", address, _GONE)

    async def list_folder(self, folder: Entry) -> Listing:
        what = f"list the folder {self.named(folder)}"
        address = f"{await self.address(folder.ref.id)}/children?$top={PAGE_ENTRIES}&$select={SELECTED}"
        entries: list[Entry] = []
        problems: list[ListingProblem] = []
        calls = 0
        async for page in self.graph.pages(what, address):
            calls += 1
            for shown in page:
                path = (*folder.path, str(shown["name"]))
                problem = problem_of(shown, path)
                if problem is None:
                    entries.append(replace(entry_of(shown, path), parent=folder.ref))
                else:
                    problems.append(problem)
        return Listing(entries, problems, calls)

    async def look(self, path: PathParts) -> Entry | None:
        shown = await self.shown_at(path)
        return None if shown is None else entry_of(shown, path)

    async def look_at(self, entry: Entry) -> Entry | None:
        shown = await self.shown_by_id(entry.ref.id)
        return None if shown is None else entry_of(shown, entry.path)

    async def unchanged(self, entry: Entry) -> bool:
        return VERSION in entry.extra or await super().unchanged(entry)

    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:
        values = {"name": path[-1], "folder": {}, "@microsoft.graph.conflictBehavior": "fail"}
        address = f"{await self.address(parent.id)}/children"
        try:
            reply = await self.graph.call(f"make the folder {self.shown(path)}", "POST", address, values=values)
        except PreconditionFailed:
            return None
        return entry_of(reply.json(), path).ref

    def read(self, entry: Entry, offset: int, length: int | None) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return reading(self, entry, offset, length)

    def upload(self, file: Incoming) -> SharePointUpload:
        return SharePointUpload(self, file)

    async def remove(self, shown: dict[str, Any]) -> bool:
        """Put a file that was just stored wrongly into the recycle bin, unless somebody has changed it; whether it is
        gone."""
        address = await self.address(shown["id"])
        condition = {"If-Match": shown["eTag"]}
        try:
            await self.graph.call(f"remove {shown['name']}", "DELETE", address, headers=condition, accept=_GONE)
        except (ItemError, RetryableError):
            return False
        return True

    async def settled_sha256(self, entry: Entry) -> str | None:
        """The hash of what SharePoint has made of a file; None when it is too large, or changes again."""
        if entry.size_bytes is None or entry.size_bytes > SETTLED_BYTES_MAX:
            return None
        hashing = hashlib.sha256()
        try:
            async with self.open(entry) as chunks:
                async for chunk in chunks:
                    hashing.update(chunk)
        except (ItemError, RetryableError):
            return None
        return hashing.hexdigest()

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """As `Movable.move`."""
        self.check(to)
        return await rearranging.move(self, entry, to)

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:
        """As `Trash.delete_to_trash`; the entry is moved into a folder that walks do not show."""
        return await rearranging.delete_to_trash(self, entry, key)

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:  # noqa: ARG002
        """As `Trash.find_deleted`."""
        return await rearranging.find_deleted(self, path, key)

    async def restore(self, token: str) -> PathParts:
        """As `Trash.restore`."""
        return await rearranging.restore(self, token)

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        """As `Versioned.versions`."""
        return await rearranging.versions(self, entry)

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        drive = await self.drive()
        findings = []
        if drive.remaining_bytes is not None:
            findings.append(
                Finding("info", "space", f"{drive.remaining_bytes / 1e9:,.1f} GB are free in {drive.name}.")
            )
        if self.capabilities.rewritten_suffixes:
            findings.append(Finding("info", "office-files", _REWRITING))
        return await self._who(), tuple(findings)

    async def _who(self) -> str:
        if not self._settings.acts_for_a_person:
            return f"the app {self._settings.client_id}"
        shown = await self.graph.values("ask who is signed in", _ME, frozenset({400, 403, 404}))
        return str((shown or {}).get("userPrincipalName") or "the person who signed in")


def _capabilities(settings: SharePointSettings) -> Capabilities:
    known = platform("onedrive_business" if settings.is_person else "sharepoint_online")
    length = known.names.path_length_max
    return Capabilities(
        names=replace(
            known.names, path_length_max=None if length is None else max(length - len(settings.path_before), 1)
        ),
        file_size_max_bytes=known.file_size_max_bytes,
        checksum_types=frozenset({QUICKXOR}),
        time_precision_seconds=1.0,
        atomic_publish=True,
        stable_ids=True,
        keeps_versions=True,
        keeps_times=True,
        rewritten_suffixes=frozenset() if settings.is_person else REWRITTEN_SUFFIXES,
        operations=frozenset({Operation.RANGE_READS, Operation.MOVE, Operation.DELETE_TO_TRASH, Operation.VERSIONS}),
        calls_per_page=1,
        entries_per_page=PAGE_ENTRIES,
        calls_per_download=2,
        calls_per_upload=2,
        calls_per_folder=1,
    )
