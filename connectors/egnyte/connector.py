"""A folder of an Egnyte domain as source and destination
(https://developers.egnyte.com/docs/read/File_System_Management_API_Documentation).

* Egnyte has no conditional writes: an upload to a path that has a file makes a new version of it. So a new file is
  uploaded under a staged name beside its place and moved there, which Egnyte refuses when something is there. A file
  that is to be replaced is looked at right before, and then gets a new version in one step; a change within that
  instant would become the version before: the connection test says so.
* Uploads in chunks that were begun cannot be given up; they have no name, and Egnyte forgets them after 24 hours.
* Staged files of a process that died are found by `sweep_staged`. What is removed goes to the domain's trash.
"""

import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from connectors.egnyte.errors import IN_THE_WAY, meaning_of
from connectors.egnyte.settings import EgnyteSettings
from connectors.egnyte.shapes import HISTORIC, SYSTEM, address_of, entry_of, historic_of, version_of
from connectors.egnyte.signing import Paced, bearer
from connectors.egnyte.upload import EgnyteUpload
from connectors.shared.calls import Calls
from connectors.shared.giving import source_changed
from connectors.shared.paths import path_of_ref
from connectors.shared.services import Services
from connectors.shared.staging import StagedTreeConnector
from connectors.shared.transport import Http
from connectors.shared.tree import Incoming, destination_changed, same_version
from connectors.shared.trust import trusting
from connectors.shared.walking import Listing
from migration.capabilities import Capabilities, Operation
from migration.contract import Finding
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ContractViolation, FatalError, ItemError, RetryableError
from migration.platforms import name_rules

PAGE_ENTRIES = 1_000
LISTING_TRIES = 3
_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}
_REPLACING = (
    "A file that is to be replaced is looked at right before, but Egnyte cannot be asked to check it again: a change "
    "within that instant becomes the version before. Let nobody else write into the destination during a run."
)
CAPABILITIES = Capabilities(
    names=name_rules("egnyte"),
    checksum_types=frozenset({"sha512"}),
    time_precision_seconds=1.0,
    atomic_publish=True,
    keeps_versions=True,
    keeps_times=True,
    operations=frozenset({Operation.RANGE_READS, Operation.MOVE, Operation.DELETE_TO_TRASH, Operation.VERSIONS}),
    calls_per_page=1,
    entries_per_page=PAGE_ENTRIES,
    calls_per_download=1,
    calls_per_upload=2,
    calls_per_folder=1,
)


class EgnyteConnector(StagedTreeConnector):
    """Implements Source, Destination, StagedSweep, Movable, Trash and Versioned of migration/contract.py."""

    SYSTEM = SYSTEM
    READINGS_ARE_OF_ONE_VERSION = True
    """An answer is of the version whose checksum its head tells."""

    def __init__(self, settings: EgnyteSettings, services: Services, *, page_entries: int | None = None) -> None:
        super().__init__(display_name=settings.display_name, capabilities=CAPABILITIES, page_entries=page_entries)
        self._settings = settings
        self._services = services
        self._root = tuple(settings.folder.strip("/").split("/"))
        self._http: Http | None = None
        self._signer: Paced | None = None
        self._calls: Calls | None = None

    async def connect(self) -> None:
        settings, clock = self._settings, self._services.clock
        self._http = Http(settings.timeouts, tls=trusting(settings.ca_file))
        self._signer = Paced(bearer(settings, self._http, self._services), settings.calls_per_second, clock)
        self._calls = Calls(self._http, system=self.display_name, signer=self._signer, clock=clock, meaning=meaning_of)

    async def disconnect(self) -> None:
        http, signer, self._http, self._signer, self._calls = self._http, self._signer, None, None, None
        self.folders.forget(())
        if signer is not None:
            await signer.settle()
        if http is not None:
            await http.aclose()

    @property
    def calls(self) -> Calls:
        """The way to Egnyte."""
        if self._calls is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._calls

    def shown(self, path: PathParts) -> str:
        return "/" + "/".join((*self._root, *path))

    def address(self, kind: str, path: PathParts) -> str:
        """The address of a path; `kind` is fs, fs-content or fs-content-chunked."""
        return f"{self._settings.url}/pubapi/v1/{kind}/{address_of((*self._root, *path))}"

    def path_of(self, entry: Entry) -> PathParts:
        return path_of_ref(entry.ref)

    async def look(self, path: PathParts) -> Entry | None:
        values = await self._described(path)
        if values is not None:
            return entry_of(values, path, name=None if path else "")
        for form in _FORMS if path and not path[-1].isascii() else ():
            # The vendor does not say whether the normal forms of a name are one name; here they are.
            other = (*path[:-1], unicodedata.normalize(form, path[-1]))
            values = None if other == path else await self._described(other)
            if values is not None:
                return replace(entry_of(values, other), path=path)
        return None

    async def _described(self, path: PathParts) -> dict[str, Any] | None:
        reply = await self.calls.call(
            f"look at {self.shown(path)}",
            "GET",
            f"{self.address('fs', path)}?list_content=false",
            accept=frozenset({404}),
        )
        if reply.status != 404:
            values: dict[str, Any] = reply.json()
            return values
        if not path:
            raise FatalError(
                "root-missing",
                f"There is no folder {self.shown(())} that this user of Egnyte can see.",
                fix="Check the folder of the connection and the permissions of the user.",
            )
        return None

    async def look_at(self, entry: Entry) -> Entry | None:
        return await self.look(path_of_ref(entry.ref))

    async def list_folder(self, folder: Entry) -> Listing:
        path, calls = path_of_ref(folder.ref), 0
        for _ in range(LISTING_TRIES):
            found, pages, is_whole = await self._listed(path)
            calls += pages
            if is_whole:
                return Listing(list(found.values()), calls=calls)
        raise RetryableError(
            "listing-changes",
            f"{self.shown(path)} is being changed so fast that it cannot be listed.",
            fix="Run again when less happens there.",
        )

    async def _listed(self, path: PathParts) -> tuple[dict[str, Entry], int, bool]:
        """What is in the folder by name, how many calls that took, and whether the folder stood still meanwhile: pages
        go by position, so that an entry may be passed over when one before it is removed."""
        found: dict[str, Entry] = {}
        totals: set[int] = set()
        offset = calls = 0
        while calls == 0 or offset < max(totals):
            query = f"list_content=true&count={PAGE_ENTRIES}&offset={offset}&sort_by=name&sort_direction=ascending"
            reply = await self.calls.call(f"list {self.shown(path)}", "GET", f"{self.address('fs', path)}?{query}")
            page = reply.json()
            calls += 1
            totals.add(int(page.get("total_count") or 0))
            listed = [*page.get("folders", ()), *page.get("files", ())]
            for values in listed:
                name = str(values["name"])
                found[name] = entry_of(values, (*path, name))
            offset += len(listed)
            if not listed:
                break
        return found, calls, len(totals) == 1 and len(found) == max(totals)

    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:  # noqa: ARG002
        try:
            await self._act(f"make the folder {self.shown(path)}", path, {"action": "add_folder"}, again=True)
        except ItemError as error:
            if error.code not in IN_THE_WAY:
                raise
            found = await self.look(path)
            if found is None:
                raise
            return found.ref if found.kind is EntryKind.FOLDER else None
        return entry_of({"is_folder": True, "name": path[-1]}, path).ref

    async def _act(self, what: str, path: PathParts, action: dict[str, str], *, again: bool) -> None:
        await self.calls.call(
            what, "POST", self.address("fs", path), headers=JSON, content=orjson.dumps(action), again=again
        )

    @asynccontextmanager
    async def read(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        path = path_of_ref(entry.ref)
        historic = entry.extra.get(HISTORIC)
        address = self.address("fs-content", path) + (f"?entry_id={historic}" if historic else "")
        last = "" if length is None else str(offset + length - 1)
        ranged = offset > 0 or length is not None
        headers = {"Range": f"bytes={offset}-{last}"} if ranged else {}
        accept = frozenset({404, 416})
        async with self.calls.stream(
            f"read {self.shown(path)}", "GET", address, headers=headers, accept=accept
        ) as response:
            told = version_of(response.headers.get("x-sha512-checksum"))
            is_other = historic is None and told is not None and entry.ref.version_id not in (None, told)
            if response.status_code in accept or is_other:
                raise source_changed(self.shown(path))
            if ranged and response.status_code != 206:
                raise FatalError(
                    "no-ranges",
                    "Egnyte gives no parts of files, so a broken download cannot be continued.",
                    fix="Check for a proxy between here and Egnyte that answers instead of it.",
                )
            if told is None and historic is None and not await self.unchanged(entry):
                raise source_changed(self.shown(path))
            yield self.calls.chunks_of(response)

    def upload(self, file: Incoming) -> EgnyteUpload:
        return EgnyteUpload(self, file)

    async def remove_file(self, path: PathParts) -> None:
        await self.calls.call(f"remove {self.shown(path)}", "DELETE", self.address("fs", path), accept=frozenset({404}))

    async def rename(self, path: PathParts, to: PathParts) -> None:
        what = f"move {self.shown(path)} to {self.shown(to)}"
        try:
            await self._act(what, path, {"action": "move", "destination": self.shown(to)}, again=False)
        except ItemError as error:
            if error.code in IN_THE_WAY and await self.look(to) is not None:
                raise destination_changed(self.shown(to), "something is there now") from error
            raise

    async def versions(self, entry: Entry) -> tuple[Entry, ...]:
        """As `Versioned.versions`. Egnyte describes a file together with its earlier versions."""
        path = path_of_ref(entry.ref)
        values = await self._described(path)
        if values is None or values["is_folder"]:
            raise ItemError("not-found", f"{self.shown(path)} is no file that is there.")
        current = replace(entry_of(values, path), path=entry.path)
        earlier = [historic_of(current, version) for version in values.get("versions", ())]
        earlier.sort(key=lambda version: version.created_at or _BEGINNING)
        return (*earlier, current)

    async def is_as_expected(self, path: PathParts, expected: Entry) -> None:
        """Raise PreconditionFailed unless the file is there as the plan saw it."""
        found = await self.look(path)
        if found is None:
            raise destination_changed(self.shown(path), "the file to replace is gone")
        if not (found.is_file and expected.is_file and same_version(found, expected)):
            raise destination_changed(self.shown(path), "the file to replace was changed")

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        reply = await self.calls.call("ask who this is", "GET", f"{self._settings.url}/pubapi/v1/userinfo")
        user = reply.json()
        await self.look(())
        findings = [Finding("info", "replacing", _REPLACING)]
        allotted = reply.headers.get("x-accesstoken-qps-allotted", "")
        if allotted.isdigit() and int(allotted) < self._settings.calls_per_second:
            findings.append(
                Finding(
                    "warning",
                    "calls-per-second",
                    f"Egnyte allows this API key {allotted} calls a second, and the connection would make more.",
                    f"Set --calls-per-second {allotted}, or ask Egnyte to raise the limit.",
                )
            )
        used = reply.headers.get("x-accesstoken-quota-current", "")
        quota = reply.headers.get("x-accesstoken-quota-allotted", "")
        if used.isdigit() and quota.isdigit():
            findings.append(Finding("info", "calls-per-day", f"{used} of today's {quota} calls are used."))
        name = f"{user.get('first_name', '')} {user.get('last_name', '')}".strip()
        return f"{name} ({user.get('username')})", tuple(findings)
