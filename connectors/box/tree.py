"""Finding, listing and making folders in Box.

* What is at a path is found by the check that Box offers before uploads: it names what has the name already
  (https://developer.box.com/guides/uploads/check/). Where the user may not upload, the folder is listed.
* Listings go by markers (https://developer.box.com/guides/api-calls/pagination/marker-based/).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson

from connectors.box.errors import NameTaken, meaning_of
from connectors.box.settings import BoxSettings
from connectors.box.shapes import FIELDS, SYSTEM, address_of, entry_of, id_of, ref_of
from connectors.box.signing import bearer
from connectors.shared.bearer import Bearer
from connectors.shared.calls import Calls, Reply, retry_after_seconds
from connectors.shared.services import Services
from connectors.shared.transport import Http
from connectors.shared.tree import TreeConnector
from connectors.shared.trust import trusting
from connectors.shared.walking import Listing
from migration.capabilities import Capabilities, Operation
from migration.entries import Entry, EntryKind, ListingProblem, PathParts, Ref
from migration.errors import ContractViolation, FatalError, ItemError
from migration.platforms import name_rules

PAGE_ENTRIES = 1_000
"""The most that a page of a listing holds (https://developer.box.com/guides/api-calls/pagination/)."""
JSON = {"Content-Type": "application/json"}
_NO_ANSWER_FROM_LISTING = frozenset({"permission-denied", "disk-full", "file-too-large"})
CAPABILITIES = Capabilities(
    names=name_rules("box"),
    checksum_types=frozenset({"sha1"}),
    time_precision_seconds=1.0,
    atomic_publish=True,
    stable_ids=True,
    keeps_versions=True,
    keeps_times=True,
    operations=frozenset({Operation.RANGE_READS, Operation.MOVE, Operation.DELETE_TO_TRASH, Operation.VERSIONS}),
    calls_per_page=1,
    entries_per_page=PAGE_ENTRIES,
    calls_per_download=3,
    calls_per_upload=1,
    calls_per_folder=1,
)


class BoxTree(TreeConnector):
    """What `BoxConnector` does with folders."""

    SYSTEM = SYSTEM

    def __init__(
        self,
        settings: BoxSettings,
        services: Services,
        *,
        page_entries: int | None = None,
    ) -> None:
        super().__init__(display_name=settings.display_name, capabilities=CAPABILITIES, page_entries=page_entries)
        self._settings = settings
        self._services = services
        self._http: Http | None = None
        self._bearer: Bearer | None = None
        self._calls: Calls | None = None
        self._root: Entry | None = None
        self._finding_root = asyncio.Lock()
        self.upload_base = f"{settings.upload_url}/2.0"
        self.api = f"{settings.api_url}/2.0"

    async def connect(self) -> None:
        self._http = Http(self._settings.timeouts, tls=trusting(self._settings.ca_file))
        self._bearer = bearer(self._settings, self._http, self._services)
        self._calls = Calls(
            self._http,
            system=self.display_name,
            signer=self._bearer,
            clock=self._services.clock,
            meaning=meaning_of,
        )

    async def disconnect(self) -> None:
        http, signing, self._http, self._bearer, self._calls = self._http, self._bearer, None, None, None
        self.folders.forget(())
        self._root = None
        if signing is not None:
            await signing.settle()
        if http is not None:
            await http.aclose()

    @property
    def calls(self) -> Calls:
        """The way to Box."""
        if self._calls is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._calls

    @property
    def signing(self) -> Bearer:
        """What signs the requests."""
        if self._bearer is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._bearer

    async def pause(self, reply: Reply, default_seconds: float) -> None:
        """Wait as long as the answer asks for."""
        asked = retry_after_seconds(reply.headers, self._services.clock.now())
        await self._services.clock.sleep(default_seconds if asked is None else min(asked, 60.0))

    async def pause_seconds(self, seconds: float) -> None:
        """Wait by the connection's clock."""
        await self._services.clock.sleep(seconds)

    def now(self) -> datetime:
        """The time by the connection's clock."""
        return self._services.clock.now()

    def shown(self, path: PathParts) -> str:
        return "/".join(("Box:", *self._settings.folder_names, *path))

    async def root(self) -> Entry:
        """The connection's folder. FatalError `root-missing`."""
        if self._root is None:
            async with self._finding_root:
                if self._root is None:
                    self._root = await self._found_root()
        return self._root

    async def _found_root(self) -> Entry:
        first = ref_of(EntryKind.FOLDER, self._settings.folder_id)
        found: Entry | None = Entry(ref=first, parent=None, name="", path=(), kind=EntryKind.FOLDER)
        try:
            if self._settings.folder_id != "0":
                await self.described(first, "id,type,name", "look at the folder of the connection")
            for name in self._settings.folder_names:
                found = None if found is None else await self.find(found.ref, (name,))
        except ItemError as error:
            if error.code != "not-found":
                raise
            found = None
        if found is None or found.kind is not EntryKind.FOLDER:
            raise FatalError(
                "root-missing",
                f"There is no folder {self.shown(())} that this user of Box can see.",
                fix="Check the folder of the connection; an app sees only folders its service account was invited to.",
            )
        return replace(found, path=(), name="", parent=None)

    async def described(self, ref: Ref, fields: str, what: str) -> dict[str, Any]:
        """What Box says of a file or folder. ItemError `not-found`."""
        reply = await self.calls.call(what, "GET", f"{self.api}/{address_of(ref)}?fields={fields}")
        values: dict[str, Any] = reply.json()
        return values

    async def look(self, path: PathParts) -> Entry | None:
        root = await self.root()
        if not path:
            return root
        for _ in range(2):
            parent = await self._parent_if_any(path)
            if parent is None:
                return None
            try:
                return await self.find(parent, path)
            except ItemError as error:
                if error.code != "not-found":
                    raise
                self.folders.forget(path[:-1])  # it was known, and is gone
        return None

    async def _parent_if_any(self, path: PathParts) -> Ref | None:
        try:
            return await self.folders.ref_of(path[:-1])
        except ItemError as error:
            if error.code != "not-a-folder":
                raise
            return None

    async def find(self, parent: Ref, path: PathParts) -> Entry | None:
        """What has the path's last name in the folder; None if nothing. ItemError `not-found` without the folder."""
        what = f"look at {self.shown(path)}"
        asked = {"name": path[-1], "parent": {"id": id_of(parent)}, "size": 0}
        try:
            await self.calls.call(
                what, "OPTIONS", f"{self.api}/files/content", headers=JSON, content=orjson.dumps(asked)
            )
        except NameTaken as taken:
            return await self._of_conflict(parent, path, taken.conflict, what)
        except (ItemError, FatalError) as error:
            if error.code not in _NO_ANSWER_FROM_LISTING:
                raise
            return await self._listed_as(parent, path)
        return None

    async def _of_conflict(
        self, parent: Ref, path: PathParts, conflict: Mapping[str, Any] | None, what: str
    ) -> Entry | None:
        if conflict is None:
            return await self._listed_as(parent, path)
        if conflict.get("type") == "folder":
            return entry_of({"name": path[-1], **conflict}, path, parent)
        if conflict.get("type") != "file":
            return None  # a bookmark, which is neither
        try:
            ref = ref_of(EntryKind.FILE, str(conflict["id"]))
            return entry_of(await self.described(ref, FIELDS, what), path, parent)
        except ItemError as error:
            if error.code != "not-found":
                raise
            return None

    async def _listed_as(self, parent: Ref, path: PathParts) -> Entry | None:
        folder = Entry(ref=parent, parent=None, name="", path=path[:-1], kind=EntryKind.FOLDER)
        listing = await self.list_folder(folder)
        meant = path[-1].casefold()
        found = next((entry for entry in listing.entries if entry.name.casefold() == meant), None)
        return None if found is None else replace(found, path=path)

    async def look_at(self, entry: Entry) -> Entry | None:
        return (await self.look_at_with_etag(entry))[0]

    async def look_at_with_etag(self, entry: Entry) -> tuple[Entry | None, str | None]:
        """The entry as it is now, and what conditions on it are made with."""
        try:
            values = await self.described(entry.ref, FIELDS, f"look at {self.shown(entry.path)}")
        except ItemError as error:
            if error.code != "not-found":
                raise
            return None, None
        return entry_of(values, entry.path, entry.parent), str(values["etag"])

    async def list_folder(self, folder: Entry) -> Listing:
        entries: list[Entry] = []
        problems: list[ListingProblem] = []
        address = f"{self.api}/{address_of(folder.ref)}/items?fields={FIELDS}&usemarker=true&limit={PAGE_ENTRIES}"
        marker, calls = "", 0
        while calls == 0 or marker:
            position = f"&marker={quote(marker, safe='')}" if marker else ""
            reply = await self.calls.call(f"list {self.shown(folder.path)}", "GET", address + position)
            page = reply.json()
            calls += 1
            for values in page["entries"]:
                path = (*folder.path, str(values["name"]))
                if values["type"] in ("file", "folder"):
                    entries.append(entry_of(values, path, folder.ref))
                else:
                    text = f"{self.shown(path)} is a bookmark, which has no content."
                    problems.append(ListingProblem(path, "link", text, hides_entries=False))
            marker = page.get("next_marker") or ""
        return Listing(entries, problems, calls)

    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:
        asked = {"name": path[-1], "parent": {"id": id_of(parent)}}
        try:
            reply = await self.calls.call(
                f"make the folder {self.shown(path)}",
                "POST",
                f"{self.api}/folders?fields=id",
                headers=JSON,
                content=orjson.dumps(asked),
            )
        except NameTaken as taken:
            conflict = taken.conflict or {}
            return ref_of(EntryKind.FOLDER, str(conflict["id"])) if conflict.get("type") == "folder" else None
        return ref_of(EntryKind.FOLDER, str(reply.json()["id"]))
