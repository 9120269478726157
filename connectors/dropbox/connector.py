"""A folder of a Dropbox as source and destination (https://www.dropbox.com/developers/documentation/http/documentation).

* Files and folders are known by their ids, versions by their `rev`; see `records`.
* Small trees are listed whole, others folder by folder; see `listing`.
* Dropbox makes missing folders by itself: of a folder that vanishes between looking and writing a new one appears.
* Nothing staged is ever visible, see `upload`; so there is nothing to sweep.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from connectors.dropbox.api import Api
from connectors.dropbox.commits import Commits
from connectors.dropbox.errors import CONFLICT
from connectors.dropbox.listing import ENTRIES_PER_PAGE, Lister, listing_of, records_of
from connectors.dropbox.rearranging import Rearranging
from connectors.dropbox.records import HASH, REVISION, SYSTEM, entry_of, folded
from connectors.dropbox.settings import DropboxSettings
from connectors.dropbox.signing import bearer
from connectors.dropbox.upload import DropboxUpload
from connectors.shared.giving import source_changed
from connectors.shared.services import Services
from connectors.shared.transport import Http
from connectors.shared.tree import Incoming, TreeConnector
from connectors.shared.trust import trusting
from connectors.shared.walking import ListFolder, Listing
from migration.capabilities import Capabilities, Operation
from migration.contract import Finding
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ContractViolation, FatalError, ItemError, RetryableError
from migration.platforms import platform

_CAPABILITIES = Capabilities(
    names=platform("dropbox").names,
    file_size_max_bytes=platform("dropbox").file_size_max_bytes,
    checksum_types=frozenset({HASH}),
    time_precision_seconds=1.0,
    atomic_publish=True,
    stable_ids=True,
    keeps_versions=True,
    keeps_times=True,
    operations=frozenset({
        Operation.RANGE_READS, Operation.MOVE, Operation.DELETE_TO_TRASH, Operation.VERSIONS,
    }),
    entries_per_page=ENTRIES_PER_PAGE,
)  # fmt: skip


class DropboxConnector(TreeConnector):
    """Implements Source, Destination, Movable, Trash and Versioned of migration/contract.py."""

    SYSTEM = SYSTEM
    READINGS_ARE_OF_ONE_VERSION = True

    def __init__(self, settings: DropboxSettings, services: Services, *, page_entries: int | None = None) -> None:
        super().__init__(display_name=settings.display_name, capabilities=_CAPABILITIES, page_entries=page_entries)
        self._settings = settings
        self._services = services
        self._http: Http | None = None
        self._api: Api | None = None
        self.rearranging = Rearranging(self)
        self.commits = Commits()

    async def connect(self) -> None:
        self._http = Http(self._settings.timeouts, tls=trusting(self._settings.ca_file))
        signer = bearer(self._http, self._settings, self._services)
        self._api = Api(self._http, self._settings, signer, self._services.clock)

    async def disconnect(self) -> None:
        http, api, self._http, self._api = self._http, self._api, None, None
        self.folders.forget(())
        if api is not None:
            await api.signer.settle()
        if http is not None:
            await http.aclose()

    @property
    def api(self) -> Api:
        """The way to Dropbox."""
        if self._api is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._api

    def shown(self, path: PathParts) -> str:
        return "Dropbox:/" + "/".join((*self._settings.folder_names, *path))

    def written(self, path: PathParts) -> str:
        """The path as Dropbox takes it; its root is the empty one."""
        return "".join(f"/{name}" for name in (*self._settings.folder_names, *path))

    def below(self, path: PathParts) -> PathParts | None:
        """A path of Dropbox's from the connection's root; None for one outside of it."""
        root = self._settings.folder_names
        return path[len(root) :] if folded(path[: len(root)]) == folded(root) else None

    async def list_folder(self, folder: Entry) -> Listing:
        records, calls = await records_of(self, folder)
        return listing_of(records, folder, calls)

    def lister(self) -> ListFolder:
        return Lister(self).list_folder

    async def look(self, path: PathParts) -> Entry | None:
        written = self.written(path)
        if not written:
            return Entry(ref=Ref(SYSTEM, ""), parent=None, name="", path=(), kind=EntryKind.FOLDER)
        record = await self.record(written, f"look at {self.shown(path)}")
        if record is None and not path:
            raise _root_missing(self.shown(()))
        if record is None:
            return None
        parent = await self.folders.ref_of(path[:-1]) if path else None
        return entry_of(record, path, parent)

    async def look_at(self, entry: Entry) -> Entry | None:
        revision = entry.extra.get(REVISION)
        if not entry.ref.id:
            return await self.look(())
        where = entry.ref.id if revision is None else f"rev:{revision}"
        record = await self.record(where, f"look at {self.shown(entry.path)}")
        if record is None:
            return None
        return entry_of(record, entry.path, entry.parent, revision=revision is not None)

    async def record(self, where: str, what: str) -> dict[str, Any] | None:
        """What Dropbox says about a path, an id or a `rev:`; None when nothing is there."""
        try:
            return await self.api.ask(what, "files/get_metadata", {"path": where})
        except ItemError as error:
            if error.code in ("not-found", "not-a-folder"):
                return None
            raise

    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:  # noqa: ARG002
        arguments = {"path": self.written(path), "autorename": False}
        try:
            answer = await self.api.ask(f"make the folder {self.shown(path)}", "files/create_folder_v2", arguments)
        except ItemError as error:
            if error.code == CONFLICT:
                return None
            raise
        return Ref(SYSTEM, str(answer["metadata"]["id"]))

    @asynccontextmanager
    async def read(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        shown, revision = self.shown(entry.path), entry.extra.get(REVISION)
        ranged = offset > 0 or length is not None
        last = "" if length is None else str(offset + length - 1)
        headers = {"Range": f"bytes={offset}-{last}"} if ranged else {}
        arguments = {"path": entry.ref.id if revision is None else f"rev:{revision}"}
        try:
            async with self.api.fetch(f"read {shown}", "files/download", arguments, headers) as response:
                if response.status_code == 416 or _rev_of(response) != entry.ref.version_id:
                    raise source_changed(shown)
                if ranged and response.status_code != 206:
                    raise FatalError(
                        "no-ranges",
                        f"{self.display_name} did not give a part of {shown} but the whole.",
                        fix="Check for a proxy between here and Dropbox that answers instead of it.",
                    )
                yield self.api.calls.chunks_of(response)
        except ItemError as error:
            if error.code in ("not-found", "not-a-file"):
                raise source_changed(shown) from error
            raise

    def upload(self, file: Incoming) -> DropboxUpload:
        return DropboxUpload(self, file)

    async def move(self, entry: Entry, to: PathParts) -> Ref:
        """As `Movable.move`."""
        self.check(to)
        return await self.rearranging.move(entry, to)

    async def delete_to_trash(self, entry: Entry, key: str | None = None) -> str:
        """As `Trash.delete_to_trash`."""
        return await self.rearranging.delete_to_trash(entry, key)

    async def find_deleted(self, entry: Entry, path: PathParts, key: str) -> str | None:
        """As `Trash.find_deleted`."""
        return await self.rearranging.find_deleted(entry, path, key)

    async def restore(self, token: str) -> PathParts:
        """As `Trash.restore`."""
        return await self.rearranging.restore(token)

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        """As `Versioned.versions`."""
        return await self.rearranging.versions(entry)

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        person = await self.api.person()
        email = str(person.get("email", ""))
        findings = []
        if self._settings.person is not None and email.lower() != self._settings.person.lower():
            findings.append(
                Finding(
                    "problem",
                    "another-person",
                    f"The sign-in is that of {email}, not of {self._settings.person}.",
                    "Connect it again and sign in as the other person.",
                )
            )
        await self.look(())
        if person.get("root_info", {}).get(".tag") == "team" and self._settings.root == "home":
            findings.append(
                Finding("info", "team-space", "The team's own folders are outside of what this connection sees.",
                        "To reach them give --root team.")
            )  # fmt: skip
        findings.append(await self._space())
        return email or None, tuple(findings)

    async def _space(self) -> Finding:
        usage = await self.api.ask("ask for the space", "users/get_space_usage", None)
        allocation = usage.get("allocation", {})
        used = allocation.get("used", usage.get("used", 0))
        free = max(int(allocation.get("allocated", 0)) - int(used), 0)
        return Finding("info", "space", f"{free / 1e9:,.1f} GB are free.")


def _root_missing(shown: str) -> FatalError:
    return FatalError(
        "root-missing",
        f"There is no folder {shown}.",
        fix="Check the folder of the connection, and whether it begins in the team's space (--root team).",
    )


def _rev_of(response: httpx.Response) -> str:
    try:
        return str(json.loads(response.headers["dropbox-api-result"])["rev"])
    except (KeyError, ValueError, TypeError) as error:
        raise RetryableError(
            "not-dropbox",
            "The content came without Dropbox's word on which version it is.",
            fix="Check for a proxy between here and Dropbox that answers instead of it.",
        ) from error
