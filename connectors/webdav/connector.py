"""A folder of a WebDAV server as source and destination (RFC 4918).

* A file is sent under a staged name and moved into place. Where nothing is expected the move itself refuses to
  overwrite (`Overwrite: F`), which some servers (Apache) look up and do in two steps. A file that is to be replaced is
  looked at right before: WebDAV servers differ too much in the conditions they honour, so a change within that instant
  would be overwritten; the connection test says so.
* The time a file was modified is sent as `X-OC-Mtime`, which Nextcloud, ownCloud and rclone keep to the second.
* Versions are told apart by ETag.
* Staged files of a process that died are found by `sweep_staged`.
"""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from connectors.shared.calls import Calls
from connectors.shared.giving import source_changed
from connectors.shared.paths import path_of_ref
from connectors.shared.services import Services
from connectors.shared.staging import StagedTreeConnector
from connectors.shared.transport import Http
from connectors.shared.tree import Incoming, destination_changed, same_version
from connectors.shared.trust import trusting
from connectors.shared.walking import Listing
from connectors.webdav.errors import CONDITION_FAILED, meaning_of
from connectors.webdav.properties import ASKED, QUOTA_ASKED, SYSTEM, Base, bare, entries_of, free_bytes
from connectors.webdav.settings import WebDavSettings
from connectors.webdav.upload import WebDavUpload
from migration.capabilities import Capabilities, Operation
from migration.contract import Finding
from migration.entries import Entry, EntryKind, PathParts, Ref
from migration.errors import ContractViolation, FatalError, ItemError
from migration.platforms import name_rules

_PLATFORMS = {"posix": "nfs_linux_share", "windows": "smb_windows_share", "portable": "portable_safe_profile"}
_CONTROLS = frozenset(chr(code) for code in (*range(32), 127))
"""XML 1.0, which listings are written in, cannot hold them."""
_CUT_BY_WSGIDAV = frozenset(";?")
"""WsgiDAV 4.4 moves a file to the part of its new name before these: it takes the Destination header apart after having
decoded it."""
_GONE = frozenset({404, 410})
_NOTHING_THERE = _GONE | {400}
"""Apache answers 400 when a file is where a folder would have to be."""
_REPLACING = (
    "A file that is to be replaced is looked at right before, but the server is not asked to check it again: let "
    "nobody else write into the destination during a run."
)


class WebDavConnector(StagedTreeConnector):
    """Implements Source, Destination, StagedSweep, Movable and Trash of migration/contract.py."""

    SYSTEM = SYSTEM

    def __init__(self, settings: WebDavSettings, services: Services, *, page_entries: int | None = None) -> None:
        super().__init__(
            display_name=settings.display_name, capabilities=_capabilities(settings), page_entries=page_entries
        )
        self._settings = settings
        self._clock = services.clock
        self._http: Http | None = None
        self._calls: Calls | None = None
        self.base = Base(settings.url)

    async def connect(self) -> None:
        self._http = Http(self._settings.timeouts, tls=trusting(self._settings.ca_file))
        self._calls = Calls(
            self._http,
            system=self.display_name,
            signer=_Signer(self._settings),
            clock=self._clock,
            meaning=meaning_of,
        )

    async def disconnect(self) -> None:
        http, self._http, self._calls = self._http, None, None
        self.folders.forget(())
        if http is not None:
            await http.aclose()

    @property
    def calls(self) -> Calls:
        """The way to the server."""
        if self._calls is None:
            raise ContractViolation("not-entered", "The connector was used before it was entered (async with).")
        return self._calls

    async def pause(self, seconds: float) -> None:
        """Wait by the connection's clock."""
        await self._clock.sleep(seconds)

    @property
    def keeps_times(self) -> bool:
        """Whether times are worth sending."""
        return self._settings.keeps_times

    def shown(self, path: PathParts) -> str:
        return "/".join((self._settings.url, *path))

    def path_of(self, entry: Entry) -> PathParts:
        return path_of_ref(entry.ref)

    async def list_folder(self, folder: Entry) -> Listing:
        path = path_of_ref(folder.ref)
        found = await self._found(path, depth="1", folder=True)
        return Listing([entry for entry in found if len(entry.path) == len(path) + 1], calls=1)

    async def look(self, path: PathParts) -> Entry | None:
        reply = await self.calls.call(
            f"look at {self.shown(path)}",
            "PROPFIND",
            self.base.address(path, folder=not path),
            headers={"Depth": "0", "Content-Type": "application/xml; charset=utf-8"},
            content=ASKED,
            accept=_NOTHING_THERE,
        )
        if reply.status in _NOTHING_THERE:
            return None
        # A server may answer about a file when it is asked for what would be below it.
        return next((entry for entry in entries_of(self.base, reply.content) if entry.path == path), None)

    async def look_at(self, entry: Entry) -> Entry | None:
        return await self.look(path_of_ref(entry.ref))

    async def create_folder(self, path: PathParts, parent: Ref) -> Ref | None:  # noqa: ARG002
        reply = await self.calls.call(
            f"make the folder {self.shown(path)}",
            "MKCOL",
            self.base.address(path, folder=True),
            accept=frozenset({400, 405, 409, 423}),
        )
        if reply.status < 300:
            found = await self.look(path)
            return None if found is None else found.ref
        if await self.look(path) is None:
            raise meaning_of_taken(self.shown(path), reply.status)
        return None

    @asynccontextmanager
    async def read(self, entry: Entry, offset: int, length: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        path = path_of_ref(entry.ref)
        last = "" if length is None else str(offset + length - 1)
        ranged = offset > 0 or length is not None
        headers = {"Range": f"bytes={offset}-{last}"} if ranged else {}
        what = f"read {self.shown(path)}"
        async with self.calls.stream(
            what, "GET", self.base.address(path), headers=headers, accept=_GONE | {416}
        ) as response:
            etag = response.headers.get("etag")
            is_other = etag is not None and entry.ref.version_id not in (None, bare(etag))
            if response.status_code in _GONE or response.status_code == 416 or is_other:
                raise source_changed(self.shown(path))
            if ranged and response.status_code != 206:
                raise FatalError(
                    "no-ranges",
                    f"{self.display_name} does not give parts of files, so a broken download cannot be continued.",
                    fix="Check for a proxy between here and the server that answers instead of it.",
                )
            yield self.calls.chunks_of(response)

    def upload(self, file: Incoming) -> WebDavUpload:
        return WebDavUpload(self, file)

    async def remove_file(self, path: PathParts) -> bool:
        what = f"remove {self.shown(path)}"
        reply = await self.calls.call(what, "DELETE", self.base.address(path), accept=_GONE)
        return reply.status not in _GONE

    async def rename(self, path: PathParts, to: PathParts) -> None:
        found = await self.look(path)
        if found is None:
            raise ItemError("not-found", f"{self.shown(path)} is not there.")
        await self.move_file(path, to, overwrite=False, folder=found.kind is EntryKind.FOLDER)

    async def duplicate(self, path: PathParts, to: PathParts) -> bool:
        """By COPY (RFC 4918, section 9.8), which is the server's own work."""
        try:
            await self.calls.call(
                f"copy {self.shown(path)} to {self.shown(to)}",
                "COPY",
                self.base.address(path),
                headers={"Destination": self.base.address(to), "Overwrite": "T"},
            )
        except ItemError:
            return False  # some servers forbid it; moving is all that is needed
        return True

    async def move_file(self, path: PathParts, to: PathParts, *, overwrite: bool, folder: bool = False) -> None:
        """Move once. PreconditionFailed when something is there and may not be overwritten; RetryableError
        `answer-lost` when it may have happened."""
        try:
            await self.calls.call(
                f"move {self.shown(path)} to {self.shown(to)}",
                "MOVE",
                self.base.address(path, folder=folder),
                headers={
                    "Destination": self.base.address(to, folder=folder),
                    "Overwrite": "T" if overwrite else "F",
                    "Depth": "infinity",
                },
                again=False,
            )
        except ItemError as error:
            if error.code == CONDITION_FAILED:
                raise destination_changed(self.shown(to), "something is there now") from error
            raise

    async def examine(self) -> tuple[str | None, tuple[Finding, ...]]:
        found = await self.look(())
        if found is None or found.kind is not EntryKind.FOLDER:
            raise root_missing(self.shown(()))
        findings = [Finding("info", "replacing", _REPLACING)]
        reply = await self.calls.call(
            f"ask for the space at {self.shown(())}",
            "PROPFIND",
            self.base.address((), folder=True),
            headers={"Depth": "0", "Content-Type": "application/xml; charset=utf-8"},
            content=QUOTA_ASKED,
        )
        free = free_bytes(reply.content)
        if free is not None:
            findings.append(Finding("info", "space", f"{free / 1e9:,.1f} GB are free."))
        if not self.keeps_times:
            findings.append(
                Finding(
                    "warning",
                    "times-not-kept",
                    "It is not known whether this server keeps the time a file was modified, so it is not relied on.",
                    "If it is a Nextcloud, ownCloud or rclone, say so with --vendor.",
                )
            )
        return self._settings.username, tuple(findings)

    async def _found(self, path: PathParts, *, depth: str, folder: bool) -> list[Entry]:
        reply = await self.calls.call(
            f"list {self.shown(path)}",
            "PROPFIND",
            self.base.address(path, folder=folder),
            headers={"Depth": depth, "Content-Type": "application/xml; charset=utf-8"},
            content=ASKED,
        )
        return entries_of(self.base, reply.content)

    async def is_as_expected(self, path: PathParts, expected: Entry) -> None:
        """Raise PreconditionFailed unless the file is there as the plan saw it."""
        found = await self.look(path)
        if found is None:
            raise destination_changed(self.shown(path), "the file to replace is gone")
        if not (found.is_file and expected.is_file and same_version(found, expected)):
            raise destination_changed(self.shown(path), "the file to replace was changed")


def meaning_of_taken(shown: str, status: int) -> ItemError:
    """Why a folder could not be made where nothing is."""
    if status == 405:
        return ItemError(
            "permission-denied",
            f"Could not make the folder {shown}: the server does not allow it (HTTP 405).",
            fix="Check that the user may write there.",
        )
    return ItemError("not-found", f"Could not make the folder {shown}: the folder around it is gone (HTTP {status}).")


def root_missing(shown: str) -> FatalError:
    """The connection leads nowhere."""
    return FatalError(
        "root-missing",
        f"There is no folder {shown}.",
        fix="Check the address of the connection; Nextcloud shows it under Files, Settings.",
    )


class _Signer:
    def __init__(self, settings: WebDavSettings) -> None:
        self._headers: Mapping[str, str] = {}
        if settings.token is not None:
            self._headers = {"Authorization": f"Bearer {settings.token.get_secret_value()}"}
        elif settings.username is not None and settings.password is not None:
            pair = f"{settings.username}:{settings.password.get_secret_value()}".encode()
            self._headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    async def headers(self) -> Mapping[str, str]:
        return self._headers

    async def refused(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002
        return False


def _capabilities(settings: WebDavSettings) -> Capabilities:
    rules = name_rules(_PLATFORMS[settings.names])
    forbidden = _CONTROLS | (_CUT_BY_WSGIDAV if settings.vendor == "wsgidav" else frozenset())
    return Capabilities(
        names=replace(
            rules,
            forbidden_characters=rules.forbidden_characters | forbidden,
            keeps_undecodable_bytes=False,
            path_length_max=None,
        ),
        time_precision_seconds=1.0,
        atomic_publish=settings.vendor != "generic",
        keeps_times=settings.keeps_times,
        operations=frozenset({Operation.RANGE_READS, Operation.MOVE, Operation.DELETE_TO_TRASH}),
    )
