"""A folder of a Google Drive as source and destination (https://developers.google.com/workspace/drive/api/guides/about-files).

* Files and folders are known by their ids. Names may repeat and may hold anything, slashes too: a path names the oldest
  of several, a listing gives them all and says so.
* A folder is made by looking, making and looking again: of several that were made at the same time all use the oldest,
  and those who made the others take them back.
* Documents of Google's own (Docs, Sheets …) have no content that is a file; they are listed as problems, as are
  shortcuts, which are not followed.
* Reading is checked afterwards: Google does not say which version's bytes it gives.
* Nothing staged is ever visible, see `upload`; so there is nothing to sweep.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from connectors.google_drive.api import PAGE_ENTRIES_MAX, Api, in_query
from connectors.google_drive.rearranging import Rearranging, deletion
from connectors.google_drive.records import (
    FOLDER,
    SYSTEM,
    Record,
    entry_of,
    is_content,
    is_folder,
    oldest_first,
    problems_of,
    ref_of,
)
from connectors.google_drive.settings import GoogleDriveSettings
from connectors.google_drive.signing import bearer
from connectors.google_drive.upload import GoogleDriveUpload
from connectors.shared.giving import source_changed
from connectors.shared.services import Services
from connectors.shared.transport import Http
from connectors.shared.tree import Incoming, TreeConnector
from connectors.shared.trust import trusting
from connectors.shared.walking import Listing
from migration.capabilities import Capabilities, Operation
from migration.contract import Finding
from migration.entries import Entry, PathParts, Ref
from migration.errors import ContractViolation, FatalError, ItemError, RetryableError
from migration.platforms import platform

_CAPABILITIES = Capabilities(
    names=platform("google_drive").names,
    file_size_max_bytes=platform("google_drive").file_size_max_bytes,
    checksum_types=frozenset({"sha256", "md5"}),
    time_precision_seconds=0.001,
    atomic_publish=True,
    stable_ids=True,
    keeps_versions=True,
    keeps_times=True,
    operations=frozenset({
        Operation.RANGE_READS, Operation.MOVE, Operation.DELETE_TO_TRASH, Operation.CONTENT_HASH,
    }),
    entries_per_page=PAGE_ENTRIES_MAX,
)  # fmt: skip
_REPLACING = (
    "Google Drive replaces files without asking whether they are still the same; they are looked at right before, so "
    "let nobody else write into the destination during a run."
)


class GoogleDriveConnector(TreeConnector):
    """Implements Source, Destination, Movable, Trash and ContentHash of migration/contract.py."""

    SYSTEM = SYSTEM
    SLASH_IS_LEGAL = True

    def __init__(self, settings: GoogleDriveSettings, services: Services, *, page_entries: int | None = None) -> None:
        super().__init__(display_name=settings.display_name, capabilities=_CAPABILITIES, page_entries=page_entries)
        self._settings = settings
        self._services = services
        self._http: Http | None = None
        self._api: Api | None = None
        self._root: Record | None = None
        self._finding_root = asyncio.Lock()
        self.rearranging = Rearranging(self)

    async def connect(self) -> None:
        self._http = Http(self._settings.timeouts, tls=trusting(self._settings.ca_file))
        signer = bearer(self._http, self._settings, self._services)
        self._api = Api(self._http, self._settings, signer, self._services.clock)

    async def disconnect(self) -> None:
        http, api, self._http, self._api, self._root = self._http, self._api, None, None, None
        self.folders.forget(())
        if api is not None:
            await api.signer.settle()
        if http is not None:
            await http.aclose()

    @property
    def api(self) -> Api:
        """The way to Google Drive."""
        if self._api is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._api

    @property
    def upload_url(self) -> str:
        """Where content is sent to."""
        return self._settings.upload_url

    def shown(self, path: PathParts) -> str:
        begin = self._settings.shared_drive or self._settings.folder_id or "My Drive"
        return "/".join((begin, *self._settings.folder_names, *path))

    async def list_folder(self, folder: Entry) -> Listing:
        records, calls = await self.api.find(f"list {self.shown(folder.path)}", f"{in_query(folder.ref.id)} in parents")
        entries = [
            entry_of(record, (*folder.path, str(record["name"])), folder.ref)
            for record in records
            if is_content(record)
        ]
        return Listing(entries, problems_of(records, folder.path), calls)

    async def look(self, path: PathParts) -> Entry | None:
        if not path:
            return entry_of({**await self._root_record(), "name": ""}, (), None)
        try:
            parent = await self.folders.ref_of(path[:-1])
        except ItemError as error:
            if error.code == "not-a-folder":
                return None
            raise
        if parent is None:
            return None
        found = await self.named(parent.id, path[-1], self.shown(path))
        return entry_of(found[0], path, parent) if found else None

    async def named(self, parent: str, name: str, shown: str) -> list[Record]:
        """The files and folders of exactly this name in a folder, oldest first."""
        query = f"{in_query(parent)} in parents and name = {in_query(name)}"
        try:
            records, _ = await self.api.find(f"look at {shown}", query)
        except ItemError as error:
            if error.code == "not-found":
                return []
            raise
        return oldest_first([record for record in records if record["name"] == name and is_content(record)])

    async def look_at(self, entry: Entry) -> Entry | None:
        record = await self.api.get(f"look at {self.shown(entry.path)}", entry.ref.id)
        if record is None or record.get("trashed"):
            return None
        return entry_of(record, entry.path, entry.parent)

    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:
        shown = self.shown(path)
        what = f"make the folder {shown}"
        there = await self.named(parent.id, path[-1], shown)
        if there:
            return ref_of(there[0]) if is_folder(there[0]) else None
        metadata = {"id": await self.api.new_id(), "name": path[-1], "mimeType": FOLDER, "parents": [parent.id]}
        made = await self.api.create(what, metadata)
        if made.get("trashed"):
            raise ItemError("not-found", f"Could not {what}: the folder around it is in the trash.")
        oldest = oldest_first([made, *await self.named(parent.id, path[-1], shown)])[0]
        if oldest["id"] != made["id"]:
            await self.api.change(what, str(made["id"]), {"trashed": True})
            return ref_of(oldest) if is_folder(oldest) else None
        return ref_of(made)

    @asynccontextmanager
    async def read(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        shown = self.shown(entry.path)
        ranged = offset > 0 or length is not None
        last = "" if length is None else str(offset + length - 1)
        headers = {"Range": f"bytes={offset}-{last}"} if ranged else {}
        try:
            async with self.api.fetch(f"read {shown}", entry.ref.id, headers) as response:
                if response.status_code == 416:
                    raise source_changed(shown)
                if ranged and response.status_code != 206:
                    raise FatalError(
                        "no-ranges",
                        f"{self.display_name} did not give a part of {shown} but the whole.",
                        fix="Check for a proxy between here and Google that answers instead of it.",
                    )
                yield self.api.calls.chunks_of(response)
        except ItemError as error:
            if error.code == "not-found":
                raise source_changed(shown) from error
            raise

    def upload(self, file: Incoming) -> GoogleDriveUpload:
        return GoogleDriveUpload(self, file)

    async def sha256(self, path: PathParts) -> str:
        """As `ContentHash.sha256`. RetryableError `hash-missing` while Google has not computed it yet."""
        found = await self.stat(path)
        shown = self.shown(path)
        if found is None:
            raise ItemError("not-found", f"{shown} is not there.")
        if not found.is_file:
            raise ItemError("not-a-file", f"{shown} is a folder.")
        if "sha256" not in found.checksums:
            raise RetryableError("hash-missing", f"Google Drive has not computed the hash of {shown} yet.")
        return found.checksums["sha256"]

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """As `Movable.move`."""
        self.check(to)
        return await self.rearranging.move(entry, to)

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:  # noqa: ARG002
        """As `Trash.delete_to_trash`."""
        return await self.rearranging.delete_to_trash(entry)

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:  # noqa: ARG002
        """As `Trash.find_deleted`."""
        return deletion(entry.ref.id, path)

    async def restore(self, token: str) -> PathParts:
        """As `Trash.restore`."""
        return await self.rearranging.restore(token)

    async def root_id(self) -> str:
        """The id of the connection's folder. FatalError `root-missing`."""
        return str((await self._root_record())["id"])

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        about = await self.api.ask("ask who it is", "about", {"fields": "user(emailAddress),storageQuota"})
        root = await self.root_id()
        record = await self.api.get("look at the folder", root, "capabilities(canAddChildren)")
        findings = [Finding("info", "replacing", _REPLACING)]
        if not (record or {}).get("capabilities", {}).get("canAddChildren", False):
            findings.append(
                Finding("warning", "read-only", "Nothing can be written into this folder.",
                        "For a destination make the person or service account an Editor of it.")
            )  # fmt: skip
        quota = about.get("storageQuota", {})
        if "limit" in quota and self.api.drive_id is None:
            free = max(int(quota["limit"]) - int(quota.get("usage", 0)), 0)
            findings.append(Finding("info", "space", f"{free / 1e9:,.1f} GB are free."))
        return about.get("user", {}).get("emailAddress"), tuple(findings)

    async def _root_record(self) -> Record:
        async with self._finding_root:
            if self._root is None:
                self._root = await self._found_root()
            if self._root is None:
                raise _root_missing(self.shown(()))
        return self._root

    async def _found_root(self) -> Record | None:
        begin = self._settings.folder_id or "root"
        if self._settings.shared_drive is not None:
            begin = await self._shared_drive(self._settings.shared_drive)
        record = await self.api.get("look at the folder", begin)
        if record is None or record.get("trashed"):
            return None
        self.api.drive_id = record.get("driveId")
        for name in self._settings.folder_names:
            found = await self.named(str(record["id"]), name, self.shown(()))
            record = next((one for one in found if is_folder(one)), None)
            if record is None:
                return None
        return record if is_folder(record) else None

    async def _shared_drive(self, wanted: str) -> str:
        """The id of a shared drive, given its name or id. FatalError `root-missing`."""
        parameters = {"pageSize": "100", "fields": "nextPageToken,drives(id,name)"}
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            more = {"pageToken": token} if token else {}
            answer = await self.api.ask("list the shared drives", "drives", {**parameters, **more})
            found += [drive for drive in answer.get("drives", ()) if wanted in (drive["id"], drive["name"])]
            token = str(answer.get("nextPageToken") or "")
            if not token:
                break
        if len(found) != 1:
            what = "There is no shared drive" if not found else "There are several shared drives called"
            raise FatalError(
                "root-missing",
                f"{what} '{wanted}' that this connection can see.",
                fix="Make the person or service account a member of it, and give its ID with --shared-drive.",
            )
        return str(found[0]["id"])


def _root_missing(shown: str) -> FatalError:
    """The connection leads nowhere."""
    return FatalError(
        "root-missing",
        f"There is no folder {shown}.",
        fix="Check folder, folder ID and shared drive of the connection, and who it acts as.",
    )
